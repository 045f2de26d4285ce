/*
 * The tree of a parsed template.
 */
#ifndef JINJA_NODE_H
#define JINJA_NODE_H

#include "jinja/value.h"

enum node_kind {
    /* expressions */
    NODE_CONSTANT,   /* value */
    NODE_NAME,       /* name */
    NODE_LIST,       /* [items] */
    NODE_TUPLE,      /* (items) */
    NODE_DICT,       /* {items}, each a NODE_PAIR */
    NODE_ATTRIBUTE,  /* a.name */
    NODE_ITEM,       /* a[b] */
    NODE_SLICE,      /* a[b:c:otherwise], each of which may be NULL */
    NODE_CALL,       /* a(items) */
    NODE_FILTER,     /* a | name(items) */
    NODE_TEST,       /* a is name(items) */
    NODE_NEGATE,     /* -a */
    NODE_PLUS,       /* +a */
    NODE_NOT,        /* not a */
    NODE_AND,        /* a and b */
    NODE_OR,         /* a or b */
    NODE_BINARY,     /* a name b: arithmetic, and ~ */
    NODE_COMPARE,    /* a items, each a NODE_OPERAND */
    NODE_CONDITION,  /* b if a else c, which may be NULL */
    NODE_BLOCK_TEXT, /* the text of a block that is filtered */
    /* parts of expressions */
    NODE_PAIR,      /* a: b */
    NODE_KEYWORD,   /* name=a */
    NODE_OPERAND,   /* name a, of a comparison */
    NODE_PARAMETER, /* name=a of a macro; a may be NULL */
    /* statements */
    NODE_DATA,         /* value */
    NODE_OUTPUT,       /* {{ a }} */
    NODE_IF,           /* if a: items, else otherwise */
    NODE_FOR,          /* for a in b if c: items, else otherwise */
    NODE_SET,          /* a = b */
    NODE_SET_BLOCK,    /* a = the text of items, filtered by b */
    NODE_SET_MEMBER,   /* as a target: name.a of a namespace, a being a NODE_NAME */
    NODE_MACRO,        /* name(b): items */
    NODE_FILTER_BLOCK, /* the text of items, filtered by b */
    NODE_GENERATION,   /* items */
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_KINDS
};

struct node {
    enum node_kind kind;
    int line;
    struct text name;
    struct value value;
    struct node *a, *b, *c;
    struct node *items, *otherwise; /* the first of a list */
    struct node *next;              /* in the list that this node is in */
};

#endif
