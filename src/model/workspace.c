/*
 * Working memory for one window.
 */
#include "base/context.h"
#include "model/architecture.h"

ptq_status workspace_create(const struct model *m, int64_t rows, struct workspace **out)
{
    const struct model_config *c = &m->config;
    const int fused = architecture_has(c->architecture, ROLE_QKV);
    const int64_t qkv = fused ? (c->heads + 2 * c->kv_heads) * c->head_dim : 0;
    const int64_t gate_up =
        architecture_has(c->architecture, ROLE_GATE_UP) ? 2 * c->intermediate : 0;
    struct workspace *w = ptqi_alloc_zero(m->context, 1, (int64_t)sizeof *w);
    *out = w;
    if (!w)
        return PTQ_ERROR_MEMORY;
    const int64_t inner = ptqi_max(c->intermediate, c->expert_width);
    const int64_t experts = c->has_experts ? c->experts : 0;
    const int64_t mixed = c->has_experts ? c->hidden : 0;
    w->context = m->context;
    w->rows = rows;
    struct {
        float **buffer;
        int64_t width;
    } wanted[] = {
        {&w->normed, c->hidden},
        {&w->q, c->heads * c->head_dim},
        {&w->k, fused ? 0 : c->kv_heads * c->head_dim},
        {&w->v, fused ? 0 : c->kv_heads * c->head_dim},
        {&w->fused, ptqi_max(qkv, gate_up)},
        {&w->gate, inner},
        {&w->up, architecture_has(c->architecture, ROLE_GATE) ? inner : 0},
        {&w->out, c->hidden},
        {&w->probabilities, experts},
        {&w->shares, experts},
        {&w->gathered, mixed},
        {&w->mixed, mixed},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int64_t count;
        if (wanted[i].width == 0)
            continue;
        if (!ptqi_multiply(rows, wanted[i].width, &count) ||
            !(*wanted[i].buffer = ptqi_alloc(m->context, count, (int64_t)sizeof(float)))) {
            workspace_free(w);
            *out = NULL;
            return PTQ_ERROR_MEMORY;
        }
    }
    return PTQ_OK;
}

void workspace_free(struct workspace *w)
{
    if (!w)
        return;
    float *buffers[] = {w->normed,        w->q,      w->k,        w->v,
                        w->fused,         w->gate,   w->up,       w->out,
                        w->probabilities, w->shares, w->gathered, w->mixed};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        ptqi_free(w->context, buffers[i]);
    ptqi_free(w->context, w);
}
