/* The logits of a model in a directory, for comparison with those of other tools. */
#ifndef LOGITS_H
#define LOGITS_H

#include "ptq/ptq.h"

/* Logits [count][vocabulary] of a text; NULL on failure. Free with ptqi_free. */
float *logits_of(ptq_context *context, const char *directory, const int32_t *ids, int64_t count);
/* The largest difference from wanted, and the length of the difference, as fractions of the largest
 * number and of the length of wanted. */
double logits_worst(const float *logits, const float *wanted, int64_t count);
double logits_distance(const float *logits, const float *wanted, int64_t count);

#endif
