/*
 * The formula in ptq/linear.h, written without any of the library's code.
 */
#include "layer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/cpu.h"
#include "base/half.h"
#include "kernel/kernel.h"
#include "test.h"

extern const struct ptqi_kernels ptqi_kernels_evex;
struct ptqi_kernels emulated_amx(void); /* amx.c */
int emulated_tiles_in_use(void);

/* Columns that share a scale of x. */
static int64_t size_by_group(int64_t size, int64_t k)
{
    const int64_t unit = size % 32 ? 16 : 32;
    if (size <= 128)
        return size;
    if (size == k)
        return 128;
    for (int64_t part = 128 / unit * unit;; part -= unit)
        if (size % part == 0)
            return part;
}

/* A multiple of the row's scale such that multiple * (code - zero) fits in 8 bits. */
static float level_scale(const struct layer *l, struct random *r, int64_t n, int zero)
{
    const int top = (1 << l->s.bits) - 1, far = zero > top - zero ? zero : top - zero;
    const int most = 127 / far < 15 ? 127 / far : 15;
    return (float)(1 + random_below(r, most)) * l->row_scales[n];
}

static void fill_layer(struct layer *l, struct random *r)
{
    const int64_t n = l->s.n, k = l->s.k;
    for (int64_t i = 0; i < n * k; i++)
        l->codes[i] = (uint8_t)(random_bits(r) & ((1u << l->s.bits) - 1));
    for (int64_t i = 0; i < n; i++)
        l->row_scales[i] = 0.001f + fabsf(random_normal(r));
    for (int64_t i = 0; i < n * l->groups; i++) {
        l->zeros[i] = (uint8_t)(random_bits(r) & ((1u << l->s.bits) - 1));
        if (!(l->what & ZEROS))
            l->zeros[i] = (uint8_t)(1 << (l->s.bits - 1));
        l->scales[i] = random_normal(r) * (l->what & OVERFLOW ? 5e37f : 0.01f);
        l->minima[i] = 0.01f * l->scales[i] + 0.003f;
        if (l->what & MINIMA)
            l->zeros[i] = 0;
        if (l->what & TWO_LEVEL)
            l->scales[i] = level_scale(l, r, i / l->groups, l->zeros[i]);
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t other = l->what & ORDER ? random_below(r, i + 1) : i;
        l->input_scale[i] = 0.2f + fabsf(random_normal(r));
        l->order[i] = l->order[other];
        l->order[other] = (int32_t)i;
    }
    for (int64_t i = 0; i < k; i++) {
        l->group_of[l->order[i]] = (int32_t)(i / l->size);
        l->x_group_of[l->order[i]] = (int32_t)(i / l->x_size);
    }
    for (int64_t i = 0; i < n; i++)
        l->bias[i] = random_normal(r);
}

struct layer make_layer(ptq_context *context, struct shape s, int what, uint64_t seed)
{
    struct random r = {seed};
    struct layer l = {.s = s, .what = what};
    l.size = s.group && s.group < s.k ? s.group : s.k;
    l.groups = (s.k + l.size - 1) / l.size;
    l.x_size = what & BY_GROUP ? size_by_group(l.size, s.k) : l.size;
    l.codes = malloc((size_t)(s.n * s.k));
    l.zeros = malloc((size_t)(s.n * l.groups));
    l.scales = malloc((size_t)(s.n * l.groups) * 4);
    l.minima = malloc((size_t)(s.n * l.groups) * 4);
    l.row_scales = malloc((size_t)s.n * 4);
    l.input_scale = malloc((size_t)s.k * 4);
    l.order = malloc((size_t)s.k * 4);
    l.group_of = malloc((size_t)s.k * 4);
    l.x_group_of = malloc((size_t)s.k * 4);
    l.bias = malloc((size_t)s.n * 4);
    fill_layer(&l, &r);
    CHECK_OK(ptq_qtensor_create(context, s.n, s.k, s.bits, s.group, &l.q));
    CHECK_OK(ptq_qtensor_set_codes(l.q, l.codes));
    CHECK_OK(ptq_qtensor_set_scales(l.q, l.scales));
    if (what & ZEROS)
        CHECK_OK(ptq_qtensor_set_zeros(l.q, l.zeros));
    if (what & MINIMA)
        CHECK_OK(ptq_qtensor_set_minima(l.q, l.minima));
    if (what & TWO_LEVEL)
        CHECK_OK(ptq_qtensor_set_row_scales(l.q, l.row_scales));
    if (what & ORDER)
        CHECK_OK(ptq_qtensor_set_order(l.q, l.order));
    if (what & INPUT_SCALE)
        CHECK_OK(ptq_qtensor_set_input_scale(l.q, l.input_scale));
    CHECK_OK(ptq_qtensor_set_activations(l.q, what & INT16      ? PTQ_ACTIVATIONS_INT16_TOKEN
                                              : what & BY_GROUP ? PTQ_ACTIVATIONS_INT8_GROUP
                                              : what & INT8     ? PTQ_ACTIVATIONS_INT8_TOKEN
                                                                : PTQ_ACTIVATIONS_F32));
    return l;
}

void free_layer(struct layer *l)
{
    ptq_qtensor_free(l->q);
    free(l->codes);
    free(l->zeros);
    free(l->scales);
    free(l->minima);
    free(l->row_scales);
    free(l->input_scale);
    free(l->order);
    free(l->group_of);
    free(l->x_group_of);
    free(l->bias);
}

static float f32_output(const struct layer *l, const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < l->s.k; i++) {
        int64_t at = n * l->groups + l->group_of[i];
        float w = l->scales[at] * (float)(l->codes[n * l->s.k + i] - l->zeros[at]);
        if (l->what & MINIMA)
            w = fmaf(l->scales[at], (float)l->codes[n * l->s.k + i], l->minima[at]);
        sum = fmaf(x[i], w, sum);
    }
    return l->what & BIAS ? sum + l->bias[n] : sum;
}

/* Adds minima to the sum of row n, with groups in order. */
static float add_minima(const struct layer *l, const int32_t *q, const float *x_scales, int64_t n,
                        float sum)
{
    for (int64_t g = 0; g * l->x_size < l->s.k; g++) {
        int32_t inputs = 0;
        for (int64_t i = 0; i < l->s.k; i++)
            inputs += l->x_group_of[i] == g ? q[i] : 0;
        const float number = (l->what & BY_GROUP ? x_scales[g] : 1) * (float)inputs;
        sum = fmaf(l->minima[n * l->groups + g * l->x_size / l->size], number, sum);
    }
    return sum;
}

/* The product of row n with integers, before their scale, but after those of their groups. */
static float int8_sum(const struct layer *l, const int32_t *q, const float *x_scales, int64_t n)
{
    const int last = l->what & (INT16 | BY_GROUP); /* minima are added after all scales */
    float sum = 0;
    int64_t total = 0; /* of levels times integers */
    for (int64_t g = 0; g * l->x_size < l->s.k; g++) {
        int64_t products = 0, inputs = 0, at = n * l->groups + g * l->x_size / l->size;
        for (int64_t i = 0; i < l->s.k; i++)
            if (l->x_group_of[i] == g) {
                products += l->codes[n * l->s.k + i] * q[i];
                inputs += q[i];
            }
        float number = (float)(int32_t)(products - l->zeros[at] * inputs);
        if (l->what & BY_GROUP)
            number *= x_scales[g];
        sum = fmaf(l->scales[at], number, sum);
        if (l->what & MINIMA && !last)
            sum = fmaf(l->minima[at], (float)inputs, sum);
        if (l->what & TWO_LEVEL)
            total += lrintf(l->scales[at] / l->row_scales[n]) * (products - l->zeros[at] * inputs);
    }
    if (l->what & TWO_LEVEL)
        sum = l->row_scales[n] * (float)total;
    return l->what & MINIMA && last ? add_minima(l, q, x_scales, n, sum) : sum;
}

static float integer_output(const struct layer *l, const int32_t *q, const float *x_scales,
                            int64_t n)
{
    const float sx = l->what & BY_GROUP ? 1 : *x_scales;
    float sum = int8_sum(l, q, x_scales, n);
    if (l->what & INT16) /* the second limb follows the first */
        sum = fmaf(254, sum, int8_sum(l, q + l->s.k, x_scales, n));
    return l->what & BIAS ? fmaf(sum, sx, l->bias[n]) : sum * sx;
}

/* The scale of a row of x, or the scales of its groups; and the integers of x: of 8 bits, or the
 * high limbs of all and then the low ones. */
static void round_row(const struct layer *l, const float *x, float *x_scales, int32_t *q)
{
    const float most = l->what & INT16 ? 32385 : 127;
    const int by_group = (l->what & BY_GROUP) != 0;
    for (int64_t i = 0; i < l->s.k; i++)
        x_scales[i] = 0;
    for (int64_t i = 0; i < l->s.k; i++) {
        float *scale = &x_scales[by_group ? l->x_group_of[i] : 0];
        *scale = fmaxf(*scale, fabsf(x[i]) / most);
    }
    for (int64_t i = 0; i < l->s.k; i++) {
        const float sx = x_scales[by_group ? l->x_group_of[i] : 0];
        q[i] = sx > 0 ? (int32_t)rintf(fmaxf(-most, fminf(most, x[i] / sx))) : 0;
        if (l->what & INT16) {
            const int32_t code = q[i], size = (abs(code) + 126) / 254;
            q[i] = code < 0 ? -size : size;
            q[l->s.k + i] = code - 254 * q[i];
        }
    }
}

/* y [n] of one row of x, as f32. */
static void plain_row(const struct layer *l, const float *row, float *y)
{
    const int64_t k = l->s.k;
    float *x = malloc((size_t)k * 8);
    int32_t *q = malloc((size_t)k * 8);
    int finite = 1;
    for (int64_t i = 0; i < k; i++) {
        x[i] = l->what & INPUT_SCALE ? row[i] / l->input_scale[i] : row[i];
        finite &= x[i] - x[i] == 0;
    }
    if (finite)
        round_row(l, x, x + k, q);
    for (int64_t n = 0; n < l->s.n; n++) {
        if (!finite)
            y[n] = ptqi_from_bits(0x7fc00000);
        else
            y[n] = l->what & (INT8 | INT16 | BY_GROUP) ? integer_output(l, q, x + k, n)
                                                       : f32_output(l, x, n);
        if (y[n] != y[n]) /* there is only one NaN, also for infinity minus infinity */
            y[n] = ptqi_from_bits(0x7fc00000);
    }
    free(x);
    free(q);
}

static float input(struct random *r, int kind, int64_t row, int64_t i)
{
    float x = random_normal(r);
    if (kind == NORMAL)
        return i == 3 ? 20 * x : x;
    switch (row % 6) {
    case 0:
        return row % 4 ? -0.0f : 0.0f;
    case 1:
        return i == 1 ? NAN : x;
    case 2:
        return i == 0 ? -INFINITY : x;
    case 3:
        return 1e-44f * x;
    case 4:
        return 1e30f * x;
    default:
        return x;
    }
}

struct run make_run(const struct layer *l, int64_t rows, int32_t x_dtype, int32_t y_dtype, int kind,
                    uint64_t seed)
{
    struct random r = {seed};
    const int64_t gap = l->what & GAPS ? 3 : 0, n = l->s.n, k = l->s.k;
    struct run run = {
        .rows = rows, .ldx = k + gap, .ldy = n + gap, .x_dtype = x_dtype, .y_dtype = y_dtype};
    const int64_t x_size = ptq_dtype_size(x_dtype), y_size = ptq_dtype_size(y_dtype);
    float *row = malloc((size_t)k * 4), *y = malloc((size_t)n * 4);
    run.y_bytes = rows * run.ldy * y_size + 64;
    run.x = malloc((size_t)(rows * run.ldx * x_size) + 64);
    run.x += x_size; /* aligned to an element only */
    run.want = malloc((size_t)run.y_bytes);
    run.y = malloc((size_t)run.y_bytes);
    memset(run.want, 0x5a, (size_t)run.y_bytes);
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t i = 0; i < k; i++)
            row[i] = input(&r, kind, m, i);
        ptqi_from_f32(run.x + m * run.ldx * x_size, x_dtype, row, k);
        ptqi_to_f32(row, run.x + m * run.ldx * x_size, x_dtype, k);
        plain_row(l, row, y);
        ptqi_from_f32(run.want + 2 * y_size + m * run.ldy * y_size, y_dtype, y, n);
    }
    free(row);
    free(y);
    return run;
}

void free_run(struct run *run)
{
    free(run->x - ptq_dtype_size(run->x_dtype));
    free(run->want);
    free(run->y);
}

void *start(struct run *run)
{
    memset(run->y, 0x5a, (size_t)run->y_bytes);
    return run->y + 2 * ptq_dtype_size(run->y_dtype); /* y too is aligned only to an element */
}

int is_right(const struct run *run)
{
    return !memcmp(run->y, run->want, (size_t)run->y_bytes);
}

int is_usable(int32_t isa)
{
#ifdef PTQI_X86
    if (isa == EVEX || isa == EMULATED_AMX)
        return (ptqi_cpu_features() & PTQI_CPU_AVX512_VNNI) != 0;
#endif
    return ptq_isa_usable(isa);
}

ptq_context *make_context(int32_t threads, int32_t isa)
{
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_threads(context, threads));
#ifdef PTQI_X86
    if (isa == EVEX) {
        context->kernels = &ptqi_kernels_evex;
        return context;
    }
    if (isa == EMULATED_AMX) {
        static struct ptqi_kernels amx;
        amx = emulated_amx();
        context->kernels = &amx;
        return context;
    }
#endif
    CHECK_OK(ptq_context_set_isa(context, isa));
    return context;
}

int tiles_in_use(void)
{
#ifdef PTQI_X86
    return emulated_tiles_in_use();
#else
    return 0;
#endif
}
