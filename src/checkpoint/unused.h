/*
 * Contents of a checkpoint that the model does not use and that do not affect what it computes.
 * They are reported to the user once.
 */
#ifndef UNUSED_H
#define UNUSED_H

#include <stdint.h>

struct unused {
    char text[400]; /* names, separated by commas */
    int64_t count, shown;
};

/* Adds kind and name; an immediate repetition counts once. */
void unused_add(struct unused *u, const char *kind, const char *name);
/* Prints "ptq: MODEL: not used: ..." on stderr, if there is anything. */
void unused_print(const struct unused *u, const char *model);

#endif
