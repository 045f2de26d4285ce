/*
 * compressed-tensors checkpoints, as written by llm-compressor: pack-quantized and int-quantized.
 *
 *     <prefix>.weight_packed      i32 [N][words]: a row is a bit stream along K
 *     <prefix>.weight_shape       i64 or i32 [2], N and K
 *     <prefix>.weight             i8 [N][K], instead of both: signed codes
 *     <prefix>.weight_scale       [N][groups], in the model's dtype
 *     <prefix>.weight_zero_point  i32 [ceil(N bits / 32)][groups], a column is a bit stream along
 * N; with .weight, i8 [N][groups], signed <prefix>.weight_g_idx       i32 [K], the group of each
 * column <prefix>.input_scale, .input_zero_point   [1], of static activations
 *
 * Packed values are signed ones plus 2^(bits - 1). Up to version 0.17 of the Python package, a word
 * had floor(32 / bits) codes, which differs from a bit stream for 3, 5, 6 and 7 bits: the number of
 * words tells. Activations are quantized to -128 .. 127 by max |x| / 127.5.
 */
#include <string.h>
#include "format/bits.h"
#include "format/compressed_tensors.h"
#include "format/format.h"
#include "format/part.h"
#include "format/foreign_settings.h"
#include "format/targets.h"

static const char *const endings[] = {".weight_packed",    ".weight",       ".weight_shape",
                                      ".weight_scale",     ".weight_g_idx", ".weight_zero_point",
                                      ".input_zero_point", ".input_scale",  NULL};

static int is_plain_integer(const ptq_store *store, const char *prefix)
{
    const struct ptqi_entry *weight = ptqi_part(store, prefix, ".weight");
    return weight && weight->dtype == PTQ_DTYPE_I8;
}

static int find(const ptq_store *store, const char *prefix)
{
    return ptqi_setting_is(store, "quant_method", "compressed-tensors") &&
           ptqi_part(store, prefix, ".weight_scale") &&
           (ptqi_part(store, prefix, ".weight_packed") || is_plain_integer(store, prefix));
}

/* How the weights of a matrix are quantized. */
struct scheme {
    int64_t bits, group;
    const struct ptqi_json *activations; /* NULL: they are not quantized */
};

static ptq_status unsupported(const ptq_store *store, const char *prefix, const char *what,
                              const char *value)
{
    return ptqi_fail(store->context, PTQ_ERROR_UNSUPPORTED,
                     "%s: %.300s: quantization_config: %s %.60s is not supported", store->path,
                     prefix, what, value ? value : "of this kind");
}

static int is_one_of(const char *text, const char *const *names)
{
    while (*names && strcmp(*names, text))
        names++;
    return *names != NULL;
}

static ptq_status read_weights(const ptq_store *store, const char *prefix,
                               const struct ptqi_json *weights, struct scheme *s)
{
    static const char *const strategies[] = {"tensor", "channel", "group", NULL};
    const char *type = ptqi_json_string(ptqi_json_get(weights, "type"));
    const char *strategy = ptqi_json_string(ptqi_json_get(weights, "strategy"));
    if (type && strcmp(type, "int"))
        return unsupported(store, prefix, "the type", type);
    if (strategy && !is_one_of(strategy, strategies))
        return unsupported(store, prefix, "the strategy", strategy);
    if (!ptqi_json_integer(ptqi_json_get(weights, "num_bits"), &s->bits) || s->bits < 2 ||
        s->bits > 8 || s->bits == 7)
        return unsupported(store, prefix, "num_bits", "other than 2 to 6 and 8");
    if (!ptqi_json_integer(ptqi_json_get(weights, "group_size"), &s->group) || s->group < 0)
        s->group = 0;
    return PTQ_OK;
}

static ptq_status read_scheme(const ptq_store *store, const char *prefix, struct scheme *s)
{
    static const char *const refused[] = {"transform_config", "sparsity_config", "kv_cache_scheme"};
    const struct ptqi_json *group;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        PTQI_TRY(ptqi_setting_refuse(store, store->settings, refused[i]));
    PTQI_TRY(ptqi_find_target(store, prefix, &group));
    const struct ptqi_json *activations = ptqi_json_get(group, "input_activations");
    s->activations = activations && activations->kind == PTQI_JSON_OBJECT ? activations : NULL;
    PTQI_TRY(ptqi_setting_refuse(store, group, "output_activations"));
    return read_weights(store, prefix, ptqi_json_get(group, "weights"), s);
}

/* N and K of packed weights. */
static ptq_status read_shape(const ptq_store *store, const char *prefix, int64_t *n, int64_t *k)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, ".weight_shape");
    const int is_narrow = e && e->dtype == PTQ_DTYPE_I32;
    int32_t narrow[2];
    int64_t wide[2];
    if (!e || e->rank != 1 || e->shape[0] != 2 || !(is_narrow || !strcmp(e->dtype_name, "I64")))
        return ptqi_part_fail(store, prefix, ".weight_shape", "is not two integers");
    memcpy(is_narrow ? (void *)narrow : wide, e->data, (size_t)e->bytes);
    *n = is_narrow ? narrow[0] : wide[0];
    *k = is_narrow ? narrow[1] : wide[1];
    if (*n < 1 || *k < 1 || *k > PTQI_MAX_COLUMNS)
        return ptqi_part_fail(store, prefix, ".weight_shape", "is not possible");
    return PTQ_OK;
}

/* Codes of a row that are not a bit stream: floor(32 / bits) in each word. */
static void unpack_by_word(const uint8_t *from, int64_t k, int bits, uint8_t *codes)
{
    const int per_word = 32 / bits;
    for (int64_t i = 0; i < k; i++) {
        uint32_t word;
        memcpy(&word, from + i / per_word * 4, 4);
        codes[i] = (uint8_t)(word >> (i % per_word * bits) & ((1u << bits) - 1));
    }
}

/* weight_shape may claim any size: codes are allocated once the words for them are there. */
static ptq_status read_packed(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    const struct ptqi_streams s = {.count = q->n, .length = q->k, .bits = q->bits};
    const struct ptqi_entry *e = ptqi_part(store, prefix, ".weight_packed");
    const int64_t per_word = 32 / q->bits, stream = ptqi_stream_words(q->k, q->bits);
    const int64_t words = e->rank == 2 ? e->shape[1] : 0;
    const void *data;
    if (words != stream && words != (q->k + per_word - 1) / per_word)
        return ptqi_part_fail(store, prefix, ".weight_packed", "has the wrong shape");
    PTQI_TRY(ptqi_part_view(store, prefix, ".weight_packed", PTQ_DTYPE_I32, q->n, words, &data));
    q->codes = ptqi_alloc(q->context, q->n, q->k);
    if (!q->codes)
        return PTQ_ERROR_MEMORY;
    if (words == stream)
        return ptqi_unpack_streams(q->context, &s, data, q->codes, q->k, 1);
    for (int64_t n = 0; n < q->n; n++)
        unpack_by_word((const uint8_t *)data + 4 * words * n, q->k, q->bits, q->codes + n * q->k);
    return PTQ_OK;
}

/* codes [count] = signed values plus 2^(bits - 1). */
static ptq_status read_signed(const ptq_store *store, const char *prefix, const char *ending,
                              const ptq_qtensor *q, int64_t columns, uint8_t *codes)
{
    const int32_t middle = 1 << (q->bits - 1);
    const void *data;
    PTQI_TRY(ptqi_part_view(store, prefix, ending, PTQ_DTYPE_I8, q->n, columns, &data));
    for (int64_t i = 0; i < q->n * columns; i++) {
        const int32_t value = ((const int8_t *)data)[i];
        if (value < -middle || value >= middle)
            return ptqi_part_fail(store, prefix, ending, "has values beyond num_bits");
        codes[i] = (uint8_t)(value + middle);
    }
    return PTQ_OK;
}

/* zeros [N][groups] from a part whose columns are bit streams. */
static ptq_status read_packed_zeros(const ptq_store *store, const char *prefix,
                                    const ptq_qtensor *q, uint8_t *zeros)
{
    const struct ptqi_streams s = {
        .count = q->groups, .length = q->n, .bits = q->bits, .is_column = 1};
    const void *data;
    PTQI_TRY(ptqi_part_view(store, prefix, ".weight_zero_point", PTQ_DTYPE_I32,
                            ptqi_stream_words(q->n, q->bits), q->groups, &data));
    return ptqi_unpack_streams(q->context, &s, data, zeros, 1, q->groups);
}

static ptq_status read_plain(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    q->codes = ptqi_alloc(q->context, q->n, q->k);
    return q->codes ? read_signed(store, prefix, ".weight", q, q->k, q->codes) : PTQ_ERROR_MEMORY;
}

static ptq_status read_zeros(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, ".weight_zero_point");
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    ptq_status status = zeros ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = e->dtype == PTQ_DTYPE_I8
                     ? read_signed(store, prefix, ".weight_zero_point", q, q->groups, zeros)
                     : read_packed_zeros(store, prefix, q, zeros);
    if (!status)
        status = ptqi_part_zeros(q, zeros);
    ptqi_free(q->context, zeros);
    return status;
}

/* A single number of a float or i8 dtype. */
static ptq_status read_number(const ptq_store *store, const char *prefix, const char *ending,
                              float *value)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, ending);
    int8_t integer;
    if (!e || ptq_dtype_size(e->dtype) != e->bytes)
        return ptqi_part_fail(store, prefix, ending, "is not one number");
    if (e->dtype == PTQ_DTYPE_I8) {
        memcpy(&integer, e->data, 1);
        *value = integer;
        return PTQ_OK;
    }
    if (e->dtype != PTQ_DTYPE_F32 && e->dtype != PTQ_DTYPE_F16 && e->dtype != PTQ_DTYPE_BF16)
        return ptqi_part_fail(store, prefix, ending, "is not one number");
    uint8_t copy[4];
    memcpy(copy, e->data, (size_t)e->bytes);
    ptqi_to_f32(value, copy, e->dtype, 1);
    return PTQ_OK;
}

/* Static activations are uint8 with a zero point: that of a symmetric scheme is 128. */
static ptq_status read_static(const ptq_store *store, const char *prefix, int symmetric,
                              ptq_qtensor *q)
{
    float scale, zero = 0;
    PTQI_TRY(read_number(store, prefix, ".input_scale", &scale));
    if (!symmetric)
        PTQI_TRY(read_number(store, prefix, ".input_zero_point", &zero));
    PTQI_TRY(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_UINT8_STATIC));
    PTQI_TRY(ptq_qtensor_set_activation_scale(q, scale));
    if (!(zero >= -128 && zero <= 127) || zero != (float)(int32_t)zero)
        return ptqi_part_fail(store, prefix, ".input_zero_point", "is not an integer of 8 bits");
    return ptq_qtensor_set_activation_zero(q, (int32_t)zero + 128);
}

static ptq_status read_activations(const ptq_store *store, const char *prefix,
                                   const struct ptqi_json *a, ptq_qtensor *q)
{
    const char *type = ptqi_json_string(ptqi_json_get(a, "type"));
    const char *strategy = ptqi_json_string(ptqi_json_get(a, "strategy"));
    const int symmetric = ptqi_json_flag(a, "symmetric", 1);
    const int dynamic = ptqi_json_flag(a, "dynamic", 0);
    int64_t bits = 0;
    if (type && strcmp(type, "int"))
        return unsupported(store, prefix, "activations of the type", type);
    if (!ptqi_json_integer(ptqi_json_get(a, "num_bits"), &bits) || bits != 8)
        return unsupported(store, prefix, "num_bits of activations", "other than 8");
    if (!strategy || strcmp(strategy, dynamic ? "token" : "tensor"))
        return unsupported(store, prefix, "the strategy of activations", strategy);
    if (!dynamic)
        return read_static(store, prefix, symmetric, q);
    return ptq_qtensor_set_activations(q, symmetric ? PTQ_ACTIVATIONS_UINT8_CENTERED
                                                    : PTQ_ACTIVATIONS_UINT8_TOKEN);
}

static ptq_status read_parts(const ptq_store *store, const char *prefix, const struct scheme *s,
                             ptq_qtensor *q)
{
    PTQI_TRY(ptqi_part(store, prefix, ".weight_packed") ? read_packed(store, prefix, q)
                                                        : read_plain(store, prefix, q));
    PTQI_TRY(ptqi_part_scales(store, prefix, ".weight_scale", 0, q));
    if (ptqi_part(store, prefix, ".weight_zero_point"))
        PTQI_TRY(read_zeros(store, prefix, q));
    if (ptqi_part(store, prefix, ".weight_g_idx"))
        PTQI_TRY(ptqi_part_group_index(store, prefix, ".weight_g_idx", q));
    return s->activations ? read_activations(store, prefix, s->activations, q) : PTQ_OK;
}

static ptq_status read(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q)
{
    const struct ptqi_entry *plain = ptqi_part(store, prefix, ".weight");
    struct scheme s;
    int64_t n = 0, k = 0;
    PTQI_TRY(read_scheme(store, prefix, &s));
    if (ptqi_part(store, prefix, ".weight_packed")) {
        PTQI_TRY(read_shape(store, prefix, &n, &k));
    } else if (plain->rank == 2) {
        n = plain->shape[0];
        k = plain->shape[1];
    }
    PTQI_TRY(ptq_qtensor_create(context, n, k, (int32_t)s.bits, ptqi_group_of(s.group, k), q));
    return read_parts(store, prefix, &s, *q);
}

const struct ptqi_format ptqi_format_compressed_tensors = {
    .id = PTQ_FORMAT_COMPRESSED_TENSORS,
    .name = "compressed-tensors",
    .endings = endings,
    .find = find,
    .read = read,
    .write = ptqi_compressed_write,
    .can_hold = ptqi_compressed_can_hold,
    .describe = ptqi_compressed_describe,
};
