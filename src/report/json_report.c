#include "report/json_report.h"
#include <stdio.h>
#include <sys/resource.h>

ptq_status report_print(struct ptqi_json_writer *w)
{
    ptq_status status = ptqi_json_finish(w);
    if (!status)
        puts(w->text);
    ptqi_json_end(w);
    return status;
}

int64_t report_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (int64_t)usage.ru_maxrss * 1024;
}
