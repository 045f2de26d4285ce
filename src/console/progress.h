/*
 * Progress of long work on stderr: one line that renews itself on a terminal, a plain line every
 * some seconds in a log. The time left is reckoned from the time that the done part took.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "ptq/context.h"

struct progress {
    double start, shown; /* clock times */
    double done_before;  /* fraction that was there at the start (a resumed run) */
    int terminal, quiet, line_open;
    double from, share; /* the part of the whole that fractions are of now; 0 and 1 at first */
    const char *part;   /* its name, or NULL */
};

void progress_begin(struct progress *p, int quiet);
/* What follows is one part of a longer work: share of the whole, from `from` on. part must live on.
 */
void progress_part(struct progress *p, double from, double share, const char *part);
/* fraction 0 .. 1 of the whole, or of the part, and what is being done. */
void progress_show(struct progress *p, double fraction, const char *format, ...);
/* Clears the line of a terminal. */
void progress_end(struct progress *p);

#endif
