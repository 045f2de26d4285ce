/*
 * ptq_layout: the shape of a packed matrix, before there are data.
 */
#include "linear/layout.h"
#include <stdio.h>
#include <string.h>
#include "config.h"
#include "qtensor.h"

static const struct {
    int32_t id, lowest, highest;
    size_t field;
} parameters[] = {
#define ROW(id, lowest, highest, field)                                                            \
    {                                                                                              \
        id, lowest, highest, offsetof(struct ptqi_shape, field)                                    \
    }
    ROW(PTQ_LAYOUT_ACTIVATIONS, PTQ_ACTIVATIONS_F32, PTQ_ACTIVATIONS_INT8_GROUP, activations),
    ROW(PTQ_LAYOUT_ZEROS, PTQ_ZEROS_NONE, PTQ_ZEROS_MINIMA, zeros),
    ROW(PTQ_LAYOUT_SCALES, PTQ_SCALES_PLAIN, PTQ_SCALES_TWO_LEVEL, scales),
    ROW(PTQ_LAYOUT_SCALE_DTYPE, PTQ_DTYPE_F32, PTQ_DTYPE_F16, scale_dtype),
    ROW(PTQ_LAYOUT_ORDER, 0, 1, order),
    ROW(PTQ_LAYOUT_INPUT_SCALE, 0, 1, input_scale),
    ROW(PTQ_LAYOUT_LEVELS, 0, 1, levels),
    ROW(PTQ_LAYOUT_UNEVEN, 0, 1, uneven),
#undef ROW
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

struct ptq_layout {
    ptq_context *context;
    struct ptqi_shape shape;
};

static ptq_status create(ptq_context *context, const struct ptqi_shape *shape, ptq_layout **layout)
{
    struct ptq_layout *l = ptqi_new_handle(context, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    l->shape = *shape;
    *layout = l;
    return PTQ_OK;
}

ptq_status ptq_layout_create(ptq_context *context, int64_t n, int64_t k, int32_t bits,
                             int64_t group, ptq_layout **layout)
{
    ptq_qtensor *q;
    PTQI_REQUIRE(context, layout);
    *layout = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_TRY(ptq_qtensor_create(context, n, k, bits, group, &q)); /* checks the numbers */
    const struct ptqi_shape shape = ptqi_shape_of(q);
    ptq_qtensor_free(q);
    return create(context, &shape, layout);
}

ptq_status ptq_layout_of(ptq_context *context, const ptq_qtensor *q, ptq_layout **layout)
{
    PTQI_REQUIRE(context, layout);
    *layout = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_REQUIRE(context, q);
    PTQI_TRY(ptqi_qtensor_check(q));
    const struct ptqi_shape shape = ptqi_shape_of(q);
    return create(context, &shape, layout);
}

void ptq_layout_free(ptq_layout *layout)
{
    if (layout)
        ptqi_free_handle(layout->context, layout);
}

/* Returns the field of a parameter and its row in the table; NULL if it is unknown. */
static int32_t *value_of(struct ptqi_shape *shape, int32_t parameter, int *row)
{
    for (*row = 0; *row < PARAMETERS; ++*row)
        if (parameters[*row].id == parameter)
            return (int32_t *)(void *)((char *)shape + parameters[*row].field);
    return NULL;
}

ptq_status ptq_layout_set(ptq_layout *layout, int32_t parameter, int32_t value)
{
    int row;
    PTQI_REQUIRE(NULL, layout);
    int32_t *field = value_of(&layout->shape, parameter, &row);
    if (!field)
        return ptqi_fail(layout->context, PTQ_ERROR_UNKNOWN, "a layout has no parameter %d",
                         parameter);
    if (value < parameters[row].lowest || value > parameters[row].highest)
        return ptqi_fail(layout->context, PTQ_ERROR_BOUNDS,
                         "parameter %d of a layout must be %d .. %d, not %d", parameter,
                         parameters[row].lowest, parameters[row].highest, value);
    if (parameter == PTQ_LAYOUT_ACTIVATIONS && !ptq_activations_name(value))
        return ptqi_fail(layout->context, PTQ_ERROR_BOUNDS, "there is no activation scheme %d",
                         value);
    *field = value;
    return PTQ_OK;
}

ptq_status ptq_layout_get(const ptq_layout *layout, int32_t parameter, int32_t *value)
{
    int row;
    PTQI_REQUIRE(NULL, layout);
    PTQI_REQUIRE(layout->context, value);
    struct ptqi_shape shape = layout->shape;
    const int32_t *field = value_of(&shape, parameter, &row);
    if (!field)
        return ptqi_fail(layout->context, PTQ_ERROR_UNKNOWN, "a layout has no parameter %d",
                         parameter);
    *value = *field;
    return PTQ_OK;
}

static ptq_status contradiction(const struct ptq_layout *layout)
{
    const struct ptqi_shape *s = &layout->shape;
    const int f32 = s->activations == PTQ_ACTIVATIONS_F32;
    const char *problem = NULL;
    if (s->levels && (s->zeros != PTQ_ZEROS_NONE || s->bits > 4))
        problem = "levels are for codes of up to 4 bits without zero points or minima";
    else if (s->scales == PTQ_SCALES_TWO_LEVEL &&
             (f32 || s->bits > 4 || !ptqi_shape_is_plain(s) || s->zeros == PTQ_ZEROS_MINIMA ||
              s->scale_dtype != PTQ_DTYPE_F32))
        problem = "two-level scales are for int8 activations, codes of up to 4 bits, even groups "
                  "and zero points, and have no dtype";
    else if (s->scale_dtype == PTQ_DTYPE_F16 && (f32 || !ptqi_shape_is_plain(s)))
        problem = "f16 scales are for int8 activations and even groups";
    return problem ? ptqi_fail(layout->context, PTQ_ERROR_CONFLICT, "%s", problem) : PTQ_OK;
}

static ptq_status describe(const struct ptq_layout *layout, struct ptqi_packed *header)
{
    PTQI_TRY(contradiction(layout));
    return ptqi_shape_describe(layout->context, &layout->shape, header);
}

int64_t ptq_layout_packed_bytes(const ptq_layout *layout)
{
    struct ptqi_packed header;
    if (!layout) {
        ptqi_fail_null(NULL, __func__, "layout");
        return 0;
    }
    return describe(layout, &header) ? 0 : header.bytes;
}

int64_t ptq_layout_identity(const ptq_layout *layout, char *buffer, int64_t capacity)
{
    struct ptqi_packed h;
    char text[160] = "";
    if (layout && !describe(layout, &h)) {
        const int length =
            snprintf(text, sizeof text,
                     "ptql%u-%lldx%lld-g%lld-b%d-a%d-f%d-s%d-z%d-m%d-o%d-i%d-p%d.%d.%d.%d",
                     PTQI_PACKED_VERSION, (long long)h.n, (long long)h.k,
                     (long long)ptqi_packed_weight_group(&h), h.code_bits, h.activations, h.form,
                     h.scale_bytes, h.has_zeros, h.has_minima, h.has_order, h.has_input_scale,
                     h.layout.rows, h.layout.strip, h.layout.run, h.layout.w8_offset);
        if (h.split) /* groups may also stay whole: layouts with room for uneven ones */
            snprintf(text + length, sizeof text - (size_t)length, "-d%d", h.split);
    }
    return ptqi_copy_out(text, buffer, capacity);
}

/* The header of a matrix like q, but for the number of rows. */
static ptq_status describe_for(const struct ptq_layout *layout, const ptq_qtensor *q,
                               struct ptqi_packed *header)
{
    PTQI_TRY(describe(layout, header));
    PTQI_TRY(ptqi_shape_check_fits(layout->context, &layout->shape, q));
    return ptqi_shape_complete(layout->context, q, header);
}

ptq_status ptq_linear_create_with(const ptq_layout *layout, const ptq_qtensor *q, void *memory,
                                  int64_t bytes, ptq_linear **linear)
{
    struct ptqi_packed header;
    PTQI_REQUIRE(layout ? layout->context : NULL, linear);
    *linear = NULL;
    PTQI_REQUIRE(NULL, layout);
    PTQI_REQUIRE(layout->context, q);
    PTQI_TRY(ptqi_qtensor_check(q));
    PTQI_TRY(describe_for(layout, q, &header));
    PTQI_TRY(
        ptqi_check_between(layout->context, __func__, "N", q->n, layout->shape.n, layout->shape.n));
    PTQI_TRY(ptqi_shape_check_values(layout->context, &layout->shape, q, 0, q->n));
    return ptqi_linear_create(__func__, layout->context, &layout->shape, q, &header, memory, bytes,
                              linear);
}

ptq_status ptq_linear_begin(const ptq_layout *layout, const ptq_qtensor *q, void *memory,
                            int64_t bytes, ptq_linear **linear)
{
    struct ptqi_packed header;
    PTQI_REQUIRE(layout ? layout->context : NULL, linear);
    *linear = NULL;
    PTQI_REQUIRE(NULL, layout);
    PTQI_REQUIRE(layout->context, q);
    PTQI_TRY(describe_for(layout, q, &header));
    if (memory)
        PTQI_TRY(
            ptqi_check_memory(layout->context, __func__, "memory", memory, bytes, header.bytes));
    return ptqi_linear_begin(layout->context, &layout->shape, q, &header, memory, linear);
}
