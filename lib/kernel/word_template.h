/*
 * Products of packed codes with f32 inputs, for all vector instruction sets; include after
 * f32_template.h. WORD_MR x F32_NV sums stay in registers, and WORD_CASES is the switch over the
 * rows.
 */

/* The position of a pass over the columns of a panel. */
struct columns {
    const int32_t *group_of;
    int32_t group; /* of the scales and zeros below; initially -1 */
    VI word[F32_NV];
    VF scale[F32_NV], zero[F32_NV]; /* 2^23 + zero */
};

/* The weights of the next column, scale (code - zero) rounded once, from the lowest bits of the
 * word. 2^23 + code minus 2^23 + zero is exact. */
INLINE void next_weights(const struct ptqi_words *p, const int bits, struct columns *c, VF *w)
{
    const VI mask = vi_set1((1 << bits) - 1);
    if (*c->group_of != c->group) {
        c->group = *c->group_of;
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++) {
            const int64_t at = c->group * (int64_t)F32_NR + v * LANES;
            const VI zero = p->zeros ? vi_load(p->zeros + at) : vi_set1(p->zero);
            c->scale[v] = vf_load(p->scales + at);
            c->zero[v] = vf_above_2_23(zero);
        }
    }
    c->group_of++;
    PTQI_UNROLL
    for (int v = 0; v < F32_NV; v++) {
        const VF code = vf_above_2_23(vi_and(c->word[v], mask));
        c->word[v] = vi_shift_right(c->word[v], bits);
        w[v] = vf_mul(c->scale[v], vf_sub(code, c->zero[v]));
    }
}

INLINE void load_words(const uint32_t *words, struct columns *c)
{
    PTQI_UNROLL
    for (int v = 0; v < F32_NV; v++)
        c->word[v] = vi_load(words + v * LANES);
}

INLINE void dequantize(const struct ptqi_words *p, const int bits, int64_t first, int64_t count,
                       float *out)
{
    const int per_word = 32 / bits;
    struct columns c = {.group_of = p->group_of + first, .group = -1};
    const uint32_t *words = p->words + first / per_word * F32_NR;
    for (int64_t i = 0; i < count; i += per_word, words += F32_NR) {
        load_words(words, &c);
        for (int j = 0; j < per_word && i + j < count; j++, out += F32_NR) {
            VF w[F32_NV];
            next_weights(p, bits, &c, w);
            PTQI_UNROLL
            for (int v = 0; v < F32_NV; v++)
                vf_store(out + v * LANES, w[v]);
        }
    }
}

TARGET static void word_dequantize(const struct ptqi_words *w, int64_t first, int64_t count,
                                   float *out)
{
    if (w->bits == 4)
        dequantize(w, 4, first, count, out);
    else
        dequantize(w, 8, first, count, out);
}

INLINE void word_rows(const int rows, const int bits, const struct ptqi_words *p, const float *x,
                      int64_t ldx, float *out)
{
    const int per_word = 32 / bits;
    struct columns c = {.group_of = p->group_of, .group = -1};
    const uint32_t *words = p->words;
    VF sum[WORD_MR][F32_NV];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            sum[m][v] = vf_zero();
    }
    for (int64_t i = 0; i < p->k; i += per_word, words += F32_NR) {
        load_words(words, &c);
        for (int j = 0; j < per_word && i + j < p->k; j++, x++) {
            VF w[F32_NV];
            next_weights(p, bits, &c, w);
            PTQI_UNROLL
            for (int m = 0; m < rows; m++) {
                const VF xm = vf_set1(x + m * ldx);
                PTQI_UNROLL
                for (int v = 0; v < F32_NV; v++)
                    sum[m][v] = vf_fma(xm, w[v], sum[m][v]);
            }
        }
    }
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < F32_NV; v++)
            vf_store(out + m * F32_NR + v * LANES, sum[m][v]);
    }
}

#define WORD_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (w->bits == 4)                                                                          \
            word_rows(rows, 4, w, x, ldx, out);                                                    \
        else                                                                                       \
            word_rows(rows, 8, w, x, ldx, out);                                                    \
        break;

TARGET static void word_stream(int rows, const struct ptqi_words *w, const float *x, int64_t ldx,
                               float *out)
{
    switch (rows) {
        WORD_CASES
    }
}

#define WORD_KERNELS                                                                               \
    .word_mr = WORD_MR, .word_dequantize = word_dequantize, .word_stream = word_stream
