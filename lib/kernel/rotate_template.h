/*
 * Multiplies blocks of x by the Hadamard matrix of their size, a power of two, divided by the
 * square root of the size: for h = 1, 2, 4, ... pairs at distance h are replaced by their sum and
 * difference, and finally all is scaled. Only the order of the stages determines the bits.
 *
 * The plain loops are the specification. If the compiler supports vectors, 16 numbers form one. The
 * stages up to h = 8 stay within a vector, a permutation and a sum,
 *
 *     y_j = x_(j ^ h) + s_j x_j,   s_j = -1 if j has the bit h, else 1,
 *
 * and the others are sums and differences of whole vectors.
 */
#if defined(__has_builtin) && !defined(PLAIN_ROTATION)
#if __has_builtin(__builtin_shufflevector)
#define VECTOR_ROTATION
#endif
#endif

TARGET static void NAME(rotate_plainly)(float *x, int32_t block, float scale)
{
    for (int32_t h = 1; h < block; h *= 2)
        for (int32_t i = 0; i < block; i += 2 * h)
            for (int32_t j = i; j < i + h; j++) {
                float low = x[j], high = x[j + h];
                x[j] = low + high;
                x[j + h] = low - high;
            }
    for (int32_t i = 0; i < block; i++)
        x[i] *= scale;
}

#ifdef VECTOR_ROTATION
typedef float NAME(sixteen) __attribute__((vector_size(64)));

#define ROTATION_SIGNS(h)                                                                          \
    {                                                                                              \
        1, 1 & h ? -1 : 1, 2 & h ? -1 : 1, 3 & h ? -1 : 1, 4 & h ? -1 : 1, 5 & h ? -1 : 1,         \
            6 & h ? -1 : 1, 7 & h ? -1 : 1, 8 & h ? -1 : 1, 9 & h ? -1 : 1, 10 & h ? -1 : 1,       \
            11 & h ? -1 : 1, 12 & h ? -1 : 1, 13 & h ? -1 : 1, 14 & h ? -1 : 1, 15 & h ? -1 : 1    \
    }
#define ROTATION_STAGE(v, h)                                                                       \
    do {                                                                                           \
        const NAME(sixteen) signs_ = ROTATION_SIGNS(h);                                            \
        (v) = __builtin_shufflevector((v), (v), 0 ^ h, 1 ^ h, 2 ^ h, 3 ^ h, 4 ^ h, 5 ^ h, 6 ^ h,   \
                                      7 ^ h, 8 ^ h, 9 ^ h, 10 ^ h, 11 ^ h, 12 ^ h, 13 ^ h, 14 ^ h, \
                                      15 ^ h) +                                                    \
              (v)*signs_;                                                                          \
    } while (0)

/* One block of vectors * 16 numbers; vectors is a constant. */
TARGET PTQI_INLINE void NAME(rotate_vectors)(float *x, const int vectors, float scale)
{
    NAME(sixteen) v[8];
    PTQI_UNROLL
    for (int i = 0; i < vectors; i++) {
        memcpy(&v[i], x + 16 * i, sizeof v[i]);
        ROTATION_STAGE(v[i], 1);
        ROTATION_STAGE(v[i], 2);
        ROTATION_STAGE(v[i], 4);
        ROTATION_STAGE(v[i], 8);
    }
    PTQI_UNROLL
    for (int h = 1; h < vectors; h *= 2) {
        PTQI_UNROLL
        for (int i = 0; i < vectors; i++)
            if (!(i & h)) {
                NAME(sixteen) low = v[i], high = v[i + h];
                v[i] = low + high;
                v[i + h] = low - high;
            }
    }
    PTQI_UNROLL
    for (int i = 0; i < vectors; i++) {
        v[i] *= scale;
        memcpy(x + 16 * i, &v[i], sizeof v[i]);
    }
}
#endif

TARGET static void NAME(rotate)(float *x, int64_t blocks, int32_t block)
{
    const float scale = 1.0f / sqrtf((float)block);
    for (int64_t b = 0; b < blocks; b++, x += block) {
#ifdef VECTOR_ROTATION
        switch (block) {
        case 32:
            NAME(rotate_vectors)(x, 2, scale);
            continue;
        case 64:
            NAME(rotate_vectors)(x, 4, scale);
            continue;
        case 128:
            NAME(rotate_vectors)(x, 8, scale);
            continue;
        }
#endif
        NAME(rotate_plainly)(x, block, scale);
    }
}
