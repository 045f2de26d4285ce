/* Identifies a checkpoint by config.json and every byte of every tensor. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "base/json.h"
#include "checkpoint/checkpoint.h"

/* Adds the members "config.json", its contents, and "tensors", a hash of each by name. */
ptq_status identity_add(const struct checkpoint *c, struct ptqi_json_writer *w);

#endif
