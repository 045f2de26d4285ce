/*
 * ptq/encoding.h - codes, scales and zero points as other libraries and files store them.
 *
 * An encoding says how small integers lie in memory: as bytes, as nibbles, in words. With it, a
 * quantized matrix takes its codes from there without a copy, and ptq_linear_create reads them
 * once:
 *
 *                             bits  axis         count  shifts                        strides n, k
 *     bytes                   8     PTQ_ALONG_K  1      NULL                          K, 1
 *     GGUF Q4_0               4     PTQ_ALONG_K  32     0 8 .. 120, 4 12 .. 124       K/32 * 18, 18
 *     GGUF Q8_0 (signed)      8     PTQ_ALONG_K  32     NULL                          K/32 * 34, 34
 *     GPTQ qweight            4     PTQ_ALONG_K  8      NULL                          4, 4 * N
 *     AWQ qweight             4     PTQ_ALONG_N  8      0 16 4 20 8 24 12 28          4, N / 2
 *     compressed-tensors      4     PTQ_ALONG_K  8      NULL                          K / 2, 4
 *
 * Thread safety: an encoding does not change and may be used by any number of threads.
 */
#ifndef PTQ_ENCODING_H
#define PTQ_ENCODING_H

#include "qtensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ptq_encoding ptq_encoding;

/* What a block holds: consecutive columns of a row, or consecutive rows of a column. */
enum { PTQ_ALONG_K = 1, PTQ_ALONG_N = 2 };

/* What a stored value v of b bits means. */
enum {
    PTQ_VALUES_UNSIGNED = 0, /* v */
    PTQ_VALUES_SIGNED = 1,   /* two's complement: v + 2^(bits - 1), bits being the matrix's */
    PTQ_VALUES_LESS_ONE = 2  /* v + 1: zero points of GPTQ's first format */
};

/*
 * Creates an encoding. A block is `count` values, 1 to 256; value i occupies `bits` bits, 1 to 8,
 * of which the lowest is bit shifts[i] of the block. Bit 0 is the lowest bit of a block's first
 * byte, as in a little-endian word, and shifts are below 4096. If shifts is NULL, value i begins at
 * bit i * bits. Bits that belong to no value are not read. values is PTQ_VALUES_...
 */
PTQ_API ptq_status ptq_encoding_create(ptq_context *context, int32_t bits, int32_t axis,
                                       int32_t count, const int32_t *shifts, int32_t values,
                                       ptq_encoding **encoding);
/* Matrices that use it keep what they need. NULL is fine. */
PTQ_API void ptq_encoding_free(ptq_encoding *encoding);

/*
 * Sets the codes of q to encoded ones without copying them. data holds `bytes` bytes, which must
 * outlive q or its next codes and must not change. PTQ_ALONG_K: the block with column k of row n
 * begins at byte n * stride_n + k / count * stride_k; PTQ_ALONG_N: at byte n / count * stride_n + k
 * * stride_k. Strides are not negative, and all blocks lie within data. A value that does not fit
 * the bits of q gives PTQ_ERROR_BOUNDS; values of exactly these bits always fit and are not looked
 * at.
 */
PTQ_API ptq_status ptq_qtensor_borrow_codes(ptq_qtensor *q, const ptq_encoding *encoding,
                                            const void *data, int64_t bytes, int64_t stride_n,
                                            int64_t stride_k);
/* Sets zeros [N][groups] from encoded ones, which are copied: addresses are as for codes, with
 * groups in place of columns. */
PTQ_API ptq_status ptq_qtensor_set_encoded_zeros(ptq_qtensor *q, const ptq_encoding *encoding,
                                                 const void *data, int64_t bytes, int64_t stride_n,
                                                 int64_t stride_g);
/* Sets scales or minima [N][groups] from values of a float dtype, of which that of row n and group
 * g begins at byte n * stride_n + g * stride_g of data, aligned or not. They are widened to f32. */
PTQ_API ptq_status ptq_qtensor_set_strided_scales(ptq_qtensor *q, int32_t dtype, const void *data,
                                                  int64_t bytes, int64_t stride_n,
                                                  int64_t stride_g);
PTQ_API ptq_status ptq_qtensor_set_strided_minima(ptq_qtensor *q, int32_t dtype, const void *data,
                                                  int64_t bytes, int64_t stride_n,
                                                  int64_t stride_g);

#ifdef __cplusplus
}
#endif
#endif
