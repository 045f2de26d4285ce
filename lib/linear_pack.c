/*
 * Packing a quantized matrix for the kernels of a context.
 */
#include <string.h>
#include "base/half.h"
#include "base/hash.h"
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

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static ptq_status pack_panels(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    const int nr = l->kernels->int_nr;
    struct ptqi_panel *p = &l->panel;
    p->scale_bytes = l->two_level ? 1 : fits_half(q->scales, q->n * q->groups) ? 2 : 4;
    p->has_zeros = q->zeros != NULL;
    p->zero = ptqi_qtensor_zero(q, 0, 0) - (l->code_bits == 8 ? l->kernels->w8_offset : 0);
    p->blocks = ptqi_padded_k(l) / PTQI_BLOCK;
    p->group_blocks = min64((l->group_size + PTQI_BLOCK - 1) / PTQI_BLOCK, p->blocks);
    const int64_t group_bytes =
        ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const int64_t head = l->two_level ? 4 * nr : 0;
    l->panels = (q->n + nr - 1) / nr;
    l->panel_bytes = head + ptqi_group_bytes(nr, l->code_bits, p->scale_bytes * (int)q->groups,
                                             p->has_zeros * (int)q->groups, p->blocks);
    l->bytes = l->panels * l->panel_bytes;
    l->data = ptqi_alloc_zero(l->context, l->panels, l->panel_bytes);
    uint8_t *row = ptqi_alloc(l->context, q->k, 1);
    for (int64_t n = 0; l->data && row && n < q->n; n++) {
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
    p->data = l->data;
    l->blocking = ptqi_plan_blocking(l);
    return l->data && row ? PTQ_OK : PTQ_ERROR_MEMORY;
}

/* Weight-only: words of codes in the original order of the columns. */
static ptq_status pack_words(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    const int nr = l->kernels->f32_nr, per_word = 32 / l->code_bits;
    l->panels = (q->n + nr - 1) / nr;
    l->row_words = (q->k + per_word - 1) / per_word;
    const int64_t words = l->panels * nr * l->row_words, scales = l->panels * nr * q->groups;
    l->words = ptqi_alloc_zero(l->context, words, (int64_t)sizeof *l->words);
    l->scales = ptqi_alloc_zero(l->context, scales, (int64_t)sizeof *l->scales);
    if (q->zeros)
        l->zeros = ptqi_alloc_zero(l->context, scales, (int64_t)sizeof *l->zeros);
    l->bytes = words * 4 + scales * (q->zeros ? 8 : 4);
    l->group_of = ptqi_alloc(l->context, q->k, (int64_t)sizeof *l->group_of);
    if (!l->words || !l->scales || (q->zeros && !l->zeros) || !l->group_of)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_qtensor_group_index(q, l->group_of));
    l->zero = ptqi_qtensor_zero(q, 0, 0);
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

/* What two linears must have in common to take the same prepared activations. */
static uint64_t recipe_of(const struct ptq_linear *l)
{
    int64_t numbers[3] = {l->k, l->activations,
                          l->activations != PTQ_ACTIVATIONS_F32 ? l->group_size : 0};
    uint64_t h = ptqi_hash(PTQI_HASH_START, numbers, (int64_t)sizeof numbers);
    h = ptqi_hash(h, &l->rotation, (int64_t)sizeof l->rotation);
    if (l->input_scale)
        h = ptqi_hash(h ^ 1, l->input_scale, l->k * (int64_t)sizeof *l->input_scale);
    if (l->order)
        h = ptqi_hash(h ^ 2, l->order, l->k * (int64_t)sizeof *l->order);
    if (l->activations == PTQ_ACTIVATIONS_INT8_STATIC)
        h = ptqi_hash(h ^ 3, &l->activation_scale, (int64_t)sizeof l->activation_scale);
    if (l->activations != PTQ_ACTIVATIONS_F32 && l->kernels->x_rows > 1) /* another arrangement */
        h = ptqi_hash(h ^ 4, &l->kernels->x_rows, (int64_t)sizeof l->kernels->x_rows);
    return h;
}

static void *copy(struct ptq_linear *l, const void *from, int64_t bytes)
{
    void *to = ptqi_alloc(l->context, bytes, 1);
    if (to)
        memcpy(to, from, (size_t)bytes);
    return to;
}

ptq_status ptqi_linear_pack(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    int integer = q->activations != PTQ_ACTIVATIONS_F32;
    l->n = q->n;
    l->k = q->k;
    l->activations = q->activations;
    l->activation_scale = q->activation_scale;
    if (l->activations == PTQ_ACTIVATIONS_INT8_STATIC && !(l->activation_scale > 0))
        return ptqi_fail(l->context, PTQ_ERROR_MISSING, "static activations need a scale");
    l->group_size = q->group_size;
    l->groups = q->groups;
    l->code_bits = q->bits == 8 ? 8 : 4;
    l->two_level = integer && q->row_scales && q->bits < 8; /* levels of 8-bit codes are 0 */
    if (q->input_scale && !(l->input_scale = copy(l, q->input_scale, q->k * 4)))
        return PTQ_ERROR_MEMORY;
    if (integer && q->order && !(l->order = copy(l, q->order, q->k * 4)))
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(integer ? pack_panels(l, q) : pack_words(l, q));
    l->rotation = q->rotation;
    l->recipe = recipe_of(l);
    return PTQ_OK;
}
