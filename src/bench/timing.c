#include "bench/timing.h"
#include <time.h>
#include "base/context.h"
#include "base/team.h"
#include "console/clock.h"

static void run_nothing(void *argument, int64_t part)
{
    (void)argument, (void)part;
}

double timing_now(ptq_context *context)
{
    struct timespec t;
    if (ptqi_threads(context) > 1 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t))
        return clock_seconds();
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double timing_begin(ptq_context *context)
{
    const int64_t threads = ptqi_threads(context);
    for (int i = 0; i < 3 && threads > 1; i++)
        ptqi_parallel(context, threads, run_nothing, NULL);
    return timing_now(context);
}

/* A limit to be measured on all threads. */
struct work {
    const struct limit_loop *loop;
    int64_t rounds, parts, bytes;
    const char *memory;
    int streams;
};

static void run_loop(void *argument, int64_t part)
{
    const struct work *w = argument;
    (void)part;
    w->loop->run(w->rounds);
}

static void run_read(void *argument, int64_t part)
{
    const struct work *w = argument;
    int64_t begin, end;
    ptqi_split(w->bytes, 4096, part, w->parts, &begin, &end);
    limit_read(w->memory + begin, end - begin, w->streams);
}

double timing_loop_rate(ptq_context *context, const struct limit_loop *loop)
{
    struct work w = {.loop = loop, .parts = ptqi_threads(context)};
    w.rounds = w.parts > 1 ? 1000000 : 50000; /* much longer than threads take to start */
    const double start = timing_begin(context);
    ptqi_parallel(context, w.parts, run_loop, &w);
    return (double)w.parts * (double)w.rounds * loop->operations / (timing_now(context) - start);
}

double timing_read_seconds(ptq_context *context, const char *memory, int64_t bytes, int streams)
{
    struct work w = {
        .parts = ptqi_threads(context), .bytes = bytes, .memory = memory, .streams = streams};
    if (bytes < 1 << 20)
        w.parts = 1; /* waking a thread would take longer */
    const double start = timing_begin(context);
    ptqi_parallel(context, w.parts, run_read, &w);
    return timing_now(context) - start;
}
