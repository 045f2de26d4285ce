/*
 * ptq_stats: calibration statistics of the input of a linear layer.
 *
 * Every sum runs over the rows in order, so dividing the rows among other updates does not change a
 * bit. A merge is one addition per element, so a fixed tree of merges is reproducible too.
 */
#include "stats.h"
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "linalg/matmul.h"
#include "linalg/vector.h"
#include "store/store.h"
#include "tensor.h"

#define MAX_CHANNELS 131072
#define ALL_FLAGS (PTQ_STATS_HESSIAN | PTQ_STATS_SAMPLE | PTQ_STATS_MISMATCH)
#define MAX_SAMPLE_ROWS 65536 /* in a sample set by the caller */
#define CHUNK_ROWS 512        /* rows converted to f32 at a time */

ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags, ptq_stats **stats)
{
    PTQI_REQUIRE(context, stats);
    *stats = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_TRY(ptqi_check_between(context, __func__, "k", k, 1, MAX_CHANNELS));
    PTQI_TRY(ptqi_check_between(context, __func__, "flags", flags, 0, ALL_FLAGS));
    struct ptq_stats *s = ptqi_new_handle(context, (int64_t)sizeof *s);
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
    if (ok && (flags & PTQ_STATS_MISMATCH))
        ok = (s->mismatch = ptqi_alloc_zero(context, k * k, 4)) != NULL;
    if (ok && (flags & PTQ_STATS_SAMPLE))
        ok = (s->sample = ptqi_alloc(context, k * PTQI_SAMPLE_ROWS, 4)) &&
             (s->extremes = ptqi_alloc(context, k * PTQI_EXTREME_ROWS, 4)) &&
             (s->extreme_sizes = ptqi_alloc(context, PTQI_EXTREME_ROWS, 4));
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
    ptqi_free(s->context, s->mismatch);
    ptqi_free(s->context, s->sample);
    ptqi_free(s->context, s->extremes);
    ptqi_free(s->context, s->extreme_sizes);
    ptqi_free_handle(s->context, s);
}

/* Doubles the stride: drops every second sampled row. */
static void thin_sample(struct ptq_stats *s)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < s->sampled; i += 2, kept++)
        memmove(s->sample + kept * s->k, s->sample + i * s->k, (size_t)s->k * 4);
    s->sampled = kept;
    s->stride *= 2;
}

/* Samples the row at this position among all rows seen, if the position is a multiple of the
 * stride. */
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

void ptqi_stats_keep_extreme(struct ptq_stats *s, const float *row)
{
    const float size = ptqi_absmax(s->context, row, s->k);
    int64_t place = s->extreme_count;
    if (place == PTQI_EXTREME_ROWS) {
        place = 0;
        for (int64_t i = 1; i < s->extreme_count; i++)
            if (s->extreme_sizes[i] < s->extreme_sizes[place])
                place = i;
        if (!(size > s->extreme_sizes[place]))
            return;
    } else {
        s->extreme_count++;
    }
    s->extreme_sizes[place] = size;
    memcpy(s->extremes + place * s->k, row, (size_t)s->k * sizeof *row);
}

struct ranges_job {
    struct ptq_stats *s;
    const float *x, *weights;
    int64_t rows, parts;
};

/* One part of the channels: minimum, maximum and the weighted sum of |x|. */
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

/* Rows as f32: x, its full-precision counterpart, and the left operand of a product. */
struct chunk {
    int64_t rows;
    float *x, *reference, *left; /* [rows][k]; reference is NULL if it is x itself */
    const float *weights;        /* [rows], or NULL */
};

/* Adds the sum of (w_t d_t) x_t^T, where d is the difference between reference and x. */
static ptq_status update_mismatch(struct ptq_stats *s, const struct chunk *c)
{
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t i = 0; i < s->k; i++) {
            float difference = c->reference[r * s->k + i] - c->x[r * s->k + i];
            c->left[r * s->k + i] = c->weights ? c->weights[r] * difference : difference;
        }
    struct ptqi_matrix a = {c->left, 1, s->k}, b = {c->x, s->k, 1};
    return ptqi_matmul(s->context, s->k, s->k, c->rows, a, b, s->mismatch, s->k,
                       PTQI_ACCUMULATE | PTQI_INSIDE);
}

/* H += sum of (w_t x_t) x_t^T: the weighted row is rounded once, then the chain is fused. */
static ptq_status update_hessian(struct ptq_stats *s, const struct chunk *c)
{
    const float *left = c->x;
    if (c->weights) {
        for (int64_t r = 0; r < c->rows; r++)
            for (int64_t i = 0; i < s->k; i++)
                c->left[r * s->k + i] = c->weights[r] * c->x[r * s->k + i];
        left = c->left;
    }
    struct ptqi_matrix a = {left, 1, s->k}, b = {c->x, s->k, 1};
    return ptqi_matmul(s->context, s->k, s->k, c->rows, a, b, s->hessian, s->k,
                       PTQI_ACCUMULATE | PTQI_UPPER | PTQI_INSIDE);
}

static ptq_status update_chunk(struct ptq_stats *s, const struct chunk *c)
{
    if (s->hessian)
        PTQI_TRY(update_hessian(s, c));
    if (s->mismatch && c->reference)
        PTQI_TRY(update_mismatch(s, c));
    struct ranges_job job = {s, c->x, c->weights, c->rows, ptqi_threads(s->context)};
    ptqi_parallel_inside(s->context, job.parts, update_ranges, &job);
    for (int64_t r = 0; r < c->rows; r++) {
        s->total_weight += c->weights ? (double)c->weights[r] : 1.0;
        if (s->sample) {
            sample_row(s, c->x + r * s->k, s->rows + r);
            ptqi_stats_keep_extreme(s, c->x + r * s->k);
        }
    }
    s->rows += c->rows;
    return PTQ_OK;
}

ptq_status ptqi_stats_fail_own_sample(const ptq_stats *s)
{
    return ptqi_fail(s->context, PTQ_ERROR_CONFLICT,
                     "statistics with a sample set by the caller cannot be changed or saved");
}

ptq_status ptqi_stats_check_width(ptq_context *context, const ptq_stats *s, int64_t k)
{
    if (s->k == k)
        return PTQ_OK;
    return ptqi_fail(context, PTQ_ERROR_SHAPE,
                     "statistics of %lld channels do not fit a matrix of %lld columns",
                     (long long)s->k, (long long)k);
}

/* An update in progress; blocks without data are absent. */
struct update {
    const char *function; /* the public function called */
    struct ptqi_block x, reference;
    const float *weights;
};

static struct ptqi_block weights_block(const float *weights, int64_t rows)
{
    return (struct ptqi_block){"row_weights", "row_weights", "1", weights,
                               PTQ_DTYPE_F32, rows,          1,   1};
}

static ptq_status check_weights(struct ptq_stats *s, const struct update *u)
{
    const struct ptqi_block block = weights_block(u->weights, u->x.rows);
    if (!u->weights)
        return PTQ_OK;
    PTQI_TRY(ptqi_check_block(s->context, u->function, &block));
    for (int64_t r = 0; r < u->x.rows; r++)
        if (!(u->weights[r] >= 0) || u->weights[r] - u->weights[r] != 0)
            return ptqi_fail(s->context, PTQ_ERROR_ARGUMENT,
                             "row_weights[%lld] is negative or not finite", (long long)r);
    return PTQ_OK;
}

/* Everything that can be rejected without looking at the numbers comes first. */
static ptq_status check_update(struct ptq_stats *s, const struct update *u)
{
    const struct ptqi_block *x = &u->x, *reference = &u->reference;
    PTQI_TRY(ptqi_check_block(s->context, u->function, x));
    if (reference->data)
        PTQI_TRY(ptqi_check_block(s->context, u->function, reference));
    if (!s->stride)
        return ptqi_stats_fail_own_sample(s);
    PTQI_TRY(check_weights(s, u));
    PTQI_TRY(ptqi_check_finite(s->context, x->name, x->data, x->dtype, x->rows, x->columns, x->ld));
    if (!reference->data)
        return PTQ_OK;
    return ptqi_check_finite(s->context, reference->name, reference->data, reference->dtype,
                             reference->rows, reference->columns, reference->ld);
}

/* Rows first .. first + count of a block, dense and as f32. */
static void load_rows(float *out, const struct ptqi_block *b, int64_t first, int64_t count)
{
    const int64_t size = ptq_dtype_size(b->dtype);
    for (int64_t r = 0; r < count; r++)
        ptqi_to_f32(out + r * b->columns, (const char *)b->data + (first + r) * b->ld * size,
                    b->dtype, b->columns);
}

static ptq_status update(struct ptq_stats *s, const struct update *u)
{
    PTQI_TRY(check_update(s, u));
    const int64_t rows = u->x.rows, count = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    const int paired = u->reference.data && s->mismatch;
    const int left = paired || (u->weights && s->hessian);
    struct chunk c = {.x = ptqi_alloc(s->context, count * s->k, 4),
                      .reference = paired ? ptqi_alloc(s->context, count * s->k, 4) : NULL,
                      .left = left ? ptqi_alloc(s->context, count * s->k, 4) : NULL};
    ptq_status status = PTQ_OK;
    if (!c.x || (paired && !c.reference) || (left && !c.left))
        status = PTQ_ERROR_MEMORY;
    for (int64_t r = 0; r < rows && !status; r += count) {
        c.rows = rows - r < count ? rows - r : count;
        c.weights = u->weights ? u->weights + r : NULL;
        load_rows(c.x, &u->x, r, c.rows);
        if (paired)
            load_rows(c.reference, &u->reference, r, c.rows);
        status = update_chunk(s, &c);
    }
    ptqi_free(s->context, c.x);
    ptqi_free(s->context, c.reference);
    ptqi_free(s->context, c.left);
    return status;
}

static struct ptqi_block x_block(const ptq_stats *s, const void *x, int32_t dtype, int64_t rows,
                                 int64_t ldx)
{
    return (struct ptqi_block){"x", "ldx", "K", x, dtype, rows, s->k, ldx};
}

ptq_status ptq_stats_update_paired(ptq_stats *stats, const void *x, int64_t ldx,
                                   const void *reference, int64_t ldreference, int32_t dtype,
                                   int64_t rows, const float *row_weights)
{
    PTQI_REQUIRE(NULL, stats);
    const struct ptqi_block paired = {"reference", "ldreference", "K",      reference,
                                      dtype,       rows,          stats->k, ldreference};
    const struct update u = {__func__, x_block(stats, x, dtype, rows, ldx), paired, row_weights};
    return update(stats, &u);
}

ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                            int64_t ldx, const float *row_weights)
{
    PTQI_REQUIRE(NULL, stats);
    const struct update u = {
        .function = __func__, .x = x_block(stats, x, dtype, rows, ldx), .weights = row_weights};
    return update(stats, &u);
}

/* Row i of the other sample represents the positions up to its next row. It is kept if they include
 * a multiple of the stride, so that as many rows are kept as if all had come in one stream. */
static void merge_sample_row(struct ptq_stats *s, const ptq_stats *other, int64_t i)
{
    int64_t first = s->rows + i * other->stride, last = first + other->stride - 1;
    last = last < s->rows + other->rows - 1 ? last : s->rows + other->rows - 1;
    if (s->sampled == PTQI_SAMPLE_ROWS && last / s->stride * s->stride >= first)
        thin_sample(s);
    if (last / s->stride * s->stride >= first)
        memcpy(s->sample + s->sampled++ * s->k, other->sample + i * s->k, (size_t)s->k * 4);
}

static void merge(ptq_stats *s, const ptq_stats *other)
{
    for (int64_t c = 0; c < s->k && other->rows; c++) {
        float low = other->minimum[c], high = other->maximum[c];
        s->minimum[c] = !s->rows || low < s->minimum[c] ? low : s->minimum[c];
        s->maximum[c] = !s->rows || high > s->maximum[c] ? high : s->maximum[c];
        s->sum_abs[c] += other->sum_abs[c];
    }
    for (int64_t i = 0; s->hessian && i < s->k * s->k; i++)
        s->hessian[i] += other->hessian[i];
    for (int64_t i = 0; s->mismatch && i < s->k * s->k; i++)
        s->mismatch[i] += other->mismatch[i];
    if (s->sample && other->rows) {
        while (s->stride < other->stride)
            thin_sample(s);
        for (int64_t i = 0; i < other->sampled; i++)
            merge_sample_row(s, other, i);
        for (int64_t i = 0; i < other->extreme_count; i++)
            ptqi_stats_keep_extreme(s, other->extremes + i * s->k);
    }
    s->rows += other->rows;
    s->total_weight += other->total_weight;
}

ptq_status ptq_stats_merge(ptq_stats *stats, const ptq_stats *other)
{
    PTQI_REQUIRE(NULL, stats);
    PTQI_REQUIRE(stats->context, other);
    if (stats->k != other->k || stats->flags != other->flags)
        return ptqi_fail(stats->context, PTQ_ERROR_SHAPE,
                         "statistics with different channels or flags cannot be merged");
    if (stats == other)
        return ptqi_fail(stats->context, PTQ_ERROR_SHAPE,
                         "statistics cannot be merged into themselves");
    if (!stats->stride || !other->stride)
        return ptqi_stats_fail_own_sample(stats);
    merge(stats, other);
    return PTQ_OK;
}

ptq_status ptq_stats_set_sample(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                int64_t ldx)
{
    PTQI_REQUIRE(NULL, stats);
    const struct ptqi_block block = x_block(stats, x, dtype, rows, ldx);
    PTQI_TRY(ptqi_check_between(stats->context, __func__, "rows", rows, 0, MAX_SAMPLE_ROWS));
    PTQI_TRY(ptqi_check_block(stats->context, __func__, &block));
    PTQI_TRY(ptqi_check_finite(stats->context, "sample", x, dtype, rows, stats->k, ldx));
    float *sample = ptqi_alloc(stats->context, rows * stats->k, 4);
    if (!sample)
        return PTQ_ERROR_MEMORY;
    load_rows(sample, &block, 0, rows);
    ptqi_free(stats->context, stats->sample);
    stats->sample = sample;
    stats->sampled = rows;
    stats->stride = 0;
    stats->extreme_count = 0;
    return PTQ_OK;
}
