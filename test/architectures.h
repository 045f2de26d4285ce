/* The models of test_architectures.c. */
#ifndef TEST_ARCHITECTURES_H
#define TEST_ARCHITECTURES_H

#include <stddef.h>
#include <stdint.h>

/* Makes the model of test/data/architectures/NAME in the scratch directory, and stores the path. */
void architectures_make(const char *name, char *directory, size_t capacity);
/* Runs a model and compares its logits with those that a safetensors file holds for its ids. */
void architectures_compare(const char *model, const char *reference);
/* The same with the logits of another model. */
void architectures_compare_models(const char *model, const char *other, const char *reference);
/* The file with what was recorded of a model. */
void architectures_reference(const char *name, char *path, size_t capacity);

#endif
