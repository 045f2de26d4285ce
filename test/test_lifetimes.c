/*
 * Lifetimes: handles and their context may be freed in any order and from any thread, as garbage
 * collectors do. The sanitizers see what is used after it went.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "test.h"

void test_lifetimes(void);

enum { N = 6, K = 64, KINDS = 9 };

/* One handle of each kind, and what frees it. */
struct family {
    struct member {
        void *handle;
        void (*free)(void *handle);
    } members[KINDS];
    float weights[N * K]; /* borrowed by a tensor */
};

#define FREE(noun)                                                                                 \
    static void free_##noun(void *handle)                                                          \
    {                                                                                              \
        ptq_##noun##_free(handle);                                                                 \
    }
FREE(context)
FREE(tensor)
FREE(stats)
FREE(config)
FREE(qtensor)
FREE(equalization)
FREE(store)

static const char *path_in_use(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", test_scratch("lifetimes.safetensors"));
    return path;
}

static void write_file(void)
{
    const int64_t shape[2] = {N, K};
    ptq_tensor *tensor;
    ptq_store *store;
    CHECK_OK(ptq_tensor_create(test_context(), PTQ_DTYPE_F32, 2, shape, &tensor));
    ((float *)ptq_tensor_data(tensor))[N * K - 1] = 3.0f;
    CHECK_OK(ptq_store_create(test_context(), path_in_use(), &store));
    CHECK_OK(ptq_store_add(store, "a", tensor));
    ptq_tensor_free(tensor); /* the store keeps it */
    CHECK_OK(ptq_store_commit(store));
    ptq_store_free(store);
}

/* The store being written refers to both a borrowed tensor and the store being read. */
static void make_family(struct family *f)
{
    const int64_t shape[2] = {N, K};
    ptq_context *context = test_failing_context(0);
    ptq_tensor *borrowed, *mapped;
    ptq_stats *stats;
    ptq_config *config;
    ptq_qtensor *q;
    ptq_equalization *equalization;
    ptq_store *reading, *writing;
    for (int i = 0; i < N * K; i++)
        f->weights[i] = (float)(i % 13 - 6);
    CHECK_OK(ptq_context_set_threads(context, 2));
    CHECK_OK(ptq_tensor_borrow(context, PTQ_DTYPE_F32, 2, shape, f->weights, &borrowed));
    CHECK_OK(ptq_stats_create(context, K, PTQ_STATS_HESSIAN, &stats));
    CHECK_OK(ptq_stats_update(stats, f->weights, PTQ_DTYPE_F32, N, K, NULL));
    CHECK_OK(ptq_config_create(context, PTQ_METHOD_RTN, &config));
    const ptq_tensor *weights[1] = {borrowed};
    CHECK_OK(ptq_equalize(config, weights, 1, stats, NULL, &equalization));
    CHECK_OK(ptq_quantize(config, weights, 1, stats, NULL, &q));
    CHECK_OK(ptq_store_open(context, path_in_use(), &reading));
    CHECK_OK(ptq_store_tensor(reading, "a", &mapped));
    CHECK_OK(ptq_store_create(context, test_scratch("lifetimes-out.safetensors"), &writing));
    CHECK_OK(ptq_store_add(writing, "borrowed", borrowed));
    CHECK_OK(ptq_store_add(writing, "mapped", mapped));
    CHECK_OK(ptq_store_copy(writing, reading, "a"));
    const struct member members[KINDS] = {
        {context, free_context}, {borrowed, free_tensor}, {stats, free_stats},
        {config, free_config},   {q, free_qtensor},       {equalization, free_equalization},
        {reading, free_store},   {mapped, free_tensor},   {writing, free_store},
    };
    memcpy(f->members, members, sizeof members);
}

static void free_in_order(struct family *f, const int *order)
{
    for (int i = 0; i < KINDS; i++)
        f->members[order[i]].free(f->members[order[i]].handle);
    test_free_failing(NULL); /* nothing is left */
}

static void swap(int *a, int *b)
{
    const int was = *a;
    *a = *b;
    *b = was;
}

/* The members that depend on each other (the context, the stores and their tensors, and one that
 * stands for the rest) in every order, in the midst of the others. */
static void test_related(void)
{
    static const int related[6] = {0, 1, 6, 7, 8, 4}, others[3] = {2, 3, 5};
    int state[6] = {0}, order[6];
    struct family f;
    memcpy(order, related, sizeof order);
    for (int i = 0; i < 6;) { /* Heap's algorithm */
        int whole[KINDS];
        if (i == 0 || state[i] < i) {
            if (i)
                swap(&order[i % 2 ? state[i] : 0], &order[i]);
            memcpy(whole, order, 3 * sizeof *whole);
            memcpy(whole + 3, others, sizeof others);
            memcpy(whole + 6, order + 3, 3 * sizeof *whole);
            make_family(&f);
            free_in_order(&f, whole);
            state[i] += i > 0;
            i = 1;
            continue;
        }
        state[i++] = 0;
    }
}

/* All of them, in many orders. */
static void test_all(void)
{
    struct random random = {7};
    struct family f;
    for (int round = 0; round < 200; round++) {
        int order[KINDS];
        for (int i = 0; i < KINDS; i++)
            order[i] = i;
        for (int i = KINDS - 1; i > 0; i--)
            swap(&order[i], &order[random_below(&random, i + 1)]);
        make_family(&f);
        free_in_order(&f, order);
    }
}

/* What still has a handle works, although its context and store were freed. */
static void test_use_after(void)
{
    ptq_context *context = test_failing_context(0);
    ptq_config *config;
    ptq_store *reading, *writing;
    ptq_tensor *mapped;
    ptq_qtensor *q;
    CHECK_OK(ptq_context_set_threads(context, 3));
    CHECK_OK(ptq_config_create(context, PTQ_METHOD_RTN, &config));
    CHECK_OK(ptq_store_open(context, path_in_use(), &reading));
    CHECK_OK(ptq_store_tensor(reading, "a", &mapped));
    CHECK_OK(ptq_store_create(context, test_scratch("lifetimes-out.safetensors"), &writing));
    CHECK_OK(ptq_store_copy(writing, reading, "a"));
    CHECK_OK(ptq_store_add(writing, "b", mapped));
    CHECK_STATUS(ptq_store_copy(writing, writing, "a"), PTQ_ERROR_ARGUMENT);
    CHECK_STATUS(ptq_store_tensor(writing, "a", &(ptq_tensor *){NULL}), PTQ_ERROR_ARGUMENT);
    ptq_context_free(context);
    ptq_store_free(reading);
    const ptq_tensor *weights[1] = {mapped};
    CHECK_OK(ptq_quantize(config, weights, 1, NULL, NULL, &q));
    ptq_tensor_free(mapped);
    ptq_config_free(config);
    CHECK_OK(ptq_store_commit(writing));
    ptq_store_free(writing);
    CHECK_EQ(ptq_qtensor_n(q), N);
    ptq_qtensor_free(q);
    test_free_failing(NULL);
}

static void *free_stats_of(void *stats)
{
    ptq_stats_free(stats);
    return NULL;
}

/* Many threads free the handles of one context, whose workers have run. */
static void test_threads(void)
{
    enum { THREADS = 8 };
    float x[16 * K];
    for (int i = 0; i < 16 * K; i++)
        x[i] = (float)(i % 5);
    for (int round = 0; round < 20; round++) {
        ptq_context *context = test_failing_context(0);
        ptq_stats *stats[THREADS];
        pthread_t threads[THREADS];
        CHECK_OK(ptq_context_set_threads(context, 4));
        for (int i = 0; i < THREADS; i++) {
            CHECK_OK(ptq_stats_create(context, K, PTQ_STATS_HESSIAN, &stats[i]));
            CHECK_OK(ptq_stats_update(stats[i], x, PTQ_DTYPE_F32, 16, K, NULL));
        }
        for (int i = 0; i < THREADS; i++)
            CHECK(!pthread_create(&threads[i], NULL, free_stats_of, stats[i]));
        ptq_context_free(context);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        test_free_failing(NULL);
    }
}

void test_lifetimes(void)
{
    write_file();
    test_related();
    test_all();
    test_use_after();
    test_threads();
}
