/*
 * Products of packed codes with f32 inputs, for all vector instruction sets; include after
 * f32_template.h. The sums of WORD_MR rows by a panel, or of one row by two panels, stay in
 * registers; WORD_CASES is the switch over the rows.
 *
 * A code becomes a float at its place in the word: code c at bit b, alone under the right exponent,
 * is 2^(23 - b) + c, and minus 2^(23 - b) + zero it is exact. So a word is shifted only once for
 * WORD_PLACES codes, but each place needs its own mask, exponent and zeros. WORD_PLACES 1 is for
 * few registers: scales and zeros then stay in memory, since compilers would rather spill sums.
 *
 * Usually all columns of a word belong to one group. If not, each column loads its own.
 */

/* The scales and zeros of a group in up to two panels. */
struct word_group {
    int32_t index; /* initially -1 */
    VF scale[2 * F32_NV];
    VF zero[WORD_PLACES][2 * F32_NV]; /* as floats, like codes at each place */
};

INLINE int places_of(const int bits)
{
    return WORD_PLACES < 16 / bits ? WORD_PLACES : 16 / bits;
}

INLINE void load_word_group(const struct ptqi_words *p, const int panels, const int bits,
                            const int places, int32_t index, struct word_group *g)
{
    PTQI_UNROLL
    for (int v = 0; v < panels * F32_NV; v++) {
        const int64_t at = (v / F32_NV * p->groups + index) * F32_NR + v % F32_NV * LANES;
        const VI zero = p->zeros ? vi_load(p->zeros + at) : vi_set1(p->zero);
        g->scale[v] = vf_load(p->scales + at);
        PTQI_UNROLL
        for (int j = 0; j < places; j++)
            g->zero[j][v] = vf_above(vi_mul(zero, vi_set1(1 << bits * j)), bits * j);
    }
    g->index = index;
}

/* The weights of the column at a place of the words: scale (code - zero), rounded once. */
INLINE void word_weights(const int panels, const int bits, const int place, const VI *word,
                         const struct word_group *g, VF *w)
{
    const VI mask = vi_set1(((1 << bits) - 1) << bits * place);
    if (WORD_PLACES == 1)
        PTQI_FORGET(g);
    PTQI_UNROLL
    for (int v = 0; v < panels * F32_NV; v++) {
        const VF code = vf_above(vi_and(word[v], mask), bits * place);
        w[v] = vf_mul(g->scale[v], vf_sub(code, g->zero[place][v]));
    }
}

#define WORDS_AHEAD 1024 /* to prefetch */

INLINE void load_words(const struct ptqi_words *p, const int panels, const int bits,
                       const uint32_t *words, VI *word)
{
    const int64_t panel = (p->k * bits + 31) / 32 * F32_NR;
    PTQI_UNROLL
    for (int v = 0; v < panels * F32_NV; v++) {
        const uint32_t *at = words + v / F32_NV * panel + v % F32_NV * LANES;
        PTQI_PREFETCH(at + WORDS_AHEAD);
        word[v] = vi_load(at);
    }
}

INLINE void shift_words(const int panels, const int bits, VI *word)
{
    PTQI_UNROLL
    for (int v = 0; v < panels * F32_NV; v++)
        word[v] = vi_shift_right(word[v], bits);
}

/* Whether all columns of a word belong to this group. */
INLINE int is_within(int32_t group, const int bits, const int32_t *group_of)
{
    const uint64_t both = (uint64_t)(uint32_t)group << 32 | (uint32_t)group;
    uint64_t differ = 0;
    PTQI_UNROLL
    for (int j = 0; j < 32 / bits; j += 2) {
        uint64_t two;
        memcpy(&two, group_of + j, 8);
        differ |= two ^ both;
    }
    return !differ;
}

/* Loads the group of a word's columns, if they have only one. */
INLINE int enter_group(const struct ptqi_words *p, const int panels, const int bits,
                       const int32_t *group_of, struct word_group *g)
{
    if (is_within(g->index, bits, group_of))
        return 1;
    if (!is_within(*group_of, bits, group_of))
        return 0;
    load_word_group(p, panels, bits, places_of(bits), *group_of, g);
    return 1;
}

INLINE void multiply_words(const int rows, const int panels, const VF *w, const float *x,
                           int64_t ldx, VF sum[][2 * F32_NV])
{
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        const VX xm = vx_load(x + m * ldx);
        PTQI_UNROLL
        for (int v = 0; v < panels * F32_NV; v++)
            sum[m][v] = vx_fma(xm, w[v], sum[m][v]);
    }
}

/* out [panels][rows][nr] */
INLINE void word_rows(const int rows, const int panels, const int bits, const struct ptqi_words *p,
                      const float *x, int64_t ldx, float *out)
{
    const int per_word = 32 / bits, places = places_of(bits);
    const uint32_t *words = p->words;
    struct word_group g = {.index = -1};
    VI word[2 * F32_NV];
    VF w[2 * F32_NV], sum[WORD_MR][2 * F32_NV];
    PTQI_UNROLL
    for (int m = 0; m < rows; m++) {
        PTQI_UNROLL
        for (int v = 0; v < panels * F32_NV; v++)
            sum[m][v] = vf_zero();
    }
    for (int64_t i = 0; i < p->k; i += per_word, words += F32_NR) {
        const int32_t *group_of = p->group_of + i;
        load_words(p, panels, bits, words, word);
        if (p->k - i >= per_word && enter_group(p, panels, bits, group_of, &g)) {
            PTQI_UNROLL
            for (int j = 0; j < per_word; j++) {
                if (j && j % places == 0)
                    shift_words(panels, bits * places, word);
                word_weights(panels, bits, j % places, word, &g, w);
                multiply_words(rows, panels, w, x + i + j, ldx, sum);
            }
            continue;
        }
        for (int j = 0; j < per_word && i + j < p->k; j++) {
            load_word_group(p, panels, bits, 1, group_of[j], &g);
            word_weights(panels, bits, 0, word, &g, w);
            multiply_words(rows, panels, w, x + i + j, ldx, sum);
            shift_words(panels, bits, word);
        }
        g.index = -1;
    }
    PTQI_UNROLL
    for (int v = 0; v < panels * F32_NV; v++) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++)
            vf_store(out + (v / F32_NV * rows + m) * F32_NR + v % F32_NV * LANES, sum[m][v]);
    }
}

#define WORD_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (w->bits == 4)                                                                          \
            word_rows(rows, 1, 4, w, x, ldx, out);                                                 \
        else                                                                                       \
            word_rows(rows, 1, 8, w, x, ldx, out);                                                 \
        break;

TARGET static void word_stream(int rows, const struct ptqi_words *w, const float *x, int64_t ldx,
                               float *out)
{
    switch (rows) {
        WORD_CASES
    }
}

TARGET static void word_pair(const struct ptqi_words *w, const float *x, float *out)
{
    if (w->bits == 4)
        word_rows(1, 2, 4, w, x, 0, out);
    else
        word_rows(1, 2, 8, w, x, 0, out);
}

INLINE void store_weights(const VF *w, float *out)
{
    PTQI_UNROLL
    for (int v = 0; v < F32_NV; v++)
        vf_store(out + v * LANES, w[v]);
}

INLINE void dequantize(const struct ptqi_words *p, const int bits, int64_t first, int64_t count,
                       float *out)
{
    const int per_word = 32 / bits, places = places_of(bits);
    const uint32_t *words = p->words + first / per_word * F32_NR;
    struct word_group g = {.index = -1};
    VI word[F32_NV];
    VF w[F32_NV];
    for (int64_t i = 0; i < count; i += per_word, words += F32_NR, out += per_word * F32_NR) {
        const int32_t *group_of = p->group_of + first + i;
        load_words(p, 1, bits, words, word);
        if (count - i >= per_word && enter_group(p, 1, bits, group_of, &g)) {
            PTQI_UNROLL
            for (int j = 0; j < per_word; j++) {
                if (j && j % places == 0)
                    shift_words(1, bits * places, word);
                word_weights(1, bits, j % places, word, &g, w);
                store_weights(w, out + j * F32_NR);
            }
            continue;
        }
        for (int j = 0; j < per_word && i + j < count; j++) {
            load_word_group(p, 1, bits, 1, group_of[j], &g);
            word_weights(1, bits, 0, word, &g, w);
            store_weights(w, out + j * F32_NR);
            shift_words(1, bits, word);
        }
        g.index = -1;
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

#define WORD_KERNELS                                                                               \
    .word_mr = WORD_MR, .word_dequantize = word_dequantize, .word_stream = word_stream,            \
    .word_pair = word_pair
