/*
 * From the text of a template to tokens, with jinja2's settings trim_blocks and lstrip_blocks: the
 * line feed after a block and the white space between the start of a line and a block are dropped.
 */
#ifndef JINJA_LEXER_H
#define JINJA_LEXER_H

#include "jinja/arena.h"
#include "jinja/value.h"

enum token_kind {
    TOKEN_DATA,           /* text outside of tags */
    TOKEN_BLOCK_BEGIN,    /* {% */
    TOKEN_BLOCK_END,      /* %} */
    TOKEN_VARIABLE_BEGIN, /* {{ */
    TOKEN_VARIABLE_END,   /* }} */
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_OPERATOR,
    TOKEN_END
};

struct token {
    enum token_kind kind;
    int line;
    struct text text;    /* of data, a name or an operator; the unescaped string */
    struct value number; /* an integer or a real number */
};

struct tokens {
    struct token *list; /* the last one is TOKEN_END */
    int64_t count, capacity;
};

/* Messages begin with the line. */
ptq_status lexer_run(struct arena *arena, struct text source, struct tokens *tokens);

#endif
