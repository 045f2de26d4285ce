/*
 * What a checkpoint holds and the model does not use, where that has no influence on what it
 * computes: said once to the user.
 */
#ifndef UNUSED_H
#define UNUSED_H

#include <stdint.h>

struct unused {
    char text[400]; /* names, with commas */
    int64_t count, shown;
};

/* Adds a name, in front of which kind stands; the same name twice in a row counts once. */
void unused_add(struct unused *u, const char *kind, const char *name);
/* "ptq: MODEL: not used: ..." on stderr, where there is anything. */
void unused_print(const struct unused *u, const char *model);

#endif
