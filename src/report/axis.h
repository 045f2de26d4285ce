/*
 * An axis of a chart: its range, positions of values on it, and ticks.
 */
#ifndef AXIS_H
#define AXIS_H

#include "report/html.h"

enum { AXIS_TICKS = 16 };

struct axis {
    int logarithmic;
    double low, high; /* low < high; both > 0 if logarithmic */
};

/* Creates an axis for values from low to high, which may be equal, with a margin (a fraction of the
 * whole) at both ends. */
struct axis axis_create(int logarithmic, double low, double high, double margin);
/* 0 at the low end, 1 at the high end; outside 0 .. 1 for values outside the range. */
double axis_at(const struct axis *axis, double value);
/* Round values within the axis, ascending; returns their number. */
int axis_ticks(const struct axis *axis, double ticks[AXIS_TICKS]);
/* Writes a tick label: 0.001, 25, 1000, and powers of ten beyond. */
void axis_print(struct html *h, double tick);

#endif
