/*
 * Keys and values of earlier tokens, so that a text is continued without running it again.
 */
#include <string.h>
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"

#define LINE 16 /* floats per cache line */

/* An odd number of cache lines, at least rows floats: then the columns of k lie in different sets
 * of a cache. */
static int64_t column_size(int64_t rows)
{
    return ((rows + LINE - 1) / LINE | 1) * LINE;
}

ptq_status cache_create(const struct model *m, int64_t capacity, struct cache **cache)
{
    const struct model_config *c = &m->config;
    const int64_t width = c->kv_heads * c->head_dim * (int64_t)sizeof(float);
    int64_t rows;
    *cache = NULL;
    if (capacity > INT32_MAX || !ptqi_multiply(c->layers, column_size(capacity), &rows))
        return ptqi_fail_memory(m->context, INT64_MAX);
    struct cache *new = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *new);
    if (!new)
        return PTQ_ERROR_MEMORY;
    new->context = m->context;
    new->capacity = capacity;
    new->k_column = column_size(capacity);
    new->k = ptqi_alloc(m->context, rows, width);
    new->v = ptqi_alloc(m->context, c->layers * capacity, width);
    if (!new->k || !new->v) {
        cache_free(new);
        return PTQ_ERROR_MEMORY;
    }
    *cache = new;
    return PTQ_OK;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    ptqi_free(cache->context, cache->k);
    ptqi_free(cache->context, cache->v);
    ptqi_free(cache->context, cache);
}

ptq_status cache_append(struct cache *cache, int64_t layer, int64_t position, int64_t rows,
                        const struct model_config *c, struct attention_input *in)
{
    const int64_t d = c->head_dim, k_head = d * cache->k_column, v_head = cache->capacity * d;
    float *k = cache->k + layer * c->kv_heads * k_head,
          *v = cache->v + layer * c->kv_heads * v_head;
    if (position + rows > cache->capacity)
        return ptqi_fail(cache->context, PTQ_ERROR_BOUNDS, "the text exceeds %lld tokens",
                         (long long)cache->capacity);
    for (int64_t h = 0; h < c->kv_heads; h++) {
        for (int64_t i = 0; i < d; i++)
            for (int64_t t = 0; t < rows; t++)
                k[h * k_head + i * cache->k_column + position + t] =
                    in->k[t * in->k_row + h * in->k_head + i * in->k_column];
        for (int64_t t = 0; t < rows; t++)
            memcpy(v + h * v_head + (position + t) * d, in->v + t * in->v_row + h * in->v_head,
                   (size_t)d * sizeof *v);
    }
    in->k = k;
    in->k_row = 1;
    in->k_column = cache->k_column;
    in->k_head = k_head;
    in->v = v;
    in->v_row = d;
    in->v_head = v_head;
    in->position = position;
    return PTQ_OK;
}
