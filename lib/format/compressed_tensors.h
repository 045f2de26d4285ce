/* Writing compressed-tensors: the half of format_compressed_tensors.c that faces the other way. */
#ifndef PTQI_COMPRESSED_TENSORS_H
#define PTQI_COMPRESSED_TENSORS_H

#include "base/json.h"
#include "qtensor.h"
#include "store/store.h"

ptq_status ptqi_compressed_write(const ptq_qtensor *q, ptq_store *store, const char *prefix);
const char *ptqi_compressed_can_hold(const ptq_qtensor *q);
void ptqi_compressed_describe(const ptq_qtensor *q, struct ptqi_json_writer *w);

#endif
