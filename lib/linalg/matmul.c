/*
 * Blocked f32 matrix product, after Goto and van de Geijn ("Anatomy of High-Performance Matrix
 * Multiplication", 2008), with the roles of A and B exchanged: an MC x KC block of A is packed into
 * slivers of mr rows, a KC x NC block of B into panels of nr columns, and the kernel's tile runs
 * over both. A sliver stays in the L1 cache while the panels of B come from L2. Dividing K into
 * blocks does not change a bit: each element's chain continues from the value that the previous
 * block left in C.
 */
#include "matmul.h"
#include <stdatomic.h>
#include <math.h>
#include <string.h>
#include "base/team.h"
#include "kernel/kernel.h"

#define MC 2048 /* rows of A packed at a time: a few megabytes, in the last-level cache */

struct job {
    ptq_context *context;
    const struct ptqi_kernels *kernels;
    int64_t m, n, k;
    struct ptqi_matrix a, b;
    float *c;
    int64_t ldc;
    int flags, split_columns;
    int pack;     /* A is packed too */
    int in_place; /* B is not packed, since it is used only once */
    int64_t parts;
    int64_t kc, mc, nc; /* block sizes */
    atomic_int failed;
};

/* out [panels][k][nr] = B[k0 .. k0 + k)[n0 .. n0 + n), zero-padded to whole panels. */
static void pack_b(const struct job *j, int64_t k0, int64_t k, int64_t n0, int64_t n, float *out)
{
    const int nr = j->kernels->f32_nr;
    for (int64_t p = 0; p < n; p += nr, out += k * nr) {
        int width = (int)ptqi_min(nr, n - p);
        const float *from = j->b.data + k0 * j->b.row + (n0 + p) * j->b.column;
        if (j->b.row == 1 && width == nr) {
            j->kernels->f32_transpose(from, j->b.column, k, out);
            continue;
        }
        if (width < nr)
            memset(out, 0, (size_t)(k * nr) * sizeof *out);
        if (j->b.column == 1)
            for (int64_t i = 0; i < k; i++)
                memcpy(out + i * nr, from + i * j->b.row, (size_t)width * sizeof *out);
        else
            for (int c = 0; c < width; c++)
                for (int64_t i = 0; i < k; i++)
                    out[i * nr + c] = from[i * j->b.row + c * j->b.column];
    }
}

#define LINE 16 /* floats per cache line */

/*
 * out [slivers][k][mr] = A[m0 .. m0 + m)[k0 .. k0 + k), negated for PTQI_SUBTRACT. Rows or columns
 * of A are often a multiple of 4096 bytes apart, so a cache holds few of them. If columns are
 * contiguous, all rows of a column are read at once; if rows are, one cache line of each row in
 * turn, so that many loads are in flight.
 */
static void pack_a(const struct job *j, int64_t m0, int64_t m, int64_t k0, int64_t k, float *out)
{
    const int mr = j->kernels->f32_mr;
    const int64_t row = j->a.row, column = j->a.column;
    const float sign = j->flags & PTQI_SUBTRACT ? -1.0f : 1.0f;
    const float *from = j->a.data + m0 * row + k0 * column;
    for (int64_t i = 0; i < k && row == 1; i++)
        for (int64_t s = 0; s < m; s += mr)
            for (int64_t r = 0; r < ptqi_min(mr, m - s); r++)
                out[s * k + i * mr + r] = sign * from[s + r + i * column];
    for (int64_t s = 0; s < m && row != 1; s += mr)
        for (int64_t line = 0; line < k; line += LINE)
            for (int64_t r = 0; r < ptqi_min(mr, m - s); r++)
                for (int64_t i = line; i < ptqi_min(line + LINE, k); i++)
                    out[s * k + i * mr + r] = sign * from[(s + r) * row + i * column];
}

/* A block of A: packed, or in place if its rows are dense and so can be read as fast. */
struct piece {
    const float *data;
    int64_t row, k;
};

/* A panel of B: packed, or in place if its rows are dense and read only once. */
struct panel {
    const float *data;
    int64_t k;
};

/* The panel of columns n0 + p .. n0 + p + width. In place, only an incomplete panel is packed. */
static struct panel panel_of(const struct job *j, int64_t n0, int64_t p, int width, int64_t k0,
                             int64_t k, const float *packed)
{
    const int nr = j->kernels->f32_nr;
    if (!j->in_place)
        return (struct panel){packed + p * k, nr};
    if (width < nr)
        return (struct panel){packed, nr};
    return (struct panel){j->b.data + k0 * j->b.row + n0 + p, j->b.row};
}

/* Prefetches a tile of C, whose rows are far apart. */
static void prefetch(const float *c, int64_t ldc, int64_t rows, int nr)
{
    for (int64_t r = 0; r < rows; r++)
        for (int n = 0; n < nr; n += LINE)
            PTQI_PREFETCH_WRITE(c + r * ldc + n);
}

/* Multiplies a block of A by panels of B: C[m0 ..][n0 ..] of size m x n. */
static void multiply_panels(const struct job *j, int64_t m0, int64_t m, int64_t n0, int64_t n,
                            int64_t k0, int64_t k, const float *packed, const float *b,
                            int accumulate)
{
    const int mr = j->kernels->f32_mr, nr = j->kernels->f32_nr;
    for (int64_t s = 0; s < m; s += mr)
        for (int64_t p = 0; p < n; p += nr) {
            int height = (int)ptqi_min(mr, m - s), width = (int)ptqi_min(nr, n - p);
            float *c = j->c + (m0 + s) * j->ldc + n0 + p, edge[PTQI_MAX_MR * PTQI_MAX_NR];
            struct piece a = {packed + s * k, 1, mr};
            const struct panel w = panel_of(j, n0, p, width, k0, k, b);
            if ((j->flags & PTQI_UPPER) && m0 + s > n0 + p + width - 1)
                continue;
            if (!j->pack)
                a = (struct piece){j->a.data + (m0 + s) * j->a.row + k0 * j->a.column, j->a.row, 1};
            if (p + nr < n)
                prefetch(c + nr, j->ldc, height, nr);
            else
                prefetch(c + mr * j->ldc - p, j->ldc, ptqi_min(mr, m - s - mr), nr);
            if (width == nr) {
                j->kernels->f32_tile(height, k, a.data, a.row, a.k, w.data, w.k, c, j->ldc,
                                     accumulate);
                continue;
            }
            memset(edge, 0, sizeof edge);
            for (int r = 0; accumulate && r < height; r++)
                memcpy(edge + r * nr, c + r * j->ldc, (size_t)width * sizeof *c);
            j->kernels->f32_tile(height, k, a.data, a.row, a.k, w.data, w.k, edge, nr, accumulate);
            for (int r = 0; r < height; r++)
                memcpy(c + r * j->ldc, edge + r * nr, (size_t)width * sizeof *c);
        }
}

/* Rows m .. m + height of C, columns n0 .. n1; a and b are buffers for the blocks. */
static void multiply_rows(const struct job *j, int64_t m, int64_t height, int64_t n0, int64_t n1,
                          float *a, float *b)
{
    for (int64_t k0 = 0; k0 < j->k; k0 += j->kc) {
        const int64_t k = ptqi_min(j->kc, j->k - k0);
        const int accumulate = k0 > 0 || (j->flags & PTQI_ACCUMULATE);
        if (j->pack)
            pack_a(j, m, height, k0, k, a);
        for (int64_t n = n0; n < n1; n += j->nc) {
            int64_t width = ptqi_min(j->nc, n1 - n);
            if ((j->flags & PTQI_UPPER) && m > n + width - 1)
                continue;
            const int64_t dense = j->in_place ? width / j->kernels->f32_nr * j->kernels->f32_nr : 0;
            pack_b(j, k0, k, n + dense, width - dense, b);
            multiply_panels(j, m, height, n, width, k0, k, a, b, accumulate);
        }
    }
}

/* Rows m0 .. m1, columns n0 .. n1 of C. */
static void multiply_range(struct job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1)
{
    const int mr = j->kernels->f32_mr, nr = j->kernels->f32_nr;
    const int64_t kc = ptqi_min(j->kc, j->k);
    const int64_t a_rows = ptqi_min(j->mc, (m1 - m0 + mr - 1) / mr * mr);
    const int64_t b_columns = j->in_place ? nr : ptqi_min(j->nc, (n1 - n0 + nr - 1) / nr * nr);
    float *a = ptqi_alloc_zero(j->context, j->pack ? kc * a_rows : 0, (int64_t)sizeof *a);
    float *b = ptqi_alloc(j->context, kc * b_columns, (int64_t)sizeof *b);
    if (!a || !b)
        atomic_store(&j->failed, 1);
    for (int64_t m = m0; a && b && m < m1; m += j->mc)
        multiply_rows(j, m, ptqi_min(j->mc, m1 - m), n0, n1, a, b);
    ptqi_free(j->context, a);
    ptqi_free(j->context, b);
}

/* First row of a part: rows of an upper triangle get shorter, so equal work needs unequal parts. */
static int64_t first_row(const struct job *j, int64_t part)
{
    int64_t begin, end, mr = j->kernels->f32_mr;
    if (part >= j->parts)
        return j->m;
    if (!(j->flags & PTQI_UPPER) || j->m != j->n) {
        ptqi_split(j->m, mr, part, j->parts, &begin, &end);
        return begin;
    }
    double share = 1.0 - sqrt(1.0 - (double)part / (double)j->parts);
    return (int64_t)(share * (double)j->m) / mr * mr;
}

static void run_part(void *argument, int64_t part)
{
    struct job *j = argument;
    int64_t m0 = 0, m1 = j->m, n0 = 0, n1 = j->n;
    if (j->split_columns) {
        ptqi_split(j->n, j->kernels->f32_nr, part, j->parts, &n0, &n1);
    } else {
        m0 = first_row(j, part);
        m1 = first_row(j, part + 1);
    }
    if (m0 < m1 && n0 < n1)
        multiply_range(j, m0, m1, n0, n1);
}

/* Chooses block sizes. Dense rows of A can also be read in place, but many of them at the same page
 * offset evict each other from the cache, so this pays only for few columns. */
static void plan(struct job *j)
{
    const struct ptqi_kernels *kernels = j->kernels;
    const int64_t l1 = j->context->l1_bytes, l2 = j->context->l2_bytes, size = sizeof(float);
    const int64_t mr = kernels->f32_mr, nr = kernels->f32_nr;
    j->kc = l1 * 3 / 8 / (mr * size) / 16 * 16; /* the rest is for data that passes through */
    j->kc = j->kc < 64 ? 64 : j->kc;
    const int64_t pieces = (j->k + j->kc / 2 - 1) / j->kc; /* of about that size, all equal */
    j->kc = pieces > 1 ? ((j->k + pieces - 1) / pieces + LINE - 1) / LINE * LINE : j->k;
    j->nc = l2 / 2 / (j->kc * size) / nr * nr;
    j->nc = j->nc < nr ? nr : j->nc;
    j->mc = (MC + mr - 1) / mr * mr;
    j->pack = j->a.column != 1 || (j->flags & PTQI_SUBTRACT) || (j->m >= mr && j->n >= 256);
    j->in_place = j->b.column == 1 && j->m <= mr;
    j->split_columns = j->n > j->m && !(j->flags & PTQI_UPPER);
}

ptq_status ptqi_matmul_as(struct ptqi_crew crew, int64_t m, int64_t n, int64_t k,
                          struct ptqi_matrix a, struct ptqi_matrix b, float *c, int64_t ldc,
                          int flags)
{
    ptq_context *context = crew.context;
    struct job j = {.context = context,
                    .kernels = context->kernels,
                    .m = m,
                    .n = n,
                    .k = k,
                    .a = a,
                    .b = b,
                    .c = c,
                    .ldc = ldc,
                    .flags = flags,
                    .parts = 1};
    atomic_init(&j.failed, 0);
    if (k == 0 && !(flags & PTQI_ACCUMULATE))
        for (int64_t i = 0; i < m; i++)
            memset(c + i * ldc, 0, (size_t)n * sizeof *c);
    if (m == 0 || n == 0 || k == 0)
        return PTQ_OK;
    /* Below a few hundred thousand operations, waking the team costs more than it saves. */
    if (!(flags & PTQI_SERIAL) && (double)m * (double)n * (double)k > 2e5)
        j.parts = ptqi_threads(context);
    plan(&j);
    PTQI_TRY(ptqi_parallel_as(context, crew.user, j.parts, run_part, &j));
    if (atomic_load(&j.failed))
        return ptqi_fail(context, PTQ_ERROR_MEMORY, "out of memory in a matrix product");
    return PTQ_OK;
}

ptq_status ptqi_matmul(ptq_context *context, int64_t m, int64_t n, int64_t k, struct ptqi_matrix a,
                       struct ptqi_matrix b, float *c, int64_t ldc, int flags)
{
    return ptqi_matmul_as(ptqi_crew_of(context), m, n, k, a, b, c, ldc, flags);
}

ptq_status ptqi_matmul_linear_as(struct ptqi_crew crew, int64_t rows, int64_t n, int64_t k,
                                 const float *x, const float *w, float *y)
{
    struct ptqi_matrix a = {x, k, 1}, b = {w, 1, k};
    return ptqi_matmul_as(crew, rows, n, k, a, b, y, n, 0);
}

ptq_status ptqi_matmul_linear(ptq_context *context, int64_t rows, int64_t n, int64_t k,
                              const float *x, const float *w, float *y)
{
    return ptqi_matmul_linear_as(ptqi_crew_of(context), rows, n, k, x, w, y);
}
