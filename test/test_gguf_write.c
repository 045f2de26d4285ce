/*
 * Which type of GGUF a matrix is written in, that its weights are the same, and what is refused.
 * Matrices of files that are read and written again are the same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/half.h"
#include "test.h"

void test_gguf_write(void);

enum { N = 5, K = 256, MAX_GROUPS = K / 16 };
enum { PLAIN, ZEROS, MINIMA, LEVELS, IQ4_LEVELS };

static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

/* A number that is exact in f16. */
static float half(struct random *r, float spread)
{
    return ptqi_round_to(spread * random_normal(r), PTQ_DTYPE_F16);
}

/* step: zero points are multiples of it, so that scales of few bits times them are exact in f16. */
static ptq_qtensor *make(int32_t bits, int64_t group, int form, int step)
{
    static uint8_t codes[N * K], zeros[N * MAX_GROUPS];
    static float scales[N * MAX_GROUPS], minima[N * MAX_GROUPS];
    struct random r = {(uint64_t)(bits * 1000 + group * 10 + form)};
    ptq_qtensor *q = NULL;
    if (!CHECK_OK(ptq_qtensor_create(test_context(), N, K, bits, group, &q)))
        return NULL;
    const int64_t count = N * ptq_qtensor_groups(q);
    for (int i = 0; i < N * K; i++)
        codes[i] = (uint8_t)random_below(&r, 1 << bits);
    for (int64_t i = 0; i < count; i++) {
        scales[i] = step ? (float)(1 + random_below(&r, 9)) / 64 : half(&r, 0.1f);
        minima[i] = half(&r, 0.3f);
        zeros[i] = (uint8_t)(random_below(&r, (1 << bits) / (step ? step : 1)) * (step ? step : 1));
    }
    CHECK_OK(ptq_qtensor_set_codes(q, codes));
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    if (form == ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(q, zeros));
    if (form == MINIMA)
        CHECK_OK(ptq_qtensor_set_minima(q, minima));
    if (form == LEVELS || form == IQ4_LEVELS)
        CHECK_OK(ptq_qtensor_set_levels(
            q,
            form == LEVELS
                ? (const int8_t *)"\x01\x81\x7f\xf0\x10\x22\x44\x88\x03\x09\x5a\xa5\xc0\x30\x11\xee"
                : iq4));
    return q;
}

/* Writes q, reads it back, and compares the type and the weights. */
static void check_written(ptq_qtensor *q, const char *wanted)
{
    static float before[N * K], after[N * K];
    char path[600];
    ptq_store *s;
    ptq_qtensor *again = NULL;
    snprintf(path, sizeof path, "%s", test_scratch("written.gguf"));
    CHECK_OK(ptq_format_can_hold(PTQ_FORMAT_GGUF, q));
    if (!CHECK_OK(ptq_store_create(test_context(), path, &s)))
        return;
    CHECK_OK(ptq_qtensor_write(q, PTQ_FORMAT_GGUF, s, "m"));
    CHECK_OK(ptq_store_commit(s));
    ptq_store_free(s);
    if (!CHECK_OK(ptq_store_open(test_context(), path, &s)))
        return;
    if (!CHECK(!strcmp(ptq_store_dtype(s, 0), wanted)))
        printf("    %s, not %s\n", ptq_store_dtype(s, 0), wanted);
    if (CHECK_OK(ptq_qtensor_read(test_context(), PTQ_FORMAT_GGUF, s, "m", &again))) {
        int differing = 0;
        CHECK_OK(ptq_qtensor_dequantize(q, before));
        CHECK_OK(ptq_qtensor_dequantize(again, after));
        for (int i = 0; i < N * K; i++)
            differing += !(before[i] == after[i]);
        CHECK_EQ(differing, 0);
    }
    ptq_qtensor_free(again);
    ptq_qtensor_free(q);
    ptq_store_free(s);
}

static void test_types(void)
{
    static const struct {
        int32_t bits, form, step;
        const char *type;
    } cases[] = {{2, PLAIN, 0, "Q4_0"},  {3, PLAIN, 0, "Q4_0"},       {4, PLAIN, 0, "Q4_0"},
                 {5, PLAIN, 0, "Q5_0"},  {6, PLAIN, 0, "Q8_0"},       {8, PLAIN, 0, "Q8_0"},
                 {3, ZEROS, 0, "Q4_0"},  {4, ZEROS, 0, "Q5_0"},       {4, ZEROS, 4, "Q4_1"},
                 {5, ZEROS, 0, "Q8_0"},  {5, ZEROS, 8, "Q5_1"},       {6, ZEROS, 0, "Q8_0"},
                 {4, MINIMA, 0, "Q4_1"}, {3, MINIMA, 0, "Q4_1"},      {5, MINIMA, 0, "Q5_1"},
                 {4, LEVELS, 0, "Q8_0"}, {4, IQ4_LEVELS, 0, "IQ4_NL"}};
    static const int64_t groups[] = {32, 64, 96, 0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int g = 0; g < 4; g++) {
            ptq_qtensor *q = make(cases[i].bits, groups[g], cases[i].form, cases[i].step);
            if (q)
                check_written(q, cases[i].type);
        }
}

static void check_refused(ptq_qtensor *q, const char *words)
{
    char text[400];
    CHECK_STATUS(ptq_format_can_hold(PTQ_FORMAT_GGUF, q), PTQ_ERROR_UNSUPPORTED);
    ptq_last_message(text, (int64_t)sizeof text);
    if (!CHECK(strstr(text, words) != NULL))
        printf("    \"%s\" lacks \"%s\"\n", text, words);
    ptq_qtensor_free(q);
}

static void test_refused(void)
{
    static float ones[K];
    static int32_t order[K];
    float scales[N * MAX_GROUPS];
    for (int i = 0; i < K; i++) {
        ones[i] = 1;
        order[i] = K - 1 - i;
        scales[i % (N * MAX_GROUPS)] = 0.1f;
    }
    ptq_qtensor *q = make(4, 32, PLAIN, 0);
    CHECK_OK(ptq_qtensor_set_input_scale(q, ones));
    check_refused(q, "no input scales");
    q = make(4, 32, PLAIN, 0);
    CHECK_OK(ptq_qtensor_set_rotation(q, 32));
    check_refused(q, "no rotations");
    q = make(4, 32, PLAIN, 0);
    CHECK_OK(ptq_qtensor_set_order(q, order));
    check_refused(q, "act-order");
    q = make(8, 32, PLAIN, 0);
    CHECK_OK(ptq_qtensor_set_activations(q, PTQ_ACTIVATIONS_INT8_STATIC));
    check_refused(q, "static activations");
    q = make(4, 32, PLAIN, 0);
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    check_refused(q, "not exact in f16");
    check_refused(make(6, 16, PLAIN, 0), "do not divide the groups");
    check_refused(make(8, 32, ZEROS, 0), "too far from its zero point");
    check_refused(make(6, 32, MINIMA, 0), "up to 5 bits");
    q = make(4, 32, PLAIN, 0);
    ptq_store *s;
    CHECK_OK(ptq_store_create(test_context(), test_scratch("refused.safetensors"), &s));
    CHECK_STATUS(ptq_qtensor_write(q, PTQ_FORMAT_GGUF, s, "m"), PTQ_ERROR_CONFLICT);
    ptq_store_free(s);
    ptq_qtensor_free(q);
}

/* Super scales: what they must be, when they are forgotten, and parts of matrices. */
static void test_super(void)
{
    float super[N], scales[N * 8], out[N], minima[N];
    ptq_qtensor *q = make(4, 32, PLAIN, 0), *rows = NULL, *stack = NULL, *columns = NULL;
    for (int n = 0; n < N; n++) {
        super[n] = 0.25f * (float)(n + 1);
        minima[n] = 0;
        for (int g = 0; g < 8; g++)
            scales[n * 8 + g] = super[n] * (float)(g * 9 - 32);
    }
    CHECK_STATUS(ptq_qtensor_set_super_scales(q, super, NULL), PTQ_ERROR_BOUNDS);
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    CHECK_STATUS(ptq_qtensor_set_super_scales(q, super, minima), PTQ_ERROR_CONFLICT);
    CHECK_STATUS(ptq_qtensor_super_scales(q, out, NULL), PTQ_ERROR_MISSING);
    CHECK_OK(ptq_qtensor_set_super_scales(q, super, NULL));
    CHECK(ptq_qtensor_has_super_scales(q));
    CHECK_OK(ptq_qtensor_super_scales(q, out, NULL));
    CHECK(!memcmp(out, super, sizeof out));
    CHECK_OK(ptq_qtensor_rows(q, 1, 2, &rows));
    CHECK_OK(ptq_qtensor_super_scales(rows, out, NULL));
    CHECK(!memcmp(out, super + 1, 2 * sizeof *out));
    const ptq_qtensor *const parts[] = {rows, q};
    CHECK_OK(ptq_qtensor_stack(test_context(), parts, 2, NULL, &stack));
    CHECK(ptq_qtensor_has_super_scales(stack));
    CHECK_OK(ptq_qtensor_columns(q, 0, 64, &columns));
    CHECK(!ptq_qtensor_has_super_scales(columns));
    CHECK_OK(ptq_qtensor_set_scales(q, scales));
    CHECK(!ptq_qtensor_has_super_scales(q));
    ptq_qtensor_free(columns);
    ptq_qtensor_free(stack);
    ptq_qtensor_free(rows);
    ptq_qtensor_free(q);
}

/* Reads the matrices of a file and writes them again, to GGUF or by way of the ptq format. */
static ptq_status rewrite(ptq_context *context, const ptq_store *from, int32_t format,
                          const char *path)
{
    ptq_store *to;
    char name[256];
    ptq_status status = ptq_store_create(context, path, &to);
    if (status)
        return status;
    for (int64_t i = 0; !status && i < ptq_store_count(from); i++) {
        ptq_qtensor *q = NULL;
        snprintf(name, sizeof name, "%s", ptq_store_name(from, i));
        *(strrchr(name, '.') ? strrchr(name, '.') : name) = 0;
        const int32_t found = *name ? ptq_format_find(from, name) : 0;
        if (!found || !strcmp(name, "Q2_K") || !strcmp(name, "MXFP4") ||
            !strstr(ptq_store_name(from, i), found == PTQ_FORMAT_PTQ ? ".codes" : ".weight"))
            continue;
        status = ptq_qtensor_read(context, found, from, name, &q);
        if (!status)
            status = ptq_qtensor_write(q, format, to, name);
        ptq_qtensor_free(q);
    }
    if (!status)
        status = ptq_store_commit(to);
    ptq_store_free(to);
    return status;
}

/* Every tensor of the matrices in b is that of a. */
static void check_same(const ptq_store *a, const ptq_store *b, int64_t least)
{
    CHECK(ptq_store_count(b) >= least);
    for (int64_t i = 0; i < ptq_store_count(b); i++) {
        const int64_t at = ptq_store_find(a, ptq_store_name(b, i));
        if (!CHECK(at >= 0) || !CHECK_EQ(ptq_store_bytes(a, at), ptq_store_bytes(b, i)) ||
            !CHECK(!strcmp(ptq_store_dtype(a, at), ptq_store_dtype(b, i))) ||
            !CHECK(!memcmp(ptq_store_data(a, at), ptq_store_data(b, i),
                           (size_t)ptq_store_bytes(b, i))))
            printf("    %s: %s, not %s\n", ptq_store_name(b, i), ptq_store_dtype(b, i),
                   at >= 0 ? ptq_store_dtype(a, at) : "");
    }
}

static void check_round_trip(const char *path, int64_t least)
{
    char gguf[600], ptq[600];
    ptq_store *from, *native, *again;
    snprintf(gguf, sizeof gguf, "%s", test_scratch("again.gguf"));
    snprintf(ptq, sizeof ptq, "%s", test_scratch("native.safetensors"));
    if (!CHECK_OK(ptq_store_open(test_context(), path, &from)))
        return;
    if (CHECK_OK(rewrite(test_context(), from, PTQ_FORMAT_GGUF, gguf)) &&
        CHECK_OK(ptq_store_open(test_context(), gguf, &again))) {
        check_same(from, again, least);
        ptq_store_free(again);
    }
    if (CHECK_OK(rewrite(test_context(), from, PTQ_FORMAT_PTQ, ptq)) &&
        CHECK_OK(ptq_store_open(test_context(), ptq, &native))) {
        CHECK_OK(rewrite(test_context(), native, PTQ_FORMAT_GGUF, gguf));
        if (CHECK_OK(ptq_store_open(test_context(), gguf, &again))) {
            check_same(from, again, least);
            ptq_store_free(again);
        }
        ptq_store_free(native);
    }
    ptq_store_free(from);
}

static void test_round_trips(void)
{
    static const char *const shared[] = {"checkpoints/gguf-llama-tiny/llama-tiny-Q4_0.gguf",
                                         "checkpoints/gguf-llama-tiny/llama-tiny-Q4_1.gguf",
                                         "checkpoints/gguf-llama-tiny/llama-tiny-Q8_0.gguf",
                                         "checkpoints/gguf-llama-5m/llama-5m-Q4_K_M.gguf"};
    check_round_trip(test_data("blocks.gguf"), 10);
    for (int i = 0; i < 4; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s", shared_data(shared[i]) ? shared_data(shared[i]) : "");
        if (*path)
            check_round_trip(path, 29);
        else
            test_skip("no ../shared/checkpoints with GGUF files");
    }
}

void test_gguf_write(void)
{
    test_round_trips();
    test_types();
    test_refused();
    test_super();
}
