/*
 * Shared by the tests of linear layers: matrices with all optional parts, inputs, the outputs that
 * the formula in ptq/linear.h gives for them, and contexts for each instruction set.
 */
#ifndef LAYER_H
#define LAYER_H

#include <stdint.h>
#include "ptq/ptq.h"

enum {
    ZEROS = 1,
    ORDER = 2,
    INPUT_SCALE = 4,
    BIAS = 8,
    INT8 = 16,
    GAPS = 32,
    OVERFLOW = 64,
    TWO_LEVEL = 128,
    INT16 = 256,    /* instead of INT8 */
    BY_GROUP = 512, /* likewise */
    MINIMA = 1024   /* instead of zeros */
};

struct shape {
    int64_t n, k, group;
    int32_t bits;
};

/* A matrix with all its optional parts, and inputs. */
struct layer {
    struct shape s;
    int what;
    int64_t size, groups;
    int64_t x_size; /* of the groups of x: those of the matrix, or parts of them */
    uint8_t *codes, *zeros;
    float *scales, *minima, *row_scales, *input_scale, *bias;
    int32_t *order, *group_of, *x_group_of;
    ptq_qtensor *q;
};

struct layer make_layer(ptq_context *context, struct shape s, int what, uint64_t seed);
void free_layer(struct layer *l);

/* Inputs and outputs of a run, in memory that reveals what was written. */
struct run {
    int64_t rows, ldx, ldy;
    int32_t x_dtype, y_dtype;
    char *x, *want, *y;
    int64_t y_bytes;
};

enum { NORMAL, SPECIAL }; /* special: rows of zeros, NaN, infinity, tiny and huge numbers */

/* rows rows of inputs and the outputs of l for them. */
struct run make_run(const struct layer *l, int64_t rows, int32_t x_dtype, int32_t y_dtype, int kind,
                    uint64_t seed);
void free_run(struct run *run);
/* Fills y with a value that is never an output; afterwards, checks whether y is right. */
void *start(struct run *run);
int is_right(const struct run *run);

/* The AVX-VNNI kernels in AVX-512 form (evex.c), and those of AMX with emulated tiles (amx.c). */
enum { EVEX = 1000, EMULATED_AMX };

int is_usable(int32_t isa);
ptq_context *make_context(int32_t threads, int32_t isa);
/* Whether a call left this thread's emulated tiles configured. */
int tiles_in_use(void);

#endif
