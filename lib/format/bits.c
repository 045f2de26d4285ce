#include "format/bits.h"
#include <string.h>

void ptqi_pack_bits(const uint8_t *codes, int64_t k, int bits, uint8_t *out)
{
    uint32_t buffer = 0;
    int filled = 0;
    for (int64_t i = 0; i < k; i++) {
        buffer |= (uint32_t)codes[i] << filled;
        for (filled += bits; filled >= 8; filled -= 8, buffer >>= 8)
            *out++ = (uint8_t)buffer;
    }
    if (filled)
        *out = (uint8_t)buffer;
}

void ptqi_unpack_bits(const uint8_t *in, int64_t k, int bits, uint8_t *codes)
{
    uint32_t buffer = 0;
    int filled = 0;
    for (int64_t i = 0; i < k; i++) {
        if (filled < bits) {
            buffer |= (uint32_t)*in++ << filled;
            filled += 8;
        }
        codes[i] = (uint8_t)(buffer & ((1u << bits) - 1));
        buffer >>= bits;
        filled -= bits;
    }
}

int64_t ptqi_stream_words(int64_t length, int64_t bits)
{
    return (length * bits + 31) / 32;
}

/* A stream by itself: its words, and its values. */
struct stream {
    int64_t words;
    uint8_t *packed, *values;
};

static ptq_status allocate(ptq_context *context, const struct ptqi_streams *s, struct stream *one)
{
    one->words = ptqi_stream_words(s->length, s->bits);
    one->packed = ptqi_alloc_zero(context, one->words, 4);
    one->values = ptqi_alloc(context, s->length, 1);
    return one->packed && one->values ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static void release(ptq_context *context, struct stream *one)
{
    ptqi_free(context, one->packed);
    ptqi_free(context, one->values);
}

/* The byte at which word w of stream n begins. */
static int64_t place(const struct ptqi_streams *s, const struct stream *one, int64_t n, int64_t w)
{
    return 4 * (s->is_column ? w * s->count + n : n * one->words + w);
}

ptq_status ptqi_unpack_streams(ptq_context *context, const struct ptqi_streams *s, const void *data,
                               uint8_t *values, int64_t stride_s, int64_t stride_i)
{
    struct stream one;
    const ptq_status status = allocate(context, s, &one);
    for (int64_t n = 0; n < s->count && !status; n++) {
        for (int64_t w = 0; w < one.words; w++)
            memcpy(one.packed + 4 * w, (const uint8_t *)data + place(s, &one, n, w), 4);
        ptqi_unpack_bits(one.packed, s->length, s->bits, one.values);
        for (int64_t i = 0; i < s->length; i++)
            values[n * stride_s + i * stride_i] = one.values[i];
    }
    release(context, &one);
    return status;
}

ptq_status ptqi_pack_streams(ptq_context *context, const struct ptqi_streams *s,
                             const uint8_t *values, int64_t stride_s, int64_t stride_i, void *data)
{
    struct stream one;
    const ptq_status status = allocate(context, s, &one);
    for (int64_t n = 0; n < s->count && !status; n++) {
        for (int64_t i = 0; i < s->length; i++)
            one.values[i] = values[n * stride_s + i * stride_i];
        ptqi_pack_bits(one.values, s->length, s->bits, one.packed);
        for (int64_t w = 0; w < one.words; w++)
            memcpy((uint8_t *)data + place(s, &one, n, w), one.packed + 4 * w, 4);
    }
    release(context, &one);
    return status;
}
