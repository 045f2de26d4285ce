/*
 * The data that calibration windows carry from block to block: the residual stream before the next
 * block, and the inputs of two sites that are expensive to compute. Windows are requested by index,
 * so they could be kept elsewhere than in memory.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include "model/model.h"
#include "corpus/windows.h"

struct streams {
    ptq_context *context;
    int64_t count, length; /* windows, and tokens per window */
    int64_t hidden, heads_width, intermediate;
    float *x;         /* [count][length][hidden] */
    float *attention; /* [count][length][heads_width] */
    float *inner;     /* [count][length][intermediate], or NULL: recomputed, or of experts */
};

/* Embeds the windows. Always call streams_free. */
ptq_status streams_begin(const struct model *model, const struct windows *windows,
                         struct streams *s);
void streams_free(struct streams *s);

/* The residual stream of window i, [length][hidden]. */
float *streams_residual(const struct streams *s, int64_t i);
/* The input of SITE_OUTPUT, [length][heads * head_dim]. */
float *streams_attention(const struct streams *s, int64_t i);
/* The input of SITE_DOWN, [length][intermediate]; NULL if it is not kept. */
float *streams_inner(const struct streams *s, int64_t i);

#endif
