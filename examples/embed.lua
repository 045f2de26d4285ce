-- libptq in LuaJIT through its ffi: quantizes a matrix to 4 bits with GPTQ and runs it with int8
-- activations.    usage: luajit embed.lua [LIBRARY]      default: the installed libptq.so.0
local ffi = require("ffi")

-- From include/ptq, without comments.
ffi.cdef [[
typedef struct ptq_context ptq_context;
typedef struct ptq_tensor ptq_tensor;
typedef struct ptq_stats ptq_stats;
typedef struct ptq_config ptq_config;
typedef struct ptq_qtensor ptq_qtensor;
typedef struct ptq_linear ptq_linear;
typedef struct ptq_call ptq_call;
typedef int32_t ptq_status;
enum { PTQ_DTYPE_F32 = 1, PTQ_STATS_HESSIAN = 1, PTQ_METHOD_GPTQ = 2, PTQ_PARAM_GROUP = 2 };
const char *ptq_status_name(ptq_status status);
int64_t ptq_last_message(char *buffer, int64_t capacity);
ptq_status ptq_context_create(ptq_context **context);
void ptq_context_free(ptq_context *context);
ptq_status ptq_tensor_borrow(ptq_context *context, int32_t dtype, int32_t rank, const int64_t *shape,
                             const void *data, ptq_tensor **tensor);
void ptq_tensor_free(ptq_tensor *tensor);
ptq_status ptq_stats_create(ptq_context *context, int64_t k, int32_t flags, ptq_stats **stats);
ptq_status ptq_stats_update(ptq_stats *stats, const void *x, int32_t dtype, int64_t rows, int64_t ldx,
                            const float *row_weights);
void ptq_stats_free(ptq_stats *stats);
ptq_status ptq_config_create(ptq_context *context, int32_t method, ptq_config **config);
ptq_status ptq_config_set_int(ptq_config *config, int32_t parameter, int64_t value);
ptq_status ptq_config_parse(ptq_config *config, const char *name, const char *text);
void ptq_config_free(ptq_config *config);
ptq_status ptq_quantize(const ptq_config *config, const ptq_tensor *const *weights, int64_t count,
                        const ptq_stats *stats, const ptq_stats *const *own_stats, ptq_qtensor **q);
double ptq_qtensor_output_error(const ptq_qtensor *q);
void ptq_qtensor_free(ptq_qtensor *q);
ptq_status ptq_linear_create(ptq_context *context, const ptq_qtensor *q, ptq_linear **linear);
void ptq_linear_free(ptq_linear *linear);
ptq_status ptq_call_create(ptq_context *context, const ptq_linear *const *linears, int64_t count, ptq_call **call);
ptq_status ptq_call_set_x(ptq_call *call, const void *x, int32_t dtype, int64_t rows, int64_t ldx);
ptq_status ptq_call_set_y(ptq_call *call, int64_t result, void *y, int32_t dtype, int64_t rows, int64_t ldy);
ptq_status ptq_call_run(const ptq_call *call, void *scratch, int64_t bytes);
void ptq_call_free(ptq_call *call);
]]
local ptq = ffi.load(arg[1] or "libptq.so.0")

local function check(status)
    if status ~= 0 then
        local message = ffi.new("char[512]")
        ptq.ptq_last_message(message, 512)
        error(ffi.string(ptq.ptq_status_name(status)) .. ": " .. ffi.string(message))
    end
end

-- Returns the handle that a function stores through its last argument; the caller frees it.
local function make(noun, create, ...)
    local handle = ffi.new("ptq_" .. noun .. " *[1]")
    local arguments = { ... }
    arguments[select("#", ...) + 1] = handle
    check(create(unpack(arguments, 1, select("#", ...) + 1)))
    return handle[0]
end

math.randomseed(1)
local function activations(rows, k)
    local x = ffi.new("float[?]", rows * k)
    for i = 0, rows * k - 1 do
        local large = i % k % 97 == 5 and 4 or 1
        x[i] = (i % k > 0 and 0.7 * x[i - 1] or 0) + (2 * math.random() - 1) * large
    end
    return x
end

local n, k, rows = 384, 576, 24
local w = ffi.new("float[?]", n * k)
for i = 0, n * k - 1 do
    w[i] = 0.02 * (math.random() + math.random() + math.random() - 1.5)
end

local context = make("context", ptq.ptq_context_create)
local stats = make("stats", ptq.ptq_stats_create, context, k, ptq.PTQ_STATS_HESSIAN)
for _ = 1, 16 do
    check(ptq.ptq_stats_update(stats, activations(64, k), ptq.PTQ_DTYPE_F32, 64, k, nil))
end
local shape = ffi.new("int64_t[2]", n, k)
local weight = make("tensor", ptq.ptq_tensor_borrow, context, ptq.PTQ_DTYPE_F32, 2, shape, w)
local config = make("config", ptq.ptq_config_create, context, ptq.PTQ_METHOD_GPTQ)
check(ptq.ptq_config_set_int(config, ptq.PTQ_PARAM_GROUP, 64))
check(ptq.ptq_config_parse(config, "activations", "int8-token"))
local weights = ffi.new("const ptq_tensor *[1]", { weight })
local q = make("qtensor", ptq.ptq_quantize, config, weights, 1, stats, nil)
print(("output error %.1e"):format(ptq.ptq_qtensor_output_error(q)))

local linear = make("linear", ptq.ptq_linear_create, context, q)
local x, y = activations(rows, k), ffi.new("float[?]", rows * n)
local call = make("call", ptq.ptq_call_create, context, ffi.new("const ptq_linear *[1]", { linear }), 1)
check(ptq.ptq_call_set_x(call, x, ptq.PTQ_DTYPE_F32, rows, k))
check(ptq.ptq_call_set_y(call, 0, y, ptq.PTQ_DTYPE_F32, rows, n))
check(ptq.ptq_call_run(call, nil, 0))

local lost, whole = 0, 0
for t = 0, rows - 1 do
    for j = 0, n - 1 do
        local exact = 0
        for i = 0, k - 1 do
            exact = exact + x[t * k + i] * w[j * k + i]
        end
        lost, whole = lost + (y[t * n + j] - exact) ^ 2, whole + exact ^ 2
    end
end
print(("relative squared error of the W4A8 product %.4f"):format(lost / whole))

ptq.ptq_call_free(call)
ptq.ptq_linear_free(linear)
ptq.ptq_qtensor_free(q)
ptq.ptq_config_free(config)
ptq.ptq_tensor_free(weight)
ptq.ptq_stats_free(stats)
ptq.ptq_context_free(context)
os.exit(lost / whole < 0.05 and 0 or 1)
