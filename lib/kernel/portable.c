/*
 * The kernels in plain C: the specification, and the fallback for other CPUs.
 */
#include "kernel.h"

#define NAME(function) function
#define TARGET
#define PLAIN_ROTATION
#include "vector_template.h"

#define F32_MR 4
#define F32_NR 16
#define STREAM_MR 4
#define INT_NR 16

static uint32_t magnitude(const float *x, int64_t n)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a = ptqi_bits(x[i]) & 0x7fffffff;
        most = a > most ? a : most;
    }
    return most;
}

static void quantize(const float *x, float scale, int64_t n, int64_t group, int8_t *q,
                     int32_t *sums)
{
    for (int64_t begin = 0; begin < n; begin += group) {
        const int64_t end = n - begin < group ? n : begin + group;
        int32_t sum = 0;
        for (int64_t i = begin; i < end; i++) {
            q[i] = quantize_one(x[i], scale);
            sum += q[i];
        }
        *sums++ = sum;
    }
}

static void quantize_groups(const float *x, int64_t n, int64_t group, int8_t *q, int32_t *sums,
                            float *scales)
{
    for (int64_t i = 0; i < n; i += group, sums++, scales++) {
        const int64_t count = ptqi_min(n - i, group);
        *scales = ptqi_from_bits(magnitude(x + i, count)) / 127.0f;
        *sums = 0;
        for (int64_t j = i; j < i + count; j++)
            q[j] = 0;
        if (*scales > 0)
            quantize(x + i, *scales, count, count, q + i, sums);
    }
}

static void f32_tile(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_k,
                     const float *b, int64_t b_k, float *c, int64_t ldc, int accumulate)
{
    for (int m = 0; m < rows; m++) {
        float sum[F32_NR] = {0};
        if (accumulate)
            memcpy(sum, c + m * ldc, sizeof sum);
        for (int64_t i = 0; i < k; i++) {
            float x = a[m * a_row + i * a_k];
            for (int n = 0; n < F32_NR; n++)
                sum[n] = fmaf(x, b[i * b_k + n], sum[n]);
        }
        memcpy(c + m * ldc, sum, sizeof sum);
    }
}

static void f32_transpose(const float *in, int64_t ld, int64_t k, float *out)
{
    for (int n = 0; n < F32_NR; n++)
        for (int64_t i = 0; i < k; i++)
            out[i * F32_NR + n] = in[n * ld + i];
}

static void word_dequantize(const struct ptqi_words *w, int64_t first, int64_t count, float *out)
{
    const int per_word = 32 / w->bits;
    const uint32_t mask = (1u << w->bits) - 1;
    for (int64_t i = first; i < first + count; i++)
        for (int n = 0; n < F32_NR; n++) {
            const int64_t at = w->group_of[i] * (int64_t)F32_NR + n;
            const uint32_t word = w->words[i / per_word * F32_NR + n];
            const uint32_t code = word >> (i % per_word * w->bits) & mask;
            const uint32_t zero = (uint32_t)(w->zeros ? w->zeros[at] : w->zero);
            *out++ = w->scales[at] * (float)(int32_t)(code - zero);
        }
}

/* Adds the sum over k of a block of q x to dot[n] for each row n of the panel. */
static void dot_block4(const uint8_t *codes, const int8_t *x, uint32_t *dot)
{
    for (int j = 0; j < 4; j++)
        for (int n = 0; n < INT_NR; n++)
            for (int i = 0; i < 4; i++) {
                int byte = codes[(j * INT_NR + n) * 4 + i];
                dot[n] += (uint32_t)((byte & 15) * x[4 * j + i]);
                dot[n] += (uint32_t)((byte >> 4) * x[16 + 4 * j + i]);
            }
}

static void dot_block8(const uint8_t *codes, const int8_t *x, uint32_t *dot)
{
    for (int j = 0; j < 8; j++)
        for (int n = 0; n < INT_NR; n++)
            for (int i = 0; i < 4; i++)
                dot[n] += (uint32_t)(codes[(j * INT_NR + n) * 4 + i] * x[4 * j + i]);
}

static float scale_at(const uint8_t *scales, int scale_bytes, int n)
{
    uint16_t half;
    float scale;
    if (scale_bytes == 2) {
        memcpy(&half, scales + 2 * n, 2);
        return ptqi_f16_to_f32(half);
    }
    memcpy(&scale, scales + 4 * n, 4);
    return scale;
}

/* x_scales: of each group, or NULL. */
static void int_row(const struct ptqi_panel *panel, const int8_t *x, const int32_t *sums,
                    const float *x_scales, float *out, int bits)
{
    const int levels = panel->scale_bytes == 1;
    const uint8_t *scales = ptqi_first_group(panel, INT_NR);
    uint32_t total[INT_NR] = {0};
    for (int n = 0; n < INT_NR; n++)
        out[n] = 0;
    for (int64_t g = 0, block = 0; block < panel->blocks; g++) {
        const uint8_t *zeros = scales + panel->scale_bytes * INT_NR;
        const uint8_t *codes = zeros + (panel->has_zeros ? INT_NR : 0);
        uint32_t dot[INT_NR];
        for (int n = 0; n < INT_NR; n++) {
            int32_t zero = panel->has_zeros ? zeros[n] : panel->zero;
            dot[n] = 0u - (uint32_t)zero * (uint32_t)sums[g];
        }
        int64_t end = block + panel->group_blocks;
        for (; block < end && block < panel->blocks; block++) {
            (bits == 4 ? dot_block4 : dot_block8)(codes, x + block * PTQI_BLOCK, dot);
            codes += 4 * bits * INT_NR;
        }
        for (int n = 0; n < INT_NR; n++) {
            const float number = (float)(int32_t)dot[n];
            if (levels)
                total[n] += scales[n] * dot[n];
            else
                out[n] = fmaf(scale_at(scales, panel->scale_bytes, n),
                              x_scales ? x_scales[g] * number : number, out[n]);
        }
        scales = codes;
    }
    for (int n = 0; n < INT_NR && levels; n++)
        out[n] = fmaf(scale_at(panel->data, 4, n), (float)(int32_t)total[n], 0.0f);
}

static void int_rows(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x,
                     float *out, int bits)
{
    for (int m = 0; m < rows; m++)
        int_row(panel, x->x + m * x->ldx, x->sums + m * x->ldsums,
                x->scales ? ptqi_group_scale(x, m) : NULL, out + m * INT_NR, bits);
}

static void stream4(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x, float *out)
{
    int_rows(rows, panel, x, out, 4);
}

static void stream8(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x, float *out)
{
    int_rows(rows, panel, x, out, 8);
}

static void general_minimum(const struct ptqi_general *w, int64_t g, float x_sum, float *sum)
{
    for (int n = 0; n < PTQI_GENERAL_NR; n++)
        sum[n] = fmaf(w->minima[g * PTQI_GENERAL_NR + n], x_sum, sum[n]);
}

static void general_row(const struct ptqi_general *w, const int16_t *x, const int32_t *sums,
                        const float *x_scales, float *out)
{
    const int16_t *codes = w->codes;
    float sum[PTQI_GENERAL_NR] = {0};
    int64_t i = 0;
    for (int64_t g = 0; g < w->groups; g++) {
        const float *scales = w->scales + g * PTQI_GENERAL_NR;
        uint32_t dot[PTQI_GENERAL_NR] = {0};
        for (; i < w->group_end[g]; i++, codes += PTQI_GENERAL_NR)
            for (int n = 0; n < PTQI_GENERAL_NR; n++)
                dot[n] += (uint32_t)(codes[n] * x[i]);
        const float x_scale = x_scales ? x_scales[g] : 1;
        for (int n = 0; n < PTQI_GENERAL_NR; n++)
            sum[n] = fmaf(scales[n], x_scale * (float)(int32_t)dot[n], sum[n]);
        if (w->minima && !w->minima_last)
            general_minimum(w, g, x_scale * (float)sums[g], sum);
    }
    for (int64_t g = 0; g < w->groups && w->minima && w->minima_last; g++)
        general_minimum(w, g, (x_scales ? x_scales[g] : 1) * (float)sums[g], sum);
    memcpy(out, sum, sizeof sum);
}

static void general(int rows, const struct ptqi_general *w, const int16_t *x, int64_t ldx,
                    const int32_t *sums, int64_t ldsums, const float *x_scales, float *out)
{
    for (int m = 0; m < rows; m++)
        general_row(w, x + m * ldx, sums + m * ldsums, x_scales ? x_scales + m * ldsums : NULL,
                    out + m * PTQI_GENERAL_NR);
}

const struct ptqi_kernels ptqi_kernels_portable = {
    .isa = PTQ_ISA_PORTABLE,
    .f32_mr = F32_MR,
    .f32_nr = F32_NR,
    .f32_tile = f32_tile,
    .f32_transpose = f32_transpose,
    .word_dequantize = word_dequantize,
    .int_nr = INT_NR,
    .int_strip = INT_NR,
    .int_kr = 4,
    .x_rows = 1,
    .stream_mr = STREAM_MR,
    .w4a8 = {.stream = stream4, .pass_rows = {STREAM_MR, STREAM_MR, STREAM_MR}},
    .w8a8 = {.stream = stream8, .pass_rows = {STREAM_MR, STREAM_MR, STREAM_MR}},
    .two_level = {.stream = stream4, .pass_rows = {STREAM_MR, STREAM_MR, STREAM_MR}},
    .general = general,
    .magnitude = magnitude,
    .quantize = quantize,
    .quantize_groups = quantize_groups,
    VECTOR_KERNELS,
};
