/*
 * AWQ checkpoints in the layout "gemm", as written by AutoAWQ and GPTQModel. 4 bits.
 *
 *     <prefix>.qweight   i32 [K][N / 8]
 *     <prefix>.qzeros    i32 [groups][N / 8], as they are
 *     <prefix>.scales    f16 [groups][N]
 *
 * Nibble i of word c belongs to output 8 c + outputs[i].
 */
#include <string.h>
#include "format/format.h"
#include "format/part.h"
#include "format/foreign_settings.h"

#define PER_WORD 8

static const int outputs[PER_WORD] = {0, 2, 4, 6, 1, 3, 5, 7};
static const char *const endings[] = {".qweight", ".qzeros", ".scales", NULL};

static int find(const ptq_store *store, const char *prefix)
{
    return ptqi_setting_is(store, "quant_method", "awq") && ptqi_part(store, prefix, ".qweight") &&
           ptqi_part(store, prefix, ".scales");
}

static ptq_status read_settings(const ptq_store *store, int64_t *group)
{
    const char *version = ptqi_setting_text(store, "version");
    const char *format = ptqi_setting_text(store, "checkpoint_format");
    int64_t bits;
    if (version && !ptqi_setting_is(store, "version", "gemm"))
        return ptqi_setting_unsupported(store, "version", version);
    if (format && !ptqi_setting_is(store, "checkpoint_format", "gemm"))
        return ptqi_setting_unsupported(store, "checkpoint_format", format);
    PTQI_TRY(ptqi_setting_refuse(store, store->settings, "dynamic"));
    PTQI_TRY(ptqi_setting_integer(store, "bits", "w_bit", 4, &bits));
    PTQI_TRY(ptqi_setting_integer(store, "group_size", "q_group_size", 128, group));
    *group = *group < 0 ? 0 : *group;
    return bits == 4 ? PTQ_OK : ptqi_setting_unsupported(store, "bits", "other than 4");
}

/* out [8 rows][stride], one column of it: the nibbles of a word. */
static void unpack(const uint8_t *from, int64_t stride, uint8_t *out)
{
    uint32_t word;
    memcpy(&word, from, 4);
    for (int i = 0; i < PER_WORD; i++)
        out[outputs[i] * stride] = (uint8_t)(word >> (4 * i) & 15);
}

/* out [N][columns] = a part [columns][N / 8]. */
static ptq_status read_nibbles(const ptq_store *store, const char *prefix, const char *ending,
                               int64_t n, int64_t columns, uint8_t *out)
{
    const int64_t words = n / PER_WORD;
    const void *data;
    PTQI_TRY(ptqi_part_view(store, prefix, ending, PTQ_DTYPE_I32, columns, words, &data));
    for (int64_t c = 0; c < words; c++)
        for (int64_t i = 0; i < columns; i++)
            unpack((const uint8_t *)data + 4 * (i * words + c), columns,
                   out + PER_WORD * c * columns + i);
    return PTQ_OK;
}

static ptq_status read_zeros(const ptq_store *store, const char *prefix, ptq_qtensor *q)
{
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    ptq_status status = zeros ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = read_nibbles(store, prefix, ".qzeros", q->n, q->groups, zeros);
    if (!status)
        status = ptqi_part_zeros(q, zeros);
    ptqi_free(q->context, zeros);
    return status;
}

static ptq_status read(ptq_context *context, const ptq_store *store, const char *prefix,
                       ptq_qtensor **out)
{
    const struct ptqi_entry *codes = ptqi_part(store, prefix, ".qweight");
    int64_t group, n;
    PTQI_TRY(read_settings(store, &group));
    if (codes->rank != 2 || codes->dtype != PTQ_DTYPE_I32 ||
        !ptqi_multiply(codes->shape[1], PER_WORD, &n))
        return ptqi_part_fail(store, prefix, ".qweight", "is not i32 with two axes");
    const int64_t k = codes->shape[0];
    PTQI_TRY(ptq_qtensor_create(context, n, k, 4, ptqi_group_of(group, k), out));
    ptq_qtensor *q = *out;
    q->codes = ptqi_alloc(context, n, k);
    if (!q->codes)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(read_nibbles(store, prefix, ".qweight", n, k, q->codes));
    PTQI_TRY(ptqi_part_scales(store, prefix, ".scales", 1, q));
    return ptqi_part(store, prefix, ".qzeros") ? read_zeros(store, prefix, q) : PTQ_OK;
}

/* A part [columns][N / 8] from values [N][columns]. */
static ptq_status write_nibbles(const ptq_qtensor *q, ptq_store *store, const char *prefix,
                                const char *ending, int64_t columns, const uint8_t *values)
{
    const int64_t words = q->n / PER_WORD;
    uint32_t *out = ptqi_alloc_zero(q->context, columns * words, 4);
    if (!out)
        return PTQ_ERROR_MEMORY;
    for (int64_t c = 0; c < words; c++)
        for (int64_t i = 0; i < columns; i++)
            for (int j = 0; j < PER_WORD; j++)
                out[i * words + c] |= (uint32_t)values[(PER_WORD * c + outputs[j]) * columns + i]
                                      << (4 * j);
    const ptq_status status = ptqi_part_put_words(store, prefix, ending, columns, words, out);
    ptqi_free(q->context, out);
    return status;
}

static ptq_status write(const ptq_qtensor *q, ptq_store *store, const char *prefix)
{
    int64_t group;
    PTQI_TRY(read_settings(store, &group));
    if (ptqi_group_of(group, q->k) != ptqi_group_of(q->group, q->k))
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "%.300s: the group differs from that of the quantization config", prefix);
    uint8_t *codes = ptqi_alloc(q->context, q->n, q->k);
    uint8_t *zeros = ptqi_alloc(q->context, q->n, q->groups);
    ptq_status status = codes && zeros ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptq_qtensor_codes(q, codes);
    if (!status)
        status = write_nibbles(q, store, prefix, ".qweight", q->k, codes);
    if (!status)
        status = ptq_qtensor_zeros(q, zeros);
    if (!status)
        status = write_nibbles(q, store, prefix, ".qzeros", q->groups, zeros);
    if (!status)
        status = ptqi_part_put_scales(q, PTQ_DTYPE_F16, 1, store, prefix, ".scales");
    ptqi_free(q->context, codes);
    ptqi_free(q->context, zeros);
    return status;
}

static const char *can_hold(const ptq_qtensor *q)
{
    if (q->bits != 4)
        return "the format awq has only codes of 4 bits";
    if (q->order)
        return "the format awq has no act-order";
    if (q->k % q->group_size)
        return "the format awq needs groups that divide the columns";
    if (q->n % PER_WORD)
        return "the format awq needs a multiple of 8 rows";
    return ptqi_beyond_weights(q);
}

static void describe(const ptq_qtensor *q, struct ptqi_json_writer *w)
{
    ptqi_json_add_text(w, "quant_method", "awq");
    ptqi_json_add_text(w, "version", "gemm");
    ptqi_json_add_integer(w, "bits", 4);
    ptqi_json_add_integer(w, "group_size", q->group ? q->group : -1);
    ptqi_json_add_bool(w, "zero_point",
                       1); /* qzeros are always there; readers must not skip them */
}

const struct ptqi_format ptqi_format_awq = {
    .id = PTQ_FORMAT_AWQ,
    .name = "awq",
    .endings = endings,
    .find = find,
    .read = read,
    .write = write,
    .can_hold = can_hold,
    .describe = describe,
};
