#include "calibrate/configs.h"

ptq_config *calibration_config(const struct calibration *c, int64_t block, const struct matrix *m)
{
    return c->configs ? c->configs->of(c->configs, block, m) : c->config;
}
