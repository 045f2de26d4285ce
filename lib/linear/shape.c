/*
 * What a packed matrix must have room for: from a quantized matrix or from a layout, to the header.
 */
#include <string.h>
#include "base/half.h"
#include "linear/layout.h"
#include "qtensor.h"

int ptqi_scales_fit_half(const struct ptq_qtensor *q, int64_t first, int64_t rows)
{
    const float *scales = q->scales + first * q->groups;
    for (int64_t i = 0; i < rows * q->groups; i++)
        if (ptqi_bits(ptqi_f16_to_f32(ptqi_f32_to_f16(scales[i]))) != ptqi_bits(scales[i]))
            return 0;
    return 1;
}

static int32_t zeros_of(const struct ptq_qtensor *q)
{
    return q->minima ? PTQ_ZEROS_MINIMA : q->zeros ? PTQ_ZEROS_INTEGER : PTQ_ZEROS_NONE;
}

struct ptqi_shape ptqi_shape_of(const struct ptq_qtensor *q)
{
    const int integer = q->activations != PTQ_ACTIVATIONS_F32;
    struct ptqi_shape s = {.n = q->n,
                           .k = q->k,
                           .group_size = q->group_size,
                           .bits = q->bits,
                           .activations = q->activations,
                           .zeros = zeros_of(q),
                           .scales = PTQ_SCALES_PLAIN,
                           .scale_dtype = PTQ_DTYPE_F32,
                           .order = integer && q->order,
                           .input_scale = q->input_scale != NULL,
                           .levels = q->levels != NULL,
                           .uneven = q->group_of != NULL};
    if (integer && q->row_scales)
        s.scales = PTQ_SCALES_TWO_LEVEL;
    else if (integer && q->scales && ptqi_shape_is_plain(&s) && ptqi_scales_fit_half(q, 0, q->n))
        s.scale_dtype = PTQ_DTYPE_F16;
    return s;
}

int ptqi_shape_is_plain(const struct ptqi_shape *s)
{
    if (s->zeros == PTQ_ZEROS_MINIMA && !ptqi_activations_add_minima_last(s->activations))
        return 0;
    return !s->levels && !s->uneven && !ptqi_activations_have_zero(s->activations) &&
           ptqi_is_plain_group(s->group_size, s->k);
}

static int32_t form_of(const struct ptqi_shape *s)
{
    if (s->activations != PTQ_ACTIVATIONS_F32)
        return ptqi_shape_is_plain(s) ? PTQI_FORM_PANELS : PTQI_FORM_GENERAL;
    return s->zeros == PTQ_ZEROS_MINIMA || s->levels ? PTQI_FORM_DENSE : PTQI_FORM_WORDS;
}

/* Activations by group may need smaller groups than the weights have. */
static void split_groups(const struct ptqi_shape *s, struct ptqi_packed *h)
{
    if (s->activations != PTQ_ACTIVATIONS_INT8_GROUP || s->uneven)
        return;
    h->group_size = ptqi_activation_group(s->group_size, s->k);
    if (h->group_size < s->group_size)
        h->split = (int32_t)((s->group_size + h->group_size - 1) / h->group_size);
}

static int needs_plain_scales(int32_t activations)
{
    return ptqi_activations_have_zero(activations) || activations == PTQ_ACTIVATIONS_INT8_GROUP;
}

ptq_status ptqi_shape_describe(ptq_context *context, const struct ptqi_shape *s,
                               struct ptqi_packed *h)
{
    const int integer = s->activations != PTQ_ACTIVATIONS_F32;
    const int32_t code_bits = s->bits > 4 ? 8 : 4, form = form_of(s);
    *h = (struct ptqi_packed){.n = s->n,
                              .k = s->k,
                              .group_size = s->group_size,
                              .activations = s->activations,
                              .activation_scale = ptqi_activations_are_static(s->activations),
                              .code_bits = code_bits,
                              .scale_bytes = s->scales == PTQ_SCALES_TWO_LEVEL ? 1
                                             : s->scale_dtype == PTQ_DTYPE_F16 ? 2
                                                                               : 4,
                              .zero = 1 << (s->bits - 1),
                              .has_zeros = s->zeros == PTQ_ZEROS_INTEGER,
                              .form = form,
                              .has_minima = s->zeros == PTQ_ZEROS_MINIMA,
                              .has_levels = s->levels,
                              .has_input_scale = s->input_scale,
                              .has_order = integer && s->order,
                              .layout = ptqi_packed_layout(context->kernels, form, code_bits)};
    split_groups(s, h);
    if (s->scales == PTQ_SCALES_TWO_LEVEL && needs_plain_scales(s->activations))
        return ptqi_fail(context, PTQ_ERROR_CONFLICT,
                         "two-level scales cannot be combined with activations of %s",
                         ptq_activations_name(s->activations));
    PTQI_TRY(ptqi_packed_check_sums(context, h));
    if (form == PTQI_FORM_GENERAL)
        PTQI_TRY(
            ptqi_check_sums(context, s->activations, 1 << 8, s->uneven ? s->k : h->group_size));
    h->bytes = ptqi_packed_size(h);
    if (!h->bytes)
        return ptqi_fail(context, PTQ_ERROR_SHAPE, "a matrix of %lld rows is too large to pack",
                         (long long)s->n);
    return PTQ_OK;
}

ptq_status ptqi_shape_complete(ptq_context *context, const struct ptq_qtensor *q,
                               struct ptqi_packed *h)
{
    h->rotation = q->rotation;
    if (q->levels)
        memcpy(h->levels, q->levels, (size_t)1 << q->bits);
    if (!ptqi_activations_are_static(h->activations))
        return PTQ_OK;
    if (!(q->activation_scale > 0))
        return ptqi_fail(context, PTQ_ERROR_MISSING, "static activations need a scale");
    h->activation_scale = q->activation_scale;
    if (h->activations == PTQ_ACTIVATIONS_UINT8_STATIC)
        h->activation_zero = q->activation_zero;
    return PTQ_OK;
}

static ptq_status misfit(ptq_context *context, const char *what)
{
    return what ? ptqi_fail(context, PTQ_ERROR_CONFLICT, "the matrix does not fit its layout in %s",
                            what)
                : PTQ_OK;
}

ptq_status ptqi_shape_check_fits(ptq_context *context, const struct ptqi_shape *s,
                                 const struct ptq_qtensor *q)
{
    const char *what = NULL;
    const int32_t zeros = zeros_of(q);
    if (q->k != s->k || q->bits != s->bits || q->group_size != s->group_size)
        what = "columns, bits or group";
    else if (q->activations != s->activations)
        what = "activations";
    else if ((q->levels != NULL) != s->levels || (q->group_of && !s->uneven))
        what = "levels or uneven groups";
    else if ((zeros != PTQ_ZEROS_NONE || s->zeros == PTQ_ZEROS_MINIMA) && zeros != s->zeros)
        what = "zero points or minima";
    else if (q->order && !s->order && s->activations != PTQ_ACTIVATIONS_F32)
        what = "a column order";
    else if (q->input_scale && !s->input_scale)
        what = "an input scale";
    return misfit(context, what);
}

ptq_status ptqi_shape_check_values(ptq_context *context, const struct ptqi_shape *s,
                                   const struct ptq_qtensor *q, int64_t first, int64_t rows)
{
    const char *what = NULL;
    if (s->scales == PTQ_SCALES_TWO_LEVEL && !q->row_scales)
        what = "two-level scales";
    else if (s->scale_dtype == PTQ_DTYPE_F16 && !ptqi_scales_fit_half(q, first, rows))
        what = "scales that f16 holds exactly";
    return misfit(context, what);
}
