/*
 * Computes panels of a packed matrix for rows of x: the work of one task.
 *
 * int8 activations, few rows: the kernel reads the packed codes once and unpacks them in registers.
 * Many rows: a chunk of a panel, the columns of W that fit in the L1 cache, is unpacked once, and
 * the kernel's tile multiplies it with all rows of a block, whose sums stay in the L2 cache. x is
 * stored in slices, one per chunk. Both ways add in the same order.
 *
 * f32 activations: a chunk is dequantized and the f32 kernel multiplies it, so the result equals
 * the f32 product with the dequantized weights to the last bit.
 */
#include "activations.h"
#include "base/half.h"
#include "linear/call.h"

static const struct ptqi_product *product_of(const struct ptq_linear *l)
{
    return l->two_level        ? &l->kernels->two_level
           : l->code_bits == 8 ? &l->kernels->w8a8
                               : &l->kernels->w4a8;
}

/* Whether groups have one block, two or three, or more. */
static int group_class(const struct ptq_linear *l)
{
    return l->panel.group_blocks < 2 ? 0 : l->panel.group_blocks < 4 ? 1 : 2;
}

int ptqi_is_stream(const struct ptq_linear *l, int64_t rows)
{
    const struct ptqi_product *product = product_of(l);
    return !product->tile || rows <= product->stream_rows[group_class(l)];
}

/* Leaves a quarter of L1 and half of L2 to data that pass through. Linears that share x must have
 * the same blocking, so nothing here may depend on bits, zeros or the form of the scales. */
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

/* An integer sum ends with its group or, with two-level scales, with the row. */
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

int ptqi_panel_columns(const struct ptq_linear *l)
{
    if (l->form == PTQI_FORM_GENERAL)
        return PTQI_GENERAL_NR;
    return l->form == PTQI_FORM_PANELS ? l->kernels->int_nr : l->kernels->f32_nr;
}

/* Offsets of the parts of a task's scratch memory, and its size, in bytes. */
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

#define F32_CHUNK 256   /* columns of W dequantized at a time, and rows of x */
#define GENERAL_ROWS 16 /* rows of x at a time, an even number */

/* Rows at a time for forms that have a fixed number; else 0. */
static int64_t fixed_rows(const struct ptq_linear *l)
{
    if (l->form == PTQI_FORM_GENERAL)
        return GENERAL_ROWS;
    return l->form == PTQI_FORM_PANELS ? 0 : F32_CHUNK;
}

int64_t ptqi_task_rows(const struct ptqi_task *t)
{
    const struct ptq_linear *l = t->linear;
    if (fixed_rows(l))
        return fixed_rows(l);
    if (t->layout->sliced)
        return l->blocking.rows;
    const int most = product_of(l)->pass_rows[group_class(l)];
    const int64_t passes = (t->rows + most - 1) / most;
    return ptqi_whole_places(l,
                             (t->rows + passes - 1) / passes); /* passes of about the same size */
}

int64_t ptqi_task_max_rows(const struct ptq_linear *l)
{
    if (fixed_rows(l))
        return fixed_rows(l);
    return l->blocking.rows > l->kernels->stream_mr ? l->blocking.rows : l->kernels->stream_mr;
}

/* Scratch bytes for the products of one matrix. x may be prepared for tiles, even if this matrix
 * alone would use streams. */
static int64_t product_scratch(const struct ptq_linear *l, int64_t rows)
{
    if (l->form == PTQI_FORM_GENERAL)
        return 0;
    if (l->form != PTQI_FORM_PANELS)
        return (F32_CHUNK + ptqi_min(rows, F32_CHUNK)) * l->kernels->f32_nr * 4;
    return rows > l->kernels->stream_mr && l->kernels->tile_mr ? plan_room(l, rows).bytes : 0;
}

int64_t ptqi_task_scratch(const struct ptq_linear *l, int64_t rows)
{
    return ptqi_align(product_scratch(l, rows));
}

#define ROWS_AHEAD 8 /* of y to prefetch: its rows are too far apart for the CPU to predict */

/* y = act(gate) * y of n columns from n0 on. */
static void apply_epilogue(const struct ptqi_task *t, int64_t m, int64_t n0, float *y, int64_t n)
{
    const struct ptqi_kernels *kernels = t->linear->kernels;
    const int64_t row = (m - t->gate_row) / ptqi_limbs(t->linear);
    const float *gate = t->gate + row * ptqi_panel_columns(t->linear) + n0 - t->gate_column;
    (t->epilogue == PTQ_EPILOGUE_SWIGLU ? kernels->swiglu : kernels->geglu)(gate, y, n);
}

/* Scales n columns of sum, adds the bias, applies the epilogue, and stores the result in y or adds
 * it to y. */
static void finish(const struct ptqi_task *t, const float *sum, int64_t m, int64_t n0, float *y,
                   int64_t n)
{
    const struct ptqi_kernels *kernels = t->linear->kernels;
    const float scale = ((const float *)(t->prepared + t->layout->scales))[t->first + m];
    const float *bias = t->bias ? t->bias + n0 : NULL;
    float product[PTQI_MAX_NR];
    if (t->epilogue == PTQ_EPILOGUE_NONE) {
        kernels->finish(sum, scale, bias, y, n, t->add);
        return;
    }
    kernels->finish(sum, scale, bias, product, n, 0);
    apply_epilogue(t, m, n0, product, n);
    kernels->finish(product, 1.0f, NULL, y, n, t->add);
}

/* The sums of a row: of one with two limbs, 254 times those of the first plus those of the second.
 */
static const float *row_sums(const struct ptq_linear *l, const float *sum, int64_t n, float *both)
{
    if (ptqi_limbs(l) == 1)
        return sum;
    l->kernels->join(sum, sum + ptqi_panel_columns(l), both, n);
    return both;
}

/* Finishes sum [rows][nr] and stores it as columns n0 .. of rows m0 .. of y, or adds it to them. */
static void store_rows(const struct ptqi_task *t, const float *sum, int64_t m0, int64_t rows,
                       int64_t n0)
{
    const struct ptq_linear *l = t->linear;
    const int nr = ptqi_panel_columns(l);
    const int64_t width = ptqi_min(l->n - n0, nr), size = ptq_dtype_size(t->dtype);
    const int limbs = ptqi_limbs(l);
    for (int64_t m = m0; m < m0 + rows; m += limbs, sum += limbs * nr) {
        float out[PTQI_MAX_NR], both[PTQI_MAX_NR];
        const float *sums = row_sums(l, sum, width, both);
        char *y = t->y + ((m - t->row) / limbs * t->ld + n0 - t->column) * size;
        for (int64_t line = 0; line < width * size && m + ROWS_AHEAD < t->rows; line += 64)
            PTQI_PREFETCH_WRITE(y + ROWS_AHEAD * t->ld * size + line);
        if (t->dtype == PTQ_DTYPE_F32 && (uintptr_t)y % sizeof(float) == 0) {
            finish(t, sums, m, n0, (float *)(void *)y, width);
            continue;
        }
        if (t->add)
            l->kernels->widen(out, y, t->dtype, width);
        finish(t, sums, m, n0, out, width);
        l->kernels->narrow(y, t->dtype, out, width);
    }
}

/* Quantized rows of x from row m on, a multiple of x_rows, for streams. */
static const int8_t *x_at(const struct ptqi_task *t, int64_t m)
{
    return (const int8_t *)(t->prepared + t->layout->x) + (t->first + m) * ptqi_x_stride(t->linear);
}

/* The same in a chunk's slice, where rows follow each other without gaps. */
static const int8_t *slice_at(const struct ptqi_task *t, const struct ptqi_chunk *c, int64_t m)
{
    return (const int8_t *)(t->prepared + t->layout->x) +
           ptqi_chunk_column(t->linear, c) * t->layout->places +
           (t->first + m) * c->blocks * PTQI_BLOCK;
}

static const int32_t *sums_at(const struct ptqi_task *t, int64_t m)
{
    return (const int32_t *)(const void *)(t->prepared + t->layout->sums) +
           (t->first + m) * ptqi_sums_stride(t->linear);
}

#define SUMS_AT_ONCE 64 /* groups */

/* The sums of x for groups g .. g + count - 1 of rows from m on, as f32 [rows][SUMS_AT_ONCE]: by
 * group, times the scales of x. */
static void float_sums(const struct ptqi_task *t, int64_t m, int rows, int64_t g, int64_t count,
                       float *out)
{
    const struct ptq_linear *l = t->linear;
    for (int i = 0; i < rows; i++, out += SUMS_AT_ONCE) {
        const int32_t *sums = sums_at(t, m + i) + g;
        const float *scales = ptqi_scales_after(l, sums);
        for (int64_t j = 0; j < count; j++)
            out[j] = scales ? scales[j] * (float)sums[j] : (float)sums[j];
    }
}

/* Adds the minima of the columns from n0 on to sum [rows][nr]: the f32 product of the sums of x and
 * the minima, whose columns are groups. */
static void add_minima(const struct ptqi_task *t, int64_t m0, int64_t rows, int64_t n0, float *sum)
{
    const struct ptq_linear *l = t->linear;
    const struct ptqi_kernels *kernels = l->kernels;
    const int nr = kernels->int_nr, mr = kernels->f32_mr;
    const float *minima = l->minima + n0 * l->groups;
    float x[PTQI_MAX_MR * SUMS_AT_ONCE];
    for (int64_t m = 0; m < rows; m += mr)
        for (int64_t g = 0; g < l->groups; g += SUMS_AT_ONCE) {
            const int count = (int)ptqi_min(rows - m, mr);
            const int64_t groups = ptqi_min(l->groups - g, SUMS_AT_ONCE);
            float_sums(t, m0 + m, count, g, groups, x);
            for (int n = 0; n < nr; n += kernels->f32_nr)
                kernels->f32_tile(count, groups, x, SUMS_AT_ONCE, 1, minima + g * nr + n, nr,
                                  sum + m * nr + n, nr, 1);
        }
}

/* Completes and stores the integer sums of rows. */
static void store_int_rows(const struct ptqi_task *t, float *sum, int64_t m0, int64_t rows,
                           int64_t n0)
{
    if (t->linear->minima)
        add_minima(t, m0, rows, n0, sum);
    store_rows(t, sum, m0, rows, n0);
}

static void stream_panel(const struct ptqi_task *t, const struct ptqi_panel *p, int64_t m0,
                         int64_t rows, int64_t n0)
{
    const struct ptq_linear *l = t->linear;
    const struct ptqi_rows x = {x_at(t, m0), sums_at(t, m0), ptqi_x_stride(l), ptqi_sums_stride(l),
                                ptqi_group_scales(l)};
    float sum[PTQI_MAX_MR * PTQI_MAX_NR];
    product_of(l)->stream((int)rows, p, &x, sum);
    store_int_rows(t, sum, m0, rows, n0);
}

/* Prefetching of the packed codes of the next chunk while this one is used: runs of size bytes with
 * a stride of next bytes. */
struct ahead {
    const uint8_t *from;
    int64_t size, next, done; /* done: bytes of this run already prefetched */
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
    from += nr * (p->scale_bytes + p->has_zeros) - group; /* part of each strip of the same group */
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

/* Prefetches x while other rows are multiplied: if there is one block of rows, what tiles read next
 * in this slice, and then the following slice. Each panel reads all of x, which may have been
 * evicted since the previous panel. */
static void prefetch_x(const int8_t *x, int64_t bytes)
{
    for (int64_t at = 0; at < bytes; at += 512) {
        PTQI_UNROLL
        for (int line = 0; line < 512; line += 64)
            PTQI_PREFETCH_LATER(x + at + line);
    }
}

/* Rows m0 .. m0 + rows of x by a panel, whose columns of y begin at n0. Each step of rows is stored
 * as soon as its sums are complete, so stores overlap with the following steps. */
static void tile_panel(const struct ptqi_task *t, const struct ptqi_panel *p, int64_t m0,
                       int64_t rows, int64_t n0, char *scratch)
{
    const struct ptq_linear *l = t->linear;
    const struct ptqi_kernels *kernels = l->kernels;
    const struct ptqi_product *product = product_of(l);
    const struct room room = plan_room(l, rows);
    const int nr = kernels->int_nr;
    float *out = (float *)(void *)(scratch + room.sums);
    int32_t *partial = (int32_t *)(void *)(scratch + room.partial);
    struct ptqi_chunk c = {.room = (uint8_t *)scratch,
                           .scale_room = (float *)(void *)(scratch + room.scales),
                           .zero_room = (int32_t *)(void *)(scratch + room.zeros)};
    const int64_t ldsums = ptqi_sums_stride(l), scales = ptqi_group_scales(l);
    const int64_t step = kernels->tile_mr, steps = (rows + step - 1) / step;
    const int64_t lines =
        (l->blocking.chunk_blocks * 4 * l->code_bits * nr / 64 + steps - 1) / steps;
    while (ptqi_next_chunk(l, &c)) {
        const int64_t width = c.blocks * PTQI_BLOCK;
        const int last = ptqi_chunk_column(l, &c) + width == p->blocks * PTQI_BLOCK;
        const int8_t *x = slice_at(t, &c, m0);
        const int32_t *sums = sums_at(t, m0) + c.first_group;
        product->unpack(p, &c);
        struct ahead ahead = next_codes(l, p, &c);
        for (int64_t m = 0; m < rows; m += step) {
            const int64_t some = ptqi_min(rows - m, step);
            prefetch(&ahead, lines);
            if (kernels->x_ahead)
                prefetch_x(x + m * width + kernels->x_ahead, some * width);
            const struct ptqi_rows at = {x + m * width, sums + m * ldsums, width, ldsums, scales};
            product->tile(some, &c, &at, out + m * nr, partial + m * nr);
            if (last)
                store_int_rows(t, out + m * nr, m0 + m, some, n0);
        }
    }
    if (kernels->release)
        kernels->release();
}

static void run_int_panel(const struct ptqi_task *t, int64_t panel, int64_t m0, int64_t rows,
                          char *scratch)
{
    const struct ptq_linear *l = t->linear;
    const int64_t n0 = panel * l->kernels->int_nr;
    struct ptqi_panel p = l->panel;
    p.data = l->data + panel * l->panel_bytes;
    if (t->layout->sliced)
        tile_panel(t, &p, m0, rows, n0, scratch);
    else
        stream_panel(t, &p, m0, rows, n0);
}

/* Returns a chunk of weights: dequantized in out, or in place if they are packed in f32. */
static const float *f32_weights(const struct ptq_linear *l, const struct ptqi_words *words,
                                int64_t panel, int64_t k0, int64_t count, float *out)
{
    if (l->form == PTQI_FORM_DENSE)
        return l->dense + (panel * l->k + k0) * l->kernels->f32_nr;
    l->kernels->word_dequantize(words, k0, count, out);
    return out;
}

static struct ptqi_words words_of(const struct ptq_linear *l, int64_t panel)
{
    const int64_t nr = l->kernels->f32_nr, at = panel * l->groups * nr;
    if (l->form == PTQI_FORM_DENSE)
        return (struct ptqi_words){.words = NULL};
    return (struct ptqi_words){.words = l->words + panel * l->row_words * nr,
                               .bits = l->code_bits,
                               .k = l->k,
                               .group_of = l->group_of,
                               .groups = l->groups,
                               .scales = l->scales + at,
                               .zeros = l->zeros ? l->zeros + at : NULL,
                               .zero = l->zero};
}

int ptqi_task_panels(const struct ptq_linear *l, int64_t rows)
{
    return l->form == PTQI_FORM_WORDS && l->kernels->word_pair && rows == 1 ? 2 : 1;
}

/* A few rows x by one or two panels of words. */
static void stream_words(const struct ptqi_task *t, int64_t panel, int64_t m0, int64_t rows,
                         const float *x, float *sum)
{
    const struct ptq_linear *l = t->linear;
    const int nr = l->kernels->f32_nr;
    const struct ptqi_words words = words_of(l, panel);
    if (t->panels == 2)
        l->kernels->word_pair(&words, x, sum);
    else
        l->kernels->word_stream((int)rows, &words, x, l->k, sum);
    for (int64_t p = 0; p < t->panels; p++)
        store_rows(t, sum + p * rows * nr, m0, rows, (panel + p) * nr);
}

static void run_f32_panel(const struct ptqi_task *t, int64_t panel, int64_t m0, int64_t rows,
                          char *scratch)
{
    const struct ptq_linear *l = t->linear;
    const struct ptqi_kernels *kernels = l->kernels;
    const int nr = kernels->f32_nr, mr = kernels->f32_mr;
    float *weights = (float *)(void *)scratch, *sum = weights + F32_CHUNK * nr;
    const float *x =
        (const float *)(const void *)(t->prepared + t->layout->x) + (t->first + m0) * l->k;
    if (l->form == PTQI_FORM_WORDS && rows <= kernels->word_mr) {
        stream_words(t, panel, m0, rows, x, weights);
        return;
    }
    const struct ptqi_words words = words_of(l, panel);
    for (int64_t k0 = 0; k0 < l->k; k0 += F32_CHUNK) {
        const int64_t k = ptqi_min(F32_CHUNK, l->k - k0);
        const float *w = f32_weights(l, &words, panel, k0, k, weights);
        for (int64_t m = 0; m < rows; m += mr)
            kernels->f32_tile((int)ptqi_min(rows - m, mr), k, x + m * l->k + k0, l->k, 1, w, nr,
                              sum + m * nr, nr, k0 > 0);
    }
    store_rows(t, sum, m0, rows, panel * nr);
}

static void run_general_panel(const struct ptqi_task *t, int64_t panel, int64_t m0, int64_t rows,
                              char *scratch)
{
    const struct ptq_linear *l = t->linear;
    const int64_t at = panel * l->groups * PTQI_GENERAL_NR;
    const struct ptqi_general w = {.codes = l->general_codes + panel * l->k * PTQI_GENERAL_NR,
                                   .scales = l->scales + at,
                                   .minima = l->minima ? l->minima + at : NULL,
                                   .group_end = l->group_end,
                                   .groups = l->groups,
                                   .minima_last = ptqi_activations_add_minima_last(l->activations)};
    const int64_t stride = ptqi_x_stride(l);
    const char *x = t->prepared + t->layout->x + (t->first + m0) * stride;
    float sum[GENERAL_ROWS * PTQI_GENERAL_NR];
    (void)scratch;
    const int32_t *sums = sums_at(t, m0);
    l->kernels->general((int)rows, &w, (const int16_t *)(const void *)x, stride / 2, sums,
                        ptqi_sums_stride(l), ptqi_scales_after(l, sums), sum);
    store_rows(t, sum, m0, rows, panel * PTQI_GENERAL_NR);
}

void ptqi_task_run(const struct ptqi_task *t, int64_t panel, int64_t m0, int64_t rows,
                   char *scratch)
{
    static void (*const run[PTQI_FORMS])(const struct ptqi_task *, int64_t, int64_t, int64_t,
                                         char *) = {
        [PTQI_FORM_PANELS] = run_int_panel,
        [PTQI_FORM_WORDS] = run_f32_panel,
        [PTQI_FORM_DENSE] = run_f32_panel,
        [PTQI_FORM_GENERAL] = run_general_panel,
    };
    run[t->linear->form](t, panel, m0, rows, scratch);
}
