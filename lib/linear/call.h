/*
 * Call internals. A call is divided into tasks: one matrix, its rows of x, and the memory of its
 * product.
 */
#ifndef PTQI_CALL_H
#define PTQI_CALL_H

#include "linear/linear.h"
#include "linear/prepared.h"
#include "ptq/call.h"

/* The memory of a result, and the rows of x that it is computed from. */
struct ptqi_result {
    char *y;
    int32_t dtype;
    int64_t rows, ld; /* rows that y has room for */
    int add;
    const int32_t *list; /* [count]; NULL: all rows of x */
    int64_t count;
    int64_t first; /* the prepared row where its list begins; a multiple of x_rows */
};

struct ptq_call {
    ptq_context *context;
    struct ptq_linear **linears; /* [count] */
    const float **biases;        /* [count], NULL: the matrix's own */
    int64_t count;
    struct ptqi_result *results; /* [count]; an epilogue uses half of them */
    int32_t epilogue;

    int x_is_set;
    const void *x; /* NULL: there are no rows, or they are prepared already */
    int32_t dtype;
    int64_t rows, ldx;

    char *prepared; /* the caller's, or NULL */
    int64_t prepared_bytes;

    void *parallel_user; /* replaces the context's, if has_parallel_user */
    int has_parallel_user;
};

/* Matrices per result. */
static inline int64_t ptqi_call_step(const struct ptq_call *call)
{
    return call->epilogue == PTQ_EPILOGUE_NONE ? 1 : 2;
}

static inline int64_t ptqi_call_results(const struct ptq_call *call)
{
    return call->count / ptqi_call_step(call);
}

static inline int ptqi_call_has_lists(const struct ptq_call *call)
{
    return call->results[0].list != NULL;
}

/* The matrices of a call agree in everything that concerns x, so the first one represents all. */
static inline const struct ptq_linear *ptqi_call_linear(const struct ptq_call *call)
{
    return call->linears[0];
}

/* call_size.c: bytes for the values of a gate, kept until those of up are computed; and of scratch
 * memory for a thread or a part. rows are places. */
int64_t ptqi_call_gate_bytes(const struct ptq_call *call, int64_t rows);
int64_t ptqi_call_part_scratch(const struct ptq_call *call, int64_t rows);

/* A product of one matrix with prepared rows (or limbs of rows), from first on. Its rows are
 * counted in places. */
struct ptqi_task {
    const struct ptq_linear *linear;
    const char *prepared;
    const struct ptqi_prepared *layout;
    int64_t first, rows;
    const float *bias; /* [n], or NULL */
    int panels;        /* to compute at a time: 1, or 2 if there is only one row */

    /* Element (m, n) goes to y[(m - row) / limbs * ld + n - column]. */
    char *y;
    int32_t dtype;
    int64_t ld, row, column;
    int add;

    /* An epilogue takes the gate's element (m, n) from gate[(m - gate_row) / limbs * nr + n -
     * gate_column]. */
    int32_t epilogue;
    const float *gate;
    int64_t gate_row, gate_column;
};

/* task.c: computes rows m0 .. m0 + rows - 1 of the columns of a panel, or of task->panels from it
 * on. m0 is a multiple of ptqi_task_rows, which rows does not exceed. scratch has ptqi_task_scratch
 * bytes. */
int64_t ptqi_task_rows(const struct ptqi_task *task);
int64_t ptqi_task_max_rows(const struct ptq_linear *linear); /* an upper bound of it */
int64_t ptqi_task_scratch(const struct ptq_linear *linear, int64_t rows);
void ptqi_task_run(const struct ptqi_task *task, int64_t panel, int64_t m0, int64_t rows,
                   char *scratch);
/* 2 if it is faster to compute two panels at a time, else 1. */
int ptqi_task_panels(const struct ptq_linear *linear, int64_t rows);
/* Columns of a panel. */
int ptqi_panel_columns(const struct ptq_linear *linear);

/* prepare.c: prepares shares of x. */
struct ptqi_preparing {
    const struct ptq_call *call;
    struct ptqi_prepared layout;
    char *prepared;
    int measured; /* PTQ_ACTIVATIONS_INT8_TENSOR: the scales of all rows are there */
};
int64_t ptqi_prepare_scratch(const struct ptq_linear *linear);
void ptqi_prepare_share(const struct ptqi_preparing *p, int64_t part, int64_t parts, char *scratch);
/* Two steps that find the scale that PTQ_ACTIVATIONS_INT8_TENSOR shares. */
void ptqi_measure_share(const struct ptqi_preparing *p, int64_t part, int64_t parts, char *scratch);
void ptqi_share_scale(const struct ptqi_preparing *p);

#endif
