#include "checkpoint/settings.h"
#include <string.h>

void settings_add(struct ptqi_json_writer *w, const ptq_config *config)
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
            ptqi_json_add_number(w, name, number, 0);
        else
            ptqi_json_add_text(w, name, text);
    }
}
