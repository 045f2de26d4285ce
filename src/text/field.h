/*
 * Small helpers for reading tokenizer.json.
 */
#ifndef TEXT_FIELD_H
#define TEXT_FIELD_H

#include "base/json.h"

#define FIELD_QUOTE_SIZE 128

/*
 * Reads a bool member. fallback is its value if it is missing or null; if fallback is negative, the
 * member is required. Any other value is an error.
 */
ptq_status field_flag(ptq_context *context, const struct ptqi_json *object, const char *name,
                      int fallback, int *flag);
/* A string for an error message: one line, not too long. Returns buffer. */
const char *field_quote(const struct ptqi_json *value, char buffer[FIELD_QUOTE_SIZE]);
/* 1 if value is missing or null. */
int field_absent(const struct ptqi_json *value);
/* 1 if value is the string text. */
int field_is(const struct ptqi_json *value, const char *text);

#endif
