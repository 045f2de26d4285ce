/*
 * A block of GGUF has a scale that is exact in f16 and, by its type, codes around a center or codes
 * with a minimum that is exact in f16. A matrix is written in the first type of its list that can
 * represent every block of it; the K types need the super scales that a matrix keeps from a file.
 */
#include "format/gguf_encode.h"
#include <string.h>
#include "base/half.h"
#include "format/gguf_pack.h"

/* The types to try, by what a matrix has. */
static const char *const centered4[] = {"Q4_0", NULL}, *const centered5[] = {"Q5_0", NULL};
static const char *const centered8[] = {"Q8_0", NULL};
static const char *const zeros4[] = {"Q4_1", "Q5_0", NULL}, *const zeros5[] = {"Q5_1", "Q8_0",
                                                                               NULL};
static const char *const minima4[] = {"Q4_K", "Q4_1", NULL}, *const minima5[] = {"Q5_K", "Q5_1",
                                                                                 NULL};
static const char *const six[] = {"Q6_K", "Q8_0", NULL};
static const char *const levels4[] = {"IQ4_XS", "IQ4_NL", "Q8_0", NULL};
static const char *const none[] = {NULL};

static const char *const *types_for(const ptq_qtensor *q)
{
    if (q->levels)
        return levels4;
    if (q->minima)
        return q->bits <= 4 ? minima4 : q->bits == 5 ? minima5 : none;
    switch (q->bits) {
    case 2:
    case 3:
        return centered4; /* even with zero points */
    case 4:
        return q->zeros ? zeros4 : centered4;
    case 5:
        return q->zeros ? zeros5 : centered5;
    case 6:
        return q->zeros ? centered8 : six;
    default:
        return centered8;
    }
}

static int is_super_type(const struct ptqi_gguf_blocks *type)
{
    return type->values == PTQI_SUPER_COLUMNS;
}

static int is_half(float value)
{
    return ptqi_round_to(value, PTQ_DTYPE_F16) == value;
}

/* The integer that a stored value is of its super value. */
static int8_t factor_of(float value, float super)
{
    return super != 0 ? (int8_t)ptqi_round_even(value / super) : 0;
}

/* A block of a K type: columns from column on of row n. Returns 0 if it cannot be represented. */
static int fill_super(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type, int64_t n,
                      int64_t column, struct ptqi_gguf_fields *f)
{
    const int64_t at = n * (q->k / PTQI_SUPER_COLUMNS) + column / PTQI_SUPER_COLUMNS;
    const int64_t first = n * q->groups + column / type->group;
    const int least = type->group == 16 ? -128 : type->levels ? -32 : 0;
    const int most = type->group == 16 ? 127 : type->levels ? 31 : 63;
    int fits = 1;
    f->d = q->super_scales[at];
    f->m = q->super_minima ? -q->super_minima[at] : 0;
    for (int g = 0; g < PTQI_GGUF_GROUPS && g * type->group < PTQI_SUPER_COLUMNS; g++) {
        f->scales[g] = factor_of(q->scales[first + g], f->d);
        fits &= f->scales[g] >= least && f->scales[g] <= most;
        if (q->minima) {
            f->minima[g] = factor_of(q->minima[first + g], -f->m);
            fits &= f->minima[g] >= 0 && f->minima[g] <= most;
        }
    }
    return fits;
}

/* Codes with a minimum: of a matrix with minima, or -scale zero. */
static int fill_minimum(const ptq_qtensor *q, int64_t n, int64_t g, struct ptqi_gguf_fields *f)
{
    f->m = q->minima ? q->minima[n * q->groups + g] : -f->d * (float)ptqi_qtensor_zero(q, n, g);
    return is_half(f->m);
}

/* Codes around the center of the type, 2^(bits - 1), or codes of its levels. */
static int fill_centered(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type, int64_t n,
                         int64_t g, uint8_t *codes)
{
    const int32_t center = 1 << (type->bits - 1), zero = q->levels ? 0 : ptqi_qtensor_zero(q, n, g);
    int fits = 1;
    for (int i = 0; i < type->values && !type->levels; i++) {
        const int32_t value = (q->levels ? q->levels[codes[i]] : codes[i] - zero) + center;
        fits &= value >= 0 && value < 2 * center;
        codes[i] = (uint8_t)value;
    }
    return fits;
}

/* Fills in the fields of the block of a type that begins at a column of row n. Returns 0 if the
 * type cannot represent it. */
static int fill(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type, int64_t n,
                int64_t column, struct ptqi_gguf_fields *f)
{
    const int64_t g = column / q->group_size;
    ptqi_qtensor_copy_codes(q, n, column, type->values, f->codes);
    if (is_super_type(type))
        return fill_super(q, type, n, column, f);
    f->d = q->scales[n * q->groups + g];
    f->m = 0;
    if (!is_half(f->d))
        return 0;
    return type->has_minima ? fill_minimum(q, n, g, f) : fill_centered(q, type, n, g, f->codes);
}

/* Whether the form of a type is that of q, before looking at numbers. */
static int may_represent(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type)
{
    if (is_super_type(type) && (!q->super_scales || q->group_size != type->group))
        return 0;
    if (!is_super_type(type) && q->group_size % type->values && q->group_size != q->k)
        return 0;
    if (type->levels && (q->bits != 4 || memcmp(type->levels, q->levels, 16)))
        return 0;
    return q->k % type->values == 0;
}

static int represents(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type)
{
    struct ptqi_gguf_fields f;
    int fits = may_represent(q, type);
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t column = 0; column < q->k && fits; column += type->values)
            fits = fill(q, type, n, column, &f);
    return fits;
}

/* What no type of GGUF has. */
static const char *foreign_part(const ptq_qtensor *q)
{
    if (q->input_scale)
        return "GGUF has no input scales; --fold on folds them into other weights";
    if (q->rotation)
        return "GGUF has no rotations";
    if (q->order)
        return "the groups of GGUF are adjacent columns, not those of act-order";
    if (!ptqi_activations_are_exact(q->activations) && q->activations != PTQ_ACTIVATIONS_INT8_TOKEN)
        return "GGUF has neither static activations nor activations with a zero point";
    return NULL;
}

/* Why no type of a list represents q: what is most often the reason. */
static const char *reason(const ptq_qtensor *q)
{
    if (q->k % 32)
        return "blocks of GGUF have 32 columns, which do not divide the rows";
    if (q->group_size % 32 && q->group_size != q->k)
        return "blocks of GGUF have 32 columns, which do not divide the groups";
    for (int64_t i = 0; i < q->n * q->groups; i++)
        if (!is_half(q->scales[i]))
            return "scales of GGUF are f16, and a scale is not exact in f16";
    return q->minima ? "GGUF has minima only for codes of up to 5 bits, exact in f16"
                     : "a code is too far from its zero point for a type of GGUF";
}

static int represents_all(const ptq_qtensor *const *q, int64_t count,
                          const struct ptqi_gguf_blocks *type)
{
    int64_t i = 0;
    while (i < count && represents(q[i], type))
        i++;
    return i == count;
}

const struct ptqi_gguf_blocks *ptqi_gguf_choose_shared(const ptq_qtensor *const *q, int64_t count,
                                                       const char **problem)
{
    const struct ptqi_gguf_blocks *type = NULL;
    *problem = NULL;
    for (int64_t i = 0; i < count && !*problem; i++)
        *problem = foreign_part(q[i]);
    if (*problem)
        return NULL;
    for (const char *const *name = types_for(q[0]); *name && !type; name++) {
        type = ptqi_gguf_blocks(*name);
        if (!represents_all(q, count, type))
            type = NULL;
    }
    *problem = type ? NULL : reason(q[0]);
    return type;
}

const struct ptqi_gguf_blocks *ptqi_gguf_choose(const ptq_qtensor *q, const char **problem)
{
    return ptqi_gguf_choose_shared(&q, 1, problem);
}

void ptqi_gguf_encode_row(const ptq_qtensor *q, const struct ptqi_gguf_blocks *type, int64_t n,
                          uint8_t *bytes)
{
    struct ptqi_gguf_fields f;
    for (int64_t column = 0; column < q->k; column += type->values, bytes += type->bytes) {
        fill(q, type, n, column, &f);
        ptqi_gguf_pack(type, &f, bytes);
    }
}
