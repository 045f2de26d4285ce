/*
 * ptq_stats: what the input of a linear layer looks like.
 *
 * Every sum runs over the rows in their order, so that cutting the rows into other updates changes
 * no bit; merge is one addition per element, so that a fixed tree of merges is reproducible too.
 */
#include "stats.h"
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "linalg/matmul.h"
#include "store/store.h"
#include "tensor.h"

#define MAX_CHANNELS 131072
#define MAX_ROWS ((int64_t)1 << 48)
#define CHUNK_ROWS 512 /* rows converted to f32 at a time */

ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags, ptq_stats **stats)
{
    if (!stats)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_stats_create: no place for the result");
    *stats = NULL;
    if (!context || k < 1 || k > MAX_CHANNELS || (flags & ~3))
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT,
                         "statistics of %lld channels with flags %d cannot be", (long long)k,
                         flags);
    struct ptq_stats *s = ptqi_alloc_zero(context, 1, (int64_t)sizeof *s);
    if (!s)
        return PTQ_ERROR_MEMORY;
    s->context = context;
    s->k = k;
    s->flags = flags;
    s->stride = 1;
    s->minimum = ptqi_alloc_zero(context, k, 4);
    s->maximum = ptqi_alloc_zero(context, k, 4);
    s->sum_abs = ptqi_alloc_zero(context, k, 8);
    int ok = s->minimum && s->maximum && s->sum_abs;
    if (ok && (flags & PTQ_STATS_HESSIAN))
        ok = (s->hessian = ptqi_alloc_zero(context, k * k, 4)) != NULL;
    if (ok && (flags & PTQ_STATS_SAMPLE))
        ok = (s->sample = ptqi_alloc(context, k * PTQI_SAMPLE_ROWS, 4)) != NULL;
    if (!ok) {
        ptq_stats_free(s);
        return PTQ_ERROR_MEMORY;
    }
    *stats = s;
    return PTQ_OK;
}

void ptq_stats_free(ptq_stats *s)
{
    if (!s)
        return;
    ptqi_free(s->context, s->minimum);
    ptqi_free(s->context, s->maximum);
    ptqi_free(s->context, s->sum_abs);
    ptqi_free(s->context, s->hessian);
    ptqi_free(s->context, s->sample);
    ptqi_free(s->context, s);
}

/* Doubles the stride: every second kept row goes. */
static void thin_sample(struct ptq_stats *s)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < s->sampled; i += 2, kept++)
        memmove(s->sample + kept * s->k, s->sample + i * s->k, (size_t)s->k * 4);
    s->sampled = kept;
    s->stride *= 2;
}

/* Row number position of all rows seen, kept if its turn has come. */
static void sample_row(struct ptq_stats *s, const float *row, int64_t position)
{
    if (position % s->stride)
        return;
    if (s->sampled == PTQI_SAMPLE_ROWS)
        thin_sample(s);
    if (position % s->stride)
        return;
    memcpy(s->sample + s->sampled++ * s->k, row, (size_t)s->k * 4);
}

struct ranges_job {
    struct ptq_stats *s;
    const float *x, *weights;
    int64_t rows, parts;
};

/* A share of the channels: minimum, maximum and the weighted sum of |x|. */
static void update_ranges(void *argument, int64_t part)
{
    struct ranges_job *j = argument;
    struct ptq_stats *s = j->s;
    int64_t begin, end;
    ptqi_split(s->k, 16, part, j->parts, &begin, &end);
    for (int64_t r = 0; r < j->rows; r++) {
        const float *x = j->x + r * s->k;
        double weight = j->weights ? (double)j->weights[r] : 1.0;
        int first = s->rows + r == 0;
        for (int64_t c = begin; c < end; c++) {
            s->minimum[c] = first || x[c] < s->minimum[c] ? x[c] : s->minimum[c];
            s->maximum[c] = first || x[c] > s->maximum[c] ? x[c] : s->maximum[c];
            s->sum_abs[c] += weight * (double)fabsf(x[c]);
        }
    }
}

/* H += sum of (w_t x_t) x_t^T: the weighted row is rounded once, then the chain is fused. */
static ptq_status update_hessian(struct ptq_stats *s, const float *x, float *weighted,
                                 const float *weights, int64_t rows)
{
    const float *left = x;
    if (weights) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < s->k; c++)
                weighted[r * s->k + c] = weights[r] * x[r * s->k + c];
        left = weighted;
    }
    struct ptqi_matrix a = {left, 1, s->k}, b = {x, s->k, 1};
    return ptqi_matmul(s->context, s->k, s->k, rows, a, b, s->hessian, s->k,
                       PTQI_ACCUMULATE | PTQI_UPPER);
}

static ptq_status update_chunk(struct ptq_stats *s, const float *x, float *weighted,
                               const float *weights, int64_t rows)
{
    if (s->hessian)
        PTQI_TRY(update_hessian(s, x, weighted, weights, rows));
    struct ranges_job job = {s, x, weights, rows, ptqi_threads(s->context)};
    ptqi_parallel(s->context, job.parts, update_ranges, &job);
    for (int64_t r = 0; r < rows; r++) {
        s->total_weight += weights ? (double)weights[r] : 1.0;
        if (s->sample)
            sample_row(s, x + r * s->k, s->rows + r);
    }
    s->rows += rows;
    return PTQ_OK;
}

static ptq_status fail_own_sample(const ptq_stats *s)
{
    return ptqi_fail(s->context, PTQ_ERROR_CONFLICT,
                     "statistics with a sample of their own cannot be changed or saved");
}

static ptq_status check_update(struct ptq_stats *s, const void *x, int32_t dtype, int64_t rows,
                               int64_t ldx, const float *weights)
{
    if (!s || rows < 0 || (rows > 0 && !x) || ldx < s->k)
        return ptqi_fail(s ? s->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_stats_update: no rows, or rows shorter than the channels");
    if (!s->stride)
        return fail_own_sample(s);
    if (!ptqi_is_float(dtype))
        return ptqi_fail(s->context, PTQ_ERROR_DTYPE,
                         "ptq_stats_update: x must be f32, f16 or bf16");
    PTQI_TRY(ptqi_check_finite(s->context, "x", x, dtype, rows, s->k, ldx));
    for (int64_t r = 0; weights && r < rows; r++)
        if (!(weights[r] >= 0) || weights[r] - weights[r] != 0)
            return ptqi_fail(s->context, PTQ_ERROR_ARGUMENT,
                             "row_weights[%lld] is negative or not finite", (long long)r);
    return PTQ_OK;
}

ptq_status ptq_stats_update(ptq_stats *s, const void *x, int32_t dtype, int64_t rows, int64_t ldx,
                            const float *row_weights)
{
    PTQI_TRY(check_update(s, x, dtype, rows, ldx, row_weights));
    int64_t chunk = rows < CHUNK_ROWS ? rows : CHUNK_ROWS, size = ptq_dtype_size(dtype);
    float *buffer = ptqi_alloc(s->context, chunk * s->k, 4), *weighted = NULL;
    ptq_status status = buffer ? PTQ_OK : PTQ_ERROR_MEMORY;
    if (!status && row_weights && s->hessian)
        if (!(weighted = ptqi_alloc(s->context, chunk * s->k, 4)))
            status = PTQ_ERROR_MEMORY;
    for (int64_t r = 0; r < rows && !status; r += chunk) {
        int64_t n = rows - r < chunk ? rows - r : chunk;
        for (int64_t i = 0; i < n; i++)
            ptqi_to_f32(buffer + i * s->k, (const char *)x + (r + i) * ldx * size, dtype, s->k);
        status = update_chunk(s, buffer, weighted, row_weights ? row_weights + r : NULL, n);
    }
    ptqi_free(s->context, buffer);
    ptqi_free(s->context, weighted);
    return status;
}

/* Row i of the other's sample stands for the positions up to its next one: it is kept where a
 * multiple of the stride is among them, so that as many rows are kept as if all had come in one
 * stream. */
static void merge_sample_row(struct ptq_stats *s, const ptq_stats *other, int64_t i)
{
    int64_t first = s->rows + i * other->stride, last = first + other->stride - 1;
    last = last < s->rows + other->rows - 1 ? last : s->rows + other->rows - 1;
    if (s->sampled == PTQI_SAMPLE_ROWS && last / s->stride * s->stride >= first)
        thin_sample(s);
    if (last / s->stride * s->stride >= first)
        memcpy(s->sample + s->sampled++ * s->k, other->sample + i * s->k, (size_t)s->k * 4);
}

ptq_status ptq_stats_merge(ptq_stats *s, const ptq_stats *other)
{
    if (!s || !other || s->k != other->k || s->flags != other->flags || s == other)
        return ptqi_fail(s ? s->context : NULL, PTQ_ERROR_SHAPE,
                         "statistics of other channels or flags cannot be merged");
    if (!s->stride || !other->stride)
        return fail_own_sample(s);
    for (int64_t c = 0; c < s->k && other->rows; c++) {
        float low = other->minimum[c], high = other->maximum[c];
        s->minimum[c] = !s->rows || low < s->minimum[c] ? low : s->minimum[c];
        s->maximum[c] = !s->rows || high > s->maximum[c] ? high : s->maximum[c];
        s->sum_abs[c] += other->sum_abs[c];
    }
    for (int64_t i = 0; s->hessian && i < s->k * s->k; i++)
        s->hessian[i] += other->hessian[i];
    if (s->sample && other->rows) {
        while (s->stride < other->stride)
            thin_sample(s);
        for (int64_t i = 0; i < other->sampled; i++)
            merge_sample_row(s, other, i);
    }
    s->rows += other->rows;
    s->total_weight += other->total_weight;
    return PTQ_OK;
}

int64_t ptq_stats_channels(const ptq_stats *stats)
{
    return stats->k;
}

int32_t ptq_stats_flags(const ptq_stats *stats)
{
    return stats->flags;
}

int64_t ptq_stats_rows(const ptq_stats *stats)
{
    return stats->rows;
}

double ptq_stats_total_weight(const ptq_stats *stats)
{
    return stats->total_weight;
}

ptq_status ptq_stats_absmax(const ptq_stats *stats, float *out)
{
    for (int64_t c = 0; c < stats->k; c++) {
        float low = fabsf(stats->minimum[c]), high = fabsf(stats->maximum[c]);
        out[c] = low > high ? low : high;
    }
    return PTQ_OK;
}

ptq_status ptq_stats_min(const ptq_stats *stats, float *out)
{
    memcpy(out, stats->minimum, (size_t)stats->k * 4);
    return PTQ_OK;
}

ptq_status ptq_stats_max(const ptq_stats *stats, float *out)
{
    memcpy(out, stats->maximum, (size_t)stats->k * 4);
    return PTQ_OK;
}

ptq_status ptq_stats_mean_abs(const ptq_stats *stats, float *out)
{
    double weight = stats->total_weight > 0 ? stats->total_weight : 1.0;
    for (int64_t c = 0; c < stats->k; c++)
        out[c] = (float)(stats->sum_abs[c] / weight);
    return PTQ_OK;
}

ptq_status ptq_stats_hessian(const ptq_stats *stats, float *out)
{
    int64_t k = stats->k;
    if (!stats->hessian)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_HESSIAN");
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = i; j < k; j++)
            out[i * k + j] = out[j * k + i] = stats->hessian[i * k + j];
    return PTQ_OK;
}

int64_t ptq_stats_sample_rows(const ptq_stats *stats)
{
    return stats->sampled;
}

ptq_status ptq_stats_sample(const ptq_stats *stats, float *out)
{
    if (!stats->sample)
        return ptqi_fail(stats->context, PTQ_ERROR_MISSING,
                         "these statistics were made without PTQ_STATS_SAMPLE");
    memcpy(out, stats->sample, (size_t)(stats->sampled * stats->k) * 4);
    return PTQ_OK;
}

ptq_status ptq_stats_set_sample(ptq_stats *s, const void *x, int32_t dtype, int64_t rows,
                                int64_t ldx)
{
    int64_t size = ptq_dtype_size(dtype);
    if (!s || !x || rows < 0 || rows > 65536 || ldx < s->k)
        return ptqi_fail(s ? s->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_stats_set_sample: no rows, too many, or shorter than the channels");
    if (!ptqi_is_float(dtype))
        return ptqi_fail(s->context, PTQ_ERROR_DTYPE, "a sample must be f32, f16 or bf16");
    PTQI_TRY(ptqi_check_finite(s->context, "sample", x, dtype, rows, s->k, ldx));
    float *sample = ptqi_alloc(s->context, rows * s->k, 4);
    if (!sample)
        return PTQ_ERROR_MEMORY;
    for (int64_t r = 0; r < rows; r++)
        ptqi_to_f32(sample + r * s->k, (const char *)x + r * ldx * size, dtype, s->k);
    ptqi_free(s->context, s->sample);
    s->sample = sample;
    s->sampled = rows;
    s->stride = 0;
    return PTQ_OK;
}

/*
 * The file: f32 tensors minimum, maximum [k]; sum_abs [k][2] as i32 halves of doubles; hessian
 * [k][k]; sample [rows][k]; and a tensor counts, i32 [10]: format, flags, then rows, the bits of
 * total_weight, stride and sampled as low and high halves.
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

ptq_status ptq_stats_save(const ptq_stats *s, const char *path)
{
    ptq_store *store;
    int32_t counts[COUNTS] = {1, s->flags};
    put64(counts + 2, &s->rows);
    put64(counts + 4, &s->total_weight);
    put64(counts + 6, &s->stride);
    put64(counts + 8, &s->sampled);
    if (!s->stride)
        return fail_own_sample(s);
    PTQI_TRY(ptq_store_create(s->context, path, &store));
    int64_t k = s->k, pairs[2] = {k, 2}, square[2] = {k, k}, rows[2] = {s->sampled, k}, n = COUNTS;
    ptq_status status = ptqi_store_put(store, "counts", PTQ_I32, 1, &n, counts);
    if (!status)
        status = ptqi_store_put(store, "minimum", PTQ_F32, 1, &k, s->minimum);
    if (!status)
        status = ptqi_store_put(store, "maximum", PTQ_F32, 1, &k, s->maximum);
    if (!status)
        status = ptqi_store_put(store, "sum_abs", PTQ_I32, 2, pairs, s->sum_abs);
    if (!status && s->hessian)
        status = ptqi_store_put(store, "hessian", PTQ_F32, 2, square, s->hessian);
    if (!status && s->sample)
        status = ptqi_store_put(store, "sample", PTQ_F32, 2, rows, s->sample);
    if (!status)
        status = ptq_store_commit(store);
    ptq_store_free(store);
    return status;
}

static ptq_status read_counts(const ptq_store *store, struct ptq_stats *head)
{
    int32_t counts[COUNTS];
    ptq_tensor *minimum;
    int64_t n = COUNTS;
    PTQI_TRY(ptqi_store_get(store, "counts", PTQ_I32, 1, &n, counts));
    PTQI_TRY(ptq_store_tensor(store, "minimum", &minimum));
    head->k = ptq_tensor_size(minimum, 0);
    ptq_tensor_free(minimum);
    head->flags = counts[1];
    get64(counts + 2, &head->rows);
    get64(counts + 4, &head->total_weight);
    get64(counts + 6, &head->stride);
    get64(counts + 8, &head->sampled);
    /* Bounds that leave room to go on counting; a stride so large has kept one row at most. */
    int power = head->stride > 0 && (head->stride & (head->stride - 1)) == 0;
    int64_t most =
        head->stride > 0 ? head->rows / head->stride + (head->rows % head->stride != 0) : 0;
    if (counts[0] != 1 || head->rows < 0 || head->rows > MAX_ROWS || !power ||
        head->stride > MAX_ROWS || !(head->total_weight >= 0) ||
        head->total_weight - head->total_weight != 0 || head->sampled < 0 ||
        head->sampled > PTQI_SAMPLE_ROWS || head->sampled > most)
        return ptqi_fail(head->context, PTQ_ERROR_FORMAT, "not statistics of this library");
    /* The largest part must be there before memory is asked for in its size. */
    const void *unused;
    int64_t square[2] = {head->k, head->k};
    if (head->flags & PTQ_STATS_HESSIAN)
        PTQI_TRY(ptqi_store_view(store, "hessian", PTQ_F32, 2, square, &unused));
    return PTQ_OK;
}

static ptq_status read_parts(const ptq_store *store, struct ptq_stats *s)
{
    int64_t k = s->k, pairs[2] = {k, 2}, square[2] = {k, k}, rows[2] = {s->sampled, k};
    PTQI_TRY(ptqi_store_get(store, "minimum", PTQ_F32, 1, &k, s->minimum));
    PTQI_TRY(ptqi_store_get(store, "maximum", PTQ_F32, 1, &k, s->maximum));
    PTQI_TRY(ptqi_store_get(store, "sum_abs", PTQ_I32, 2, pairs, s->sum_abs));
    if (s->hessian)
        PTQI_TRY(ptqi_store_get(store, "hessian", PTQ_F32, 2, square, s->hessian));
    if (s->sample)
        PTQI_TRY(ptqi_store_get(store, "sample", PTQ_F32, 2, rows, s->sample));
    for (int64_t c = 0; c < k; c++)
        if (!(s->sum_abs[c] >= 0) || s->sum_abs[c] - s->sum_abs[c] != 0 ||
            !(s->minimum[c] <= s->maximum[c]) || s->minimum[c] - s->minimum[c] != 0 ||
            s->maximum[c] - s->maximum[c] != 0)
            return ptqi_fail(s->context, PTQ_ERROR_FORMAT, "ranges of channel %lld cannot be",
                             (long long)c);
    if (s->hessian)
        PTQI_TRY(ptqi_check_finite(s->context, "hessian", s->hessian, PTQ_F32, k, k, k));
    if (s->sample)
        PTQI_TRY(ptqi_check_finite(s->context, "sample", s->sample, PTQ_F32, s->sampled, k, k));
    return PTQ_OK;
}

ptq_status ptq_stats_load(ptq_context *context, const char *path, ptq_stats **stats)
{
    ptq_store *store;
    struct ptq_stats head = {.context = context}, *s = NULL;
    if (!context || !path || !stats)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_stats_load: an argument is NULL");
    *stats = NULL;
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
    }
    ptq_store_free(store);
    if (status) {
        ptq_stats_free(s);
        return ptqi_fail_at(context, status, path);
    }
    *stats = s;
    return PTQ_OK;
}
