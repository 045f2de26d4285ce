/*
 * What a quantized matrix may have beyond scales and integer zero points: minima, levels, groups of
 * 16 and of any columns, 5 and 6 bits, zero points of 2^bits, negative scales. Products are
 * compared, to the bit, with the formulas in ptq/call.h and ptq/qtensor.h, written without the
 * library's code.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "calls.h"
#include "layer.h"
#include "test.h"

void test_forms(void);

enum {
    HAS_MINIMA = 1,
    HAS_LEVELS = 2,
    HAS_ZEROS = 4,
    IS_UNEVEN = 8,
    IS_INTEGER = 16,
    IS_16 = 32,
    IS_GROUPED = 64
};
enum { N = 37, K = 112, MAX_GROUPS = K / 16, ROWS = 5 };

struct matrix {
    int32_t bits;
    int64_t group, groups;
    int what;
    uint8_t codes[N * K], zeros[N * MAX_GROUPS];
    float scales[N * MAX_GROUPS], minima[N * MAX_GROUPS];
    int8_t levels[16];
    int32_t index[K];
    ptq_qtensor *q;
};

static void make_matrix(struct matrix *m, int32_t bits, int64_t group, int what, uint64_t seed)
{
    struct random r = {seed};
    m->bits = bits;
    m->group = group;
    m->what = what;
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, bits, group, &m->q));
    m->groups = ptq_qtensor_groups(m->q);
    for (int i = 0; i < N * K; i++)
        m->codes[i] = (uint8_t)random_below(&r, 1 << bits);
    for (int64_t i = 0; i < N * m->groups; i++) {
        m->scales[i] = random_normal(&r); /* of either sign */
        m->minima[i] = random_normal(&r);
        m->zeros[i] = (uint8_t)random_below(&r, bits == 8 ? 256 : (1 << bits) + 1);
        if (!(what & HAS_ZEROS))
            m->zeros[i] = (uint8_t)(1 << (bits - 1));
    }
    for (int i = 0; i < 16; i++) /* no two alike */
        m->levels[i] = (int8_t)(i * 37 % 16 * 16 - 127 + random_below(&r, 15));
    for (int i = 0; i < K; i++) /* the second group is empty */
        m->index[i] = (int32_t)(what & IS_UNEVEN ? random_below(&r, m->groups) : i / group);
    for (int i = 0; i < K && what & IS_UNEVEN; i++)
        m->index[i] = m->index[i] == 1 ? 0 : m->index[i];
    CHECK_OK(ptq_qtensor_set_codes(m->q, m->codes));
    CHECK_OK(ptq_qtensor_set_scales(m->q, m->scales));
    if (what & HAS_ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(m->q, m->zeros));
    if (what & HAS_MINIMA)
        CHECK_OK(ptq_qtensor_set_minima(m->q, m->minima));
    if (what & HAS_LEVELS)
        CHECK_OK(ptq_qtensor_set_levels(m->q, m->levels));
    if (what & IS_UNEVEN)
        CHECK_OK(ptq_qtensor_set_group_index(m->q, m->index));
    CHECK_OK(ptq_qtensor_set_activations(m->q, what & IS_16        ? PTQ_ACTIVATIONS_INT16_TOKEN
                                               : what & IS_GROUPED ? PTQ_ACTIVATIONS_INT8_GROUP
                                               : what & IS_INTEGER ? PTQ_ACTIVATIONS_INT8_TOKEN
                                                                   : PTQ_ACTIVATIONS_F32));
}

/* The integer that a code is multiplied as. */
static int integer_of(const struct matrix *m, int n, int c)
{
    const int code = m->codes[n * K + c];
    if (m->what & HAS_LEVELS)
        return m->levels[code];
    return m->what & HAS_MINIMA ? code : code - m->zeros[n * m->groups + m->index[c]];
}

static float weight_of(const struct matrix *m, int n, int c)
{
    const int64_t at = n * m->groups + m->index[c];
    if (m->what & HAS_MINIMA)
        return fmaf(m->scales[at], (float)integer_of(m, n, c), m->minima[at]);
    return m->scales[at] * (float)integer_of(m, n, c);
}

/* The product of row n with integers, before their scale, but after those of their groups, if not
 * NULL. */
static float integer_sum(const struct matrix *m, const int *x, const float *scales, int n)
{
    const int last = m->what & (IS_16 | IS_GROUPED);
    float sum = 0, totals[MAX_GROUPS];
    for (int64_t g = 0; g < m->groups; g++) {
        int dot = 0, total = 0;
        for (int c = 0; c < K; c++) {
            const int q = m->index[c] == g ? x[c] : 0;
            dot += q * integer_of(m, n, c);
            total += q;
        }
        const float scale = scales ? scales[g] : 1;
        sum = fmaf(m->scales[n * m->groups + g], scale * (float)dot, sum);
        totals[g] = scale * (float)total;
        if (m->what & HAS_MINIMA && !last)
            sum = fmaf(m->minima[n * m->groups + g], totals[g], sum);
    }
    for (int64_t g = 0; g < m->groups && m->what & HAS_MINIMA && last; g++)
        sum = fmaf(m->minima[n * m->groups + g], totals[g], sum);
    return sum;
}

/* y[n] of a row of x with a scale for each group. */
static float output_by_group(const struct matrix *m, const float *x, int n)
{
    int q[K];
    float scales[MAX_GROUPS] = {0};
    for (int c = 0; c < K; c++)
        scales[m->index[c]] = fmaxf(scales[m->index[c]], fabsf(x[c]) / 127);
    for (int c = 0; c < K; c++)
        q[c] = (int)rintf(x[c] / scales[m->index[c]]);
    return integer_sum(m, q, scales, n);
}

/* y[n] of a row of x. */
static float plain_output(const struct matrix *m, const float *x, int n)
{
    const float most = m->what & IS_16 ? 32385 : 127;
    int q[K], high[K];
    float max = 0, sum = 0;
    if (m->what & IS_GROUPED)
        return output_by_group(m, x, n);
    for (int c = 0; c < K; c++)
        max = fabsf(x[c]) > max ? fabsf(x[c]) : max;
    for (int c = 0; c < K; c++) {
        q[c] = (int)rintf(x[c] / (max / most));
        high[c] = (q[c] < 0 ? -1 : 1) * ((abs(q[c]) + 126) / 254);
        q[c] -= m->what & IS_16 ? 254 * high[c] : 0;
        sum = fmaf(x[c], weight_of(m, n, c), sum);
    }
    if (!(m->what & (IS_INTEGER | IS_16)))
        return sum;
    sum = integer_sum(m, q, NULL, n);
    return (m->what & IS_16 ? fmaf(254, integer_sum(m, high, NULL, n), sum) : sum) * (max / most);
}

/* Every part, as it was set. */
static void check_parts(const struct matrix *m, const ptq_qtensor *q)
{
    uint8_t codes[N * K];
    float scales[N * MAX_GROUPS], minima[N * MAX_GROUPS], w[N * K];
    int8_t levels[16];
    int32_t index[K];
    int64_t wrong = 0;
    CHECK_OK(ptq_qtensor_codes(q, codes));
    CHECK_OK(ptq_qtensor_scales(q, scales));
    CHECK_OK(ptq_qtensor_group_index(q, index));
    CHECK_OK(ptq_qtensor_dequantize(q, w));
    CHECK(!memcmp(codes, m->codes, sizeof codes) && !memcmp(index, m->index, sizeof index));
    CHECK(!memcmp(scales, m->scales, (size_t)(N * m->groups) * sizeof *scales));
    CHECK_EQ(ptq_qtensor_has_minima(q), (m->what & HAS_MINIMA) != 0);
    CHECK_EQ(ptq_qtensor_has_levels(q), (m->what & HAS_LEVELS) != 0);
    CHECK_EQ(ptq_qtensor_has_uneven_groups(q), (m->what & IS_UNEVEN) != 0);
    CHECK_STATUS(ptq_qtensor_minima(q, minima), m->what & HAS_MINIMA ? PTQ_OK : PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_qtensor_levels(q, levels), m->what & HAS_LEVELS ? PTQ_OK : PTQ_ERROR_MISSING);
    if (m->what & HAS_MINIMA)
        CHECK(!memcmp(minima, m->minima, (size_t)(N * m->groups) * sizeof *minima));
    if (m->what & HAS_LEVELS)
        CHECK(!memcmp(levels, m->levels, (size_t)1 << m->bits));
    for (int i = 0; i < N * K; i++)
        wrong += w[i] != weight_of(m, i / K, i % K);
    CHECK_EQ(wrong, 0);
}

static void check_unpacked(const struct matrix *m, const ptq_linear *linear)
{
    ptq_qtensor *q;
    if (!CHECK_OK(ptq_linear_unpack(linear, &q)))
        return;
    check_parts(m, q);
    ptq_qtensor_free(q);
}

static void check_products(const struct matrix *m, const float *x)
{
    float want[ROWS * N], y[ROWS * N];
    for (int i = 0; i < ROWS * N; i++)
        want[i] = plain_output(m, x + i / N * K, i % N);
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1) {
        if (!is_usable(isa))
            continue;
        ptq_context *context = make_context(2, isa);
        ptq_linear *linear;
        if (!CHECK_OK(ptq_linear_create(context, m->q, &linear)))
            printf("    bits %d, group %d, what %d, isa %d\n", m->bits, (int)m->group, m->what,
                   isa);
        for (int64_t rows = 1; linear && rows <= ROWS; rows += ROWS - 1) {
            memset(y, 0x5a, sizeof y);
            CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, rows, K, y, PTQ_DTYPE_F32, N, NULL));
            if (!CHECK(!memcmp(y, want, (size_t)rows * N * sizeof *y)))
                printf("    bits %d, group %d, what %d, isa %d\n", m->bits, (int)m->group, m->what,
                       isa);
        }
        check_unpacked(m, linear);
        ptq_linear_free(linear);
        ptq_context_free(context);
    }
}

/* Written to a file and read again, and stacked. */
static void check_copies(const struct matrix *m)
{
    const char *path = test_scratch("forms.safetensors");
    const ptq_qtensor *two[2] = {m->q, m->q};
    float once[N * K], twice[2 * N * K];
    ptq_store *store;
    ptq_qtensor *q;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_write(m->q, PTQ_FORMAT_PTQ, store, "m"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "m", &q));
    check_parts(m, q);
    ptq_qtensor_free(q);
    ptq_store_free(store);
    unlink(path);
    CHECK_OK(ptq_qtensor_stack(test_context(), two, 2, NULL, &q));
    CHECK_OK(ptq_qtensor_dequantize(m->q, once));
    CHECK_OK(ptq_qtensor_dequantize(q, twice));
    CHECK(!memcmp(once, twice, sizeof once) && !memcmp(once, twice + N * K, sizeof once));
    ptq_qtensor_free(q);
}

/* Parts by rows and by columns, and single rows, are what the whole matrix has there. */
static void check_ranges(const struct matrix *m)
{
    static const int64_t rows[][2] = {{0, N}, {3, 5}, {N - 1, 1}};
    const int64_t columns[][2] = {{0, K}, {m->group, m->group}, {m->group, K - m->group}};
    float whole[N * K], part[N * K];
    ptq_qtensor *q;
    CHECK_OK(ptq_qtensor_dequantize(m->q, whole));
    for (int n = 0; n < N; n++) {
        CHECK_OK(ptq_qtensor_dequantize_row(m->q, n, part));
        CHECK(!memcmp(part, whole + n * K, K * sizeof *part));
    }
    for (int i = 0; i < 3; i++) {
        CHECK_OK(ptq_qtensor_rows(m->q, rows[i][0], rows[i][1], &q));
        CHECK_OK(ptq_qtensor_dequantize(q, part));
        CHECK(!memcmp(part, whole + rows[i][0] * K, (size_t)(rows[i][1] * K) * sizeof *part));
        ptq_qtensor_free(q);
    }
    for (int i = 0; i < 3 && m->groups > 1; i++) {
        const int64_t first = columns[i][0], count = columns[i][1];
        ptq_status status = ptq_qtensor_columns(m->q, first, count, &q);
        CHECK_STATUS(status, m->what & IS_UNEVEN ? PTQ_ERROR_CONFLICT : PTQ_OK);
        if (status)
            continue;
        CHECK_OK(ptq_qtensor_dequantize(q, part));
        for (int n = 0; n < N; n++)
            CHECK(!memcmp(part + n * count, whole + n * K + first, (size_t)count * sizeof *part));
        ptq_qtensor_free(q);
    }
    CHECK_STATUS(ptq_qtensor_rows(m->q, 1, N, &q), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_columns(m->q, 1, m->groups > 1 ? 16 : K, &q),
                 m->groups > 1 ? PTQ_ERROR_CONFLICT : PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_qtensor_dequantize_row(m->q, N, part), PTQ_ERROR_ARGUMENT);
}

static void test_all(void)
{
    static const int32_t bits[] = {2, 3, 4, 5, 6, 8};
    static const int64_t groups[] = {16, 32, 48, 0};
    static const int kinds[] = {0, HAS_ZEROS, HAS_MINIMA, HAS_LEVELS};
    static const int precisions[] = {0, IS_INTEGER, IS_16, IS_GROUPED};
    static struct matrix m;
    struct random r = {12};
    float x[ROWS * K];
    for (int i = 0; i < ROWS * K; i++)
        x[i] = random_normal(&r);
    for (int i = 0; i < 6 * 4 * 4 * 4 * 2; i++) {
        const int32_t b = bits[i % 6];
        const int64_t group = groups[i / 6 % 4];
        const int what =
            kinds[i / 24 % 4] | precisions[i / 96 % 4] | (i / 384 && group ? IS_UNEVEN : 0);
        if (what & HAS_LEVELS && b > 4)
            continue;
        make_matrix(&m, b, group ? group : K, what, (uint64_t)i);
        check_parts(&m, m.q);
        check_products(&m, x);
        check_copies(&m);
        check_ranges(&m);
        ptq_qtensor_free(m.q);
    }
}

/* What cannot be combined. */
static void test_conflicts(void)
{
    static struct matrix m;
    make_matrix(&m, 4, 32, 0, 1);
    CHECK_OK(ptq_qtensor_set_minima(m.q, m.minima));
    CHECK_STATUS(ptq_qtensor_set_zeros(m.q, m.zeros), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_qtensor_set_levels(m.q, m.levels), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_qtensor_set_row_scales(m.q, m.scales), PTQ_ERROR_CONFLICT);
    ptq_qtensor_free(m.q);
    make_matrix(&m, 4, 32, HAS_ZEROS, 1);
    CHECK_STATUS(ptq_qtensor_set_minima(m.q, m.minima), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_qtensor_set_levels(m.q, m.levels), PTQ_ERROR_CONFLICT);
    m.zeros[3] = 17;
    CHECK_STATUS(ptq_qtensor_set_zeros(m.q, m.zeros), PTQ_ERROR_BOUNDS);
    m.index[3] = -1;
    CHECK_STATUS(ptq_qtensor_set_group_index(m.q, m.index), PTQ_ERROR_BOUNDS);
    m.index[3] = 4;
    CHECK_STATUS(ptq_qtensor_set_group_index(m.q, m.index), PTQ_ERROR_BOUNDS);
    ptq_qtensor_free(m.q);
    make_matrix(&m, 5, 32, 0, 1);
    CHECK_STATUS(ptq_qtensor_set_levels(m.q, m.levels), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_qtensor_set_row_scales(m.q, m.scales), PTQ_ERROR_CONFLICT);
    m.minima[2] = NAN;
    CHECK_STATUS(ptq_qtensor_set_minima(m.q, m.minima), PTQ_ERROR_NOT_FINITE);
    ptq_qtensor_free(m.q);
    make_matrix(&m, 4, 32, 0, 1);
    m.levels[5] = -128;
    CHECK_STATUS(ptq_qtensor_set_levels(m.q, m.levels), PTQ_ERROR_BOUNDS);
    ptq_qtensor_free(m.q);
}

/* An order makes uneven groups even again. */
static void test_order_again(void)
{
    static struct matrix m;
    int32_t order[K], index[K];
    make_matrix(&m, 4, 32, IS_UNEVEN, 1);
    for (int i = 0; i < K; i++)
        order[i] = K - 1 - i;
    CHECK_OK(ptq_qtensor_set_order(m.q, order));
    CHECK_EQ(ptq_qtensor_has_uneven_groups(m.q), 0);
    CHECK_OK(ptq_qtensor_group_index(m.q, index));
    for (int i = 0; i < K; i++)
        CHECK_EQ(index[i], (K - 1 - i) / 32);
    ptq_qtensor_free(m.q);
}

void test_forms(void)
{
    test_all();
    test_conflicts();
    test_order_again();
}
