#include "report/matrix_name.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *matrix_in_block(const char *name, int64_t *block)
{
    while (name) {
        int64_t number = 0;
        const char *at = name;
        while (*at >= '0' && *at <= '9' && number < INT64_MAX / 100)
            number = 10 * number + (*at++ - '0');
        if (at > name && *at == '.' && at[1]) {
            *block = number;
            return at + 1;
        }
        name = strchr(name, '.');
        name = name ? name + 1 : NULL;
    }
    return NULL;
}

/* Whether two names are equal but for the numbers in them. */
static int same_but_for_numbers(const char *a, const char *b)
{
    static const char digits[] = "0123456789";
    for (; *a && *b; a++, b++) {
        if (a[0] == '.' && b[0] == '.' && strspn(a + 1, digits) && strspn(b + 1, digits)) {
            a += strspn(a + 1, digits);
            b += strspn(b + 1, digits);
        } else if (*a != *b) {
            return 0;
        }
    }
    return *a == *b;
}

int matrix_kind(const char *const *kinds, int count, const char *name, int64_t *block)
{
    const char *kind = matrix_in_block(name, block);
    for (int k = 0; kind && k < count; k++)
        if (same_but_for_numbers(kind, kinds[k]))
            return k;
    return -1;
}

const char *matrix_last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot[1] ? dot + 1 : name;
}

/* The last part of a path, without trailing slashes. */
