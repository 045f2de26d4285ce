/*
 * Numbers measured again and again, of which the median counts: what other programs do to a few of
 * them does not.
 */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

enum { MAX_SAMPLES = 400 };

struct samples {
    int count;
    double values[MAX_SAMPLES];
};

/* Does nothing where there is no room left. */
void samples_add(struct samples *s, double value);
/* 0 where there are none. Puts them in order. */
double samples_median(struct samples *s);

#endif
