/*
 * ptq_encoding: where small integers lie in the blocks of others, and decoding them to bytes.
 */
#include "encoding.h"
#include <string.h>

/* Bytes of a block, up to that of its last bit. */
static int64_t block_bytes(int32_t bits, int32_t count, const int32_t *shifts)
{
    int64_t last = 0;
    for (int32_t i = 0; i < count; i++) {
        const int64_t end = (shifts ? shifts[i] : i * bits) + bits;
        last = end > last ? end : last;
    }
    return (last + 7) / 8;
}

/* Joins values that advance by one byte. */
static void find_runs(struct ptq_encoding *e, const int32_t *shifts)
{
    struct ptqi_run *run = NULL;
    for (int32_t i = 0; i < e->count; i++) {
        const int32_t at = shifts ? shifts[i] : i * e->bits;
        const int32_t wide = at % 8 + e->bits > 8;
        if (run && !wide && !run->wide && at == 8 * (run->byte + run->length) + run->shift) {
            run->length++;
            continue;
        }
        run = &e->run[e->runs++];
        *run =
            (struct ptqi_run){(int16_t)i, 1, (int16_t)(at / 8), (uint8_t)(at % 8), (uint8_t)wide};
    }
}

static ptq_status check(ptq_context *context, int32_t bits, int32_t axis, int32_t count,
                        const int32_t *shifts, int32_t values)
{
    const char *function = "ptq_encoding_create";
    PTQI_TRY(ptqi_check_between(context, function, "bits", bits, 1, 8));
    PTQI_TRY(ptqi_check_between(context, function, "axis", axis, PTQ_ALONG_K, PTQ_ALONG_N));
    PTQI_TRY(ptqi_check_between(context, function, "count", count, 1, PTQI_ENCODING_COUNT));
    PTQI_TRY(ptqi_check_between(context, function, "values", values, PTQ_VALUES_UNSIGNED,
                                PTQ_VALUES_LESS_ONE));
    for (int32_t i = 0; shifts && i < count; i++)
        PTQI_TRY(
            ptqi_check_between(context, function, "a shift", shifts[i], 0, PTQI_ENCODING_BITS - 1));
    return PTQ_OK;
}

static int is_in_order(int32_t bits, int32_t count, const int32_t *shifts)
{
    for (int32_t i = 0; shifts && i < count; i++)
        if (shifts[i] != i * bits)
            return 0;
    return bits == 4 && count % 8 == 0;
}

ptq_status ptq_encoding_create(ptq_context *context, int32_t bits, int32_t axis, int32_t count,
                               const int32_t *shifts, int32_t values, ptq_encoding **encoding)
{
    PTQI_REQUIRE(context, encoding);
    *encoding = NULL;
    PTQI_REQUIRE(NULL, context);
    PTQI_TRY(check(context, bits, axis, count, shifts, values));
    struct ptq_encoding *e = ptqi_new_handle(context, (int64_t)sizeof *e);
    if (!e)
        return PTQ_ERROR_MEMORY;
    e->context = context;
    e->bits = bits;
    e->axis = axis;
    e->count = count;
    e->values = values;
    e->block_bytes = block_bytes(bits, count, shifts);
    e->in_order = is_in_order(bits, count, shifts);
    find_runs(e, shifts);
    *encoding = e;
    return PTQ_OK;
}

void ptq_encoding_free(ptq_encoding *encoding)
{
    if (encoding)
        ptqi_free_handle(encoding->context, encoding);
}

/* Whether blocks of so many bytes, a by b of them at these strides, lie within bytes. */
static int is_inside(int64_t a, int64_t stride_a, int64_t b, int64_t stride_b, int64_t block,
                     int64_t bytes)
{
    int64_t last_a, last_b;
    return stride_a >= 0 && stride_b >= 0 && ptqi_multiply(a - 1, stride_a, &last_a) &&
           ptqi_multiply(b - 1, stride_b, &last_b) && bytes >= block && last_a <= bytes - block &&
           last_b <= bytes - block - last_a;
}

ptq_status ptqi_check_strided(const char *function, ptq_context *context, int64_t a,
                              int64_t stride_a, int64_t b, int64_t stride_b, int64_t block,
                              int64_t bytes)
{
    if (is_inside(a, stride_a, b, stride_b, block, bytes))
        return PTQ_OK;
    return ptqi_fail(context, PTQ_ERROR_BOUNDS,
                     "%s: %lld x %lld blocks of %lld bytes at strides of %lld and %lld bytes do "
                     "not lie within %lld bytes",
                     function, (long long)a, (long long)b, (long long)block, (long long)stride_a,
                     (long long)stride_b, (long long)bytes);
}

ptq_status ptqi_encoded_init(const char *function, ptq_context *context, int64_t n, int64_t k,
                             int32_t bits, const struct ptq_encoding *e, const void *data,
                             int64_t bytes, int64_t stride_n, int64_t stride_k,
                             struct ptqi_encoded *encoded)
{
    const int along_k = e->axis == PTQ_ALONG_K;
    const int64_t blocks_n = along_k ? n : (n + e->count - 1) / e->count;
    const int64_t blocks_k = along_k ? (k + e->count - 1) / e->count : k;
    PTQI_TRY(ptqi_check_strided(function, context, blocks_n, stride_n, blocks_k, stride_k,
                                e->block_bytes, bytes));
    const int half = e->values == PTQ_VALUES_SIGNED ? 1 << (e->bits - 1) : 0;
    const int add = e->values == PTQ_VALUES_SIGNED     ? (1 << (bits - 1)) - half
                    : e->values == PTQ_VALUES_LESS_ONE ? 1
                                                       : 0;
    encoded->encoding = *e;
    encoded->data = data;
    encoded->stride_n = stride_n;
    encoded->stride_k = stride_k;
    encoded->flip = (uint8_t)half;
    encoded->add = (uint8_t)add;
    return PTQ_OK;
}

/* Eight nibbles of a little-endian word to eight bytes. */
static void spread(const uint8_t *p, uint8_t *out)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    uint64_t w = word;
    w = (w | w << 16) & 0x0000ffff0000ffffu;
    w = (w | w << 8) & 0x00ff00ff00ff00ffu;
    w = (w | w << 4) & 0x0f0f0f0f0f0f0f0fu;
    memcpy(out, &w, sizeof w);
}

static const struct ptqi_run *find_run(const struct ptq_encoding *e, int32_t value)
{
    const struct ptqi_run *run = e->run;
    while (value >= run->first + run->length)
        run++;
    return run;
}

/* One value of a run; p is its byte. */
static uint8_t decode(const struct ptqi_run *run, int bits, const uint8_t *p)
{
    const int word = run->wide ? p[0] | p[1] << 8 : p[0];
    return (uint8_t)(word >> run->shift & ((1 << bits) - 1));
}

/* Eight bytes at a time; what they shift into each other is masked out. */
static void decode_run(const struct ptqi_run *run, int bits, const uint8_t *p, uint8_t *out)
{
    const uint64_t mask = ((1u << bits) - 1) * 0x0101010101010101u;
    int i = 0;
    p += run->byte;
    for (; i + 8 <= run->length; i += 8) {
        uint64_t w;
        memcpy(&w, p + i, sizeof w);
        w = w >> run->shift & mask;
        memcpy(out + i, &w, sizeof w);
    }
    for (; i < run->length; i++)
        out[i] = decode(run, bits, p + i);
}

/* The values of a block along K. */
static void decode_block(const struct ptq_encoding *e, const uint8_t *p, uint8_t *out)
{
    if (e->in_order)
        for (int32_t i = 0; i < e->count; i += 8)
            spread(p + i / 2, out + i);
    else
        for (int32_t i = 0; i < e->runs; i++)
            decode_run(&e->run[i], e->bits, p, out + e->run[i].first);
}

/* Block j of row n. */
static void read_block(const struct ptqi_encoded *encoded, int64_t n, int64_t j, int64_t k,
                       uint8_t *out)
{
    const struct ptq_encoding *e = &encoded->encoding;
    const uint8_t *p = encoded->data + n * encoded->stride_n + j * encoded->stride_k;
    const int64_t left = k - j * e->count;
    if (left >= e->count) {
        decode_block(e, p, out);
        return;
    }
    uint8_t values[PTQI_ENCODING_COUNT];
    decode_block(e, p, values);
    memcpy(out, values, (size_t)left);
}

/* Rows are the inner loop where they are closer to each other in memory than blocks are. */
static void read_along_k(const struct ptqi_encoded *encoded, int64_t first, int64_t rows, int64_t k,
                         uint8_t *out, int64_t ld)
{
    const int64_t count = encoded->encoding.count, blocks = (k + count - 1) / count;
    const int by_rows = encoded->stride_n < encoded->stride_k;
    const int64_t outer = by_rows ? blocks : rows, inner = by_rows ? rows : blocks;
    for (int64_t a = 0; a < outer; a++)
        for (int64_t b = 0; b < inner; b++) {
            const int64_t r = by_rows ? b : a, j = by_rows ? a : b;
            read_block(encoded, first + r, j, k, out + r * ld + j * count);
        }
}

uint8_t ptqi_encoded_value(const struct ptqi_encoded *encoded, int64_t n, int64_t k)
{
    const struct ptq_encoding *e = &encoded->encoding;
    const int along_k = e->axis == PTQ_ALONG_K;
    const int32_t value = (int32_t)((along_k ? k : n) % e->count);
    const struct ptqi_run *run = find_run(e, value);
    const uint8_t *block = encoded->data + (along_k ? n : n / e->count) * encoded->stride_n +
                           (along_k ? k / e->count : k) * encoded->stride_k;
    const uint8_t stored = decode(run, e->bits, block + run->byte + value - run->first);
    return (uint8_t)((stored ^ encoded->flip) + encoded->add);
}

/* Row n, columns begin to end. */
static void read_lane(const struct ptqi_encoded *encoded, int64_t n, int64_t begin, int64_t end,
                      uint8_t *out)
{
    const struct ptq_encoding *e = &encoded->encoding;
    const int32_t value = (int32_t)(n % e->count);
    const struct ptqi_run *run = find_run(e, value);
    const uint8_t *p =
        encoded->data + n / e->count * encoded->stride_n + run->byte + value - run->first;
    for (int64_t c = begin; c < end; c++)
        out[c - begin] = decode(run, e->bits, p + c * encoded->stride_k);
}

enum { COLUMNS = 16 };

/* The same for rows of one block that is a word, COLUMNS columns. */
static void read_words(const struct ptqi_encoded *encoded, int64_t first, int64_t rows,
                       int64_t begin, uint8_t *out, int64_t ld)
{
    const struct ptq_encoding *e = &encoded->encoding;
    const uint8_t *p = encoded->data + first / e->count * encoded->stride_n;
    const uint32_t mask = (1u << e->bits) - 1;
    uint32_t words[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        memcpy(&words[i], p + (begin + i) * encoded->stride_k, sizeof words[i]);
    for (int64_t r = 0; r < rows; r++) {
        const int32_t value = (int32_t)((first + r) % e->count);
        const struct ptqi_run *run = find_run(e, value);
        const int shift = 8 * (run->byte + value - run->first) + run->shift;
        for (int i = 0; i < COLUMNS; i++)
            out[r * ld + i] = (uint8_t)(words[i] >> shift & mask);
    }
}

/* A few columns of all rows at a time, so that what the rows of a block share stays in the cache.
 */
static void read_along_n(const struct ptqi_encoded *encoded, int64_t first, int64_t rows, int64_t k,
                         uint8_t *out, int64_t ld)
{
    const struct ptq_encoding *e = &encoded->encoding;
    int64_t in_block;
    for (int64_t begin = 0; begin < k; begin += COLUMNS)
        for (int64_t r = 0; r < rows; r += in_block) {
            in_block = ptqi_min(e->count - (first + r) % e->count, rows - r);
            uint8_t *to = out + r * ld + begin;
            if (e->block_bytes == 4 && begin + COLUMNS <= k)
                read_words(encoded, first + r, in_block, begin, to, ld);
            else
                for (int64_t i = 0; i < in_block; i++)
                    read_lane(encoded, first + r + i, begin, ptqi_min(begin + COLUMNS, k),
                              to + i * ld);
        }
}

void ptqi_encoded_read(const struct ptqi_encoded *encoded, int64_t first, int64_t rows, int64_t k,
                       uint8_t *out, int64_t ld)
{
    if (encoded->encoding.axis == PTQ_ALONG_K)
        read_along_k(encoded, first, rows, k, out, ld);
    else
        read_along_n(encoded, first, rows, k, out, ld);
    if (!encoded->flip && !encoded->add)
        return;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < k; c++)
            out[r * ld + c] = (uint8_t)((out[r * ld + c] ^ encoded->flip) + encoded->add);
}
