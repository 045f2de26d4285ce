/*
 * The packed form of a linear: a single block of memory without pointers, which may also be a file.
 * A header is followed, at multiples of PTQ_ALIGNMENT, first by what opening reads and then by the
 * weights:
 *
 * input_scale f32 [k], order i32 [k] and group_of i32 [k], if present; space for a bias f32 [n];
 * the weights in one of four forms, described in struct ptq_linear: panels; words, scales and
 * zeros; dense weights or general codes with scales, minima and zeros. The general form has
 * group_end i32 [groups] instead of group_of.
 *
 * Files are not trusted. Sizes follow from the numbers in the header, which are checked, as is
 * every index. After that, no weights, scales or zeros can do harm.
 */
#include <math.h>
#include <string.h>
#include "base/hash.h"
#include "config.h"
#include "linear/linear.h"
#include "qtensor.h"

_Static_assert(sizeof(struct ptqi_packed) == 192, "the header has no gaps");

/* Offsets from the beginning of the memory, and sizes, in bytes. */
struct places {
    int64_t input_scale, order, group_of, bias, panels, words, scales, zeros, minima, bytes;
    int64_t panel_bytes, row_words;
};

static int64_t take(struct places *p, int64_t bytes)
{
    const int64_t at = p->bytes;
    p->bytes = ptqi_align(at + bytes);
    return at;
}

/* Each group has a level of one byte, and panels begin with the scales of their rows. */
static int is_two_level(const struct ptqi_packed *h)
{
    return h->scale_bytes == 1;
}

static struct places places_of(const struct ptqi_packed *h)
{
    const int64_t panels = (h->n + h->layout.rows - 1) / h->layout.rows;
    const int64_t groups = (h->k + h->group_size - 1) / h->group_size;
    const int64_t blocks = (h->k + PTQI_BLOCK - 1) / PTQI_BLOCK;
    const int64_t scales = panels * h->layout.rows * groups;
    struct places p = {.bytes = (int64_t)sizeof *h};
    p.input_scale = take(&p, h->has_input_scale ? h->k * 4 : 0);
    p.order = take(&p, h->has_order ? h->k * 4 : 0);
    p.group_of = take(&p, 4 * (h->form == PTQI_FORM_GENERAL  ? groups
                               : h->form == PTQI_FORM_PANELS ? 0
                                                             : h->k));
    p.bias = take(&p, h->n * 4);
    if (h->form == PTQI_FORM_PANELS) {
        p.panel_bytes = (is_two_level(h) ? 4 * h->layout.rows : 0) +
                        ptqi_group_bytes(h->layout.rows, h->code_bits, h->scale_bytes * (int)groups,
                                         h->has_zeros * (int)groups, blocks);
        p.panels = take(&p, panels * p.panel_bytes);
        p.minima = take(&p, h->has_minima ? scales * 4 : 0);
        return p;
    }
    p.row_words = (h->k * h->code_bits + 31) / 32;
    const int64_t row_bytes = h->form == PTQI_FORM_DENSE     ? h->k * 4
                              : h->form == PTQI_FORM_GENERAL ? h->k * 2
                                                             : p.row_words * 4;
    p.words = take(&p, panels * h->layout.rows * row_bytes);
    p.scales = take(&p, scales * 4);
    p.minima = take(&p, h->has_minima ? scales * 4 : 0);
    p.zeros = take(&p, h->has_zeros ? scales * 4 : 0);
    return p;
}

static int is_flag(int32_t x)
{
    return x == 0 || x == 1;
}

/* Whether these are panels whose product can be followed by that of the minima. */
static int can_add_minima(const struct ptqi_packed *h)
{
    return h->form == PTQI_FORM_PANELS && !is_two_level(h) &&
           ptqi_activations_add_minima_last(h->activations);
}

/* Whether the form suits the activations, and has only parts that it can have. */
static int fits_activations(const struct ptqi_packed *h)
{
    const int integer = ptqi_packed_is_integer(h),
              zero = ptqi_activations_have_zero(h->activations);
    const int form = integer
                         ? (h->form == PTQI_FORM_PANELS && !zero) || h->form == PTQI_FORM_GENERAL
                         : h->form == PTQI_FORM_WORDS || h->form == PTQI_FORM_DENSE;
    const int is_form = h->form == PTQI_FORM_GENERAL || h->form == PTQI_FORM_DENSE;
    return form && is_flag(h->has_minima) && is_flag(h->has_levels) &&
           h->has_minima + h->has_levels + h->has_zeros <= 1 && !(h->has_levels && !is_form) &&
           (!h->has_minima || is_form || can_add_minima(h)) &&
           !(h->has_levels && h->code_bits != 4) &&
           !(h->form == PTQI_FORM_DENSE && !h->has_minima && !h->has_levels) &&
           !(h->scale_bytes != 4 && h->form != PTQI_FORM_PANELS);
}

static int is_scheme(const struct ptqi_packed *h)
{
    const int fixed = ptqi_activations_are_static(h->activations);
    const int32_t highest = h->activations == PTQ_ACTIVATIONS_UINT8_STATIC ? 255 : 0;
    return ptq_activations_name(h->activations) && h->activation_zero >= 0 &&
           h->activation_zero <= highest &&
           (!fixed || (h->activation_scale > 0 && isfinite(h->activation_scale)));
}

/* Only activations by group split groups, and have plain scales. */
static int is_split(const struct ptqi_packed *h)
{
    const int by_group = h->activations == PTQ_ACTIVATIONS_INT8_GROUP;
    const int64_t groups = (h->k + h->group_size - 1) / h->group_size;
    if (h->form == PTQI_FORM_PANELS && by_group &&
        h->group_size != ptqi_activation_group(ptqi_packed_weight_group(h), h->k))
        return 0;
    return h->split >= 0 && h->split <= groups && (by_group || !h->split) &&
           !(by_group && is_two_level(h));
}

/* Whether the numbers can belong to a packed matrix. */
static int is_possible(const struct ptqi_packed *h)
{
    static const char nothing[sizeof h->reserved];
    const int integer = ptqi_packed_is_integer(h);
    return h->layout.rows >= 1 && h->layout.rows <= PTQI_MAX_NR && h->n >= 1 && h->k >= 1 &&
           h->k <= PTQI_MAX_COLUMNS && h->group_size >= 1 && h->group_size <= h->k &&
           (h->group_size % (h->form == PTQI_FORM_PANELS ? PTQI_BLOCK : 16) == 0 ||
            h->group_size == h->k) &&
           fits_activations(h) && is_scheme(h) &&
           ptq_config_choice_name(PTQ_PARAM_ROTATE, h->rotation) && h->rotation != PTQ_AUTO &&
           (h->code_bits == 4 || h->code_bits == 8) && h->zero >= 0 &&
           h->zero < 1 << h->code_bits &&
           (h->scale_bytes == 4 || (integer && h->scale_bytes == 2) ||
            (integer && h->code_bits == 4 && is_two_level(h))) &&
           is_flag(h->has_zeros) && is_flag(h->has_input_scale) && is_flag(h->has_order) &&
           is_flag(h->has_bias) && !(h->has_order && !integer) && is_split(h) &&
           !memcmp(h->reserved, nothing, sizeof nothing);
}

_Static_assert((int64_t)127 * 127 * PTQI_MAX_COLUMNS <= INT32_MAX, "two-level sums fit a row");

ptq_status ptqi_packed_check_sums(ptq_context *context, const struct ptqi_packed *h)
{
    const int32_t top = (1 << h->code_bits) - 1, below = h->zero, above = top - h->zero;
    const int32_t far = h->has_zeros || h->has_minima ? top : below > above ? below : above;
    if (h->form != PTQI_FORM_PANELS || is_two_level(h)) /* levels times codes are at most 127 */
        return PTQ_OK;
    return ptqi_check_sums(context, h->activations, far, h->group_size);
}

int64_t ptqi_packed_size(const struct ptqi_packed *h)
{
    /* A row with its scales, minima and zeros takes at most 8 bytes per column. */
    if (!is_possible(h) || h->n > INT64_MAX / 32 / (h->k + 64) - 64)
        return 0;
    return places_of(h).bytes;
}

struct ptqi_packed_layout ptqi_packed_layout(const struct ptqi_kernels *k, int32_t form,
                                             int32_t code_bits)
{
    if (form == PTQI_FORM_GENERAL)
        return (struct ptqi_packed_layout){.rows = PTQI_GENERAL_NR};
    if (form != PTQI_FORM_PANELS)
        return (struct ptqi_packed_layout){.rows = k->f32_nr};
    return (struct ptqi_packed_layout){k->int_nr, k->int_strip, k->int_kr,
                                       code_bits == 8 ? k->w8_offset : 0};
}

static void bind_panels(struct ptq_linear *l, const struct ptqi_packed *h, const struct places *p)
{
    l->data = (uint8_t *)l->memory + p->panels;
    l->panel_bytes = p->panel_bytes;
    l->bytes = l->panels * (p->panel_bytes + (h->has_minima ? h->layout.rows * l->groups * 4 : 0));
    l->panel.data = l->data;
    l->two_level = is_two_level(h);
    l->panel.scale_bytes = h->scale_bytes;
    l->panel.has_zeros = h->has_zeros;
    l->panel.zero = (h->has_minima ? 0 : h->zero) - h->layout.w8_offset;
    l->minima = h->has_minima ? (float *)(void *)(l->memory + p->minima) : NULL;
    l->panel.blocks = ptqi_padded_k(l) / PTQI_BLOCK;
    l->panel.group_blocks =
        ptqi_min((l->group_size + PTQI_BLOCK - 1) / PTQI_BLOCK, l->panel.blocks);
    l->blocking = ptqi_plan_blocking(l);
}

/* The dense and the general form. */
static void bind_form(struct ptq_linear *l, const struct ptqi_packed *h, const struct places *p)
{
    int32_t *groups = (int32_t *)(void *)(l->memory + p->group_of);
    const int dense = h->form == PTQI_FORM_DENSE;
    if (dense) {
        l->dense = (float *)(void *)(l->memory + p->words);
        l->group_of = groups;
    } else {
        l->general_codes = (int16_t *)(void *)(l->memory + p->words);
        l->group_end = groups;
    }
    l->scales = (float *)(void *)(l->memory + p->scales);
    l->minima = h->has_minima ? (float *)(void *)(l->memory + p->minima) : NULL;
    l->zeros = h->has_zeros ? (int32_t *)(void *)(l->memory + p->zeros) : NULL;
    l->bytes = l->panels * h->layout.rows *
               (l->k * (dense ? 4 : 2) + l->groups * (l->minima || l->zeros ? 8 : 4));
}

static void bind_words(struct ptq_linear *l, const struct ptqi_packed *h, const struct places *p)
{
    l->words = (uint32_t *)(void *)(l->memory + p->words);
    l->scales = (float *)(void *)(l->memory + p->scales);
    l->zeros = h->has_zeros ? (int32_t *)(void *)(l->memory + p->zeros) : NULL;
    l->group_of = (int32_t *)(void *)(l->memory + p->group_of);
    l->row_words = p->row_words;
    const int64_t rows = l->panels * h->layout.rows;
    l->bytes = rows * (l->row_words * 4 + l->groups * (l->zeros ? 8 : 4));
}

void ptqi_packed_bind(struct ptq_linear *l, const struct ptqi_packed *h, void *memory)
{
    const struct places p = places_of(h);
    l->memory = memory;
    l->n = h->n;
    l->k = h->k;
    l->activations = h->activations;
    l->activation_scale = h->activation_scale;
    l->activation_zero = h->activation_zero;
    l->group_size = h->group_size;
    l->groups = (h->k + h->group_size - 1) / h->group_size;
    l->split = h->split ? h->split : 1;
    l->by_group = h->activations == PTQ_ACTIVATIONS_INT8_GROUP;
    l->code_bits = h->code_bits;
    l->form = h->form;
    l->zero = h->zero;
    l->panels = (h->n + h->layout.rows - 1) / h->layout.rows;
    l->rotation = h->rotation;
    if (h->has_input_scale)
        l->input_scale = (float *)(void *)(l->memory + p.input_scale);
    if (h->has_order)
        l->order = (int32_t *)(void *)(l->memory + p.order);
    l->bias_room = (float *)(void *)(l->memory + p.bias);
    l->bias = h->has_bias ? l->bias_room : NULL;
    if (h->form == PTQI_FORM_PANELS)
        bind_panels(l, h, &p);
    else if (h->form == PTQI_FORM_WORDS)
        bind_words(l, h, &p);
    else
        bind_form(l, h, &p);
}

uint64_t ptqi_linear_recipe(const struct ptq_linear *l)
{
    int64_t numbers[3] = {l->k, l->activations,
                          l->activations != PTQ_ACTIVATIONS_F32 ? l->group_size : 0};
    uint64_t h = ptqi_hash(PTQI_HASH_START, numbers, (int64_t)sizeof numbers);
    h = ptqi_hash(h, &l->rotation, (int64_t)sizeof l->rotation);
    if (l->input_scale)
        h = ptqi_hash(h ^ 1, l->input_scale, l->k * (int64_t)sizeof *l->input_scale);
    if (l->order)
        h = ptqi_hash(h ^ 2, l->order, l->k * (int64_t)sizeof *l->order);
    if (ptqi_activations_are_static(l->activations))
        h = ptqi_hash(h ^ 3, &l->activation_scale, (int64_t)sizeof l->activation_scale);
    if (l->activations == PTQ_ACTIVATIONS_UINT8_STATIC)
        h = ptqi_hash(h ^ 5, &l->activation_zero, (int64_t)sizeof l->activation_zero);
    if (l->form == PTQI_FORM_GENERAL)
        h = ptqi_hash(h ^ 4, l->group_end, l->groups * (int64_t)sizeof *l->group_end);
    if (l->form == PTQI_FORM_PANELS) {
        int64_t arrangement[4] = {l->kernels->x_rows, l->kernels->tile_mr > 0,
                                  l->kernels->starts != NULL, l->blocking.chunk_blocks};
        h = ptqi_hash(h, arrangement, (int64_t)sizeof arrangement);
    }
    return h;
}

uint64_t ptqi_packed_checksum(const struct ptqi_packed *h)
{
    const int64_t begin = (int64_t)offsetof(struct ptqi_packed, bytes);
    return ptqi_hash(PTQI_HASH_START, (const char *)h + begin, (int64_t)sizeof *h - begin);
}

void ptqi_packed_write(struct ptqi_packed *h, void *memory)
{
    memcpy(h->magic, PTQI_PACKED_MAGIC, sizeof h->magic);
    h->version = PTQI_PACKED_VERSION;
    h->checksum = ptqi_packed_checksum(h);
    memcpy(memory, h, sizeof *h);
}
