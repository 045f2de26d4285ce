/* Code shared by the --json outputs of several subcommands. */
#ifndef JSON_REPORT_H
#define JSON_REPORT_H

#include "base/json.h"
#include "ptq/ptq.h"

/* Prints the finished text on stdout and frees it. */
ptq_status report_print(struct ptqi_json_writer *w);
/* The peak resident size of this process so far, in bytes. */
int64_t report_peak_memory(void);

#endif
