/*
 * The f32 product against one chain of fused multiply-adds per element, to the bit; and the factor
 * that GPTQ uses.
 */
#include "rows/rows.h"
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "linalg/cholesky.h"
#include "linalg/matmul.h"

void test_matmul(void);

static const int32_t isas[] = {PTQ_ISA_PORTABLE,     PTQ_ISA_AVX2,     PTQ_ISA_AVX_VNNI,
                               PTQ_ISA_AVX512_VNNI,  PTQ_ISA_AMX_INT8, PTQ_ISA_NEON,
                               PTQ_ISA_NEON_DOTPROD, PTQ_ISA_NEON_I8MM};
static const int32_t threads[] = {1, 2, 3, 7};

static ptq_context *make_context(int32_t thread_count, int32_t isa)
{
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_threads(context, thread_count));
    CHECK_OK(ptq_context_set_isa(context, isa));
    return context;
}

struct problem {
    int64_t m, n, k, ldc;
    int flags, layout; /* bits of layout: a by columns, b by columns, rows with gaps */
    struct ptqi_matrix a, b;
    float *a_data, *b_data, *c, *want;
};

static float *numbers(int64_t count, struct random *r)
{
    float *data = malloc((size_t)count * 4 + 4);
    for (int64_t i = 0; i < count; i++)
        data[i] = random_uniform(r);
    return data;
}

static struct problem make_problem(int64_t m, int64_t n, int64_t k, int flags, int layout)
{
    struct random r = {(uint64_t)(m * 1000003 + n * 1009 + k * 7 + flags)};
    struct problem p = {.m = m, .n = n, .k = k, .flags = flags, .layout = layout};
    const int64_t gap = layout & 4 ? 3 : 0;
    p.ldc = n + gap;
    p.a_data = numbers((m + gap) * (k + gap), &r);
    p.b_data = numbers((n + gap) * (k + gap), &r);
    p.c = numbers(m * p.ldc + 1, &r);
    p.want = malloc((size_t)(m * p.ldc + 1) * 4);
    memcpy(p.want, p.c, (size_t)(m * p.ldc + 1) * 4);
    p.a = layout & 1 ? (struct ptqi_matrix){p.a_data, 1, m + gap}
                     : (struct ptqi_matrix){p.a_data, k + gap, 1};
    p.b = layout & 2 ? (struct ptqi_matrix){p.b_data, 1, k + gap}
                     : (struct ptqi_matrix){p.b_data, n + gap, 1};
    const float sign = flags & PTQI_SUBTRACT ? -1 : 1;
    for (int64_t i = 0; i < m; i++) {
        float *row = p.want + i * p.ldc;
        if (!(flags & PTQI_ACCUMULATE))
            memset(row, 0, (size_t)n * 4);
        for (int64_t x = 0; x < k; x++) {
            const float a = sign * p.a.data[i * p.a.row + x * p.a.column];
            const float *b = p.b.data + x * p.b.row;
            for (int64_t j = 0; j < n; j++)
                row[j] = fmaf(a, b[j * p.b.column], row[j]);
        }
    }
    return p;
}

static void free_problem(struct problem *p)
{
    free(p->a_data);
    free(p->b_data);
    free(p->c);
    free(p->want);
}

static int run_problem(ptq_context *context, const struct problem *p)
{
    const int64_t count = p->m * p->ldc + 1;
    float *c = malloc((size_t)count * 4);
    int64_t wrong = 0;
    memcpy(c, p->c, (size_t)count * 4);
    CHECK_OK(ptqi_matmul(context, p->m, p->n, p->k, p->a, p->b, c, p->ldc, p->flags));
    for (int64_t i = 0; i < count && p->ldc; i++) {
        int64_t row = i / p->ldc, column = i % p->ldc;
        if ((p->flags & PTQI_UPPER) && row < p->m && column < p->n && row > column)
            continue;
        wrong += memcmp(&c[i], &p->want[i], 4) != 0; /* including gaps, which must not be written */
    }
    free(c);
    return wrong == 0;
}

static void check_problem(int64_t m, int64_t n, int64_t k, int flags, int layout, int all_threads)
{
    struct problem p = make_problem(m, n, k, flags, layout);
    for (int i = 0; i < 8; i++)
        for (int t = 0; t < (all_threads ? 4 : 1) && ptq_isa_usable(isas[i]); t++) {
            ptq_context *context = make_context(threads[t], isas[i]);
            if (!CHECK(run_problem(context, &p)))
                printf("    %s, %d threads: m %d n %d k %d flags %d layout %d\n",
                       ptq_isa_name(isas[i]), threads[t], (int)m, (int)n, (int)k, flags, layout);
            ptq_context_free(context);
        }
    free_problem(&p);
}

static void test_small(void)
{
    static const int64_t sizes[] = {1, 2, 5, 7, 16, 17, 33, 48};
    int variant = 0;
    for (int m = 0; m < 8; m++)
        for (int n = 0; n < 8; n++)
            for (int k = 0; k < 8; k++, variant++)
                check_problem(sizes[m], sizes[n], sizes[k], variant % 16, variant / 16 % 8, 0);
    for (int flags = 0; flags < 16; flags++)
        for (int layout = 0; layout < 8; layout++) {
            check_problem(19, 21, 23, flags, layout, 0);
            check_problem(13, 17, 0, flags, layout, 0);
            check_problem(0, 17, 3, flags, layout, 0);
            check_problem(13, 0, 3, flags, layout, 0);
        }
}

/* Larger than the blocks of the product: K > 256, N > 4096, M > 96. */
static void test_large(void)
{
    for (int flags = 0; flags < 16; flags++)
        check_problem(101, 103, 259 + flags, flags, flags % 8, 1);
    check_problem(3, 4100, 300, 0, 2, 1);
    check_problem(200, 70, 520, PTQI_ACCUMULATE, 1, 1);
    check_problem(197, 197, 513, PTQI_UPPER | PTQI_ACCUMULATE, 1, 1);
    check_problem(100, 4099, 17, PTQI_SUBTRACT | PTQI_ACCUMULATE, 0, 1);
    check_problem(4100, 30, 12, PTQI_UPPER, 4, 1);
    check_problem(30, 4100, 12, PTQI_UPPER, 4, 1);
    if (test_long())
        for (int flags = 0; flags < 16; flags++)
            check_problem(300, 4200, 300, flags, flags / 2, 1);
}

static void test_linear_layer(void)
{
    struct problem p = make_problem(37, 41, 300, 0, 2);
    float *y = malloc(37 * 41 * 4);
    CHECK_OK(ptqi_matmul_linear(test_context(), 37, 41, 300, p.a_data, p.b_data, y));
    CHECK(!memcmp(y, p.want, 37 * 41 * 4));
    free(y);
    free_problem(&p);
}

static void test_memory(void)
{
    struct problem p = make_problem(70, 90, 80, 0, 1);
    for (int64_t n = 1, done = 0; !done && CHECK(n < 60); n++) {
        ptq_context *context = test_failing_context(n);
        ptq_status status = PTQ_ERROR_MEMORY;
        if (context) {
            float *c = malloc(70 * 90 * 4);
            CHECK_OK(ptq_context_set_threads(context, 1 + n % 3));
            status = ptqi_matmul(context, p.m, p.n, p.k, p.a, p.b, c, p.ldc, p.flags);
            CHECK(status == PTQ_ERROR_MEMORY ||
                  (status == PTQ_OK && !memcmp(c, p.want, 70 * 90 * 4)));
            free(c);
        }
        done = status == PTQ_OK;
        test_free_failing(context);
    }
    free_problem(&p);
}

/* H = A A^T / count + 0.1 I, in double; its f32 rounding is factored. */
static float *make_hessian(int64_t n, uint64_t seed)
{
    struct random r = {seed};
    const int64_t count = n + 10;
    float *a = numbers(n * count, &r), *h = malloc((size_t)(n * n) * 4);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = i == j ? 0.1 : 0;
            for (int64_t t = 0; t < count; t++)
                sum += (double)a[i * count + t] * (double)a[j * count + t] / (double)count;
            h[i * n + j] = (float)sum;
        }
    free(a);
    return h;
}

/* H^-1 = U^T U means U H U^T = I, since U is square. The largest distance from it. */
static double distance(int64_t n, const float *h, const float *u)
{
    double *product = malloc((size_t)(n * n) * sizeof *product), worst = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t k = i; k < n; k++)
                sum += (double)u[i * n + k] * (double)h[k * n + j];
            product[i * n + j] = sum;
        }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t k = j; k < n; k++)
                sum += product[i * n + k] * (double)u[j * n + k];
            worst = fmax(worst, fabs(sum - (i == j)));
        }
    free(product);
    return worst;
}

static void check_factor(int64_t n)
{
    float *h = make_hessian(n, (uint64_t)n), *first = NULL;
    const size_t bytes = (size_t)(n * n) * 4;
    for (int i = 0; i < 8; i++)
        for (int t = 0; t < 4 && ptq_isa_usable(isas[i]); t++) {
            ptq_context *context = make_context(threads[t], isas[i]);
            float *u = malloc(bytes);
            memcpy(u, h, bytes);
            for (int64_t row = 0; row < n; row++) /* only the upper triangle counts */
                for (int64_t column = 0; column < row; column++)
                    u[row * n + column] = NAN;
            CHECK_OK(ptqi_inverse_factor(ptqi_crew_of(context), n, u));
            ptq_context_free(context);
            if (!first) {
                int below = 0;
                for (int64_t row = 0; row < n; row++)
                    for (int64_t column = 0; column <= row; column++)
                        below += column < row ? u[row * n + column] != 0 : !(u[row * n + row] > 0);
                CHECK_EQ(below, 0);
                CHECK(distance(n, h, u) < 1e-4);
                first = u;
                continue;
            }
            CHECK(!memcmp(first, u, bytes));
            free(u);
        }
    free(first);
    free(h);
}

static void test_factor(void)
{
    static const int64_t sizes[] = {1, 2, 3, 63, 64, 65, 127, 129, 200, 320};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_factor(sizes[i]);
    static const int64_t places[] = {0, 1, 63, 64, 99};
    for (int i = 0; i < 5; i++)
        for (int kind = 0; kind < 4; kind++) { /* a pivot that is 0, negative, NaN, infinite */
            static const float bad[] = {0, -1, NAN, INFINITY};
            float *h = make_hessian(100, 1);
            h[places[i] * 100 + places[i]] = bad[kind];
            CHECK_STATUS(ptqi_inverse_factor(ptqi_crew_of(test_context()), 100, h),
                         PTQ_ERROR_NUMERIC);
            free(h);
        }
    ptq_context *context = make_context(1, PTQ_AUTO);
    float *h = make_hessian(130, 2);
    ptq_context_cancel(context);
    CHECK_STATUS(ptqi_inverse_factor(ptqi_crew_of(context), 130, h), PTQ_ERROR_CANCELLED);
    free(h);
    ptq_context_free(context);
}

static void test_vector(void)
{
    struct random r = {1};
    float *x = numbers(501, &r), *w = numbers(501, &r), *out = numbers(501, &r);
    double squares = 0, sum = 0;
    int wrong = 0;
    for (int i = 0; i < 501; i++) {
        squares += (double)x[i] * (double)x[i];
        sum += exp((double)x[i] * 50);
        out[i] = x[i] * 50;
    }
    CHECK(fabs(row_log_sum_exp(test_context(), out, 501) - log(sum)) < 1e-5);
    row_softmax(test_context(), out, 501);
    for (int i = 0; i < 501; i++)
        wrong += fabs((double)out[i] - exp((double)(x[i] * 50)) / sum) > 1e-5;
    row_rms_norm(test_context(), x, w, 1e-5f, out, 501);
    for (int i = 0; i < 501; i++)
        wrong +=
            fabs((double)out[i] - (double)x[i] * (double)w[i] / sqrt(squares / 501 + 1e-5)) > 1e-5;
    row_silu_multiply(test_context(), x, w, out, 501);
    for (int i = 0; i < 501; i++)
        wrong +=
            fabs((double)out[i] - (double)x[i] / (1 + exp(-(double)x[i])) * (double)w[i]) > 1e-6;
    double variance = 0;
    sum = 0;
    for (int i = 0; i < 501; i++)
        sum += (double)x[i];
    for (int i = 0; i < 501; i++)
        variance += ((double)x[i] - sum / 501) * ((double)x[i] - sum / 501) / 501;
    row_layer_norm(test_context(), x, w, x, 1e-5f, out, 501);
    for (int i = 0; i < 501; i++) {
        double normed = ((double)x[i] - sum / 501) / sqrt(variance + 1e-5) * (double)w[i];
        wrong += fabs((double)out[i] - normed - (double)x[i]) > 1e-5;
    }
    CHECK_EQ(wrong, 0);
    free(x);
    free(w);
    free(out);
}

void test_matmul(void)
{
    test_small();
    test_large();
    test_linear_layer();
    test_memory();
    test_factor();
    test_vector();
}
