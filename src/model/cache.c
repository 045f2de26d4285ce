/*
 * Keys and values of earlier tokens, so that a text is continued without running it again.
 */
#include <string.h>
#include "base/context.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"

ptq_status cache_create(const struct model *m, int64_t capacity, struct cache **cache)
{
    const struct model_config *c = &m->config;
    int64_t rows;
    *cache = NULL;
    if (!ptqi_multiply(c->layers, capacity, &rows))
        return ptqi_fail_memory(m->context, INT64_MAX);
    struct cache *new = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *new);
    if (!new)
        return PTQ_ERROR_MEMORY;
    new->context = m->context;
    new->capacity = capacity;
    new->width = c->kv_heads * c->head_dim;
    new->k = ptqi_alloc(m->context, rows, new->width *(int64_t)sizeof(float));
    new->v = ptqi_alloc(m->context, rows, new->width *(int64_t)sizeof(float));
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
    const int64_t d = c->head_dim, base = layer * cache->capacity * cache->width;
    if (position + rows > cache->capacity)
        return ptqi_fail(cache->context, PTQ_ERROR_BOUNDS, "the text exceeds %lld tokens",
                         (long long)cache->capacity);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t h = 0; h < c->kv_heads; h++) {
            const int64_t to = base + (position + t) * cache->width + h * d;
            const int64_t from = t * in->kv_row + h * in->kv_head;
            memcpy(cache->k + to, in->k + from, (size_t)d * sizeof *cache->k);
            memcpy(cache->v + to, in->v + from, (size_t)d * sizeof *cache->v);
        }
    in->k = cache->k + base;
    in->v = cache->v + base;
    in->kv_row = cache->width;
    in->kv_head = d;
    in->position = position;
    return PTQ_OK;
}
