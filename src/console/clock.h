/* The clock of the command. */
#ifndef CLOCK_H
#define CLOCK_H

/* Seconds since an arbitrary moment; monotonic. */
double clock_seconds(void);

#endif
