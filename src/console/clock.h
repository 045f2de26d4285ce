/* The clock of the command. */
#ifndef CLOCK_H
#define CLOCK_H

/* Seconds since some moment; never goes back. */
double clock_seconds(void);

#endif
