/*
 * The names that tensors have in GGUF, and the order of their rows, against what llama.cpp's
 * converter made of the models of test_architectures.c, as recorded by gguf_names.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "architectures.h"
#include "checkpoint/checkpoint.h"
#include "model/architecture.h"
#include "model/gguf_names.h"
#include "test.h"

void test_gguf_names(void);

/* Rows in the order of GGUF, separated by commas; NULL: as in the checkpoint. */
static void check_rows(const struct model *m, const struct matrix *matrix, const char *rows)
{
    int differing = 0;
    for (int64_t n = 0; n < matrix->n; n++) {
        char *end = NULL;
        const int64_t wanted = rows ? strtoll(rows, &end, 10) : n;
        differing += gguf_row(&m->config, matrix->role, n) != wanted;
        rows = rows ? end + (*end == ',') : NULL;
    }
    CHECK_EQ(differing, 0);
    CHECK(!rows || !*rows);
}

/* A line: name of the tensor, its name in GGUF, " +1" if that is added, the rows if reordered. */
static void check_line(const struct model *m, int64_t i, char *line)
{
    char name[MAX_GGUF_NAME], *next;
    struct matrix matrix;
    const struct checkpoint *c = m->checkpoint;
    const char *tensor = strtok_r(line, " \n", &next), *wanted = strtok_r(NULL, " \n", &next);
    const char *more = strtok_r(NULL, " \n", &next);
    const int plus_one = more && !strcmp(more, "+1");
    if (!CHECK(gguf_name(m, i, name)) || !CHECK(!strcmp(name, wanted)))
        printf("    %s: not %s\n", tensor, wanted);
    const int is_norm = ptq_store_rank(c->store, i) == 1 && strstr(tensor, "norm");
    CHECK_EQ(plus_one, is_norm && m->config.architecture->norm_plus_one);
    if (c->places[i].block >= 0 && model_find_matrix(m, c->places[i].block, tensor, &matrix))
        check_rows(m, &matrix, plus_one ? NULL : more);
    else
        CHECK(!more || plus_one);
}

/* Returns the number of the tensor at the beginning of a line, -1 if the model does not have it. */
static int64_t tensor_of(const struct model *m, const char *line)
{
    char name[200];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
    return m ? ptq_store_find(m->checkpoint->store, name) : -1;
}

/* The line "model NAME ARCHITECTURE". */
static struct model *open_model(char *line)
{
    char directory[600], *next;
    struct model *m;
    strtok_r(line, " \n", &next);
    const char *name = strtok_r(NULL, " \n", &next), *wanted = strtok_r(NULL, " \n", &next);
    architectures_make(name, directory, sizeof directory);
    if (!CHECK_OK(model_open(test_context(), directory, &m)))
        return NULL;
    CHECK(!strcmp(gguf_architecture(&m->config), wanted));
    return m;
}

void test_gguf_names(void)
{
    char line[2048], name[MAX_GGUF_NAME], directory[600];
    struct model *m = NULL;
    int64_t left = 0;
    FILE *recorded = fopen(test_data("gguf-names.txt"), "r");
    if (!CHECK(recorded != NULL))
        return;
    while (fgets(line, sizeof line, recorded)) {
        if (!strncmp(line, "model ", 6)) {
            CHECK_EQ(left, 0); /* all tensors of the last model had a line */
            model_free(m);
            m = open_model(line);
            left = m ? ptq_store_count(m->checkpoint->store) : 0;
            continue;
        }
        const int64_t i = tensor_of(m, line);
        if (CHECK(i >= 0))
            check_line(m, i, line);
        left--;
    }
    CHECK_EQ(left, 0);
    model_free(m);
    fclose(recorded);
    architectures_make("opt", directory, sizeof directory); /* llama.cpp does not have it */
    if (!CHECK_OK(model_open(test_context(), directory, &m)))
        return;
    CHECK(!gguf_architecture(&m->config));
    CHECK(!gguf_name(m, 0, name));
    model_free(m);
}
