#include "pretokenize.h"
#include <string.h>
#include "unicode.h"

/* One text on its way through the steps. */
struct walk {
    const struct pretokenizer *p;
    struct pretokenize_work *work;
    piece_function *use;
    void *user;
};

struct piece {
    const char *at, *end;
    int is_first; /* begins where the whole text begins */
};

static ptq_status add_space(const struct walk *w, const struct pretokenize_step *step,
                            const struct piece *in, struct buffer *out)
{
    (void)step;
    if (*in->at != ' ')
        PTQI_TRY(buffer_append(w->p->context, out, " ", 1));
    return buffer_append(w->p->context, out, in->at, in->end - in->at);
}

static ptq_status replace_spaces(const struct walk *w, const struct pretokenize_step *step,
                                 const struct piece *in, struct buffer *out)
{
    const int length = step->replacement_length;
    const int spaced = *in->at == ' ' || (in->end - in->at >= length &&
                                          !memcmp(in->at, step->replacement, (size_t)length));
    const int wanted =
        step->scheme == PREPEND_ALWAYS || (step->scheme == PREPEND_FIRST && in->is_first);
    if (wanted && !spaced)
        PTQI_TRY(buffer_append(w->p->context, out, step->replacement, length));
    for (const char *at = in->at, *next; at < in->end; at = next) {
        const char *space = memchr(at, ' ', (size_t)(in->end - at));
        next = space ? space + 1 : in->end;
        PTQI_TRY(buffer_append(w->p->context, out, at, (space ? space : next) - at));
        if (space)
            PTQI_TRY(buffer_append(w->p->context, out, step->replacement, length));
    }
    return PTQ_OK;
}

static ptq_status spell_bytes(const struct walk *w, const struct pretokenize_step *step,
                              const struct piece *in, struct buffer *out)
{
    (void)step;
    PTQI_TRY(buffer_reserve(w->p->context, out, 2 * (in->end - in->at)));
    for (const char *at = in->at; at < in->end; at++)
        out->length += ptqi_utf8_put(out->bytes + out->length, unicode_from_byte((uint8_t)*at));
    return PTQ_OK;
}

/* The steps that change a piece, by kind. */
static ptq_status (*const changes[])(const struct walk *w, const struct pretokenize_step *step,
                                     const struct piece *in, struct buffer *out) = {
    [PRETOKENIZE_SPACE] = add_space,
    [PRETOKENIZE_METASPACE] = replace_spaces,
    [PRETOKENIZE_BYTES] = spell_bytes,
};

/* Passes a piece through the steps from i onwards. */
static ptq_status run(const struct walk *w, int i, struct piece piece)
{
    if (i == w->p->count)
        return w->use(w->user, piece.at, piece.end - piece.at);
    const struct pretokenize_step *step = w->p->steps + i;
    if (step->kind != PRETOKENIZE_SPLIT) {
        struct buffer *out = w->work->changed + i;
        out->length = 0;
        PTQI_TRY(changes[step->kind](w, step, &piece, out));
        return run(w, i + 1, (struct piece){out->bytes, out->bytes + out->length, piece.is_first});
    }
    struct split_walk walk = {.begin = piece.at, .end = piece.end, .at = piece.at};
    struct piece part;
    while (split_next(&step->split, &walk, &part.at, &part.end)) {
        part.is_first = piece.is_first && part.at == piece.at;
        PTQI_TRY(run(w, i + 1, part));
    }
    return PTQ_OK;
}

ptq_status pretokenize(const struct pretokenizer *p, struct pretokenize_work *work, const char *at,
                       const char *end, int is_first, piece_function *use, void *user)
{
    const struct walk w = {p, work, use, user};
    return at == end ? PTQ_OK : run(&w, 0, (struct piece){at, end, is_first});
}

void pretokenize_work_free(ptq_context *context, struct pretokenize_work *work)
{
    for (int i = 0; i < PRETOKENIZE_STEPS; i++)
        buffer_free(context, work->changed + i);
}
