/* Row operations for any CPU; on AArch64 the compiler uses NEON by itself. */
#include "rows/rows.h"
#define NAME(function) function##_portable
#define TARGET
#include "rows/rows_template.h"

const struct row_functions rows_portable = ROW_FUNCTIONS;
