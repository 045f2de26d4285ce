/*
 * String literals of a template, as Python's unicode_escape reads them.
 */
#ifndef JINJA_LITERAL_H
#define JINJA_LITERAL_H

#include "jinja/arena.h"
#include "jinja/value.h"

/* Replaces the escapes of a literal, given without its quotes. */
ptq_status literal_unescape(struct arena *arena, struct text literal, int line, struct text *text);

#endif
