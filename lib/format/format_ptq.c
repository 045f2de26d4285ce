/*
 * The library's native, lossless storage format for a quantized matrix.
 *
 *     <prefix>.codes        u8 [n][ceil(k bits / 8)], each row a bit stream, lowest bit first
 *     <prefix>.scales       f16 [n][groups] if every scale is exact in f16, else f32
 *     <prefix>.row_scales   f32 [n], absent if scales are plain
 *     <prefix>.zeros        u8 [n][groups], absent if symmetric
 *     <prefix>.minima       f32 [n][groups], absent if there are none
 *     <prefix>.levels       i8 [2^bits], absent if there are none
 *     <prefix>.g_idx        i32 [k], the groups of columns, only for uneven groups; replaces order
 *     <prefix>.order        i32 [k], absent if it is 0 .. k-1
 *     <prefix>.input_scale  f32 [k], absent if it is 1
 *     <prefix>.super_scales, .super_minima   f32 [n][k / 256], absent if there are none
 *
 * and the metadata key <prefix>: JSON with version, bits, k, group, activations and the errors. The
 * version is the lowest that has all of it: 6 if activations have 16 bits, 5 if there are super
 * scales, 4 if the zero point of activations is fixed in the middle, 3 if activations have a zero
 * point, 2 if there are minima, levels or uneven groups, else 1.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/half.h"
#include "base/json.h"
#include "config.h"
#include "format/bits.h"
#include "format/format.h"
#include "format/part.h"

#define HIGHEST_VERSION 6

static int64_t row_bytes(const ptq_qtensor *q)
{
    return (q->k * q->bits + 7) / 8;
}

static ptq_status write_codes(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    int64_t shape[2] = {q->n, row_bytes(q)};
    uint8_t *packed = ptqi_alloc(q->context, shape[0], shape[1]);
    uint8_t *row = ptqi_alloc(q->context, q->k, 1);
    ptq_status status = packed && row ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t n = 0; n < q->n && !status; n++)
        ptqi_pack_bits(ptqi_qtensor_rows_of_codes(q, n, 1, row, q->k), q->k, q->bits,
                       packed + n * shape[1]);
    if (!status)
        status = ptqi_store_put(store, ptqi_part_name(prefix, ".codes").text, PTQ_DTYPE_U8, 2,
                                shape, packed);
    ptqi_free(q->context, packed);
    ptqi_free(q->context, row);
    return status;
}

/* The dtype that scales are stored in: f16 if that represents all of them. */
static int32_t stored_dtype(const ptq_qtensor *q)
{
    return ptqi_scales_fit(q, PTQ_DTYPE_F16) ? PTQ_DTYPE_F16 : PTQ_DTYPE_F32;
}

static ptq_status write_scales(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    return ptqi_part_put_scales(q, stored_dtype(q), 0, store, prefix, ".scales");
}

/* The lowest that has all that q has. */
static int64_t version_of(const ptq_qtensor *q)
{
    if (q->activations == PTQ_ACTIVATIONS_INT16_TOKEN ||
        q->activations == PTQ_ACTIVATIONS_INT8_GROUP)
        return 6;
    if (q->super_scales)
        return 5;
    if (q->activations == PTQ_ACTIVATIONS_UINT8_CENTERED)
        return 4;
    if (ptqi_activations_have_zero(q->activations))
        return 3;
    return q->minima || q->levels || q->group_of ? 2 : 1;
}

static ptq_status write_settings(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    struct ptqi_json_writer w;
    ptqi_json_begin(&w, q->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_integer(&w, "version", version_of(q));
    ptqi_json_add_integer(&w, "bits", q->bits);
    ptqi_json_add_integer(&w, "k", q->k);
    ptqi_json_add_integer(&w, "group", q->group);
    ptqi_json_add_text(&w, "activations", ptq_activations_name(q->activations));
    if (q->scale_dtype && q->scale_dtype != stored_dtype(q))
        ptqi_json_add_text(&w, "scale_dtype", ptq_dtype_name(q->scale_dtype));
    if (q->rotation)
        ptqi_json_add_integer(&w, "rotation", q->rotation);
    if (q->equalize)
        ptqi_json_add_text(&w, "equalize", ptq_config_choice_name(PTQ_PARAM_EQUALIZE, q->equalize));
    if (q->activation_scale > 0)
        ptqi_json_add_number(&w, "activation_scale", q->activation_scale, 9);
    if (q->activation_zero)
        ptqi_json_add_integer(&w, "activation_zero", q->activation_zero);
    ptqi_json_add_number(&w, "weight_error", q->weight_error, 17);
    ptqi_json_add_number(&w, "output_error", q->output_error, 17);
    ptqi_json_add_number(&w, "damping", q->damping, 17);
    if (q->adjusted_groups)
        ptqi_json_add_integer(&w, "adjusted_groups", q->adjusted_groups);
    if (q->clamped_groups)
        ptqi_json_add_integer(&w, "clamped_groups", q->clamped_groups);
    if (q->chosen_error == q->chosen_error) {
        ptqi_json_add_number(&w, "plain_error", q->plain_error, 17);
        ptqi_json_add_number(&w, "chosen_error", q->chosen_error, 17);
    }
    ptqi_json_close(&w, '}');
    ptq_status status = ptqi_json_finish(&w);
    if (!status)
        status = ptq_store_set_metadata(store, prefix, w.text);
    ptqi_json_end(&w);
    return status;
}

static ptq_status write_super(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const int64_t shape[2] = {q->n, q->k / PTQI_SUPER_COLUMNS};
    if (q->super_scales)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".super_scales").text, PTQ_DTYPE_F32,
                                2, shape, q->super_scales));
    if (q->super_minima)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".super_minima").text, PTQ_DTYPE_F32,
                                2, shape, q->super_minima));
    return PTQ_OK;
}

static ptq_status write(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    int64_t shape[2] = {q->n, q->groups}, levels = 1 << q->bits;
    PTQI_TRY(write_codes(q, store, prefix));
    PTQI_TRY(write_scales(q, store, prefix));
    if (q->row_scales)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".row_scales").text, PTQ_DTYPE_F32, 1,
                                &q->n, q->row_scales));
    if (q->minima)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".minima").text, PTQ_DTYPE_F32, 2,
                                shape, q->minima));
    if (q->levels)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".levels").text, PTQ_DTYPE_I8, 1,
                                &levels, q->levels));
    PTQI_TRY(write_super(q, store, prefix));
    if (q->group_of)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".g_idx").text, PTQ_DTYPE_I32, 1,
                                &q->k, q->group_of));
    if (q->order && !q->group_of)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".order").text, PTQ_DTYPE_I32, 1,
                                &q->k, q->order));
    if (q->input_scale)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".input_scale").text, PTQ_DTYPE_F32,
                                1, &q->k, q->input_scale));
    if (q->zeros)
        PTQI_TRY(ptqi_store_put(store, ptqi_part_name(prefix, ".zeros").text, PTQ_DTYPE_U8, 2,
                                shape, q->zeros));
    return write_settings(q, store, prefix);
}

static ptq_status bad(ptq_context *context, const char *prefix, const char *problem)
{
    return ptqi_fail(context, PTQ_ERROR_FORMAT, "%.300s: %s", prefix, problem);
}

static double number(const struct ptqi_json *root, const char *name)
{
    const struct ptqi_json *value = ptqi_json_get(root, name);
    return value && value->kind == PTQI_JSON_NUMBER ? value->number : (double)NAN;
}

static ptq_status read_rotation(ptq_context *context, const char *prefix,
                                const struct ptqi_json *root, ptq_qtensor *q)
{
    int64_t rotation;
    if (!ptqi_json_integer(ptqi_json_get(root, "rotation"), &rotation) || rotation < 0 ||
        rotation > 128 || ptq_qtensor_set_rotation(q, (int32_t)rotation))
        return bad(context, prefix, "invalid rotation");
    return PTQ_OK;
}

static ptq_status read_activation_zero(ptq_context *context, const char *prefix,
                                       const struct ptqi_json *root, ptq_qtensor *q)
{
    int64_t zero;
    if (!ptqi_json_integer(ptqi_json_get(root, "activation_zero"), &zero) || zero < 0 ||
        zero > 255 || ptq_qtensor_set_activation_zero(q, (int32_t)zero))
        return bad(context, prefix, "invalid activation_zero");
    return PTQ_OK;
}

static int32_t scale_dtype(const char *name)
{
    for (int32_t dtype = PTQ_DTYPE_F32; name && dtype <= PTQ_DTYPE_BF16; dtype++)
        if (!strcmp(name, ptq_dtype_name(dtype)))
            return dtype;
    return 0;
}

/* Creates a qtensor of n rows from the settings, without its parts. */
static ptq_status read_settings(ptq_context *context, const char *prefix, const char *settings,
                                int64_t n, ptq_qtensor **q)
{
    struct ptqi_json_document *document;
    const struct ptqi_json *root;
    int64_t version, bits, k, group;
    int32_t activations;
    PTQI_TRY(
        ptqi_json_parse(context, settings, (int64_t)strlen(settings), prefix, &document, &root));
    ptq_status status = PTQ_OK;
    if (!ptqi_json_integer(ptqi_json_get(root, "version"), &version) || version < 1 ||
        version > HIGHEST_VERSION)
        status = bad(context, prefix, "written by another version of this library");
    else if (!ptqi_json_integer(ptqi_json_get(root, "bits"), &bits) || bits < 2 || bits > 8 ||
             !ptqi_json_integer(ptqi_json_get(root, "k"), &k) ||
             !ptqi_json_integer(ptqi_json_get(root, "group"), &group) ||
             !ptqi_activations_value(ptqi_json_string(ptqi_json_get(root, "activations")),
                                     &activations))
        status = bad(context, prefix, "damaged settings");
    if (!status)
        status = ptq_qtensor_create(context, n, k, (int32_t)bits, group, q);
    if (!status) {
        double damping = number(root, "damping"), scale = number(root, "activation_scale");
        status = ptq_qtensor_set_activations(*q, activations);
        if (!status && scale == scale)
            status = ptq_qtensor_set_activation_scale(*q, (float)scale);
        if (!status && ptqi_json_get(root, "activation_zero"))
            status = read_activation_zero(context, prefix, root, *q);
        if (!status && ptqi_json_get(root, "rotation"))
            status = read_rotation(context, prefix, root, *q);
        (*q)->weight_error = number(root, "weight_error");
        (*q)->output_error = number(root, "output_error");
        int64_t equalize = PTQ_EQUALIZE_NONE;
        ptqi_choice_value(PTQ_PARAM_EQUALIZE, ptqi_json_string(ptqi_json_get(root, "equalize")),
                          &equalize);
        (*q)->equalize = (int32_t)equalize;
        (*q)->scale_dtype = scale_dtype(ptqi_json_string(ptqi_json_get(root, "scale_dtype")));
        (*q)->plain_error = number(root, "plain_error");
        (*q)->chosen_error = number(root, "chosen_error");
        (*q)->damping = damping == damping ? damping : 0;
        ptqi_json_integer(ptqi_json_get(root, "adjusted_groups"), &(*q)->adjusted_groups);
        ptqi_json_integer(ptqi_json_get(root, "clamped_groups"), &(*q)->clamped_groups);
    }
    ptqi_json_free(document);
    return status;
}

static ptq_status read_codes(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    int64_t shape[2] = {q->n, row_bytes(q)};
    const void *packed;
    PTQI_TRY(ptqi_store_view(store, ptqi_part_name(prefix, ".codes").text, PTQ_DTYPE_U8, 2, shape,
                             &packed));
    q->codes = ptqi_alloc(q->context, q->n, q->k);
    if (!q->codes)
        return PTQ_ERROR_MEMORY;
    for (int64_t n = 0; n < q->n; n++)
        ptqi_unpack_bits((const uint8_t *)packed + n * shape[1], q->k, q->bits,
                         q->codes + n * q->k);
    return PTQ_OK;
}

static ptq_status read_scales(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    ptq_tensor *tensor;
    struct ptqi_name name = ptqi_part_name(prefix, ".scales");
    PTQI_TRY(ptq_store_tensor(store, name.text, &tensor));
    int fits = ptq_tensor_rank(tensor) == 2 && ptq_tensor_size(tensor, 0) == q->n &&
               ptq_tensor_size(tensor, 1) == q->groups;
    ptq_status status = fits ? PTQ_OK : bad(q->context, name.text, "has the wrong shape");
    float *scales = ptqi_alloc(q->context, q->n * q->groups, 4);
    if (!scales)
        status = PTQ_ERROR_MEMORY;
    if (!status)
        status = ptq_tensor_to_f32(tensor, scales);
    if (!status)
        status = ptq_qtensor_set_scales(q, scales);
    ptqi_free(q->context, scales);
    ptq_tensor_free(tensor);
    return status;
}

/* Reads an optional part and passes it to its setter, which checks the values. */
#define READ_OPTIONAL(part, dtype, type, rank, shape, count, setter)                               \
    do {                                                                                           \
        struct ptqi_name name_ = ptqi_part_name(prefix, "." part);                                 \
        if (ptq_store_has(store, name_.text)) {                                                    \
            type *values_ = ptqi_alloc(q->context, count, (int64_t)sizeof *values_);               \
            ptq_status status_ = values_ ? PTQ_OK : PTQ_ERROR_MEMORY;                              \
            if (!status_)                                                                          \
                status_ = ptqi_store_get(store, name_.text, dtype, rank, shape, values_);          \
            if (!status_)                                                                          \
                status_ = setter(q, values_);                                                      \
            ptqi_free(q->context, values_);                                                        \
            if (status_)                                                                           \
                return status_;                                                                    \
        }                                                                                          \
    } while (0)

static ptq_status read_super(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    const int64_t shape[2] = {q->n, q->k / PTQI_SUPER_COLUMNS}, count = shape[0] * shape[1];
    const struct ptqi_name name = ptqi_part_name(prefix, ".super_scales");
    if (!ptq_store_has(store, name.text))
        return PTQ_OK;
    float *scales = ptqi_alloc(q->context, 2 * count, (int64_t)sizeof *scales);
    float *minima = q->minima && scales ? scales + count : NULL;
    ptq_status status = scales ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_store_get(store, name.text, PTQ_DTYPE_F32, 2, shape, scales);
    if (!status && minima)
        status = ptqi_store_get(store, ptqi_part_name(prefix, ".super_minima").text, PTQ_DTYPE_F32,
                                2, shape, minima);
    if (!status)
        status = ptq_qtensor_set_super_scales(q, scales, minima);
    ptqi_free(q->context, scales);
    return status;
}

static ptq_status read_parts(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    int64_t shape[2] = {q->n, q->groups}, k = q->k, levels = 1 << q->bits;
    PTQI_TRY(read_codes(store, prefix, q));
    PTQI_TRY(read_scales(store, prefix, q));
    READ_OPTIONAL("zeros", PTQ_DTYPE_U8, uint8_t, 2, shape, q->n * q->groups,
                  ptq_qtensor_set_zeros);
    READ_OPTIONAL("row_scales", PTQ_DTYPE_F32, float, 1, &q->n, q->n, ptq_qtensor_set_row_scales);
    READ_OPTIONAL("minima", PTQ_DTYPE_F32, float, 2, shape, q->n * q->groups,
                  ptq_qtensor_set_minima);
    READ_OPTIONAL("levels", PTQ_DTYPE_I8, int8_t, 1, &levels, levels, ptq_qtensor_set_levels);
    READ_OPTIONAL("g_idx", PTQ_DTYPE_I32, int32_t, 1, &k, k, ptq_qtensor_set_group_index);
    READ_OPTIONAL("order", PTQ_DTYPE_I32, int32_t, 1, &k, k, ptq_qtensor_set_order);
    READ_OPTIONAL("input_scale", PTQ_DTYPE_F32, float, 1, &k, k, ptq_qtensor_set_input_scale);
    return read_super(store, prefix, q);
}

static ptq_status read(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q)
{
    ptq_tensor *codes;
    PTQI_TRY(ptq_store_tensor(store, ptqi_part_name(prefix, ".codes").text, &codes));
    int64_t n = ptq_tensor_size(codes, 0);
    ptq_tensor_free(codes);
    PTQI_TRY(read_settings(context, prefix, ptq_store_metadata(store, prefix), n, q));
    return read_parts(store, prefix, *q);
}

static int find(const ptq_store *store, const char *prefix)
{
    const char *settings = ptq_store_metadata(store, prefix);
    return settings && settings[0] == '{';
}

static const char *can_hold(const ptq_qtensor *q)
{
    (void)q; /* it represents everything */
    return NULL;
}

static const char *const endings[] = {".codes",       ".scales",       ".row_scales",   ".zeros",
                                      ".minima",      ".levels",       ".g_idx",        ".order",
                                      ".input_scale", ".super_scales", ".super_minima", NULL};

const struct ptqi_format ptqi_format_ptq = {
    .id = PTQ_FORMAT_PTQ,
    .name = "ptq",
    .endings = endings,
    .find = find,
    .read = read,
    .write = write,
    .can_hold = can_hold,
};
