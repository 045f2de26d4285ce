#include "report/axis.h"
#include <math.h>

/* log10 of value, limited to where powers of ten do not become 0 or infinite. */
static double exponent_of(double value)
{
    return fmax(-300, fmin(300, log10(value)));
}

struct axis axis_create(int logarithmic, double low, double high, double margin)
{
    double from = logarithmic ? exponent_of(low) : low, to = logarithmic ? exponent_of(high) : high;
    double extra = margin * (to - from);
    if (!(extra > 1e-9 * fabs(to))) /* no range: widen it around the one value */
        extra = logarithmic ? 0.2 : to != 0 ? 0.1 * fabs(to) : 1;
    if (!logarithmic)
        return (struct axis){0, from - extra, to + extra};
    extra = fmin(extra, 1);
    return (struct axis){1, pow(10, from - extra), pow(10, to + extra)};
}

double axis_at(const struct axis *axis, double value)
{
    double low = axis->low, high = axis->high;
    if (axis->logarithmic) {
        value = exponent_of(value);
        low = log10(low);
        high = log10(high);
    }
    return (value - low) / (high - low);
}

/* Four to ten multiples of 1, 2 or 5 times a power of ten. */
static int linear_ticks(const struct axis *axis, double *ticks)
{
    double range = axis->high - axis->low, step = pow(10, floor(log10(range / 5)));
    int count = 0;
    if (range / step > 40)
        step *= 10;
    else if (range / step > 20)
        step *= 5;
    else if (range / step > 8)
        step *= 2;
    for (double n = ceil(axis->low / step); n * step <= axis->high && count < AXIS_TICKS; n++)
        ticks[count++] = n * step;
    return count;
}

int axis_ticks(const struct axis *axis, double ticks[AXIS_TICKS])
{
    static const double mantissas[] = {1, 2, 5};
    double decades = axis->logarithmic ? log10(axis->high) - log10(axis->low) : 0;
    int count = 0, fine = decades<2.2, every = decades> 7 ? (int)ceil(decades / 6) : 1;
    if (decades < 0.8)
        return linear_ticks(axis, ticks);
    for (int e = (int)floor(log10(axis->low)); e <= (int)ceil(log10(axis->high)); e++)
        for (int m = 0; m < (fine ? 3 : 1); m++) {
            double tick = mantissas[m] * pow(10, e);
            if (e % every == 0 && tick >= axis->low && tick <= axis->high && count < AXIS_TICKS)
                ticks[count++] = tick;
        }
    return count;
}

void axis_print(struct html *h, double tick)
{
    if (tick == 0 || (fabs(tick) > 0.99e-3 && fabs(tick) < 1e6)) {
        html_print(h, "%.6g", tick);
        return;
    }
    html_power(h, tick, 3);
}
