/*
 * A packed linear back to a quantized matrix. The packed bytes may be hostile, so the parts go
 * through the public setters, which check them.
 */
#include <math.h>
#include <string.h>
#include "base/half.h"
#include "linear/linear.h"
#include "qtensor.h"

struct unpacking {
    const struct ptq_linear *l;
    struct ptqi_packed header;
    struct ptqi_packed_layout layout;
    int32_t bits;
    int64_t groups;         /* of the weights: each may be several groups of l */
    uint8_t *codes, *zeros; /* [n][k], [n][groups] */
    float *scales, *minima; /* [n][groups] */
    float *row_scales;      /* [n] */
    int32_t *group_index;   /* [k] */
};

/* The original column of column i in the packed order. */
static int64_t column(const struct ptq_linear *l, int64_t i)
{
    return l->order ? l->order[i] : i;
}

/* Where scales, minima and zeros of row n, group g are; in panels, only minima. */
static int64_t place(const struct unpacking *u, int64_t n, int64_t g)
{
    return ptqi_group_place(u->l, u->layout.rows, n, g);
}

/* Block b of a row's strip, as pack_panels.c wrote it. */
static void unpack_block(const struct unpacking *u, const uint8_t *in, uint8_t *codes)
{
    const int strip = u->layout.strip, kr = u->layout.run, four = u->header.code_bits == 4;
    for (int i = 0; i < (four ? PTQI_BLOCK / 2 : PTQI_BLOCK); i++) {
        const uint8_t byte = in[i / kr * strip * kr + i % kr];
        codes[i] = (uint8_t)(four ? byte & 15 : byte ^ u->layout.w8_offset);
        if (four)
            codes[PTQI_BLOCK / 2 + i] = byte >> 4;
    }
}

static float panel_scale(const struct unpacking *u, const uint8_t *group, int row, int64_t n)
{
    const int bytes = u->l->panel.scale_bytes;
    uint16_t half;
    float scale;
    if (bytes == 1)
        return (float)group[row] * u->row_scales[n];
    if (bytes == 2) {
        memcpy(&half, group + 2 * row, sizeof half);
        return ptqi_f16_to_f32(half);
    }
    memcpy(&scale, group + 4 * row, sizeof scale);
    return scale;
}

/* Group g of row n. */
static void unpack_group(const struct unpacking *u, int64_t n, int64_t g, const uint8_t *group)
{
    const struct ptq_linear *l = u->l;
    const struct ptqi_panel *p = &l->panel;
    const int nr = u->layout.rows, strip = u->layout.strip, row = (int)(n % nr);
    const uint8_t *zeros = group + nr * p->scale_bytes;
    u->scales[n * u->groups + g / l->split] = panel_scale(u, group, row, n);
    if (p->has_zeros)
        u->zeros[n * u->groups + g / l->split] = zeros[row];
    if (u->minima)
        u->minima[n * u->groups + g / l->split] = l->minima[place(u, n, g)];
    const int64_t blocks = ptqi_min(p->blocks - g * p->group_blocks, p->group_blocks);
    const int64_t block_bytes = 4 * l->code_bits * strip;
    const uint8_t *in = zeros + nr * p->has_zeros + row / strip * (blocks * block_bytes) +
                        row % strip * u->layout.run;
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t codes[PTQI_BLOCK];
        const int64_t first = g * l->group_size + b * PTQI_BLOCK;
        unpack_block(u, in + b * block_bytes, codes);
        for (int64_t i = 0; i < PTQI_BLOCK && first + i < l->k; i++)
            u->codes[n * l->k + column(l, first + i)] = codes[i];
    }
}

static void unpack_panels(const struct unpacking *u, int64_t n)
{
    const struct ptq_linear *l = u->l;
    const struct ptqi_panel *p = &l->panel;
    const int nr = u->layout.rows;
    const uint8_t *panel = l->data + n / nr * l->panel_bytes;
    const int64_t head = ptqi_first_group(p, nr) - p->data;
    if (l->two_level)
        memcpy(&u->row_scales[n], panel + n % nr * (int64_t)sizeof(float), sizeof(float));
    for (int64_t g = 0; g < l->groups; g++)
        unpack_group(u, n, g,
                     panel + head +
                         g * ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros,
                                              p->group_blocks));
}

static void unpack_words(const struct unpacking *u, int64_t n)
{
    const struct ptq_linear *l = u->l;
    const int64_t nr = u->layout.rows, per_word = 32 / l->code_bits;
    const uint32_t *words = l->words + n / nr * l->row_words * nr + n % nr;
    for (int64_t c = 0; c < l->k; c++)
        u->codes[n * l->k + c] = (uint8_t)(words[c / per_word * nr] >> c % per_word * l->code_bits &
                                           ((1u << l->code_bits) - 1));
}

/* The first code that stands for integer. */
static uint8_t code_of_level(const struct unpacking *u, int32_t integer)
{
    int code = 0;
    while (code < (1 << u->bits) - 1 && u->header.levels[code] != integer)
        code++;
    return (uint8_t)code;
}

static void unpack_general(const struct unpacking *u, int64_t n)
{
    const struct ptq_linear *l = u->l;
    const int64_t nr = u->layout.rows;
    const int16_t *integers = l->general_codes + n / nr * l->k * nr + n % nr;
    for (int64_t g = 0, i = 0; g < l->groups; g++) {
        const int32_t zero = l->minima ? 0 : l->zeros ? l->zeros[place(u, n, g)] : l->zero;
        for (; i < l->group_end[g]; i++)
            u->codes[n * l->k + column(l, i)] = u->header.has_levels
                                                    ? code_of_level(u, integers[i * nr])
                                                    : (uint8_t)(integers[i * nr] + zero);
    }
}

/* The weight of a code in the dense form: ptqi_qtensor_weight. */
static float dense_weight(const struct unpacking *u, int64_t at, int code)
{
    const float scale = u->l->scales[at];
    return u->l->minima ? fmaf(scale, (float)code, u->l->minima[at])
                        : scale * (float)u->header.levels[code];
}

static void unpack_dense(const struct unpacking *u, int64_t n)
{
    const struct ptq_linear *l = u->l;
    const int64_t nr = u->layout.rows;
    const float *weights = l->dense + n / nr * l->k * nr + n % nr;
    for (int64_t c = 0; c < l->k; c++) {
        const int64_t at = place(u, n, l->group_of[c]);
        int code = 0;
        while (code < (1 << u->bits) - 1 && dense_weight(u, at, code) != weights[c * nr])
            code++;
        u->codes[n * l->k + c] = (uint8_t)code;
    }
}

static void (*const rows[PTQI_FORMS])(const struct unpacking *u, int64_t n) = {
    [PTQI_FORM_PANELS] = unpack_panels,
    [PTQI_FORM_WORDS] = unpack_words,
    [PTQI_FORM_DENSE] = unpack_dense,
    [PTQI_FORM_GENERAL] = unpack_general,
};

static void unpack_row(const struct unpacking *u, int64_t n)
{
    const struct ptq_linear *l = u->l;
    for (int64_t g = 0; g < u->groups && l->form != PTQI_FORM_PANELS; g++) {
        const int64_t from = place(u, n, g * l->split), to = n * u->groups + g;
        u->scales[to] = l->scales[from];
        if (u->minima)
            u->minima[to] = l->minima[from];
        if (u->zeros)
            u->zeros[to] = (uint8_t)l->zeros[from];
    }
    rows[l->form](u, n);
}

static ptq_status allocate(struct unpacking *u)
{
    const struct ptq_linear *l = u->l;
    ptq_context *context = l->context;
    const int64_t count = l->n * u->groups;
    u->codes = ptqi_alloc(context, l->n, l->k);
    u->scales = ptqi_alloc(context, count, (int64_t)sizeof *u->scales);
    u->group_index = ptqi_alloc(context, l->k, (int64_t)sizeof *u->group_index);
    if (u->header.has_zeros)
        u->zeros = ptqi_alloc(context, count, 1);
    if (u->header.has_minima)
        u->minima = ptqi_alloc(context, count, (int64_t)sizeof *u->minima);
    if (l->two_level)
        u->row_scales = ptqi_alloc(context, l->n, (int64_t)sizeof *u->row_scales);
    const int all = u->codes && u->scales && u->group_index && (u->zeros || !u->header.has_zeros) &&
                    (u->minima || !u->header.has_minima) && (u->row_scales || !l->two_level);
    return all ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static void release(const struct unpacking *u)
{
    ptq_context *context = u->l->context;
    ptqi_free(context, u->codes);
    ptqi_free(context, u->scales);
    ptqi_free(context, u->group_index);
    ptqi_free(context, u->zeros);
    ptqi_free(context, u->minima);
    ptqi_free(context, u->row_scales);
}

/* Finds the group of each column; returns 0 if the order alone says it. */
static int find_groups(const struct unpacking *u)
{
    const struct ptq_linear *l = u->l;
    int differ = 0;
    for (int64_t g = 0, i = 0; g < l->groups && l->group_end; g++)
        for (; i < l->group_end[g]; i++) {
            u->group_index[column(l, i)] = (int32_t)(g / l->split);
            differ |= g != i / l->group_size;
        }
    for (int64_t c = 0; c < l->k && l->group_of; c++) {
        u->group_index[c] = l->group_of[c];
        differ |= l->group_of[c] != c / l->group_size;
    }
    return differ;
}

static ptq_status set_columns(const struct unpacking *u, ptq_qtensor *q)
{
    const struct ptq_linear *l = u->l;
    if (l->order)
        PTQI_TRY(ptq_qtensor_set_order(q, l->order));
    if (find_groups(u))
        PTQI_TRY(ptq_qtensor_set_group_index(q, u->group_index));
    if (l->input_scale)
        PTQI_TRY(ptq_qtensor_set_input_scale(q, l->input_scale));
    PTQI_TRY(ptq_qtensor_set_rotation(q, l->rotation));
    if (ptqi_activations_are_static(l->activations))
        PTQI_TRY(ptq_qtensor_set_activation_scale(q, l->activation_scale));
    PTQI_TRY(ptq_qtensor_set_activation_zero(q, l->activation_zero));
    return ptq_qtensor_set_activations(q, l->activations);
}

static ptq_status set_parts(const struct unpacking *u, ptq_qtensor *q)
{
    PTQI_TRY(ptq_qtensor_set_codes(q, u->codes));
    PTQI_TRY(ptq_qtensor_set_scales(q, u->scales));
    if (u->zeros)
        PTQI_TRY(ptq_qtensor_set_zeros(q, u->zeros));
    if (u->minima)
        PTQI_TRY(ptq_qtensor_set_minima(q, u->minima));
    if (u->header.has_levels)
        PTQI_TRY(ptq_qtensor_set_levels(q, u->header.levels));
    if (u->row_scales)
        PTQI_TRY(ptq_qtensor_set_row_scales(q, u->row_scales));
    return set_columns(u, q);
}

static ptq_status unpack(struct unpacking *u, ptq_qtensor **q)
{
    const struct ptq_linear *l = u->l;
    while (1 << u->bits <= l->zero) /* 2^(bits - 1) */
        u->bits++;
    PTQI_TRY(ptq_qtensor_create(l->context, l->n, l->k, u->bits,
                                u->groups > 1 ? l->group_size * l->split : 0, q));
    ptq_status status = allocate(u);
    for (int64_t n = 0; n < l->n && !status; n++)
        unpack_row(u, n);
    if (!status)
        status = set_parts(u, *q);
    release(u);
    return status;
}

ptq_status ptq_linear_unpack(const ptq_linear *linear, ptq_qtensor **q)
{
    PTQI_REQUIRE(linear ? linear->context : NULL, q);
    *q = NULL;
    PTQI_REQUIRE(NULL, linear);
    PTQI_TRY(ptqi_linear_check_ready(__func__, linear));
    struct unpacking u = {.l = linear,
                          .groups = (linear->groups + linear->split - 1) / linear->split};
    memcpy(&u.header, linear->memory, sizeof u.header);
    u.layout = ptqi_packed_layout(linear->kernels, linear->form, linear->code_bits);
    const ptq_status status = unpack(&u, q);
    if (status) {
        ptq_qtensor_free(*q);
        *q = NULL;
    }
    return status;
}
