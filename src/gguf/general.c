#include "gguf/general.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/context.h"
#include "base/utf8.h"
#include "checkpoint/config_reader.h"
#include "gguf/tokenizer_files.h"

/* Members of generation_config.json, and the keys and types that they become. */
static const struct {
    const char *member, *key;
    int is_integer;
} sampling[] = {
    {"top_k", "general.sampling.top_k", 1},
    {"top_p", "general.sampling.top_p", 0},
    {"min_p", "general.sampling.min_p", 0},
    {"temperature", "general.sampling.temp", 0},
    {"penalty_last_n", "general.sampling.penalty_last_n", 1},
    {"penalty_repeat", "general.sampling.penalty_repeat", 0},
    {"repetition_penalty", "general.sampling.penalty_repeat", 0},
    {"mirostat", "general.sampling.mirostat", 1},
    {"mirostat_tau", "general.sampling.mirostat_tau", 0},
    {"mirostat_eta", "general.sampling.mirostat_eta", 0},
    {"xtc_probability", "general.sampling.xtc_probability", 0},
    {"xtc_threshold", "general.sampling.xtc_threshold", 0},
};

static ptq_status put_sampling(const struct model *m, struct gguf_pairs *p)
{
    struct tokenizer_files files = {.context = m->context, .checkpoint = m->checkpoint};
    struct ptqi_json_document *document;
    const struct ptqi_json *root, *value;
    char *text;
    int64_t length, integer;
    PTQI_TRY(tokenizer_files_text(&files, "generation_config.json", &text, &length));
    if (!text)
        return PTQ_OK;
    ptq_status status =
        ptqi_json_parse(m->context, text, length, "generation_config.json", &document, &root);
    ptqi_free(m->context, text);
    PTQI_TRY(status);
    for (size_t i = 0; i < sizeof sampling / sizeof *sampling; i++) {
        value = config_value(root, sampling[i].member);
        if (!value || value->kind != PTQI_JSON_NUMBER)
            continue;
        if (!sampling[i].is_integer)
            gguf_put_real(p, sampling[i].key, value->number);
        else
            gguf_put_signed(p, sampling[i].key,
                            ptqi_json_integer(value, &integer) ? integer : INT64_MAX);
    }
    ptqi_json_free(document);
    return p->status;
}

/* The last part of a path, which may be in any encoding: other bytes than UTF-8 become "_". */
static void name_of(const char *path, char *name, size_t capacity)
{
    size_t length = strlen(path), first, used = 0;
    int valid;
    while (length > 1 && path[length - 1] == '/')
        length--;
    for (first = length; first > 0 && path[first - 1] != '/';)
        first--;
    for (size_t step; first < length; first += step) {
        step = (size_t)ptqi_utf8_sequence(path + first, (int64_t)(length - first), &valid);
        if (used + step >= capacity)
            break;
        memcpy(name + used, valid ? path + first : "_", valid ? step : 1);
        used += valid ? step : 1;
    }
    name[used] = 0;
}

/* The name of the directory, unless it was given as ".", as a title: words apart, in capitals if
 * they are all small letters. */
static void put_name(const struct model *m, struct gguf_pairs *p)
{
    char name[256];
    name_of(m->checkpoint->path, name, sizeof name);
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return;
    for (char *word = name; *word;) {
        const size_t letters = strcspn(word, "- ");
        int small = 0, large = 0;
        for (size_t i = 0; i < letters; i++) {
            small |= islower((unsigned char)word[i]);
            large |= isupper((unsigned char)word[i]);
        }
        const int version =
            isdigit((unsigned char)*word) || (*word == 'v' && isdigit((unsigned char)word[1]));
        for (size_t i = 0; i < letters && small && !large && !version; i++)
            if (!i || !isalpha((unsigned char)word[i - 1]))
                word[i] = (char)toupper((unsigned char)word[i]);
        word += letters;
        if (*word)
            *word++ = ' ';
    }
    gguf_put_text(p, "general.name", name);
}

/* A number with at least two digits: "135M", "1.2B". */
static void format_size(double parameters, char *text, size_t capacity)
{
    static const struct {
        double unit;
        char letter;
    } units[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
    int i = 0;
    while (i < 3 && !(parameters > units[i].unit))
        i++;
    const double scaled = parameters / units[i].unit;
    /* "0" has no digits that count */
    const int decimals = scaled < 0.5 ? 2 : scaled < 9.5 ? 1 : 0;
    char number[32];
    snprintf(number, sizeof number, "%.*f", decimals, scaled);
    snprintf(text, capacity, "%s%c", number, units[i].letter);
}

/* Experts count once: "8x7B". */
static void put_size(struct gguf_pairs *p)
{
    double shared = 0, expert = 0;
    int64_t experts = 0;
    char size[40], text[64];
    for (int64_t i = 0; i < ptq_store_count(p->store); i++) {
        double parameters = 1;
        const int is_stack = strstr(ptq_store_name(p->store, i), "_exps.") != NULL;
        for (int32_t axis = is_stack; axis < ptq_store_rank(p->store, i); axis++)
            parameters *= (double)ptq_store_size(p->store, i, axis);
        experts = is_stack ? ptq_store_size(p->store, i, 0) : experts;
        *(is_stack ? &expert : &shared) += parameters;
    }
    format_size(shared + expert, size, sizeof size);
    if (experts)
        snprintf(text, sizeof text, "%lldx%s", (long long)experts, size);
    gguf_put_text(p, "general.size_label", experts ? text : size);
}

ptq_status gguf_put_general(const struct model *m, struct gguf_pairs *p)
{
    gguf_put_text(p, "general.architecture", p->architecture);
    gguf_put_text(p, "general.type", "model");
    PTQI_TRY(put_sampling(m, p));
    put_name(m, p);
    put_size(p);
    gguf_put_integer(p, "general.quantization_version", 2);
    return p->status;
}

/* LLAMA_FTYPE_... of include/llama.h, by the type of most weights. */
static const struct {
    const char *type;
    int32_t file_type;
} file_types[] = {
    {"F32", 0},   {"F16", 1},   {"BF16", 32}, {"Q4_0", 2},    {"Q4_1", 3},
    {"Q8_0", 7},  {"Q5_0", 8},  {"Q5_1", 9},  {"Q4_K", 15},   {"Q4_K", 14},
    {"Q5_K", 17}, {"Q5_K", 16}, {"Q6_K", 18}, {"IQ4_NL", 25}, {"IQ4_XS", 30},
};
enum { FILE_TYPES = sizeof file_types / sizeof *file_types };

/* The type with the most weights among the matrices of blocks. */
static const char *main_type(const ptq_store *store)
{
    int64_t weights[FILE_TYPES] = {0};
    int most = 0;
    for (int64_t i = 0; i < ptq_store_count(store); i++) {
        int type = 0;
        int64_t count = 1;
        for (int32_t axis = 0; axis < ptq_store_rank(store, i); axis++)
            count *= ptq_store_size(store, i, axis);
        while (type < FILE_TYPES && strcmp(file_types[type].type, ptq_store_dtype(store, i)))
            type++;
        if (type < FILE_TYPES && ptq_store_rank(store, i) > 1 &&
            !strncmp(ptq_store_name(store, i), "blk.", 4))
            weights[type] += count;
    }
    for (int i = 1; i < FILE_TYPES; i++)
        most = weights[i] > weights[most] ? i : most;
    return file_types[most].type;
}

void gguf_put_file_type(const char *before, struct gguf_pairs *p)
{
    const char *type = main_type(p->store);
    const int old = before ? atoi(before) : -1;
    int found = 0;
    while (strcmp(file_types[found].type, type))
        found++;
    for (int i = 0; i < FILE_TYPES; i++)
        if (file_types[i].file_type == old && !strcmp(file_types[i].type, type))
            found = i;
    gguf_put_integer(p, "general.file_type", file_types[found].file_type);
}
