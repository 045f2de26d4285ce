/*
 * Saving and loading calibration statistics.
 */
#include <string.h>
#include "stats.h"
#include "store/store.h"
#include "tensor.h"

/*
 * The file: f32 tensors minimum, maximum [k]; sum_abs [k][2], doubles as i32 halves; hessian and
 * mismatch [k][k]; sample and extremes [rows][k]; and a tensor counts, i32 [10]: format, flags,
 * then rows, the bits of total_weight, stride and sampled, each as low and high half.
 */
enum { COUNTS = 10 };

static void put64(int32_t *out, const void *value)
{
    uint64_t u;
    memcpy(&u, value, 8);
    out[0] = (int32_t)(uint32_t)u;
    out[1] = (int32_t)(uint32_t)(u >> 32);
}

static void get64(const int32_t *in, void *value)
{
    uint64_t u = (uint32_t)in[0] | (uint64_t)(uint32_t)in[1] << 32;
    memcpy(value, &u, 8);
}

static ptq_status save(const ptq_stats *s, const char *path)
{
    ptq_store *store;
    int32_t counts[COUNTS] = {1, s->flags};
    put64(counts + 2, &s->rows);
    put64(counts + 4, &s->total_weight);
    put64(counts + 6, &s->stride);
    put64(counts + 8, &s->sampled);
    if (!s->stride)
        return ptqi_stats_fail_own_sample(s);
    PTQI_TRY(ptq_store_create(s->context, path, &store));
    int64_t k = s->k, pairs[2] = {k, 2}, square[2] = {k, k}, rows[2] = {s->sampled, k}, n = COUNTS;
    ptq_status status = ptqi_store_put(store, "counts", PTQ_DTYPE_I32, 1, &n, counts);
    if (!status)
        status = ptqi_store_put(store, "minimum", PTQ_DTYPE_F32, 1, &k, s->minimum);
    if (!status)
        status = ptqi_store_put(store, "maximum", PTQ_DTYPE_F32, 1, &k, s->maximum);
    if (!status)
        status = ptqi_store_put(store, "sum_abs", PTQ_DTYPE_I32, 2, pairs, s->sum_abs);
    if (!status && s->hessian)
        status = ptqi_store_put(store, "hessian", PTQ_DTYPE_F32, 2, square, s->hessian);
    if (!status && s->mismatch)
        status = ptqi_store_put(store, "mismatch", PTQ_DTYPE_F32, 2, square, s->mismatch);
    if (!status && s->sample)
        status = ptqi_store_put(store, "sample", PTQ_DTYPE_F32, 2, rows, s->sample);
    int64_t extremes[2] = {s->extreme_count, k};
    if (!status && s->extreme_count)
        status = ptqi_store_put(store, "extremes", PTQ_DTYPE_F32, 2, extremes, s->extremes);
    if (!status)
        status = ptq_store_commit(store);
    ptq_store_free(store);
    return status;
}

ptq_status ptq_stats_save(const ptq_stats *stats, const char *path)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, path);
    return save(stats, path);
}

static ptq_status read_counts(const ptq_store *store, struct ptq_stats *head)
{
    int32_t counts[COUNTS];
    ptq_tensor *minimum;
    int64_t n = COUNTS;
    PTQI_TRY(ptqi_store_get(store, "counts", PTQ_DTYPE_I32, 1, &n, counts));
    PTQI_TRY(ptq_store_tensor(store, "minimum", &minimum));
    head->k = ptq_tensor_size(minimum, 0);
    ptq_tensor_free(minimum);
    head->flags = counts[1];
    get64(counts + 2, &head->rows);
    get64(counts + 4, &head->total_weight);
    get64(counts + 6, &head->stride);
    get64(counts + 8, &head->sampled);
    /* The bounds leave room for further counting. A stride that large has kept at most one
     * row. */
    int power = head->stride > 0 && (head->stride & (head->stride - 1)) == 0;
    int64_t max_sampled =
        head->stride > 0 ? head->rows / head->stride + (head->rows % head->stride != 0) : 0;
    if (counts[0] != 1 || head->rows < 0 || head->rows > PTQI_MAX_ROWS || !power ||
        head->stride > PTQI_MAX_ROWS || !(head->total_weight >= 0) ||
        head->total_weight - head->total_weight != 0 || head->sampled < 0 ||
        head->sampled > PTQI_SAMPLE_ROWS || head->sampled > max_sampled ||
        (head->sampled && !(head->flags & PTQ_STATS_SAMPLE)))
        return ptqi_fail(head->context, PTQ_ERROR_FORMAT, "not statistics of this library");
    /* Check that the largest part exists before allocating memory of its size. */
    const void *unused;
    int64_t square[2] = {head->k, head->k};
    if (head->flags & PTQ_STATS_HESSIAN)
        PTQI_TRY(ptqi_store_view(store, "hessian", PTQ_DTYPE_F32, 2, square, &unused));
    if (head->flags & PTQ_STATS_MISMATCH)
        PTQI_TRY(ptqi_store_view(store, "mismatch", PTQ_DTYPE_F32, 2, square, &unused));
    return PTQ_OK;
}

static ptq_status read_parts(const ptq_store *store, struct ptq_stats *s)
{
    int64_t k = s->k, pairs[2] = {k, 2}, square[2] = {k, k}, rows[2] = {s->sampled, k};
    PTQI_TRY(ptqi_store_get(store, "minimum", PTQ_DTYPE_F32, 1, &k, s->minimum));
    PTQI_TRY(ptqi_store_get(store, "maximum", PTQ_DTYPE_F32, 1, &k, s->maximum));
    PTQI_TRY(ptqi_store_get(store, "sum_abs", PTQ_DTYPE_I32, 2, pairs, s->sum_abs));
    if (s->hessian)
        PTQI_TRY(ptqi_store_get(store, "hessian", PTQ_DTYPE_F32, 2, square, s->hessian));
    if (s->mismatch)
        PTQI_TRY(ptqi_store_get(store, "mismatch", PTQ_DTYPE_F32, 2, square, s->mismatch));
    if (s->sample)
        PTQI_TRY(ptqi_store_get(store, "sample", PTQ_DTYPE_F32, 2, rows, s->sample));
    for (int64_t c = 0; c < k; c++)
        if (!(s->sum_abs[c] >= 0) || s->sum_abs[c] - s->sum_abs[c] != 0 ||
            !(s->minimum[c] <= s->maximum[c]) || s->minimum[c] - s->minimum[c] != 0 ||
            s->maximum[c] - s->maximum[c] != 0)
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "invalid ranges for channel %lld",
                             (long long)c);
    if (s->hessian)
        PTQI_TRY(ptqi_check_finite(s->context, "hessian", s->hessian, PTQ_DTYPE_F32, k, k, k));
    if (s->mismatch)
        PTQI_TRY(ptqi_check_finite(s->context, "mismatch", s->mismatch, PTQ_DTYPE_F32, k, k, k));
    if (s->sample)
        PTQI_TRY(
            ptqi_check_finite(s->context, "sample", s->sample, PTQ_DTYPE_F32, s->sampled, k, k));
    return PTQ_OK;
}

/* Rows with the largest values, if the file has them. */
static ptq_status read_extremes(const ptq_store *store, struct ptq_stats *s)
{
    ptq_tensor *tensor;
    if (!s->sample || !ptq_store_has(store, "extremes"))
        return PTQ_OK;
    PTQI_TRY(ptq_store_tensor(store, "extremes", &tensor));
    const int64_t count = ptq_tensor_size(tensor, 0);
    ptq_status status = PTQ_OK;
    if (ptq_tensor_dtype(tensor) != PTQ_DTYPE_F32 || ptq_tensor_rank(tensor) != 2 ||
        ptq_tensor_size(tensor, 1) != s->k || count > PTQI_EXTREME_ROWS)
        status = ptqi_fail(s->context, PTQ_ERROR_FORMAT, "invalid extreme rows");
    const float *rows = ptq_tensor_data(tensor);
    if (!status)
        status = ptqi_check_finite(s->context, "extremes", rows, PTQ_DTYPE_F32, count, s->k, s->k);
    for (int64_t i = 0; i < count && !status; i++)
        ptqi_stats_keep_extreme(s, rows + i * s->k);
    ptq_tensor_free(tensor);
    return status;
}

ptq_status ptq_stats_load(ptq_context *context, const char *path, ptq_stats **stats)
{
    ptq_store *store;
    struct ptq_stats head = {.context = context}, *s = NULL;
    PTQI_REQUIRE(context, stats);
    *stats = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_REQUIRE(context, path);
    PTQI_TRY(ptq_store_open(context, path, &store));
    ptq_status status = read_counts(store, &head);
    if (!status)
        status = ptq_stats_create(context, head.k, head.flags, &s);
    if (!status) {
        s->rows = head.rows;
        s->total_weight = head.total_weight;
        s->stride = head.stride;
        s->sampled = head.sampled;
        status = read_parts(store, s);
        if (!status)
            status = read_extremes(store, s);
    }
    ptq_store_free(store);
    if (status) {
        ptq_stats_free(s);
        return ptqi_fail_at(context, status, path);
    }
    *stats = s;
    return PTQ_OK;
}
