/*
 * The packed form of linears: in the caller's memory; opened from bytes; rejected if it does not
 * match or is damaged; harmless if hostile. Also y += x W^T. test_linear.c compares the results of
 * ptq_linear_create and ptq_linear_forward with the formula; here they are the reference.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "linear/linear.h"
#include "calls.h"
#include "test.h"

void test_packed(void);

enum {
    ZEROS = 1,
    ORDER = 2,
    INPUT_SCALE = 4,
    BIAS = 8,
    TWO_LEVEL = 16,
    WIDE_SCALES = 32,
    MINIMA = 64,
    LEVELS = 128,
    UNEVEN = 256
};
enum { MOST_ROWS = 40, HOSTILE_ROWS = 100, X_SIZE = 1 << 16 };

struct scheme {
    int64_t n, k, group;
    int32_t bits, activations, rotation;
    int what;
};

static const struct scheme schemes[] = {
    {70, 200, 64, 4, PTQ_ACTIVATIONS_INT8_TOKEN, 0, 0},
    {70, 200, 64, 4, PTQ_ACTIVATIONS_INT8_TOKEN, 64, ZEROS | ORDER | INPUT_SCALE | BIAS},
    {33, 96, 32, 3, PTQ_ACTIVATIONS_INT8_TENSOR, 0, ZEROS | WIDE_SCALES},
    {5, 77, 0, 8, PTQ_ACTIVATIONS_INT8_STATIC, 32, INPUT_SCALE | BIAS},
    {64, 256, 128, 8, PTQ_ACTIVATIONS_INT8_TOKEN, 0, ZEROS | ORDER},
    {40, 160, 32, 4, PTQ_ACTIVATIONS_INT8_TOKEN, 0, TWO_LEVEL | ORDER | BIAS},
    {17, 100, 32, 4, PTQ_ACTIVATIONS_F32, 0, BIAS | INPUT_SCALE},
    {50, 130, 64, 2, PTQ_ACTIVATIONS_F32, 128, ZEROS | ORDER},
    {20, 64, 0, 8, PTQ_ACTIVATIONS_F32, 0, ZEROS},
    {20, 96, 16, 4, PTQ_ACTIVATIONS_INT8_TOKEN, 0, ZEROS | ORDER},
    {40, 100, 16, 6, PTQ_ACTIVATIONS_F32, 0, ZEROS | BIAS},
    {17, 100, 32, 5, PTQ_ACTIVATIONS_INT8_TOKEN, 0, ZEROS},
    {20, 100, 32, 6, PTQ_ACTIVATIONS_F32, 0, MINIMA | INPUT_SCALE},
    {20, 100, 32, 4, PTQ_ACTIVATIONS_INT8_STATIC, 0, MINIMA | BIAS},
    {33, 96, 32, 4, PTQ_ACTIVATIONS_F32, 64, LEVELS},
    {33, 96, 32, 4, PTQ_ACTIVATIONS_INT8_TENSOR, 0, LEVELS | INPUT_SCALE},
    {20, 100, 32, 4, PTQ_ACTIVATIONS_INT8_TOKEN, 0, UNEVEN | ZEROS},
    {20, 100, 32, 3, PTQ_ACTIVATIONS_F32, 0, UNEVEN},
    {20, 100, 32, 8, PTQ_ACTIVATIONS_INT8_TOKEN, 32, UNEVEN | MINIMA},
    {20, 96, 32, 4, PTQ_ACTIVATIONS_UINT8_STATIC, 32, ZEROS | ORDER | BIAS},
    {17, 100, 16, 8, PTQ_ACTIVATIONS_UINT8_TOKEN, 0, INPUT_SCALE},
    {70, 200, 64, 4, PTQ_ACTIVATIONS_INT16_TOKEN, 64, ZEROS | ORDER | INPUT_SCALE | BIAS},
    {40, 160, 32, 4, PTQ_ACTIVATIONS_INT16_TOKEN, 0, TWO_LEVEL},
    {33, 96, 16, 6, PTQ_ACTIVATIONS_INT16_TOKEN, 0, MINIMA | BIAS},
    {70, 200, 160, 4, PTQ_ACTIVATIONS_INT8_GROUP, 64, ZEROS | ORDER | INPUT_SCALE | BIAS},
    {20, 256, 0, 8, PTQ_ACTIVATIONS_INT8_GROUP, 0, ZEROS},
    {20, 192, 144, 5, PTQ_ACTIVATIONS_INT8_GROUP, 0, MINIMA | ORDER},
    {20, 200, 32, 4, PTQ_ACTIVATIONS_INT8_GROUP, 0, UNEVEN | LEVELS},
};
enum { SCHEMES = sizeof schemes / sizeof *schemes };

/* The quantized matrix of a scheme, its bias, inputs. */
struct matrix {
    const struct scheme *s;
    ptq_qtensor *q;
    float bias[70], x[X_SIZE];
};

static void set_scales(const struct scheme *s, ptq_qtensor *q, struct random *r)
{
    const int64_t groups = ptq_qtensor_groups(q);
    float scales[70 * 8], rows[70];
    for (int64_t n = 0; n < s->n; n++) {
        rows[n] = 0.001f * (1.0f + fabsf(random_normal(r)));
        for (int64_t g = 0; g < groups; g++) {
            float scale = 0.01f * random_normal(r);
            if (!(s->what & WIDE_SCALES))
                scale = ptqi_round_to(scale, PTQ_DTYPE_F16);
            if (s->what & TWO_LEVEL)
                scale = rows[n] * (float)(1 + random_below(r, 15));
            scales[n * groups + g] = scale;
        }
    }
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    if (s->what & TWO_LEVEL)
        CHECK_OK(ptq_qtensor_set_row_scales(q, rows));
}

static void set_columns(const struct scheme *s, ptq_qtensor *q, struct random *r)
{
    int32_t order[256];
    float input_scale[256];
    for (int64_t i = 0; i < s->k; i++) {
        int64_t other = random_below(r, i + 1);
        order[i] = order[other];
        order[other] = (int32_t)i;
        input_scale[i] = 0.2f + fabsf(random_normal(r));
    }
    if (s->what & ORDER)
        CHECK_OK(ptq_qtensor_set_order(q, order));
    if (s->what & INPUT_SCALE)
        CHECK_OK(ptq_qtensor_set_input_scale(q, input_scale));
}

/* Minima, levels, groups of any columns. */
static void set_form(const struct scheme *s, ptq_qtensor *q, struct random *r)
{
    const int64_t groups = ptq_qtensor_groups(q);
    float minima[70 * 8];
    int8_t levels[16];
    int32_t index[256];
    for (int64_t i = 0; i < s->n * groups; i++)
        minima[i] = 0.05f * random_normal(r);
    for (int i = 0; i < 16; i++)
        levels[i] = (int8_t)(random_below(r, 255) - 127);
    for (int64_t i = 0; i < s->k; i++)
        index[i] = (int32_t)random_below(r, groups);
    if (s->what & MINIMA)
        CHECK_OK(ptq_qtensor_set_minima(q, minima));
    if (s->what & LEVELS)
        CHECK_OK(ptq_qtensor_set_levels(q, levels));
    if (s->what & UNEVEN)
        CHECK_OK(ptq_qtensor_set_group_index(q, index));
}

static void make_matrix(const struct scheme *s, struct matrix *m)
{
    struct random r = {(uint64_t)(s - schemes)};
    uint8_t codes[70 * 256], zeros[70 * 8];
    const uint8_t mask = (uint8_t)((1 << s->bits) - 1);
    m->s = s;
    CHECK_OK(ptq_qtensor_create(test_context(), s->n, s->k, s->bits, s->group, &m->q));
    for (int64_t i = 0; i < s->n * s->k; i++)
        codes[i] = (uint8_t)random_bits(&r) & mask;
    for (int64_t i = 0; i < s->n * ptq_qtensor_groups(m->q); i++)
        zeros[i] = (uint8_t)random_bits(&r) & mask;
    for (int64_t i = 0; i < s->n; i++)
        m->bias[i] = random_normal(&r);
    for (int64_t i = 0; i < X_SIZE; i++)
        m->x[i] = random_normal(&r);
    CHECK_OK(ptq_qtensor_set_codes(m->q, codes));
    if (s->what & ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(m->q, zeros));
    set_scales(s, m->q, &r);
    set_columns(s, m->q, &r);
    set_form(s, m->q, &r);
    CHECK_OK(ptq_qtensor_set_rotation(m->q, s->rotation));
    CHECK_OK(ptq_qtensor_set_activations(m->q, s->activations));
    CHECK_OK(ptq_qtensor_set_activation_scale(m->q, 0.03f));
    CHECK_OK(ptq_qtensor_set_activation_zero(m->q, 77));
}

/* A linear in the caller's memory, of exactly the right size and initially filled with other data.
 */
static ptq_linear *pack_in(ptq_context *context, const struct matrix *m, int fill, char **memory,
                           int64_t *bytes)
{
    ptq_linear *linear;
    *bytes = ptq_linear_packed_bytes(context, m->q);
    CHECK(*bytes > 0 && *bytes % PTQ_ALIGNMENT == 0);
    *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)*bytes);
    memset(*memory, fill, (size_t)*bytes);
    CHECK_OK(ptq_linear_create_in(context, m->q, *memory, *bytes, &linear));
    if (m->s->what & BIAS)
        CHECK_OK(ptq_linear_set_bias(linear, m->bias));
    return linear;
}

/* The outputs for one row of inputs, and for many. */
struct outputs {
    float one[70], many[MOST_ROWS * 70];
};

static void run(const ptq_linear *linear, const struct matrix *m, struct outputs *y)
{
    const int64_t n = m->s->n, k = m->s->k;
    memset(y, 0, sizeof *y);
    CHECK_OK(forward(linear, m->x, PTQ_DTYPE_F32, 1, k, y->one, PTQ_DTYPE_F32, n, NULL));
    CHECK_OK(forward(linear, m->x, PTQ_DTYPE_F32, MOST_ROWS, k, y->many, PTQ_DTYPE_F32, n, NULL));
}

static int gives(const ptq_linear *linear, const struct matrix *m, const struct outputs *want)
{
    static struct outputs y;
    run(linear, m, &y);
    return !memcmp(&y, want, sizeof y);
}

/* Every pair of instruction sets: opening gives the same bits if both use the same layout, and is
 * rejected otherwise. */
static void check_foreign(const struct matrix *m, const char *memory, int64_t bytes, int32_t from,
                          const struct outputs *want)
{
    struct ptqi_packed header;
    memcpy(&header, memory, sizeof header);
    for (int32_t to = 1; to < 32; to++) {
        ptq_context *context;
        ptq_linear *linear;
        if (!ptq_isa_usable(to))
            continue;
        CHECK_OK(ptq_context_create(&context));
        CHECK_OK(ptq_context_set_isa(context, to));
        const struct ptqi_packed_layout layout =
            ptqi_packed_layout(context->kernels, header.form, header.code_bits);
        const int same = !memcmp(&header.layout, &layout, sizeof layout);
        CHECK(same || to != from);
        ptq_status status = ptq_linear_open(context, memory, bytes, &linear);
        CHECK_STATUS(status, same ? PTQ_OK : PTQ_ERROR_LAYOUT);
        CHECK((status == PTQ_OK) == (linear != NULL));
        if (linear)
            CHECK(gives(linear, m, want));
        ptq_linear_free(linear);
        ptq_context_free(context);
    }
}

/* Which instruction sets guarantee each other's packed bytes, whatever this CPU is. */
static void test_shared_layouts(void)
{
#ifdef PTQI_X86
    static const struct ptqi_kernels *const same[] = {&ptqi_kernels_avx2, &ptqi_kernels_avx_vnni,
                                                      &ptqi_kernels_avx512_vnni,
                                                      &ptqi_kernels_amx_int8};
    const struct ptqi_packed_layout first = ptqi_packed_layout(same[0], PTQI_FORM_PANELS, 4);
    const struct ptqi_packed_layout wide =
        ptqi_packed_layout(&ptqi_kernels_avx512_vnni, PTQI_FORM_PANELS, 8);
    const struct ptqi_packed_layout tiles =
        ptqi_packed_layout(&ptqi_kernels_amx_int8, PTQI_FORM_PANELS, 8);
    for (int i = 1; i < 4; i++) {
        const struct ptqi_packed_layout other = ptqi_packed_layout(same[i], PTQI_FORM_PANELS, 4);
        CHECK(!memcmp(&first, &other, sizeof other));
    }
    /* AMX falls back to AVX512-VNNI, so those two share everything. */
    CHECK(!memcmp(&wide, &tiles, sizeof tiles));
    CHECK_EQ(ptqi_kernels_amx_int8.f32_nr, ptqi_kernels_avx512_vnni.f32_nr);
#endif
}

/* The engine may already be in a parallel region. */
static ptq_status no_parallel_for(void *user, int64_t parts, ptq_body_function body, void *argument)
{
    (void)user, (void)parts, (void)body, (void)argument;
    CHECK(0);
    return PTQ_OK;
}

/* Unpacked and packed again, it has the same bytes. */
static void check_unpacked(ptq_context *context, const struct matrix *m, const ptq_linear *linear,
                           const char *want, int64_t bytes)
{
    struct matrix again = *m;
    char *memory;
    float bias[70];
    int64_t size;
    CHECK_STATUS(ptq_linear_bias(linear, bias), m->s->what & BIAS ? PTQ_OK : PTQ_ERROR_MISSING);
    CHECK(!(m->s->what & BIAS) || !memcmp(bias, m->bias, (size_t)m->s->n * sizeof *bias));
    if (!CHECK_OK(ptq_linear_unpack(linear, &again.q)))
        return;
    CHECK_EQ(ptq_qtensor_bits(again.q), m->s->bits);
    CHECK_EQ(ptq_qtensor_has_row_scales(again.q), (m->s->what & TWO_LEVEL) != 0);
    ptq_linear_free(pack_in(context, &again, 0x11, &memory, &size));
    CHECK(size == bytes && !memcmp(memory, want, (size_t)bytes));
    free(memory);
    ptq_qtensor_free(again.q);
}

/* One of several threads, each of which packs some ranges of rows. */
struct packer {
    ptq_linear *linear;
    const struct matrix *m;
    int number;
};

enum { PACKERS = 3 };

static void *pack_ranges(void *argument)
{
    const struct packer *p = argument;
    const int64_t n = p->m->s->n;
    int64_t first = 0, count;
    for (int i = 0; first < n; i++, first += count) {
        count = 1 + (i * 5) % 7 < n - first ? 1 + (i * 5) % 7 : n - first;
        ptq_qtensor *part;
        if (i % PACKERS != p->number)
            continue;
        if (i % 2) {
            CHECK_OK(ptq_linear_pack_rows(p->linear, p->m->q, first, first, count));
            continue;
        }
        CHECK_OK(ptq_qtensor_rows(p->m->q, first, count, &part));
        CHECK_OK(ptq_linear_pack_rows(p->linear, part, 0, first, count));
        ptq_qtensor_free(part);
    }
    return NULL;
}

/* Packed by ranges of rows, it has the same bytes. */
static void check_ranges(ptq_context *context, const struct matrix *m, const char *want,
                         int64_t bytes)
{
    ptq_layout *layout;
    ptq_linear *linear, *opened;
    pthread_t threads[PACKERS];
    struct packer packers[PACKERS];
    char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
    memset(memory, 0x77, (size_t)bytes);
    CHECK_OK(ptq_layout_of(context, m->q, &layout));
    CHECK_OK(ptq_linear_begin(layout, m->q, memory, bytes, &linear));
    CHECK_STATUS(ptq_linear_finish(linear), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_linear_open(context, memory, bytes, &opened), PTQ_ERROR_FORMAT);
    for (int i = 0; i < PACKERS; i++) {
        packers[i] = (struct packer){linear, m, i};
        pthread_create(&threads[i], NULL, pack_ranges, &packers[i]);
    }
    for (int i = 0; i < PACKERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_OK(ptq_linear_finish(linear));
    CHECK_OK(ptq_linear_set_bias(linear, m->s->what & BIAS ? m->bias : NULL));
    CHECK(!memcmp(memory, want, (size_t)bytes));
    ptq_linear_free(linear);
    ptq_layout_free(layout);
    free(memory);
}

/* What packing by parts refuses, and what an unfinished matrix does. */
static void test_part_errors(void)
{
    struct matrix m, other;
    ptq_layout *layout;
    ptq_linear *linear, *second;
    ptq_call *call;
    ptq_qtensor *q;
    make_matrix(&schemes[1], &m);
    make_matrix(&schemes[4], &other);
    CHECK_OK(ptq_layout_of(test_context(), m.q, &layout));
    CHECK_STATUS(ptq_linear_begin(layout, other.q, NULL, 0, &linear), PTQ_ERROR_CONFLICT);
    CHECK_OK(ptq_linear_begin(layout, m.q, NULL, 0, &linear));
    const ptq_linear *one[] = {linear};
    CHECK_STATUS(ptq_call_create(test_context(), one, 1, &call), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_linear_set_bias(linear, m.bias), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_linear_unpack(linear, &q), PTQ_ERROR_MISSING);
    CHECK(!ptq_linear_shares_input(linear, linear));
    CHECK_STATUS(ptq_linear_pack_rows(linear, other.q, 0, 0, 1), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_linear_pack_rows(linear, m.q, 0, 1, 70), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_pack_rows(linear, m.q, 1, 0, 70), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_pack_rows(linear, m.q, 0, 0, 0), PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_linear_pack_rows(linear, m.q, 0, 0, 69));
    CHECK_STATUS(ptq_linear_finish(linear), PTQ_ERROR_MISSING);
    CHECK_OK(ptq_qtensor_rows(m.q, 69, 1, &q));
    CHECK_OK(ptq_qtensor_set_rotation(q, 32));
    CHECK_STATUS(ptq_linear_pack_rows(linear, q, 0, 69, 1), PTQ_ERROR_CONFLICT);
    CHECK_OK(ptq_qtensor_set_rotation(q, m.s->rotation));
    CHECK_OK(ptq_linear_pack_rows(linear, q, 0, 69, 1));
    CHECK_OK(ptq_linear_finish(linear));
    CHECK_STATUS(ptq_linear_pack_rows(linear, m.q, 0, 0, 1), PTQ_ERROR_CONFLICT);
    CHECK_OK(ptq_linear_create(test_context(), m.q, &second));
    CHECK(ptq_linear_shares_input(linear, second));
    ptq_linear_free(second);
    ptq_linear_free(linear);
    ptq_qtensor_free(q);
    ptq_layout_free(layout);
    ptq_qtensor_free(m.q);
    ptq_qtensor_free(other.q);
}

static void check_round_trip(const struct matrix *m, int32_t isa)
{
    static struct outputs want;
    ptq_context *context;
    ptq_linear *linear, *opened;
    char *memory, *again;
    int64_t bytes;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_isa(context, isa));
    CHECK_OK(ptq_linear_create(context, m->q, &linear));
    CHECK_OK(ptq_linear_set_bias(linear, m->s->what & BIAS ? m->bias : NULL));
    run(linear, m, &want);
    const int64_t weights = ptq_linear_bytes(linear);
    ptq_linear_free(linear);

    CHECK_OK(ptq_context_set_threads(context, 1));
    linear = pack_in(context, m, 0x5a, &memory, &bytes);
    CHECK(gives(linear, m, &want));
    check_unpacked(context, m, linear, memory, bytes);
    check_ranges(context, m, memory, bytes);
    ptq_linear_free(linear);
    CHECK_OK(ptq_context_set_threads(context, 3));
    CHECK_OK(ptq_context_set_parallel_for(context, no_parallel_for, NULL));
    ptq_linear_free(pack_in(context, m, 0x5a, &again, &bytes));
    CHECK_OK(ptq_context_set_parallel_for(context, NULL, NULL));
    CHECK(!memcmp(memory, again, (size_t)bytes));
    free(again);
    linear = pack_in(context, m, 0xc3, &again, &bytes);
    CHECK(!memcmp(memory, again, (size_t)bytes)); /* the bytes depend only on the matrix */

    CHECK_OK(ptq_linear_open(context, again, bytes, &opened));
    CHECK(gives(opened, m, &want) && ptq_linear_bytes(opened) == weights);
    CHECK(gives(linear, m, &want)); /* both at once, from the same bytes */
    CHECK_OK(ptq_linear_set_bias(opened, NULL));
    CHECK_OK(ptq_linear_set_bias(opened, m->bias));
    CHECK(gives(opened, m, &want) == ((m->s->what & BIAS) != 0));
    CHECK(!memcmp(memory, again, (size_t)bytes)); /* the bytes are only read */
    CHECK_OK(ptq_linear_set_bias(linear, NULL));
    CHECK_OK(ptq_linear_set_bias(linear, m->s->what & BIAS ? m->bias : NULL));
    CHECK(!memcmp(memory, again, (size_t)bytes));
    ptq_linear_free(opened);
    ptq_linear_free(linear);
    check_foreign(m, memory, bytes, isa, &want);
    free(memory);
    free(again);
    ptq_context_free(context);
}

static void test_round_trips(void)
{
    for (int i = 0; i < SCHEMES; i++) {
        struct matrix m;
        make_matrix(&schemes[i], &m);
        for (int32_t isa = 1; isa < 32; isa++)
            if (ptq_isa_usable(isa))
                check_round_trip(&m, isa);
        ptq_qtensor_free(m.q);
    }
}

/* Opens possibly hostile bytes, and runs the linear if that succeeds: nothing bad may happen. */
static ptq_status try(ptq_context *context, const char *memory, int64_t bytes, const float *x)
{
    ptq_linear *linear;
    ptq_status status = ptq_linear_open(context, memory, bytes, &linear);
    CHECK((status == PTQ_OK) == (linear != NULL));
    /* streams and tiles, including kernels that use tiles only above 64 rows */
    for (int64_t rows = 1; linear && rows <= HOSTILE_ROWS; rows += HOSTILE_ROWS - 1) {
        const int64_t n = ptq_linear_n(linear), k = ptq_linear_k(linear);
        float *y = malloc((size_t)(rows * n) * sizeof *y);
        if (CHECK(k <= X_SIZE && n <= bytes) && rows * k <= X_SIZE)
            CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, rows, k, y, PTQ_DTYPE_F32, n, NULL));
        free(y);
    }
    ptq_qtensor *q = NULL;
    if (linear && ptq_linear_n(linear) * ptq_linear_k(linear) <= 1 << 20)
        ptq_linear_unpack(linear, &q);
    ptq_qtensor_free(q);
    ptq_linear_free(linear);
    return status;
}

/* Instruction sets other than the best try only every n-th change, since an emulated CPU must
 * finish too; the best tries all. */
static int stride_of(ptq_context *context)
{
    return test_long() || ptq_context_isa(context) == ptq_context_isa(test_context()) ? 1 : 5;
}

/* Any byte of the header changed, by accident or by someone who fixes the checksum. */
static void check_header(ptq_context *context, const struct matrix *m, const char *memory,
                         int64_t bytes, char *bad)
{
    const int stride = stride_of(context);
    struct ptqi_packed header;
    int tried = 0;
    for (int64_t at = 0; at < (int64_t)sizeof header; at++)
        for (int change = 1; change < 256; change += change < 4 || change > 250 ? 1 : 31) {
            if (++tried % stride)
                continue;
            memcpy(bad, memory, sizeof header);
            bad[at] ^= (char)change;
            ptq_status status = try(context, bad, bytes, m->x);
            CHECK(status == PTQ_ERROR_FORMAT || status == PTQ_ERROR_LAYOUT ||
                  status == PTQ_ERROR_UNSUPPORTED);
            memcpy(&header, bad, sizeof header);
            ptqi_packed_write(&header, bad);
            try(context, bad, bytes, m->x);
            header.bytes = ptqi_packed_size(&header);
            ptqi_packed_write(&header, bad);
            try(context, bad, bytes, m->x);
        }
}

/* Several changes of the header at once, for the same kernels. */
static void check_headers(ptq_context *context, const struct matrix *m, const char *memory,
                          int64_t bytes, char *bad)
{
    static const uint8_t values[] = {0, 1, 2, 3, 4, 8, 32, 64, 100, 128, 255};
    struct random r = {7};
    struct ptqi_packed header, good;
    memcpy(&good, memory, sizeof good);
    for (int i = 0; i < 1000 / stride_of(context); i++) {
        header = good;
        for (int done = 0; done <= i % 5; done++)
            ((uint8_t *)&header)[random_below(&r, (int64_t)sizeof header)] =
                values[random_below(&r, (int64_t)sizeof values)];
        header.layout = good.layout;
        header.bytes = ptqi_packed_size(&header);
        ptqi_packed_write(&header, bad);
        try(context, bad, bytes, m->x);
    }
    /* allowed only in a config */
    header = good;
    header.rotation = PTQ_AUTO;
    ptqi_packed_write(&header, bad);
    CHECK_STATUS(try(context, bad, bytes, m->x), PTQ_ERROR_FORMAT);
}

static void check_hostile(ptq_context *context, const struct matrix *m)
{
    struct random r = {8};
    const int64_t head = (int64_t)sizeof(struct ptqi_packed);
    char *memory, *bad;
    int64_t bytes;
    ptq_linear_free(pack_in(context, m, 0, &memory, &bytes));
    bad = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
    memcpy(bad, memory, (size_t)bytes);
    CHECK_OK(try(context, bad, bytes, m->x));
    check_header(context, m, memory, bytes, bad);
    check_headers(context, m, memory, bytes, bad);
    for (int i = 0; i < 200; i += stride_of(context)) {
        memcpy(bad, memory, (size_t)bytes);
        for (int64_t done = 0; done <= i; done++)
            bad[head + random_below(&r, bytes - head)] = (char)random_bits(&r);
        try(context, bad, bytes, m->x);
    }
    free(bad);
    for (int64_t cut = 0; cut < bytes; cut += cut < 300 ? 1 : 97) {
        bad = aligned_alloc(PTQ_ALIGNMENT, (size_t)ptqi_align(cut + 1)); /* for a sanitizer */
        memcpy(bad, memory, (size_t)cut);
        CHECK_STATUS(try(context, bad, cut, m->x), PTQ_ERROR_FORMAT);
        free(bad);
    }
    free(memory);
}

static void test_hostile(void)
{
    for (int32_t isa = 1; isa < 32; isa++) {
        ptq_context *context;
        if (!ptq_isa_usable(isa))
            continue;
        CHECK_OK(ptq_context_create(&context));
        CHECK_OK(ptq_context_set_isa(context, isa));
        CHECK_OK(ptq_context_set_threads(context, 1));
        for (int i = 0; i < SCHEMES; i++) {
            struct matrix m;
            make_matrix(&schemes[i], &m);
            check_hostile(context, &m);
            ptq_qtensor_free(m.q);
        }
        ptq_context_free(context);
    }
}

static void test_arguments(void)
{
    struct matrix m;
    ptq_linear *linear;
    ptq_qtensor *empty;
    ptq_context *c = test_context();
    make_matrix(&schemes[0], &m);
    const int64_t bytes = ptq_linear_packed_bytes(c, m.q);
    char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes + PTQ_ALIGNMENT);
    CHECK_EQ(ptq_linear_packed_bytes(c, NULL), 0);
    CHECK_EQ(ptq_linear_packed_bytes(NULL, m.q), 0);
    CHECK_OK(ptq_qtensor_create(c, 4, 64, 4, 32, &empty));
    CHECK_EQ(ptq_linear_packed_bytes(c, empty), 0);
    CHECK_STATUS(ptq_linear_create_in(c, empty, memory, bytes, &linear), PTQ_ERROR_MISSING);
    CHECK_STATUS(ptq_linear_create_in(c, m.q, memory, bytes, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_create_in(c, m.q, NULL, bytes, &linear), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_create_in(c, m.q, memory, bytes - 1, &linear), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_create_in(NULL, m.q, memory, bytes, &linear), PTQ_ERROR_ARGUMENT);
    for (int shift = 1; shift < PTQ_ALIGNMENT; shift *= 2)
        CHECK_STATUS(ptq_linear_create_in(c, m.q, memory + shift, bytes, &linear),
                     PTQ_ERROR_ARGUMENT);
    CHECK_OK(ptq_linear_create_in(c, m.q, memory, bytes + 1, &linear)); /* more is fine */
    ptq_linear_free(linear);
    CHECK_STATUS(ptq_linear_open(c, memory, bytes, NULL), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_open(c, NULL, bytes, &linear), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_open(c, memory + 4, bytes, &linear), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_open(NULL, memory, bytes, &linear), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_linear_open(c, memory, -1, &linear), PTQ_ERROR_FORMAT);
    CHECK(linear == NULL);
    CHECK_OK(ptq_linear_open(c, memory, bytes + 1, &linear));
    ptq_linear_free(linear);
    free(memory);
    ptq_qtensor_free(empty);
    ptq_qtensor_free(m.q);
}

static void check_name(ptq_status status, const char *name)
{
    char text[256] = "";
    const int64_t length = (int64_t)strlen(name);
    ptq_last_message(text, sizeof text);
    CHECK_STATUS(status, PTQ_ERROR_ARGUMENT);
    CHECK(!strncmp(text, name, (size_t)length) && text[length] == ':');
}

/* Messages begin with the function that was called. */
static void test_names(void)
{
    struct matrix m;
    ptq_linear *l;
    float y[70] = {0};
    make_matrix(&schemes[0], &m);
    check_name(ptq_linear_create(test_context(), NULL, &l), "ptq_linear_create");
    CHECK_OK(ptq_linear_create(test_context(), m.q, &l));
    ptq_linear *const linear = l;
    CHECK_EQ(ptq_linear_packed_bytes(test_context(), NULL), 0);
    check_name(PTQ_ERROR_ARGUMENT, "ptq_linear_packed_bytes");
    check_name(ptq_linear_create_in(test_context(), NULL, y, 1, &l), "ptq_linear_create_in");
    ptq_linear_free(linear);
    ptq_qtensor_free(m.q);
}

static ptq_status pack_and_open(ptq_context *context, const struct matrix *m, char *memory,
                                int64_t bytes)
{
    ptq_linear *linear, *opened = NULL;
    ptq_status status = ptq_linear_create_in(context, m->q, memory, bytes, &linear);
    if (!status)
        status = ptq_linear_open(context, memory, bytes, &opened);
    if (!status)
        status = ptq_linear_set_bias(opened, m->bias);
    ptq_linear_free(linear);
    ptq_linear_free(opened);
    return status;
}

static void test_memory(void)
{
    for (int i = 0; i < SCHEMES; i++) {
        struct matrix m;
        make_matrix(&schemes[i], &m);
        const int64_t bytes = ptq_linear_packed_bytes(test_context(), m.q);
        char *memory = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
        ptq_status status = PTQ_ERROR_MEMORY;
        for (int64_t n = 1; status == PTQ_ERROR_MEMORY && CHECK(n < 100); n++) {
            ptq_context *context = test_failing_context(n);
            if (context)
                status = pack_and_open(context, &m, memory, bytes);
            CHECK(status == PTQ_OK || status == PTQ_ERROR_MEMORY);
            test_free_failing(context);
        }
        free(memory);
        ptq_qtensor_free(m.q);
    }
}

/* y of some dtype before the sum, and the result; v is f32 [rows][n]. */
static void make_sum(struct random *r, int32_t dtype, int64_t count, const float *v, char *y,
                     char *want)
{
    const int64_t size = ptq_dtype_size(dtype);
    for (int64_t i = 0; i < count; i++) {
        static const float special[] = {INFINITY, -INFINITY, NAN, -0.0f, 65000.0f, 1e-40f};
        float old = random_below(r, 9) ? random_normal(r) : special[random_below(r, 6)];
        ptqi_from_f32(y + i * size, dtype, &old, 1);
        ptqi_to_f32(&old, y + i * size, dtype, 1);
        float sum = old + v[i];
        sum = sum == sum ? sum : ptqi_from_bits(0x7fc00000);
        ptqi_from_f32(want + i * size, dtype, &sum, 1);
    }
}

static ptq_status add(const ptq_linear *linear, const struct matrix *m, int64_t rows, int way,
                      char *prepared, char *y, int32_t dtype)
{
    const int64_t n = m->s->n;
    if (way == 0)
        return accumulate(linear, m->x, PTQ_DTYPE_F32, rows, m->s->k, y, dtype, n, NULL);
    if (way == 1)
        return accumulate_prepared(linear, prepared, y, dtype, n, NULL);
    for (int64_t part = 0; part < 3; part++)
        PTQI_TRY(accumulate_part(linear, prepared, y, dtype, n, NULL, part, 3));
    return PTQ_OK;
}

static void check_accumulate(const ptq_linear *linear, const struct matrix *m, int64_t rows,
                             struct random *r)
{
    static float v[MOST_ROWS * 70], v_y[MOST_ROWS * 70 + 2], v_want[MOST_ROWS * 70];
    char *prepared = aligned_alloc(PTQ_ALIGNMENT, (size_t)ptqi_align(prepared_size(linear, rows)));
    CHECK_OK(prepare(linear, m->x, PTQ_DTYPE_F32, rows, m->s->k, prepared));
    CHECK_OK(forward_prepared(linear, prepared, v, PTQ_DTYPE_F32, m->s->n, NULL));
    for (int way = 0; way < 3; way++)
        for (int32_t dtype = PTQ_DTYPE_F32; dtype <= PTQ_DTYPE_BF16; dtype++) {
            char *y = (char *)v_y + way * ptq_dtype_size(dtype); /* aligned like an element */
            make_sum(r, dtype, rows * m->s->n, v, y, (char *)v_want);
            CHECK_OK(add(linear, m, rows, way, prepared, y, dtype));
            CHECK(!memcmp(y, v_want, (size_t)(rows * m->s->n * ptq_dtype_size(dtype))));
        }
    free(prepared);
}

/* For the linear, and likewise for rows of x that are not finite. */
static void test_accumulate(void)
{
    struct random r = {3};
    for (int i = 0; i < SCHEMES; i++)
        for (int32_t isa = 1; isa < 32; isa++) {
            struct matrix m;
            ptq_context *context;
            ptq_linear *linear;
            if (!ptq_isa_usable(isa))
                continue;
            make_matrix(&schemes[i], &m);
            m.x[2 * m.s->k + 1] = NAN;
            CHECK_OK(ptq_context_create(&context));
            CHECK_OK(ptq_context_set_isa(context, isa));
            CHECK_OK(ptq_context_set_threads(context, 2));
            CHECK_OK(ptq_linear_create(context, m.q, &linear));
            CHECK_OK(ptq_linear_set_bias(linear, m.s->what & BIAS ? m.bias : NULL));
            check_accumulate(linear, &m, 3, &r);
            check_accumulate(linear, &m, MOST_ROWS, &r);
            ptq_linear_free(linear);
            ptq_context_free(context);
            ptq_qtensor_free(m.q);
        }
}

/* The layout of q says how large it is and packs it to the same bytes as ptq_linear_create_in. */
static void check_layout(ptq_context *context, const struct matrix *m)
{
    ptq_layout *layout;
    ptq_linear *linear;
    char *memory, *other, one[200], two[200];
    int64_t bytes;
    ptq_linear_free(pack_in(context, m, 1, &memory, &bytes));
    CHECK_OK(ptq_layout_of(context, m->q, &layout));
    CHECK_EQ(ptq_layout_packed_bytes(layout), bytes);
    other = aligned_alloc(PTQ_ALIGNMENT, (size_t)bytes);
    memset(other, 2, (size_t)bytes);
    CHECK_OK(ptq_linear_create_with(layout, m->q, other, bytes, &linear));
    if (m->s->what & BIAS)
        CHECK_OK(ptq_linear_set_bias(linear, m->bias));
    CHECK(!memcmp(memory, other, (size_t)bytes));
    ptq_linear_free(linear);
    CHECK_STATUS(ptq_linear_create_with(layout, m->q, other, bytes - 1, &linear),
                 PTQ_ERROR_ARGUMENT);
    CHECK(ptq_layout_identity(layout, one, sizeof one) > 20);
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_INPUT_SCALE, !(m->s->what & INPUT_SCALE)));
    CHECK(ptq_layout_identity(layout, two, sizeof two) > 20 && strcmp(one, two));
    ptq_layout_free(layout);
    free(other);
    free(memory);
}

/* Room for everything that a plain matrix does not have changes no output; but room for uneven
 * groups keeps groups whole, which activations by group otherwise divide. */
static void check_room(ptq_context *context, const struct matrix *m)
{
    struct outputs want;
    ptq_layout *layout;
    ptq_linear *linear;
    CHECK_OK(ptq_linear_create(context, m->q, &linear));
    run(linear, m, &want);
    ptq_linear_free(linear);
    CHECK_OK(ptq_layout_create(context, m->s->n, m->s->k, m->s->bits, m->s->group, &layout));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_ACTIVATIONS, m->s->activations));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_ZEROS, PTQ_ZEROS_INTEGER));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_ORDER, 1));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_INPUT_SCALE, 1));
    const int is_divided =
        m->s->activations == PTQ_ACTIVATIONS_INT8_GROUP && (m->s->group > 128 || !m->s->group);
    for (int uneven = 0; uneven < 2 - is_divided; uneven++) {
        CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_UNEVEN, uneven));
        CHECK_OK(ptq_linear_create_with(layout, m->q, NULL, 0, &linear));
        CHECK(gives(linear, m, &want));
        ptq_linear_free(linear);
    }
    ptq_layout_free(layout);
}

static void check_refused(const struct matrix *m, int32_t parameter, int32_t value)
{
    ptq_layout *layout;
    ptq_linear *linear;
    CHECK_OK(ptq_layout_of(test_context(), m->q, &layout));
    CHECK_OK(ptq_layout_set(layout, parameter, value));
    CHECK_STATUS(ptq_linear_create_with(layout, m->q, NULL, 0, &linear), PTQ_ERROR_CONFLICT);
    ptq_layout_free(layout);
}

static void test_layouts(void)
{
    struct matrix m;
    ptq_layout *layout;
    int32_t value;
    char text[8];
    for (int i = 0; i < SCHEMES; i++) {
        make_matrix(&schemes[i], &m);
        for (int32_t isa = 1; isa < 32; isa++) {
            ptq_context *context;
            if (!ptq_isa_usable(isa))
                continue;
            CHECK_OK(ptq_context_create(&context));
            CHECK_OK(ptq_context_set_isa(context, isa));
            check_layout(context, &m);
            if (!(schemes[i].what & (TWO_LEVEL | MINIMA | LEVELS | UNEVEN | BIAS)))
                check_room(context, &m);
            ptq_context_free(context);
        }
        if (schemes[i].what & ORDER && schemes[i].activations != PTQ_ACTIVATIONS_F32)
            check_refused(&m, PTQ_LAYOUT_ORDER, 0);
        if (schemes[i].what & INPUT_SCALE)
            check_refused(&m, PTQ_LAYOUT_INPUT_SCALE, 0);
        if (schemes[i].what & ZEROS)
            check_refused(&m, PTQ_LAYOUT_ZEROS, PTQ_ZEROS_NONE);
        if (schemes[i].what & WIDE_SCALES)
            check_refused(&m, PTQ_LAYOUT_SCALE_DTYPE, PTQ_DTYPE_F16);
        ptq_qtensor_free(m.q);
    }
    CHECK_OK(ptq_layout_create(test_context(), 16, 64, 4, 32, &layout));
    CHECK_OK(ptq_layout_set(layout, PTQ_LAYOUT_SCALES, PTQ_SCALES_TWO_LEVEL)); /* f32 activations */
    CHECK_EQ(ptq_layout_packed_bytes(layout), 0);
    CHECK_EQ(ptq_layout_identity(layout, text, sizeof text), 0);
    CHECK_STATUS(ptq_layout_set(layout, 99, 0), PTQ_ERROR_UNKNOWN);
    CHECK_STATUS(ptq_layout_set(layout, PTQ_LAYOUT_ORDER, 2), PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_layout_get(layout, PTQ_LAYOUT_SCALES, &value));
    CHECK_EQ(value, PTQ_SCALES_TWO_LEVEL);
    ptq_layout_free(layout);
}

void test_packed(void)
{
    test_part_errors();
    test_layouts();
    test_shared_layouts();
    test_round_trips();
    test_hostile();
    test_arguments();
    test_names();
    test_memory();
    test_accumulate();
}
