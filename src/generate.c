/*
 * ptq generate: continues a text.
 */
#include <stdio.h>
#include <string.h>
#include "base/context.h"
#include "base/utf8.h"
#include "commands.h"
#include "console/clock.h"
#include "checkpoint/checkpoint.h"
#include "generate/dialogue.h"
#include "generate/generation.h"
#include "generate/sample.h"
#include "options.h"
#include "report/json_report.h"
#include "text/tokenizer.h"

static const char usage[] = "usage: ptq generate MODEL --prompt TEXT [--chat] [options]\n"
                            "       ptq generate MODEL --messages FILE [options]\n"
                            "\n"
                            "Continues a text with a Hugging Face model directory, quantized or "
                            "not, or a GGUF file, until\n"
                            "the model ends it; or, with --chat or --messages, answers in a "
                            "conversation. The same options\n"
                            "give the same text on every machine and for any number of threads.\n";

static const struct option table[] = {
    {"prompt", "TEXT", "the text to continue"},
    {"chat", NULL, "the prompt is a user's message, put in the form of the model's chat template"},
    {"system", "TEXT", "with --chat: a system message before it"},
    {"messages", "FILE", "a conversation instead: a JSON list of {\"role\", \"content\"}"},
    {"head-bits", "8", "quantize the head to 8 bits"},
    ACTIVATIONS_OPTION,
    {"tokens", "N", "at most N tokens; default 128"},
    {"temperature", "X",
     "0, the default: always the likeliest token; 1: by the model's "
     "probabilities"},
    {"top-k", "N", "only the N likeliest tokens"},
    {"top-p", "X", "only the likeliest tokens that together reach this probability"},
    {"min-p", "X", "only tokens with at least this share of the likeliest one's probability"},
    {"repetition-penalty", "X", "makes tokens that occurred less likely; default 1"},
    {"seed", "N", "of the random choices; default 0"},
    {"stop", "TEXT", "end before this text"},
    {"stream", NULL, "print the text as it is made"},
    COMMON_OPTIONS,
};

enum { END_IDS = 16 };

struct run {
    const struct options *o;
    ptq_context *context;
    struct model *model;
    struct tokenizer *tokenizer;
    struct generation generation;
    struct sampling sampling;
    struct sampler *sampler;
    int32_t activations; /* or ACTIVATIONS_... of model.h */
    int64_t limit;
    int32_t *ids; /* the prompt, then what was made */
    int64_t prompt, count;
    char *text; /* of what was made */
    int64_t length, printed;
    int32_t ends[END_IDS];
    int end_count;
    int stopped; /* by the stop text */
    double prompt_seconds, seconds;
};

static int is_chat(const struct options *o)
{
    return option_given(o, "chat") || option_given(o, "messages");
}

/* The ids of the prompt. */
static ptq_status encode_prompt(struct run *r, int32_t **ids)
{
    const char *prompt = option_text(r->o, "prompt"), *file = option_text(r->o, "messages");
    const char *directory = r->model->checkpoint->path;
    if (file)
        return dialogue_encode_file(r->context, r->tokenizer, directory, file, ids, &r->prompt);
    if (is_chat(r->o))
        return dialogue_encode(r->context, r->tokenizer, directory, option_text(r->o, "system"),
                               prompt, ids, &r->prompt);
    return tokenizer_encode_templated(r->tokenizer, prompt, (int64_t)strlen(prompt), ids,
                                      &r->prompt);
}

static ptq_status load(struct run *r)
{
    int64_t capacity;
    PTQI_TRY(model_open(r->context, r->o->positional[0], &r->model));
    PTQI_TRY(model_check_activations(r->model, r->activations));
    PTQI_TRY(tokenizer_load_model(r->context, r->model->checkpoint->path, &r->tokenizer));
    int32_t *ids;
    PTQI_TRY(encode_prompt(r, &ids));
    capacity = r->prompt + r->limit;
    r->ids = ptqi_alloc(r->context, capacity, (int64_t)sizeof *r->ids);
    if (r->ids)
        memcpy(r->ids, ids, (size_t)r->prompt * sizeof *ids);
    ptqi_free(r->context, ids);
    if (!r->ids)
        return PTQ_ERROR_MEMORY;
    r->count = r->prompt;
    if (!r->prompt)
        return ptqi_fail(r->context, PTQ_ERROR_SHAPE, "the prompt has no tokens");
    if (r->prompt >= r->model->config.max_positions)
        return ptqi_fail(r->context, PTQ_ERROR_BOUNDS,
                         "the prompt has %lld tokens, and the model takes %lld",
                         (long long)r->prompt, (long long)r->model->config.max_positions);
    capacity = ptqi_min(capacity, r->model->config.max_positions);
    r->limit = capacity - r->prompt;
    if (option_given(r->o, "head-bits"))
        PTQI_TRY(model_quantize_head(r->model));
    r->end_count = generation_end_ids(r->model, r->ends, END_IDS);
    PTQI_TRY(sampler_create(r->context, &r->sampling, r->model->config.vocabulary, &r->sampler));
    return generation_begin(&r->generation, r->model, r->activations, capacity);
}

/* Bytes at the end of the text that are only the beginning of a character. */
static int64_t incomplete(const char *text, int64_t length)
{
    int valid;
    for (int64_t tail = 1; tail <= 3 && tail <= length; tail++) {
        const unsigned char c = (unsigned char)text[length - tail];
        if (c >= 0xc0) {
            const int wanted = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            ptqi_utf8_sequence(text + length - tail, tail, &valid);
            return tail < wanted && !valid ? tail : 0;
        }
        if (c < 0x80)
            return 0;
    }
    return 0;
}

/* Bytes at the end of the text with which the stop text may begin. */
static int64_t beginning_of(const char *stop, const char *text, int64_t length)
{
    int64_t count = (int64_t)strlen(stop) - 1;
    count = ptqi_min(count, length);
    while (count > 0 && memcmp(text + length - count, stop, (size_t)count))
        count--;
    return count > 0 ? count : 0;
}

/* Decodes what was made, and cuts it at the stop text. */
static ptq_status decode(struct run *r)
{
    const char *stop = option_text(r->o, "stop");
    ptqi_free(r->context, r->text);
    r->text = NULL;
    PTQI_TRY(tokenizer_decode(r->tokenizer, r->ids + r->prompt, r->count - r->prompt, &r->text,
                              &r->length));
    char *found = stop && *stop ? strstr(r->text, stop) : NULL;
    if (!found)
        return PTQ_OK;
    *found = 0;
    r->length = found - r->text;
    r->stopped = 1;
    return PTQ_OK;
}

/* Prints what is new, complete, and not the beginning of the stop text. */
static void print_new(struct run *r)
{
    const char *stop = option_text(r->o, "stop");
    const int64_t cut = incomplete(r->text, r->length);
    const int64_t held = stop && !r->stopped ? beginning_of(stop, r->text, r->length) : 0;
    const int64_t end = r->length - ptqi_max(cut, held);
    if (end <= r->printed)
        return;
    fwrite(r->text + r->printed, 1, (size_t)(end - r->printed), stdout);
    fflush(stdout);
    r->printed = end;
}

/* After a token. Without --stream and --stop, the text is decoded once, at the end. */
static ptq_status update_text(struct run *r)
{
    const int streams = option_given(r->o, "stream") && !option_given(r->o, "json");
    if (!streams && !option_given(r->o, "stop"))
        return PTQ_OK;
    PTQI_TRY(decode(r));
    if (streams)
        print_new(r);
    return PTQ_OK;
}

static int is_end(const struct run *r, int32_t id)
{
    for (int i = 0; i < r->end_count; i++)
        if (r->ends[i] == id)
            return 1;
    return 0;
}

static ptq_status make_text(struct run *r)
{
    struct generation *g = &r->generation;
    const double start = clock_seconds();
    for (int64_t i = 0; i < r->prompt; i++)
        sampler_note(r->sampler, r->ids[i]);
    PTQI_TRY(generation_run(g, r->ids, r->prompt));
    const double made = clock_seconds();
    r->prompt_seconds = made - start;
    while (r->count - r->prompt < r->limit && !r->stopped) {
        const int32_t id = sampler_next(r->sampler, g->logits);
        if (is_end(r, id))
            break;
        sampler_note(r->sampler, id);
        r->ids[r->count++] = id;
        PTQI_TRY(update_text(r));
        if (r->count - r->prompt < r->limit && !r->stopped)
            PTQI_TRY(generation_run(g, &id, 1));
    }
    r->seconds = clock_seconds() - made;
    return r->text ? PTQ_OK : decode(r);
}

static double per_second(int64_t tokens, double seconds)
{
    return seconds > 0 ? (double)tokens / seconds : 0;
}

static ptq_status print(const struct run *r)
{
    const int64_t made = r->count - r->prompt;
    struct ptqi_json_writer w;
    if (!option_given(r->o, "json")) {
        printf("%s\n", r->text + ptqi_min(r->printed, r->length));
        fprintf(stderr, "prompt %lld tokens, %.1f tokens/s; made %lld tokens, %.1f tokens/s\n",
                (long long)r->prompt, per_second(r->prompt, r->prompt_seconds), (long long)made,
                per_second(made, r->seconds));
        return PTQ_OK;
    }
    ptqi_json_begin(&w, r->context);
    ptqi_json_open(&w, NULL, '{');
    ptqi_json_add_text(&w, "text", r->text);
    ptqi_json_open(&w, "ids", '[');
    for (int64_t i = r->prompt; i < r->count; i++)
        ptqi_json_add_integer(&w, NULL, r->ids[i]);
    ptqi_json_close(&w, ']');
    ptqi_json_add_integer(&w, "prompt_tokens", r->prompt);
    ptqi_json_add_integer(&w, "tokens", made);
    ptqi_json_add_integer(&w, "quantized_matrices", r->generation.quantized);
    ptqi_json_add_number(&w, "prompt_tokens_per_second", per_second(r->prompt, r->prompt_seconds),
                         6);
    ptqi_json_add_number(&w, "tokens_per_second", per_second(made, r->seconds), 6);
    ptqi_json_close(&w, '}');
    return report_print(&w);
}

static ptq_status run(struct run *r)
{
    PTQI_TRY(load(r));
    if (!option_given(r->o, "json"))
        unused_print(&r->model->checkpoint->unused, r->model->checkpoint->path);
    if (!option_given(r->o, "json") && !is_chat(r->o))
        printf("%s", option_text(r->o, "prompt"));
    fflush(stdout);
    PTQI_TRY(make_text(r));
    return print(r);
}

static int read_sampling(const struct options *o, struct run *r)
{
    struct sampling *s = &r->sampling;
    int64_t seed = 0, bits;
    *s = (struct sampling){.top_p = 1, .repetition_penalty = 1};
    r->limit = 128;
    int rc = option_integer(o, "tokens", 1, 1 << 24, &r->limit);
    if (!rc)
        rc = option_integer(o, "head-bits", 8, 8, &bits);
    if (!rc)
        rc = option_integer(o, "top-k", 1, 1 << 24, &s->top_k);
    if (!rc)
        rc = option_integer(o, "seed", 0, INT64_MAX, &seed);
    if (!rc)
        rc = option_real(o, "temperature", 0, 100, &s->temperature);
    if (!rc)
        rc = option_real(o, "top-p", 0, 1, &s->top_p);
    if (!rc)
        rc = option_real(o, "min-p", 0, 1, &s->min_p);
    if (!rc)
        rc = option_real(o, "repetition-penalty", 0.01, 100, &s->repetition_penalty);
    s->seed = (uint64_t)seed;
    return rc;
}

int command_generate(int argc, char **argv)
{
    struct options o;
    struct run r = {.o = &o};
    int rc = options_parse(&o, "generate", usage, table, argc, argv);
    if (rc)
        return rc;
    if (o.positional_count != 1 || option_given(&o, "prompt") == option_given(&o, "messages"))
        return usage_error(&o, "needs a model and --prompt or --messages");
    if (option_given(&o, "system") && (!option_given(&o, "chat") || option_given(&o, "messages")))
        return usage_error(&o, "--system is for --chat with --prompt");
    rc = read_sampling(&o, &r);
    if (!rc)
        rc = options_activations(&o, &r.activations);
    if (!rc)
        rc = options_context(&o, &r.context);
    if (rc)
        return rc;
    ptq_status status = run(&r);
    rc = status ? report_failure(status) : 0;
    generation_free(&r.generation);
    sampler_free(r.sampler);
    tokenizer_free(r.tokenizer);
    model_free(r.model);
    ptqi_free(r.context, r.ids);
    ptqi_free(r.context, r.text);
    ptq_context_free(r.context);
    return rc;
}
