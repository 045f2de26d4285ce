/*
 * Every kernel of every instruction set against the portable one, in the manner of dav1d's
 * checkasm: random and extreme data, every number of rows, many sizes, unaligned memory, and
 * canaries around what is written. The integer and f32 tiles are also compared with plain loops
 * over the logical matrix, which is packed here from the description in kernel.h alone.
 */
#include "guarded.h"
#include <math.h>
#include "base/cpu.h"
#include "layer.h"

extern const struct ptqi_kernels ptqi_kernels_evex; /* evex.c */
struct ptqi_kernels emulated_amx(void);             /* amx.c */

void test_kernel(void);

uint64_t test_seed;

/* Integer weights, unpacked: [nr][k] codes, [nr][groups] scales and zeros. */
struct logical {
    int64_t k, groups, group_blocks, blocks;
    int rows, nr, bits, with_zeros, scale_bytes;
    int32_t zero;
    uint8_t *codes, *zeros, *levels;
    float *scales, *row_scales; /* levels and row scales, if scale_bytes is 1 */
    int32_t *sums;
    float *x_scales; /* [rows][groups], used by_group */
    int by_group;
    int8_t *x;
};

/* The largest level whose product with (code - zero) fits in 8 bits for any 4-bit code. */
static int most_level(int zero)
{
    const int far = zero > 15 - zero ? zero : 15 - zero;
    return 127 / far < 15 ? 127 / far : 15;
}

static struct logical make_logical(struct random *r, int rows, int nr, int bits, int64_t k,
                                   int64_t group_blocks, int kind)
{
    struct logical l = {.k = k, .group_blocks = group_blocks, .rows = rows, .nr = nr, .bits = bits};
    const int top = (1 << bits) - 1;
    l.blocks = (k + 31) / 32;
    l.groups = (l.blocks + group_blocks - 1) / group_blocks;
    l.codes = malloc((size_t)(nr * k));
    l.scales = malloc((size_t)(nr * l.groups) * 4);
    l.zeros = malloc((size_t)(nr * l.groups));
    l.sums = calloc((size_t)(rows * l.groups), 4);
    l.x = calloc((size_t)(rows * l.blocks * 32), 1);
    l.levels = malloc((size_t)(nr * l.groups));
    l.row_scales = malloc((size_t)nr * 4);
    l.with_zeros = (int)random_below(r, 2);
    l.scale_bytes = bits == 4 ? 1 << random_below(r, 3) : 2 << random_below(r, 2);
    l.zero = 1 << (bits - 1);
    for (int64_t i = 0; i < nr * k; i++)
        l.codes[i] = (uint8_t)(kind == RANDOM                          ? random_below(r, top + 1)
                               : kind == LARGEST || random_below(r, 3) ? top
                                                                       : 0);
    if (kind == EXTREME && nr > 1) /* a row whose codes are as far below their zeros as possible */
        memset(l.codes + k, 0, (size_t)k);
    for (int64_t i = 0; i < nr * l.groups; i++) {
        l.scales[i] = any_scale(r, kind, l.scale_bytes == 2);
        l.zeros[i] = (uint8_t)(kind == LARGEST ? 0 : random_below(r, top + 1));
        const int most = bits == 4 ? most_level(l.with_zeros ? l.zeros[i] : l.zero) : 0;
        l.levels[i] = (uint8_t)(kind == RANDOM ? random_below(r, most + 1) : most);
    }
    for (int n = 0; n < nr; n++)
        l.row_scales[n] = any_scale(r, kind, 0);
    l.by_group = l.scale_bytes != 1 && random_below(r, 2);
    l.x_scales = malloc((size_t)(rows * l.groups) * 4);
    for (int64_t i = 0; i < rows * l.groups; i++)
        l.x_scales[i] = fabsf(any_scale(r, kind, 0));
    for (int m = 0; m < rows; m++)
        for (int64_t i = 0; i < k; i++) {
            int value = (int)random_below(r, 255) - 127;
            if (kind != RANDOM)
                value = kind == LARGEST || m == 0 || random_below(r, 4) ? 127 : -127;
            l.x[m * l.blocks * 32 + i] = (int8_t)value;
            l.sums[m * l.groups + i / (32 * group_blocks)] += value;
        }
    return l;
}

static void free_logical(struct logical *l)
{
    free(l->codes);
    free(l->levels);
    free(l->scales);
    free(l->row_scales);
    free(l->zeros);
    free(l->sums);
    free(l->x_scales);
    free(l->x);
}

/* The codes of a group of one row, as laid out in kernel.h. */
static void pack_row(const struct ptqi_kernels *kernels, const struct logical *l, int n, int64_t g,
                     int offset, uint8_t *out)
{
    const int strip = kernels->int_strip, kr = kernels->int_kr;
    const int64_t first = g * l->group_blocks * 32;
    int64_t blocks = l->blocks - g * l->group_blocks;
    blocks = blocks < l->group_blocks ? blocks : l->group_blocks;
    out += n / strip * (blocks * strip * 4 * l->bits);
    const uint8_t *codes = l->codes + n * l->k;
    n %= strip;
    for (int64_t c = first; c < first + l->group_blocks * 32 && c < l->k; c++) {
        uint8_t *block = out + (c - first) / 32 * strip * 4 * l->bits;
        uint8_t code = codes[c];
        if (l->bits == 8)
            block[(c % 32 / kr * strip + n) * kr + c % kr] = (uint8_t)(code - offset);
        else
            block[(c % 16 / kr * strip + n) * kr + c % kr] |=
                (uint8_t)(code << (c % 32 < 16 ? 0 : 4));
    }
}

/* The panel of kernel.h, in memory aligned only to 4 bytes. */
static struct ptqi_panel pack(const struct ptqi_kernels *kernels, const struct logical *l,
                              struct guarded *data)
{
    const int scale_bytes = l->scale_bytes, offset = l->bits == 8 ? kernels->w8_offset : 0;
    const int64_t row = (l->with_zeros + scale_bytes) * l->groups + 4 * l->bits * l->blocks;
    const int64_t head = scale_bytes == 1 ? l->nr * 4 : 0;
    *data = guard(head + l->nr * row, 4);
    uint8_t *out = in(data);
    memset(out, 0, (size_t)data->bytes);
    memcpy(out, l->row_scales, (size_t)head);
    out += head;
    for (int64_t g = 0; g < l->groups; g++) {
        int64_t left = l->blocks - g * l->group_blocks;
        uint8_t *zeros = out + l->nr * scale_bytes;
        uint8_t *codes = zeros + l->nr * l->with_zeros;
        for (int n = 0; n < l->nr; n++) {
            float scale = l->scales[n * l->groups + g];
            uint16_t half = ptqi_f32_to_f16(scale);
            memcpy(out + n * scale_bytes,
                   scale_bytes == 1   ? (void *)&l->levels[n * l->groups + g]
                   : scale_bytes == 2 ? (void *)&half
                                      : &scale,
                   (size_t)scale_bytes);
            if (l->with_zeros)
                zeros[n] = l->zeros[n * l->groups + g];
            pack_row(kernels, l, n, g, offset, codes);
        }
        out = codes + l->nr * 4 * l->bits * (left < l->group_blocks ? left : l->group_blocks);
    }
    return (struct ptqi_panel){.data = in(data),
                               .scale_bytes = scale_bytes,
                               .has_zeros = l->with_zeros,
                               .zero = l->zero - offset,
                               .blocks = l->blocks,
                               .group_blocks = l->group_blocks};
}

/* The formula of kernel.h for one output. */
static float plain_output(const struct logical *l, int m, int n)
{
    float out = 0;
    uint32_t total = 0;
    for (int64_t g = 0; g < l->groups; g++) {
        int32_t zero = l->with_zeros ? l->zeros[n * l->groups + g] : l->zero;
        uint32_t dot = 0u - (uint32_t)zero * (uint32_t)l->sums[m * l->groups + g];
        for (int64_t c = g * l->group_blocks * 32; c < (g + 1) * l->group_blocks * 32; c++)
            if (c < l->k)
                dot += (uint32_t)(l->codes[n * l->k + c] * l->x[m * l->blocks * 32 + c]);
        float number = (float)(int32_t)dot;
        number *= l->by_group ? l->x_scales[m * l->groups + g] : 1;
        out = fmaf(l->scales[n * l->groups + g], number, out);
        total += l->levels[n * l->groups + g] * dot;
    }
    return l->scale_bytes == 1 ? fmaf(l->row_scales[n], (float)(int32_t)total, 0.0f) : out;
}

/* A call of the kernels under test, with x, sums and out in separate memory. */
struct call {
    struct guarded data, x, sums, out;
    struct ptqi_panel panel;
    int64_t ldx, ldsums, x_scales; /* the last: an offset in sums */
};

static struct call make_call(const struct ptqi_kernels *kernels, const struct logical *l)
{
    const int x_rows = kernels->x_rows;
    struct call c = {.ldx = l->blocks * 32 + 5,
                     .ldsums = l->groups + 1 + (kernels->starts ? l->blocks : 0)};
    c.x_scales = l->by_group ? c.ldsums : 0;
    c.ldsums += l->by_group ? l->groups : 0;
    c.panel = pack(kernels, l, &c.data);
    c.out = guard((int64_t)l->rows * l->nr * 4, 4);
    c.x = guard((l->rows + l->rows % x_rows) * c.ldx, 1);
    c.sums = guard(l->rows * c.ldsums * 4, 4);
    for (int m = 0; m < l->rows; m++) {
        int8_t *to = (int8_t *)in(&c.x) + m / x_rows * x_rows * c.ldx + m % x_rows * 8;
        for (int64_t i = 0; i < l->blocks * 32; i++)
            to[i / 8 * 8 * x_rows + i % 8] = l->x[m * l->blocks * 32 + i];
        int32_t *sums = (int32_t *)in(&c.sums) + m * c.ldsums;
        memcpy(sums, l->sums + m * l->groups, (size_t)l->groups * 4);
        if (l->by_group)
            memcpy(sums + c.x_scales, l->x_scales + m * l->groups, (size_t)l->groups * 4);
        sums[l->groups] = 0;
        for (int64_t g = 0; g < l->groups; g++)
            sums[l->groups] += sums[g];
        if (kernels->starts)
            kernels->starts(l->x + m * l->blocks * 32, l->blocks, l->group_blocks,
                            sums + l->groups + 1);
    }
    return c;
}

static int free_call(struct call *c)
{
    return unguard(&c->data) & unguard(&c->x) & unguard(&c->sums) & unguard(&c->out);
}

static const struct ptqi_product *product_of(const struct ptqi_kernels *kernels,
                                             const struct logical *l)
{
    return l->scale_bytes == 1 ? &kernels->two_level
           : l->bits == 8      ? &kernels->w8a8
                               : &kernels->w4a8;
}

static const char *name_of(const struct logical *l)
{
    if (l->by_group)
        return l->bits == 8 ? "w8a8 product by group" : "w4a8 product by group";
    return l->scale_bytes == 1 ? "two-level product"
           : l->bits == 8      ? "w8a8 product"
                               : "w4a8 product";
}

static int is_product(const struct logical *l, const struct call *c, const float *want)
{
    return !memcmp(in(&c->out), want, (size_t)(l->rows * l->nr) * 4);
}

/* The tile over chunks of this many blocks: whole groups if a chunk holds one, else parts. */
static void run_chunks(const struct ptqi_kernels *kernels, const struct logical *l, struct call *c,
                       int64_t chunk_blocks)
{
    const int nr = l->nr;
    const struct ptqi_product *product = product_of(kernels, l);
    struct guarded room = guard(l->blocks * 32 * nr, 4), partial = guard(l->rows * nr * 4, 4);
    struct guarded scales = guard(l->groups * nr * 4, 4), zeros = guard(l->groups * nr * 4, 4);
    struct ptqi_chunk chunk = {
        .room = in(&room), .scale_room = in(&scales), .zero_room = in(&zeros)};
    memset(in(&c->out), 0xff, (size_t)(l->rows * nr) * 4);
    for (int64_t at = 0; at < l->blocks; at += chunk.blocks) {
        int64_t in_group = at % l->group_blocks, to_end = l->blocks - at;
        int64_t group_left = l->group_blocks - in_group;
        group_left = group_left < to_end ? group_left : to_end;
        chunk.first_group = at / l->group_blocks;
        chunk.first_block = in_group;
        chunk.row_sum = l->groups - chunk.first_group;
        chunk.starts = chunk.row_sum + 1 + at;
        chunk.resume = l->scale_bytes == 1 ? at > 0 : in_group > 0;
        if (chunk_blocks < l->group_blocks) {
            chunk.blocks = chunk_blocks < group_left ? chunk_blocks : group_left;
            chunk.groups = 1;
        } else {
            chunk.blocks = chunk_blocks / l->group_blocks * l->group_blocks;
            chunk.blocks = chunk.blocks < to_end ? chunk.blocks : to_end;
            chunk.groups = (chunk.blocks + l->group_blocks - 1) / l->group_blocks;
        }
        chunk.leave = l->scale_bytes == 1
                          ? chunk.blocks < to_end
                          : chunk_blocks < l->group_blocks && chunk.blocks < group_left;
        product->unpack(&c->panel, &chunk);
        const struct ptqi_rows x = {(int8_t *)in(&c->x) + at * 32 * kernels->x_rows,
                                    (int32_t *)in(&c->sums) + chunk.first_group, c->ldx, c->ldsums,
                                    c->x_scales};
        product->tile(l->rows, &chunk, &x, in(&c->out), in(&partial));
    }
    if (kernels->release)
        kernels->release();
    EXPECT(!tiles_in_use(), "integer tile, AMX released", l->k);
    int alive = unguard(&room) & unguard(&partial) & unguard(&scales) & unguard(&zeros);
    EXPECT(alive, "integer tile, canaries of a chunk", l->k);
}

static void check_integer(const struct ptqi_kernels *kernels, int rows, int bits, int64_t k,
                          int64_t group_blocks, int kind)
{
    static const int64_t chunks[] = {1, 3, 4, 8, 1 << 20};
    struct random r = {++test_seed};
    struct logical l = make_logical(&r, rows, kernels->int_nr, bits, k, group_blocks, kind);
    struct call c = make_call(kernels, &l);
    float *want = malloc((size_t)(rows * l.nr) * 4);
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < l.nr; n++)
            want[m * l.nr + n] = plain_output(&l, m, n);
    if (rows <= kernels->stream_mr) {
        const struct ptqi_rows x = {in(&c.x), in(&c.sums), c.ldx, c.ldsums, c.x_scales};
        product_of(kernels, &l)->stream(rows, &c.panel, &x, in(&c.out));
        EXPECT(is_product(&l, &c, want), name_of(&l), k);
    }
    for (int i = 0; i < 5 && kernels->tile_mr; i++) {
        /* Kernels with starts (avx2_levels.h) take two blocks at a time: parts of groups are even.
         */
        const int odd = kernels->starts && l.scale_bytes == 1 && chunks[i] % 2;
        run_chunks(kernels, &l, &c, chunks[i] + odd);
        EXPECT(is_product(&l, &c, want), name_of(&l), k);
    }
    EXPECT(free_call(&c), "integer product, canaries", k);
    free(want);
    free_logical(&l);
}

/* Streams with every number of rows, tiles with those numbers of rows at which something changes.
 */
static int is_tried(const struct ptqi_kernels *kernels, int rows, int most)
{
    return most <= 16 || rows <= kernels->stream_mr || (rows + 1) % 12 < 3 || (rows + 1) % 16 < 3;
}

static void test_integers(const struct ptqi_kernels *kernels)
{
    static const int64_t sizes[] = {1, 31, 32, 33, 64, 96, 100, 128, 160, 288, 577, 1024};
    static const int64_t groups[] = {1, 2, 4, 1 << 20};
    const int most =
        2 * kernels->tile_mr > kernels->stream_mr ? 2 * kernels->tile_mr : kernels->stream_mr;
    for (int rows = 1; rows <= most; rows++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes && is_tried(kernels, rows, most); s++)
            for (int g = 0; g < 4; g++) {
                int64_t blocks = (sizes[s] + 31) / 32, group = groups[g];
                for (int kind = RANDOM; kind <= EXTREME; kind++)
                    for (int bits = 4; bits <= 8; bits += 4)
                        check_integer(kernels, rows, bits, sizes[s],
                                      group < blocks ? group : blocks, kind);
            }
    /* Here sums of 8-bit products exceed 2^31 and wrap. */
    check_integer(kernels, 1, 8, 70000, 4, LARGEST);
    check_integer(kernels, 1, 8, 70000, 1 << 20, LARGEST);
    check_integer(kernels, 2, 8, 140000, 1 << 20, EXTREME);
}

static void check_f32_tile(const struct ptqi_kernels *kernels, int rows, int64_t k, int by_columns,
                           int accumulate)
{
    struct random r = {++test_seed};
    const int nr = kernels->f32_nr;
    const int64_t a_row = by_columns ? 1 : k + 3, a_k = by_columns ? rows + 2 : 1, ldc = nr + 5;
    const int64_t b_k = by_columns ? nr : nr + 7;
    struct guarded a = guard((rows * (k + 3) + k * (rows + 2)) * 4, 4);
    struct guarded b = guard(((k - 1) * b_k + nr) * 4, 4), c = guard(rows * ldc * 4, 4);
    float *pa = in(&a), *pb = in(&b), *pc = in(&c);
    for (int64_t i = 0; i < a.bytes / 4; i++)
        pa[i] = any_float(&r);
    for (int64_t i = 0; i < b.bytes / 4; i++)
        pb[i] = any_float(&r);
    for (int64_t i = 0; i < rows * ldc; i++)
        pc[i] = any_float(&r);
    float *want = malloc((size_t)(rows * ldc) * 4);
    memcpy(want, pc, (size_t)(rows * ldc) * 4);
    for (int m = 0; m < rows; m++)
        for (int n = 0; n < nr; n++) {
            float sum = accumulate ? pc[m * ldc + n] : 0.0f;
            for (int64_t i = 0; i < k; i++)
                sum = fmaf(pa[m * a_row + i * a_k], pb[i * b_k + n], sum);
            want[m * ldc + n] = sum;
        }
    kernels->f32_tile(rows, k, pa, a_row, a_k, pb, b_k, pc, ldc, accumulate);
    EXPECT(!memcmp(pc, want, (size_t)(rows * ldc) * 4), "f32_tile", k);
    free(want);
    int alive = unguard(&a) & unguard(&b) & unguard(&c);
    EXPECT(alive, "f32_tile, canaries", k);
}

static void check_transpose(const struct ptqi_kernels *kernels, int64_t k)
{
    struct random r = {++test_seed};
    const int nr = kernels->f32_nr;
    const int64_t ld = k + 3;
    struct guarded in_rows = guard(nr * ld * 4, 4), out = guard(k * nr * 4, 4);
    uint32_t *from = in(&in_rows), *to = in(&out);
    int wrong = 0;
    for (int64_t i = 0; i < nr * ld; i++)
        /* all bits are preserved, even those of negative zeros and signalling NaNs */
        from[i] = random_below(&r, 2)   ? (uint32_t)random_bits(&r)
                  : random_below(&r, 2) ? 0x80000000u
                                        : 0x7f800001u;
    kernels->f32_transpose(in(&in_rows), ld, k, in(&out));
    for (int64_t i = 0; i < k; i++)
        for (int n = 0; n < nr; n++)
            wrong += to[i * nr + n] != from[n * ld + i];
    EXPECT(wrong == 0, "f32_transpose", k);
    int alive = unguard(&in_rows) & unguard(&out);
    EXPECT(alive, "f32_transpose, canaries", k);
}

static void test_f32_tiles(const struct ptqi_kernels *kernels)
{
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 16, 31, 64, 255, 300};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int rows = 1; rows <= kernels->f32_mr; rows++)
            for (int variant = 0; variant < 4; variant++)
                check_f32_tile(kernels, rows, sizes[s], variant & 1, variant & 2);
        check_transpose(kernels, sizes[s]);
    }
}

static void test_table(const struct ptqi_kernels *kernels)
{
    CHECK(kernels->stream_mr <= PTQI_MAX_MR && kernels->int_nr <= PTQI_MAX_NR &&
          kernels->f32_mr <= PTQI_MAX_MR && kernels->f32_nr <= PTQI_MAX_NR &&
          kernels->word_mr <= 8);
    CHECK(kernels->tile_mr % 2 == 0 && kernels->stream_mr % 2 == 0); /* limbs stay together */
    CHECK(kernels->x_rows == 1 || kernels->x_rows == 2);
    const struct ptqi_product *products[] = {&kernels->w4a8, &kernels->w8a8, &kernels->two_level};
    CHECK(kernels->int_nr % kernels->f32_nr == 0); /* minima are added as f32 products */
    for (int i = 0; i < 9; i++) {
        const struct ptqi_product *p = products[i / 3];
        const int pass = p->pass_rows[i % 3];
        CHECK(pass > 0 && pass <= kernels->stream_mr && pass % 2 == 0);
        CHECK(!kernels->tile_mr == !p->tile);
        CHECK(!p->tile ||
              p->stream_rows[i % 3] >= kernels->stream_mr); /* scratch sizes rely on it */
    }
    for (int round = 0; round < (test_long() ? 30 : 2); round++) {
        test_seed = (uint64_t)round * 1000000;
        test_integers(kernels);
        test_f32_tiles(kernels);
        test_row_kernels(kernels);
    }
}

#ifdef PTQI_X86
/* The tiles of AMX in C. */
static void test_emulated_amx(void)
{
    const struct ptqi_kernels amx = emulated_amx(), *kernels = &amx;
    test_seed = 0;
    test_integers(kernels);
}
#endif

void test_kernel(void)
{
    static const int32_t isas[] = {PTQ_ISA_PORTABLE,     PTQ_ISA_AVX2,     PTQ_ISA_AVX_VNNI,
                                   PTQ_ISA_AVX512_VNNI,  PTQ_ISA_AMX_INT8, PTQ_ISA_NEON,
                                   PTQ_ISA_NEON_DOTPROD, PTQ_ISA_NEON_I8MM};
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        char reason[64];
        if (!ptq_isa_usable(isas[i])) {
            snprintf(reason, sizeof reason, "kernels for %s: not on this CPU or in this build",
                     ptq_isa_name(isas[i]));
            test_skip(reason);
            continue;
        }
        CHECK_OK(ptq_context_set_isa(context, isas[i]));
        const struct ptqi_kernels *kernels = context->kernels;
        CHECK(kernels->isa == isas[i]);
        test_table(kernels);
    }
    ptq_context_free(context);
#ifdef PTQI_X86
    if (ptqi_cpu_features() & PTQI_CPU_AVX512_VNNI) {
        test_table(&ptqi_kernels_evex);
        test_emulated_amx();
    } else {
        test_skip("AVX-VNNI kernels in EVEX form, emulated AMX: not on this CPU");
    }
#endif
}
