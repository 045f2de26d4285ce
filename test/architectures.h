/* The models of test_architectures.c. */
#ifndef TEST_ARCHITECTURES_H
#define TEST_ARCHITECTURES_H

#include <stddef.h>

/* Makes the model of test/data/architectures/NAME in the scratch directory, and stores the path. */
void architectures_make(const char *name, char *directory, size_t capacity);

#endif
