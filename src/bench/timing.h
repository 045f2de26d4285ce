/*
 * The time that things take on all threads of a context: of one thread that on the CPU, which other
 * programs disturb less, of more that of the clock.
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "bench/limits.h"
#include "ptq/ptq.h"

/* Seconds; begin: when all threads are awake, as in an engine that has just run another product. */
double timing_now(ptq_context *context);
double timing_begin(ptq_context *context);
/* Operations per second of a loop on all threads together. */
double timing_loop_rate(ptq_context *context, const struct limit_loop *loop);
/* Of a plain read in so many streams for each thread. */
double timing_read_seconds(ptq_context *context, const char *memory, int64_t bytes, int streams);

#endif
