/*
 * Progress of long work on stderr: one line that is redrawn on a terminal, or a plain line every
 * few seconds in a log. The remaining time is estimated from the time taken so far.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "ptq/context.h"

struct progress {
    double start, shown; /* clock times */
    double done_before;  /* fraction done before the start (a resumed run) */
    int terminal, quiet, line_open;
    double from, share; /* current part of the whole that fractions refer to; initially 0 and 1 */
    const char *part;   /* its name, or NULL */
};

void progress_begin(struct progress *p, int quiet);
/* Begins one part of longer work: share of the whole, starting at `from`. part is not copied. */
void progress_part(struct progress *p, double from, double share, const char *part);
/* fraction is 0 .. 1 of the whole or of the part; format says what is being done. */
void progress_show(struct progress *p, double fraction, const char *format, ...);
/* Clears the terminal line. */
void progress_end(struct progress *p);

#endif
