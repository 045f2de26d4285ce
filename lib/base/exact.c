/*
 * Double-precision elementary functions that use only additions, multiplications and divisions,
 * whose results IEEE 754 defines exactly. No fused operations: the order in the source is the order
 * of rounding.
 */
#include "exact.h"

static double from_bits64(uint64_t u)
{
    double x;
    memcpy(&x, &u, 8);
    return x;
}

static uint64_t bits64(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

/* The nearest integer, ties to even, |x| < 2^51. */
static double round_even(double x)
{
    const double magic = 6755399441055744.0;
    return (x + magic) - magic;
}

static double scale_by_power(double y, int n)
{
    int half = n / 2;
    return y * from_bits64((uint64_t)(half + 1023) << 52) *
           from_bits64((uint64_t)(n - half + 1023) << 52);
}

static const double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;

/* e^(high + low) for |high| below about 745, by its Taylor series after removing n ln 2: with |r|
 * <= 0.35, fourteen terms leave an error below 1e-17. */
static double exp_parts(double high, double low)
{
    double n = round_even((high + low) * 1.44269504088896338700);
    double r = (high - n * ln2_high) - n * ln2_low + low;
    double p = 1.0 / 87178291200.0;
    static const double inverse_factorial[] = {
        1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
        1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
        1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        1.0 / 2.0};
    for (int i = 0; i < 12; i++)
        p = p * r + inverse_factorial[i];
    return scale_by_power(1.0 + (r + r * r * p), (int)n);
}

double ptqi_exp(double x)
{
    if (x != x)
        return x;
    if (x > 709.8)
        return HUGE_VAL;
    if (x < -745.2)
        return 0.0;
    return exp_parts(x, 0.0);
}

double ptqi_exp2(double x)
{
    if (x != x)
        return x;
    if (x >= 1024.0)
        return HUGE_VAL;
    if (x < -1075.0)
        return 0.0;
    double n = round_even(x), r = x - n;
    return scale_by_power(exp_parts(r * 0.6931471805599453, r * 2.3190468138462996e-17), (int)n);
}

/* x = 2^e m with m near 1; log m = 2 atanh(s), s = (m-1)/(m+1), |s| <= 0.172: odd powers to s^21.
 */
static double log_mantissa(double x, int *exponent)
{
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    uint64_t u = bits64(x) - 0x3fe6a09e667f3bcdu; /* sqrt(1/2) */
    *exponent = e + (int)((int64_t)u >> 52);
    double m = from_bits64((u & 0xfffffffffffffu) + 0x3fe6a09e667f3bcdu);
    double s = (m - 1.0) / (m + 1.0), z = s * s, p = 0.0;
    for (int k = 21; k >= 3; k -= 2)
        p = (p + 1.0 / k) * z;
    return 2.0 * s + 2.0 * s * p;
}

double ptqi_log(double x)
{
    int e;
    if (!(x > 0.0))
        return x == 0.0 ? -HUGE_VAL : from_bits64(0x7ff8000000000000u);
    if (x > 1.7976931348623157e308)
        return x;
    double m = log_mantissa(x, &e);
    return e * ln2_high + (m + e * ln2_low);
}

double ptqi_log2(double x)
{
    int e;
    if (!(x > 0.0))
        return x == 0.0 ? -HUGE_VAL : from_bits64(0x7ff8000000000000u);
    if (x > 1.7976931348623157e308)
        return x;
    double m = log_mantissa(x, &e);
    return e + m * 1.44269504088896338700;
}

double ptqi_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x == 0.0)
        return y > 0.0 ? 0.0 : HUGE_VAL;
    return ptqi_exp2(y * ptqi_log2(x));
}

/* x minus the nearest multiple of pi/2; the number of that multiple modulo 4 goes to *quadrant.
 * pi/2 is in three parts of 33 bits, so products are exact for |x| up to 2^20. */
static double reduce(double x, int *quadrant)
{
    *quadrant = 0;
    if (!(x < 1e15 && x > -1e15))
        return NAN; /* the quadrant of such a number is not known, and may not fit an integer */
    double n = round_even(x * 6.36619772367581382433e-01);
    double r = x - n * 1.57079632673412561417e+00;
    r -= n * 6.07710050630396597660e-11;
    r -= n * 2.02226624879595063154e-21;
    *quadrant = (int)((int64_t)n & 3);
    return r;
}

/* Taylor series on |r| <= pi/4: sixteen factorials leave an error below 1e-17. */
static double sin_series(double r)
{
    double z = r * r, p = 0.0;
    for (int k = 19; k >= 3; k -= 2)
        p = (1.0 + p) * (-z / ((k - 1) * k));
    return r + r * p;
}

static double cos_series(double r)
{
    double z = r * r, p = 0.0;
    for (int k = 20; k >= 2; k -= 2)
        p = (1.0 + p) * (-z / ((k - 1) * k));
    return 1.0 + p;
}

double ptqi_sin(double x)
{
    int quadrant;
    double r = reduce(x, &quadrant);
    double y = quadrant & 1 ? cos_series(r) : sin_series(r);
    return quadrant & 2 ? -y : y;
}

double ptqi_cos(double x)
{
    int quadrant;
    double r = reduce(x, &quadrant);
    double y = quadrant & 1 ? sin_series(r) : cos_series(r);
    return quadrant == 1 || quadrant == 2 ? -y : y;
}

double ptqi_tanh(double x)
{
    double a = x < 0 ? -x : x, y;
    if (a > 22.0)
        return x < 0 ? -1.0 : 1.0;
    if (a < 0.5) { /* 1 - e^-2a would cancel: use the series of sinh a / cosh a */
        double z = a * a, odd = 0.0, even = 0.0;
        for (int k = 16; k >= 2; k -= 2) {
            odd = (1.0 + odd) * (z / (k * (k + 1)));
            even = (1.0 + even) * (z / (k * (k - 1)));
        }
        y = (a + a * odd) / (1.0 + even);
    } else {
        double e = ptqi_exp(-2.0 * a);
        y = (1.0 - e) / (1.0 + e);
    }
    return x < 0 ? -y : y;
}
