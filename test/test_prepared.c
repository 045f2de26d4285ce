/*
 * Activations prepared by one linear for another: preparations, layouts, sizes.
 */
#include <stdlib.h>
#include <string.h>
#include "guarded.h"
#include "calls.h"
#include "layer.h"
#include "linear/linear.h"
#include "test.h"

void test_prepared(void);

/* Prepared activations can be used only by linears that need the same preparation. */
static void test_recipes(void)
{
    static const struct {
        struct shape s;
        int what, fits;
    } others[] = {
        {{9, 128, 32, 8}, INT8 | ZEROS, 1}, {{5, 128, 64, 4}, INT8, 0},
        {{5, 160, 32, 4}, INT8, 0},         {{5, 128, 32, 4}, 0, 0},
        {{5, 128, 32, 4}, INT8 | ORDER, 0}, {{5, 128, 32, 4}, INT8 | INPUT_SCALE, 0},
        {{5, 128, 32, 4}, INT16, 0},        {{5, 128, 32, 4}, BY_GROUP, 0},
    };
    struct layer l = make_layer(test_context(), (struct shape){5, 128, 32, 4}, INT8, 1);
    struct run run = make_run(&l, 3, PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 1);
    ptq_linear *linear, *other;
    float y[3 * 9];
    CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
    struct guarded prepared = guard(prepared_size(linear, 3), 0);
    CHECK_OK(prepare(linear, run.x, PTQ_DTYPE_F32, 3, run.ldx, in(&prepared)));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct layer o = make_layer(test_context(), others[i].s, others[i].what, 2);
        CHECK_OK(ptq_linear_create(test_context(), o.q, &other));
        ptq_status wanted = others[i].fits ? PTQ_OK : PTQ_ERROR_CONFLICT;
        CHECK_STATUS(forward_prepared(other, in(&prepared), y, PTQ_DTYPE_F32, 9, NULL), wanted);
        CHECK_STATUS(forward_part(other, in(&prepared), y, PTQ_DTYPE_F32, 9, NULL, 0, 1), wanted);
        ptq_linear_free(other);
        free_layer(&o);
    }
    memset(in(&prepared), 0, 64); /* not prepared at all */
    CHECK_STATUS(forward_prepared(linear, in(&prepared), y, PTQ_DTYPE_F32, 9, NULL),
                 PTQ_ERROR_CONFLICT);
    CHECK(unguard(&prepared));
    ptq_linear_free(linear);
    free_run(&run);
    free_layer(&l);
}

/* Prepared by one linear for another on the same x: correct, or rejected if kernels differ. */
static void check_foreign(ptq_linear *linear, ptq_linear *other, struct run *run, int may_differ)
{
    const int64_t bytes = prepared_size(linear, run->rows);
    const int64_t scratch_bytes = part_scratch_size(other, run->rows);
    struct guarded prepared = guard(bytes, 0), scratch = guard(scratch_bytes, 0);
    CHECK_OK(prepare(linear, run->x, PTQ_DTYPE_F32, run->rows, run->ldx, in(&prepared)));
    ptq_status status =
        forward_part(other, in(&prepared), start(run), PTQ_DTYPE_F32, run->ldy, in(&scratch), 0, 1);
    CHECK(status ? status == PTQ_ERROR_CONFLICT && may_differ : is_right(run));
    CHECK(unguard(&scratch));
    CHECK(unguard(&prepared));
}

/* Instruction sets may lay out activations differently. */
static void test_foreign_kernels(void)
{
    static const int64_t rows[] = {3, 30, 50};
    struct layer l = make_layer(test_context(), (struct shape){9, 128, 32, 4}, INT8, 1);
    for (int i = 0; i < 3 * 30 * 30; i++) {
        const int32_t from = i / 30 % 30, to = i % 30;
        if (from == PTQ_AUTO || to == PTQ_AUTO || !is_usable(from) || !is_usable(to))
            continue;
        struct run run = make_run(&l, rows[i / 900], PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 1);
        ptq_context *one = make_context(1, from), *two = make_context(1, to);
        ptq_linear *linear, *other;
        CHECK_OK(ptq_linear_create(one, l.q, &linear));
        CHECK_OK(ptq_linear_create(two, l.q, &other));
        check_foreign(linear, other, &run,
                      linear->kernels->x_rows != other->kernels->x_rows ||
                          !linear->kernels->tile_mr != !other->kernels->tile_mr ||
                          !linear->kernels->starts != !other->kernels->starts ||
                          linear->blocking.chunk_blocks != other->blocking.chunk_blocks);
        ptq_linear_free(linear);
        ptq_linear_free(other);
        ptq_context_free(one);
        ptq_context_free(two);
        free_run(&run);
    }
    free_layer(&l);
}

static const struct {
    int32_t bits;
    int what;
} forms[] = {{4, INT8}, {4, INT8 | TWO_LEVEL}, {8, INT8}, {4, 0}, {4, INT16}, {4, BY_GROUP}};

/* Memory that is enough for some rows is enough for fewer. */
static void test_sizes_grow(void)
{
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1)
        for (int i = 0; i < 6 && is_usable(isa); i++) {
            ptq_context *context = make_context(2, isa);
            struct layer l =
                make_layer(context, (struct shape){5, 640, 128, forms[i].bits}, forms[i].what, 1);
            ptq_linear *linear;
            CHECK_OK(ptq_linear_create(context, l.q, &linear));
            for (int64_t m = 0; m < 1100; m++) {
                CHECK(prepared_size(linear, m) <= prepared_size(linear, m + 1));
                CHECK(scratch_size(linear, m) <= scratch_size(linear, m + 1));
                CHECK(part_scratch_size(linear, m) <= part_scratch_size(linear, m + 1));
            }
            ptq_linear_free(linear);
            free_layer(&l);
            ptq_context_free(context);
        }
}

/* With no rows, nothing happens, however it is called. */
static void test_no_rows(void)
{
    for (int i = 0; i < 5; i++) {
        struct layer l = make_layer(test_context(), (struct shape){5, 640, 128, forms[i].bits},
                                    forms[i].what, 1);
        ptq_linear *linear;
        float x[640] = {0}, y[5] = {7};
        CHECK_OK(ptq_linear_create(test_context(), l.q, &linear));
        struct guarded prepared = guard(prepared_size(linear, 0), 0);
        CHECK_OK(prepare(linear, x, PTQ_DTYPE_F32, 0, 640, in(&prepared)));
        CHECK_OK(forward_prepared(linear, in(&prepared), y, PTQ_DTYPE_F32, 5, NULL));
        CHECK_OK(forward_part(linear, in(&prepared), y, PTQ_DTYPE_F32, 5, NULL, 0, 2));
        CHECK_OK(accumulate_prepared(linear, in(&prepared), y, PTQ_DTYPE_F32, 5, NULL));
        CHECK_OK(forward(linear, x, PTQ_DTYPE_F32, 0, 640, y, PTQ_DTYPE_F32, 5, NULL));
        CHECK(y[0] == 7);
        CHECK(unguard(&prepared));
        ptq_linear_free(linear);
        free_layer(&l);
    }
}

/* Weight formats switch to tiles at different numbers of rows, but can still share x. */
static void test_foreign_forms(void)
{
    static const int64_t rows[] = {8, 20, 40, 60, 100};
    for (int32_t isa = PTQ_ISA_PORTABLE; isa <= EMULATED_AMX; isa = isa == 30 ? EVEX : isa + 1)
        for (int i = 0; i < 3 * 3 * 5 * 3 && is_usable(isa); i++) {
            ptq_context *context = make_context(1, isa);
            struct layer layers[2];
            ptq_linear *linears[2];
            for (int j = 0; j < 2; j++) {
                const int form = j ? i / 3 % 3 : i % 3;
                const struct shape s = {9, 640, 32 << i / 45, forms[form].bits};
                layers[j] = make_layer(context, s, forms[form].what, 1);
                CHECK_OK(ptq_linear_create(context, layers[j].q, &linears[j]));
            }
            struct run run =
                make_run(&layers[1], rows[i / 9 % 5], PTQ_DTYPE_F32, PTQ_DTYPE_F32, NORMAL, 1);
            check_foreign(linears[0], linears[1], &run, 0);
            free_run(&run);
            for (int j = 0; j < 2; j++) {
                ptq_linear_free(linears[j]);
                free_layer(&layers[j]);
            }
            ptq_context_free(context);
        }
}

void test_prepared(void)
{
    test_recipes();
    test_foreign_kernels();
    test_foreign_forms();
    test_sizes_grow();
    test_no_rows();
}
