/*
 * The lines of a listing of tensors or matrices. Those of experts that differ only in the number of
 * the expert become one: "model.layers.3.mlp.experts.*.up_proj", with their count, and the ranges
 * of their numbers.
 */
#ifndef LISTING_H
#define LISTING_H

#include "ptq/context.h"

struct listing_range {
    double low, high; /* NaN: unknown */
};

struct listing_line {
    char *name;     /* with a * for the number of an expert */
    char text[128]; /* type, shape, scheme */
    int64_t count;  /* of tensors or matrices */
    struct listing_range ranges[2];
};

struct listing {
    ptq_context *context;
    struct listing_line *lines;
    int64_t count, capacity;
};

/* Adds a tensor or a matrix; l must be zero, but for the context, before the first. */
ptq_status listing_add(struct listing *l, const char *name, const char *text,
                       const struct listing_range ranges[2]);
/* Prints the lines and removes them. labels[i] stands before range i, if that is known. With a
 * label, a range that is one number is printed as such. */
void listing_print(struct listing *l, const char *const labels[2], int scientific);
void listing_free(struct listing *l);

#endif
