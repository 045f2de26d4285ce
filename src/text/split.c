#include "split.h"
#include "field.h"

static const struct {
    const char *name;
    enum split_behavior behavior;
} behaviors[] = {
    {"Isolated", SPLIT_ISOLATED},
    {"Removed", SPLIT_REMOVED},
    {"MergedWithPrevious", SPLIT_MERGED_WITH_PREVIOUS},
    {"MergedWithNext", SPLIT_MERGED_WITH_NEXT},
    {"Contiguous", SPLIT_CONTIGUOUS},
};

/* Whether a span belongs to the piece of the one before it: [behavior][match before][match]. */
static const uint8_t joins[][2][2] = {
    [SPLIT_ISOLATED] = {{0, 0}, {0, 0}},
    [SPLIT_REMOVED] = {{0, 0}, {0, 0}},
    [SPLIT_MERGED_WITH_PREVIOUS] = {{0, 1}, {0, 0}},
    [SPLIT_MERGED_WITH_NEXT] = {{0, 0}, {1, 0}},
    [SPLIT_CONTIGUOUS] = {{1, 0}, {0, 1}},
};

ptq_status split_load_pattern(ptq_context *context, const struct ptqi_json *pattern,
                              struct regex *regex)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *text = ptqi_json_get(pattern, "String");
    if (ptqi_json_string(text))
        return regex_literal(context, text->text, text->length, regex);
    text = ptqi_json_get(pattern, "Regex");
    if (!ptqi_json_string(text))
        return ptqi_fail(context, PTQ_ERROR_FORMAT,
                         "a pattern should be a \"String\" or a \"Regex\"");
    ptq_status status = regex_compile(context, text->text, text->length, regex);
    return status == PTQ_ERROR_UNSUPPORTED ? ptqi_fail_at(context, status, field_quote(text, quote))
                                           : status;
}

ptq_status split_load(ptq_context *context, const struct ptqi_json *json, struct split *split)
{
    char quote[FIELD_QUOTE_SIZE];
    const struct ptqi_json *behavior = ptqi_json_get(json, "behavior");
    PTQI_TRY(field_flag(context, json, "invert", -1, &split->invert));
    for (size_t i = 0; i < sizeof behaviors / sizeof *behaviors; i++)
        if (field_is(behavior, behaviors[i].name)) {
            split->behavior = behaviors[i].behavior;
            return split_load_pattern(context, ptqi_json_get(json, "pattern"), &split->regex);
        }
    return ptqi_fail(context, PTQ_ERROR_UNSUPPORTED,
                     "Split with the behavior \"%s\" is not supported",
                     field_quote(behavior, quote));
}

/* The end of the span at `at`, which is a match or lies before one; at is not the end. */
static const char *span_end(const struct split *split, struct split_walk *w, const char *at,
                            int *is_match)
{
    if (!w->match_end || at >= w->match_end) {
        w->match_start = regex_find(&split->regex, w->begin, w->end, at, &w->match_end);
        if (!w->match_start)
            w->match_start = w->match_end = w->end;
    }
    const int found = at == w->match_start;
    *is_match = found != split->invert;
    return found ? w->match_end : w->match_start;
}

int split_next(const struct split *split, struct split_walk *w, const char **piece,
               const char **piece_end)
{
    int is_match = 0, before;
    do {
        if (w->at == w->end)
            return 0;
        *piece = w->at;
        w->at = span_end(split, w, w->at, &is_match);
    } while (split->behavior == SPLIT_REMOVED && is_match);
    while (w->at < w->end) {
        before = is_match;
        const char *next = span_end(split, w, w->at, &is_match);
        if (!joins[split->behavior][before][is_match])
            break;
        w->at = next;
    }
    *piece_end = w->at;
    return 1;
}
