/*
 * The expressions are those of the tokenizer.json files that the names stand for. "default" and a
 * file without a name get what llama.cpp uses for them.
 */
#include "gguf_schemes.h"
#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BEFORE_WORD "[^\\r\\n\\p{L}\\p{N}]?"
#define WORDS(end) BEFORE_WORD UPPER "*" LOWER "+" end "|" BEFORE_WORD UPPER "+" LOWER "*" end

static const char *const none[] = {NULL};
static const char *const digits[] = {"\\p{N}", NULL};
static const char *const llama3[] = {CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|"
                                                  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
                                     NULL};
static const char *const qwen2[] = {CONTRACTIONS "|" LETTERS "|\\p{N}|"
                                                 " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES,
                                    NULL};
static const char *const gpt4o[] = {
    WORDS(CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES, NULL};
static const char *const tekken[] = {WORDS("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
                                     NULL};
static const char *const deepseek3[] = {
    "\\p{N}{1,3}",
    /* U+4E00 to U+9FA5, U+3040 to U+309F, U+30A0 to U+30FF */
    "[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES,
    NULL};
static const char *const unnamed[] = {
    "[\\p{P}\\$\\+<=>\\^~\\|]+",
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "\\p{N}+",
    "[0-9][0-9][0-9]", NULL};

static const struct gguf_scheme schemes[] = {
    {"gpt-2", none, 1, 0, 0, 0},
    {"smollm", digits, 1, 0, 0, 0},
    {"starcoder", digits, 1, 0, 0, 0},
    {"refact", digits, 1, 0, 0, 0},
    {"command-r", digits, 1, 1, 0, 0},
    {"llama-bpe", llama3, 0, 0, 1, 1},
    {"llama3", llama3, 0, 0, 1, 1},
    {"llama-v3", llama3, 0, 0, 1, 1},
    {"qwen2", qwen2, 0, 1, 0, 0},
    {"deepseek-r1-qwen", qwen2, 0, 0, 0, 0},
    {"gpt-4o", gpt4o, 0, 0, 0, 0},
    {"tekken", tekken, 0, 0, 1, 1},
    {"deepseek-v3", deepseek3, 0, 0, 0, 0},
    {"default", unnamed, 0, 0, 0, 0},
};

const struct gguf_scheme *gguf_scheme_at(int i)
{
    const int count = sizeof schemes / sizeof *schemes;
    return i >= 0 && i < count ? &schemes[i] : NULL;
}

const struct gguf_scheme *gguf_scheme(const char *name)
{
    const struct gguf_scheme *scheme;
    int i = 0;
    while ((scheme = gguf_scheme_at(i)) && strcmp(name, scheme->name))
        i++;
    return scheme;
}

static void write_split(struct ptqi_json_writer *w, const char *expression)
{
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "type", "Split");
    ptqi_json_open(w, "pattern", '{');
    ptqi_json_add_text(w, "Regex", expression);
    ptqi_json_close(w, '}');
    ptqi_json_add_text(w, "behavior", "Isolated");
    ptqi_json_add_bool(w, "invert", 0);
    ptqi_json_close(w, '}');
}

void gguf_write_scheme(struct ptqi_json_writer *w, const struct gguf_scheme *scheme)
{
    if (scheme->nfc) {
        ptqi_json_open(w, "normalizer", '{');
        ptqi_json_add_text(w, "type", "NFC");
        ptqi_json_close(w, '}');
    }
    ptqi_json_open(w, "pre_tokenizer", '{');
    ptqi_json_add_text(w, "type", "Sequence");
    ptqi_json_open(w, "pretokenizers", '[');
    for (const char *const *split = scheme->splits; *split; split++)
        write_split(w, *split);
    ptqi_json_open(w, NULL, '{');
    ptqi_json_add_text(w, "type", "ByteLevel");
    ptqi_json_add_bool(w, "add_prefix_space", 0);
    ptqi_json_add_bool(w, "trim_offsets", 1);
    ptqi_json_add_bool(w, "use_regex", scheme->gpt2);
    ptqi_json_close(w, '}');
    ptqi_json_close(w, ']');
    ptqi_json_close(w, '}');
}
