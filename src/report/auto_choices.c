#include "report/auto_choices.h"
#include <math.h>
#include <stdio.h>

static const int rotations[ROTATIONS] = {0, 32, 64, 128};

void choices_add(struct choices *c, const struct matrix_report *r)
{
    if (isnan(r->chosen_error) || r->equalize < 0 || r->equalize >= EQUALIZATIONS)
        return;
    c->count++;
    c->equalize[r->equalize]++;
    for (int i = 0; i < ROTATIONS; i++)
        c->rotation[i] += r->rotation == rotations[i];
    c->asymmetric += !r->symmetric;
    if (r->plain_error > 0 && r->chosen_error > 0)
        c->log_errors += log(r->chosen_error / r->plain_error);
}

struct choices choices_of(const struct matrix_report *reports, int64_t count)
{
    struct choices c = {0};
    for (int64_t i = 0; reports && i < count; i++)
        choices_add(&c, &reports[i]);
    return c;
}

double choices_error(const struct choices *c)
{
    return c->count ? exp(c->log_errors / (double)c->count) : NAN;
}

const char *choices_equalization(int32_t kind)
{
    return kind ? ptq_config_choice_name(PTQ_PARAM_EQUALIZE, kind) : "no scale";
}

int choices_rotation(int index)
{
    return rotations[index];
}

void choices_print(const struct choices *c, const char *beginning)
{
    if (!c->count)
        return;
    printf("%s", beginning);
    for (int32_t kind = 0; kind < EQUALIZATIONS; kind++)
        if (c->equalize[kind])
            printf(" %s %lld,", choices_equalization(kind), (long long)c->equalize[kind]);
    if (c->rotation[0])
        printf(" no rotation %lld,", (long long)c->rotation[0]);
    for (int i = 1; i < ROTATIONS; i++)
        if (c->rotation[i])
            printf(" rotation %d %lld,", rotations[i], (long long)c->rotation[i]);
    printf(" zero points %lld; error %.0f %% of the plain matrices'\n", (long long)c->asymmetric,
           100 * choices_error(c));
}

void choices_add_json(const struct choices *c, struct ptqi_json_writer *w)
{
    char text[16];
    if (!c->count)
        return;
    ptqi_json_open(w, "choices", '{');
    ptqi_json_add_integer(w, "matrices", c->count);
    ptqi_json_open(w, "equalize", '{');
    for (int32_t kind = 0; kind < EQUALIZATIONS; kind++)
        ptqi_json_add_integer(w, ptq_config_choice_name(PTQ_PARAM_EQUALIZE, kind),
                              c->equalize[kind]);
    ptqi_json_close(w, '}');
    ptqi_json_open(w, "rotation", '{');
    for (int i = 0; i < ROTATIONS; i++) {
        snprintf(text, sizeof text, "%d", rotations[i]);
        ptqi_json_add_integer(w, text, c->rotation[i]);
    }
    ptqi_json_close(w, '}');
    ptqi_json_add_integer(w, "zero_points", c->asymmetric);
    ptqi_json_add_number(w, "error_ratio", choices_error(c), 6);
    ptqi_json_close(w, '}');
}
