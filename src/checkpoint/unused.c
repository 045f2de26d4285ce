#include "checkpoint/unused.h"
#include <stdio.h>
#include <string.h>

/* Replaces control characters, since names from files must not control a terminal. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void unused_add(struct unused *u, const char *kind, const char *name)
{
    char item[160];
    const size_t used = strlen(u->text);
    snprintf(item, sizeof item, "%s%.120s", kind, name);
    clean(item);
    const size_t length = strlen(item);
    if (used >= length && !strcmp(u->text + used - length, item))
        return;
    u->count++;
    if (used + length + 3 > sizeof u->text || u->shown + 1 < u->count)
        return;
    snprintf(u->text + used, sizeof u->text - used, "%s%s", used ? ", " : "", item);
    u->shown++;
}

void unused_print(const struct unused *u, const char *model)
{
    if (!u->count)
        return;
    fprintf(stderr, "ptq: %s: not used: %s", model, u->text);
    if (u->shown < u->count)
        fprintf(stderr, " and %lld more", (long long)(u->count - u->shown));
    fprintf(stderr, "\n");
}
