#include "eval/multiple_choice.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "eval/forward.h"
#include "eval/longest_input.h"
#include "rows/rows.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

/* One choice of one item: a sequence whose tokens from begin on are the choice. */
struct choice {
    int32_t *ids; /* owned; the sequence may start later in it */
    int64_t start, count, begin;
    int64_t characters; /* in the choice's text, without its delimiter */
    double likelihood;
};

struct item {
    int64_t first, count; /* choices */
    int64_t answer;
};

struct run {
    struct model *model;
    ptq_context *context;
    const char *path;
    struct tokenizer *tokenizer;
    int64_t longest; /* maximum tokens of an input */
    struct item *items;
    int64_t item_count, item_capacity;
    struct choice *choices;
    int64_t choice_count, choice_capacity;
    float *logits; /* [vocabulary] */
};

static ptq_status bad_line(const struct run *r, int64_t line, const char *problem)
{
    return ptqi_fail(r->context, PTQ_ERROR_FORMAT, "%s, line %lld: %s", r->path, (long long)line,
                     problem);
}

/* White space as in Python's str.rstrip(). */
static int is_blank(uint32_t c)
{
    return unicode_is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/* The length of a valid UTF-8 text without trailing white space. */
static int64_t trimmed_length(const char *text, int64_t length)
{
    int64_t trimmed = 0;
    for (const char *at = text; at < text + length;)
        if (!is_blank(ptqi_utf8_next(&at)))
            trimmed = at - text;
    return trimmed;
}

/* The number of characters of a choice as lm-evaluation-harness counts them: without the delimiter,
 * here the white space character, if any, that the choice begins with. */
static int64_t count_characters(const struct ptqi_json *text)
{
    const char *first = text->text;
    int64_t count = 0;
    if (!is_blank(ptqi_utf8_next(&first)))
        first = text->text;
    for (; first < text->text + text->length; ptqi_utf8_next(&first))
        count++;
    return count ? count : 1; /* only white space */
}

/*
 * Tokenizes context + choice. The choice begins after as many tokens as the context has by itself.
 * White space at the end of the context belongs to the choice, as in the harness.
 */
static ptq_status tokenize(struct run *r, const struct ptqi_json *context,
                           const struct ptqi_json *text, struct choice *c)
{
    const int64_t length = (int64_t)context->length + text->length;
    int64_t alone = 0;
    int32_t *ids = NULL;
    char *both = ptqi_alloc(r->context, length + 1, 1);
    if (!both)
        return PTQ_ERROR_MEMORY;
    memcpy(both, context->text, (size_t)context->length);
    memcpy(both + context->length, text->text, (size_t)text->length + 1);
    ptq_status status = tokenizer_encode(
        r->tokenizer, context->text, trimmed_length(context->text, context->length), &ids, &alone);
    if (!status)
        status = tokenizer_encode(r->tokenizer, both, length, &c->ids, &c->count);
    ptqi_free(r->context, ids);
    ptqi_free(r->context, both);
    c->begin = alone;
    c->characters = count_characters(text);
    return status;
}

/* A choice must have a token, and a token must precede it. A sequence that is too long loses its
 * beginning, as in the harness. */
static ptq_status fit(const struct run *r, int64_t line, struct choice *c)
{
    const int64_t longest = r->longest + 1; /* the last token is only predicted */
    if (c->begin < 1 || c->begin >= c->count)
        return bad_line(r, line, "a context or a choice without a token of its own");
    if (c->count - c->begin >= longest)
        return bad_line(r, line, "a choice longer than the model");
    if (c->count > longest) {
        c->start = c->count - longest;
        c->begin -= c->start;
        c->count = longest;
    }
    return PTQ_OK;
}

static ptq_status add_item(struct run *r, int64_t line, const struct ptqi_json *root)
{
    const struct ptqi_json *context = ptqi_json_get(root, "context");
    const struct ptqi_json *texts = ptqi_json_get(root, "choices");
    struct item item = {.first = r->choice_count};
    if (!ptqi_json_string(context) || !texts || texts->kind != PTQI_JSON_ARRAY ||
        !ptqi_json_integer(ptqi_json_get(root, "answer"), &item.answer))
        return bad_line(r, line, "no \"context\" text, \"choices\" array or \"answer\" number");
    if (item.answer < 0 || item.answer >= texts->count)
        return bad_line(r, line, "\"answer\" is not the number of a choice, counted from 0");
    for (const struct ptqi_json *text = texts->first; text; text = text->next) {
        if (!ptqi_json_string(text) || !text->length)
            return bad_line(r, line, "a choice that is not a string, or empty");
        PTQI_TRY(ptqi_grow(r->context, (void **)&r->choices, r->choice_count, &r->choice_capacity,
                           r->choice_count + 1, (int64_t)sizeof *r->choices));
        struct choice *c = &r->choices[r->choice_count++];
        memset(c, 0, sizeof *c);
        PTQI_TRY(tokenize(r, context, text, c));
        PTQI_TRY(fit(r, line, c));
        item.count++;
    }
    PTQI_TRY(ptqi_grow(r->context, (void **)&r->items, r->item_count, &r->item_capacity,
                       r->item_count + 1, (int64_t)sizeof *r->items));
    r->items[r->item_count++] = item;
    return PTQ_OK;
}

static ptq_status read_items(struct run *r, const struct ptqi_map *file)
{
    const char *at = (const char *)file->data, *end = at + file->size;
    for (int64_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        struct ptqi_json_document *document;
        const struct ptqi_json *root;
        char where[600];
        stop = stop ? stop : end;
        int64_t blank = 0;
        while (at + blank < stop && strchr(" \t\r", at[blank]))
            blank++;
        if (at + blank < stop) {
            snprintf(where, sizeof where, "%.500s, line %lld", r->path, (long long)line);
            PTQI_TRY(ptqi_json_parse(r->context, at, stop - at, where, &document, &root));
            ptq_status status = add_item(r, line, root);
            ptqi_json_free(document);
            if (status)
                return status;
        }
        at = stop + 1;
    }
    return r->item_count ? PTQ_OK
                         : ptqi_fail(r->context, PTQ_ERROR_FORMAT, "%s: no items", r->path);
}

/* The sum of the log-likelihoods of a choice's tokens. */
static ptq_status score(void *user, int64_t number, const float *x)
{
    struct run *r = user;
    struct choice *c = &r->choices[number];
    const int64_t hidden = r->model->config.hidden, vocabulary = r->model->config.vocabulary;
    for (int64_t t = c->begin; t < c->count; t++) {
        PTQI_TRY(model_logits(r->model, x + (t - 1) * hidden, 1, r->logits));
        c->likelihood += (double)r->logits[c->ids[c->start + t]] -
                         row_log_sum_exp(r->context, r->logits, vocabulary);
    }
    return PTQ_OK;
}

/* Whether the answer has the largest likelihood; among equals, the first one counts. */
static int is_right(const struct run *r, const struct item *item, int normalized)
{
    int64_t best = 0;
    double largest = 0;
    for (int64_t i = 0; i < item->count; i++) {
        const struct choice *c = &r->choices[item->first + i];
        double value = normalized ? c->likelihood / (double)c->characters : c->likelihood;
        if (i == 0 || value > largest) {
            best = i;
            largest = value;
        }
    }
    return best == item->answer;
}

static void summarize(const struct run *r, struct choices_result *result)
{
    const double n = (double)r->item_count;
    double right[2] = {0, 0};
    for (int64_t i = 0; i < r->item_count; i++)
        for (int normalized = 0; normalized < 2; normalized++)
            right[normalized] += is_right(r, &r->items[i], normalized);
    result->items = r->item_count;
    result->acc = right[0] / n;
    result->acc_norm = right[1] / n;
    /* the standard error of the mean of n zeros and ones, from the sample variance */
    double below = n > 1 ? n - 1 : 1;
    result->acc_stderr = sqrt(result->acc * (1 - result->acc) / below);
    result->acc_norm_stderr = sqrt(result->acc_norm * (1 - result->acc_norm) / below);
    for (int64_t i = 0; i < r->choice_count; i++)
        result->tokens += r->choices[i].count;
}

static ptq_status prepare(struct run *r)
{
    struct ptqi_map file;
    ptq_status status = tokenizer_load_model(r->context, r->model->checkpoint->path, &r->tokenizer);
    if (!status)
        status = longest_input(r->model, &r->longest);
    if (!status)
        status = ptqi_map_file(r->context, r->path, &file);
    if (status)
        return status;
    status = read_items(r, &file);
    ptqi_unmap_file(&file);
    r->logits = ptqi_alloc(r->context, r->model->config.vocabulary, (int64_t)sizeof *r->logits);
    return status ? status : r->logits ? PTQ_OK : PTQ_ERROR_MEMORY;
}

static ptq_status run_choices(struct run *r, int32_t activations, struct progress *progress,
                              struct choices_result *result)
{
    struct sequence *sequences =
        ptqi_alloc(r->context, r->choice_count, (int64_t)sizeof *sequences);
    if (!sequences)
        return PTQ_ERROR_MEMORY;
    for (int64_t i = 0; i < r->choice_count; i++)
        sequences[i] =
            (struct sequence){r->choices[i].ids + r->choices[i].start, r->choices[i].count - 1};
    struct forward f = {.model = r->model,
                        .sequences = sequences,
                        .count = r->choice_count,
                        .activations = activations,
                        .progress = progress,
                        .done = score,
                        .user = r};
    ptq_status status = forward_run(&f);
    ptqi_free(r->context, sequences);
    if (!status)
        summarize(r, result);
    result->quantized = f.quantized;
    return status;
}

ptq_status choices_measure(struct model *model, const char *path, int32_t activations,
                           struct progress *progress, struct choices_result *result)
{
    struct run r = {.model = model, .context = model->context, .path = path};
    memset(result, 0, sizeof *result);
    ptq_status status = prepare(&r);
    if (!status)
        status = run_choices(&r, activations, progress, result);
    for (int64_t i = 0; i < r.choice_count; i++)
        ptqi_free(r.context, r.choices[i].ids);
    ptqi_free(r.context, r.choices);
    ptqi_free(r.context, r.items);
    ptqi_free(r.context, r.logits);
    tokenizer_free(r.tokenizer);
    return status;
}
