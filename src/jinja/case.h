/*
 * Upper and lower case of a text.
 */
#ifndef JINJA_CASE_H
#define JINJA_CASE_H

#include "jinja/machine.h"

enum letter_case {
    CASE_LOWER,
    CASE_UPPER,
    CASE_CAPITALIZE,  /* the first character in upper case, the others in lower case */
    CASE_TITLE,       /* str.title: so for every run of letters */
    CASE_TITLE_FILTER /* jinja2's filter: so for every word, behind a space or one of -({[< */
};

/* A character whose case depends on more than ASCII and simple lower case is refused. */
ptq_status text_change_case(struct machine *m, struct text text, enum letter_case how,
                            struct text *out);

#endif
