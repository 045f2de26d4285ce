/*
 * The state of one rendering, and its limits: a template is a program from a file, so its steps,
 * its memory and its nesting are bounded.
 */
#ifndef JINJA_MACHINE_H
#define JINJA_MACHINE_H

#include <time.h>
#include "jinja/arena.h"
#include "jinja/node.h"

struct variable {
    struct text name;
    struct value value;
    struct variable *next;
};

struct scope {
    struct scope *parent; /* NULL for the variables that the template is given */
    struct variable *first;
};

struct macro {
    const struct node *node; /* NODE_MACRO */
    struct scope *scope;     /* in which it was defined */
};

struct keyword {
    struct text name;
    struct value value;
};

struct arguments {
    struct value *values;
    struct keyword *keywords;
    int count, keyword_count;
};

struct machine {
    ptq_context *context;
    struct arena *arena;
    const struct tm *now;
    int64_t steps, most_steps; /* so far, and allowed */
    int depth;                 /* of nested evaluations */
    int loops;                 /* around the current statement */
    int line;                  /* of the current node, for messages */
    struct scope *scope;
    struct builder *out;    /* what is printed */
    struct text block_text; /* of a block that is being filtered */
    /* What expressions need of statements. */
    ptq_status (*call_macro)(struct machine *m, const struct macro *macro,
                             const struct arguments *arguments, struct value *result);
    /* Tests items until loop->list has `wanted`, or there are no more. */
    ptq_status (*extend_loop)(struct machine *m, struct loop *loop, int64_t wanted);
};

/* Fails with "line N: message". */
ptq_status machine_fail(struct machine *m, ptq_status status, const char *format, ...)
    PTQI_PRINTF(3, 4);
/* PTQ_ERROR_UNSUPPORTED: "what 'name' is not supported". */
ptq_status machine_refuse(struct machine *m, const char *what, struct text name);
/* Counts the work on some bytes; fails if the template has done too much. */
ptq_status machine_work(struct machine *m, int64_t bytes);
/* Around everything that nests; fails if that is too deep. */
ptq_status machine_enter(struct machine *m);
void machine_leave(struct machine *m);

/* A new scope inside parent. */
ptq_status scope_begin(struct machine *m, struct scope *parent, struct scope **scope);
/* The variable in this scope or those around it; *found is NULL if there is none. */
ptq_status scope_find(struct machine *m, struct scope *scope, struct text name,
                      struct variable **found);
/* Sets a variable of this scope itself. */
ptq_status scope_set(struct machine *m, struct scope *scope, struct text name, struct value value);

#endif
