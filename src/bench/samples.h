/*
 * Repeated measurements. The median counts, so a few that other programs disturbed do not matter.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

enum { MAX_SAMPLES = 400 };

struct samples {
    int count;
    double values[MAX_SAMPLES];
};

/* Does nothing if there is no space left. */
void samples_add(struct samples *s, double value);
/* 0 if there are none. Sorts the samples. */
double samples_median(struct samples *s);

#endif
