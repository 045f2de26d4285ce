#include "bench/samples.h"
#include <stdlib.h>

void samples_add(struct samples *s, double value)
{
    if (s->count < MAX_SAMPLES)
        s->values[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double samples_median(struct samples *s)
{
    const int half = s->count / 2;
    if (!s->count)
        return 0;
    qsort(s->values, (size_t)s->count, sizeof *s->values, compare);
    return s->count % 2 ? s->values[half] : (s->values[half - 1] + s->values[half]) / 2;
}
