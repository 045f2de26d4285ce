/*
 * Runs a call. The panels of all matrices form one sequence, which is divided among threads or
 * parts; task.c computes one panel of one matrix.
 */
#include <stdatomic.h>
#include <string.h>
#include "base/hash.h"
#include "base/team.h"
#include "linear/call.h"

/* A call in progress. */
struct run {
    const struct ptq_call *call;
    struct ptqi_preparing p; /* the layout and the memory of prepared activations */
    const char *function;
    char *scratch; /* for all threads */
    int64_t part_scratch, parts;
    atomic_llong next; /* the first panel not yet taken */
};

/* A hash of the number of rows of each result; 0 if there are no lists. */
static uint64_t hash_lists(const struct ptq_call *call)
{
    uint64_t h = PTQI_HASH_START;
    if (!ptqi_call_has_lists(call))
        return 0;
    for (int64_t i = 0; i < ptqi_call_results(call); i++)
        h = ptqi_hash(h, &call->results[i].count, (int64_t)sizeof call->results[i].count);
    return h | 1;
}

static int64_t result_rows(const struct ptq_call *call, const struct ptqi_prepared *layout,
                           int64_t result)
{
    return ptqi_call_has_lists(call) ? call->results[result].count : layout->rows;
}

/* Either every result has a list or none has. */
static ptq_status check_lists(const struct run *r)
{
    const struct ptq_call *call = r->call;
    const int lists = ptqi_call_has_lists(call);
    for (int64_t i = 0; i < ptqi_call_results(call); i++)
        if (lists != (call->results[i].list != NULL))
            return ptqi_fail(call->context, PTQ_ERROR_CONFLICT,
                             "%s: result %lld has %s list of rows, unlike result 0", r->function,
                             (long long)i, lists ? "no" : "a");
    return PTQ_OK;
}

/* Every entry of a list must be a row of x. */
static ptq_status check_rows(const struct run *r)
{
    const struct ptq_call *call = r->call;
    for (int64_t i = 0; i < ptqi_call_results(call); i++) {
        const struct ptqi_result *result = &call->results[i];
        for (int64_t m = 0; m < result->count; m++)
            if (result->list[m] < 0 || result->list[m] >= call->rows)
                return ptqi_fail(call->context, PTQ_ERROR_BOUNDS,
                                 "%s: row %lld of result %lld is row %d of x, which has %lld",
                                 r->function, (long long)m, (long long)i, result->list[m],
                                 (long long)call->rows);
    }
    return PTQ_OK;
}

static ptq_status check_results(const struct run *r)
{
    const struct ptq_call *call = r->call;
    for (int64_t i = 0; i < ptqi_call_results(call); i++) {
        const struct ptqi_result *result = &call->results[i];
        const int64_t rows = result_rows(call, &r->p.layout, i);
        if (rows && !result->y)
            return ptqi_fail(call->context, PTQ_ERROR_MISSING, "%s: result %lld has no y",
                             r->function, (long long)i);
        if (result->rows < rows)
            return ptqi_fail(call->context, PTQ_ERROR_SHAPE,
                             "%s: result %lld has %lld rows, and its y room for %lld", r->function,
                             (long long)i, (long long)rows, (long long)result->rows);
    }
    return PTQ_OK;
}

/* The largest number of rows of any result. */
static int64_t longest(const struct ptq_call *call)
{
    int64_t max = call->rows;
    for (int64_t i = 0; i < ptqi_call_results(call) && ptqi_call_has_lists(call); i++)
        max = i == 0 || call->results[i].count > max ? call->results[i].count : max;
    return max;
}

/* The layout of prepared activations for this many rows of x, or for the lists. */
static ptq_status plan(struct run *r, int64_t rows)
{
    const struct ptq_call *call = r->call;
    const struct ptq_linear *l = ptqi_call_linear(call);
    struct ptqi_prepared *layout = &r->p.layout;
    const int64_t last = ptqi_call_results(call) - 1;
    const struct ptqi_result *result = &call->results[last];
    const int64_t places = ptqi_call_has_lists(call) ? result->first + ptqi_places(l, result->count)
                                                     : ptqi_places(l, rows);
    PTQI_TRY(ptqi_lay_out(r->function, l, places, longest(call), layout));
    layout->rows = rows;
    layout->lists = hash_lists(call);
    return PTQ_OK;
}

/* Finds activations that this call or another one prepared. */
static ptq_status find_prepared(struct run *r)
{
    const struct ptq_call *call = r->call;
    struct ptqi_prepared *layout = &r->p.layout, found;
    if (!call->prepared)
        return ptqi_fail(call->context, PTQ_ERROR_MISSING,
                         "%s: the call has neither x nor prepared memory", r->function);
    PTQI_TRY(check_lists(r));
    memcpy(&found, call->prepared, sizeof found);
    if (found.magic != PTQI_PREPARED_MAGIC || found.recipe != ptqi_call_linear(call)->recipe)
        return ptqi_fail(call->context, PTQ_ERROR_CONFLICT,
                         "%s: the activations were prepared for a matrix with another recipe",
                         r->function);
    PTQI_TRY(plan(r, found.rows));
    if (found.lists != layout->lists || (call->x && found.rows != call->rows))
        return ptqi_fail(call->context, PTQ_ERROR_CONFLICT,
                         "%s: the activations were prepared for other rows", r->function);
    layout->sliced = found.sliced; /* chosen by the call that prepared them */
    if (memcmp(layout, &found, sizeof found))
        return ptqi_fail(call->context, PTQ_ERROR_CONFLICT,
                         "%s: the prepared activations are damaged", r->function);
    if (found.bytes > call->prepared_bytes)
        return ptqi_fail(call->context, PTQ_ERROR_ARGUMENT,
                         "%s: prepared activations of %lld bytes, of which only %lld are there",
                         r->function, (long long)found.bytes, (long long)call->prepared_bytes);
    r->p.prepared = call->prepared;
    return PTQ_OK;
}

/* Plans activations that the call itself prepares. */
static ptq_status plan_prepared(struct run *r)
{
    const struct ptq_call *call = r->call;
    PTQI_TRY(check_lists(r));
    PTQI_TRY(check_rows(r));
    PTQI_TRY(plan(r, call->rows));
    r->p.prepared = call->prepared;
    if (!call->prepared)
        return PTQ_OK;
    return ptqi_check_memory(call->context, r->function, "prepared memory", call->prepared,
                             call->prepared_bytes, r->p.layout.bytes);
}

/* The task of matrix number index for a result. */
static struct ptqi_task task_of(const struct run *r, int64_t index, int64_t result)
{
    const struct ptq_call *call = r->call;
    const struct ptqi_result *to = &call->results[result];
    return (struct ptqi_task){
        .linear = call->linears[index],
        .prepared = r->p.prepared,
        .layout = &r->p.layout,
        .first = to->first,
        .rows = result_rows(call, &r->p.layout, result) * ptqi_limbs(call->linears[index]),
        .bias = call->biases[index] ? call->biases[index] : call->linears[index]->bias,
        .panels = 1,
        .y = to->y,
        .dtype = to->dtype,
        .ld = to->ld,
        .add = to->add};
}

/* Computes one or more panels of a result with an epilogue: first gate, then up. */
static void run_pair(const struct run *r, int64_t result, int64_t panel, int panels, char *scratch)
{
    struct ptqi_task gate = task_of(r, 2 * result, result), up = task_of(r, 2 * result + 1, result);
    const int64_t columns = ptqi_panel_columns(up.linear), step = ptqi_task_rows(&up);
    float *gates = (float *)(void *)scratch;
    scratch += ptqi_call_gate_bytes(r->call, up.rows);
    gate.y = (char *)gates;
    gate.dtype = PTQ_DTYPE_F32;
    gate.ld = columns;
    gate.add = 0;
    gate.column = up.gate_column = panel * columns;
    gate.panels = up.panels = panels;
    up.epilogue = r->call->epilogue;
    up.gate = gates;
    for (int64_t m = 0; m < up.rows; m += step) {
        const int64_t rows = ptqi_min(up.rows - m, step);
        gate.row = up.gate_row = m;
        ptqi_task_run(&gate, panel, m, rows, scratch);
        ptqi_task_run(&up, panel, m, rows, scratch);
    }
}

static void run_panels(const struct run *r, int64_t result, int64_t panel, int panels,
                       char *scratch)
{
    if (r->call->epilogue != PTQ_EPILOGUE_NONE) {
        run_pair(r, result, panel, panels, scratch);
        return;
    }
    struct ptqi_task task = task_of(r, result, result);
    task.panels = panels;
    const int64_t step = ptqi_task_rows(&task);
    for (int64_t m = 0; m < task.rows; m += step)
        ptqi_task_run(&task, panel, m, ptqi_min(task.rows - m, step), scratch);
}

/* The number of panels of a result; 0 if it has no rows. */
static int64_t result_panels(const struct run *r, int64_t result)
{
    const int64_t index = result * ptqi_call_step(r->call);
    return result_rows(r->call, &r->p.layout, result) ? r->call->linears[index]->panels : 0;
}

static int64_t all_panels(const struct run *r)
{
    int64_t panels = 0;
    for (int64_t i = 0; i < ptqi_call_results(r->call); i++)
        panels += result_panels(r, i);
    return panels;
}

/* How many panels of a result to compute at a time. */
static int panels_at_once(const struct run *r, int64_t result)
{
    const int64_t step = ptqi_call_step(r->call), rows = result_rows(r->call, &r->p.layout, result);
    int panels = 2;
    for (int64_t i = result * step; i < (result + 1) * step; i++)
        if (ptqi_task_panels(r->call->linears[i], rows) == 1)
            panels = 1;
    return panels;
}

/* Computes panels begin .. end - 1 of the sequence of all panels. */
static void run_range(const struct run *r, char *scratch, int64_t begin, int64_t end)
{
    for (int64_t i = 0, first = 0; i < ptqi_call_results(r->call) && first < end; i++) {
        const int64_t panels = result_panels(r, i), last = ptqi_min(first + panels, end);
        const int step = panels_at_once(r, i);
        for (int64_t at = ptqi_max(begin, first); at < last; at += step)
            run_panels(r, i, at - first, (int)ptqi_min(step, last - at), scratch);
        first += panels;
    }
}

/* The relative cost of a panel: reading its weights takes about as long as multiplying 16 rows, and
 * then each row is multiplied. */
static double panel_cost(const struct run *r, int64_t result)
{
    const int limbs = ptqi_limbs(ptqi_call_linear(r->call));
    return 16.0 + (double)(result_rows(r->call, &r->p.layout, result) * limbs);
}

/* The panel at which the given fraction of the total cost is reached. */
static int64_t panel_at(const struct run *r, double share)
{
    double cost = 0;
    int64_t panel = 0;
    for (int64_t i = 0; i < ptqi_call_results(r->call); i++)
        cost += panel_cost(r, i) * (double)result_panels(r, i);
    cost *= share;
    for (int64_t i = 0; i < ptqi_call_results(r->call); i++) {
        const double whole = panel_cost(r, i) * (double)result_panels(r, i);
        if (cost < whole)
            return panel + (int64_t)(cost / panel_cost(r, i));
        cost -= whole;
        panel += result_panels(r, i);
    }
    return panel;
}

/* Threads take panels as they become free, so a thread that lost its CPU does not delay the others.
 * They take many at first, because neighbouring panels are one stream of memory, and single ones at
 * the end. Which thread computes a panel does not affect its result. */
static void run_thread(void *argument, int64_t part)
{
    struct run *r = argument;
    const int64_t panels = all_panels(r);
    long long begin = atomic_load_explicit(&r->next, memory_order_relaxed);
    while (begin < panels) {
        const long long end = begin + (panels - begin + 2 * r->parts - 1) / (2 * r->parts);
        if (!atomic_compare_exchange_weak_explicit(&r->next, &begin, end, memory_order_relaxed,
                                                   memory_order_relaxed))
            continue; /* another thread was faster; begin was reloaded */
        run_range(r, r->scratch + part * r->part_scratch, begin, end);
        begin = atomic_load_explicit(&r->next, memory_order_relaxed);
    }
}

static void prepare_thread(void *argument, int64_t part)
{
    const struct run *r = argument;
    ptqi_prepare_share(&r->p, part, r->parts, r->scratch + part * r->part_scratch);
}

static void measure_thread(void *argument, int64_t part)
{
    const struct run *r = argument;
    ptqi_measure_share(&r->p, part, r->parts, r->scratch + part * r->part_scratch);
}

/*
 * Work is counted in multiplications of int8, of which a thread should have at least LEAST_WORK: 3
 * to 7 microseconds. On two cores (Zen 4, AVX512-VNNI) the second thread pays from this many
 * multiplications:
 *
 *                  if it is awake   if it must be woken
 *   int8, 1 row            130000             2 million
 *   int8, 8 rows   0.5 to 8 million          12 million
 *   f32, 1 row              65000           0.5 million
 *   f32, 8 rows            130000             3 million
 *
 * Most products of a model find it awake. But where it has to share its CPU with another program,
 * it costs 50 to 80 microseconds.
 */
#define LEAST_WORK 524288
#define F32_WORK 4      /* a multiplication of f32 takes as long as 4 to 6 of int8, */
#define GENERAL_WORK 3  /* one in the general form as long as 3, */
#define PREPARE_WORK 16 /* and preparing a value of x as long as 15 or more */

static int64_t threads_for(double work, int64_t threads)
{
    const double most = work / LEAST_WORK;
    return most < 1 ? 1 : most < (double)threads ? (int64_t)most : threads;
}

/* Runs the parts on the context's parallel_for or on the library's threads. */
static ptq_status run_parts(struct run *r, ptq_body_function body)
{
    ptq_context *context = r->call->context;
    if (r->call->has_parallel_user)
        return ptqi_parallel_as(context, r->call->parallel_user, r->parts, body, r);
    return ptqi_parallel(context, r->parts, body, r);
}

static ptq_status prepare(struct run *r, int64_t threads)
{
    const struct ptq_linear *l = ptqi_call_linear(r->call);
    const int64_t places = r->p.layout.places;
    r->parts = threads_for(PREPARE_WORK * (double)places * (double)l->k, ptqi_min(threads, places));
    if (l->activations == PTQ_ACTIVATIONS_INT8_TENSOR) {
        PTQI_TRY(run_parts(r, measure_thread));
        ptqi_share_scale(&r->p);
        r->p.measured = 1;
    }
    return run_parts(r, prepare_thread);
}

static ptq_status multiply(struct run *r, int64_t threads)
{
    const struct ptq_linear *l = ptqi_call_linear(r->call);
    const int64_t step = ptqi_call_step(r->call), limbs = ptqi_limbs(l);
    double work = 0;
    for (int64_t i = 0; i < r->call->count; i++)
        work += (double)r->call->linears[i]->n *
                (double)(result_rows(r->call, &r->p.layout, i / step) * limbs);
    work *= (double)l->k * (!ptqi_linear_is_integer(l)     ? F32_WORK
                            : l->form == PTQI_FORM_GENERAL ? GENERAL_WORK
                                                           : 1);
    r->parts = threads_for(work, threads);
    atomic_init(&r->next, 0);
    return run_parts(r, run_thread);
}

/* Bytes of scratch memory needed for prepared activations. */
static int64_t own_prepared(const struct run *r)
{
    return r->p.prepared ? 0 : ptqi_align(r->p.layout.bytes);
}

static ptq_status run_in(struct run *r, int64_t threads, char *scratch)
{
    r->scratch = scratch + own_prepared(r);
    if (!r->p.prepared)
        r->p.prepared = scratch;
    if (r->call->x)
        PTQI_TRY(prepare(r, threads));
    return multiply(r, threads);
}

ptq_status ptq_call_run(const ptq_call *call, void *scratch, int64_t bytes)
{
    PTQI_REQUIRE(NULL, call);
    struct run r = {.call = call, .p = {.call = call}, .function = __func__};
    int64_t threads = ptqi_threads(call->context);
    if (call->x_is_set && !call->x && !call->prepared)
        return PTQ_OK; /* there are no rows */
    PTQI_TRY(call->x ? plan_prepared(&r) : find_prepared(&r));
    PTQI_TRY(check_results(&r));
    r.part_scratch = ptqi_call_part_scratch(call, r.p.layout.places);
    const int64_t prepared = own_prepared(&r);
    char *own = NULL;
    if (scratch) {
        PTQI_TRY(ptqi_check_memory(call->context, __func__, "scratch", scratch, bytes,
                                   prepared + r.part_scratch));
        threads = ptqi_min(threads, (bytes - prepared) / r.part_scratch);
    } else if (!(own = ptqi_alloc(call->context, prepared + threads * r.part_scratch, 1))) {
        return PTQ_ERROR_MEMORY;
    }
    ptq_status status = run_in(&r, threads, own ? own : scratch);
    ptqi_free(call->context, own);
    return status;
}

/* The common part of ptq_call_prepare_part and ptq_call_run_part, once the layout is known. *own is
 * the scratch memory to free, if the caller gave none. */
static ptq_status begin_part(struct run *r, int64_t part, int64_t parts, void *scratch,
                             int64_t bytes, char **own)
{
    const struct ptq_call *call = r->call;
    const int64_t needed = ptqi_call_part_scratch(call, r->p.layout.places);
    PTQI_TRY(ptqi_check_between(call->context, r->function, "parts", parts, 1, INT64_MAX));
    PTQI_TRY(ptqi_check_between(call->context, r->function, "part", part, 0, parts - 1));
    r->scratch = scratch;
    if (scratch)
        return ptqi_check_memory(call->context, r->function, "scratch", scratch, bytes, needed);
    r->scratch = *own = ptqi_alloc(call->context, needed, 1);
    return *own ? PTQ_OK : PTQ_ERROR_MEMORY;
}

ptq_status ptq_call_prepare_part(const ptq_call *call, int64_t part, int64_t parts, void *scratch,
                                 int64_t bytes)
{
    PTQI_REQUIRE(NULL, call);
    struct run r = {.call = call, .p = {.call = call}, .function = __func__};
    char *own = NULL;
    if (!call->prepared)
        return ptqi_fail(call->context, PTQ_ERROR_MISSING, "%s: the call has no prepared memory",
                         __func__);
    PTQI_TRY(plan_prepared(&r));
    PTQI_TRY(begin_part(&r, part, parts, scratch, bytes, &own));
    ptqi_prepare_share(&r.p, part, parts, r.scratch);
    ptqi_free(call->context, own);
    return PTQ_OK;
}

ptq_status ptq_call_run_part(const ptq_call *call, int64_t part, int64_t parts, void *scratch,
                             int64_t bytes)
{
    PTQI_REQUIRE(NULL, call);
    struct run r = {.call = call, .p = {.call = call}, .function = __func__};
    char *own = NULL;
    PTQI_TRY(find_prepared(&r));
    PTQI_TRY(check_results(&r));
    PTQI_TRY(begin_part(&r, part, parts, scratch, bytes, &own));
    run_range(&r, r.scratch, panel_at(&r, (double)part / (double)parts),
              panel_at(&r, (double)(part + 1) / (double)parts));
    ptqi_free(call->context, own);
    return PTQ_OK;
}
