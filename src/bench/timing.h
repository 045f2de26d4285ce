/*
 * Times operations on all threads of a context. For one thread this is CPU time, which other
 * programs disturb less; for several, wall-clock time.
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "bench/limits.h"
#include "ptq/ptq.h"

/* Times in seconds. Take the time at the start with timing_begin, which first wakes all threads, as
 * in an engine that has just run another product. */
double timing_now(ptq_context *context);
double timing_begin(ptq_context *context);
/* Operations per second of a loop on all threads together. */
double timing_loop_rate(ptq_context *context, const struct limit_loop *loop);
/* Seconds for a plain read in `streams` streams per thread. */
double timing_read_seconds(ptq_context *context, const char *memory, int64_t bytes, int streams);

#endif
