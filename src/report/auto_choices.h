/*
 * Counts of auto's choices for the matrices of a model, and the gain.
 */
#ifndef CHOICES_REPORT_H
#define CHOICES_REPORT_H

#include "base/json.h"
#include "calibrate/calibrate.h"

enum { EQUALIZATIONS = PTQ_EQUALIZE_FPTQ + 1, ROTATIONS = 4 };

struct choices {
    int64_t count;                                        /* matrices for which auto chose */
    int64_t equalize[EQUALIZATIONS], rotation[ROTATIONS]; /* none, 32, 64, 128 columns */
    int64_t asymmetric;
    double log_errors; /* sum of log(error / error of the plain matrix) */
};

/* Adds a matrix, if auto chose for it; or all matrices of a model. */
void choices_add(struct choices *c, const struct matrix_report *report);
struct choices choices_of(const struct matrix_report *reports, int64_t count);
/* The geometric mean of the errors relative to those of the plain matrices. */
double choices_error(const struct choices *c);
/* "no scale" or the name of an equalization. */
const char *choices_equalization(int32_t kind);
int choices_rotation(int index);
/* Prints beginning and the choices on one line, if there are any. */
void choices_print(const struct choices *c, const char *beginning);
void choices_add_json(const struct choices *c, struct ptqi_json_writer *w);

#endif
