/*
 * Runs the unit tests: all, or those named as arguments. The last line is: N passed, N failed, N
 * skipped.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/random.h"
#include "test.h"

#define TESTS                                                                                      \
    TEST(base)                                                                                     \
    TEST(exact)                                                                                    \
    TEST(team)                                                                                     \
    TEST(json)                                                                                     \
    TEST(store)                                                                                    \
    TEST(releases)                                                                                 \
    TEST(stats)                                                                                    \
    TEST(stats_parts)                                                                              \
    TEST(enumerate)                                                                                \
    TEST(lifetimes)                                                                                \
    TEST(config)                                                                                   \
    TEST(qtensor)                                                                                  \
    TEST(kernel)                                                                                   \
    TEST(matmul)                                                                                   \
    TEST(linear)                                                                                   \
    TEST(forms)                                                                                    \
    TEST(encoding)                                                                                 \
    TEST(activations)                                                                              \
    TEST(call)                                                                                     \
    TEST(prepared)                                                                                 \
    TEST(packed)                                                                                   \
    TEST(door)                                                                                     \
    TEST(parallel)                                                                                 \
    TEST(method)                                                                                   \
    TEST(gptaq)                                                                                    \
    TEST(extremes)                                                                                 \
    TEST(plus)                                                                                     \
    TEST(scale_forms)                                                                              \
    TEST(auto)                                                                                     \
    TEST(equalize)                                                                                 \
    TEST(golden)                                                                                   \
    TEST(regex)                                                                                    \
    TEST(text)                                                                                     \
    TEST(chat)                                                                                     \
    TEST(jinja)                                                                                    \
    TEST(tokenizers)                                                                               \
    TEST(page)                                                                                     \
    TEST(attention)                                                                                \
    TEST(model)                                                                                    \
    TEST(architectures)                                                                            \
    TEST(formats)                                                                                  \
    TEST(smollm2)                                                                                  \
    TEST(readers)                                                                                  \
    TEST(gguf)                                                                                     \
    TEST(gguf_models)                                                                              \
    TEST(gguf_write)                                                                               \
    TEST(gguf_names)                                                                               \
    TEST(contents)

#define TEST(name) void test_##name(void);
TESTS
#undef TEST

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
#define TEST(name) {#name, test_##name},
    TESTS
#undef TEST
};

static int64_t checks, failures, skips;
static ptq_context *shared_context;

int test_check(int ok, const char *file, int line, const char *text)
{
    checks++;
    if (!ok && ++failures <= 50)
        printf("%s:%d: failed: %s\n", file, line, text);
    return ok;
}

int test_check_ok(ptq_status status, const char *file, int line, const char *text)
{
    char message[512];
    if (test_check(status == PTQ_OK, file, line, text))
        return 1;
    ptq_last_message(message, (int64_t)sizeof message);
    printf("    %s: %s\n", ptq_status_name(status), message);
    return 0;
}

int test_check_equal(int64_t a, int64_t b, const char *file, int line, const char *text)
{
    if (test_check(a == b, file, line, text))
        return 1;
    printf("    %lld against %lld\n", (long long)a, (long long)b);
    return 0;
}

void test_skip(const char *reason)
{
    skips++;
    printf("    SKIPPED: %s\n", reason);
}

ptq_context *test_context(void)
{
    return shared_context;
}

/* An allocator that counts, and fails from a given allocation on. */
struct allocator {
    atomic_llong made, live;
    int64_t fail_at;
};
static struct allocator allocator;

static void *failing_allocate(void *user, int64_t bytes, int64_t alignment)
{
    struct allocator *a = user;
    void *pointer = NULL;
    long long number = atomic_fetch_add(&a->made, 1) + 1;
    if (a->fail_at && number >= a->fail_at)
        return NULL;
    if (posix_memalign(&pointer, (size_t)alignment, (size_t)bytes))
        return NULL;
    memset(pointer, 0xa5, (size_t)bytes); /* nothing may rely on zeros */
    atomic_fetch_add(&a->live, 1);
    return pointer;
}

static void failing_release(void *user, void *pointer)
{
    struct allocator *a = user;
    atomic_fetch_sub(&a->live, 1);
    free(pointer);
}

ptq_context *test_failing_context(int64_t fail_at)
{
    ptq_context *context;
    atomic_store(&allocator.made, 0);
    atomic_store(&allocator.live, 0);
    allocator.fail_at = fail_at;
    ptq_context_create_with_allocator(failing_allocate, failing_release, &allocator, &context);
    return context;
}

int64_t test_free_failing(ptq_context *context)
{
    ptq_context_free(context);
    CHECK_EQ(atomic_load(&allocator.live), 0);
    return atomic_load(&allocator.made);
}

static const char *path_in(const char *directory, const char *name)
{
    static char paths[8][512]; /* several may be in use at once */
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *test_data(const char *name)
{
    return path_in("test/data", name);
}

const char *shared_data(const char *name)
{
    const char *path = path_in("../shared", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *test_scratch(const char *name)
{
    const char *build = getenv("BUILD");
    char directory[256];
    snprintf(directory, sizeof directory, "%s/scratch", build ? build : "build");
    mkdir(directory, 0777);
    return path_in(directory, name);
}

int test_long(void)
{
    return getenv("LONG") != NULL;
}

uint64_t random_bits(struct random *r)
{
    return ptqi_random(&r->state);
}

int64_t random_below(struct random *r, int64_t n)
{
    return (int64_t)(random_bits(r) % (uint64_t)n);
}

float random_uniform(struct random *r)
{
    return (float)(random_bits(r) >> 40) * 0x1p-23f - 1.0f;
}

float random_normal(struct random *r)
{
    float sum = 0;
    for (int i = 0; i < 12; i++)
        sum += random_uniform(r);
    return sum * 0.5f;
}

int main(int argc, char **argv)
{
    int count = sizeof tests / sizeof *tests;
    if (ptq_context_create(&shared_context))
        return 1;
    for (int i = 0; i < count; i++) {
        int wanted = argc < 2;
        for (int a = 1; a < argc; a++)
            wanted |= !strcmp(argv[a], tests[i].name);
        int64_t checks_before = checks, failures_before = failures;
        if (!wanted)
            continue;
        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run();
        printf("    %lld checks%s\n", (long long)(checks - checks_before),
               failures > failures_before ? ", FAILED" : "");
    }
    ptq_context_free(shared_context);
    printf("%lld passed, %lld failed, %lld skipped\n", (long long)(checks - failures),
           (long long)failures, (long long)skips);
    return failures != 0;
}
