/*
 * Streams of int_template.h: a few rows of x times a panel, straight from the packed codes.
 *
 * A panel is multiplied span by span along K, and each span strip by strip, so that only the first
 * strip misses the L1 cache. A span is one group, whose sums are added to out; or, up to
 * STREAM_HELD, as many groups as SPAN_BYTES hold, and the f32 sums stay in registers, too. That is
 * faster for small groups.
 */
#define SPAN_BYTES 8192
#define IS_HELD(rows) ((rows) <= STREAM_HELD)

/* Some groups of a panel, and their rows of x. */
struct span {
    const uint8_t *data;
    int64_t blocks;       /* at least one */
    int64_t group, bytes; /* of a whole group, and of all of them */
    struct ptqi_rows x;
};

/* The sums of a strip: with levels, integers. */
struct stream_sums {
    VF plain[STREAM_MR][MAX_NV];
    VI levels[STREAM_MR][MAX_NV];
};

INLINE void load_stream(const int rows, const int nv, const int form, float *out,
                        struct stream_sums *sums)
{
    if (form == LEVELS)
        load_dots(rows, nv, (int32_t *)(void *)out, sums->levels);
    else
        load_sums(rows, nv, out, sums->plain);
}

INLINE void store_stream(const int rows, const int nv, const int form, struct stream_sums *sums,
                         float *out)
{
    if (form == LEVELS)
        store_dots(rows, nv, sums->levels, (int32_t *)(void *)out);
    else
        store_sums(rows, nv, sums->plain, out);
}

/* The integer sums of a strip, beginning at a column of the panel, over one group with its zeros
 * and codes. */
INLINE void dot_group(const int rows, const int nv, const int bits, const int shift,
                      const struct ptqi_panel *p, const uint8_t *zeros, const uint8_t *codes,
                      int64_t blocks, const uint8_t *at, const int column,
                      const struct ptqi_rows *x, VI (*dot)[MAX_NV])
{
    const int no_zeros = SHIFT_ZEROS && bits == 4; /* or they are shifted */
    const struct strip s = {.zeros = p->has_zeros && !no_zeros ? zeros + column : NULL,
                            .zero = shift ? SHIFTED_ZERO : p->zero};
    const int64_t strip_bytes = blocks * 4 * bits * STRIP; /* to the next strip */
    /* With few sums, additions would wait for each other: high nibbles get separate sums. */
    const int two = TWO_SUMS && bits == 4 && rows * nv <= 4;
    VI high[STREAM_MR][MAX_NV], shifts[MAX_NV];
    if (shift) {
        PTQI_UNROLL
        for (int v = 0; v < nv; v++)
            shifts[v] = shift_of(vi_from_bytes(zeros + column + v * LANES));
    }
    const struct weights w = {codes + column / STRIP * strip_bytes + column % STRIP * KR,
                              strip_bytes, blocks, shifts, at};
    start_dots(rows, nv, &s, bits == 8 ? W8_OFFSET : 0, x, dot);
    if (IS_HELD(rows))
        separate(rows, nv, dot);
    if (two)
        clear_dots(rows, nv, high);
    dot_blocks(rows, nv, bits, 1, shift, w, x, dot, two ? high : dot);
    if (two) {
        PTQI_UNROLL
        for (int m = 0; m < rows; m++) {
            PTQI_UNROLL
            for (int v = 0; v < nv; v++)
                dot[m][v] = vi_add(dot[m][v], high[m][v]);
        }
    }
}

/* Multiplies one strip over a span, and adds the result to out. With levels, out holds integers. */
INLINE void stream_strip(const int rows, const int nv, const int bits, const int form,
                         const int shift, const struct ptqi_panel *p, const struct span *s,
                         const int column, float *out)
{
    const uint8_t *scales = s->data, *at = s->data + s->bytes * column / NR;
    struct ptqi_rows x = s->x;
    struct stream_sums sums;
    int64_t left = s->blocks;
    out += column;
    if (IS_HELD(rows))
        load_stream(rows, nv, form, out, &sums);
    do {
        const int64_t blocks = left < p->group_blocks ? left : p->group_blocks;
        const uint8_t *zeros = scales + NR * p->scale_bytes, *codes = zeros + NR * p->has_zeros;
        VI dot[STREAM_MR][MAX_NV];
        dot_group(rows, nv, bits, shift, p, zeros, codes, blocks, at, column, &x, dot);
        if (form == LEVELS && IS_HELD(rows))
            add_leveled(rows, nv, scales, 1, column, dot, sums.levels);
        else if (form == LEVELS)
            add_levels_to_out(rows, nv, scales, column, dot, (int32_t *)(void *)out);
        else if (IS_HELD(rows))
            add_scaled(rows, nv, scales, p->scale_bytes, column, &x, dot, sums.plain);
        else
            add_to_out(rows, nv, scales, p->scale_bytes, column, &x, dot, out);
        x = rows_from(&x, blocks * PTQI_BLOCK, 1);
        at += s->group * nv * LANES / NR;
        scales = codes + blocks * 4 * bits * NR;
        left -= blocks;
    } while (IS_HELD(rows) && left > 0);
    if (IS_HELD(rows))
        store_stream(rows, nv, form, &sums, out);
}

INLINE void stream_panel(const int rows, const int nv, const int bits, const int form,
                         const int shift, const struct ptqi_panel *p, const struct ptqi_rows *x,
                         float *out)
{
    const int64_t group = ptqi_group_bytes(NR, bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const int64_t groups = IS_HELD(rows) && group < SPAN_BYTES ? SPAN_BYTES / group : 1;
    const int64_t most = groups * p->group_blocks;
    struct span s = {
        .data = ptqi_first_group(p, NR), .group = group, .bytes = groups * group, .x = *x};
    for (int i = 0; i < rows * NR; i += LANES)
        vf_store(out + i, vf_zero());
    for (int64_t block = 0; block < p->blocks; block += most) {
        s.blocks = p->blocks - block < most ? p->blocks - block : most;
        for (int column = 0; column < NR; column += nv * LANES)
            stream_strip(rows, nv, bits, form, shift, p, &s, column, out);
        s.x = rows_from(&s.x, most * PTQI_BLOCK, groups);
        s.data += s.bytes;
    }
    if (form == LEVELS)
        scale_totals(rows, p->data, out);
}

/* One function for each number of rows, which must be a constant: compilers keep the sums of a
 * small function in registers. */
typedef void stream_function(const struct ptqi_panel *p, const struct ptqi_rows *x, float *out);
#define STREAM_FUNCTION(name, rows, ...)                                                           \
    TARGET MANY_SUMS static PTQI_NOINLINE void name##rows(const struct ptqi_panel *p,              \
                                                          const struct ptqi_rows *x, float *out)   \
    {                                                                                              \
        stream_panel(rows, STREAM_NV(rows), __VA_ARGS__, p, x, out);                               \
    }

/* Those of 1 .. most rows. */
#define STREAM_FUNCTIONS(most, ...) STREAM_FUNCTIONS_OF(most, __VA_ARGS__)
#define STREAM_FUNCTIONS_OF(most, ...) STREAM_FUNCTIONS_##most(__VA_ARGS__)
#define STREAM_FUNCTIONS_4(name, ...)                                                              \
    STREAM_FUNCTION(name, 1, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 2, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 3, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 4, __VA_ARGS__)
#define STREAM_FUNCTIONS_6(name, ...)                                                              \
    STREAM_FUNCTIONS_4(name, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 5, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 6, __VA_ARGS__)
#define STREAM_FUNCTIONS_8(name, ...)                                                              \
    STREAM_FUNCTIONS_6(name, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 7, __VA_ARGS__)                                                          \
    STREAM_FUNCTION(name, 8, __VA_ARGS__)
#define STREAM_TABLE(most, name) STREAM_TABLE_OF(most, name)
#define STREAM_TABLE_OF(most, name) STREAM_TABLE_##most(name)
#define STREAM_TABLE_4(name) name##1, name##2, name##3, name##4
#define STREAM_TABLE_6(name) STREAM_TABLE_4(name), name##5, name##6
#define STREAM_TABLE_8(name) STREAM_TABLE_6(name), name##7, name##8

#define STREAM(name, bits, form, shift)                                                            \
    STREAM_FUNCTIONS(STREAM_MR, name, bits, form, shift)                                           \
    TARGET static void name(int rows, const struct ptqi_panel *panel, const struct ptqi_rows *x,   \
                            float *out)                                                            \
    {                                                                                              \
        static stream_function *const functions[] = {STREAM_TABLE(STREAM_MR, name)};               \
        functions[rows - 1](panel, x, out);                                                        \
    }
