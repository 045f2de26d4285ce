/*
 * An axis of a chart: which range it shows, where a value is on it, where its ticks are.
 */
#ifndef AXIS_H
#define AXIS_H

#include "report/html.h"

enum { AXIS_TICKS = 16 };

struct axis {
    int logarithmic;
    double low, high; /* low < high; both > 0 where it is logarithmic */
};

/* An axis for values from low to high, which may be equal, with a margin (a fraction of the whole)
 * on both sides. */
struct axis axis_create(int logarithmic, double low, double high, double margin);
/* 0 at the low end, 1 at the high end; beyond for values outside. */
double axis_at(const struct axis *axis, double value);
/* Round values within the axis, rising; returns how many. */
int axis_ticks(const struct axis *axis, double ticks[AXIS_TICKS]);
/* The text of a tick: 0.001, 25, 1000, and powers of ten beyond. */
void axis_print(struct html *h, double tick);

#endif
