#include "format/compressed_tensors.h"
#include <string.h>
#include "base/half.h"
#include "format/bits.h"
#include "format/part.h"
#include "format/targets.h"

/* The dtype of scales: that which they come from, else the first that represents them. */
static int32_t scale_dtype(const ptq_qtensor *q)
{
    static const int32_t dtypes[] = {PTQ_DTYPE_F16, PTQ_DTYPE_BF16};
    if (q->scale_dtype && ptqi_scales_fit(q, q->scale_dtype))
        return q->scale_dtype;
    for (int i = 0; i < 2; i++)
        if (ptqi_scales_fit(q, dtypes[i]))
            return dtypes[i];
    return PTQ_DTYPE_F32;
}

/* A part i8 [N][columns] of values less 2^(bits - 1), which are changed. */
static ptq_status put_signed(const ptq_qtensor *q, ptq_store *store, struct ptqi_name name,
                             int64_t columns, uint8_t *values)
{
    const int64_t shape[2] = {q->n, columns};
    for (int64_t i = 0; i < q->n * columns; i++)
        values[i] = (uint8_t)(values[i] - (1 << (q->bits - 1)));
    return ptqi_store_put(store, name.text, PTQ_DTYPE_I8, 2, shape, values);
}

static ptq_status put_shape(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const int64_t shape[2] = {q->n, q->k}, count = 2;
    void *data;
    PTQI_TRY(ptqi_store_put_raw(store, ptqi_part_name(prefix, ".weight_shape").text, "I64", 1,
                                &count, (int64_t)sizeof shape, &data));
    memcpy(data, shape, sizeof shape);
    return PTQ_OK;
}

static ptq_status put_codes(const ptq_qtensor *q, int packed, ptq_store *store, const char *prefix)
{
    uint8_t *codes = ptqi_alloc(q->context, q->n, q->k);
    const struct ptqi_streams s = {.count = q->n, .length = q->k, .bits = q->bits};
    ptq_status status = codes ? ptq_qtensor_codes(q, codes) : PTQ_ERROR_MEMORY;
    if (!status && packed)
        status =
            ptqi_part_put_streams(q->context, &s, codes, q->k, 1, store, prefix, ".weight_packed");
    else if (!status)
        status = put_signed(q, store, ptqi_part_name(prefix, ".weight"), q->k, codes);
    ptqi_free(q->context, codes);
    return !status && packed ? put_shape(q, store, prefix) : status;
}

static ptq_status put_zeros(const ptq_qtensor *q, int packed, ptq_store *store, const char *prefix)
{
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    const struct ptqi_streams s = {
        .count = q->groups, .length = q->n, .bits = q->bits, .is_column = 1};
    ptq_status status = zeros ? ptq_qtensor_zeros(q, zeros) : PTQ_ERROR_MEMORY;
    if (!status && packed)
        status = ptqi_part_put_streams(q->context, &s, zeros, 1, q->groups, store, prefix,
                                       ".weight_zero_point");
    else if (!status)
        status =
            put_signed(q, store, ptqi_part_name(prefix, ".weight_zero_point"), q->groups, zeros);
    ptqi_free(q->context, zeros);
    return status;
}

/* Static activations: their scale in the dtype of the weights' scales, and their zero point. */
static ptq_status put_static(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const int64_t one = 1;
    const int32_t wanted = scale_dtype(q);
    const int exact = ptqi_round_to(q->activation_scale, wanted) == q->activation_scale;
    const int32_t dtype = exact ? wanted : PTQ_DTYPE_F32;
    const int8_t zero = (int8_t)(q->activation_zero - 128);
    uint8_t stored[4];
    ptqi_from_f32(stored, dtype, &q->activation_scale, 1);
    PTQI_TRY(
        ptqi_store_put(store, ptqi_part_name(prefix, ".input_scale").text, dtype, 1, &one, stored));
    if (q->activations == PTQ_ACTIVATIONS_INT8_STATIC || zero == 0)
        return PTQ_OK;
    return ptqi_store_put(store, ptqi_part_name(prefix, ".input_zero_point").text, PTQ_DTYPE_I8, 1,
                          &one, &zero);
}

static ptq_status put_index(const ptq_qtensor *q, const struct ptqi_json *weights, ptq_store *store,
                            const char *prefix)
{
    const char *order = ptqi_json_string(ptqi_json_get(weights, "actorder"));
    if (!order || strcmp(order, "group"))
        return q->order ? ptqi_fail(q->context, PTQ_ERROR_UNSUPPORTED,
                                    "%.300s: the format compressed-tensors has no act-order; "
                                    "quantize with static groups",
                                    prefix)
                        : PTQ_OK;
    int32_t *index = ptqi_alloc(q->context, q->k, (int64_t)sizeof *index);
    ptq_status status = index ? ptq_qtensor_group_index(q, index) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_store_put(store, ptqi_part_name(prefix, ".weight_g_idx").text, PTQ_DTYPE_I32,
                                1, &q->k, index);
    ptqi_free(q->context, index);
    return status;
}

/* Whether the config says that codes are packed. */
static int is_packed(const ptq_store *store, const struct ptqi_json *group)
{
    const char *own = ptqi_json_string(ptqi_json_get(group, "format"));
    const char *common = ptqi_json_string(ptqi_json_get(store->settings, "format"));
    const char *format = own ? own : common;
    return format && !strcmp(format, "pack-quantized");
}

ptq_status ptqi_compressed_write(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const struct ptqi_json *group;
    PTQI_TRY(ptqi_find_target(store, prefix, &group));
    const struct ptqi_json *weights = ptqi_json_get(group, "weights");
    const int packed = is_packed(store, group);
    const int symmetric = ptqi_json_flag(weights, "symmetric", 1);
    if (symmetric && q->zeros)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "%.300s: has zero points, but the quantization config is symmetric",
                         prefix);
    PTQI_TRY(put_index(q, weights, store, prefix));
    PTQI_TRY(put_codes(q, packed, store, prefix));
    PTQI_TRY(ptqi_part_put_scales(q, scale_dtype(q), 0, store, prefix, ".weight_scale"));
    if (!symmetric)
        PTQI_TRY(put_zeros(q, packed, store, prefix));
    return ptqi_activations_are_static(q->activations) ? put_static(q, store, prefix) : PTQ_OK;
}

const char *ptqi_compressed_can_hold(const ptq_qtensor *q)
{
    if (q->k % q->group_size)
        return "the format compressed-tensors needs groups that divide the columns";
    if (q->activations == PTQ_ACTIVATIONS_INT8_TENSOR)
        return "the format compressed-tensors has no scale for all rows of a call";
    if (ptqi_activations_are_static(q->activations) && !(q->activation_scale > 0))
        return "the format compressed-tensors needs the scale of static activations";
    return ptqi_beyond_zero_points(q);
}

static void add_nulls(struct ptqi_json_writer *w)
{
    static const char *const names[] = {"actorder", "block_structure", "observer"};
    for (int i = 0; i < 3; i++)
        ptqi_json_add_null(w, names[i]);
}

static void describe_weights(const ptq_qtensor *q, struct ptqi_json_writer *w)
{
    ptqi_json_open(w, "weights", '{');
    ptqi_json_add_integer(w, "num_bits", q->bits);
    ptqi_json_add_text(w, "type", "int");
    ptqi_json_add_bool(w, "symmetric", !q->zeros);
    ptqi_json_add_text(w, "strategy", q->group ? "group" : "channel");
    if (q->group)
        ptqi_json_add_integer(w, "group_size", q->group);
    else
        ptqi_json_add_null(w, "group_size");
    ptqi_json_add_bool(w, "dynamic", 0);
    add_nulls(w);
    ptqi_json_close(w, '}');
}

static void describe_activations(const ptq_qtensor *q, struct ptqi_json_writer *w)
{
    const int fixed = ptqi_activations_are_static(q->activations);
    const int zero = q->activations == PTQ_ACTIVATIONS_UINT8_TOKEN ||
                     (q->activations == PTQ_ACTIVATIONS_UINT8_STATIC && q->activation_zero != 128);
    ptqi_json_open(w, "input_activations", '{');
    ptqi_json_add_integer(w, "num_bits", 8);
    ptqi_json_add_text(w, "type", "int");
    ptqi_json_add_bool(w, "symmetric", !zero);
    ptqi_json_add_text(w, "strategy", fixed ? "tensor" : "token");
    ptqi_json_add_null(w, "group_size");
    ptqi_json_add_bool(w, "dynamic", !fixed);
    add_nulls(w);
    ptqi_json_close(w, '}');
}

void ptqi_compressed_describe(const ptq_qtensor *q, struct ptqi_json_writer *w)
{
    const int packed = ptqi_activations_are_exact(q->activations);
    const char *format = packed ? "pack-quantized" : "int-quantized";
    ptqi_json_add_text(w, "quant_method", "compressed-tensors");
    ptqi_json_add_text(w, "format", format);
    ptqi_json_add_text(w, "quantization_status", "compressed"); /* else readers ignore scales */
    ptqi_json_open(w, "config_groups", '{');
    ptqi_json_open(w, "group_0", '{');
    ptqi_json_add_text(w, "format", format);
    ptqi_json_open(w, "targets", '[');
    ptqi_json_add_text(w, NULL, "Linear");
    ptqi_json_close(w, ']');
    describe_weights(q, w);
    if (!packed)
        describe_activations(q, w);
    ptqi_json_close(w, '}');
    ptqi_json_close(w, '}');
}
