#include "utf8.h"

int ptqi_utf8_sequence(const char *text, int64_t left, int *valid)
{
    const uint8_t *s = (const uint8_t *)text;
    int length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    /* The second byte alone rules out overlong forms, surrogates and values beyond Unicode. */
    int low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    int high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

    *valid = 0;
    if (s[0] > 0xf4 || (s[0] >= 0x80 && s[0] < 0xc2))
        return 1;
    for (int i = 1; i < length; i++) {
        if (i == left || s[i] < low || s[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *valid = 1;
    return length;
}

int ptqi_utf8_is_text(const char *text, int64_t length)
{
    int valid = 1;
    for (int64_t i = 0; i < length && valid;) {
        if (!text[i])
            return 0;
        i += ptqi_utf8_sequence(text + i, length - i, &valid);
    }
    return valid;
}

uint32_t ptqi_utf8_next(const char **at)
{
    const uint8_t *s = (const uint8_t *)*at;
    int length = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    *at += length;
    switch (length) {
    case 1:
        return s[0];
    case 2:
        return (uint32_t)(s[0] & 31) << 6 | (s[1] & 63);
    case 3:
        return (uint32_t)(s[0] & 15) << 12 | (uint32_t)(s[1] & 63) << 6 | (s[2] & 63);
    default:
        return (uint32_t)(s[0] & 7) << 18 | (uint32_t)(s[1] & 63) << 12 |
               (uint32_t)(s[2] & 63) << 6 | (s[3] & 63);
    }
}

int ptqi_utf8_put(char *out, uint32_t c)
{
    int length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 63));
    out[0] = (char)(lead[length] | c);
    return length;
}
