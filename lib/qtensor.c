/*
 * ptq_qtensor: a quantized matrix built from its parts, and read back.
 */
#include "qtensor.h"
#include <math.h>
#include <string.h>
#include "config.h"
#include "encoding.h"
#include "linalg/rotate.h"

static const double not_known = NAN;

ptq_status ptq_qtensor_create(ptq_context *context, int64_t n, int64_t k, int32_t bits,
                              int64_t group, ptq_qtensor **q)
{
    int64_t elements, bytes;
    PTQI_REQUIRE(context, q);
    *q = NULL;
    PTQI_REQUIRE(NULL, context);
    if (n < 1 || k < 1 || k > PTQI_MAX_COLUMNS || !ptqi_multiply(n, k, &elements) ||
        !ptqi_multiply(elements, (int64_t)sizeof(float), &bytes) || bytes > PTRDIFF_MAX)
        return ptqi_fail(context, PTQ_ERROR_SHAPE,
                         "a quantized matrix of %lld x %lld is not supported", (long long)n,
                         (long long)k);
    if (!ptq_config_choice_name(PTQ_PARAM_BITS, bits))
        return ptqi_fail(context, PTQ_ERROR_BOUNDS, "bits must be 2 .. 6 or 8, not %d", bits);
    if (group < 0 || group % 16 || group > PTQI_MAX_COLUMNS)
        return ptqi_fail(context, PTQ_ERROR_BOUNDS,
                         "group must be a multiple of 16 up to %d, or 0 for one per row, not %lld",
                         PTQI_MAX_COLUMNS, (long long)group);
    struct ptq_qtensor *new = ptqi_new_handle(context, (int64_t)sizeof *new);
    if (!new)
        return PTQ_ERROR_MEMORY;
    new->context = context;
    new->n = n;
    new->k = k;
    new->bits = bits;
    new->group = group;
    new->group_size = group > 0 && group < k ? group : k;
    new->groups = (k + new->group_size - 1) / new->group_size;
    new->activations = PTQ_ACTIVATIONS_F32;
    new->weight_error = new->output_error = not_known;
    new->weight_energy = new->output_energy = not_known;
    new->plain_error = new->chosen_error = not_known;
    *q = new;
    return PTQ_OK;
}

void ptq_qtensor_free(ptq_qtensor *q)
{
    if (!q)
        return;
    ptqi_free(q->context, q->codes);
    ptqi_free(q->context, q->borrowed);
    ptqi_free(q->context, q->scales);
    ptqi_free(q->context, q->row_scales);
    ptqi_free(q->context, q->zeros);
    ptqi_free(q->context, q->minima);
    ptqi_free(q->context, q->levels);
    ptqi_free(q->context, q->group_of);
    ptqi_free(q->context, q->order);
    ptqi_free(q->context, q->input_scale);
    ptqi_free(q->context, q->super_scales);
    ptqi_free(q->context, q->super_minima);
    ptqi_free_handle(q->context, q);
}

ptq_status ptqi_qtensor_check(const struct ptq_qtensor *q)
{
    const int has_codes = q->codes || q->borrowed;
    if (!has_codes || !q->scales)
        return ptqi_fail(q->context, PTQ_ERROR_MISSING, "the qtensor has no %s yet",
                         has_codes ? "scales" : "codes");
    return PTQ_OK;
}

ptq_status ptqi_check_count(ptq_context *context, const char *function, int64_t count)
{
    return ptqi_check_between(context, function, "count", count, 1, PTQI_MAX_MATRICES);
}

ptq_status ptqi_check_sums(ptq_context *context, int32_t activations, int32_t far, int64_t columns)
{
    const int64_t most = ptqi_most_columns(activations, far);
    if (columns <= most)
        return PTQ_OK;
    return ptqi_fail(
        context, PTQ_ERROR_UNSUPPORTED,
        "groups of %lld columns are too wide for 8-bit activations: with codes up to %d "
        "from their zero points, 32-bit sums hold %lld columns",
        (long long)columns, far, (long long)most);
}

static ptq_status check_values(const ptq_qtensor *q, const char *what, const uint8_t *values,
                               int64_t columns, int32_t highest)
{
    for (int64_t i = 0; i < q->n * columns; i++)
        if (values[i] > highest)
            return ptqi_fail(
                q->context, PTQ_ERROR_BOUNDS, "%s[%lld][%lld] is %d, which exceeds %d bits", what,
                (long long)(i / columns), (long long)(i % columns), values[i], q->bits);
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_codes(ptq_qtensor *q, const uint8_t *codes)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, codes);
    PTQI_TRY(check_values(q, "codes", codes, q->k, (1 << q->bits) - 1));
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->codes, codes, q->n * q->k, 1));
    ptqi_free(q->context, q->borrowed);
    q->borrowed = NULL;
    return PTQ_OK;
}

/* The check of the levels, which kernels rely on, was for other scales and zeros. */
static void forget_levels(ptq_qtensor *q)
{
    ptqi_free(q->context, q->row_scales);
    q->row_scales = NULL;
    ptqi_qtensor_forget_super(q);
}

ptq_status ptq_qtensor_set_zeros(ptq_qtensor *q, const uint8_t *zeros)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, zeros);
    if (q->minima || q->levels)
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT, "zero points cannot be combined with %s",
                         q->minima ? "minima" : "levels");
    PTQI_TRY(check_values(q, "zeros", zeros, q->groups, 1 << q->bits));
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->zeros, zeros, q->n * q->groups, 1));
    forget_levels(q);
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_scales(ptq_qtensor *q, const float *scales)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, scales);
    for (int64_t i = 0; i < q->n * q->groups; i++)
        if (scales[i] - scales[i] != 0)
            return ptqi_fail(q->context, PTQ_ERROR_NOT_FINITE, "scales[%lld][%lld] is not finite",
                             (long long)(i / q->groups), (long long)(i % q->groups));
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->scales, scales, q->n * q->groups, 4));
    forget_levels(q);
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_row_scales(ptq_qtensor *q, const float *row_scales)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, row_scales);
    PTQI_TRY(ptqi_qtensor_check(q));
    if (q->bits > 4 || !ptqi_qtensor_is_plain(q))
        return ptqi_fail(q->context, PTQ_ERROR_CONFLICT,
                         "two-level scales need codes of up to 4 bits, groups of a multiple of 32 "
                         "columns, and neither minima nor levels");
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t g = 0; g < q->groups; g++) {
            float zero = (float)ptqi_qtensor_zero(q, n, g), scale = q->scales[n * q->groups + g];
            float level = ptqi_round_level(scale, zero, q->bits, row_scales[n]);
            if (!(row_scales[n] > 0) || scale != level * row_scales[n])
                return ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                                 "scales[%lld][%lld] is not its row scale times a valid integer",
                                 (long long)n, (long long)g);
        }
    return ptqi_replace(q->context, (void **)&q->row_scales, row_scales, q->n, 4);
}

int32_t ptq_qtensor_has_row_scales(const ptq_qtensor *q)
{
    return q && q->row_scales;
}

ptq_status ptq_qtensor_row_scales(const ptq_qtensor *q, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    if (!q->row_scales)
        return ptqi_fail(q->context, PTQ_ERROR_MISSING, "the scales are not two-level");
    memcpy(out, q->row_scales, (size_t)q->n * sizeof *out);
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_input_scale(ptq_qtensor *q, const float *input_scale)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, input_scale);
    for (int64_t i = 0; i < q->k; i++)
        if (!(input_scale[i] > 0) || input_scale[i] - input_scale[i] != 0)
            return ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                             "input_scale[%lld] is not positive and finite", (long long)i);
    return ptqi_replace(q->context, (void **)&q->input_scale, input_scale, q->k, 4);
}

ptq_status ptq_qtensor_set_rotation(ptq_qtensor *q, int32_t rotation)
{
    PTQI_REQUIRE(NULL, q);
    if (rotation == PTQ_AUTO || !ptq_config_choice_name(PTQ_PARAM_ROTATE, rotation))
        return ptqi_fail(q->context, PTQ_ERROR_BOUNDS, "rotation must be 0, 32, 64 or 128, not %d",
                         rotation);
    q->rotation = rotation;
    return PTQ_OK;
}

int32_t ptq_qtensor_equalize(const ptq_qtensor *q)
{
    return q ? q->equalize : 0;
}

int32_t ptq_qtensor_rotation(const ptq_qtensor *q)
{
    return q ? q->rotation : 0;
}

int64_t ptq_qtensor_n(const ptq_qtensor *q)
{
    return q ? q->n : 0;
}

int64_t ptq_qtensor_k(const ptq_qtensor *q)
{
    return q ? q->k : 0;
}

int32_t ptq_qtensor_bits(const ptq_qtensor *q)
{
    return q ? q->bits : 0;
}

int64_t ptq_qtensor_group(const ptq_qtensor *q)
{
    return q ? q->group : 0;
}

int64_t ptq_qtensor_groups(const ptq_qtensor *q)
{
    return q ? q->groups : 0;
}

int32_t ptq_qtensor_symmetric(const ptq_qtensor *q)
{
    return q && !q->zeros;
}

double ptq_qtensor_weight_error(const ptq_qtensor *q)
{
    return q ? q->weight_error : not_known;
}

double ptq_qtensor_output_error(const ptq_qtensor *q)
{
    return q ? q->output_error : not_known;
}

double ptq_qtensor_plain_error(const ptq_qtensor *q)
{
    return q ? q->plain_error : not_known;
}

double ptq_qtensor_chosen_error(const ptq_qtensor *q)
{
    return q ? q->chosen_error : not_known;
}

int64_t ptq_qtensor_adjusted_groups(const ptq_qtensor *q)
{
    return q ? q->adjusted_groups : 0;
}

int64_t ptq_qtensor_clamped_groups(const ptq_qtensor *q)
{
    return q ? q->clamped_groups : 0;
}

double ptq_qtensor_damping(const ptq_qtensor *q)
{
    return q ? q->damping : 0;
}

int32_t ptq_qtensor_has_input_scale(const ptq_qtensor *q)
{
    return q && q->input_scale;
}

const uint8_t *ptqi_qtensor_rows_of_codes(const struct ptq_qtensor *q, int64_t first, int64_t rows,
                                          uint8_t *buffer, int64_t ld)
{
    if (!q->borrowed)
        return q->codes + first * q->k;
    ptqi_encoded_read(q->borrowed, first, rows, q->k, buffer, ld);
    return buffer;
}

void ptqi_qtensor_copy_codes(const struct ptq_qtensor *q, int64_t n, int64_t first, int64_t count,
                             uint8_t *out)
{
    if (!q->borrowed)
        memcpy(out, q->codes + n * q->k + first, (size_t)count);
    else if (count == q->k)
        ptqi_encoded_read(q->borrowed, n, 1, q->k, out, q->k);
    else
        for (int64_t i = 0; i < count; i++)
            out[i] = ptqi_encoded_value(q->borrowed, n, first + i);
}

ptq_status ptq_qtensor_codes(const ptq_qtensor *q, uint8_t *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    PTQI_TRY(ptqi_qtensor_check(q));
    for (int64_t n = 0; n < q->n; n++)
        ptqi_qtensor_copy_codes(q, n, 0, q->k, out + n * q->k);
    return PTQ_OK;
}

ptq_status ptq_qtensor_scales(const ptq_qtensor *q, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    PTQI_TRY(ptqi_qtensor_check(q));
    memcpy(out, q->scales, (size_t)(q->n * q->groups) * 4);
    return PTQ_OK;
}

ptq_status ptq_qtensor_zeros(const ptq_qtensor *q, uint8_t *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t g = 0; g < q->groups; g++)
            out[n * q->groups + g] = (uint8_t)ptqi_qtensor_zero(q, n, g);
    return PTQ_OK;
}

ptq_status ptq_qtensor_input_scale(const ptq_qtensor *q, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    for (int64_t i = 0; i < q->k; i++)
        out[i] = q->input_scale ? q->input_scale[i] : 1.0f;
    return PTQ_OK;
}

void ptqi_qtensor_dequantize_row(const struct ptq_qtensor *q, int64_t n, float *out)
{
    const uint8_t *codes = q->codes ? q->codes + n * q->k : NULL;
    const float *scales = q->scales + n * q->groups;
    for (int64_t i = 0, g = 0, end = q->group_size; i < q->k; i++) {
        const int64_t c = q->order ? q->order[i] : i;
        if (q->group_of) {
            g = q->group_of[c];
        } else if (i == end) {
            g++;
            end += q->group_size;
        }
        const uint8_t code = codes ? codes[c] : ptqi_encoded_value(q->borrowed, n, c);
        out[c] = ptqi_qtensor_weight(q, n, g, scales[g], code);
    }
}

/* Takes a row back to the original basis. */
static void restore_row(const ptq_qtensor *q, float *row)
{
    if (q->rotation)
        ptqi_rotate(q->context, row, 1, q->k, q->rotation);
    for (int64_t c = 0; q->input_scale && c < q->k; c++)
        row[c] /= q->input_scale[c];
}

ptq_status ptq_qtensor_dequantize_row(const ptq_qtensor *q, int64_t n, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    PTQI_TRY(ptqi_qtensor_check(q));
    PTQI_TRY(ptqi_check_between(q->context, __func__, "n", n, 0, q->n - 1));
    ptqi_qtensor_dequantize_row(q, n, out);
    restore_row(q, out);
    return PTQ_OK;
}

ptq_status ptq_qtensor_dequantize(const ptq_qtensor *q, float *out)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, out);
    PTQI_TRY(ptqi_qtensor_check(q));
    for (int64_t n = 0; n < q->n; n++) {
        ptqi_qtensor_dequantize_row(q, n, out + n * q->k);
        restore_row(q, out + n * q->k);
    }
    return PTQ_OK;
}
