/* Small integers as others store them. */
#ifndef PTQI_ENCODING_H
#define PTQI_ENCODING_H

#include "base/context.h"
#include "ptq/encoding.h"

#define PTQI_ENCODING_COUNT 256 /* values in a block, at most */
#define PTQI_ENCODING_BITS 4096 /* of a block, at most */

/* Values first .. first + length - 1 of a block, one in each byte from `byte` on. */
struct ptqi_run {
    int16_t first, length, byte;
    uint8_t shift;
    uint8_t wide; /* it continues in the next byte */
};

struct ptq_encoding {
    ptq_context *context;
    int32_t bits, axis, count, values;
    int64_t block_bytes;
    int32_t in_order; /* nibbles in order, in whole words */
    int32_t runs;
    struct ptqi_run run[PTQI_ENCODING_COUNT];
};

/* An encoded matrix in the caller's memory. */
struct ptqi_encoded {
    struct ptq_encoding encoding; /* a copy; its context is not used */
    const uint8_t *data;
    int64_t stride_n, stride_k;
    uint8_t flip, add; /* stored value v means (v ^ flip) + add, modulo 256 */
};

/* PTQ_ERROR_BOUNDS unless a x b blocks of so many bytes, at these strides in bytes, lie within
 * bytes. */
ptq_status ptqi_check_strided(const char *function, ptq_context *context, int64_t a,
                              int64_t stride_a, int64_t b, int64_t stride_b, int64_t block,
                              int64_t bytes);
/* Describes an [n][k] matrix of values for codes of `bits` bits. Fails if blocks lie outside
 * data. */
ptq_status ptqi_encoded_init(const char *function, ptq_context *context, int64_t n, int64_t k,
                             int32_t bits, const struct ptq_encoding *encoding, const void *data,
                             int64_t bytes, int64_t stride_n, int64_t stride_k,
                             struct ptqi_encoded *encoded);
/* Decodes `rows` rows of k columns, from row first on, to out with row stride ld. */
void ptqi_encoded_read(const struct ptqi_encoded *encoded, int64_t first, int64_t rows, int64_t k,
                       uint8_t *out, int64_t ld);
/* The value in row n, column k. */
uint8_t ptqi_encoded_value(const struct ptqi_encoded *encoded, int64_t n, int64_t k);

#endif
