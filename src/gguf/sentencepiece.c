#include "gguf/sentencepiece.h"
#include <string.h>
#include "base/context.h"
#include "base/utf8.h"

/* Types of fields. */
enum { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5 };

/* A message that is left to read. */
struct message {
    const uint8_t *at, *end;
    int broken;
};

static uint64_t read_varint(struct message *m)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end)
            break;
        const uint8_t byte = *m->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    m->broken = 1;
    return 0;
}

static const uint8_t *take(struct message *m, uint64_t bytes)
{
    const uint8_t *data = m->at;
    if (bytes > (uint64_t)(m->end - m->at)) {
        m->broken = 1;
        return NULL;
    }
    m->at += bytes;
    return data;
}

/* A field: its number, and its value or its bytes. */
struct field {
    uint64_t number, value;
    const uint8_t *data; /* [length], of BYTES and FOUR_BYTES */
    uint64_t length;
};

/* Reads the next field; 0 at the end, or if the message is broken. */
static int next_field(struct message *m, struct field *f)
{
    if (m->at == m->end || m->broken)
        return 0;
    const uint64_t key = read_varint(m);
    memset(f, 0, sizeof *f);
    f->number = key >> 3;
    switch (key & 7) {
    case VARINT:
        f->value = read_varint(m);
        break;
    case BYTES:
        f->length = read_varint(m);
        f->data = take(m, f->length);
        break;
    case FOUR_BYTES:
    case EIGHT_BYTES:
        f->length = (key & 7) == FOUR_BYTES ? 4 : 8;
        f->data = take(m, f->length);
        break;
    default:
        m->broken = 1;
    }
    return !m->broken;
}

static float float_at(const uint8_t *data)
{
    const uint32_t bits = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
                          (uint32_t)data[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static ptq_status broken(const struct gguf_vocabulary *v)
{
    return ptqi_fail(v->context, PTQ_ERROR_FORMAT, "tokenizer.model is damaged");
}

/* Types of the file are those of GGUF, except that user-defined tokens are listed elsewhere. */
static ptq_status read_piece(struct gguf_vocabulary *v, int64_t id, const struct field *piece)
{
    struct message m = {piece->data, piece->data + piece->length, 0};
    struct field f, text = {0};
    float score = 0;
    uint64_t type = TOKEN_NORMAL;
    while (next_field(&m, &f)) {
        if (f.number == 1 && f.data)
            text = f;
        else if (f.number == 2 && f.data && f.length == 4)
            score = float_at(f.data);
        else if (f.number == 3)
            type = f.value;
    }
    if (m.broken || !text.length || type < TOKEN_NORMAL || type > TOKEN_BYTE ||
        score - score != 0 || !ptqi_utf8_is_text((const char *)text.data, (int64_t)text.length))
        return broken(v);
    char *copy = ptqi_copy_text(v->context, (const char *)text.data, (int64_t)text.length);
    if (!copy)
        return PTQ_ERROR_MEMORY;
    const ptq_status status =
        vocabulary_set(v, id, copy, (double)score,
                       type == TOKEN_USER_DEFINED ? TOKEN_NORMAL : (enum token_type)type);
    ptqi_free(v->context, copy);
    return status;
}

ptq_status sentencepiece_read(struct gguf_vocabulary *v, const char *bytes, int64_t length)
{
    struct message m = {(const uint8_t *)bytes, (const uint8_t *)bytes + length, 0};
    struct field f;
    int64_t id = 0;
    while (next_field(&m, &f))
        if (f.number == 1) {
            if (!f.data)
                return broken(v);
            PTQI_TRY(read_piece(v, id++, &f));
        }
    return m.broken || !id ? broken(v) : PTQ_OK;
}
