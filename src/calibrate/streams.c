#include "calibrate/streams.h"
#include <string.h>
#include "base/context.h"

#define INNER_BYTES ((int64_t)1 << 30) /* keep inputs of SITE_DOWN up to this size */

float *streams_residual(const struct streams *s, int64_t i)
{
    return s->x + i * s->length * s->hidden;
}

float *streams_attention(const struct streams *s, int64_t i)
{
    return s->attention + i * s->length * s->heads_width;
}

float *streams_inner(const struct streams *s, int64_t i)
{
    return s->inner ? s->inner + i * s->length * s->intermediate : NULL;
}

static ptq_status allocate(struct streams *s)
{
    const int64_t rows = s->count * s->length, inner = rows * s->intermediate;
    s->x = ptqi_alloc(s->context, rows * s->hidden, (int64_t)sizeof *s->x);
    s->attention = ptqi_alloc(s->context, rows * s->heads_width, (int64_t)sizeof *s->attention);
    if (!s->x || !s->attention)
        return PTQ_ERROR_MEMORY;
    if (!inner || inner > INNER_BYTES / 4)
        return PTQ_OK;
    s->inner = ptqi_alloc(s->context, inner, (int64_t)sizeof *s->inner);
    return s->inner ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Whether a block has an MLP without experts. */
static int has_dense(const struct model_config *c)
{
    return !c->has_experts || memchr(c->has_experts, 0, (size_t)c->layers);
}

ptq_status streams_begin(const struct model *model, const struct windows *windows,
                         struct streams *s)
{
    const struct model_config *c = &model->config;
    *s = (struct streams){.context = model->context,
                          .count = windows->count,
                          .length = windows->length,
                          .hidden = c->hidden,
                          .heads_width = c->heads * c->head_dim,
                          .intermediate = has_dense(c) ? c->intermediate : 0};
    PTQI_TRY(allocate(s));
    for (int64_t i = 0; i < s->count; i++)
        PTQI_TRY(
            model_embed(model, windows_spread(windows, i), 0, s->length, streams_residual(s, i)));
    return PTQ_OK;
}

void streams_free(struct streams *s)
{
    if (!s->context)
        return;
    ptqi_free(s->context, s->x);
    ptqi_free(s->context, s->attention);
    ptqi_free(s->context, s->inner);
    memset(s, 0, sizeof *s);
}
