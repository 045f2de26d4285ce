/*
 * Splits text at the matches of an expression.
 */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include "base/json.h"
#include "regex.h"

enum split_behavior {
    SPLIT_ISOLATED, /* every match is a piece */
    SPLIT_REMOVED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS /* matches behind each other are one piece */
};

struct split {
    struct regex regex;
    enum split_behavior behavior;
    int invert; /* the text between the matches counts as matches */
};

/* The state of going through the pieces of a text. Initially the text and the rest zero. */
struct split_walk {
    const char *begin, *end;
    const char *at;                      /* what is before it is in pieces already */
    const char *match_start, *match_end; /* the next match, not before at; NULL: not known */
};

/* Loads the members of a Split. split must be freed even if this failed. */
ptq_status split_load(ptq_context *context, const struct ptqi_json *json, struct split *split);
/* Loads "pattern", {"String": ..} or {"Regex": ..}. */
ptq_status split_load_pattern(ptq_context *context, const struct ptqi_json *pattern,
                              struct regex *regex);

/* The next piece, which is never empty; 0 if there is none. */
int split_next(const struct split *split, struct split_walk *walk, const char **piece,
               const char **piece_end);

#endif
