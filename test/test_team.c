/*
 * Threads: every part runs once, whoever runs it; nested calls, several contexts, a context shared
 * by threads, the caller's own parallel_for; cancellation.
 */
#include "test.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/context.h"
#include "base/team.h"
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#endif

void test_team(void);

#define PARTS 1000

static void test_split(void)
{
    int wrong = 0;
    for (int64_t total = 0; total <= 150; total++)
        for (int64_t unit = 1; unit <= 33; unit += unit < 5 ? 1 : 7)
            for (int64_t parts = 1; parts <= 12; parts++) {
                int64_t at = 0, smallest = INT64_MAX, largest = 0;
                for (int64_t part = 0; part < parts; part++) {
                    int64_t begin, end;
                    ptqi_split(total, unit, part, parts, &begin, &end);
                    wrong += begin != at || end < begin || (end % unit && end != total);
                    int64_t units = (end - begin + unit - 1) / unit;
                    smallest = units < smallest ? units : smallest;
                    largest = units > largest ? units : largest;
                    at = end;
                }
                wrong += at != total || largest - smallest > 1;
            }
    CHECK_EQ(wrong, 0);
}

struct counts {
    ptq_context *context;
    atomic_int runs[PARTS];
    atomic_llong sum;
    int64_t inner;
};

static void count_part(void *argument, int64_t part)
{
    struct counts *c = argument;
    atomic_fetch_add(&c->runs[part], 1);
    atomic_fetch_add(&c->sum, part + 1);
}

/* Whether exactly parts parts ran, once each. */
static int ran_once(struct counts *c, int64_t parts)
{
    for (int64_t i = 0; i < PARTS; i++)
        if (atomic_load(&c->runs[i]) != (i < parts))
            return 0;
    return atomic_load(&c->sum) == parts * (parts + 1) / 2;
}

static void clear(struct counts *c)
{
    for (int i = 0; i < PARTS; i++)
        atomic_store(&c->runs[i], 0);
    atomic_store(&c->sum, 0);
}

static ptq_context *make_context(int32_t threads)
{
    ptq_context *context;
    CHECK_OK(ptq_context_create(&context));
    CHECK_OK(ptq_context_set_threads(context, threads));
    return context;
}

static void test_parts(void)
{
    static const int32_t threads[] = {1, 2, 3, 7, 64};
    static const int64_t parts[] = {0, 1, 2, 3, 5, 63, 64, 65, PARTS};
    struct counts c;
    for (int t = 0; t < 5; t++) {
        ptq_context *context = make_context(threads[t]);
        CHECK_EQ(ptq_context_threads(context), threads[t]);
        for (int repeat = 0; repeat < 5; repeat++)
            for (int p = 0; p < 9; p++) {
                clear(&c);
                ptqi_parallel(context, parts[p], count_part, &c);
                CHECK(ran_once(&c, parts[p]));
            }
        ptq_context_free(context);
    }
}

static void nested_part(void *argument, int64_t part)
{
    struct counts *outer = argument, inner;
    (void)part;
    clear(&inner);
    ptqi_parallel(outer->context, 20, count_part, &inner);
    atomic_fetch_add(&outer->sum, ran_once(&inner, 20));
}

static void test_nested(void)
{
    struct counts c;
    c.context = make_context(3);
    clear(&c);
    for (int repeat = 0; repeat < 20; repeat++)
        ptqi_parallel(c.context, 10, nested_part, &c);
    CHECK_EQ(atomic_load(&c.sum), 200);
    ptq_context_free(c.context);
}

struct caller {
    ptq_context *context;
    int64_t wrong;
};

static void *call_often(void *argument)
{
    struct caller *caller = argument;
    struct counts c;
    for (int i = 0; i < 300; i++) {
        int64_t parts = 1 + i % 17;
        clear(&c);
        ptqi_parallel(caller->context, parts, count_part, &c);
        caller->wrong += !ran_once(&c, parts);
    }
    return NULL;
}

/* Four threads that call at once, with one context each or a shared one. */
static void test_callers(int shared)
{
    struct caller callers[4];
    pthread_t threads[4];
    ptq_context *context = make_context(3);
    for (int i = 0; i < 4; i++) {
        callers[i] = (struct caller){shared ? context : make_context(2 + i % 2), 0};
        CHECK(pthread_create(&threads[i], NULL, call_often, &callers[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(callers[i].wrong, 0);
        if (!shared)
            ptq_context_free(callers[i].context);
    }
    ptq_context_free(context);
}

struct own_threads {
    int64_t calls, parts;
};

/* In reverse order, on the calling thread. */
static ptq_status own_parallel_for(void *user, int64_t parts, ptq_body_function body,
                                   void *argument)
{
    struct own_threads *own = user;
    own->calls++;
    own->parts += parts;
    for (int64_t part = parts - 1; part >= 0; part--)
        body(argument, part);
    return PTQ_OK;
}

static void test_parallel_for(void)
{
    struct counts c;
    struct own_threads own = {0, 0};
    ptq_context *context = make_context(4);
    CHECK_OK(ptq_context_set_parallel_for(context, own_parallel_for, &own));
    clear(&c);
    ptqi_parallel(context, 9, count_part, &c);
    CHECK(ran_once(&c, 9));
    CHECK(own.calls == 1 && own.parts == 9);
    CHECK_OK(ptq_context_set_parallel_for(context, NULL, NULL));
    clear(&c);
    ptqi_parallel(context, 9, count_part, &c);
    CHECK(ran_once(&c, 9));
    CHECK_EQ(own.calls, 1);
    ptq_context_free(context);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_FORK "fork: the thread sanitizer ends a child that starts threads"
#endif
#endif

#ifdef NO_FORK
static void test_fork(void)
{
    test_skip(NO_FORK);
}
#else
static int runs_all(ptq_context *context)
{
    struct counts c;
    int all = 1;
    for (int repeat = 0; repeat < 20; repeat++) {
        clear(&c);
        ptqi_parallel(context, 33, count_part, &c);
        all &= ran_once(&c, 33);
    }
    return all;
}

/* A child has none of its parent's threads. */
static void test_fork(void)
{
    const char *emulator = getenv("RUN");
    if (emulator && *emulator) {
        test_skip("fork: an emulator has threads of its own");
        return;
    }
    ptq_context *context = make_context(3), *unused = make_context(3);
    for (int used = 0; used < 2; used++) {
        if (used)
            CHECK(runs_all(context));
        const pid_t child = fork();
        if (child == 0) {
            alarm(60); /* on failure it would wait forever */
            const int all = runs_all(context) && runs_all(unused);
            ptq_context_free(unused);
            ptq_context_free(context);
            _exit(!all);
        }
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        CHECK(runs_all(context));
    }
    ptq_context_free(unused);
    ptq_context_free(context);
}
#endif

/* Without memory for threads, the existing ones do the work. */
static void test_no_memory(void)
{
    struct counts c;
    for (int64_t n = 1; n < 12; n++) {
        ptq_context *context = test_failing_context(n);
        if (context) {
            CHECK_OK(ptq_context_set_threads(context, 5));
            clear(&c);
            ptqi_parallel(context, 33, count_part, &c);
            CHECK(ran_once(&c, 33));
        }
        test_free_failing(context);
    }
}

static ptq_context *signalled;

static void on_signal(int number)
{
    (void)number;
    ptq_context_cancel(signalled);
}

static void test_cancel(void)
{
    ptq_context *context = make_context(2);
    CHECK_OK(ptqi_check_cancelled(context));
    ptq_context_cancel(context);
    CHECK_STATUS(ptqi_check_cancelled(context), PTQ_ERROR_CANCELLED);
    CHECK_STATUS(ptqi_check_cancelled(context), PTQ_ERROR_CANCELLED);
    CHECK_OK(ptqi_check_cancelled(test_context())); /* another context continues */
    ptq_context_clear_cancel(context);
    CHECK_OK(ptqi_check_cancelled(context));
    ptq_context_cancel(NULL);

    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    signalled = context;
    sigaction(SIGUSR1, &action, &before);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    CHECK_STATUS(ptqi_check_cancelled(context), PTQ_ERROR_CANCELLED);
    ptq_context_free(context);
}

static void test_setters(void)
{
    ptq_context *context = make_context(0);
    int32_t cpus = ptq_context_threads(context);
    CHECK(cpus >= 1 && cpus <= 1024);
    CHECK_STATUS(ptq_context_set_threads(context, -1), PTQ_ERROR_BOUNDS);
    CHECK_STATUS(ptq_context_set_threads(context, 1025), PTQ_ERROR_BOUNDS);
    CHECK_EQ(ptq_context_threads(context), cpus);
    CHECK_OK(ptq_context_set_threads(context, 1024));
    CHECK_EQ(ptq_context_threads(context), 1024);
    ptq_context_free(context); /* no thread was ever started */
    ptq_context_free(NULL);
}

/* Whether this process has permission to use AMX tiles. */
static int may_use_tiles(void)
{
#if defined(__linux__) && defined(__x86_64__) && defined(SYS_arch_prctl)
    enum { ARCH_GET_XCOMP_PERM = 0x1022, XFEATURE_XTILEDATA = 18 };
    uint64_t permitted = 0;
    return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) == 0 &&
           (permitted >> XFEATURE_XTILEDATA & 1);
#else
    return 0;
#endif
}

/* Neither creating a context nor a query requests permission; selecting AMX by name does. */
static void test_permission(void)
{
    const int before = may_use_tiles();
    ptq_context *context = make_context(1);
    ptq_isa_usable(PTQ_ISA_AMX_INT8);
    CHECK_OK(ptq_context_set_isa(context, PTQ_AUTO));
    CHECK_EQ(may_use_tiles(), before);
    CHECK((ptq_context_set_isa(context, PTQ_ISA_AMX_INT8) == PTQ_OK) ==
          ptq_isa_usable(PTQ_ISA_AMX_INT8));
    CHECK(may_use_tiles() || !ptq_isa_usable(PTQ_ISA_AMX_INT8));
    ptq_context_free(context);
}

static void test_instruction_sets(void)
{
    ptq_context *context = make_context(1);
    CHECK(ptq_isa_usable(PTQ_ISA_PORTABLE));
    CHECK(ptq_context_isa(context) != PTQ_AUTO);
    for (int32_t isa = -1; isa < 30; isa++) {
        int before = ptq_context_isa(context);
        ptq_status status = ptq_context_set_isa(context, isa);
        if (!ptq_isa_name(isa))
            CHECK_EQ(status, PTQ_ERROR_UNKNOWN);
        else if (!ptq_isa_usable(isa))
            CHECK_EQ(status, PTQ_ERROR_UNSUPPORTED);
        else
            CHECK_OK(status);
        CHECK(ptq_context_isa(context) == (status || isa == PTQ_AUTO ? before : isa) ||
              isa == PTQ_AUTO);
    }
    ptq_context_free(context);
}

void test_team(void)
{
    test_split();
    test_parts();
    test_nested();
    test_callers(0);
    test_callers(1);
    test_parallel_for();
    test_fork();
    test_no_memory();
    test_cancel();
    test_setters();
    test_permission();
    test_instruction_sets();
}
