#include "test.h"
void test_base(void);
void test_base(void)
{
    CHECK(ptq_version() > 0);
}
