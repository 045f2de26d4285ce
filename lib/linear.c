/*
 * ptq_linear: running a packed matrix.
 *
 * The columns of y are cut into panels, and panels are shared out among threads. For each panel the
 * kernel runs over all rows of x, a tile at a time; a tile's results are scaled, get their bias and
 * are stored. With f32 activations a panel is dequantized first, and the f32 kernel runs over it, so
 * that the result is bit for bit the f32 product with the dequantized weights.
 */
#include "linear.h"
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "qtensor.h"

ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear)
{
    if (!linear)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_linear_create: no place for the result");
    *linear = NULL;
    if (!context || !q)
        return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "ptq_linear_create: no context or qtensor");
    PTQI_TRY(ptqi_qtensor_check(q));
    struct ptq_linear *l = ptqi_alloc_zero(context, 1, (int64_t)sizeof *l);
    if (!l)
        return PTQ_ERROR_MEMORY;
    l->context = context;
    l->kernels = context->kernels;
    ptq_status status = ptqi_linear_pack(l, q);
    if (status) {
        ptq_linear_free(l);
        return status;
    }
    *linear = l;
    return PTQ_OK;
}

void ptq_linear_free(ptq_linear *l)
{
    if (!l)
        return;
    ptqi_free(l->context, l->codes);
    ptqi_free(l->context, l->scales);
    ptqi_free(l->context, l->zeros);
    ptqi_free(l->context, l->group_of);
    ptqi_free(l->context, l->bias);
    ptqi_free(l->context, l->input_scale);
    ptqi_free(l->context, l->order);
    ptqi_free(l->context, l);
}

int64_t ptq_linear_n(const ptq_linear *linear)
{
    return linear->n;
}

int64_t ptq_linear_k(const ptq_linear *linear)
{
    return linear->k;
}

int64_t ptq_linear_bytes(const ptq_linear *linear)
{
    return linear->bytes;
}

ptq_status ptq_linear_set_bias(ptq_linear *l, const float *bias)
{
    float *copy = NULL;
    if (bias) {
        copy = ptqi_alloc(l->context, l->n, (int64_t)sizeof *copy);
        if (!copy)
            return PTQ_ERROR_MEMORY;
        memcpy(copy, bias, (size_t)l->n * sizeof *copy);
    }
    ptqi_free(l->context, l->bias);
    l->bias = copy;
    return PTQ_OK;
}

static int is_integer(const struct ptq_linear *l)
{
    return l->activations != PTQ_ACTIVATIONS_F32;
}

static int panel_rows(const struct ptq_linear *l)
{
    return is_integer(l) ? l->kernels->int_nr : l->kernels->f32_nr;
}

int64_t ptq_linear_part_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    (void)rows;
    int64_t panel = is_integer(l) ? 0 : l->k * l->kernels->f32_nr * (int64_t)sizeof(float);
    return (panel + PTQ_ALIGNMENT) / PTQ_ALIGNMENT * PTQ_ALIGNMENT;
}

int64_t ptq_linear_scratch_bytes(const ptq_linear *l, int64_t rows)
{
    int64_t prepared = ptq_linear_prepared_bytes(l, rows);
    int64_t parts = ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    return prepared ? (prepared + PTQ_ALIGNMENT - 1) / PTQ_ALIGNMENT * PTQ_ALIGNMENT + parts : 0;
}

struct run {
    const struct ptq_linear *l;
    const char *prepared;
    struct ptqi_prepared layout;
    char *y;
    int32_t dtype;
    int64_t ldy;
    char *scratch; /* of all parts, or of this part */
    int64_t part_scratch, parts;
};

/* sum [rows][nr] of a tile, scaled, biased and stored as columns n0 .. of rows m0 .. of y. */
static void store_tile(const struct run *r, const float *sum, int64_t m0, int rows, int64_t n0)
{
    const struct ptq_linear *l = r->l;
    const int nr = panel_rows(l);
    const float *scales = (const float *)(r->prepared + r->layout.scales);
    const int64_t width = l->n - n0 < nr ? l->n - n0 : nr;
    for (int m = 0; m < rows; m++) {
        float out[PTQI_MAX_NR], scale = scales[m0 + m];
        for (int64_t n = 0; n < width; n++) {
            float y = l->bias ? fmaf(sum[m * nr + n], scale, l->bias[n0 + n])
                              : sum[m * nr + n] * scale;
            out[n] = y == y ? y : ptqi_from_bits(0x7fc00000); /* one NaN on all CPUs */
        }
        char *y = r->y + ((m0 + m) * r->ldy + n0) * ptq_dtype_size(r->dtype);
        ptqi_from_f32(y, r->dtype, out, width);
    }
}

static void run_int_panel(const struct run *r, int64_t panel)
{
    const struct ptq_linear *l = r->l;
    const struct ptqi_kernels *kernels = l->kernels;
    const int nr = kernels->int_nr;
    const int64_t at = panel * l->groups * nr, padded = ptqi_padded_k(l);
    const int32_t *sums = (const int32_t *)(r->prepared + r->layout.sums);
    const int8_t *x = (const int8_t *)(r->prepared + r->layout.x);
    struct ptqi_panel p = {.codes = l->codes + panel * l->panel_bytes,
                           .scales = l->scales + at,
                           .zeros = l->zeros ? l->zeros + at : NULL,
                           .zero = l->zero,
                           .blocks = padded / PTQI_BLOCK,
                           .group_blocks = (l->group_size + PTQI_BLOCK - 1) / PTQI_BLOCK};
    for (int64_t m = 0; m < r->layout.rows; m += kernels->int_mr) {
        float sum[PTQI_MAX_MR * PTQI_MAX_NR];
        int64_t left = r->layout.rows - m;
        int rows = left < kernels->int_mr ? (int)left : kernels->int_mr;
        (l->code_bits == 8 ? kernels->w8a8_tile : kernels->w4a8_tile)(
            rows, &p, x + m * padded, padded, sums + m * l->groups, l->groups, sum);
        store_tile(r, sum, m, rows, panel * nr);
    }
}

/* out [k][nr]: rows n0 .. of W dequantized, sw (q - z) rounded once; rows beyond N are zero. */
static void dequantize_panel(const struct ptq_linear *l, int64_t n0, float *out)
{
    const int nr = l->kernels->f32_nr;
    for (int j = 0; j < nr; j++) {
        const int64_t n = n0 + j;
        if (n >= l->n) {
            for (int64_t i = 0; i < l->k; i++)
                out[i * nr + j] = 0.0f;
            continue;
        }
        const uint8_t *codes = l->codes + n * l->row_bytes;
        for (int64_t i = 0; i < l->k; i++) {
            const int64_t at = n * l->groups + l->group_of[i];
            int32_t code = l->code_bits == 8 ? codes[i] : codes[i / 2] >> (i % 2 * 4) & 15;
            int32_t zero = l->zeros ? l->zeros[at] : l->zero;
            out[i * nr + j] = l->scales[at] * (float)(code - zero);
        }
    }
}

static void run_f32_panel(const struct run *r, int64_t panel, float *weights)
{
    const struct ptq_linear *l = r->l;
    const int nr = l->kernels->f32_nr, mr = l->kernels->f32_mr;
    const float *x = (const float *)(r->prepared + r->layout.x);
    dequantize_panel(l, panel * nr, weights);
    for (int64_t m = 0; m < r->layout.rows; m += mr) {
        float sum[PTQI_MAX_MR * PTQI_MAX_NR];
        int rows = r->layout.rows - m < mr ? (int)(r->layout.rows - m) : mr;
        l->kernels->f32_tile(rows, l->k, x + m * l->k, l->k, 1, weights, sum, nr, 0);
        store_tile(r, sum, m, rows, panel * nr);
    }
}

static void run_panels(const struct run *r, char *scratch, int64_t part, int64_t parts)
{
    const int nr = panel_rows(r->l);
    int64_t begin, end;
    ptqi_split((r->l->n + nr - 1) / nr, 1, part, parts, &begin, &end);
    for (int64_t panel = begin; panel < end; panel++) {
        if (is_integer(r->l))
            run_int_panel(r, panel);
        else
            run_f32_panel(r, panel, (float *)scratch);
    }
}

static void run_part(void *argument, int64_t part)
{
    struct run *r = argument;
    run_panels(r, r->scratch + part * r->part_scratch, part, r->parts);
}

static ptq_status begin_run(const ptq_linear *l, const void *prepared, void *y, int32_t y_dtype,
                            int64_t ldy, struct run *r)
{
    if (!l || !prepared || (uintptr_t)prepared % PTQ_ALIGNMENT || !y || ldy < l->n)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_forward: an argument is NULL, not aligned, or ldy below N");
    if (!ptqi_is_float(y_dtype))
        return ptqi_fail(l->context, PTQ_ERROR_DTYPE, "y must be f32, f16 or bf16");
    memset(r, 0, sizeof *r);
    memcpy(&r->layout, prepared, sizeof r->layout);
    if (r->layout.magic != PTQI_PREPARED_MAGIC || r->layout.recipe != l->recipe)
        return ptqi_fail(l->context, PTQ_ERROR_CONFLICT,
                         "these activations were prepared by a linear with another recipe");
    r->l = l;
    r->prepared = prepared;
    r->y = y;
    r->dtype = y_dtype;
    r->ldy = ldy;
    return PTQ_OK;
}

ptq_status ptq_linear_forward_part(const ptq_linear *l, const void *prepared, void *y,
                                   int32_t y_dtype, int64_t ldy, void *scratch, int64_t part,
                                   int64_t parts)
{
    struct run r;
    PTQI_TRY(begin_run(l, prepared, y, y_dtype, ldy, &r));
    if (part < 0 || part >= parts)
        return ptqi_fail(l->context, PTQ_ERROR_ARGUMENT, "there is no part %lld of %lld",
                         (long long)part, (long long)parts);
    void *own = NULL;
    if (!scratch && !(own = ptqi_alloc(l->context, ptq_linear_part_scratch_bytes(l, 0), 1)))
        return PTQ_ERROR_MEMORY;
    run_panels(&r, own ? own : scratch, part, parts);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

ptq_status ptq_linear_forward_prepared(const ptq_linear *l, const void *prepared, void *y,
                                       int32_t y_dtype, int64_t ldy, void *scratch)
{
    struct run r;
    PTQI_TRY(begin_run(l, prepared, y, y_dtype, ldy, &r));
    void *own = NULL;
    r.parts = ptqi_threads(l->context);
    if (r.layout.rows * l->n * l->k < 65536)
        r.parts = 1;
    r.part_scratch = ptq_linear_part_scratch_bytes(l, r.layout.rows);
    if (!scratch && !(own = ptqi_alloc(l->context, r.parts, r.part_scratch)))
        return PTQ_ERROR_MEMORY;
    r.scratch = own ? own : scratch;
    ptqi_parallel(l->context, r.parts, run_part, &r);
    ptqi_free(l->context, own);
    return PTQ_OK;
}

ptq_status ptq_linear_forward(const ptq_linear *l, const void *x, int32_t x_dtype, int64_t rows,
                              int64_t ldx, void *y, int32_t y_dtype, int64_t ldy, void *scratch)
{
    if (!l || rows < 0)
        return ptqi_fail(l ? l->context : NULL, PTQ_ERROR_ARGUMENT,
                         "ptq_linear_forward: no linear, or a negative number of rows");
    if (rows == 0)
        return PTQ_OK;
    int64_t bytes = ptq_linear_scratch_bytes(l, rows);
    char *own = NULL, *memory = scratch;
    if (!bytes)
        return ptqi_fail(l->context, PTQ_ERROR_SHAPE, "%lld rows are too many", (long long)rows);
    if (!memory && !(memory = own = ptqi_alloc(l->context, bytes, 1)))
        return PTQ_ERROR_MEMORY;
    int64_t prepared = bytes - ptqi_threads(l->context) * ptq_linear_part_scratch_bytes(l, rows);
    ptq_status status = ptq_linear_prepare(l, x, x_dtype, rows, ldx, memory);
    if (!status)
        status = ptq_linear_forward_prepared(l, memory, y, y_dtype, ldy, memory + prepared);
    ptqi_free(l->context, own);
    return status;
}
