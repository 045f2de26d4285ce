/* The types of GGUF that weights can be rounded to, and the settings of a quantizer for each. */
#ifndef GGUF_GGUF_FORMS_H
#define GGUF_GGUF_FORMS_H

#include "model/model.h"

struct gguf_form {
    const char *name; /* "Q4_K" */
    int64_t bits, scales;
    const char *fallback; /* for rows that are not whole blocks of 256 columns; NULL: none needed */
};

/* NULL for an unknown name. */
const struct gguf_form *gguf_form(const char *name);
/* The form for rows of k columns: that one, or what llama.cpp falls back to. NULL: rows that no
 * block divides, which are stored in F16. */
const struct gguf_form *gguf_form_for(const struct gguf_form *form, int64_t k);

/* The types of the embedding and of a head of its own; NULL: as it is. */
struct gguf_token_types {
    const char *embedding, *head;
};
/* Rounds one of them to nearest, in the form of a type or of its fallback, which must exist. */
ptq_status gguf_round_tokens(const struct model *m, const char *type, const ptq_tensor *weights,
                             ptq_qtensor **q);

#endif
