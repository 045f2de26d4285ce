/*
 * Packing a quantized matrix for the kernels of a context.
 */
#include <string.h>
#include "base/hash.h"
#include "linear.h"
#include "qtensor.h"

/* Codes as the integer kernels take them: 8-bit ones minus 128. */
static uint8_t held_code(const struct ptq_qtensor *q, int64_t n, int64_t column)
{
    uint8_t code = q->codes[n * q->k + column];
    return q->bits == 8 ? (uint8_t)(code ^ 0x80) : code;
}

static int32_t held_zero(const struct ptq_qtensor *q, int64_t n, int64_t g)
{
    return ptqi_qtensor_zero(q, n, g) - (q->bits == 8 ? 128 : 0);
}

/* Row `row` of a panel, in the layout that kernel.h describes. */
static void pack_codes(const struct ptq_linear *l, const struct ptq_qtensor *q, int64_t n,
                       uint8_t *panel, int row)
{
    const int nr = l->kernels->int_nr;
    const int64_t block_bytes = (int64_t)l->code_bits * 4 * nr;
    for (int64_t i = 0; i < q->k; i++) {
        uint8_t code = held_code(q, n, q->order ? q->order[i] : i);
        int64_t within = i % PTQI_BLOCK, quad = within / 4;
        uint8_t *block = panel + i / PTQI_BLOCK * block_bytes;
        if (l->code_bits == 8)
            block[(quad * nr + row) * 4 + within % 4] = code;
        else
            block[(quad % 4 * nr + row) * 4 + within % 4] |= (uint8_t)(code << (quad / 4 * 4));
    }
}

static ptq_status allocate(struct ptq_linear *l, int64_t code_bytes, int64_t scales, int zeros)
{
    l->codes = ptqi_alloc_zero(l->context, code_bytes, 1);
    l->scales = ptqi_alloc_zero(l->context, scales, (int64_t)sizeof *l->scales);
    if (zeros)
        l->zeros = ptqi_alloc_zero(l->context, scales, (int64_t)sizeof *l->zeros);
    l->bytes = code_bytes + scales * (zeros ? 8 : 4);
    return l->codes && l->scales && (!zeros || l->zeros) ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status pack_panels(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    const int nr = l->kernels->int_nr;
    l->panels = (q->n + nr - 1) / nr;
    l->panel_bytes = ptqi_padded_k(l) * nr * l->code_bits / 8;
    PTQI_TRY(allocate(l, l->panels * l->panel_bytes, l->panels * q->groups * nr, q->zeros != NULL));
    l->zero = held_zero(q, 0, 0);
    for (int64_t n = 0; n < q->n; n++) {
        int64_t panel = n / nr, row = n % nr;
        pack_codes(l, q, n, l->codes + panel * l->panel_bytes, (int)row);
        for (int64_t g = 0; g < q->groups; g++) {
            int64_t at = (panel * q->groups + g) * nr + row;
            l->scales[at] = q->scales[n * q->groups + g];
            if (l->zeros)
                l->zeros[at] = held_zero(q, n, g);
        }
    }
    return PTQ_OK;
}

static ptq_status pack_rows(struct ptq_linear *l, const struct ptq_qtensor *q)
{
    l->row_bytes = (q->k * l->code_bits + 7) / 8;
    PTQI_TRY(allocate(l, q->n * l->row_bytes, q->n * q->groups, q->zeros != NULL));
    l->group_of = ptqi_alloc(l->context, q->k, (int64_t)sizeof *l->group_of);
    if (!l->group_of)
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(ptq_qtensor_group_index(q, l->group_of));
    l->zero = ptqi_qtensor_zero(q, 0, 0);
    memcpy(l->scales, q->scales, (size_t)(q->n * q->groups) * sizeof *l->scales);
    for (int64_t i = 0; l->zeros && i < q->n * q->groups; i++)
        l->zeros[i] = q->zeros[i];
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t i = 0; i < q->k; i++) {
            uint8_t code = q->codes[n * q->k + i];
            if (l->code_bits == 8)
                l->codes[n * l->row_bytes + i] = code;
            else
                l->codes[n * l->row_bytes + i / 2] |= (uint8_t)(code << (i % 2 * 4));
        }
    return PTQ_OK;
}

/* What two linears must have in common to take the same prepared activations. */
static uint64_t recipe_of(const struct ptq_linear *l)
{
    int64_t numbers[3] = {l->k, l->activations, l->order || l->panels ? l->group_size : 0};
    uint64_t h = ptqi_hash(PTQI_HASH_START, numbers, (int64_t)sizeof numbers);
    h = ptqi_hash(h, &l->rotation, (int64_t)sizeof l->rotation);
    if (l->input_scale)
        h = ptqi_hash(h ^ 1, l->input_scale, l->k * (int64_t)sizeof *l->input_scale);
    if (l->order)
        h = ptqi_hash(h ^ 2, l->order, l->k * (int64_t)sizeof *l->order);
    if (l->activations == PTQ_ACTIVATIONS_INT8_STATIC)
        h = ptqi_hash(h ^ 3, &l->activation_scale, (int64_t)sizeof l->activation_scale);
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
    if (q->input_scale && !(l->input_scale = copy(l, q->input_scale, q->k * 4)))
        return PTQ_ERROR_MEMORY;
    if (integer && q->order && !(l->order = copy(l, q->order, q->k * 4)))
        return PTQ_ERROR_MEMORY;
    PTQI_TRY(integer ? pack_panels(l, q) : pack_rows(l, q));
    l->rotation = q->rotation;
    l->recipe = recipe_of(l);
    return PTQ_OK;
}
