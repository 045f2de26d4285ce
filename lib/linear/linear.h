/* A packed linear layer from inside. */
#ifndef PTQI_LINEAR_H
#define PTQI_LINEAR_H

#include "base/context.h"
#include "kernel/kernel.h"
#include "ptq/linear.h"
#include "tensor.h"

/* How the products of many rows are cut up: a chunk of a panel stays in the first-level cache,
 * while the sums of a block of rows and their part of x stay in the second. */
struct ptqi_blocking {
    int64_t chunk_blocks; /* of 32 columns */
    int64_t chunk_groups; /* whole groups in a chunk; 0 where a chunk is a part of one */
    int64_t rows;
};

/* How kernels want the weights: the numbers of their table. f32 activations: rows alone; an offset
 * for 8-bit codes alone. */
struct ptqi_packed_layout {
    int32_t rows, strip, run, w8_offset; /* nr, int_strip, int_kr */
};

/* The head of a packed linear, in its memory and in files: packed.c. In the host's
 * byte order, which is little endian on all that are supported. */
struct ptqi_packed {
    char magic[4];
    uint32_t version; /* of everything here, panels included */
    uint64_t checksum;
    int64_t bytes; /* of everything */
    int64_t n, k, group_size;
    int32_t activations;
    float activation_scale;
    int32_t rotation;
    int32_t code_bits, scale_bytes;
    int32_t zero; /* of all groups where there are no zeros */
    int32_t has_zeros, has_input_scale, has_order, has_bias;
    struct ptqi_packed_layout layout;
    char reserved[24]; /* zero */
};

/* int8 activations; else f32. */
static inline int ptqi_packed_is_integer(const struct ptqi_packed *header)
{
    return header->activations != PTQ_ACTIVATIONS_F32;
}

#define PTQI_PACKED_MAGIC "ptql"
#define PTQI_PACKED_VERSION 1u

struct ptq_linear {
    ptq_context *context;
    const struct ptqi_kernels *kernels; /* packed for these, and run by these */
    char *memory;     /* the packed form, where most of the pointers below point to */
    void *own_memory; /* what of it is to be freed */
    int64_t n, k;
    int32_t activations;
    float activation_scale; /* static */
    int64_t group_size, groups;
    int32_t code_bits; /* as held: 4 or 8 */
    int32_t two_level; /* int8 activations: scales of rows times levels of groups */

    /*
     * int8 activations: panels of int_nr rows, each as struct ptqi_panel says, columns in the order
     * of quantization; what all panels have in common stands in panel, whose data is the first
     * one's.
     */
    uint8_t *data;
    struct ptqi_panel panel;
    int64_t panels, panel_bytes;
    struct ptqi_blocking blocking;

    /*
     * f32 activations: panels of f32_nr rows, columns in their original order. words: [panels]
     * [words of a row][nr], 32 bits of codes, the first column's lowest; scales and zeros [panels]
     * [groups][nr]; group_of [k].
     */
    uint32_t *words;
    float *scales;
    int32_t *zeros;
    int32_t zero; /* where zeros is NULL */
    int32_t *group_of;
    int64_t row_words;
    int64_t bytes;

    float *bias;      /* [n], or NULL */
    float *bias_room; /* for one in the packed form; NULL where that is only read */
    float *own_bias;  /* for one beside it */

    /* The recipe of the activations. */
    float *input_scale; /* [k], or NULL */
    int32_t rotation;   /* columns of a block, or 0 */
    int32_t *order;     /* [k], or NULL; only with int8 activations */
    uint64_t recipe;
};

static inline int64_t ptqi_align(int64_t bytes)
{
    return (bytes + PTQ_ALIGNMENT - 1) / PTQ_ALIGNMENT * PTQ_ALIGNMENT;
}

/* Columns with int8 activations, filled up to whole blocks. */
static inline int64_t ptqi_padded_k(const struct ptq_linear *linear)
{
    return (linear->k + PTQI_BLOCK - 1) / PTQI_BLOCK * PTQI_BLOCK;
}

/*
 * From one row of x in int8 to the next: an odd number of cache lines, since at a multiple of 4096
 * bytes all rows would fall into the same few lines of a cache.
 */
static inline int64_t ptqi_x_stride(const struct ptq_linear *linear)
{
    return ((ptqi_padded_k(linear) + 63) / 64 | 1) * 64;
}

/*
 * Prepared activations: this header, then at the given offsets
 * scales f32 [rows], NaN for a row that is not finite;
 * int8: sums i32 [rows][groups + 1], the last of the whole row, and behind them room for the starts
 * of its blocks where kernels have such, for tiles; x i8: for streams [rows][x stride]; for tiles
 * slice after slice, each the columns of one chunk, [rows][columns], so that a chunk reads memory
 * from front to back; both in pairs of rows where the kernels' x_rows is 2; f32: x f32 [rows][k];
 * and room for the rows being prepared.
 */
struct ptqi_prepared {
    uint64_t magic, recipe;
    int64_t rows;
    int64_t sliced;                          /* x is for tiles */
    int64_t scales, sums, x, scratch, bytes; /* offsets and size, in bytes */
};

/* Rows with the last pair made whole. */
static inline int64_t ptqi_whole_rows(const struct ptq_linear *linear, int64_t rows)
{
    return (rows + linear->kernels->x_rows - 1) / linear->kernels->x_rows * linear->kernels->x_rows;
}

/* From one row's sums to the next. */
static inline int64_t ptqi_sums_stride(const struct ptq_linear *linear)
{
    return linear->groups + 1 + (linear->kernels->starts ? linear->panel.blocks : 0);
}

/* The layout for rows rows, or why it cannot be; function: that of the interface, for messages. */
ptq_status ptqi_prepared_layout(const char *function, const struct ptq_linear *linear, int64_t rows,
                                struct ptqi_prepared *layout);

/* Leaves a public function, or what it shares with others, unless the pointer is at a multiple of
 * PTQ_ALIGNMENT. */
#define PTQI_REQUIRE_ALIGNED(context, function, pointer)                                           \
    do {                                                                                           \
        PTQI_REQUIRE_FOR(context, function, pointer);                                              \
        if ((uintptr_t)(pointer) % PTQ_ALIGNMENT)                                                  \
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is not aligned to %d bytes",     \
                             function, #pointer, PTQ_ALIGNMENT);                                   \
    } while (0)

/* x made ready in memory of such a layout; parallel: ptqi_parallel or ptqi_parallel_inside. */
typedef void (*ptqi_parallel_way)(ptq_context *context, int64_t parts, ptq_body_function body,
                                  void *argument);
void ptqi_prepare(const struct ptq_linear *linear, const struct ptqi_prepared *layout,
                  const struct ptqi_block *x, ptqi_parallel_way parallel, void *prepared);
struct ptqi_block ptqi_linear_x(const struct ptq_linear *linear, const void *x, int32_t x_dtype,
                                int64_t rows, int64_t ldx);

#define PTQI_PREPARED_MAGIC 0x3130707270717470u /* "ptqprp01" */

/* Where a product goes: y is replaced by it, or it is added to y. */
struct ptqi_target {
    char *y;
    int32_t dtype;
    int64_t ld;
    int add;
    const char *function; /* that was called, for messages */
};

/* A forward call under way. */
struct ptqi_run {
    const struct ptq_linear *l;
    const char *prepared;
    struct ptqi_prepared layout;
    struct ptqi_target to;
    char *scratch; /* of all parts, or of this part */
    int64_t part_scratch, parts;
    atomic_llong next; /* panel that nobody has begun */
};

/* run.c: the panels from begin to end, with scratch memory of ptqi_run_scratch bytes. */
int64_t ptqi_run_scratch(const struct ptq_linear *linear, int64_t rows);
int64_t ptqi_run_panels(const struct ptq_linear *linear);
void ptqi_run_range(const struct ptqi_run *run, char *scratch, int64_t begin, int64_t end);
/* Few rows, which are best run by streams; only with int8 activations. */
int ptqi_is_stream(const struct ptq_linear *linear, int64_t rows);

/* The chunk behind this one, of no blocks at the beginning; 0 where there is none. */
int ptqi_next_chunk(const struct ptq_linear *linear, struct ptqi_chunk *chunk);

/* The first column of a chunk. */
static inline int64_t ptqi_chunk_column(const struct ptq_linear *linear,
                                        const struct ptqi_chunk *chunk)
{
    return (chunk->first_group * linear->panel.group_blocks + chunk->first_block) * PTQI_BLOCK;
}

/* For packed.c, once the panels are known. */
struct ptqi_blocking ptqi_plan_blocking(const struct ptq_linear *linear);

/* pack.c: the header that q gets with these kernels, and the weights and all else but the
 * header and a bias into memory that was cleared. */
ptq_status ptqi_linear_describe(ptq_context *context, const struct ptq_qtensor *q,
                                struct ptqi_packed *header);
ptq_status ptqi_linear_pack(struct ptq_linear *linear, const struct ptq_qtensor *q);

/* packed.c: PTQ_ERROR_UNSUPPORTED where sums over a group might not fit 32 bits. */
ptq_status ptqi_packed_check_sums(ptq_context *context, const struct ptqi_packed *header);
/* packed.c: the bytes that a packed form with this header has, 0 where it cannot be. */
int64_t ptqi_packed_size(const struct ptqi_packed *header);
struct ptqi_packed_layout ptqi_packed_layout(const struct ptqi_kernels *kernels, int integer,
                                             int32_t code_bits);
/* Sets the numbers and pointers of a linear whose packed form is in memory, header or not. */
void ptqi_packed_bind(struct ptq_linear *linear, const struct ptqi_packed *header, void *memory);
/* Completes the header and puts it in its place. */
void ptqi_packed_write(struct ptqi_packed *header, void *memory);
/* Of all that stands behind it in the header: against accidents, not against malice. */
uint64_t ptqi_packed_checksum(const struct ptqi_packed *header);
/* What two linears must have in common to take the same prepared activations. */
uint64_t ptqi_linear_recipe(const struct ptq_linear *linear);

#endif
