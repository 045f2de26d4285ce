/*
 * Parallel work: a team of threads with a static division of outputs, so that results do not depend
 * on which thread computes what.
 */
#ifndef PTQI_TEAM_H
#define PTQI_TEAM_H

#include "context.h"

#define PTQI_MAX_THREADS 1024

struct ptqi_team;

ptq_status ptqi_team_create(ptq_context *context, struct ptqi_team **team);
void ptqi_team_free(ptq_context *context, struct ptqi_team *team);

/* The best number of parts to divide work into: the context's number of threads. */
int64_t ptqi_threads(const ptq_context *context);

/*
 * Calls body(argument, part) for every part in 0 .. parts - 1 and returns when all are done. Runs
 * on the caller's parallel_for if there is one, else on the team. If the team is busy (a call from
 * inside another parallel call, or from a second thread), runs on the calling thread alone.
 *
 * Fails only if parallel_for does, with its status; some parts have then not run. _as passes user
 * to parallel_for, instead of the pointer that the context has for it.
 */
ptq_status ptqi_parallel(ptq_context *context, int64_t parts, ptq_body_function body,
                         void *argument);
ptq_status ptqi_parallel_as(ptq_context *context, void *user, int64_t parts, ptq_body_function body,
                            void *argument);

/* Who does parallel work: the threads of a context, with a user pointer for its parallel_for. For
 * functions that pass both on. */
struct ptqi_crew {
    ptq_context *context;
    void *user;
};
struct ptqi_crew ptqi_crew_of(ptq_context *context);

/*
 * The same for functions that an engine may call from inside its own parallel region. Never uses
 * the caller's parallel_for, which may not be reentrant: if there is one, runs on the calling
 * thread alone. Always PTQ_OK.
 */
ptq_status ptqi_parallel_inside(ptq_context *context, int64_t parts, ptq_body_function body,
                                void *argument);

/* The range of 0 .. total for one part, in multiples of unit (the last part takes the rest). */
void ptqi_split(int64_t total, int64_t unit, int64_t part, int64_t parts, int64_t *begin,
                int64_t *end);

#endif
