/*
 * Packing a quantized matrix for the kernels of a context: what packed.c has room for.
 */
#include <string.h>
#include "base/half.h"
#include "base/team.h"
#include "linear/layout.h"
#include "qtensor.h"

/* 1 where every scale is an f16 exactly; then the packed ones take half the bytes. */
static int fits_half(const float *scales, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (ptqi_bits(ptqi_f16_to_f32(ptqi_f32_to_f16(scales[i]))) != ptqi_bits(scales[i]))
            return 0;
    return 1;
}

/* The codes of a block of row n from column `first` on, in the order of quantization; where the row
 * has no more, fill, which must become zero when packed. */
static void gather(const struct ptq_qtensor *q, int64_t n, int64_t first, int fill, uint8_t *codes)
{
    const uint8_t *row = q->codes + n * q->k;
    const int64_t count = ptqi_min(q->k - first, PTQI_BLOCK);
    if (!q->order)
        memcpy(codes, row + first, (size_t)count);
    for (int64_t i = 0; i < count && q->order; i++)
        codes[i] = row[q->order[first + i]];
    memset(codes + count, fill, (size_t)(PTQI_BLOCK - count));
}

/* A block of 4-bit codes into its places in a strip of so many rows: runs of kr, a multiple of 4,
 * and so whole words. */
static void pack_block4(const uint8_t *codes, int strip, int kr, uint8_t *out)
{
    for (int i = 0; i < PTQI_BLOCK / 2; i += 4) {
        uint32_t low, high;
        memcpy(&low, codes + i, 4);
        memcpy(&high, codes + PTQI_BLOCK / 2 + i, 4);
        low |= high << 4;
        memcpy(out + i / kr * strip * kr + i % kr, &low, 4);
    }
}

/* The same with a byte for each code. */
static void pack_block8(const uint8_t *codes, int strip, int kr, int offset, uint8_t *out)
{
    const uint32_t offsets = (uint32_t)offset * 0x01010101u;
    for (int i = 0; i < PTQI_BLOCK; i += 4) {
        uint32_t word;
        memcpy(&word, codes + i, 4);
        word ^= offsets; /* minus 128, or as it is */
        memcpy(out + i / kr * strip * kr + i % kr, &word, 4);
    }
}

/* Matrix q into l, cut into parts by panels. */
struct packing {
    struct ptq_linear *l;
    const struct ptq_qtensor *q;
    struct ptqi_packed_layout layout;
    int64_t parts;
};

/* Group g of row n. */
static void pack_group(const struct packing *job, int64_t n, int64_t g, uint8_t *group)
{
    const struct ptq_linear *l = job->l;
    const struct ptq_qtensor *q = job->q;
    const struct ptqi_panel *p = &l->panel;
    const int nr = job->layout.rows, strip = job->layout.strip, kr = job->layout.run;
    const int row = (int)(n % nr), offset = job->layout.w8_offset;
    uint8_t *header = group + nr * p->scale_bytes;
    const float scale = q->scales[n * q->groups + g];
    const uint16_t half = ptqi_f32_to_f16(scale);
    if (p->scale_bytes == 1)
        group[row] = (uint8_t)ptqi_round_even(scale / q->row_scales[n]);
    else if (p->scale_bytes == 2)
        memcpy(group + 2 * row, &half, 2);
    else
        memcpy(group + 4 * row, &scale, 4);
    if (p->has_zeros)
        header[row] = (uint8_t)ptqi_qtensor_zero(q, n, g);
    const int64_t blocks = ptqi_min(p->blocks - g * p->group_blocks, p->group_blocks);
    const int64_t block_bytes = 4 * l->code_bits * strip;
    uint8_t *out =
        header + nr * p->has_zeros + row / strip * (blocks * block_bytes) + row % strip * kr;
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t codes[PTQI_BLOCK];
        gather(q, n, g * l->group_size + b * PTQI_BLOCK, offset, codes);
        if (l->code_bits == 4)
            pack_block4(codes, strip, kr, out + b * block_bytes);
        else
            pack_block8(codes, strip, kr, offset, out + b * block_bytes);
    }
}

static void pack_panels(void *argument, int64_t part)
{
    const struct packing *job = argument;
    const struct ptq_linear *l = job->l;
    const int nr = job->layout.rows;
    const struct ptqi_panel *p = &l->panel;
    const int64_t head = ptqi_first_group(p, nr) - p->data;
    const int64_t group_bytes =
        ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    int64_t begin, end;
    ptqi_split(l->panels, 1, part, job->parts, &begin, &end);
    for (int64_t panel = begin; panel < end; panel++) {
        uint8_t *out = l->data + panel * l->panel_bytes;
        const int64_t n0 = panel * nr, n1 = ptqi_min(n0 + nr, l->n);
        if (l->two_level)
            memcpy(out, job->q->row_scales + n0, (size_t)(n1 - n0) * sizeof(float));
        for (int64_t g = 0; g < l->groups; g++)
            for (int64_t n = n0; n < n1; n++)
                pack_group(job, n, g, out + head + g * group_bytes);
    }
}

/* Weight-only: words of codes in the original order of the columns. */
static void pack_words(void *argument, int64_t part)
{
    const struct packing *job = argument;
    const struct ptq_linear *l = job->l;
    const struct ptq_qtensor *q = job->q;
    const int nr = job->layout.rows, per_word = 32 / l->code_bits;
    int64_t begin, end;
    ptqi_split(q->n, nr, part, job->parts, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        const int64_t panel = n / nr, row = n % nr;
        const uint8_t *codes = q->codes + n * q->k;
        uint32_t *out = l->words + panel * l->row_words * nr + row;
        for (int64_t i = 0; i < q->k; i += per_word, out += nr) {
            uint32_t word = 0;
            for (int j = 0; j < per_word && i + j < q->k; j++)
                word |= (uint32_t)codes[i + j] << (j * l->code_bits);
            *out = word;
        }
        for (int64_t g = 0; g < q->groups; g++) {
            const int64_t at = (panel * q->groups + g) * nr + row;
            l->scales[at] = q->scales[n * q->groups + g];
            if (l->zeros)
                l->zeros[at] = ptqi_qtensor_zero(q, n, g);
        }
    }
}

int ptqi_scales_fit_half(const struct ptq_qtensor *q)
{
    return fits_half(q->scales, q->n * q->groups);
}

struct ptqi_shape ptqi_shape_of(const struct ptq_qtensor *q)
{
    const int integer = q->activations != PTQ_ACTIVATIONS_F32;
    struct ptqi_shape s = {.n = q->n,
                           .k = q->k,
                           .group_size = q->group_size,
                           .bits = q->bits,
                           .activations = q->activations,
                           .zeros = q->minima  ? PTQ_ZEROS_MINIMA
                                    : q->zeros ? PTQ_ZEROS_INTEGER
                                               : PTQ_ZEROS_NONE,
                           .scales = PTQ_SCALES_PLAIN,
                           .scale_dtype = PTQ_DTYPE_F32,
                           .order = integer && q->order,
                           .input_scale = q->input_scale != NULL,
                           .levels = q->levels != NULL,
                           .uneven = q->group_of != NULL};
    if (integer && q->row_scales)
        s.scales = PTQ_SCALES_TWO_LEVEL;
    else if (integer && q->scales && ptqi_shape_is_plain(&s) && ptqi_scales_fit_half(q))
        s.scale_dtype = PTQ_DTYPE_F16;
    return s;
}

int ptqi_shape_is_plain(const struct ptqi_shape *s)
{
    return s->zeros != PTQ_ZEROS_MINIMA && !s->levels && !s->uneven &&
           ptqi_is_plain_group(s->group_size, s->k);
}

static int32_t form_of(const struct ptqi_shape *s)
{
    if (s->activations != PTQ_ACTIVATIONS_F32)
        return ptqi_shape_is_plain(s) ? PTQI_FORM_PANELS : PTQI_FORM_GENERAL;
    return s->zeros == PTQ_ZEROS_MINIMA || s->levels ? PTQI_FORM_DENSE : PTQI_FORM_WORDS;
}

ptq_status ptqi_shape_describe(ptq_context *context, const struct ptqi_shape *s,
                               struct ptqi_packed *h)
{
    const int integer = s->activations != PTQ_ACTIVATIONS_F32;
    const int32_t code_bits = s->bits > 4 ? 8 : 4, form = form_of(s);
    const int own_zeros = form == PTQI_FORM_PANELS || form == PTQI_FORM_WORDS;
    *h = (struct ptqi_packed){.n = s->n,
                              .k = s->k,
                              .group_size = s->group_size,
                              .activations = s->activations,
                              .activation_scale = s->activations == PTQ_ACTIVATIONS_INT8_STATIC,
                              .code_bits = code_bits,
                              .scale_bytes = s->scales == PTQ_SCALES_TWO_LEVEL ? 1
                                             : s->scale_dtype == PTQ_DTYPE_F16 ? 2
                                                                               : 4,
                              .zero = 1 << (s->bits - 1),
                              .has_zeros = s->zeros == PTQ_ZEROS_INTEGER && own_zeros,
                              .form = form,
                              .has_minima =
                                  s->zeros == PTQ_ZEROS_MINIMA && form == PTQI_FORM_GENERAL,
                              .has_input_scale = s->input_scale,
                              .has_order = integer && s->order,
                              .layout = ptqi_packed_layout(context->kernels, form, code_bits)};
    PTQI_TRY(ptqi_packed_check_sums(context, h));
    if (form == PTQI_FORM_GENERAL)
        PTQI_TRY(ptqi_check_sums(context, 1 << 8, s->uneven ? s->k : s->group_size));
    h->bytes = ptqi_packed_size(h);
    if (!h->bytes)
        return ptqi_fail(context, PTQ_ERROR_SHAPE, "a matrix of %lld rows is too large to pack",
                         (long long)s->n);
    return PTQ_OK;
}

ptq_status ptqi_shape_complete(ptq_context *context, const struct ptq_qtensor *q,
                               struct ptqi_packed *h)
{
    h->rotation = q->rotation;
    if (h->activations != PTQ_ACTIVATIONS_INT8_STATIC)
        return PTQ_OK;
    if (!(q->activation_scale > 0))
        return ptqi_fail(context, PTQ_ERROR_MISSING, "static activations need a scale");
    h->activation_scale = q->activation_scale;
    return PTQ_OK;
}

ptq_status ptqi_linear_pack(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    if (l->input_scale)
        PTQI_TRY(ptq_qtensor_input_scale(q, l->input_scale));
    if (l->order)
        PTQI_TRY(ptq_qtensor_order(q, l->order));
    if (l->form == PTQI_FORM_DENSE || l->form == PTQI_FORM_GENERAL)
        return ptqi_linear_pack_form(l, q);
    const int words = l->form == PTQI_FORM_WORDS;
    if (words)
        PTQI_TRY(ptq_qtensor_group_index(q, l->group_of));
    const int64_t threads = ptqi_threads(l->context);
    struct packing job = {l, q, ptqi_packed_layout(l->kernels, l->form, l->code_bits),
                          ptqi_min(threads, l->panels)};
    ptqi_parallel_inside(l->context, job.parts, words ? pack_words : pack_panels, &job);
    return PTQ_OK;
}
