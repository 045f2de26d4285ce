#include "generate/generation.h"
#include <string.h>
#include "base/context.h"
#include "base/file.h"

#define ROWS 256 /* tokens of a prompt at a time */

ptq_status generation_begin(struct generation *g, struct model *model, int32_t activations,
                            int64_t capacity)
{
    const struct model_config *c = &model->config;
    ptq_context *context = model->context;
    const int64_t rows = ptqi_min(ROWS, capacity);
    memset(g, 0, sizeof *g);
    g->model = model;
    PTQI_TRY(workspace_create(model, rows, &g->workspace));
    PTQI_TRY(cache_create(model, capacity, &g->cache));
    g->workspace->cache = g->cache;
    g->x = ptqi_alloc(context, rows * c->hidden, (int64_t)sizeof *g->x);
    g->logits = ptqi_alloc(context, c->vocabulary, (int64_t)sizeof *g->logits);
    g->blocks = ptqi_alloc_zero(context, c->layers, (int64_t)sizeof *g->blocks);
    if (!g->x || !g->logits || !g->blocks)
        return PTQ_ERROR_MEMORY;
    for (int64_t l = 0; l < c->layers; l++) {
        int quantized;
        PTQI_TRY(model_load_block(model, NULL, l, activations, &g->blocks[l], &quantized));
        g->quantized += quantized;
    }
    return PTQ_OK;
}

ptq_status generation_run(struct generation *g, const int32_t *ids, int64_t count)
{
    struct workspace *w = g->workspace;
    const int64_t hidden = g->model->config.hidden;
    while (count > 0) {
        const int64_t rows = ptqi_min(w->rows, count);
        PTQI_TRY(model_embed(g->model, ids, w->position, rows, g->x));
        for (int64_t l = 0; l < g->model->config.layers; l++)
            PTQI_TRY(block_forward(g->model, g->blocks[l], w, g->x, rows));
        PTQI_TRY(ptqi_check_cancelled(g->model->context));
        w->position += rows;
        ids += rows;
        count -= rows;
        if (!count)
            return model_logits(g->model, g->x + (rows - 1) * hidden, 1, g->logits);
    }
    return PTQ_OK;
}

void generation_free(struct generation *g)
{
    if (!g->model)
        return;
    for (int64_t l = 0; g->blocks && l < g->model->config.layers; l++)
        block_free(g->blocks[l]);
    ptqi_free(g->model->context, g->blocks);
    ptqi_free(g->model->context, g->x);
    ptqi_free(g->model->context, g->logits);
    workspace_free(g->workspace);
    cache_free(g->cache);
}

/* eos_token_id is a number or a list of numbers. */
static int add_ids(const struct ptqi_json *config, int32_t *ids, int count, int limit)
{
    const struct ptqi_json *value = ptqi_json_get(config, "eos_token_id");
    const struct ptqi_json *each = value && value->kind == PTQI_JSON_ARRAY ? value->first : value;
    for (; each && count < limit; each = each->next) {
        int64_t id;
        if (ptqi_json_integer(each, &id) && id >= 0 && id <= INT32_MAX)
            ids[count++] = (int32_t)id;
        if (value->kind != PTQI_JSON_ARRAY)
            break;
    }
    return count;
}

int generation_end_ids(const struct model *m, int32_t *ids, int limit)
{
    struct ptqi_json_document *document = NULL;
    const struct ptqi_json *root;
    struct ptqi_map file;
    int count = add_ids(m->checkpoint->config, ids, 0, limit);
    char *path = checkpoint_file(m->checkpoint, "generation_config.json");
    if (path && !ptqi_map_file(m->context, path, &file)) {
        if (!ptqi_json_parse(m->context, (const char *)file.data, file.size, path, &document,
                             &root))
            count = add_ids(root, ids, count, limit);
        ptqi_json_free(document);
        ptqi_unmap_file(&file);
    }
    ptqi_free(m->context, path);
    return count;
}
