/*
 * Matrices of a site cut into slices: rows that are rounded against the same statistics. Rows that
 * make values have their own (observe.h), all others share those of the input.
 */
#ifndef SLICES_H
#define SLICES_H

#include "calibrate/observe.h"

struct slices {
    ptq_context *context;
    int64_t count;
    ptq_tensor **weights;  /* [count], borrowed from data where rows had to be gathered */
    const ptq_stats **own; /* [count]; NULL: the shared ones */
    ptq_qtensor **q;       /* [count], filled in by whoever quantizes; freed with the rest */
    int *matrix;           /* [count]: of which matrix */
    float **gathered;      /* [count]; NULL where the slice is a whole matrix */
    int64_t **rows;        /* [count]: the rows of the matrix, NULL alike */
};

ptq_status slices_make(const struct model *m, const struct matrix *matrices, int count,
                       const struct observation *o, struct slices *s);
/* Puts the quantized slices of a matrix together again. */
ptq_status slices_join(const struct slices *s, int matrix, ptq_qtensor **q);
void slices_free(struct slices *s);

/* Borrowed tensors, with their names, on the weights of count matrices; on failure some may be
 * NULL. */
ptq_status matrices_as_tensors(ptq_context *context, const struct matrix *matrices, int count,
                               ptq_tensor **weights);

#endif
