#include "restrict.h"
#include <stdio.h>
#include "base/context.h"
#include "model/architecture.h"

#define NOTHING (-100) /* no value */

/* A setting that formats restrict. */
struct rule {
    int32_t parameter;
    int64_t wanted;  /* takes the place of a value that does not fit */
    int64_t refused; /* does not fit, as PTQ_AUTO; unless `only` */
    int only;        /* nothing but the wanted value fits */
    int32_t format; /* 0: of all foreign formats but GGUF, whose types have settings of their own */
};

static const struct rule rules[] = {
    {PTQ_PARAM_ROTATE, 0, 0, 1, 0},
    {PTQ_PARAM_SCALES, PTQ_SCALES_PLAIN, PTQ_SCALES_TWO_LEVEL, 0, PTQ_FORMAT_AWQ},
    {PTQ_PARAM_SCALES, PTQ_SCALES_SIGNED, PTQ_SCALES_TWO_LEVEL, 0, 0},
    {PTQ_PARAM_SCALES, PTQ_SCALES_SIGNED, PTQ_SCALES_MINIMA, 0, 0},
    {PTQ_PARAM_SCALES, PTQ_SCALES_SIGNED, PTQ_SCALES_SUPER, 0, 0},
    /* Zero points: vLLM does not read them in gptq, nor transformers 5.24 in the other. */
    {PTQ_PARAM_SYMMETRIC, 1, NOTHING, 0, PTQ_FORMAT_GPTQ},
    {PTQ_PARAM_SYMMETRIC, 1, NOTHING, 0, PTQ_FORMAT_COMPRESSED_TENSORS},
    {PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_F32, 0, 1, PTQ_FORMAT_GPTQ},
    {PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_F32, 0, 1, PTQ_FORMAT_AWQ},
    {PTQ_PARAM_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_TOKEN, PTQ_ACTIVATIONS_FPTQ, 0,
     PTQ_FORMAT_COMPRESSED_TENSORS},
    {PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_F16, 0, 1, PTQ_FORMAT_GPTQ},
    {PTQ_PARAM_SCALE_DTYPE, PTQ_DTYPE_F16, 0, 1, PTQ_FORMAT_AWQ},
    {PTQ_PARAM_BITS, 4, 0, 1, PTQ_FORMAT_AWQ},
};

static ptq_status apply(const struct options *o, ptq_context *context, const struct rule *r,
                        int32_t format, ptq_config *config)
{
    int64_t value;
    PTQI_TRY(ptq_config_get_int(config, r->parameter, &value));
    const int fits = r->only ? value == r->wanted : value != PTQ_AUTO && value != r->refused;
    if (fits || (r->format && r->format != format))
        return PTQ_OK;
    if (setting_given(o, r->parameter) && value != PTQ_AUTO)
        return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                         "the format %s cannot hold what --%s asks for", ptq_format_name(format),
                         ptq_config_parameter_name(r->parameter));
    return ptq_config_set_int(config, r->parameter, r->wanted);
}

/* Scales of compressed-tensors have the dtype of the model. */
static ptq_status set_scale_dtype(const struct options *o, const struct model *m, int32_t format,
                                  ptq_config *config)
{
    const int32_t dtype = ptq_tensor_dtype(m->embedding.plain);
    if (format != PTQ_FORMAT_COMPRESSED_TENSORS || setting_given(o, PTQ_PARAM_SCALE_DTYPE))
        return PTQ_OK;
    return ptq_config_set_int(config, PTQ_PARAM_SCALE_DTYPE, dtype);
}

/* An empty matrix with the shape, bits and activations that matrix will have. Eight rows, or not a
 * multiple of that, stand for all. */
static ptq_status make_example(ptq_context *context, const ptq_config *config,
                               const struct matrix *matrix, ptq_qtensor **q)
{
    const int64_t n = 8 + matrix->n % 8;
    int64_t bits, group, activations;
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_BITS, &bits));
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_GROUP, &group));
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_ACTIVATIONS, &activations));
    PTQI_TRY(ptq_qtensor_create(context, n, matrix->k, (int32_t)bits, group, q));
    uint8_t *codes = ptqi_alloc_zero(context, n, matrix->k);
    float *scales = ptqi_alloc_zero(context, n * ptq_qtensor_groups(*q), (int64_t)sizeof *scales);
    ptq_status status = codes && scales ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptq_qtensor_set_codes(*q, codes);
    if (!status)
        status = ptq_qtensor_set_scales(*q, scales);
    if (!status)
        status = ptq_qtensor_set_activations(*q, (int32_t)activations);
    ptqi_free(context, codes);
    ptqi_free(context, scales);
    return status;
}

static int divides_all(const struct model *m, int64_t group)
{
    struct matrix matrix;
    for (int i = 0; model_describe_matrix(m, 0, i, &matrix); i++)
        if (group && matrix.k % group)
            return 0;
    return 1;
}

/*
 * A default group that does not divide all rows becomes 64 or 32, if that does. Of the formats,
 * gptq can have a shorter last group, but vLLM 0.32 misreads it, and transformers 5.24 does not
 * load it.
 */
static ptq_status set_group(const struct options *o, const struct model *m, ptq_config *config)
{
    int64_t group;
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_GROUP, &group));
    const int64_t wanted[] = {group, 64, 32};
    for (int i = 0; i < 3 && !setting_given(o, PTQ_PARAM_GROUP); i++)
        if (divides_all(m, wanted[i]))
            return ptq_config_set_int(config, PTQ_PARAM_GROUP, wanted[i]);
    return PTQ_OK;
}

static ptq_status check_shapes(const struct model *m, int32_t format, const ptq_config *config)
{
    struct matrix matrix;
    for (int i = 0; model_describe_matrix(m, 0, i, &matrix); i++) {
        ptq_qtensor *q = NULL;
        ptq_status status = make_example(m->context, config, &matrix, &q);
        if (!status)
            status = ptq_format_can_hold(format, q);
        ptq_qtensor_free(q);
        if (status)
            return ptqi_fail_at(m->context, status, matrix.name);
    }
    return PTQ_OK;
}

static ptq_status check_order(ptq_context *context, int32_t format, const ptq_config *config)
{
    int64_t ordered, fixed;
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_ACT_ORDER, &ordered));
    PTQI_TRY(ptq_config_get_int(config, PTQ_PARAM_STATIC_GROUPS, &fixed));
    if (!ordered || fixed || format == PTQ_FORMAT_GPTQ)
        return PTQ_OK;
    return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                     "the format %s has no act-order; --static-groups keeps its gain",
                     ptq_format_name(format));
}

ptq_status restrict_settings(const struct options *o, const struct model *m, int32_t format,
                             ptq_config *config)
{
    if (format == PTQ_FORMAT_GGUF) /* gguf_configs.c does the rest */
        return check_order(m->context, format, config);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        PTQI_TRY(apply(o, m->context, &rules[i], format, config));
    PTQI_TRY(set_scale_dtype(o, m, format, config));
    PTQI_TRY(check_order(m->context, format, config));
    PTQI_TRY(set_group(o, m, config));
    return check_shapes(m, format, config);
}
