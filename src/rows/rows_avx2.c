/* Row operations for CPUs with AVX2 and FMA. */
#include "rows/rows.h"
#ifdef PTQI_X86
#define NAME(function) function##_avx2
#define TARGET __attribute__((target("avx2,fma,f16c")))
#include "rows/rows_template.h"

const struct row_functions rows_avx2 = ROW_FUNCTIONS;
#else
typedef int rows_nothing_here;
#endif
