/*
 * The values that a template computes with: those of Python that chat templates use. They never
 * change, except the attributes of a namespace and the position of a generator.
 */
#ifndef JINJA_VALUE_H
#define JINJA_VALUE_H

#include <stdint.h>

struct text {
    const char *bytes; /* valid UTF-8, not zero-terminated */
    int64_t length;
};

enum value_kind {
    VALUE_ABSENT, /* an argument that was not given */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_RANGE,     /* range(...) */
    VALUE_VIEW,      /* keys(), values() and items() of a dict */
    VALUE_GENERATOR, /* map, select, ...: can be read once, is always true, has no length */
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_FUNCTION,
    VALUE_METHOD,
    VALUE_KINDS
};

struct value {
    enum value_kind kind;
    int markup; /* a string made by `safe`, which would escape what is added to it */
    union {
        int64_t integer; /* also 0 or 1 for a bool */
        double real;
        struct text text;  /* of a string; the name of what is undefined */
        struct list *list; /* of VALUE_LIST to VALUE_GENERATOR */
        struct dict *dict; /* of a dict or a namespace */
        struct loop *loop;
        struct macro *macro;
        const struct routine *function;
        struct method *method;
    };
};

struct list {
    struct value *items;
    int64_t count;
};

struct pair {
    struct value key, value;
};

/* In the order in which keys were first set. */
struct dict {
    struct pair *pairs;
    int64_t count, capacity;
};

/* The variable `loop`. */
struct loop {
    struct list list; /* the items so far: those that the loop's condition accepted */
    int64_t index;    /* from 0 */
    const struct list *source;
    int64_t tested; /* items of source */
    const struct node *node;
    struct scope *scope; /* around the loop */
};

/* A method with its object. */
struct method {
    const struct routine *routine;
    struct value self;
};

struct value value_none(void);
struct value value_bool(int truth);
struct value value_integer(int64_t integer);
struct value value_real(double real);
/* bytes may be NULL if length is 0; those of the text are not. */
struct text text_make(const char *bytes, int64_t length);
struct value value_string(const char *bytes, int64_t length);
struct value value_undefined(struct text name);
struct value value_absent(void);

int value_is_true(const struct value *v);
/* VALUE_LIST to VALUE_GENERATOR. */
int value_is_listed(const struct value *v);
int value_is_number(const struct value *v); /* bools are numbers */
int value_is_whole(const struct value *v);  /* an integer or a bool */
double value_as_real(const struct value *v);
/* What Python calls its type, for messages. */
const char *value_type(const struct value *v);

int text_is(struct text text, const char *word);
int text_equal(struct text a, struct text b);

#endif
