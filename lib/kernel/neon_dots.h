/*
 * dot_blocks of int_template.h by dot_packed and dot_bytes, which process one block of packed codes
 * or of bytes: shared by the NEON levels with products of four or eight bytes. X_BLOCK: bytes of x
 * from one block to the next.
 */
INLINE void dot_blocks(const int rows, const int nv, const int bits, const int stream,
                       const int shift, struct weights w, const struct ptqi_rows *from,
                       VI (*dot)[MAX_NV], VI (*high)[MAX_NV])
{
    const int packed = stream && bits == 4;
    const uint8_t *codes = w.codes;
    const int8_t *x = from->x;
    (void)shift, (void)high;
    for (int64_t b = 0; b < w.blocks; b++) {
        if (packed)
            dot_packed(rows, nv, codes, x, from->ldx, dot);
        else
            dot_bytes(rows, nv, stream ? STRIP : NR, codes, x, from->ldx, dot);
        codes += stream ? 4 * bits * STRIP : 32 * NR;
        x += X_BLOCK;
    }
}
