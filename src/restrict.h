/* The settings of a quantizer whose result must fit a foreign format. */
#ifndef RESTRICT_H
#define RESTRICT_H

#include "model/model.h"
#include "options.h"

/*
 * Changes what a preset has and the format cannot hold: a rotation, two-level scales, activations,
 * scales of f32. Fails, before any work, if such a setting was given, or if the format cannot hold
 * matrices of this model quantized so.
 */
ptq_status restrict_settings(const struct options *o, const struct model *model, int32_t format,
                             ptq_config *config);

#endif
