/*
 * The elementary functions against libm in long double. Prints the worst errors: f32 functions in
 * units in the last place, the others in units of 1e-16.
 */
#include "test.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include "base/exact.h"

void test_exact(void);

static double uniform(struct random *r, double low, double high)
{
    return low + (high - low) * ((double)(random_bits(r) >> 11) * 0x1p-53);
}

/* A positive number with a uniform exponent. */
static double any_size(struct random *r, int lowest, int highest)
{
    double mantissa = uniform(r, 1.0, 2.0);
    return ldexp(mantissa, lowest + (int)random_below(r, (int64_t)highest - lowest + 1));
}

struct worst {
    const char *name;
    double error, at;
};

static void note(struct worst *w, double error, double at)
{
    if (!(error <= w->error)) { /* NaN too */
        w->error = error;
        w->at = at;
    }
}

static void judge(const struct worst *w, double limit, const char *unit)
{
    printf("    %s: %.3g%s at %.17g\n", w->name, w->error, unit, w->at);
    CHECK(w->error <= limit);
}

static double relative(double got, long double want)
{
    return (double)(fabsl((long double)got - want) / fabsl(want)) * 1e16;
}

static int rounds(void)
{
    return test_long() ? 20000000 : 200000;
}

static void test_exponentials(void)
{
    struct random r = {1};
    struct worst e = {"exp", 0, 0}, e2 = {"exp2", 0, 0}, small = {"exp near 0", 0, 0};
    for (int i = 0; i < rounds(); i++) {
        double x = uniform(&r, -708, 709.7);
        note(&e, relative(ptqi_exp(x), expl((long double)x)), x);
        x = uniform(&r, -1022, 1023.99);
        note(&e2, relative(ptqi_exp2(x), exp2l((long double)x)), x);
        x = any_size(&r, -60, -1) * (i & 1 ? 1 : -1);
        note(&small, relative(ptqi_exp(x), expl((long double)x)), x);
    }
    judge(&e, 20, "e-16");
    judge(&e2, 20, "e-16");
    judge(&small, 20, "e-16");
}

static void test_logarithms(void)
{
    struct random r = {2};
    struct worst l = {"log", 0, 0}, l2 = {"log2", 0, 0}, near = {"log near 1", 0, 0},
                 near2 = {"log2 near 1", 0, 0};
    for (int i = 0; i < rounds(); i++) {
        double x = any_size(&r, -1074, 1023);
        note(&l, relative(ptqi_log(x), logl((long double)x)), x);
        note(&l2, relative(ptqi_log2(x), log2l((long double)x)), x);
        x = 1.0 + (i & 1 ? 1 : -1) * any_size(&r, -50, -2);
        note(&near, relative(ptqi_log(x), logl((long double)x)), x);
        note(&near2, relative(ptqi_log2(x), log2l((long double)x)), x);
    }
    judge(&l, 20, "e-16");
    judge(&l2, 20, "e-16");
    judge(&near, 20, "e-16");
    judge(&near2, 20, "e-16");
}

/* The error of a power grows with the logarithm of the result, because y log2 x is rounded once. */
static void test_powers(void)
{
    struct random r = {3};
    struct worst w = {"pow, over 1 + |log2 of it| / 2", 0, 0};
    for (int i = 0; i < rounds(); i++) {
        double x = any_size(&r, -20, 20), y = uniform(&r, -20, 20);
        long double want = powl((long double)x, (long double)y);
        double size = fabs((double)log2l(want));
        note(&w, relative(ptqi_pow(x, y), want) / (1 + size / 2), x);
    }
    judge(&w, 20, "e-16");
}

static void test_trigonometry(void)
{
    struct random r = {4};
    struct worst s = {"sin, absolute", 0, 0}, c = {"cos, absolute", 0, 0}, t = {"tanh", 0, 0};
    for (int i = 0; i < rounds(); i++) {
        double x = (i & 1 ? 1 : -1) * any_size(&r, -30, 19);
        note(&s, (double)fabsl((long double)ptqi_sin(x) - sinl((long double)x)) * 1e16, x);
        note(&c, (double)fabsl((long double)ptqi_cos(x) - cosl((long double)x)) * 1e16, x);
        x = (i & 1 ? 1 : -1) * any_size(&r, -30, 5);
        note(&t, relative(ptqi_tanh(x), tanhl((long double)x)), x);
    }
    judge(&s, 20, "e-16");
    judge(&c, 20, "e-16");
    judge(&t, 20, "e-16");
}

/* Distance in units in the last place of the f32 nearest to want. */
static double ulps(float got, double want)
{
    int exponent;
    frexp(want, &exponent);
    double unit = ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
    return fabs((double)got - want) / unit;
}

static void test_f32(void)
{
    struct random r = {5};
    struct worst e = {"expf", 0, 0}, l = {"log2f", 0, 0}, near = {"log2f near 1", 0, 0},
                 e2 = {"exp2f", 0, 0};
    for (int i = 0; i < rounds(); i++) {
        float x = (float)uniform(&r, -103, 88.7);
        note(&e, ulps(ptqi_expf(x), exp((double)x)), (double)x);
        x = (float)any_size(&r, -126, 127);
        note(&l, ulps(ptqi_log2f(x), log2((double)x)), (double)x);
        x = (float)uniform(&r, 0.7, 1.5);
        note(&near, ulps(ptqi_log2f(x), log2((double)x)), (double)x);
        x = (float)uniform(&r, -149, 127.99);
        note(&e2, ulps(ptqi_exp2f(x), exp2((double)x)), (double)x);
    }
    judge(&e, 1.5, " ulp");
    judge(&l, 1.5, " ulp");
    judge(&near, 1.5, " ulp");
    judge(&e2, 1.5, " ulp");
}

static void test_special_doubles(void)
{
    CHECK(ptqi_exp(0.0) == 1.0 && ptqi_exp2(0.0) == 1.0 && ptqi_exp(-0.0) == 1.0);
    CHECK(ptqi_exp(HUGE_VAL) == HUGE_VAL && ptqi_exp(-HUGE_VAL) == 0.0);
    CHECK(ptqi_exp2(HUGE_VAL) == HUGE_VAL && ptqi_exp2(-HUGE_VAL) == 0.0);
    CHECK(ptqi_exp(710.0) == HUGE_VAL && ptqi_exp(-746.0) == 0.0 && ptqi_exp(-745.0) == 0x1p-1074);
    CHECK(isnan(ptqi_exp((double)NAN)) && isnan(ptqi_exp2((double)NAN)));
    CHECK(isnan(ptqi_log((double)NAN)) && isnan(ptqi_log2((double)NAN)));
    CHECK(isnan(ptqi_log(-1.0)) && isnan(ptqi_log2(-0x1p-1074)));
    CHECK(ptqi_log(0.0) == -HUGE_VAL && ptqi_log2(-0.0) == -HUGE_VAL);
    CHECK(ptqi_log(HUGE_VAL) == HUGE_VAL && ptqi_log2(HUGE_VAL) == HUGE_VAL);
    CHECK(ptqi_log(1.0) == 0.0 && ptqi_log2(1.0) == 0.0);
    int wrong = 0;
    for (int n = -1074; n <= 1023; n++)
        wrong += ptqi_exp2(n) != ldexp(1.0, n) || ptqi_log2(ldexp(1.0, n)) != n;
    CHECK_EQ(wrong, 0);
    CHECK(ptqi_pow(0.0, 2.0) == 0.0 && ptqi_pow(0.0, -2.0) == HUGE_VAL);
    CHECK(ptqi_pow(3.0, 0.0) == 1.0 && ptqi_pow(0.0, 0.0) == 1.0 && ptqi_pow(1.0, 1e300) == 1.0);
    CHECK(ptqi_pow(2.0, 10.0) == 1024.0 && ptqi_pow(4.0, 0.5) == 2.0);
    CHECK(ptqi_pow(10.0, 400.0) == HUGE_VAL && ptqi_pow(10.0, -400.0) == 0.0);
    CHECK(ptqi_sin(0.0) == 0.0 && ptqi_cos(0.0) == 1.0);
    CHECK(ptqi_sin(1e300) != ptqi_sin(1e300) && ptqi_cos(-INFINITY) != ptqi_cos(-INFINITY));
    CHECK(ptqi_tanh(0.0) == 0.0 && ptqi_tanh(HUGE_VAL) == 1.0 && ptqi_tanh(-HUGE_VAL) == -1.0);
    CHECK(isnan(ptqi_tanh((double)NAN)));
}

static void test_special_floats(void)
{
    CHECK(ptqi_expf(0.0f) == 1.0f && ptqi_exp2f(0.0f) == 1.0f && ptqi_log2f(1.0f) == 0.0f);
    CHECK(ptqi_expf(HUGE_VALF) == HUGE_VALF && ptqi_expf(-HUGE_VALF) == 0.0f);
    CHECK(ptqi_expf(1e30f) == HUGE_VALF && ptqi_expf(-1e30f) == 0.0f);
    CHECK(ptqi_exp2f(200.0f) == HUGE_VALF && ptqi_exp2f(-151.0f) == 0.0f);
    CHECK(isnan(ptqi_expf((float)NAN)));
    CHECK(ptqi_rsqrtf(4.0f) == 0.5f);
    int wrong = 0;
    for (int n = -126; n <= 127; n++)
        wrong += ptqi_exp2f((float)n) != ldexpf(1.0f, n) || ptqi_log2f(ldexpf(1.0f, n)) != (float)n;
    for (int n = -149; n < -126; n++) /* subnormal */
        wrong += ptqi_exp2f((float)n) != ldexpf(1.0f, n);
    CHECK_EQ(wrong, 0);
    wrong = 0;
    for (int i = -4000; i <= 4000; i++) /* including every kind of tie */
        wrong += ptqi_round_even((float)i / 8) != rintf((float)i / 8);
    CHECK_EQ(wrong, 0);
}

void test_exact(void)
{
    test_special_doubles();
    test_special_floats();
    test_exponentials();
    test_logarithms();
    test_powers();
    test_trigonometry();
    test_f32();
}
