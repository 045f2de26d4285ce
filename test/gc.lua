-- Handles owned by a garbage collector: ffi.gc frees them in any order, at exit too, where LuaJIT
-- may free the context first.    usage: luajit gc.lua LIBRARY SCRATCH_FILE
local ffi = require("ffi")

ffi.cdef [[
typedef struct ptq_context ptq_context;
typedef struct ptq_tensor ptq_tensor;
typedef struct ptq_stats ptq_stats;
typedef struct ptq_config ptq_config;
typedef struct ptq_qtensor ptq_qtensor;
typedef struct ptq_equalization ptq_equalization;
typedef struct ptq_store ptq_store;
typedef struct ptq_linear ptq_linear;
typedef struct ptq_call ptq_call;
int32_t ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear);
void ptq_linear_free(ptq_linear *linear);
int32_t ptq_call_create(ptq_context *context, const ptq_linear *const *linears, int64_t count, ptq_call **call);
void ptq_call_free(ptq_call *call);
int64_t ptq_last_message(char *buffer, int64_t capacity);
int32_t ptq_context_create(ptq_context **context);
void ptq_context_free(ptq_context *context);
int32_t ptq_context_set_threads(ptq_context *context, int32_t threads);
int32_t ptq_tensor_create(ptq_context *context, int32_t dtype, int32_t rank, const int64_t *shape,
                          ptq_tensor **tensor);
void *ptq_tensor_data(const ptq_tensor *tensor);
void ptq_tensor_free(ptq_tensor *tensor);
int32_t ptq_stats_create(ptq_context *context, int64_t k, int32_t flags, ptq_stats **stats);
int32_t ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows, int64_t ldx,
                         const float *row_weights);
void ptq_stats_free(ptq_stats *stats);
int32_t ptq_config_create(ptq_context *context, int32_t method, ptq_config **config);
void ptq_config_free(ptq_config *config);
int32_t ptq_equalize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                     const ptq_stats *stats, const int32_t *ties, ptq_equalization **equalization);
void ptq_equalization_free(ptq_equalization *equalization);
int32_t ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                     const ptq_stats *stats, const ptq_stats *const *own_stats, ptq_qtensor **q);
void ptq_qtensor_free(ptq_qtensor *q);
int32_t ptq_store_create(ptq_context *context, const char *path, ptq_store **store);
int32_t ptq_store_open(ptq_context *context, const char *path, ptq_store **store);
int32_t ptq_store_add(ptq_store *store, const char *name, const ptq_tensor *tensor);
int32_t ptq_store_tensor(const ptq_store *store, const char *name, ptq_tensor **tensor);
int32_t ptq_store_commit(ptq_store *store);
void ptq_store_free(ptq_store *store);
]]
local ptq = ffi.load(arg[1])
local path = arg[2]

local function check(status)
    if status ~= 0 then
        local message = ffi.new("char[512]")
        ptq.ptq_last_message(message, 512)
        error(ffi.string(message))
    end
end

-- The handle that a function stores through its last argument. Nothing else keeps it or frees it.
local function make(noun, create, ...)
    local handle = ffi.new("ptq_" .. noun .. " *[1]")
    local arguments, count = { ... }, select("#", ...)
    arguments[count + 1] = handle
    check(create(unpack(arguments, 1, count + 1)))
    return ffi.gc(handle[0], ptq["ptq_" .. noun .. "_free"])
end

local n, k = 32, 64
local function family()
    local context = make("context", ptq.ptq_context_create)
    check(ptq.ptq_context_set_threads(context, 2))
    local shape = ffi.new("int64_t[2]", n, k)
    local tensor = make("tensor", ptq.ptq_tensor_create, context, 1, 2, shape)
    local data = ffi.cast("float *", ptq.ptq_tensor_data(tensor))
    for i = 0, n * k - 1 do
        data[i] = math.sin(i)
    end
    local stats = make("stats", ptq.ptq_stats_create, context, k, 1)
    check(ptq.ptq_stats_update(stats, data, 1, n, k, nil))
    local config = make("config", ptq.ptq_config_create, context, 2)
    local weights = ffi.new("const ptq_tensor *[1]", { tensor })
    local equalization = make("equalization", ptq.ptq_equalize, config, weights, 1, stats, nil)
    local q = make("qtensor", ptq.ptq_quantize, config, weights, 1, stats, nil)
    local writing = make("store", ptq.ptq_store_create, context, path)
    check(ptq.ptq_store_add(writing, "weight", tensor))
    check(ptq.ptq_store_commit(writing))
    local reading = make("store", ptq.ptq_store_open, context, path)
    local mapped = make("tensor", ptq.ptq_store_tensor, reading, "weight")
    local linear = make("linear", ptq.ptq_linear_create, context, q)
    local call = make("call", ptq.ptq_call_create, context, ffi.new("const ptq_linear *[1]", { linear }), 1)
    return { context, tensor, stats, config, equalization, q, writing, reading, mapped, linear, call }
end

math.randomseed(1)
for _ = 1, 50 do -- lets go of one handle after another
    local handles = family()
    while #handles > 0 do
        table.remove(handles, math.random(#handles))
        collectgarbage()
    end
end
kept = family() -- a global, for the end of the program
print("handles were freed in any order")
