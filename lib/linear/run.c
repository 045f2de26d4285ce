/*
 * Running panels of a packed matrix over rows of x.
 *
 * int8 activations, few rows: the kernel reads the packed codes once and unpacks them in registers.
 * Many rows: a chunk of a panel, so many columns of W as fit into the first-level cache, is
 * unpacked once, and the kernel's tile runs over it with all rows of a block, whose sums wait in
 * the second-level cache; x stands slice by slice, the columns of one chunk after those of the
 * other. The order of the additions is the same in both ways.
 *
 * f32 activations: a chunk is dequantized and the f32 kernel runs over it, so that the result is
 * bit for bit the f32 product with the dequantized weights.
 */
#include "base/half.h"
#include "linear/linear.h"

static int is_integer(const struct ptq_linear *l)
{
    return l->activations != PTQ_ACTIVATIONS_F32;
}

static const struct ptqi_product *product_of(const struct ptq_linear *l)
{
    return l->two_level        ? &l->kernels->two_level
           : l->code_bits == 8 ? &l->kernels->w8a8
                               : &l->kernels->w4a8;
}

int ptqi_is_stream(const struct ptq_linear *l, int64_t rows)
{
    const struct ptqi_product *product = product_of(l);
    const int64_t blocks = l->panel.group_blocks;
    return !product->tile || rows <= product->stream_rows[blocks < 2 ? 0 : blocks < 4 ? 1 : 2];
}

/* A quarter of the first cache and half of the second are left to what passes through. Linears that
 * share x must cut it alike: nothing here may depend on bits, zeros or the form of scales. */
struct ptqi_blocking ptqi_plan_blocking(const struct ptq_linear *l)
{
    const struct ptqi_kernels *kernels = l->kernels;
    const struct ptqi_panel *p = &l->panel;
    struct ptqi_blocking b = {0};
    const int64_t group_bytes = kernels->int_nr * (p->group_blocks * PTQI_BLOCK + 4);
    int64_t most = l->context->l1_bytes * 3 / 4 * p->group_blocks / group_bytes; /* blocks */
    most = most < 1 ? 1 : most;
    b.chunk_groups = ptqi_min(most, p->blocks) / p->group_blocks;
    b.chunk_blocks = b.chunk_groups * p->group_blocks;
    if (!b.chunk_groups) {
        int64_t pieces = (p->group_blocks + most - 1) / most; /* of about the same size */
        b.chunk_blocks = (p->group_blocks + pieces - 1) / pieces;
        b.chunk_blocks += b.chunk_blocks % 2; /* for starts; and AMX takes two at a time */
    }
    int64_t row_bytes = 2 * 4 * kernels->int_nr + b.chunk_blocks * PTQI_BLOCK;
    int64_t mr = kernels->tile_mr ? kernels->tile_mr : kernels->stream_mr;
    b.rows = (l->context->l2_bytes / 2 / row_bytes / mr + 1) * mr;
    return b;
}

/* An integer sum ends with its group, that of two-level scales with the row. */
int ptqi_next_chunk(const struct ptq_linear *l, struct ptqi_chunk *c)
{
    const struct ptqi_panel *p = &l->panel;
    const struct ptqi_blocking *b = &l->blocking;
    const int64_t begin = c->first_group * p->group_blocks + c->first_block + c->blocks;
    c->first_group = begin / p->group_blocks;
    c->first_block = begin % p->group_blocks;
    const int64_t group_end = ptqi_min((c->first_group + 1) * p->group_blocks, p->blocks);
    c->blocks = ptqi_min(b->chunk_blocks, (b->chunk_groups ? p->blocks : group_end) - begin);
    c->groups = (c->first_block + c->blocks + p->group_blocks - 1) / p->group_blocks;
    c->row_sum = l->groups - c->first_group;
    c->starts = c->row_sum + 1 + begin;
    c->resume = l->two_level ? begin > 0 : c->first_block > 0;
    c->leave = begin + c->blocks < (l->two_level ? p->blocks : b->chunk_groups ? 0 : group_end);
    return begin < p->blocks;
}

int64_t ptqi_run_panels(const struct ptq_linear *l)
{
    return l->panels;
}

/* Where the parts of a run's scratch memory are, in bytes, and their sum. */
struct room {
    int64_t codes, scales, zeros, partial, sums, bytes;
};

static struct room plan_room(const struct ptq_linear *l, int64_t rows)
{
    const int nr = l->kernels->int_nr;
    const struct ptqi_blocking *b = &l->blocking;
    const int64_t groups = b->chunk_groups ? b->chunk_groups : 1;
    struct room room = {0};
    const int keeps_integers = l->two_level || !b->chunk_groups;
    const int64_t sums = ptqi_align(ptqi_min(rows, b->rows) * nr * 4);
    room.scales = ptqi_align(b->chunk_blocks * PTQI_BLOCK * nr);
    room.zeros = room.scales + ptqi_align(groups * nr * 4);
    room.sums = room.zeros + ptqi_align(groups * nr * 4);
    room.partial = room.sums + (keeps_integers ? sums : 0);
    room.bytes = room.partial + sums;
    return room;
}

#define F32_CHUNK 256 /* columns of W dequantized at a time */

int64_t ptqi_run_scratch(const struct ptq_linear *l, int64_t rows)
{
    if (rows < 0)
        return 0;
    if (!is_integer(l))
        return (F32_CHUNK + ptqi_min(rows, F32_CHUNK)) * l->kernels->f32_nr *
               (int64_t)sizeof(float);
    /* Another linear may have prepared x for tiles. */
    return rows <= l->kernels->stream_mr || !l->kernels->tile_mr ? 0 : plan_room(l, rows).bytes;
}

#define ROWS_AHEAD 8 /* of y, whose rows are too far apart for a CPU to guess the next one */

/* sum [rows][nr] scaled, biased and stored as columns n0 .. of rows m0 .. of y, or added to them.
 */
static void store_rows(const struct ptqi_run *r, const float *sum, int64_t m0, int64_t rows,
                       int64_t n0, int nr)
{
    const struct ptq_linear *l = r->l;
    const struct ptqi_target *to = &r->to;
    const float *scales = (const float *)(r->prepared + r->layout.scales);
    const float *bias = l->bias ? l->bias + n0 : NULL;
    const int64_t width = ptqi_min(l->n - n0, nr), size = ptq_dtype_size(to->dtype);
    for (int64_t m = 0; m < rows; m++) {
        float out[PTQI_MAX_NR], scale = scales[m0 + m];
        char *y = to->y + ((m0 + m) * to->ld + n0) * size;
        for (int64_t line = 0; line < width * size && m0 + m + ROWS_AHEAD < r->layout.rows;
             line += 64)
            PTQI_PREFETCH_WRITE(y + ROWS_AHEAD * to->ld * size + line);
        if (to->dtype == PTQ_DTYPE_F32 && (uintptr_t)y % sizeof(float) == 0) {
            l->kernels->finish(sum + m * nr, scale, bias, (float *)(void *)y, width, to->add);
            continue;
        }
        if (to->add)
            l->kernels->widen(out, y, to->dtype, width);
        l->kernels->finish(sum + m * nr, scale, bias, out, width, to->add);
        l->kernels->narrow(y, to->dtype, out, width);
    }
}

/* The quantized rows of x from row m on, a multiple of x_rows, as streams read them. */
static const int8_t *x_at(const struct ptqi_run *r, int64_t m)
{
    return (const int8_t *)(r->prepared + r->layout.x) + m * ptqi_x_stride(r->l);
}

/* The same of a chunk's slice, whose rows are as far apart as they are long. */
static const int8_t *slice_at(const struct ptqi_run *r, const struct ptqi_chunk *c, int64_t m)
{
    return (const int8_t *)(r->prepared + r->layout.x) +
           ptqi_chunk_column(r->l, c) * ptqi_whole_rows(r->l, r->layout.rows) +
           m * c->blocks * PTQI_BLOCK;
}

static const int32_t *sums_at(const struct ptqi_run *r, int64_t m)
{
    return (const int32_t *)(r->prepared + r->layout.sums) + m * ptqi_sums_stride(r->l);
}

static void stream_panel(const struct ptqi_run *r, const struct ptqi_panel *p, int64_t n0)
{
    const struct ptq_linear *l = r->l;
    const struct ptqi_kernels *kernels = l->kernels;
    const struct ptqi_product *product = product_of(l);
    const int64_t stride = ptqi_x_stride(l);
    const int64_t all = r->layout.rows,
                  passes = (all + kernels->stream_mr - 1) / kernels->stream_mr;
    int64_t step = (all + passes - 1) / passes; /* no pass for just a few rows */
    step = ptqi_whole_rows(l, step);
    for (int64_t m = 0; m < all; m += step) {
        float sum[PTQI_MAX_MR * PTQI_MAX_NR];
        int rows = (int)ptqi_min(all - m, step);
        const struct ptqi_rows x = {x_at(r, m), sums_at(r, m), stride, ptqi_sums_stride(l)};
        product->stream(rows, p, &x, sum);
        store_rows(r, sum, m, rows, n0, kernels->int_nr);
    }
}

/* The packed codes of the next chunk, which come while this one is used: runs of size bytes that
 * are next bytes apart. */
struct ahead {
    const uint8_t *from;
    int64_t size, next, done; /* done: bytes of this run asked for already */
};

static struct ahead next_codes(const struct ptq_linear *l, const struct ptqi_panel *p,
                               const struct ptqi_chunk *c)
{
    const int nr = l->kernels->int_nr, strip = l->kernels->int_strip;
    const int64_t block = 4 * l->code_bits * strip;
    const int64_t group =
        ptqi_group_bytes(nr, l->code_bits, p->scale_bytes, p->has_zeros, p->group_blocks);
    const uint8_t *from = ptqi_first_group(p, nr) + (c->first_group + c->groups) * group;
    const int64_t in_group =
        ptqi_min(p->group_blocks, p->blocks - c->first_group * p->group_blocks);
    if (l->blocking.chunk_groups || c->first_block + c->blocks == in_group)
        return (struct ahead){from, c->blocks * (group / p->group_blocks), 0, 0};
    from +=
        nr * (p->scale_bytes + p->has_zeros) - group; /* a part of each strip of the same group */
    return (struct ahead){from + (c->first_block + c->blocks) * block, c->blocks * block,
                          p->group_blocks * block, 0};
}

static void prefetch(struct ahead *a, int64_t lines)
{
    for (; lines > 0; lines--) {
        PTQI_PREFETCH(a->from + a->done);
        a->done += 64;
        if (a->done >= a->size) {
            a->done = 0;
            a->from += a->next;
        }
    }
}

/* Asks for x while other rows are multiplied: with one block of rows, what tiles read next in this
 * slice and then in the following one. Each panel reads all of x, which may have left the caches
 * since the last one. */
static void prefetch_x(const int8_t *x, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += 512) {
        PTQI_UNROLL
        for (int line = 0; line < 512; line += 64)
            PTQI_PREFETCH_LATER(x + at + line);
    }
}

/* Rows m0 .. m0 + rows of x by a panel, whose columns of y begin at n0. Each step of rows is stored
 * as soon as its sums are there: the next steps go on while the memory takes it. */
static void tile_panel(const struct ptqi_run *r, const struct ptqi_panel *p, int64_t m0,
                       int64_t rows, int64_t n0, char *scratch)
{
    const struct ptq_linear *l = r->l;
    const struct ptqi_kernels *kernels = l->kernels;
    const struct ptqi_product *product = product_of(l);
    const struct room room = plan_room(l, r->layout.rows);
    const int nr = kernels->int_nr;
    float *out = (float *)(void *)(scratch + room.sums);
    int32_t *partial = (int32_t *)(void *)(scratch + room.partial);
    struct ptqi_chunk c = {.room = (uint8_t *)scratch,
                           .scale_room = (float *)(void *)(scratch + room.scales),
                           .zero_room = (int32_t *)(void *)(scratch + room.zeros)};
    const int64_t ldsums = ptqi_sums_stride(l);
    const int64_t step = kernels->tile_mr, steps = (rows + step - 1) / step;
    const int64_t lines =
        (l->blocking.chunk_blocks * 4 * l->code_bits * nr / 64 + steps - 1) / steps;
    while (ptqi_next_chunk(l, &c)) {
        const int64_t width = c.blocks * PTQI_BLOCK;
        const int last = ptqi_chunk_column(l, &c) + width == p->blocks * PTQI_BLOCK;
        const int8_t *x = slice_at(r, &c, m0);
        const int32_t *sums = sums_at(r, m0) + c.first_group;
        product->unpack(p, &c);
        struct ahead ahead = next_codes(l, p, &c);
        for (int64_t m = 0; m < rows; m += step) {
            const int64_t some = ptqi_min(rows - m, step);
            prefetch(&ahead, lines);
            if (kernels->x_ahead)
                prefetch_x(x + m * width + kernels->x_ahead, some * width);
            const struct ptqi_rows at = {x + m * width, sums + m * ldsums, width, ldsums};
            product->tile(some, &c, &at, out + m * nr, partial + m * nr);
            if (last)
                store_rows(r, out + m * nr, m0 + m, some, n0, nr);
        }
    }
    if (kernels->release)
        kernels->release();
}

static void run_int_panel(const struct ptqi_run *r, int64_t panel, char *scratch)
{
    const struct ptq_linear *l = r->l;
    const int nr = l->kernels->int_nr;
    struct ptqi_panel p = l->panel;
    p.data = l->data + panel * l->panel_bytes;
    if (!r->layout.sliced) {
        stream_panel(r, &p, panel * nr);
        return;
    }
    for (int64_t m = 0; m < r->layout.rows; m += l->blocking.rows) {
        int64_t rows = ptqi_min(r->layout.rows - m, l->blocking.rows);
        tile_panel(r, &p, m, rows, panel * nr, scratch);
    }
}

static void run_f32_panel(const struct ptqi_run *r, int64_t panel, char *scratch)
{
    const struct ptq_linear *l = r->l;
    const struct ptqi_kernels *kernels = l->kernels;
    const int nr = kernels->f32_nr, mr = kernels->f32_mr;
    const int64_t at = panel * l->groups * nr;
    const struct ptqi_words words = {.words = l->words + panel * l->row_words * nr,
                                     .bits = l->code_bits,
                                     .k = l->k,
                                     .group_of = l->group_of,
                                     .scales = l->scales + at,
                                     .zeros = l->zeros ? l->zeros + at : NULL,
                                     .zero = l->zero};
    float *weights = (float *)(void *)scratch, *sum = weights + F32_CHUNK * nr;
    for (int64_t m0 = 0; m0 < r->layout.rows; m0 += F32_CHUNK) {
        const int64_t rows = ptqi_min(r->layout.rows - m0, F32_CHUNK);
        const float *x = (const float *)(r->prepared + r->layout.x) + m0 * l->k;
        if (rows <= kernels->word_mr)
            kernels->word_stream((int)rows, &words, x, l->k, sum);
        for (int64_t k0 = 0; k0 < l->k && rows > kernels->word_mr; k0 += F32_CHUNK) {
            const int64_t k = ptqi_min(F32_CHUNK, l->k - k0);
            kernels->word_dequantize(&words, k0, k, weights);
            for (int64_t m = 0; m < rows; m += mr)
                kernels->f32_tile((int)ptqi_min(rows - m, mr), k, x + m * l->k + k0, l->k, 1,
                                  weights, sum + m * nr, nr, k0 > 0);
        }
        store_rows(r, sum, m0, rows, panel * nr, nr);
    }
}

void ptqi_run_range(const struct ptqi_run *r, char *scratch, int64_t begin, int64_t end)
{
    for (int64_t panel = begin; panel < end && r->layout.rows > 0; panel++) {
        if (is_integer(r->l))
            run_int_panel(r, panel, scratch);
        else
            run_f32_panel(r, panel, scratch);
    }
}
