/*
 * The matrices of a site divided into slices: rows that are rounded with the same statistics. Rows
 * that produce values have separate ones (observe.h), all others share those of the input.
 */
#ifndef SLICES_H
#define SLICES_H

#include "calibrate/observe.h"

struct slices {
    ptq_context *context;
    int64_t count;
    ptq_tensor **weights;  /* [count], borrowed; from gathered if rows were copied */
    const ptq_stats **own; /* [count]; NULL: the shared ones */
    ptq_qtensor **q;  /* [count], filled in by the caller that quantizes; freed with the rest */
    int *matrix;      /* [count]: index of the matrix */
    float **gathered; /* [count]; NULL if the slice is a whole matrix */
    int64_t **rows;   /* [count]: rows of the matrix; NULL likewise */
};

ptq_status slices_make(const struct model *m, const struct matrix *matrices, int count,
                       const struct observation *o, struct slices *s);
/* Reassembles a matrix from its quantized slices. */
ptq_status slices_join(const struct slices *s, int matrix, ptq_qtensor **q);
void slices_free(struct slices *s);

/* Creates a tensor, with a name, that borrows the weights of a matrix. Free it on failure too. */
ptq_status matrix_as_tensor(ptq_context *context, const struct matrix *matrix,
                            ptq_tensor **weights);

#endif
