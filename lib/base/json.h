/*
 * JSON (RFC 8259): a strict, bounded reader that builds a tree, and a writer.
 *
 * The reader accepts hostile text: depth is limited, strings must be valid UTF-8, object keys must
 * be unique, numbers must follow the grammar, and nothing may follow the value.
 */
#ifndef PTQI_JSON_H
#define PTQI_JSON_H

#include "context.h"

enum ptqi_json_kind {
    PTQI_JSON_NULL,
    PTQI_JSON_BOOL,
    PTQI_JSON_NUMBER,
    PTQI_JSON_STRING,
    PTQI_JSON_ARRAY,
    PTQI_JSON_OBJECT
};

/* One value. Members and elements form a list: first, then next, in text order. */
struct ptqi_json {
    enum ptqi_json_kind kind;
    int32_t name_length, length; /* of name and of text, in bytes */
    int32_t count;               /* elements or members */
    const char *name;            /* key if this is a member, else NULL; zero-terminated */
    const char *text;            /* string value, zero-terminated (may contain zero bytes); the
                                    spelling of a number, in the text that was parsed */
    double number;               /* also 0 or 1 for a bool */
    const struct ptqi_json *first, *next;
};

struct ptqi_json_document;

/* Parses length bytes; what (a path) appears in messages. *root lives as long as the document. */
ptq_status ptqi_json_parse(ptq_context *context, const char *text, int64_t length, const char *what,
                           struct ptqi_json_document **document, const struct ptqi_json **root);
void ptqi_json_free(struct ptqi_json_document *document);

/* Finds a member by name, linearly; NULL if object is NULL, not an object, or has no such member.
 */
const struct ptqi_json *ptqi_json_get(const struct ptqi_json *object, const char *name);
/* Returns 1 and the value if it is a number without a fraction, |value| <= 2^53. */
int ptqi_json_integer(const struct ptqi_json *value, int64_t *out);
/* The text of a string value, NULL for anything else. */
const char *ptqi_json_string(const struct ptqi_json *value);
/* A bool member, or fallback if it is missing or not a bool. */
int ptqi_json_flag(const struct ptqi_json *object, const char *name, int fallback);

/*
 * The writer appends to a growing text. name is NULL inside arrays and for the root. Errors are
 * sticky: check once, with ptqi_json_finish.
 */
struct ptqi_json_writer {
    ptq_context *context;
    char *text;
    int64_t length, capacity;
    int depth;
    int first; /* nothing has been written in the innermost array or object */
    ptq_status status;
};

void ptqi_json_begin(struct ptqi_json_writer *w, ptq_context *context);
void ptqi_json_open(struct ptqi_json_writer *w, const char *name, char bracket); /* '{' or '[' */
void ptqi_json_close(struct ptqi_json_writer *w, char bracket);                  /* '}' or ']' */
void ptqi_json_add_text(struct ptqi_json_writer *w, const char *name, const char *value);
/* The same for text that may contain zero bytes. */
void ptqi_json_add_string(struct ptqi_json_writer *w, const char *name, const char *value,
                          int64_t length);
void ptqi_json_add_integer(struct ptqi_json_writer *w, const char *name, int64_t value);
/* Writes digits significant digits (17 represent a double exactly, 9 an f32), or, if digits is 0,
 * as ptqi_format_shortest does; NaN and infinity become null. */
void ptqi_json_add_number(struct ptqi_json_writer *w, const char *name, double value, int digits);
void ptqi_json_add_bool(struct ptqi_json_writer *w, const char *name, int value);
void ptqi_json_add_null(struct ptqi_json_writer *w, const char *name);
/* Copies a parsed value, unchanged except for white space. */
void ptqi_json_add_value(struct ptqi_json_writer *w, const char *name,
                         const struct ptqi_json *value);
/* Returns the status; on success w->text[0 .. w->length) is the text, zero-terminated. */
ptq_status ptqi_json_finish(struct ptqi_json_writer *w);
void ptqi_json_end(struct ptqi_json_writer *w); /* frees the text */

/* Formats value like printf("%.*g") in the C locale, whatever the locale of the process. */
void ptqi_format_number(char *buffer, int64_t capacity, double value, int digits);
/* The same, with the fewest digits that read back as the same double. */
void ptqi_format_shortest(char *buffer, int64_t capacity, double value);
/* Parses text[0 .. length) as a number in the JSON grammar, independent of the locale; 1 on
 * success. */
int ptqi_parse_number(const char *text, int64_t length, double *value);

#endif
