/*
 * Names and descriptions of status codes, and the message of each thread's last failure.
 */
#include <stdio.h>
#include <string.h>
#include "context.h"

static _Thread_local char last_message[PTQI_MESSAGE_SIZE];

static const struct {
    const char *name;
    const char *sentence;
} statuses[] = {
    [PTQ_OK] = {"PTQ_OK", "success"},
    [PTQ_ERROR_MEMORY] = {"PTQ_ERROR_MEMORY", "out of memory"},
    [PTQ_ERROR_ARGUMENT] = {"PTQ_ERROR_ARGUMENT", "invalid argument"},
    [PTQ_ERROR_BOUNDS] = {"PTQ_ERROR_BOUNDS", "a parameter is out of bounds"},
    [PTQ_ERROR_UNKNOWN] = {"PTQ_ERROR_UNKNOWN", "no such name"},
    [PTQ_ERROR_CONFLICT] = {"PTQ_ERROR_CONFLICT", "settings contradict each other"},
    [PTQ_ERROR_SHAPE] = {"PTQ_ERROR_SHAPE", "shapes do not match"},
    [PTQ_ERROR_DTYPE] = {"PTQ_ERROR_DTYPE", "the element type is not allowed here"},
    [PTQ_ERROR_NOT_FINITE] = {"PTQ_ERROR_NOT_FINITE", "a number is NaN or infinite"},
    [PTQ_ERROR_FORMAT] = {"PTQ_ERROR_FORMAT", "a file is damaged or has an unexpected format"},
    [PTQ_ERROR_IO] = {"PTQ_ERROR_IO", "reading or writing failed"},
    [PTQ_ERROR_CANCELLED] = {"PTQ_ERROR_CANCELLED", "the operation was cancelled"},
    [PTQ_ERROR_UNSUPPORTED] = {"PTQ_ERROR_UNSUPPORTED", "not supported by this CPU or version"},
    [PTQ_ERROR_NUMERIC] = {"PTQ_ERROR_NUMERIC", "the computation has no result"},
    [PTQ_ERROR_MISSING] = {"PTQ_ERROR_MISSING", "something required was not given"},
    [PTQ_ERROR_LAYOUT] = {"PTQ_ERROR_LAYOUT", "packed for other kernels or by another version"},
};

static int is_known(ptq_status status)
{
    return status >= 0 && status < (ptq_status)(sizeof statuses / sizeof *statuses);
}

const char *ptq_status_name(ptq_status status)
{
    return is_known(status) ? statuses[status].name : "PTQ_ERROR_?";
}

const char *ptq_status_sentence(ptq_status status)
{
    return is_known(status) ? statuses[status].sentence : "unknown status";
}

int32_t ptq_version(void)
{
    return PTQ_VERSION_MAJOR * 10000 + PTQ_VERSION_MINOR * 100 + PTQ_VERSION_PATCH;
}

int64_t ptqi_copy_out(const char *text, char *buffer, int64_t capacity)
{
    int64_t length = (int64_t)strlen(text);
    if (buffer && capacity > 0) {
        int64_t n = length < capacity ? length : capacity - 1;
        memcpy(buffer, text, (size_t)n);
        buffer[n] = 0;
    }
    return length;
}

int64_t ptq_last_message(char *buffer, int64_t capacity)
{
    return ptqi_copy_out(last_message, buffer, capacity);
}

int64_t ptq_context_last_message(const ptq_context *context, char *buffer, int64_t capacity)
{
    char copy[PTQI_MESSAGE_SIZE];
    if (!context)
        return ptq_last_message(buffer, capacity);
    pthread_mutex_t *lock = (pthread_mutex_t *)&context->message_lock;
    pthread_mutex_lock(lock);
    memcpy(copy, context->message, sizeof copy);
    pthread_mutex_unlock(lock);
    return ptqi_copy_out(copy, buffer, capacity);
}

static void publish(ptq_context *context)
{
    if (!context)
        return;
    pthread_mutex_lock(&context->message_lock);
    memcpy(context->message, last_message, sizeof last_message);
    pthread_mutex_unlock(&context->message_lock);
}

ptq_status ptqi_fail(ptq_context *context, ptq_status status, const char *format, ...)
{
    char text[PTQI_MESSAGE_SIZE]; /* the arguments may point into last_message */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c =
                '?'; /* names from files must not break lines or send control codes to a terminal */
    memcpy(last_message, text, strlen(text) + 1);
    publish(context);
    return status;
}

ptq_status ptqi_fail_at(ptq_context *context, ptq_status status, const char *where)
{
    char text[PTQI_MESSAGE_SIZE];
    memcpy(text, last_message, sizeof text);
    return ptqi_fail(context, status, "%.200s: %.300s", where, text);
}

ptq_status ptqi_fail_null(ptq_context *context, const char *function, const char *argument)
{
    return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is NULL", function, argument);
}

ptq_status ptqi_check_between(ptq_context *context, const char *function, const char *argument,
                              int64_t value, int64_t lowest, int64_t highest)
{
    if (value >= lowest && value <= highest)
        return PTQ_OK;
    const int below = value < lowest;
    return ptqi_fail(context, PTQ_ERROR_ARGUMENT, "%s: %s is %lld, %s %lld", function, argument,
                     (long long)value, below ? "below" : "above",
                     (long long)(below ? lowest : highest));
}

ptq_status ptqi_fail_memory(ptq_context *context, int64_t bytes)
{
    return ptqi_fail(context, PTQ_ERROR_MEMORY, "cannot allocate %lld bytes", (long long)bytes);
}
