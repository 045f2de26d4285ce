/* How byte-level tokenizers of GGUF files divide text: tokenizer.ggml.pre names it. */
#ifndef TEXT_GGUF_SCHEMES_H
#define TEXT_GGUF_SCHEMES_H

#include "base/json.h"

struct gguf_scheme {
    const char *name;
    const char *const *splits; /* expressions whose matches are pieces, in turn; ends with NULL */
    int gpt2;                  /* and then GPT-2's expression */
    int nfc;                   /* normalizes text to NFC before */
    int whole;                 /* a piece that is a token is not divided: "ignore_merges" */
    int begins; /* a text begins with the BOS token, unless the file says otherwise */
};

/* Scheme i of the table; NULL after the last. */
const struct gguf_scheme *gguf_scheme_at(int i);
/* NULL for an unknown name. */
const struct gguf_scheme *gguf_scheme(const char *name);
/* Writes "normalizer" and "pre_tokenizer". */
void gguf_write_scheme(struct ptqi_json_writer *w, const struct gguf_scheme *scheme);

#endif
