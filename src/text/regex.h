/*
 * The regular expressions of tokenizer.json, in the syntax of Oniguruma, which the tokenizers
 * library uses: as much of it as is needed to split text.
 *
 * Supported: characters and escapes, classes with ranges, nested classes and \s \S \d \D, \p{..}
 * and \P{..} with a general category, groups, (?i: ), alternatives, the greedy quantifiers
 * ? * + {m,n} and the possessive ?+ *+ ++, (?= ) and (?! ), \A, \z and $. Quantifiers other than ?
 * only behind a single character, so that the depth of the search is bounded. Everything else is
 * refused by name.
 */
#ifndef TEXT_REGEX_H
#define TEXT_REGEX_H

#include "base/context.h"

/* A set of characters. */
struct regex_class {
    uint64_t ascii[2];   /* membership of ASCII characters */
    uint64_t properties; /* for the others: bits of general categories, and these: */
#define REGEX_SPACE (1ull << 40)
#define REGEX_NOT_SPACE (1ull << 41)
#define REGEX_NUMERIC (1ull << 42)
    int32_t first_range, ranges;
    int negated; /* properties and ranges are of the complement */
};

enum regex_kind {
    REGEX_MATCH, /* found; the end of a lookahead too */
    REGEX_RUN,   /* min .. max characters of a class, as many as possible */
    REGEX_FIXED, /* the same, but never fewer than possible */
    REGEX_SPLIT, /* goes on behind it, and if that fails, at the jump */
    REGEX_JUMP,
    REGEX_AHEAD,     /* what is behind it must match here; then jumps */
    REGEX_NOT_AHEAD, /* must not match */
    REGEX_BEGIN,     /* of the text */
    REGEX_END,
    REGEX_LINE_END
};

struct regex_op {
    enum regex_kind kind;
    int32_t class_index, min, max;
    int32_t jump; /* distance to another op, always forwards */
};

struct regex_range {
    uint32_t first, last;
};

struct regex {
    ptq_context *context;
    struct regex_op *ops;
    struct regex_class *classes;
    struct regex_range *ranges;
    int64_t op_count, class_count, range_count, op_capacity, class_capacity, range_capacity;
    uint8_t starts[256]; /* whether a match may start with this byte */
};

/* r may be freed even if this failed. Messages do not name the file. Expressions that match the
 * empty text are refused. */
ptq_status regex_compile(ptq_context *context, const char *pattern, int64_t length,
                         struct regex *r);
/* One that finds a text. */
ptq_status regex_literal(ptq_context *context, const char *text, int64_t length, struct regex *r);
/* One that finds single characters for which unicode_is_numeric is true. */
ptq_status regex_numeric(ptq_context *context, struct regex *r);
void regex_free(struct regex *r);

/* The first match in valid UTF-8 from `from` onwards; returns its start, NULL if there is none. */
const char *regex_find(const struct regex *r, const char *begin, const char *end, const char *from,
                       const char **match_end);

/* For compiling. */
ptq_status regex_add_op(struct regex *r, struct regex_op op);
ptq_status regex_add_class(struct regex *r, int32_t *index);
ptq_status regex_add_range(struct regex *r, struct regex_class *c, uint32_t first, uint32_t last);
int regex_has(const struct regex *r, const struct regex_class *c, uint32_t character);

#endif
