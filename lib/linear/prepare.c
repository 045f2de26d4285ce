/*
 * Activations made ready: divided by the input scale, put in the order of the columns, quantized to
 * int8 with their group sums; or, for weight-only linears, just as f32.
 */
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "linalg/rotate.h"
#include "linear/linear.h"
#include "tensor.h"

/* The layout for so many rows that nothing overflows. */
static struct ptqi_prepared lay_out(const struct ptq_linear *l, int64_t rows)
{
    struct ptqi_prepared p = {.magic = PTQI_PREPARED_MAGIC, .recipe = l->recipe, .rows = rows};
    const int integer = l->activations != PTQ_ACTIVATIONS_F32;
    int64_t threads = ptqi_threads(l->context);
    p.scales = ptqi_align((int64_t)sizeof p);
    p.sums = p.scales + ptqi_align(rows * 4);
    p.x = p.sums + (integer ? ptqi_align(rows * ptqi_sums_stride(l) * 4) : 0);
    p.sliced = integer && !ptqi_is_stream(l, rows);
    /* Slices need less, but what is enough for some rows must be enough for fewer. */
    const int64_t x_bytes = integer ? ptqi_whole_rows(l, rows) * ptqi_x_stride(l) : rows * l->k * 4;
    p.scratch = p.x + ptqi_align(x_bytes);
    p.bytes = p.scratch + (rows < threads ? rows : threads) * 2 * ptqi_align(l->k * 4);
    return p;
}

ptq_status ptqi_prepared_layout(const char *function, const struct ptq_linear *linear, int64_t rows,
                                struct ptqi_prepared *layout)
{
    PTQI_REQUIRE_FOR(NULL, function, linear);
    PTQI_TRY(ptqi_check_between(linear->context, function, "rows", rows, 0, INT64_MAX));
    /* No row takes more than this, and half of all memory is far more than the rest takes. */
    const int64_t row_bytes = 64 + ptqi_sums_stride(linear) * 4 + ptqi_x_stride(linear) * 4;
    if (rows > PTRDIFF_MAX / 2 / row_bytes)
        return ptqi_fail(linear->context, PTQ_ERROR_SHAPE, "%s: %lld rows are too many", function,
                         (long long)rows);
    *layout = lay_out(linear, rows);
    return PTQ_OK;
}

int64_t ptq_linear_prepared_bytes(const ptq_linear *linear, int64_t rows)
{
    struct ptqi_prepared layout;
    return ptqi_prepared_layout(__func__, linear, rows, &layout) ? 0 : layout.bytes;
}

struct job {
    const struct ptq_linear *l;
    const char *x;
    int32_t dtype;
    int64_t rows, ldx, parts;
    char *prepared;
    struct ptqi_prepared layout;
    void (*step)(const struct job *j, int64_t row, float *x, float *ordered);
};

static const float *source(const struct job *j, int64_t row)
{
    const char *from = j->x + row * j->ldx * ptq_dtype_size(j->dtype);
    return (const float *)(const void *)from;
}

/* One row as f32, divided by the input scale and rotated: in out, or where it is if nothing
 * changes. */
static const float *load_row(const struct job *j, int64_t row, float *out)
{
    const struct ptq_linear *l = j->l;
    const float *from = source(j, row);
    if (j->dtype != PTQ_DTYPE_F32 || (uintptr_t)from % sizeof *from) {
        l->kernels->widen(out, from, j->dtype, l->k);
        from = out;
    }
    if (l->input_scale) {
        l->kernels->divide(from, l->input_scale, out, l->k);
        from = out;
    }
    if (l->rotation) {
        if (from != out)
            memcpy(out, from, (size_t)l->k * sizeof *out);
        ptqi_rotate(l->context, out, 1, l->k, l->rotation);
        from = out;
    }
    return from;
}

/* x as it will be quantized, divided and in order: where it is, or in one of the two buffers. */
static const float *ordered_row(const struct job *j, int64_t row, float *x, float *ordered)
{
    const struct ptq_linear *l = j->l;
    const float *from = load_row(j, row, x);
    for (int64_t i = 0; l->order && i < l->k; i++)
        ordered[i] = from[l->order[i]];
    return l->order ? ordered : from;
}

/* max |x| / 127, or NaN where the row is not finite. */
static float own_scale(const struct job *j, const float *x)
{
    float most = ptqi_from_bits(j->l->kernels->magnitude(x, j->l->k));
    return ptqi_bits(most) < 0x7f800000 ? most / 127.0f : ptqi_from_bits(0x7fc00000);
}

static void measure_row(const struct job *j, int64_t row, float *x, float *ordered)
{
    float *scale = (float *)(j->prepared + j->layout.scales) + row;
    *scale = own_scale(j, ordered_row(j, row, x, ordered));
}

/* One scale for all rows that are finite. */
static void share_scale(const struct job *j)
{
    float *scales = (float *)(j->prepared + j->layout.scales), most = 0;
    for (int64_t row = 0; row < j->rows; row++)
        most = scales[row] > most ? scales[row] : most;
    for (int64_t row = 0; row < j->rows; row++)
        scales[row] = scales[row] == scales[row] ? most : scales[row];
}

/* n columns of a row from q, or zeros where q is NULL, to x [rows][ld], in pairs where x_rows is 2.
 */
static void place_columns(int x_rows, int64_t row, const int8_t *q, int64_t n, int8_t *x,
                          int64_t ld)
{
    const int64_t run = x_rows == 2 ? 8 : n; /* columns that stand side by side */
    int8_t *to = x + row / x_rows * x_rows * ld + row % x_rows * run;
    for (int64_t i = 0; i < n; i += run, to += x_rows * run) {
        if (q)
            memcpy(to, q + i, (size_t)run);
        else
            memset(to, 0, (size_t)run);
    }
}

/* Row `row` of x to its places in the slices. */
static void place_row(const struct job *j, int64_t row, const int8_t *q)
{
    const struct ptq_linear *l = j->l;
    const int x_rows = l->kernels->x_rows;
    int8_t *x = (int8_t *)(j->prepared + j->layout.x);
    if (!j->layout.sliced) {
        place_columns(x_rows, row, q, ptqi_padded_k(l), x, ptqi_x_stride(l));
        return;
    }
    for (struct ptqi_chunk c = {.blocks = 0}; ptqi_next_chunk(l, &c);) {
        const int64_t column = ptqi_chunk_column(l, &c), width = c.blocks * PTQI_BLOCK;
        place_columns(x_rows, row, q ? q + column : NULL, width,
                      x + column * ptqi_whole_rows(l, j->rows), width);
    }
}

/* Codes and group sums of a row; per tensor the scale is there already. */
static void quantize_row(const struct job *j, int64_t row, float *x, float *ordered)
{
    const struct ptq_linear *l = j->l;
    const int64_t padded = ptqi_padded_k(l);
    float *scale = (float *)(j->prepared + j->layout.scales) + row;
    int32_t *sums = (int32_t *)(j->prepared + j->layout.sums) + row * ptqi_sums_stride(l);
    const float *from = ordered_row(j, row, x, ordered);
    const int spread = l->kernels->x_rows == 2 || j->layout.sliced;
    /* A row whose columns are not side by side is quantized in the buffer that is free. */
    int8_t *q = spread ? (int8_t *)(from == ordered ? x : ordered)
                       : (int8_t *)(j->prepared + j->layout.x) + row * ptqi_x_stride(l);
    const float own = own_scale(j, from);
    memset(q + l->k, 0, (size_t)(padded - l->k));
    if (own != own || l->activations == PTQ_ACTIVATIONS_INT8_TOKEN)
        *scale = own;
    else if (l->activations == PTQ_ACTIVATIONS_INT8_STATIC)
        *scale = l->activation_scale;
    if (*scale > 0.0f) {
        l->kernels->quantize(from, *scale, l->k, l->group_size, q, sums);
    } else {
        memset(q, 0, (size_t)l->k);
        memset(sums, 0, (size_t)l->groups * sizeof *sums);
    }
    uint32_t all = 0;
    for (int64_t g = 0; g < l->groups; g++)
        all += (uint32_t)sums[g];
    sums[l->groups] = (int32_t)all;
    if (l->kernels->starts && j->layout.sliced)
        l->kernels->starts(q, l->panel.blocks, l->panel.group_blocks, sums + l->groups + 1);
    if (spread)
        place_row(j, row, q);
    if (row + 1 == j->rows && ptqi_whole_rows(l, j->rows) > j->rows)
        place_row(j, row + 1, NULL);
}

static void keep_row(const struct job *j, int64_t row, float *unused, float *unused_too)
{
    const struct ptq_linear *l = j->l;
    float *scale = (float *)(j->prepared + j->layout.scales) + row;
    float *kept = (float *)(j->prepared + j->layout.x) + row * l->k;
    (void)unused, (void)unused_too;
    const float *from = load_row(j, row, kept);
    if (from != kept)
        memcpy(kept, from, (size_t)l->k * sizeof *kept);
    *scale = 1.0f;
    if (l->kernels->magnitude(kept, l->k) >= 0x7f800000) {
        memset(kept, 0, (size_t)l->k * sizeof *kept);
        *scale = ptqi_from_bits(0x7fc00000);
    }
}

static void prepare_rows(void *argument, int64_t part)
{
    struct job *j = argument;
    const int64_t row_bytes = ptqi_align(j->l->k * 4);
    char *scratch = j->prepared + j->layout.scratch + part * 2 * row_bytes;
    int64_t begin, end;
    ptqi_split(j->rows, 1, part, j->parts, &begin, &end);
    for (int64_t row = begin; row < end; row++)
        j->step(j, row, (float *)scratch, (float *)(scratch + row_bytes));
}

void ptqi_prepare(const struct ptq_linear *l, const struct ptqi_prepared *layout,
                  const struct ptqi_block *x, ptqi_parallel_way parallel, void *prepared)
{
    struct job job = {.l = l,
                      .x = x->data,
                      .dtype = x->dtype,
                      .rows = x->rows,
                      .ldx = x->ld,
                      .prepared = prepared,
                      .layout = *layout};
    memcpy(prepared, layout, sizeof *layout);
    job.parts = ptqi_min(x->rows, ptqi_threads(l->context));
    if ((double)x->rows * (double)l->k < 65536 && job.parts > 1)
        job.parts = 1; /* waking the team would cost more */
    if (!x->rows)
        return;
    if (l->activations == PTQ_ACTIVATIONS_INT8_TENSOR) {
        job.step = measure_row;
        parallel(l->context, job.parts, prepare_rows, &job);
        share_scale(&job);
    }
    job.step = l->activations == PTQ_ACTIVATIONS_F32 ? keep_row : quantize_row;
    parallel(l->context, job.parts, prepare_rows, &job);
}

struct ptqi_block ptqi_linear_x(const struct ptq_linear *l, const void *x, int32_t x_dtype,
                                int64_t rows, int64_t ldx)
{
    return (struct ptqi_block){"x", "ldx", "K", x, x_dtype, rows, l->k, ldx};
}

ptq_status ptq_linear_prepare(const ptq_linear *linear, const void *x, int32_t x_dtype,
                              int64_t rows, int64_t ldx, void *prepared)
{
    struct ptqi_prepared layout;
    PTQI_REQUIRE(NULL, linear);
    const struct ptqi_block block = ptqi_linear_x(linear, x, x_dtype, rows, ldx);
    PTQI_TRY(ptqi_check_block(linear->context, __func__, &block));
    PTQI_REQUIRE_ALIGNED(linear->context, __func__, prepared);
    PTQI_TRY(ptqi_prepared_layout(__func__, linear, rows, &layout));
    ptqi_prepare(linear, &layout, &block, ptqi_parallel_inside, prepared);
    return PTQ_OK;
}
