/*
 * The unit test harness: checks that count and continue, a shared context, data paths.
 */
#ifndef TEST_H
#define TEST_H

#include <stdint.h>
#include "ptq/ptq.h"

/* Records the result; on failure prints file, line and the condition. */
#define CHECK(condition) test_check((condition) != 0, __FILE__, __LINE__, #condition)
#define CHECK_OK(expression) test_check_ok((expression), __FILE__, __LINE__, #expression)
#define CHECK_STATUS(expression, wanted)                                                           \
    test_check_equal((expression), (wanted), __FILE__, __LINE__, #expression)
#define CHECK_EQ(a, b) test_check_equal((a), (b), __FILE__, __LINE__, #a " == " #b)

int test_check(int ok, const char *file, int line, const char *text);
int test_check_ok(ptq_status status, const char *file, int line, const char *text);
int test_check_equal(int64_t a, int64_t b, const char *file, int line, const char *text);
/* Records why the current group of checks was not run; counted and printed at the end. */
void test_skip(const char *reason);

/* A context shared by all tests. */
ptq_context *test_context(void);
/* A new context whose allocations fail starting with number fail_at (0: never). test_free_allocator
 * checks that nothing leaked and returns the number of allocations. */
ptq_context *test_failing_context(int64_t fail_at);
int64_t test_free_failing(ptq_context *context);

/* Paths: a file in test/data; a file in ../shared, or NULL if that does not exist; a scratch file.
 */
const char *test_data(const char *name);
const char *shared_data(const char *name);
const char *test_scratch(const char *name);
/* 1 for `make test-all`. */
int test_long(void);

/* A generator of random numbers with a known seed, the same on every machine. */
struct random {
    uint64_t state;
};
uint64_t random_bits(struct random *r);
/* Uniform in [0, n). */
int64_t random_below(struct random *r, int64_t n);
/* Uniform in [-1, 1), and approximately normal with deviation 1. */
float random_uniform(struct random *r);
float random_normal(struct random *r);

#endif
