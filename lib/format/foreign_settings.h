/* quantization_config: what the tensors of a foreign format do not say themselves. */
#ifndef PTQI_SETTINGS_H
#define PTQI_SETTINGS_H

#include "store/store.h"

/* A text, NULL if it is missing; whether it equals value, ignoring case. */
const char *ptqi_setting_text(const ptq_store *store, const char *name);
int ptqi_setting_is(const ptq_store *store, const char *name, const char *value);
/* The first of two names that has a value; fallback if neither has. Fails if it is no integer. */
ptq_status ptqi_setting_integer(const ptq_store *store, const char *name, const char *other,
                                int64_t fallback, int64_t *value);
/* PTQ_ERROR_UNSUPPORTED, naming the setting, if it is there and neither null, false nor empty. */
ptq_status ptqi_setting_refuse(const ptq_store *store, const struct ptqi_json *settings,
                               const char *name);
/* PTQ_ERROR_UNSUPPORTED for a setting with a value that cannot be read. */
ptq_status ptqi_setting_unsupported(const ptq_store *store, const char *name, const char *value);

#endif
