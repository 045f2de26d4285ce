/*
 * X^T X, blocked like the product in matmul.c. Rows are read in place, and converted and weighted
 * as they are packed.
 */
#include "gram.h"
#include <string.h>
#include "base/half.h"
#include "kernel/kernel.h"

#define MOST_ROWS 128 /* in a block: a sliver of the left operand stays in the L1 cache */
#define SMALL_ROWS 64 /* with a small buffer */
#define LINE 16       /* floats per cache line */
#define RUN 256       /* channels of the left operand loaded at a time */
#define SLACK PTQI_MAX_MR

/* A block of the sum: rows t .. t + count, channels i .. i + height of the left operand, n .. n +
 * width of the right one. */
struct block {
    const struct ptqi_kernels *kernels;
    const struct ptqi_gram *g;
    float *c;
    int64_t t, count, i, height, n, width;
    float *left;  /* [slivers][count * mr + SLACK] */
    float *right; /* [panels][count][nr] */
};

/* Floats from one sliver to the next. */
static int64_t sliver(const struct block *b)
{
    return b->count * b->kernels->f32_mr + SLACK;
}

/* out [count] = channels first .. first + count of row t. */
static void load(const struct block *b, const void *rows, int64_t ld, int64_t t, int64_t first,
                 int64_t count, float *out)
{
    const int32_t dtype = b->g->dtype;
    const char *from = (const char *)rows + (t * ld + first) * ptq_dtype_size(dtype);
    if (dtype == PTQ_DTYPE_F32)
        memcpy(out, from, (size_t)count * sizeof *out);
    else
        b->kernels->widen(out, from, dtype, count);
}

/* Packs the right operand; the last panel is padded with zeros. */
static void pack_right(const struct block *b)
{
    const int nr = b->kernels->f32_nr;
    for (int64_t r = 0; r < b->count; r++)
        for (int64_t p = 0; p < b->width; p += nr) {
            float *out = b->right + p * b->count + r * nr;
            const int64_t width = ptqi_min(nr, b->width - p);
            load(b, b->g->x, b->g->ld, b->t + r, b->n + p, width, out);
            for (int64_t i = width; i < nr; i++)
                out[i] = 0;
        }
}

/* l_t, channels first .. first + count, count <= RUN. */
static void load_left(const struct block *b, int64_t t, int64_t first, int64_t count, float *out)
{
    const struct ptqi_gram *g = b->g;
    load(b, g->x, g->ld, t, first, count, out);
    if (g->reference) {
        float reference[RUN];
        load(b, g->reference, g->ldreference, t, first, count, reference);
        for (int64_t i = 0; i < count; i++)
            out[i] = reference[i] - out[i];
    }
    for (int64_t i = 0; g->weights && i < count; i++)
        out[i] = g->weights[t] * out[i];
}

/* Packs the left operand. A copy of PTQI_MAX_MR numbers is one instruction. What it writes beyond a
 * sliver's row is overwritten by the next row, or is SLACK. */
static void pack_left(const struct block *b)
{
    const int64_t mr = b->kernels->f32_mr, whole = RUN / mr * mr, stride = sliver(b);
    float run[RUN + PTQI_MAX_MR] = {0};
    for (int64_t r = 0; r < b->count; r++)
        for (int64_t first = 0; first < b->height; first += whole) {
            const int64_t count = ptqi_min(whole, b->height - first);
            float *out = b->left + first / mr * stride + r * mr;
            load_left(b, b->t + r, b->i + first, count, run);
            for (int64_t i = 0; i < count; i += mr, out += stride)
                memcpy(out, run + i, PTQI_MAX_MR * sizeof *out);
        }
}

/* A tile at the right edge or across the diagonal: only what belongs to the sum is stored. */
static void multiply_edge(const struct block *b, const float *left, int64_t row, int height,
                          int64_t p, int width)
{
    const int nr = b->kernels->f32_nr;
    const int64_t k = b->g->k, column = b->n + p;
    float edge[PTQI_MAX_MR * PTQI_MAX_NR], *c = b->c + row * k + column;
    if (width < nr)
        memset(edge, 0, (size_t)(height * nr) * sizeof *edge);
    for (int r = 0; r < height; r++)
        memcpy(edge + r * nr, c + r * k, (size_t)width * sizeof *c);
    b->kernels->f32_tile(height, b->count, left, 1, b->kernels->f32_mr, b->right + p * b->count, nr,
                         edge, nr, 1);
    for (int r = 0; r < height; r++) {
        const int64_t below = b->g->reference ? 0 : row + r - column;
        const int64_t first = below > 0 ? below : 0;
        if (first < width)
            memcpy(c + r * k + first, edge + r * nr + first, (size_t)(width - first) * sizeof *c);
    }
}

/* Prefetches a tile of C, whose rows are far apart. */
static void prefetch(const float *c, int64_t ldc, int64_t rows, int nr)
{
    for (int64_t r = 0; r < rows; r++)
        for (int n = 0; n < nr; n += LINE)
            PTQI_PREFETCH_WRITE(c + r * ldc + n);
}

static void multiply(const struct block *b)
{
    const int mr = b->kernels->f32_mr, nr = b->kernels->f32_nr;
    const int64_t k = b->g->k;
    const int upper = !b->g->reference;
    for (int64_t s = 0; s < b->height; s += mr)
        for (int64_t p = 0; p < b->width; p += nr) {
            const int height = (int)ptqi_min(mr, b->height - s);
            const int width = (int)ptqi_min(nr, b->width - p);
            const int64_t row = b->i + s, column = b->n + p;
            const float *left = b->left + s / mr * sliver(b);
            float *c = b->c + row * k + column;
            if (upper && row >= column + width)
                continue;
            if (p + nr < b->width)
                prefetch(c + nr, k, height, nr);
            else
                prefetch(c + mr * k - p, k, ptqi_min(mr, b->height - s - mr), nr);
            if (width < nr || (upper && row + height > column + 1))
                multiply_edge(b, left, row, height, p, width);
            else
                b->kernels->f32_tile(height, b->count, left, 1, mr, b->right + p * b->count, nr, c,
                                     k, 1);
        }
}

void ptqi_gram_columns(const ptq_context *context, const struct ptqi_gram *g, int64_t begin,
                       int64_t end, float *c, float *buffer, int64_t floats)
{
    struct block b = {.kernels = context->kernels, .g = g, .c = c};
    const int64_t mr = b.kernels->f32_mr, nr = b.kernels->f32_nr;
    const int64_t most = floats < PTQI_GRAM_MOST_FLOATS ? SMALL_ROWS : MOST_ROWS;
    for (b.t = 0; b.t < g->count; b.t += b.count) {
        b.count = ptqi_min(most, g->count - b.t);
        const int64_t left = floats / 4 / sliver(&b) * mr;
        const int64_t right = (floats - left / mr * sliver(&b)) / b.count / nr * nr;
        b.right = buffer;
        b.left = buffer + right * b.count;
        for (b.n = begin; b.n < end; b.n += right) {
            b.width = ptqi_min(right, end - b.n);
            pack_right(&b);
            const int64_t rows = g->reference ? g->k : b.n + b.width;
            for (b.i = 0; b.i < rows; b.i += left) {
                b.height = ptqi_min(left, rows - b.i);
                pack_left(&b);
                multiply(&b);
            }
        }
    }
}
