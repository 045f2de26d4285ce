#include "format/part.h"
#include <stdio.h>
#include <string.h>
#include "base/half.h"
#include "ptq/encoding.h"

struct ptqi_name ptqi_part_name(const char *prefix, const char *ending)
{
    struct ptqi_name name;
    snprintf(name.text, sizeof name.text, "%.480s%s", prefix, ending);
    return name;
}

const struct ptqi_entry *ptqi_part(const ptq_store *store, const char *prefix, const char *ending)
{
    return ptqi_store_find(store, ptqi_part_name(prefix, ending).text);
}

ptq_status ptqi_part_view(const ptq_store *store, const char *prefix, const char *ending,
                          int32_t dtype, int64_t rows, int64_t columns, const void **data)
{
    const int64_t shape[2] = {rows, columns};
    return ptqi_store_view(store, ptqi_part_name(prefix, ending).text, dtype, 2, shape, data);
}

ptq_status ptqi_part_fail(const ptq_store *store, const char *prefix, const char *ending,
                          const char *problem)
{
    return ptqi_fail(store->context, PTQ_ERROR_FORMAT, "%s: %.300s%s: %s", store->path, prefix,
                     ending, problem);
}

ptq_status ptqi_part_put_words(ptq_store *store, const char *prefix, const char *ending,
                               int64_t rows, int64_t columns, const void *words)
{
    const int64_t shape[2] = {rows, columns};
    return ptqi_store_put(store, ptqi_part_name(prefix, ending).text, PTQ_DTYPE_I32, 2, shape,
                          words);
}

ptq_status ptqi_part_put_streams(ptq_context *context, const struct ptqi_streams *s,
                                 const uint8_t *values, int64_t stride_s, int64_t stride_i,
                                 ptq_store *store, const char *prefix, const char *ending)
{
    const int64_t words = ptqi_stream_words(s->length, s->bits);
    uint8_t *out = ptqi_alloc(context, s->count * words, 4);
    ptq_status status =
        out ? ptqi_pack_streams(context, s, values, stride_s, stride_i, out) : PTQ_ERROR_MEMORY;
    if (!status)
        status = ptqi_part_put_words(store, prefix, ending, s->is_column ? words : s->count,
                                     s->is_column ? s->count : words, out);
    ptqi_free(context, out);
    return status;
}

int ptqi_scales_fit(const ptq_qtensor *q, int32_t dtype)
{
    int64_t i = 0;
    while (i < q->n * q->groups && ptqi_round_to(q->scales[i], dtype) == q->scales[i])
        i++;
    return i == q->n * q->groups;
}

ptq_status ptqi_part_put_scales(const ptq_qtensor *q, int32_t dtype, int transposed,
                                ptq_store *store, const char *prefix, const char *ending)
{
    const int64_t shape[2] = {transposed ? q->groups : q->n, transposed ? q->n : q->groups};
    const int64_t count = q->n * q->groups, size = ptq_dtype_size(dtype);
    float *ordered = ptqi_alloc(q->context, count, (int64_t)sizeof *ordered);
    char *stored = ptqi_alloc(q->context, count, size);
    ptq_status status = ordered && stored ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < count && !status; i++)
        ordered[transposed ? i % q->groups * q->n + i / q->groups : i] = q->scales[i];
    if (!status) {
        ptqi_from_f32(stored, dtype, ordered, count);
        status =
            ptqi_store_put(store, ptqi_part_name(prefix, ending).text, dtype, 2, shape, stored);
    }
    ptqi_free(q->context, ordered);
    ptqi_free(q->context, stored);
    return status;
}

/* Zero points of 2^bits, which do not fit the bits of a code. */
static int has_highest_zeros(const ptq_qtensor *q)
{
    int found = 0;
    for (int64_t i = 0; q->zeros && i < q->n * q->groups; i++)
        found |= q->zeros[i] >> (q->bits - 1) > 1;
    return found;
}

const char *ptqi_beyond_weights(const ptq_qtensor *q)
{
    const char *problem = ptqi_beyond_zero_points(q);
    if (!ptqi_activations_are_exact(q->activations))
        return "the format cannot say that activations are quantized";
    if (problem)
        return problem;
    return ptqi_scales_fit(q, PTQ_DTYPE_F16) ? NULL
                                             : "the format needs scales that are exact in f16";
}

const char *ptqi_beyond_zero_points(const ptq_qtensor *q)
{
    if (has_highest_zeros(q))
        return "the format has no zero points beyond the codes";
    if (q->input_scale)
        return "the format has no input scale; it must be folded into the layer before";
    if (q->rotation)
        return "the format has no rotation of the input";
    if (q->minima)
        return "the format has no minima that are not zero points";
    if (q->levels)
        return "the format has no table of levels";
    return NULL;
}

static int is_float(int32_t dtype)
{
    return dtype == PTQ_DTYPE_F32 || dtype == PTQ_DTYPE_F16 || dtype == PTQ_DTYPE_BF16;
}

ptq_status ptqi_part_scales(const ptq_store *store, const char *prefix, const char *ending,
                            int transposed, ptq_qtensor *q)
{
    const struct ptqi_entry *e = ptqi_part(store, prefix, ending);
    const int64_t rows = transposed ? q->groups : q->n, columns = transposed ? q->n : q->groups;
    if (!e)
        return ptqi_part_fail(store, prefix, ending, "is missing");
    if (!is_float(e->dtype))
        return ptqi_part_fail(store, prefix, ending, "is not f32, f16 or bf16");
    if (e->rank != 2 || e->shape[0] != rows || e->shape[1] != columns)
        return ptqi_part_fail(store, prefix, ending, "has the wrong shape");
    const int64_t size = ptq_dtype_size(e->dtype), along = columns * size;
    q->scale_dtype = e->dtype;
    return ptq_qtensor_set_strided_scales(q, e->dtype, e->data, e->bytes, transposed ? size : along,
                                          transposed ? along : size);
}

ptq_status ptqi_part_zeros(ptq_qtensor *q, const uint8_t *zeros)
{
    const int64_t count = q->n * q->groups;
    int64_t i = 0;
    while (i < count && zeros[i] == 1 << (q->bits - 1))
        i++;
    return i == count ? PTQ_OK : ptq_qtensor_set_zeros(q, zeros);
}

ptq_status ptqi_part_group_index(const ptq_store *store, const char *prefix, const char *ending,
                                 ptq_qtensor *q)
{
    const void *data;
    int even = 1;
    PTQI_TRY(ptqi_store_view(store, ptqi_part_name(prefix, ending).text, PTQ_DTYPE_I32, 1, &q->k,
                             &data));
    int32_t *group_of = ptqi_alloc(q->context, q->k, (int64_t)sizeof *group_of);
    if (!group_of)
        return PTQ_ERROR_MEMORY;
    memcpy(group_of, data, (size_t)q->k * sizeof *group_of);
    for (int64_t i = 0; i < q->k; i++)
        even &= group_of[i] == i / q->group_size;
    const ptq_status status = even ? PTQ_OK : ptq_qtensor_set_group_index(q, group_of);
    ptqi_free(q->context, group_of);
    return status;
}
