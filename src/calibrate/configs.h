/* Configs of the matrices of a model. */
#ifndef CONFIGS_H
#define CONFIGS_H

#include "calibrate/calibrate.h"

ptq_config *calibration_config(const struct calibration *c, int64_t block, const struct matrix *m);

#endif
