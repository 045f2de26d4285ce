/*
 * The thread team. Workers start when first needed and stay. Between jobs they spin briefly, since
 * the next matrix product usually follows immediately, and then sleep. When a text is generated,
 * the work between two products takes up to some tens of microseconds, and waking a thread as long.
 */
#include "team.h"
#include <sched.h>
#include <unistd.h>

#define SPINS 1500 /* some tens of microseconds */

/* Number of forks that led to this process. fork does not copy threads. */
static atomic_int forks;
static pthread_once_t forks_counted = PTHREAD_ONCE_INIT;
#define RENEWING (-1)

struct ptqi_team {
    ptq_context *context;
    pthread_mutex_t busy; /* held while a job runs: one job at a time */
    pthread_mutex_t lock; /* protects the following fields */
    pthread_cond_t wake, done;
    pthread_t *threads;
    int64_t workers; /* threads started, not counting the caller */
    int stop;
    atomic_int forks; /* value when the workers were started, or RENEWING */

    atomic_llong generation; /* counts jobs */
    atomic_llong pending;    /* workers that have not finished the current job */
    ptq_body_function body;
    void *argument;
    int64_t parts, members; /* threads in this job, including the caller */
};

struct worker_start {
    struct ptqi_team *team;
    int64_t index;
    long long generation; /* the last job given out before this worker started */
};

static int online_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

int64_t ptqi_threads(const ptq_context *context)
{
    int n = context->threads ? context->threads : context->cpus;
    return n < PTQI_MAX_THREADS ? n : PTQI_MAX_THREADS;
}

int32_t ptq_context_threads(const ptq_context *context)
{
    return context ? (int32_t)ptqi_threads(context) : 0;
}

void ptqi_split(int64_t total, int64_t unit, int64_t part, int64_t parts, int64_t *begin,
                int64_t *end)
{
    int64_t units = (total + unit - 1) / unit;
    int64_t share = units / parts, rest = units % parts;
    int64_t first = part * share + (part < rest ? part : rest);
    int64_t last = first + share + (part < rest);
    *begin = first * unit < total ? first * unit : total;
    *end = last * unit < total ? last * unit : total;
}

static void run_share(struct ptqi_team *team, int64_t member)
{
    for (int64_t part = member; part < team->parts; part += team->members)
        team->body(team->argument, part);
}

/* Waits for a job after the one numbered *seen, whose number replaces it. Returns 0 if the team
 * ends. Job fields are valid without the lock: they do not change before pending is 0 again. */
static int next_job(struct ptqi_team *team, long long *seen)
{
    const long long last = *seen;
    for (int i = 0; i < SPINS; i++) {
        *seen = atomic_load_explicit(&team->generation, memory_order_acquire);
        if (*seen != last)
            return 1;
        PTQI_PAUSE();
    }
    pthread_mutex_lock(&team->lock);
    while ((*seen = atomic_load_explicit(&team->generation, memory_order_acquire)) == last &&
           !team->stop)
        pthread_cond_wait(&team->wake, &team->lock);
    pthread_mutex_unlock(&team->lock);
    return *seen != last;
}

static void *worker_main(void *argument)
{
    struct worker_start start = *(struct worker_start *)argument;
    struct ptqi_team *team = start.team;
    long long seen = start.generation;
    ptqi_free(team->context, argument);
    while (next_job(team, &seen)) {
        if (start.index < team->members)
            run_share(team, start.index);
        if (atomic_fetch_sub_explicit(&team->pending, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&team->lock);
            pthread_cond_signal(&team->done);
            pthread_mutex_unlock(&team->lock);
        }
    }
    return NULL;
}

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

static void count_forks(void)
{
    pthread_atfork(NULL, NULL,
                   count_fork); /* if this fails, a child must not use inherited contexts */
}

static int init_locks(struct ptqi_team *team)
{
    int failed = pthread_mutex_init(&team->busy, NULL);
    failed |= pthread_mutex_init(&team->lock, NULL);
    failed |= pthread_cond_init(&team->wake, NULL);
    return failed | pthread_cond_init(&team->done, NULL);
}

/* Whether the team belongs to this process. In the child of a fork, the first caller takes it over
 * with fresh locks and without workers, which fork does not copy. Until then, other callers work
 * without the team. */
static int is_ours(struct ptqi_team *team)
{
    const int now = atomic_load(&forks);
    int then = atomic_load(&team->forks);
    if (then == now)
        return 1;
    if (then == RENEWING || !atomic_compare_exchange_strong(&team->forks, &then, RENEWING))
        return 0;
    team->workers = 0;
    atomic_store(&team->pending, 0);
    if (init_locks(team))
        return 0; /* and remains so */
    atomic_store(&team->forks, now);
    return 1;
}

ptq_status ptqi_team_create(ptq_context *context, struct ptqi_team **out)
{
    struct ptqi_team *team = ptqi_alloc_zero(context, 1, (int64_t)sizeof *team);
    *out = NULL;
    context->cpus = online_cpus();
    if (!team)
        return PTQ_ERROR_MEMORY;
    pthread_once(&forks_counted, count_forks);
    team->context = context;
    atomic_init(&team->generation, 0);
    atomic_init(&team->pending, 0);
    atomic_init(&team->forks, atomic_load(&forks));
    if (init_locks(team)) {
        ptqi_free(context, team);
        return ptqi_fail(context, PTQ_ERROR_MEMORY, "cannot create the locks of a thread team");
    }
    *out = team;
    return PTQ_OK;
}

void ptqi_team_free(ptq_context *context, struct ptqi_team *team)
{
    if (!team)
        return;
    if (is_ours(team)) {
        pthread_mutex_lock(&team->lock);
        team->stop = 1;
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->lock);
        for (int64_t i = 0; i < team->workers; i++)
            pthread_join(team->threads[i], NULL);
        pthread_mutex_destroy(&team->busy);
        pthread_mutex_destroy(&team->lock);
        pthread_cond_destroy(&team->wake);
        pthread_cond_destroy(&team->done);
    }
    ptqi_free(context, team->threads);
    ptqi_free(context, team);
}

/* Starts workers until there are wanted of them, or as many as memory and the system allow. Having
 * fewer only makes the job slower. */
static void start_workers(struct ptqi_team *team, int64_t wanted)
{
    if (!team->threads)
        team->threads = ptqi_alloc(team->context, PTQI_MAX_THREADS, (int64_t)sizeof(pthread_t));
    while (team->threads && team->workers < wanted) {
        struct worker_start *start = ptqi_alloc(team->context, 1, (int64_t)sizeof *start);
        if (!start)
            return;
        start->team = team;
        start->index = team->workers + 1;
        start->generation = atomic_load(&team->generation);
        if (pthread_create(&team->threads[team->workers], NULL, worker_main, start)) {
            ptqi_free(team->context, start);
            return;
        }
        team->workers++;
    }
}

static void run_on_team(struct ptqi_team *team, int64_t parts, ptq_body_function body,
                        void *argument)
{
    pthread_mutex_lock(&team->lock);
    team->body = body;
    team->argument = argument;
    team->parts = parts;
    team->members = team->workers + 1 < parts ? team->workers + 1 : parts;
    atomic_store_explicit(&team->pending, team->workers, memory_order_relaxed);
    atomic_fetch_add_explicit(&team->generation, 1, memory_order_release);
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->lock);

    run_share(team, 0);

    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&team->pending, memory_order_acquire) == 0)
            return;
        PTQI_PAUSE();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load_explicit(&team->pending, memory_order_acquire) != 0)
        pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

ptq_status ptqi_parallel_inside(ptq_context *context, int64_t parts, ptq_body_function body,
                                void *argument)
{
    const int64_t threads = context->parallel_for ? 1 : ptqi_threads(context);
    if (parts > 1 && threads > 1 && is_ours(context->team) &&
        pthread_mutex_trylock(&context->team->busy) == 0) {
        start_workers(context->team, (threads < parts ? threads : parts) - 1);
        run_on_team(context->team, parts, body, argument);
        pthread_mutex_unlock(&context->team->busy);
        return PTQ_OK;
    }
    for (int64_t part = 0; part < parts; part++)
        body(argument, part);
    return PTQ_OK;
}

ptq_status ptqi_parallel_as(ptq_context *context, void *user, int64_t parts, ptq_body_function body,
                            void *argument)
{
    if (parts <= 1 || !context->parallel_for)
        return ptqi_parallel_inside(context, parts, body, argument);
    const ptq_status status = context->parallel_for(user, parts, body, argument);
    if (status)
        return ptqi_fail(context, status, "parallel_for returned %s (%d)", ptq_status_name(status),
                         status);
    return PTQ_OK;
}

ptq_status ptqi_parallel(ptq_context *context, int64_t parts, ptq_body_function body,
                         void *argument)
{
    return ptqi_parallel_as(context, context->parallel_user, parts, body, argument);
}

struct ptqi_crew ptqi_crew_of(ptq_context *context)
{
    return (struct ptqi_crew){context, context->parallel_user};
}
