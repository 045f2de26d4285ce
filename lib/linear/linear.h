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

/* How weights are packed: what struct ptq_linear says of each. */
enum {
    PTQI_FORM_PANELS = 0,  /* int8 activations */
    PTQI_FORM_WORDS = 1,   /* f32 activations */
    PTQI_FORM_DENSE = 2,   /* f32 activations, minima or levels: dequantized */
    PTQI_FORM_GENERAL = 3, /* activations of 8 bits, what panels cannot express */
    PTQI_FORMS
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
    int32_t form, has_minima, has_levels;
    int8_t levels[16];
    int32_t activation_zero; /* static, with a zero point; else 0 */
    char reserved[56];       /* zero */
};

/* Activations of 8 bits; else f32. */
static inline int ptqi_packed_is_integer(const struct ptqi_packed *header)
{
    return header->activations != PTQ_ACTIVATIONS_F32;
}

#define PTQI_PACKED_MAGIC "ptql"
#define PTQI_PACKED_VERSION 3u

/* The shape of a packed matrix, which does not depend on values. */
struct ptqi_shape {
    int64_t n, k, group_size;
    int32_t bits;
    int32_t activations, zeros, scales, scale_dtype; /* PTQ_LAYOUT_... */
    int32_t order, input_scale, levels, uneven;      /* flags */
};

struct ptq_linear {
    ptq_context *context;
    atomic_int references;              /* the user's and those of calls */
    const struct ptqi_kernels *kernels; /* packed for these, and run by these */
    char *memory;     /* the packed form, where most of the pointers below point to */
    void *own_memory; /* what of it is to be freed */
    int64_t n, k;
    int32_t activations;
    float activation_scale;  /* static */
    int32_t activation_zero; /* static */
    int64_t group_size, groups;
    int32_t code_bits; /* as held: 4 or 8 */
    int32_t form;      /* PTQI_FORM_... */
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
    int32_t zero; /* where zeros is NULL: 2^(bits - 1) */
    int32_t *group_of;
    int64_t row_words;
    int64_t bytes;

    /* PTQI_FORM_DENSE: panels of f32_nr rows, weights [panels][k][nr]. Scales above, minima and
     * group_of are there to unpack it. */
    float *dense;

    /* PTQI_FORM_GENERAL: panels of PTQI_GENERAL_NR rows, columns in the order of quantization;
     * codes minus zeros i16 [panels][k][nr], scales above and minima [panels][groups][nr],
     * group_end [groups]. Zeros above are there to unpack it. */
    int16_t *general_codes;
    float *minima; /* or NULL */
    int32_t *group_end;

    float *bias;      /* [n], or NULL */
    float *bias_room; /* for one in the packed form; NULL where that is only read */
    float *own_bias;  /* for one beside it */

    /* The recipe of the activations. */
    float *input_scale; /* [k], or NULL */
    int32_t rotation;   /* columns of a block, or 0 */
    int32_t *order;     /* [k], or NULL; only with activations of 8 bits */
    uint64_t recipe;

    /* While it is packed by parts. */
    struct ptqi_shape shape; /* that it was made for */
    uint64_t columns;        /* what all rows share: ptqi_qtensor_columns_hash */
    atomic_llong rows;       /* packed so far */
    int is_ready;            /* complete, and so can run */
};

/* Activations of 8 bits; else f32. */
static inline int ptqi_linear_is_integer(const struct ptq_linear *linear)
{
    return linear->activations != PTQ_ACTIVATIONS_F32;
}

static inline int64_t ptqi_align(int64_t bytes)
{
    return (bytes + PTQ_ALIGNMENT - 1) / PTQ_ALIGNMENT * PTQ_ALIGNMENT;
}

/* Columns with int8 activations, filled up to whole blocks. */
static inline int64_t ptqi_padded_k(const struct ptq_linear *linear)
{
    return (linear->k + PTQI_BLOCK - 1) / PTQI_BLOCK * PTQI_BLOCK;
}

/* Leaves a public function, or what it shares with others, unless the pointer is at a multiple of
 * PTQ_ALIGNMENT. */
#define PTQI_REQUIRE_ALIGNED(context, function, pointer)                                           \
    do {                                                                                           \
        PTQI_REQUIRE_FOR(context, function, pointer);                                              \
        if ((uintptr_t)(pointer) % PTQ_ALIGNMENT)                                                  \
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is not aligned to %d bytes",     \
                             function, #pointer, PTQ_ALIGNMENT);                                   \
    } while (0)

/* PTQ_ERROR_ARGUMENT unless memory is aligned and has at least so many bytes. */
ptq_status ptqi_check_memory(ptq_context *context, const char *function, const char *name,
                             const void *memory, int64_t bytes, int64_t needed);

/* PTQ_ERROR_MISSING while it is packed by parts. */
ptq_status ptqi_linear_check_ready(const char *function, const ptq_linear *linear);

/* Takes a reference; ptq_linear_free gives it back. */
struct ptq_linear *ptqi_linear_hold(const ptq_linear *linear);

/* task.c. Few rows, which are best run by streams; only with int8 activations. */
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

/* pack.c: what all rows share, and then rows `from` .. of q as rows first .. first + count - 1,
 * into memory that was cleared. In one part they are packed by the calling thread alone. */
ptq_status ptqi_linear_pack_shared(struct ptq_linear *linear, const struct ptq_qtensor *q);
ptq_status ptqi_linear_pack_rows(struct ptq_linear *linear, const struct ptq_qtensor *q,
                                 int64_t from, int64_t first, int64_t count, int64_t parts);

/* packed.c: PTQ_ERROR_UNSUPPORTED where sums over a group might not fit 32 bits. */
ptq_status ptqi_packed_check_sums(ptq_context *context, const struct ptqi_packed *header);
/* packed.c: the bytes that a packed form with this header has, 0 where it cannot be. */
int64_t ptqi_packed_size(const struct ptqi_packed *header);
struct ptqi_packed_layout ptqi_packed_layout(const struct ptqi_kernels *kernels, int32_t form,
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
