/*
 * The parts of a quantized matrix from memory that others have laid out: codes stay there, scales,
 * minima and zero points are converted.
 */
#include <string.h>
#include "base/half.h"
#include "encoding.h"
#include "qtensor.h"

/* Whether values of an encoding may exceed codes of `bits` bits. */
static int may_exceed(const struct ptq_encoding *e, int32_t bits)
{
    return e->bits > bits || e->values == PTQ_VALUES_LESS_ONE;
}

static ptq_status check_codes(const struct ptq_qtensor *q, const struct ptqi_encoded *encoded)
{
    uint8_t *row = ptqi_alloc(q->context, q->k, 1);
    ptq_status status = row ? PTQ_OK : PTQ_ERROR_MEMORY;
    for (int64_t n = 0; n < q->n && !status; n++) {
        ptqi_encoded_read(encoded, n, 1, q->k, row, q->k);
        for (int64_t c = 0; c < q->k && !status; c++)
            if (row[c] >> q->bits)
                status = ptqi_fail(q->context, PTQ_ERROR_BOUNDS,
                                   "the encoded codes[%lld][%lld] exceeds %d bits", (long long)n,
                                   (long long)c, q->bits);
    }
    ptqi_free(q->context, row);
    return status;
}

ptq_status ptq_qtensor_borrow_codes(ptq_qtensor *q, const ptq_encoding *encoding, const void *data,
                                    int64_t bytes, int64_t stride_n, int64_t stride_k)
{
    struct ptqi_encoded encoded;
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, encoding);
    PTQI_REQUIRE(q->context, data);
    PTQI_TRY(ptqi_encoded_init(__func__, q->context, q->n, q->k, q->bits, encoding, data, bytes,
                               stride_n, stride_k, &encoded));
    if (may_exceed(encoding, q->bits))
        PTQI_TRY(check_codes(q, &encoded));
    PTQI_TRY(ptqi_replace(q->context, (void **)&q->borrowed, &encoded, 1, (int64_t)sizeof encoded));
    ptqi_free(q->context, q->codes);
    q->codes = NULL;
    return PTQ_OK;
}

/* Refuses what modulo 256 looks like 0. */
static ptq_status check_wrapped(const struct ptq_qtensor *q, const struct ptqi_encoded *encoded,
                                const uint8_t *zeros)
{
    for (int64_t i = 0; encoded->encoding.values == PTQ_VALUES_LESS_ONE && i < q->n * q->groups;
         i++)
        if (!zeros[i])
            return ptqi_fail(q->context, PTQ_ERROR_BOUNDS, "zeros[%lld][%lld] is 256",
                             (long long)(i / q->groups), (long long)(i % q->groups));
    return PTQ_OK;
}

ptq_status ptq_qtensor_set_encoded_zeros(ptq_qtensor *q, const ptq_encoding *encoding,
                                         const void *data, int64_t bytes, int64_t stride_n,
                                         int64_t stride_g)
{
    struct ptqi_encoded encoded;
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, encoding);
    PTQI_REQUIRE(q->context, data);
    PTQI_TRY(ptqi_encoded_init(__func__, q->context, q->n, q->groups, q->bits, encoding, data,
                               bytes, stride_n, stride_g, &encoded));
    uint8_t *zeros = ptqi_alloc(q->context, q->n * q->groups, 1);
    if (!zeros)
        return PTQ_ERROR_MEMORY;
    ptqi_encoded_read(&encoded, 0, q->n, q->groups, zeros, q->groups);
    ptq_status status = check_wrapped(q, &encoded, zeros);
    if (!status)
        status = ptq_qtensor_set_zeros(q, zeros);
    ptqi_free(q->context, zeros);
    return status;
}

/* Values [n][groups] of a float dtype at any place, widened, to a setter. */
static ptq_status set_strided(const char *function, ptq_qtensor *q, int32_t dtype, const char *data,
                              int64_t bytes, int64_t stride_n, int64_t stride_g,
                              ptq_status (*set)(ptq_qtensor *, const float *))
{
    const int64_t size = ptq_dtype_size(dtype);
    if (dtype != PTQ_DTYPE_F32 && dtype != PTQ_DTYPE_F16 && dtype != PTQ_DTYPE_BF16)
        return ptqi_fail(q->context, PTQ_ERROR_DTYPE, "%s: dtype must be f32, f16 or bf16",
                         function);
    PTQI_TRY(
        ptqi_check_strided(function, q->context, q->n, stride_n, q->groups, stride_g, size, bytes));
    float *values = ptqi_alloc(q->context, q->n * q->groups, (int64_t)sizeof *values);
    if (!values)
        return PTQ_ERROR_MEMORY;
    for (int64_t n = 0; n < q->n; n++)
        for (int64_t g = 0; g < q->groups; g++) {
            uint32_t value = 0; /* at an address that is aligned */
            memcpy(&value, data + n * stride_n + g * stride_g, (size_t)size);
            ptqi_widen_row(values + n * q->groups + g, &value, dtype, 1);
        }
    const ptq_status status = set(q, values);
    ptqi_free(q->context, values);
    return status;
}

ptq_status ptq_qtensor_set_strided_scales(ptq_qtensor *q, int32_t dtype, const void *data,
                                          int64_t bytes, int64_t stride_n, int64_t stride_g)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, data);
    return set_strided(__func__, q, dtype, data, bytes, stride_n, stride_g, ptq_qtensor_set_scales);
}

ptq_status ptq_qtensor_set_strided_minima(ptq_qtensor *q, int32_t dtype, const void *data,
                                          int64_t bytes, int64_t stride_n, int64_t stride_g)
{
    PTQI_REQUIRE(NULL, q);
    PTQI_REQUIRE(q->context, data);
    return set_strided(__func__, q, dtype, data, bytes, stride_n, stride_g, ptq_qtensor_set_minima);
}
