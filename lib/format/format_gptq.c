/*
 * GPTQ checkpoints, as written by AutoGPTQ and GPTQModel.
 *
 *     <prefix>.qweight   i32 [ceil(K bits / 32)][N]: a column is a bit stream along K
 *     <prefix>.qzeros    i32 [groups][ceil(N bits / 32)]: a row is a bit stream along N
 *     <prefix>.scales    f16 [groups][N]
 *     <prefix>.g_idx     i32 [K], the group of each column; optional
 *
 * checkpoint_format "gptq_v2" stores zero points as they are. "gptq", the default, stores them less
 * one: the writer subtracts from whole words, so a zero point of 0 borrows from the next one, and a
 * reader that adds to whole words gets all of them back.
 */
#include <string.h>
#include "format/bits.h"
#include "format/format.h"
#include "format/part.h"
#include "format/foreign_settings.h"

static const char *const endings[] = {".qweight", ".qzeros", ".scales", ".g_idx", NULL};

static int find(const ptq_store *store, const char *prefix)
{
    const char *method = ptqi_setting_text(store, "quant_method");
    const int named = method ? ptqi_setting_is(store, "quant_method", "gptq")
                             : ptqi_part(store, prefix, ".g_idx") != NULL;
    return named && ptqi_part(store, prefix, ".qweight") && ptqi_part(store, prefix, ".scales");
}

/* What the settings say of all matrices. */
struct settings {
    int64_t bits, group;
    int less_one; /* zero points are stored less one */
    int shifted;  /* 3 bits: what is subtracted has its ones two bits higher, as in GPTQModel */
};

static int made_by_gptqmodel(const ptq_store *store)
{
    const struct ptqi_json *meta = ptqi_json_get(store->settings, "meta");
    const struct ptqi_json *tools = ptqi_json_get(meta, "quantizer");
    const struct ptqi_json *tool = tools && tools->kind == PTQI_JSON_ARRAY ? tools->first : tools;
    const char *name = ptqi_json_string(tool);
    return name && !strncmp(name, "gptqmodel", 9);
}

static ptq_status read_settings(const ptq_store *store, struct settings *s)
{
    const char *format = ptqi_setting_text(store, "checkpoint_format");
    const char *type = ptqi_setting_text(store, "pack_dtype");
    if (!store->settings)
        return ptqi_fail(store->context, PTQ_ERROR_MISSING,
                         "%s: GPTQ matrices need a quantization_config", store->path);
    format = format ? format : "gptq";
    if (strcmp(format, "gptq") && strcmp(format, "gptq_v2"))
        return ptqi_setting_unsupported(store, "checkpoint_format", format);
    if (type && strcmp(type, "int32"))
        return ptqi_setting_unsupported(store, "pack_dtype", type);
    PTQI_TRY(ptqi_setting_refuse(store, store->settings, "dynamic"));
    PTQI_TRY(ptqi_setting_integer(store, "bits", "w_bit", 0, &s->bits));
    PTQI_TRY(ptqi_setting_integer(store, "group_size", "q_group_size", -1, &s->group));
    if (s->bits != 2 && s->bits != 3 && s->bits != 4 && s->bits != 8)
        return ptqi_setting_unsupported(store, "bits", "other than 2, 3, 4 and 8");
    s->group = s->group < 0 ? 0 : s->group;
    s->less_one = !strcmp(format, "gptq");
    s->shifted = s->bits == 3 && made_by_gptqmodel(store);
    return PTQ_OK;
}

/* The codes of all rows of q, and the zero points of all its groups. */
static struct ptqi_streams code_streams(const ptq_qtensor *q)
{
    return (struct ptqi_streams){.count = q->n, .length = q->k, .bits = q->bits, .is_column = 1};
}

static struct ptqi_streams zero_streams(const ptq_qtensor *q)
{
    return (struct ptqi_streams){.count = q->groups, .length = q->n, .bits = q->bits};
}

/* The number of columns: that of g_idx, else as many as fill the words. */
static ptq_status read_columns(const ptq_store *store, const char *prefix, int64_t bits, int64_t *k)
{
    const struct ptqi_entry *codes = ptqi_part(store, prefix, ".qweight");
    const struct ptqi_entry *index = ptqi_part(store, prefix, ".g_idx");
    if (codes->rank != 2 || codes->dtype != PTQ_DTYPE_I32)
        return ptqi_part_fail(store, prefix, ".qweight", "is not i32 with two axes");
    if (index && index->rank != 1)
        return ptqi_part_fail(store, prefix, ".g_idx", "has the wrong shape");
    const int64_t words = ptqi_min(codes->shape[0], PTQI_MAX_COLUMNS);
    *k = index ? index->shape[0] : words * 32 / bits;
    if (*k < 1 || *k > PTQI_MAX_COLUMNS || ptqi_stream_words(*k, bits) != codes->shape[0])
        return ptqi_part_fail(store, prefix, ".qweight", "has the wrong number of rows");
    return PTQ_OK;
}

static ptq_status read_codes(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    const struct ptqi_streams s = code_streams(q);
    const void *data;
    PTQI_TRY(ptqi_part_view(store, prefix, ".qweight", PTQ_DTYPE_I32,
                            ptqi_stream_words(q->k, q->bits), q->n, &data));
    q->codes = ptqi_alloc(q->context, q->n, q->k);
    return q->codes ? ptqi_unpack_streams(q->context, &s, data, q->codes, q->k, 1)
                    : PTQ_ERROR_MEMORY;
}

/* Word i of what v1 subtracts from a row of zero points: a one in each of them. */
static uint32_t one_each(const struct settings *s, int64_t i)
{
    uint32_t word = 0;
    for (int bit = 0; bit < 32; bit++)
        word |= (uint32_t)((32 * i + bit) % s->bits == (s->shifted ? 2 : 0)) << bit;
    return word;
}

/* Adds what v1 subtracts, sign times, to rows [groups][words] of zero points. */
static void shift_zeros(const struct settings *s, uint32_t sign, int64_t groups, int64_t words,
                        uint32_t *rows)
{
    for (int64_t i = 0; i < groups * words && s->less_one; i++)
        rows[i] += sign * one_each(s, i % words);
}

static ptq_status read_zeros(const ptq_store *store, const char *prefix, const struct settings *s,
                             ptq_qtensor *q)
{
    const struct ptqi_streams streams = zero_streams(q);
    const int64_t words = ptqi_stream_words(q->n, q->bits);
    const void *data;
    PTQI_TRY(ptqi_part_view(store, prefix, ".qzeros", PTQ_DTYPE_I32, q->groups, words, &data));
    uint32_t *rows = ptqi_alloc(q->context, q->groups * words, 4);
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    ptq_status status = rows && zeros ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status) {
        memcpy(rows, data, (size_t)(q->groups * words) * 4);
        shift_zeros(s, 1, q->groups, words, rows);
        status = ptqi_unpack_streams(q->context, &streams, rows, zeros, 1, q->groups);
    }
    if (!status)
        status = ptqi_part_zeros(q, zeros);
    ptqi_free(q->context, rows);
    ptqi_free(q->context, zeros);
    return status;
}

static ptq_status read(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **q)
{
    struct settings s;
    int64_t k = 0;
    PTQI_TRY(read_settings(store, &s));
    PTQI_TRY(read_columns(store, prefix, s.bits, &k));
    const int64_t n = ptqi_part(store, prefix, ".qweight")->shape[1];
    PTQI_TRY(ptq_qtensor_create(context, n, k, (int32_t)s.bits, ptqi_group_of(s.group, k), q));
    PTQI_TRY(read_codes(store, prefix, *q));
    PTQI_TRY(ptqi_part_scales(store, prefix, ".scales", 1, *q));
    PTQI_TRY(read_zeros(store, prefix, &s, *q));
    return ptqi_part(store, prefix, ".g_idx") ? ptqi_part_group_index(store, prefix, ".g_idx", *q)
                                              : PTQ_OK;
}

static ptq_status write_codes(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    const struct ptqi_streams s = code_streams(q);
    uint8_t *codes = ptqi_alloc(q->context, q->n, q->k);
    ptq_status status = codes ? ptq_qtensor_codes(q, codes) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_part_put_streams(q->context, &s, codes, q->k, 1, store, prefix, ".qweight");
    ptqi_free(q->context, codes);
    return status;
}

static ptq_status write_zeros(const ptq_qtensor *q, const struct settings *s, ptq_store *store,
                              const char *prefix)
{
    const struct ptqi_streams streams = zero_streams(q);
    const int64_t words = ptqi_stream_words(q->n, q->bits);
    uint32_t *rows = ptqi_alloc(q->context, words * q->groups, 4);
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    ptq_status status = rows && zeros ? ptq_qtensor_zeros(q, zeros) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_pack_streams(q->context, &streams, zeros, 1, q->groups, rows);
    if (!status) {
        shift_zeros(s, (uint32_t)-1, q->groups, words, rows);
        status = ptqi_part_put_words(store, prefix, ".qzeros", q->groups, words, rows);
    }
    ptqi_free(q->context, rows);
    ptqi_free(q->context, zeros);
    return status;
}

static ptq_status write_index(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    int32_t *index = ptqi_alloc(q->context, q->k, (int64_t)sizeof *index);
    ptq_status status = index ? ptq_qtensor_group_index(q, index) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_store_put(store, ptqi_part_name(prefix, ".g_idx").text, PTQ_DTYPE_I32, 1,
                                &q->k, index);
    ptqi_free(q->context, index);
    return status;
}

static ptq_status write(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    struct settings s;
    PTQI_TRY(read_settings(store, &s));
    if (s.bits != q->bits || ptqi_group_of(s.group, q->k) != ptqi_group_of(q->group, q->k))
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "%.300s: bits or group differ from those of the quantization config",
                         prefix);
    PTQI_TRY(write_codes(q, store, prefix));
    PTQI_TRY(write_zeros(q, &s, store, prefix));
    PTQI_TRY(ptqi_part_put_scales(q, PTQ_DTYPE_F16, 1, store, prefix, ".scales"));
    return write_index(q, store, prefix);
}

static const char *can_hold(const ptq_qtensor *q)
{
    if (q->bits == 5 || q->bits == 6)
        return "the format gptq has no codes of 5 or 6 bits";
    return ptqi_beyond_weights(q);
}

/*
 * GPTQModel 7.7 takes "gptq" with zero points only from itself, and misreads zeros of 3 bits there:
 * it takes those that lie across two words for others than its kernels do.
 */
static void describe(const ptq_qtensor *q, struct ptqi_json_writer *w)
{
    ptqi_json_add_text(w, "quant_method", "gptq");
    ptqi_json_add_text(w, "checkpoint_format", q->zeros || q->bits == 3 ? "gptq_v2" : "gptq");
    ptqi_json_add_integer(w, "bits", q->bits);
    ptqi_json_add_integer(w, "group_size", q->group ? q->group : -1);
    ptqi_json_add_bool(w, "sym", !q->zeros);
    ptqi_json_add_bool(w, "desc_act", q->order != NULL);
    ptqi_json_add_bool(w, "lm_head", 0);
    ptqi_json_add_text(w, "pack_dtype", "int32");
}

const struct ptqi_format ptqi_format_gptq = {
    .id = PTQ_FORMAT_GPTQ,
    .name = "gptq",
    .endings = endings,
    .find = find,
    .read = read,
    .write = write,
    .can_hold = can_hold,
    .describe = describe,
};
