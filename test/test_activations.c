/*
 * Activations of 8 bits with a zero point. Products are compared, to the bit, with the formulas in
 * ptq/qtensor.h and ptq/call.h, written without the library's code, except that it rotates x.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/half.h"
#include "calls.h"
#include "layer.h"
#include "linalg/rotate.h"
#include "linear/linear.h"
#include "test.h"

void test_activations(void);

enum { HAS_ZEROS = 1, HAS_MINIMA = 2, HAS_LEVELS = 4 }; /* what codes mean */
enum {
    IS_STATIC = 8,
    HAS_ORDER = 16,
    IS_UNEVEN = 32,
    IS_SCALED = 64,
    IS_ROTATED = 128,
    IS_CENTERED = 256
};
enum { N = 37, K = 112, MAX_GROUPS = K / 16, ROWS = 12, ZERO = 93 };
#define SCALE 0.013f

struct matrix {
    int32_t bits;
    int64_t groups;
    int what;
    uint8_t codes[N * K], zeros[N * MAX_GROUPS];
    float scales[N * MAX_GROUPS], minima[N * MAX_GROUPS], input_scale[K];
    int8_t levels[16];
    int32_t index[K], order[K];
    ptq_qtensor *q;
};

static void fill_rows(struct matrix *m, struct random *r)
{
    for (int i = 0; i < N * K; i++)
        m->codes[i] = (uint8_t)random_below(r, 1 << m->bits);
    for (int64_t i = 0; i < N * m->groups; i++) {
        m->scales[i] = random_normal(r);
        m->minima[i] = random_normal(r);
        m->zeros[i] = (uint8_t)random_below(r, m->bits == 8 ? 256 : (1 << m->bits) + 1);
        if (!(m->what & HAS_ZEROS))
            m->zeros[i] = (uint8_t)(1 << (m->bits - 1));
    }
    for (int i = 0; i < 16; i++)
        m->levels[i] = (int8_t)(random_below(r, 255) - 127);
}

static void fill_columns(struct matrix *m, int64_t group, struct random *r)
{
    for (int i = 0; i < K; i++) {
        const int64_t other = m->what & HAS_ORDER ? random_below(r, i + 1) : i;
        m->order[i] = m->order[other];
        m->order[other] = i;
        m->input_scale[i] = 0.2f + fabsf(random_normal(r));
    }
    for (int i = 0; i < K; i++)
        m->index[m->order[i]] = (int32_t)(i / group);
    for (int i = 0; i < K && m->what & IS_UNEVEN; i++)
        m->index[i] = (int32_t)random_below(r, m->groups);
}

static void make_matrix(struct matrix *m, int32_t bits, int64_t group, int what, uint64_t seed)
{
    struct random r = {seed};
    m->bits = bits;
    m->what = what;
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, bits, group, &m->q));
    m->groups = ptq_qtensor_groups(m->q);
    fill_rows(m, &r);
    fill_columns(m, group ? group : K, &r);
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
    else if (what & HAS_ORDER)
        CHECK_OK(ptq_qtensor_set_order(m->q, m->order));
    if (what & IS_SCALED)
        CHECK_OK(ptq_qtensor_set_input_scale(m->q, m->input_scale));
    CHECK_OK(ptq_qtensor_set_rotation(m->q, what & IS_ROTATED ? 32 : 0));
    CHECK_OK(ptq_qtensor_set_activations(m->q, what & IS_STATIC     ? PTQ_ACTIVATIONS_UINT8_STATIC
                                               : what & IS_CENTERED ? PTQ_ACTIVATIONS_UINT8_CENTERED
                                                                    : PTQ_ACTIVATIONS_UINT8_TOKEN));
    CHECK_OK(ptq_qtensor_set_activation_scale(m->q, SCALE));
    CHECK_OK(ptq_qtensor_set_activation_zero(m->q, ZERO));
}

/* Rows of every kind that the definition distinguishes. */
static float input(struct random *r, int row, int i)
{
    const float x = random_normal(r);
    switch (row) {
    case 0:
        return x + 0.7f; /* about both sides of 0, but not evenly */
    case 1:
        return 3.0f + x * x; /* all positive: the range begins at 0 */
    case 2:
        return -3.0f - x * x;
    case 3:
        return i % 2 ? -0.0f : 0.0f;
    case 4:
        return 1e-45f * (float)(i % 40); /* a range that gives the scale 0 */
    case 5:
        return -1e-45f * (float)(i * 3); /* the scale is rounded from 1.3 denormals to 1 */
    case 6:
        return i == 5 ? NAN : x;
    case 7:
        return i == 7 ? -INFINITY : x;
    case 8:
        return i % 2 ? FLT_MAX : -FLT_MAX; /* a range that f32 cannot hold */
    case 9:
        return 1e37f * x;
    case 10:
        return i == 3 ? -500.0f : x; /* one outlier */
    default:
        return x * 1e-30f;
    }
}

/* q - zx of a row of x', and its scale: NaN if the row is not finite. */
static float quantize(const struct matrix *m, const float *x, int *q)
{
    float low = 0, high = 0, scale = SCALE, zero = ZERO;
    int finite = 1;
    for (int c = 0; c < K; c++) {
        low = fminf(low, x[c]);
        high = fmaxf(high, x[c]);
        finite &= isfinite(x[c]) != 0;
    }
    if (m->what & IS_CENTERED) {
        scale = (-low > high ? -low : high) / 127.5f;
        zero = 128;
    } else if (!(m->what & IS_STATIC)) {
        scale = (high - low) / 255.0f;
        zero = scale > 0 ? fminf(rintf(-low / scale), 255) : 0;
    }
    finite &= isfinite(scale) != 0;
    for (int c = 0; c < K && finite; c++) {
        const double rounded =
            scale > 0 ? (double)rintf(x[c] / scale) + (double)zero : (double)zero;
        q[c] = (int)(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded) - (int)zero;
    }
    return finite ? scale : NAN;
}

/* The integer that a code is multiplied as. */
static int integer_of(const struct matrix *m, int n, int c)
{
    const int code = m->codes[n * K + c];
    if (m->what & HAS_LEVELS)
        return m->levels[code];
    return m->what & HAS_MINIMA ? code : code - m->zeros[n * m->groups + m->index[c]];
}

static float output(const struct matrix *m, const int *q, float scale, int n)
{
    float sum = 0;
    for (int64_t g = 0; g < m->groups; g++) {
        int dot = 0, total = 0;
        for (int c = 0; c < K; c++) {
            dot += m->index[c] == g ? q[c] * integer_of(m, n, c) : 0;
            total += m->index[c] == g ? q[c] : 0;
        }
        sum = fmaf(m->scales[n * m->groups + g], (float)dot, sum);
        if (m->what & HAS_MINIMA)
            sum = fmaf(m->minima[n * m->groups + g], (float)total, sum);
    }
    return sum * scale;
}

/* y [ROWS][N]. */
static void compute(const struct matrix *m, const float *x, float *y)
{
    for (int row = 0; row < ROWS; row++, x += K) {
        float ready[K], scale;
        int q[K];
        for (int c = 0; c < K; c++)
            ready[c] = m->what & IS_SCALED ? x[c] / m->input_scale[c] : x[c];
        if (m->what & IS_ROTATED)
            ptqi_rotate(test_context(), ready, 1, K, 32);
        scale = quantize(m, ready, q);
        for (int n = 0; n < N; n++)
            *y++ = isfinite(scale) ? output(m, q, scale, n) : ptqi_from_bits(0x7fc00000);
    }
}

static int gives(const ptq_linear *linear, const float *x, const float *want)
{
    float one[N], y[ROWS * N];
    memset(y, 0x5a, sizeof y);
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, ROWS, K, y, PTQ_DTYPE_F32, N, NULL));
    CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, 1, K, one, PTQ_DTYPE_F32, N, NULL));
    return !memcmp(y, want, sizeof y) && !memcmp(one, want, sizeof one);
}

/* Packed, packed by a layout, and opened from the bytes, for one instruction set. */
static void check_packed(const struct matrix *m, int32_t isa, const float *x, const float *want)
{
    ptq_context *context = make_context(2, isa);
    ptq_linear *linear, *opened, *laid;
    ptq_layout *layout;
    int32_t value;
    const int64_t bytes = ptq_linear_packed_bytes(context, m->q);
    char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes), *other = malloc((size_t)bytes);
    CHECK_OK(ptq_linear_create_in(context, m->q, memory, bytes, &linear));
    CHECK_OK(ptq_linear_open(context, memory, bytes, &opened));
    CHECK_OK(ptq_layout_of(context, m->q, &layout));
    CHECK_EQ(ptq_layout_packed_bytes(layout), bytes);
    CHECK_OK(ptq_layout_get(layout, PTQ_LAYOUT_ACTIVATIONS, &value));
    CHECK_EQ(value, ptq_qtensor_activations(m->q));
    memcpy(other, memory, (size_t)bytes);
    memset(memory, 0x77, (size_t)bytes);
    CHECK_OK(ptq_linear_create_with(layout, m->q, memory, bytes, &laid));
    CHECK(!memcmp(memory, other, (size_t)bytes));
    CHECK(gives(linear, x, want) && gives(opened, x, want) && gives(laid, x, want));
    CHECK(ptq_linear_shares_input(linear, opened));
    CHECK_EQ(ptq_linear_activations(opened), value);
    ptq_layout_free(layout);
    ptq_linear_free(laid);
    ptq_linear_free(opened);
    ptq_linear_free(linear);
    free(other);
    free(memory);
    ptq_context_free(context);
}

static void check_scheme(const struct matrix *m, const ptq_qtensor *q)
{
    CHECK_EQ(ptq_qtensor_activations(q), ptq_qtensor_activations(m->q));
    CHECK(ptq_qtensor_activation_scale(q) == SCALE);
    CHECK_EQ(ptq_qtensor_activation_zero(q), ZERO);
}

static ptq_qtensor *write_and_read(const ptq_qtensor *q)
{
    const char *path = test_scratch("activations.safetensors");
    ptq_store *store;
    ptq_qtensor *read;
    CHECK_OK(ptq_store_create(test_context(), path, &store));
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_PTQ, store, "m"));
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
    CHECK_OK(ptq_store_open(test_context(), path, &store));
    CHECK(strstr(ptq_store_metadata(store, "m"),
                 ptq_qtensor_activations(q) == PTQ_ACTIVATIONS_UINT8_CENTERED
                     ? "\"version\": 4"
                     : "\"version\": 3") != NULL);
    CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_PTQ, store, "m", &read));
    ptq_store_free(store);
    unlink(path);
    return read;
}

/* A file, a stack and parts of the matrix carry the scheme and its numbers along. */
static void check_copies(const struct matrix *m, const float *x, const float *want)
{
    const ptq_qtensor *two[2] = {m->q, m->q};
    ptq_qtensor *q = write_and_read(m->q), *copy;
    ptq_linear *linear;
    check_scheme(m, q);
    CHECK_OK(ptq_linear_create(test_context(), q, &linear));
    CHECK(gives(linear, x, want));
    ptq_linear_free(linear);
    CHECK_OK(ptq_qtensor_stack(test_context(), two, 2, NULL, &copy));
    check_scheme(m, copy);
    ptq_qtensor_free(copy);
    CHECK_OK(ptq_qtensor_rows(m->q, 3, 5, &copy));
    check_scheme(m, copy);
    ptq_qtensor_free(copy);
    if (!(m->what & (HAS_ORDER | IS_UNEVEN | IS_ROTATED))) {
        CHECK_OK(ptq_qtensor_columns(m->q, 0, K, &copy));
        check_scheme(m, copy);
        ptq_qtensor_free(copy);
    }
    CHECK_OK(ptq_qtensor_set_activation_zero(q, ZERO + 1));
    two[1] = q;
    CHECK_STATUS(ptq_qtensor_stack(test_context(), two, 2, NULL, &copy), PTQ_ERROR_CONFLICT);
    ptq_qtensor_free(q);
}

static void test_products(void)
{
    static const int32_t bits[] = {2, 3, 4, 5, 6, 8};
    static const int64_t groups[] = {16, 32, 0};
    static const int kinds[] = {0, HAS_ZEROS, HAS_MINIMA, HAS_LEVELS};
    static const int columns[] = {0, HAS_ORDER | IS_SCALED, IS_UNEVEN, IS_ROTATED | IS_SCALED};
    static struct matrix m;
    struct random r = {31};
    float x[ROWS * K], want[ROWS * N];
    for (int i = 0; i < ROWS * K; i++)
        x[i] = input(&r, i / K, i % K);
    static const int schemes[] = {0, IS_STATIC, IS_CENTERED};
    for (int i = 0; i < 6 * 3 * 4 * 4 * 3; i++) {
        const int what = kinds[i / 18 % 4] | columns[i / 72 % 4] | schemes[i / 288];
        if (what & HAS_LEVELS && bits[i % 6] > 4)
            continue;
        make_matrix(&m, bits[i % 6], groups[i / 6 % 3], what, (uint64_t)i);
        compute(&m, x, want);
        for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EVEX; isa = isa == 30 ? EVEX : isa + 1)
            if (is_usable(isa))
                check_packed(&m, isa, x, want);
        check_copies(&m, x, want);
        ptq_qtensor_free(m.q);
    }
}

/* Matrices prepare their input alike only if all numbers of the scheme are the same. */
static void test_sharing(void)
{
    static struct matrix m;
    ptq_linear *linears[2];
    ptq_call *call;
    for (int what = 0; what <= IS_STATIC; what += IS_STATIC) {
        make_matrix(&m, 4, 32, what, 3);
        CHECK_OK(ptq_linear_create(test_context(), m.q, &linears[0]));
        CHECK_OK(ptq_qtensor_set_activation_zero(m.q, ZERO + 1));
        CHECK_OK(ptq_linear_create(test_context(), m.q, &linears[1]));
        CHECK_EQ(ptq_linear_shares_input(linears[0], linears[1]), what == 0);
        CHECK_STATUS(ptq_call_create(test_context(), (const ptq_linear *const *)linears, 2, &call),
                     what ? PTQ_ERROR_CONFLICT : PTQ_OK);
        ptq_call_free(call);
        ptq_linear_free(linears[0]);
        ptq_linear_free(linears[1]);
        ptq_qtensor_free(m.q);
    }
}

static void test_numbers(void)
{
    static struct matrix m;
    ptq_linear *linear;
    ptq_qtensor *q;
    make_matrix(&m, 4, 32, IS_STATIC, 3);
    CHECK_STATUS(ptq_qtensor_set_activation_zero(m.q, -1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_activation_zero(m.q, 256), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_qtensor_set_activation_zero(NULL, 1), PTQ_ERROR_ARGUMENT);
    check_scheme(&m, m.q);
    ptq_qtensor_free(m.q);
    CHECK_OK(ptq_qtensor_create(test_context(), N, K, 4, 32, &q));
    CHECK_EQ(ptq_qtensor_activation_zero(q), 0);
    CHECK_EQ(ptq_qtensor_activation_zero(NULL), 0);
    CHECK_OK(ptq_qtensor_set_codes(q, m.codes));
    CHECK_OK(ptq_qtensor_set_scales(q, m.scales));
    CHECK_OK(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_UINT8_STATIC));
    CHECK_STATUS(ptq_linear_create(test_context(), q, &linear), PTQ_ERROR_MISSING);
    ptq_qtensor_free(q);
    CHECK(!strcmp(ptq_activations_name(PTQ_ACTIVATIONS_UINT8_STATIC), "uint8-static"));
    CHECK(ptq_activations_name(PTQ_ACTIVATIONS_FPTQ) == NULL && ptq_activations_name(10) == NULL);
}

/* Layouts of the same identity have the same bytes, also if groups are divided. */
static void test_identities(void)
{
    enum { LAYOUTS = 4 * 2 * 2 };
    static const int64_t groups[] = {0, 128, 144, 256};
    char text[LAYOUTS][200];
    int64_t bytes[LAYOUTS];
    int wrong = 0;
    for (int i = 0; i < LAYOUTS; i++) {
        ptq_layout *layout;
        CHECK_OK(ptq_layout_create(test_context(), 64, 1024, 4, groups[i / 4], &layout));
        CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_ACTIVATIONS, PTQ_ACTIVATIONS_INT8_GROUP));
        CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_LEVELS, i / 2 % 2));
        CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_UNEVEN, i % 2));
        bytes[i] = ptq_layout_packed_bytes(layout);
        CHECK(bytes[i] > 0 && ptq_layout_identity(layout, text[i], sizeof text[i]) > 20);
        for (int j = 0; j < i; j++)
            wrong += !strcmp(text[i], text[j]) && bytes[i] != bytes[j];
        ptq_layout_free(layout);
    }
    CHECK_EQ(wrong, 0);
}

/* Two-level scales and f16 scales are parts of a form that has no zero point. */
static void test_layouts(void)
{
    static struct matrix m;
    ptq_layout *layout;
    ptq_linear *linear;
    float rows[N];
    CHECK_OK(ptq_layout_create(test_context(), N, K, 4, 32, &layout));
    CHECK_STATUS(ptq_layout_set(layout, PTQ_LAYOUT_ACTIVATIONS, PTQ_ACTIVATIONS_FPTQ),
                 PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_layout_set(layout, PTQ_LAYOUT_ACTIVATIONS, 10), PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_ACTIVATIONS, PTQ_ACTIVATIONS_UINT8_STATIC));
    CHECK(ptq_layout_packed_bytes(layout) > 0);
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_SCALE_DTYPE, PTQ_DTYPE_F16));
    CHECK_EQ(ptq_layout_packed_bytes(layout), 0);
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_SCALE_DTYPE, PTQ_DTYPE_F32));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_SCALES, PTQ_SCALES_TWO_LEVEL));
    make_matrix(&m, 4, 32, IS_STATIC, 3);
    CHECK_STATUS(ptq_linear_create_with(layout, m.q, NULL, 0, &linear), PTQ_ERROR_CONFLICT);
    ptq_layout_free(layout);
    for (int i = 0; i < N; i++)
        rows[i] = 0.5f;
    for (int i = 0; i < N * m.groups; i++)
        m.scales[i] = 0.5f * (float)(1 + i % 15);
    CHECK_OK(ptq_qtensor_set_scales(m.q, m.scales));
    CHECK_OK(ptq_qtensor_set_row_scales(m.q, rows));
    CHECK_STATUS(ptq_linear_create(test_context(), m.q, &linear), PTQ_ERROR_CONFLICT);
    CHECK_EQ(ptq_linear_packed_bytes(test_context(), m.q), 0);
    CHECK_OK(ptq_qtensor_set_activations(m.q, PTQ_ACTIVATIONS_INT8_GROUP));
    CHECK_STATUS(ptq_linear_create(test_context(), m.q, &linear), PTQ_ERROR_CONFLICT);
    CHECK_OK(ptq_qtensor_set_activations(m.q, PTQ_ACTIVATIONS_INT8_TOKEN));
    CHECK_OK(ptq_linear_create(test_context(), m.q, &linear));
    ptq_linear_free(linear);
    ptq_qtensor_free(m.q);
}

/* No method quantizes for a zero point. */
static void test_configs(void)
{
    char text[256];
    int64_t value;
    ptq_config *config;
    CHECK_OK(ptq_config_create(test_context(), PTQ_METHOD_FPTQ, &config));
    for (int32_t a = PTQ_ACTIVATIONS_UINT8_TOKEN; a <= PTQ_ACTIVATIONS_UINT8_CENTERED; a++) {
        CHECK_STATUS(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, a), PTQ_ERROR_BOUNDS);
        CHECK_STATUS(ptq_config_parse(config, "activations", ptq_activations_name(a)),
                     PTQ_ERROR_BOUNDS);
        ptq_last_message(text, sizeof text);
        CHECK(strstr(text, ptq_activations_name(a)) && strstr(text, "no method quantizes"));
        CHECK(ptq_config_choice_name(PTQ_PARAM_ACTIVATIONS, a) == NULL);
    }
    CHECK_STATUS(ptq_config_set_int(config, PTQ_PARAM_ACTIVATIONS, 10), PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_config_get_int(config, PTQ_PARAM_ACTIVATIONS, &value));
    CHECK_EQ(value, PTQ_ACTIVATIONS_FPTQ);
    ptq_config_free(config);
}

/* Groups whose sums of 255 times 256 might not fit in 32 bits. */
static void test_sums(void)
{
    enum { WIDEST = 32896 };
    uint8_t *codes = calloc(WIDEST + 1, 1);
    float scale = 1;
    for (int64_t k = WIDEST; k <= WIDEST + 1; k++) {
        ptq_qtensor *q;
        ptq_linear *linear;
        CHECK_OK(ptq_qtensor_create(test_context(), 1, k, 8, 0, &q));
        CHECK_OK(ptq_qtensor_set_codes(q, codes));
        CHECK_OK(ptq_qtensor_set_scales(q, &scale));
        CHECK_OK(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_UINT8_TOKEN));
        CHECK_STATUS(ptq_linear_create(test_context(), q, &linear),
                     k == WIDEST ? PTQ_OK : PTQ_ERROR_UNSUPPORTED);
        ptq_linear_free(linear);
        ptq_qtensor_free(q);
    }
    free(codes);
}

static ptq_status open_changed(const char *memory, struct ptqi_packed header, char *room)
{
    ptq_linear *linear;
    memcpy(room, memory, (size_t)header.bytes);
    ptqi_packed_write(&header, room);
    ptq_status status = ptq_linear_open(test_context(), room, header.bytes, &linear);
    ptq_linear_free(linear);
    return status;
}

/* A packed form says its zero point in the header, which is not trusted. */
static void test_headers(void)
{
    static struct matrix m;
    struct ptqi_packed good, bad;
    ptq_linear *linear;
    make_matrix(&m, 4, 32, IS_STATIC, 3);
    const int64_t bytes = ptq_linear_packed_bytes(test_context(), m.q);
    char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
    char *room = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
    CHECK_OK(ptq_linear_create_in(test_context(), m.q, memory, bytes, &linear));
    ptq_linear_free(linear);
    memcpy(&good, memory, sizeof good);
    CHECK_EQ(good.activation_zero, ZERO);
    CHECK_OK(open_changed(memory, good, room));
    static const int32_t zeros[] = {-1, 256, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        bad = good;
        bad.activation_zero = zeros[i];
        CHECK_STATUS(open_changed(memory, bad, room), PTQ_ERROR_FORMAT);
    }
    for (int32_t a = -1; a <= 8; a++) { /* of other schemes */
        bad = good;
        bad.activations = a;
        CHECK_STATUS(open_changed(memory, bad, room),
                     a == PTQ_ACTIVATIONS_UINT8_STATIC ? PTQ_OK : PTQ_ERROR_FORMAT);
    }
    bad = good;
    bad.activation_scale = INFINITY;
    CHECK_STATUS(open_changed(memory, bad, room), PTQ_ERROR_FORMAT);
    free(room);
    free(memory);
    ptq_qtensor_free(m.q);
}

void test_activations(void)
{
    test_products();
    test_sharing();
    test_numbers();
    test_identities();
    test_layouts();
    test_configs();
    test_sums();
    test_headers();
}
