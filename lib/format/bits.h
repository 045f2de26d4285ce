/* Integers of a few bits as a dense bit stream, lowest bit first. */
#ifndef PTQI_BITS_H
#define PTQI_BITS_H

#include "base/context.h"

/* Packs k codes of bits bits each, 1 to 8, without gaps; unpacks them. The rest of the last byte is
 * 0, and ignored. */
void ptqi_pack_bits(const uint8_t *codes, int64_t k, int bits, uint8_t *out);
void ptqi_unpack_bits(const uint8_t *in, int64_t k, int bits, uint8_t *codes);

/* Bit streams in a tensor of 32-bit words. */
struct ptqi_streams {
    int64_t count, length; /* streams, and values in each */
    int bits;
    int is_column; /* a stream is a column of [words][count]; else a row of [count][words] */
};

/* The words of one stream. */
int64_t ptqi_stream_words(int64_t length, int64_t bits);
/* Value i of stream s is values[s * stride_s + i * stride_i]. data may be unaligned; _pack fills
 * all of it. */
ptq_status ptqi_unpack_streams(ptq_context *context, const struct ptqi_streams *s, const void *data,
                               uint8_t *values, int64_t stride_s, int64_t stride_i);
ptq_status ptqi_pack_streams(ptq_context *context, const struct ptqi_streams *s,
                             const uint8_t *values, int64_t stride_s, int64_t stride_i, void *data);

#endif
