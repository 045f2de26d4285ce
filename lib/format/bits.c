#include "format/bits.h"

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
