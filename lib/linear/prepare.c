/*
 * Prepares activations: divides them by the input scale, rotates them, puts them in column order
 * and quantizes them to 8 bits, by row or by group, or to two limbs of 8 bits, with group sums.
 * Weight-only linears keep them in f32.
 */
#include <string.h>
#include "base/exact.h"
#include "base/half.h"
#include "base/team.h"
#include "linalg/rotate.h"
#include "linear/call.h"
#include "qtensor.h"
#include "tensor.h"

ptq_status ptqi_lay_out(const char *function, const struct ptq_linear *l, int64_t places,
                        int64_t longest, struct ptqi_prepared *layout)
{
    /* An upper bound for a row; half of the address space is far more than the rest takes. */
    const int64_t row_bytes = 64 + ptqi_sums_stride(l) * 4 + ptqi_x_stride(l) * 4;
    const int integer = ptqi_linear_is_integer(l);
    if (places > PTRDIFF_MAX / 2 / row_bytes)
        return ptqi_fail(l->context, PTQ_ERROR_SHAPE, "%s: %lld rows are too many", function,
                         (long long)longest);
    struct ptqi_prepared p = {.magic = PTQI_PREPARED_MAGIC, .recipe = l->recipe, .places = places};
    p.sliced = l->form == PTQI_FORM_PANELS && !ptqi_is_stream(l, longest * ptqi_limbs(l));
    p.scales = ptqi_align((int64_t)sizeof p);
    p.sums = p.scales + ptqi_align(places * 4);
    p.x = p.sums + (integer ? ptqi_align(places * ptqi_sums_stride(l) * 4) : 0);
    /* Slices need less, but memory for many rows must suffice for fewer. */
    p.bytes = p.x + ptqi_align(places * (integer ? ptqi_x_stride(l) : l->k * 4));
    *layout = p;
    return PTQ_OK;
}

static float *scale_at(const struct ptqi_preparing *p, int64_t place)
{
    return (float *)(void *)(p->prepared + p->layout.scales) + place;
}

static int32_t *sums_at(const struct ptqi_preparing *p, int64_t place)
{
    return (int32_t *)(void *)(p->prepared + p->layout.sums) +
           place * ptqi_sums_stride(ptqi_call_linear(p->call));
}

/* Returns one row of x as f32, divided by the input scale and rotated: in out, or in place if
 * nothing changes. */
static const float *load_row(const struct ptqi_preparing *p, int64_t row, float *out)
{
    const struct ptq_call *call = p->call;
    const struct ptq_linear *l = ptqi_call_linear(call);
    const char *data = (const char *)call->x + row * call->ldx * ptq_dtype_size(call->dtype);
    const float *from = (const float *)(const void *)data;
    if (call->dtype != PTQ_DTYPE_F32 || (uintptr_t)from % sizeof *from) {
        l->kernels->widen(out, from, call->dtype, l->k);
        from = out;
    }
    if (l->input_scale) {
        l->kernels->divide(from, l->input_scale, out, l->k);
        from = out;
    }
    if (l->rotation) {
        if (from != out)
            memcpy(out, from, (size_t)l->k * sizeof *out);
        ptqi_rotate(l->context, out, 1, l->k, l->rotation);
        from = out;
    }
    return from;
}

/* Two buffers of one row each. */
struct buffers {
    float *x, *ordered;
};

int64_t ptqi_prepare_scratch(const struct ptq_linear *l)
{
    return 2 * ptqi_align(l->k * 4);
}

static struct buffers cut_scratch(const struct ptq_linear *l, char *scratch)
{
    return (struct buffers){(float *)(void *)scratch,
                            (float *)(void *)(scratch + ptqi_align(l->k * 4))};
}

/* Returns a row in quantization order: in place or in one of the buffers. */
static const float *ordered_row(const struct ptqi_preparing *p, int64_t row, struct buffers b)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    const float *from = load_row(p, row, b.x);
    for (int64_t i = 0; l->order && i < l->k; i++)
        b.ordered[i] = from[l->order[i]];
    return l->order ? b.ordered : from;
}

/* max |x| over the largest code, or NaN if the row is not finite. */
static float own_scale(const struct ptq_linear *l, const float *x)
{
    const float max = ptqi_from_bits(l->kernels->magnitude(x, l->k));
    const float most = ptqi_limbs(l) == 2 ? PTQI_MOST16 : 127.0f;
    return ptqi_bits(max) < 0x7f800000 ? max / most : ptqi_from_bits(0x7fc00000);
}

/* Stores n columns of a row from q, or zeros if q is NULL, in x [rows][ld], whose rows are in pairs
 * if x_rows is 2. */
static void place_columns(int x_rows, int64_t row, const int8_t *q, int64_t n, int8_t *x,
                          int64_t ld)
{
    const int64_t run = x_rows == 2 ? 8 : n; /* adjacent columns of a row */
    int8_t *to = x + row / x_rows * x_rows * ld + row % x_rows * run;
    for (int64_t i = 0; i < n; i += run, to += x_rows * run) {
        if (q)
            memcpy(to, q + i, (size_t)run);
        else
            memset(to, 0, (size_t)run);
    }
}

/* Stores a row of codes, or zeros, in its place in x or in each of its slices. */
static void place_row(const struct ptqi_preparing *p, int64_t place, const int8_t *q)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    const int x_rows = l->kernels->x_rows;
    int8_t *x = (int8_t *)(p->prepared + p->layout.x);
    if (!p->layout.sliced) {
        place_columns(x_rows, place, q, ptqi_padded_k(l), x, ptqi_x_stride(l));
        return;
    }
    for (struct ptqi_chunk c = {.blocks = 0}; ptqi_next_chunk(l, &c);) {
        const int64_t column = ptqi_chunk_column(l, &c), width = c.blocks * PTQI_BLOCK;
        place_columns(x_rows, place, q ? q + column : NULL, width, x + column * p->layout.places,
                      width);
    }
}

/* The sum over all groups, and starts, of a row of codes q [padded k] with its group sums. */
static void complete_sums(const struct ptqi_preparing *p, const int8_t *q, int32_t *sums)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    uint32_t all = 0;
    for (int64_t g = 0; g < l->groups; g++)
        all += (uint32_t)sums[g];
    sums[l->groups] = (int32_t)all;
    if (l->kernels->starts && p->layout.sliced)
        l->kernels->starts(q, l->panel.blocks, l->panel.group_blocks, sums + l->groups + 1);
}

/* The scales of a row's groups, given its sums. */
static float *group_scales(const struct ptq_linear *l, int32_t *sums)
{
    return (float *)(void *)(sums + ptqi_scales_offset(l));
}

/* Codes, group sums and starts of a row, by a scale that may be 0 or NaN; or by group, with their
 * scales. q [padded k]. */
static void quantize(const struct ptqi_preparing *p, const float *x, float scale, int8_t *q,
                     int32_t *sums)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    memset(q + l->k, 0, (size_t)(ptqi_padded_k(l) - l->k));
    if (!(scale > 0.0f)) {
        memset(q, 0, (size_t)l->k);
        memset(sums, 0, (size_t)ptqi_sums_stride(l) * sizeof *sums);
    } else if (l->by_group) {
        l->kernels->quantize_groups(x, l->k, l->group_size, q, sums, group_scales(l, sums));
    } else {
        l->kernels->quantize(x, scale, l->k, l->group_size, q, sums);
    }
    complete_sums(p, q, sums);
}

/* What remains to multiply the sums of a row by: by group, only NaN if the row is not finite. */
static float place_scale(const struct ptq_linear *l, float scale)
{
    return l->by_group && scale == scale ? 1.0f : scale;
}

/* The scale of a row: its own, the shared one already measured, or the static one. */
static float scale_of(const struct ptqi_preparing *p, int64_t place, const float *x)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    if (l->activations == PTQ_ACTIVATIONS_INT8_TENSOR)
        return *scale_at(p, place);
    const float own = own_scale(l, x);
    return own == own && l->activations == PTQ_ACTIVATIONS_INT8_STATIC ? l->activation_scale : own;
}

static void quantize_row(const struct ptqi_preparing *p, int64_t row, int64_t place,
                         struct buffers b)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    int32_t *sums = sums_at(p, place);
    const float *from = ordered_row(p, row, b);
    const int spread = l->kernels->x_rows == 2 || p->layout.sliced;
    /* If the columns of a row are not contiguous, it is quantized in the unused buffer. */
    int8_t *q = spread ? (int8_t *)(from == b.ordered ? b.x : b.ordered)
                       : (int8_t *)(p->prepared + p->layout.x) + place * ptqi_x_stride(l);
    const float scale = scale_of(p, place, from);
    *scale_at(p, place) = place_scale(l, scale);
    quantize(p, from, scale, q, sums);
    if (spread)
        place_row(p, place, q);
}

/* The limbs of a row, by a scale that may be 0 or NaN: hi, lo [k]. */
static void quantize_limbs(const struct ptq_linear *l, const float *x, float scale, int8_t *hi,
                           int8_t *lo)
{
    if (scale > 0.0f) {
        l->kernels->quantize16(x, scale, l->k, hi, lo);
        return;
    }
    memset(hi, 0, (size_t)l->k);
    memset(lo, 0, (size_t)l->k);
}

/* Stores a limb, q [padded k], with its sums. */
static void keep_limb(const struct ptqi_preparing *p, int64_t place, float scale, int8_t *q)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    int32_t *sums = sums_at(p, place);
    memset(q + l->k, 0, (size_t)(ptqi_padded_k(l) - l->k));
    *scale_at(p, place) = scale;
    for (int64_t g = 0, i = 0; g < l->groups; g++) {
        const int64_t end = ptqi_min((g + 1) * l->group_size, l->k);
        for (sums[g] = 0; i < end; i++)
            sums[g] += q[i];
    }
    complete_sums(p, q, sums);
    place_row(p, place, q);
}

/* The scale and zero point of a finite row, by ptq_qtensor_set_activations. A range that f32 cannot
 * hold gives a scale of NaN, as a row that is not finite. */
static float own_grid(const struct ptq_linear *l, const float *x, float *zero)
{
    const int centered = l->activations == PTQ_ACTIVATIONS_UINT8_CENTERED;
    float low = 0, high = 0;
    for (int64_t i = 0; i < l->k; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    const float scale = centered ? (-low > high ? -low : high) / 127.5f : (high - low) / 255.0f;
    if (!(ptqi_bits(scale) < 0x7f800000))
        return ptqi_from_bits(0x7fc00000);
    *zero = centered ? 128.0f : scale > 0 ? ptqi_round_even(-low / scale) : 0;
    *zero = *zero < 255.0f ? *zero : 255.0f; /* more, if the scale is denormal and was rounded */
    return scale;
}

/* q - zero for a scheme with a zero point. The first clamping changes nothing that the second one
 * leaves, but ptqi_round_even needs it. */
static int16_t round_to_grid(float x, float scale, float zero)
{
    float q = x / scale;
    q = q < 256.0f ? q : 256.0f;
    q = ptqi_round_even(q > -256.0f ? q : -256.0f) + zero;
    q = q < 255.0f ? q : 255.0f;
    return (int16_t)((q > 0 ? q : 0) - zero);
}

/* Fills x [k] with q - zero, and returns the scale. */
static float quantize_with_zero(const struct ptq_linear *l, const float *from, int16_t *x)
{
    float zero = (float)l->activation_zero, scale = own_scale(l, from);
    if (scale == scale) /* the row is finite */
        scale = l->activations == PTQ_ACTIVATIONS_UINT8_STATIC ? l->activation_scale
                                                               : own_grid(l, from, &zero);
    for (int64_t i = 0; i < l->k; i++)
        x[i] = scale > 0 ? round_to_grid(from[i], scale, zero) : 0;
    return scale;
}

/* Codes q [k] of a finite row by groups, which need not be even, and their scales. */
static void quantize_ranges(const struct ptq_linear *l, const float *from, int8_t *q, float *scales)
{
    for (int64_t g = 0, i = 0; g < l->groups; i = l->group_end[g++]) {
        const int64_t count = l->group_end[g] - i;
        int32_t sum;
        scales[g] = 0;
        if (count)
            l->kernels->quantize_groups(from + i, count, count, q + i, &sum, scales + g);
    }
}

/* The same without a zero point. q [k] is a buffer. */
static float quantize_without_zero(const struct ptqi_preparing *p, int64_t place, const float *from,
                                   int8_t *q, int16_t *x)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    const float scale = scale_of(p, place, from);
    int32_t sum, *sums = sums_at(p, place);
    memset(q, 0, (size_t)l->k);
    if (l->by_group)
        memset(group_scales(l, sums), 0, (size_t)l->groups * sizeof(float));
    if (scale > 0.0f && l->by_group)
        quantize_ranges(l, from, q, group_scales(l, sums));
    else if (scale > 0.0f)
        l->kernels->quantize(from, scale, l->k, l->k, q, &sum);
    for (int64_t i = 0; i < l->k; i++)
        x[i] = q[i];
    return place_scale(l, scale);
}

/* The group sums of the integers at a place, for the general form. */
static void sum_general(const struct ptqi_preparing *p, int64_t place)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    int32_t *sums = sums_at(p, place);
    const int16_t *x =
        (const int16_t *)(const void *)(p->prepared + p->layout.x + place * ptqi_x_stride(l));
    for (int64_t g = 0, i = 0; g < l->groups; g++)
        for (sums[g] = 0; i < l->group_end[g]; i++)
            sums[g] += x[i];
}

/* The same as quantize_row for the general form. */
static void quantize_general(const struct ptqi_preparing *p, int64_t row, int64_t place,
                             struct buffers b)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    int16_t *x = (int16_t *)(void *)(p->prepared + p->layout.x + place * ptqi_x_stride(l));
    const float *from = ordered_row(p, row, b);
    int8_t *room = (int8_t *)(from == b.ordered ? b.x : b.ordered);
    *scale_at(p, place) = ptqi_activations_have_zero(l->activations)
                              ? quantize_with_zero(l, from, x)
                              : quantize_without_zero(p, place, from, room, x);
    sum_general(p, place);
}

/* Stores a limb, q [k], for the general form. */
static void keep_general_limb(const struct ptqi_preparing *p, int64_t place, float scale,
                              const int8_t *q)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    int16_t *x = (int16_t *)(void *)(p->prepared + p->layout.x + place * ptqi_x_stride(l));
    *scale_at(p, place) = scale;
    for (int64_t i = 0; i < l->k; i++)
        x[i] = q[i];
    sum_general(p, place);
}

/* The same as quantize_row for a row of two limbs, in either form. The unused buffer has room for
 * both. */
static void quantize_row16(const struct ptqi_preparing *p, int64_t row, int64_t place,
                           struct buffers b)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    const float *from = ordered_row(p, row, b);
    int8_t *hi = (int8_t *)(from == b.ordered ? b.x : b.ordered), *lo = hi + ptqi_padded_k(l);
    const float scale = own_scale(l, from);
    quantize_limbs(l, from, scale, hi, lo);
    for (int limb = 0; limb < 2; limb++)
        if (l->form == PTQI_FORM_GENERAL)
            keep_general_limb(p, place + limb, scale, limb ? lo : hi);
        else
            keep_limb(p, place + limb, scale, limb ? lo : hi);
}

static void keep_row(const struct ptqi_preparing *p, int64_t row, int64_t place, struct buffers b)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    (void)b;
    float *kept = (float *)(void *)(p->prepared + p->layout.x) + place * l->k;
    const float *from = load_row(p, row, kept);
    if (from != kept)
        memcpy(kept, from, (size_t)l->k * sizeof *kept);
    *scale_at(p, place) = 1.0f;
    if (l->kernels->magnitude(kept, l->k) >= 0x7f800000) {
        memset(kept, 0, (size_t)l->k * sizeof *kept);
        *scale_at(p, place) = ptqi_from_bits(0x7fc00000);
    }
}

/* Fills a place without a row: the second one of an incomplete pair. */
static void fill_place(const struct ptqi_preparing *p, int64_t place)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    *scale_at(p, place) = 0;
    if (!ptqi_linear_is_integer(l))
        return;
    memset(sums_at(p, place), 0, (size_t)ptqi_sums_stride(l) * sizeof(int32_t));
    if (l->form == PTQI_FORM_GENERAL)
        memset(p->prepared + p->layout.x + place * ptqi_x_stride(l), 0, (size_t)ptqi_x_stride(l));
    else
        place_row(p, place, NULL);
}

/* The row of x at a place, or -1. Call this with ascending places; *result starts at 0. */
static int64_t row_at(const struct ptq_call *call, int64_t place, int64_t *result)
{
    const int limbs = ptqi_limbs(ptqi_call_linear(call));
    if (!ptqi_call_has_lists(call))
        return place / limbs < call->rows ? place / limbs : -1;
    const struct ptqi_result *r = &call->results[*result];
    const int64_t last = ptqi_call_results(call) - 1;
    while (*result < last && place >= r[1].first) {
        r++;
        ++*result;
    }
    const int64_t at = (place - r->first) / limbs;
    return at < r->count ? r->list[at] : -1;
}

/* The scale that the row at a place would have alone; 0 if there is none. Ascending, like row_at.
 */
static float measure(const struct ptqi_preparing *p, int64_t place, int64_t *result,
                     struct buffers b)
{
    const int64_t row = row_at(p->call, place, result);
    return row < 0 ? 0 : own_scale(ptqi_call_linear(p->call), ordered_row(p, row, b));
}

void ptqi_measure_share(const struct ptqi_preparing *p, int64_t part, int64_t parts, char *scratch)
{
    const struct buffers b = cut_scratch(ptqi_call_linear(p->call), scratch);
    int64_t begin, end, result = 0;
    ptqi_split(p->layout.places, 1, part, parts, &begin, &end);
    for (int64_t place = begin; place < end; place++)
        *scale_at(p, place) = measure(p, place, &result, b);
}

/* Sets one scale for places begin .. end - 1, except for rows that are not finite. */
static void set_scales(const struct ptqi_preparing *p, int64_t begin, int64_t end, float shared)
{
    for (int64_t place = begin; place < end; place++) {
        float *scale = scale_at(p, place);
        *scale = *scale == *scale ? shared : *scale;
    }
}

void ptqi_share_scale(const struct ptqi_preparing *p)
{
    float max = 0;
    for (int64_t place = 0; place < p->layout.places; place++)
        max = *scale_at(p, place) > max ? *scale_at(p, place) : max;
    set_scales(p, 0, p->layout.places, max);
}

/* The same for one part of the rows. It measures all rows, so it need not wait for other parts. */
static void measure_alone(const struct ptqi_preparing *p, int64_t begin, int64_t end,
                          struct buffers b)
{
    float max = 0;
    int64_t result = 0;
    for (int64_t place = 0; place < p->layout.places; place++) {
        const float own = measure(p, place, &result, b);
        max = own > max ? own : max;
        if (place >= begin && place < end)
            *scale_at(p, place) = own;
    }
    set_scales(p, begin, end, max);
}

typedef void (*prepare_function)(const struct ptqi_preparing *p, int64_t row, int64_t place,
                                 struct buffers b);

static prepare_function prepare_of(const struct ptq_linear *l)
{
    if (ptqi_limbs(l) == 2)
        return quantize_row16;
    if (l->form == PTQI_FORM_GENERAL)
        return quantize_general;
    return ptqi_linear_is_integer(l) ? quantize_row : keep_row;
}

void ptqi_prepare_share(const struct ptqi_preparing *p, int64_t part, int64_t parts, char *scratch)
{
    const struct ptq_linear *l = ptqi_call_linear(p->call);
    const struct buffers b = cut_scratch(l, scratch);
    const prepare_function prepare = prepare_of(l);
    const int limbs = ptqi_limbs(l);
    int64_t begin, end, result = 0;
    if (part == 0)
        memcpy(p->prepared, &p->layout, sizeof p->layout);
    ptqi_split(p->layout.places, limbs, part, parts, &begin, &end);
    if (l->activations == PTQ_ACTIVATIONS_INT8_TENSOR && !p->measured)
        measure_alone(p, begin, end, b);
    for (int64_t place = begin; place < end; place += limbs) {
        const int64_t row = row_at(p->call, place, &result);
        if (row >= 0)
            prepare(p, row, place, b);
        else
            fill_place(p, place);
    }
}
