/*
 * A part adds all rows to its share of the matrices' columns and of the channels. Parts neither
 * wait for each other nor write the same numbers, and every sum is one chain over the rows. The
 * part that finishes last counts the rows and keeps the sample.
 */
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "kernel/kernel.h"
#include "linalg/gram.h"
#include "linalg/vector.h"
#include "stats.h"
#include "tensor.h"

#define PIECE 256 /* channels converted to f32 at a time */

/* An update in progress; blocks without data are absent. */
struct update {
    const char *function; /* the public function called */
    struct ptqi_block x, reference;
    const float *weights;
};

static ptq_status check_weights(struct ptq_stats *s, const struct update *u)
{
    const struct ptqi_block block = {"row_weights", "row_weights", "1", u->weights,
                                     PTQ_DTYPE_F32, u->x.rows,     1,   1};
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

static double weight_of(const struct update *u, int64_t row)
{
    return u->weights ? (double)u->weights[row] : 1.0;
}

/* out [count] = channels first .. first + count of a row of x. */
static void load(const struct ptq_stats *s, const struct update *u, int64_t row, int64_t first,
                 int64_t count, float *out)
{
    const struct ptqi_block *x = &u->x;
    const char *from = (const char *)x->data + (row * x->ld + first) * ptq_dtype_size(x->dtype);
    if (x->dtype == PTQ_DTYPE_F32)
        memcpy(out, from, (size_t)count * sizeof *out);
    else
        s->context->kernels->widen(out, from, x->dtype, count);
}

/* Minimum, maximum and the weighted sum of |x| of at most PIECE channels. */
static void update_piece(struct ptq_stats *s, const struct update *u, int64_t first, int64_t count)
{
    float *minimum = s->minimum + first, *maximum = s->maximum + first, x[PIECE];
    double *sum = s->sum_abs + first;
    for (int64_t r = 0; r < u->x.rows; r++) {
        const double weight = weight_of(u, r);
        const int begins = s->rows + r == 0;
        load(s, u, r, first, count, x);
        for (int64_t c = 0; c < count; c++) {
            minimum[c] = begins || x[c] < minimum[c] ? x[c] : minimum[c];
            maximum[c] = begins || x[c] > maximum[c] ? x[c] : maximum[c];
            sum[c] += weight * (double)fabsf(x[c]);
        }
    }
}

/* Where the columns of a part begin. Those of an upper triangle get longer, so equal work needs
 * unequal parts. */
static int64_t first_column(int64_t k, int64_t part, int64_t parts, int triangle)
{
    const double share = (double)part / (double)parts;
    if (part >= parts)
        return k;
    return (int64_t)((triangle ? sqrt(share) : share) * (double)k) / 16 * 16;
}

static struct ptqi_gram gram_of(const struct ptq_stats *s, const struct update *u, int paired)
{
    return (struct ptqi_gram){.k = s->k,
                              .count = u->x.rows,
                              .x = u->x.data,
                              .dtype = u->x.dtype,
                              .ld = u->x.ld,
                              .weights = u->weights,
                              .reference = paired ? u->reference.data : NULL,
                              .ldreference = u->reference.ld};
}

static void update_matrices(struct ptq_stats *s, const struct update *u, int64_t part,
                            int64_t parts, float *buffer, int64_t floats)
{
    const struct ptqi_gram h = gram_of(s, u, 0), m = gram_of(s, u, 1);
    if (s->hessian)
        ptqi_gram_columns(s->context, &h, first_column(s->k, part, parts, 1),
                          first_column(s->k, part + 1, parts, 1), s->hessian, buffer, floats);
    if (s->mismatch && m.reference)
        ptqi_gram_columns(s->context, &m, first_column(s->k, part, parts, 0),
                          first_column(s->k, part + 1, parts, 0), s->mismatch, buffer, floats);
}

/* With a buffer on the stack. */
static PTQI_NOINLINE void update_small(struct ptq_stats *s, const struct update *u, int64_t part,
                                       int64_t parts)
{
    _Alignas(64) float buffer[PTQI_GRAM_FLOATS];
    update_matrices(s, u, part, parts, buffer, PTQI_GRAM_FLOATS);
}

/* One part of an update that was checked; it cannot fail. Many rows are faster with a large buffer,
 * if there is memory for it. */
static void run_part(struct ptq_stats *s, const struct update *u, int64_t part, int64_t parts)
{
    const ptq_context *context = s->context;
    const int matrices = s->hessian || (s->mismatch && u->reference.data);
    int64_t begin, end;
    float *buffer = NULL;
    if (matrices && u->x.rows > PTQI_GRAM_FEW)
        buffer = context->allocate(context->allocator_user,
                                   PTQI_GRAM_MOST_FLOATS * (int64_t)sizeof *buffer,
                                   PTQI_ALLOCATION_ALIGNMENT);
    if (buffer) {
        update_matrices(s, u, part, parts, buffer, PTQI_GRAM_MOST_FLOATS);
        context->release(context->allocator_user, buffer);
    } else if (matrices) {
        update_small(s, u, part, parts);
    }
    ptqi_split(s->k, 16, part, parts, &begin, &end);
    for (int64_t c = begin; c < end; c += PIECE)
        update_piece(s, u, c, ptqi_min(PIECE, end - c));
}

/* max |x| of a row. */
static float row_size(const struct ptq_stats *s, const struct update *u, int64_t row)
{
    float x[PIECE], largest = 0;
    for (int64_t c = 0; c < s->k; c += PIECE) {
        const int64_t count = ptqi_min(PIECE, s->k - c);
        load(s, u, row, c, count, x);
        const float size = ptqi_absmax(s->context, x, count);
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* The work that remains when all parts have run. */
static void finish(struct ptq_stats *s, const struct update *u)
{
    for (int64_t r = 0; r < u->x.rows; r++) {
        s->total_weight += weight_of(u, r);
        if (!s->sample)
            continue;
        float *sampled = ptqi_stats_sample_place(s, s->rows + r);
        if (sampled)
            load(s, u, r, 0, s->k, sampled);
        float *extreme = ptqi_stats_extreme_place(s, row_size(s, u, r));
        if (extreme)
            load(s, u, r, 0, s->k, extreme);
    }
    s->rows += u->x.rows;
}

struct job {
    struct ptq_stats *s;
    const struct update *u;
    int64_t parts;
};

static void run_share(void *argument, int64_t part)
{
    const struct job *j = argument;
    run_part(j->s, j->u, part, j->parts);
}

static ptq_status update(struct ptq_stats *s, const struct update *u)
{
    struct job j = {s, u, 1};
    PTQI_TRY(check_update(s, u));
    /* Below a few hundred thousand operations, waking the team costs more than it saves. */
    if (!s->context->parallel_for &&
        (double)s->k * (double)u->x.rows * (s->hessian ? (double)s->k : 1.0) > 2e5)
        j.parts = ptqi_threads(s->context);
    PTQI_TRY(ptqi_parallel_inside(s->context, j.parts, run_share, &j));
    finish(s, u);
    return PTQ_OK;
}

static ptq_status update_part(struct ptq_stats *s, const struct update *u, int64_t part,
                              int64_t parts)
{
    PTQI_TRY(ptqi_check_between(s->context, u->function, "parts", parts, 1, INT32_MAX));
    PTQI_TRY(ptqi_check_between(s->context, u->function, "part", part, 0, parts - 1));
    PTQI_TRY(check_update(s, u));
    run_part(s, u, part, parts);
    if (atomic_fetch_add_explicit(&s->finished, 1, memory_order_acq_rel) + 1 == parts) {
        atomic_store_explicit(&s->finished, 0, memory_order_relaxed);
        finish(s, u);
    }
    return PTQ_OK;
}

static struct ptqi_block x_block(const ptq_stats *s, const void *x, int32_t dtype, int64_t rows,
                                 int64_t ldx)
{
    return (struct ptqi_block){"x", "ldx", "K", x, dtype, rows, s->k, ldx};
}

static struct ptqi_block reference_block(const ptq_stats *s, const void *reference, int32_t dtype,
                                         int64_t rows, int64_t ldreference)
{
    return (struct ptqi_block){"reference", "ldreference", "K",  reference,
                               dtype,       rows,          s->k, ldreference};
}

ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                            int64_t ldx, const float *row_weights)
{
    PTQI_REQUIRE(NULL, stats);
    const struct update u = {
        .function = __func__, .x = x_block(stats, x, dtype, rows, ldx), .weights = row_weights};
    return update(stats, &u);
}

ptq_status ptq_stats_update_paired(ptq_stats *stats, const void *x, int64_t ldx,
                                   const void *reference, int64_t ldreference, int32_t dtype,
                                   int64_t rows, const float *row_weights)
{
    PTQI_REQUIRE(NULL, stats);
    const struct update u = {__func__, x_block(stats, x, dtype, rows, ldx),
                             reference_block(stats, reference, dtype, rows, ldreference),
                             row_weights};
    return update(stats, &u);
}

ptq_status ptq_stats_update_part(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows,
                                 int64_t ldx, const float *row_weights, int64_t part, int64_t parts)
{
    PTQI_REQUIRE(NULL, stats);
    const struct update u = {
        .function = __func__, .x = x_block(stats, x, dtype, rows, ldx), .weights = row_weights};
    return update_part(stats, &u, part, parts);
}

ptq_status ptq_stats_update_paired_part(ptq_stats *stats, const void *x, int64_t ldx,
                                        const void *reference, int64_t ldreference, int32_t dtype,
                                        int64_t rows, const float *row_weights, int64_t part,
                                        int64_t parts)
{
    PTQI_REQUIRE(NULL, stats);
    const struct update u = {__func__, x_block(stats, x, dtype, rows, ldx),
                             reference_block(stats, reference, dtype, rows, ldreference),
                             row_weights};
    return update_part(stats, &u, part, parts);
}
