/* The settings of a quantizer as JSON: in config.json, in run.json and in reports. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "base/json.h"
#include "ptq/ptq.h"

/* Adds "method" and every parameter of the config, by name. */
void settings_add(struct ptqi_json_writer *w, const ptq_config *config);

#endif
