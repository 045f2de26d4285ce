#include "report/json_report.h"
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void report_settings(struct ptqi_json_writer *w, const ptq_config *config)
{
    char text[64];
    ptqi_json_add_text(w, "method", ptq_method_name(ptq_config_method(config)));
    for (int32_t i = 0; ptq_config_parameter(i); i++) {
        int32_t parameter = ptq_config_parameter(i);
        const char *name = ptq_config_parameter_name(parameter);
        double number;
        ptq_config_print(config, parameter, text, (int64_t)sizeof text);
        if (!strcmp(text, "on") || !strcmp(text, "off"))
            ptqi_json_add_bool(w, name, text[1] == 'n');
        else if (ptqi_parse_number(text, (int64_t)strlen(text), &number))
            ptqi_json_add_number(w, name, number, 9);
        else
            ptqi_json_add_text(w, name, text);
    }
}

ptq_status report_print(struct ptqi_json_writer *w)
{
    ptq_status status = ptqi_json_finish(w);
    if (!status)
        puts(w->text);
    ptqi_json_end(w);
    return status;
}

double report_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t report_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (int64_t)usage.ru_maxrss * 1024;
}
