/* Row operations for CPUs with AVX-512. */
#include "rows/rows.h"
#ifdef PTQI_X86
#define NAME(function) function##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#include "rows/rows_template.h"

const struct row_functions rows_avx512 = ROW_FUNCTIONS;
#else
typedef int rows_nothing_here;
#endif
