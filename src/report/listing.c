#include "report/listing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/context.h"

/* The name with a * for the number of an expert; *joined: whether there is one. Allocated. */
static char *name_of_line(struct listing *l, const char *name, int *joined)
{
    static const char experts[] = ".experts.";
    const char *number = strstr(name, experts);
    number = number ? number + strlen(experts) : name + strlen(name);
    const size_t digits = strspn(number, "0123456789"), before = (size_t)(number - name);
    const size_t capacity = strlen(name) + 2;
    char *out = ptqi_alloc(l->context, (int64_t)capacity, 1);
    *joined = digits > 0 && number[digits] == '.';
    if (out && *joined)
        snprintf(out, capacity, "%.*s*%s", (int)before, name, number + digits);
    else if (out)
        snprintf(out, capacity, "%s", name);
    return out;
}

/* The last line with this name and text; NULL if there is none. */
static struct listing_line *find(struct listing *l, const char *name, const char *text)
{
    for (int64_t i = l->count - 1; i >= 0; i--)
        if (!strcmp(l->lines[i].text, text) && !strcmp(l->lines[i].name, name))
            return &l->lines[i];
    return NULL;
}

static void widen(struct listing_range *range, const struct listing_range *by)
{
    range->low = fmin(range->low, by->low); /* a NaN is ignored */
    range->high = fmax(range->high, by->high);
}

ptq_status listing_add(struct listing *l, const char *name, const char *text,
                       const struct listing_range ranges[2])
{
    int joined;
    PTQI_TRY(ptqi_grow(l->context, (void **)&l->lines, l->count, &l->capacity, l->count + 1,
                       (int64_t)sizeof *l->lines));
    char *own = name_of_line(l, name, &joined);
    if (!own)
        return PTQ_ERROR_MEMORY;
    struct listing_line *line = joined ? find(l, own, text) : NULL;
    if (line) {
        ptqi_free(l->context, own);
        line->count++;
        widen(&line->ranges[0], &ranges[0]);
        widen(&line->ranges[1], &ranges[1]);
        return PTQ_OK;
    }
    line = &l->lines[l->count++];
    *line = (struct listing_line){.name = own, .count = 1, .ranges = {ranges[0], ranges[1]}};
    snprintf(line->text, sizeof line->text, "%s", text);
    return PTQ_OK;
}

static void print_range(const struct listing_range *range, const char *label, int scientific)
{
    const int one = *label && range->low == range->high;
    if (range->low != range->low)
        return;
    printf(scientific ? "  %s%.2e" : "  %s%.4g", label, range->low);
    if (!one)
        printf(scientific ? " .. %.2e" : " .. %.4g", range->high);
}

void listing_print(struct listing *l, const char *const labels[2], int scientific)
{
    for (int64_t i = 0; i < l->count; i++) {
        const struct listing_line *line = &l->lines[i];
        printf("%-44s ", line->name);
        if (line->count > 1)
            printf("%lld x ", (long long)line->count);
        printf("%s", line->text);
        for (int j = 0; j < 2; j++)
            print_range(&line->ranges[j], labels[j], scientific);
        printf("\n");
    }
    listing_free(l);
}

void listing_free(struct listing *l)
{
    for (int64_t i = 0; i < l->count; i++)
        ptqi_free(l->context, l->lines[i].name);
    ptqi_free(l->context, l->lines);
    l->lines = NULL;
    l->count = l->capacity = 0;
}
