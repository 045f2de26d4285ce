/*
 * Parallel work: a team of threads with a static split of outputs, so that results cannot depend on
 * who computes what.
 */
#ifndef PTQI_TEAM_H
#define PTQI_TEAM_H

#include "context.h"

#define PTQI_MAX_THREADS 1024

struct ptqi_team;

ptq_status ptqi_team_create(ptq_context *context, struct ptqi_team **team);
void ptqi_team_free(ptq_context *context, struct ptqi_team *team);

/* How many parts work is best cut into: the context's number of threads. */
int64_t ptqi_threads(const ptq_context *context);

/*
 * Calls body(argument, part) for every part in 0 .. parts - 1 and returns when all are done. Runs
 * on the caller's parallel_for where there is one, else on the team; on the calling thread alone
 * where the team is already busy, as from inside another parallel call or from a second thread.
 */
void ptqi_parallel(ptq_context *context, int64_t parts, ptq_body_function body, void *argument);

/*
 * The same for functions that an engine may call from inside a parallel region of its own: never on
 * the caller's parallel_for, which may not be reentrant, but on the calling thread
 * alone where there is one.
 */
void ptqi_parallel_inside(ptq_context *context, int64_t parts, ptq_body_function body,
                          void *argument);

/* The share of part in 0 .. total, in multiples of unit (the last share takes the rest). */
void ptqi_split(int64_t total, int64_t unit, int64_t part, int64_t parts, int64_t *begin,
                int64_t *end);

#endif
