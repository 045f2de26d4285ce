#include "gguf/rope_factors.h"
#include "base/context.h"
#include "base/exact.h"
#include "model/architecture.h"
#include "store/store.h"

static ptq_status make_room(const struct model *m, const char *name, ptq_store *to, float **values)
{
    const int64_t count = m->config.rope_dimensions / 2;
    return ptqi_store_put_raw(to, name, "F32", 1, &count, count * (int64_t)sizeof **values,
                              (void **)values);
}

/* What Llama 3 divides each frequency by: 1 for short wavelengths, the factor for long ones. */
static ptq_status add_llama3(const struct model *m, ptq_store *to)
{
    const struct rope *rope = &m->config.rope;
    const double d = (double)m->config.rope_dimensions;
    float *values;
    PTQI_TRY(make_room(m, "rope_freqs.weight", to, &values));
    for (int64_t i = 0; i < m->config.rope_dimensions / 2; i++) {
        const double frequency = ptqi_pow(rope->theta, -2 * (double)i / d);
        values[i] = (float)(frequency / rope_llama3(rope, frequency));
    }
    return PTQ_OK;
}

static ptq_status add_list(const struct model *m, const char *name, const struct ptqi_json *list,
                           ptq_store *to)
{
    float *values;
    PTQI_TRY(make_room(m, name, to, &values));
    for (const struct ptqi_json *item = list->first; item; item = item->next)
        *values++ = (float)item->number;
    return PTQ_OK;
}

ptq_status gguf_add_rope_factors(const struct model *m, ptq_store *to)
{
    const struct rope *rope = &m->config.rope;
    if (rope->kind == ROPE_LLAMA3)
        return add_llama3(m, to);
    if (rope->kind != ROPE_LONGROPE)
        return PTQ_OK;
    PTQI_TRY(add_list(m, "rope_factors_long.weight", rope->long_factor, to));
    return add_list(m, "rope_factors_short.weight", rope->short_factor, to);
}
