/*
 * ptq/status.h - status codes and error messages.
 */
#ifndef PTQ_STATUS_H
#define PTQ_STATUS_H

#include <stdint.h>

/*
 * PTQ_API marks every function of the library. On Windows, programs that link the static library
 * define PTQ_STATIC, and PTQ_BUILDING is defined only while the DLL itself is compiled.
 * PTQ_CALLBACK is the calling convention of callbacks.
 */
#if defined(_WIN32) && defined(PTQ_STATIC)
#define PTQ_API
#elif defined(_WIN32) && defined(PTQ_BUILDING)
#define PTQ_API __declspec(dllexport)
#elif defined(_WIN32)
#define PTQ_API __declspec(dllimport)
#elif defined(__GNUC__) || defined(__clang__)
#define PTQ_API __attribute__((visibility("default")))
#else
#define PTQ_API
#endif
#if defined(_WIN32)
#define PTQ_CALLBACK __cdecl
#else
#define PTQ_CALLBACK
#endif

/* Alignment in bytes of all memory that callers provide for packed weights, prepared activations
 * and scratch. It will never be larger. */
#define PTQ_ALIGNMENT 64

#ifdef __cplusplus
extern "C" {
#endif

/* Version of these headers. While the major version is 0, the interface may still change. */
#define PTQ_VERSION_MAJOR 0
#define PTQ_VERSION_MINOR 1
#define PTQ_VERSION_PATCH 0

/* Returned by every function that can fail; 0 is success. The meaning of a value never changes. */
typedef int32_t ptq_status;
enum {
    PTQ_OK = 0,
    PTQ_ERROR_MEMORY = 1,       /* an allocation failed */
    PTQ_ERROR_ARGUMENT = 2,     /* an argument that is NULL, negative or otherwise invalid */
    PTQ_ERROR_BOUNDS = 3,       /* a parameter outside its ptq_config_bounds */
    PTQ_ERROR_UNKNOWN = 4,      /* no parameter, value, tensor or key has that name */
    PTQ_ERROR_CONFLICT = 5,     /* settings that contradict each other */
    PTQ_ERROR_SHAPE = 6,        /* tensors whose shapes do not match */
    PTQ_ERROR_DTYPE = 7,        /* an element type that is not allowed here */
    PTQ_ERROR_NOT_FINITE = 8,   /* NaN or infinity where numbers are needed */
    PTQ_ERROR_FORMAT = 9,       /* a malformed file */
    PTQ_ERROR_IO = 10,          /* the operating system refused to read or write */
    PTQ_ERROR_CANCELLED = 11,   /* ptq_context_cancel was called */
    PTQ_ERROR_UNSUPPORTED = 12, /* valid, but not on this CPU or in this version */
    PTQ_ERROR_NUMERIC = 13,     /* a computation without a result, such as a singular Hessian */
    PTQ_ERROR_MISSING = 14,     /* something required was not given, such as statistics */
    PTQ_ERROR_LAYOUT = 15       /* packed for other kernels or by another version: pack again */
};

/* A value that many settings accept: the library chooses. */
enum { PTQ_AUTO = -1 };

/* The version of the running library: major * 10000 + minor * 100 + patch. */
PTQ_API int32_t ptq_version(void);

/* The name ("PTQ_ERROR_SHAPE") and a one-line description of a status. Never NULL, even for unknown
 * values. */
PTQ_API const char *ptq_status_name(ptq_status status);
PTQ_API const char *ptq_status_sentence(ptq_status status);

/*
 * Copies the message of the last failure on the calling thread, such as
 * "model.layers.3.mlp.down_proj.weight[17][4] is NaN", into buffer: at most capacity bytes, always
 * zero-terminated if capacity > 0. Returns the length of the whole message without the terminating
 * zero, so that (NULL, 0) queries the size. A success does not clear the message.
 */
PTQ_API int64_t ptq_last_message(char *buffer, int64_t capacity);

#ifdef __cplusplus
}
#endif
#endif
