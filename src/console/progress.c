#include "console/clock.h"
#include "console/progress.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void progress_begin(struct progress *p, int quiet)
{
    memset(p, 0, sizeof *p);
    p->start = p->shown = clock_seconds();
    p->terminal = isatty(2);
    p->quiet = quiet;
    p->share = 1;
}

void progress_part(struct progress *p, double from, double share, const char *part)
{
    p->from = from;
    p->share = share;
    p->part = part;
    p->done_before = 0;
}

void progress_show(struct progress *p, double fraction, const char *format, ...)
{
    char what[160], left[48] = "";
    double now = clock_seconds(), interval = p->terminal ? 0.1 : 10.0;
    va_list arguments;
    if (p->quiet || now - p->shown < interval)
        return;
    p->shown = now;
    fraction = p->from + p->share * fraction;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    double done = fraction - p->done_before, seconds = now - p->start;
    if (done > 0.005) {
        double rest = seconds / done * (1.0 - fraction);
        snprintf(left, sizeof left, rest < 90 ? ", %.0f s left" : ", %.0f min left",
                 rest < 90 ? rest : rest / 60);
    }
    fprintf(stderr, p->terminal ? "\r\033[K%3.0f %% %s%s%s%s" : "%3.0f %% %s%s%s%s\n",
            100 * fraction, p->part ? p->part : "", p->part ? ": " : "", what, left);
    p->line_open = p->terminal;
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->line_open)
        fprintf(stderr, "\r\033[K");
    p->line_open = 0;
}
