/* Internals of packed linear layers. */
#ifndef PTQI_LINEAR_H
#define PTQI_LINEAR_H

#include "base/context.h"
#include "kernel/kernel.h"
#include "ptq/linear.h"
#include "tensor.h"

/* Blocking for products with many rows: a chunk of a panel stays in the L1 cache, and the sums of a
 * block of rows, with their part of x, stay in the L2 cache. */
struct ptqi_blocking {
    int64_t chunk_blocks; /* of 32 columns */
    int64_t chunk_groups; /* whole groups in a chunk; 0 if a chunk is part of a group */
    int64_t rows;
};

/* The weight layout of a table of kernels. With f32 activations only rows is set; only 8-bit codes
 * have an offset. */
struct ptqi_packed_layout {
    int32_t rows, strip, run, w8_offset; /* nr, int_strip, int_kr */
};

/* Packed forms of weights; struct ptq_linear describes each. */
enum {
    PTQI_FORM_PANELS = 0,  /* int8 activations */
    PTQI_FORM_WORDS = 1,   /* f32 activations */
    PTQI_FORM_DENSE = 2,   /* f32 activations, minima or levels: dequantized */
    PTQI_FORM_GENERAL = 3, /* activations of 8 bits, what panels cannot express */
    PTQI_FORMS
};

/* The header of a packed linear, in memory and in files: packed.c. Numbers are in host byte order,
 * which is little endian on all supported machines. */
struct ptqi_packed {
    char magic[4];
    uint32_t version; /* of the header and of the panels */
    uint64_t checksum;
    int64_t bytes; /* header and contents */
    int64_t n, k, group_size;
    int32_t activations;
    float activation_scale;
    int32_t rotation;
    int32_t code_bits, scale_bytes;
    int32_t zero; /* zero point of all groups, unless has_zeros */
    int32_t has_zeros, has_input_scale, has_order, has_bias;
    struct ptqi_packed_layout layout;
    int32_t form, has_minima, has_levels;
    int8_t levels[16];
    int32_t activation_zero; /* static, with a zero point; else 0 */
    int32_t split;           /* groups that one group of the weights became; 0: 1 */
    char reserved[52];       /* zero */
};

/* Whether activations are 8 bits wide, not f32. */
static inline int ptqi_packed_is_integer(const struct ptqi_packed *header)
{
    return header->activations != PTQ_ACTIVATIONS_F32;
}

/* Columns of a group of the weights, before it was split. */
static inline int64_t ptqi_packed_weight_group(const struct ptqi_packed *header)
{
    const int64_t columns = header->group_size * (header->split ? header->split : 1);
    return columns < header->k ? columns : header->k;
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
    atomic_int references;              /* held by the user and by calls */
    const struct ptqi_kernels *kernels; /* packed for these, and run by these */
    char *memory;                       /* the packed form; most pointers below point into it */
    void *own_memory;                   /* the same, if it must be freed; else NULL */
    int64_t n, k;
    int32_t activations;
    float activation_scale;     /* static */
    int32_t activation_zero;    /* static */
    int64_t group_size, groups; /* as packed: int8 activations by group may have split them */
    int64_t split;              /* groups that one group of the weights became */
    int32_t code_bits;          /* as packed: 4 or 8 */
    int32_t form;               /* PTQI_FORM_... */
    int32_t two_level;          /* int8 activations: row scales times group levels */
    int32_t by_group;           /* int8 activations with a scale for each group */

    /*
     * int8 activations: panels of int_nr rows, laid out as in struct ptqi_panel, with columns in
     * quantization order. panel describes the first one; all have the same layout. Minima are f32
     * [panels][groups][nr].
     */
    uint8_t *data;
    struct ptqi_panel panel;
    int64_t panels, panel_bytes;
    struct ptqi_blocking blocking;

    /*
     * f32 activations: panels of f32_nr rows, with columns in their original order. words are
     * [panels][row_words][nr], each 32 bits of codes, first column lowest; scales and zeros are
     * [panels][groups][nr]; group_of is [k].
     */
    uint32_t *words;
    float *scales;
    int32_t *zeros;
    int32_t zero; /* 2^(bits - 1): the zero point if zeros is NULL */
    int32_t *group_of;
    int64_t row_words;
    int64_t bytes;

    /* PTQI_FORM_DENSE: panels of f32_nr rows, weights [panels][k][nr]. Scales, minima and
     * group_of only serve to unpack it. */
    float *dense;

    /* PTQI_FORM_GENERAL: panels of PTQI_GENERAL_NR rows, with columns in quantization order; codes
     * minus zeros i16 [panels][k][nr], scales and minima [panels][groups][nr], group_end [groups].
     * Zeros only serve to unpack it. */
    int16_t *general_codes;
    float *minima; /* or NULL */
    int32_t *group_end;

    float *bias;      /* [n], or NULL */
    float *bias_room; /* its place in the packed form; NULL if that is read-only */
    float *own_bias;  /* outside a read-only packed form */

    /* The recipe of the activations. */
    float *input_scale; /* [k], or NULL */
    int32_t rotation;   /* columns per block, or 0 */
    int32_t *order;     /* [k], or NULL; only with activations of 8 bits */
    uint64_t recipe;

    /* While it is packed by parts. */
    struct ptqi_shape shape; /* the shape that rows must fit */
    uint64_t columns;        /* ptqi_qtensor_columns_hash of the matrix */
    atomic_llong rows;       /* packed so far */
    int is_ready;            /* complete */
};

/* Whether activations are 8 bits wide, not f32. */
static inline int ptqi_linear_is_integer(const struct ptq_linear *linear)
{
    return linear->activations != PTQ_ACTIVATIONS_F32;
}

/* Rows of int8 that a row of x becomes: 16 bits are 254 hi + lo, with both limbs in -127 .. 127.
 * Each is multiplied as a row of its own, and y = scale (254 y_hi + y_lo). */
static inline int ptqi_limbs(const struct ptq_linear *linear)
{
    return linear->activations == PTQ_ACTIVATIONS_INT16_TOKEN ? 2 : 1;
}

/* Where the number of row n, group g, is in [panels][groups][nr]. */
static inline int64_t ptqi_group_place(const struct ptq_linear *linear, int64_t nr, int64_t n,
                                       int64_t g)
{
    return (n / nr * linear->groups + g) * nr + n % nr;
}

static inline int64_t ptqi_align(int64_t bytes)
{
    return (bytes + PTQ_ALIGNMENT - 1) / PTQ_ALIGNMENT * PTQ_ALIGNMENT;
}

/* K rounded up to whole blocks. */
static inline int64_t ptqi_padded_k(const struct ptq_linear *linear)
{
    return (linear->k + PTQI_BLOCK - 1) / PTQI_BLOCK * PTQI_BLOCK;
}

/* Returns from a public function, or from code that several of them share, if the pointer is NULL
 * or not aligned to PTQ_ALIGNMENT. */
#define PTQI_REQUIRE_ALIGNED(context, function, pointer)                                           \
    do {                                                                                           \
        PTQI_REQUIRE_FOR(context, function, pointer);                                              \
        if ((uintptr_t)(pointer) % PTQ_ALIGNMENT)                                                  \
            return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is not aligned to %d bytes",     \
                             function, #pointer, PTQ_ALIGNMENT);                                   \
    } while (0)

/* PTQ_ERROR_ARGUMENT unless memory is aligned and has at least the needed bytes. */
ptq_status ptqi_check_memory(ptq_context *context, const char *function, const char *name,
                             const void *memory, int64_t bytes, int64_t needed);

/* PTQ_ERROR_MISSING while it is packed by parts. */
ptq_status ptqi_linear_check_ready(const char *function, const ptq_linear *linear);

/* Takes a reference; ptq_linear_free gives it back. */
struct ptq_linear *ptqi_linear_hold(const ptq_linear *linear);

/* task.c: whether so few rows run fastest as streams; only with panels. */
int ptqi_is_stream(const struct ptq_linear *linear, int64_t rows);

/* Advances to the next chunk, or to the first if chunk has no blocks; returns 0 past the last. */
int ptqi_next_chunk(const struct ptq_linear *linear, struct ptqi_chunk *chunk);

/* The first column of a chunk. */
static inline int64_t ptqi_chunk_column(const struct ptq_linear *linear,
                                        const struct ptqi_chunk *chunk)
{
    return (chunk->first_group * linear->panel.group_blocks + chunk->first_block) * PTQI_BLOCK;
}

/* For packed.c; needs the panels to be set. */
struct ptqi_blocking ptqi_plan_blocking(const struct ptq_linear *linear);

/* pack.c: packs what all rows share, and then rows `from` .. of q as rows first .. first + count -
 * 1, into cleared memory. If parts is 1, the calling thread packs alone. */
ptq_status ptqi_linear_pack_shared(struct ptq_linear *linear, const struct ptq_qtensor *q);
ptq_status ptqi_linear_pack_rows(struct ptq_linear *linear, const struct ptq_qtensor *q,
                                 int64_t from, int64_t first, int64_t count, int64_t parts);

/* packed.c: PTQ_ERROR_UNSUPPORTED if sums over a group might not fit in 32 bits. */
ptq_status ptqi_packed_check_sums(ptq_context *context, const struct ptqi_packed *header);
/* packed.c: bytes of a packed form with this header; 0 if the header is invalid. */
int64_t ptqi_packed_size(const struct ptqi_packed *header);
struct ptqi_packed_layout ptqi_packed_layout(const struct ptqi_kernels *kernels, int32_t form,
                                             int32_t code_bits);
/* Sets the fields of a linear whose packed form is, or will be, in memory. */
void ptqi_packed_bind(struct ptq_linear *linear, const struct ptqi_packed *header, void *memory);
/* Completes the header and writes it to memory. */
void ptqi_packed_write(struct ptqi_packed *header, void *memory);
/* Checksum of the header after this field: it detects accidents, not malice. */
uint64_t ptqi_packed_checksum(const struct ptqi_packed *header);
/* A hash of everything that linears must share to use the same prepared activations. */
uint64_t ptqi_linear_recipe(const struct ptq_linear *linear);

#endif
