/* Integers of a few bits as a dense bit stream, lowest bit first. */
#ifndef PTQI_BITS_H
#define PTQI_BITS_H

#include <stdint.h>

/* Packs k codes of bits bits each, 1 to 8, without gaps; unpacks them. The rest of the last byte is
 * 0, and ignored. */
void ptqi_pack_bits(const uint8_t *codes, int64_t k, int bits, uint8_t *out);
void ptqi_unpack_bits(const uint8_t *in, int64_t k, int bits, uint8_t *codes);

#endif
