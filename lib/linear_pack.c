/*
 * Packing a quantized matrix for the kernels of a context: what linear_packed.c has room for.
 */
#include <string.h>
#include "base/half.h"
#include "linear.h"
#include "qtensor.h"

/* 1 where every scale is an f16 exactly; then the packed ones take half the bytes. */
static int fits_half(const float *scales, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (ptqi_bits(ptqi_f16_to_f32(ptqi_f32_to_f16(scales[i]))) != ptqi_bits(scales[i]))
            return 0;
    return 1;
}

/* A row of 4-bit codes, in order, into its places in the blocks of a group's strip of nr rows. */
static void pack_codes4(const uint8_t *codes, int64_t count, int nr, int kr, uint8_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t within = i % 16, high = i % PTQI_BLOCK / 16;
        uint8_t *block = out + i / PTQI_BLOCK * (16 * nr);
        block[within / kr * nr * kr + within % kr] |= (uint8_t)(codes[i] << (4 * high));
    }
}

/* The same with a byte for each code. */
static void pack_codes8(const uint8_t *codes, int64_t count, int nr, int kr, int offset,
                        uint8_t *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i / kr * nr * kr + i % kr] = (uint8_t)(codes[i] ^ offset); /* minus 128, or as it is */
}

/* One group of row `row` of a panel. */
static void pack_group(const struct ptq_linear *l, const struct ptq_qtensor *q, int64_t n,
                       int64_t g, const uint8_t *codes, uint8_t *group, int row)
{
    const int nr = l->kernels->int_nr;
    const struct ptqi_panel *p = &l->panel;
    const int64_t left = l->k - g * l->group_size;
    const int64_t count = left < l->group_size ? left : l->group_size;
    uint8_t *header = group + nr * p->scale_bytes;
    float scale = q->scales[n * q->groups + g];
    uint16_t half = ptqi_f32_to_f16(scale);
    if (p->scale_bytes == 1)
        group[row] = (uint8_t)ptqi_round_even(scale / q->row_scales[n]);
    else if (p->scale_bytes == 2)
        memcpy(group + 2 * row, &half, 2);
    else
        memcpy(group + 4 * row, &scale, 4);
    if (p->has_zeros)
        header[row] = q->zeros[n * q->groups + g];
    const int strip = l->kernels->int_strip, kr = l->kernels->int_kr;
    const int64_t blocks = (count + PTQI_BLOCK - 1) / PTQI_BLOCK;
    uint8_t *out = header + (p->has_zeros ? nr : 0) +
                   row / strip * (blocks * 4 * l->code_bits * strip) + row % strip * kr;
    if (l->code_bits == 4)
        pack_codes4(codes, count, strip, kr, out);
    else
        pack_codes8(codes, count, strip, kr, l->kernels->w8_offset, out);
}

static ptq_status pack_panels(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    const int nr = l->kernels->int_nr;
    const struct ptqi_panel *p = &l->panel;
    const int64_t group_bytes =
        ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const int64_t head = l->two_level ? 4 * nr : 0;
    uint8_t *row = ptqi_alloc(l->context, q->k, 1);
    for (int64_t n = 0; row && n < q->n; n++) {
        uint8_t *panel = l->data + n / nr * l->panel_bytes;
        const uint8_t *codes = q->codes + n * q->k;
        for (int64_t i = 0; i < q->k; i++)
            row[i] = codes[q->order ? q->order[i] : i];
        if (l->two_level)
            memcpy(panel + 4 * (n % nr), &q->row_scales[n], 4);
        for (int64_t g = 0; g < q->groups; g++)
            pack_group(l, q, n, g, row + g * l->group_size, panel + head + g * group_bytes,
                       (int)(n % nr));
    }
    ptqi_free(l->context, row);
    return row ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Weight-only: words of codes in the original order of the columns. */
static ptq_status pack_words(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    const int nr = l->kernels->f32_nr, per_word = 32 / l->code_bits;
    PTQI_TRY(ptq_qtensor_group_index(q, l->group_of));
    for (int64_t n = 0; n < q->n; n++) {
        const int64_t panel = n / nr, row = n % nr;
        uint32_t *out = l->words + panel * l->row_words * nr + row;
        for (int64_t i = 0; i < q->k; i++)
            out[i / per_word * nr] |= (uint32_t)q->codes[n * q->k + i]
                                      << (i % per_word * l->code_bits);
        for (int64_t g = 0; g < q->groups; g++) {
            const int64_t at = (panel * q->groups + g) * nr + row;
            l->scales[at] = q->scales[n * q->groups + g];
            if (q->zeros)
                l->zeros[at] = q->zeros[n * q->groups + g];
        }
    }
    return PTQ_OK;
}

static int is_two_level(const struct ptq_qtensor *q)
{
    return q->row_scales && q->activations != PTQ_ACTIVATIONS_F32 && q->bits < 8;
}

/* Of a group's scale or level, as packed. */
static int scale_bytes_of(const struct ptq_qtensor *q)
{
    if (is_two_level(q))
        return 1;
    return q->activations != PTQ_ACTIVATIONS_F32 && fits_half(q->scales, q->n * q->groups) ? 2 : 4;
}

ptq_status ptqi_linear_describe(ptq_context *context, const struct ptq_qtensor *q,
                                struct ptqi_packed *h)
{
    const int integer = q->activations != PTQ_ACTIVATIONS_F32;
    const int32_t code_bits = q->bits == 8 ? 8 : 4;
    *h = (struct ptqi_packed){.n = q->n,
                              .k = q->k,
                              .group_size = q->group_size,
                              .activations = q->activations,
                              .rotation = q->rotation,
                              .code_bits = code_bits,
                              .scale_bytes = scale_bytes_of(q),
                              .zero = ptqi_qtensor_zero(q, 0, 0),
                              .has_zeros = q->zeros != NULL,
                              .has_input_scale = q->input_scale != NULL,
                              .has_order = integer && q->order,
                              .layout = ptqi_packed_layout(context->kernels, integer, code_bits)};
    if (h->activations == PTQ_ACTIVATIONS_INT8_STATIC) {
        if (!(q->activation_scale > 0))
            return ptqi_fail(context, PTQ_ERROR_MISSING, "static activations need a scale");
        h->activation_scale = q->activation_scale;
    }
    h->bytes = ptqi_packed_size(h);
    if (!h->bytes)
        return ptqi_fail(context, PTQ_ERROR_SHAPE, "a matrix of %lld rows is too large to pack",
                         (long long)q->n);
    return PTQ_OK;
}

ptq_status ptqi_linear_pack(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    if (q->input_scale)
        memcpy(l->input_scale, q->input_scale, (size_t)q->k * sizeof *l->input_scale);
    if (l->order)
        memcpy(l->order, q->order, (size_t)q->k * sizeof *l->order);
    return l->activations != PTQ_ACTIVATIONS_F32 ? pack_panels(l, q) : pack_words(l, q);
}
