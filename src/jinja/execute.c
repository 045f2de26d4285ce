#include "jinja/execute.h"
#include "jinja/collection.h"
#include "jinja/evaluate.h"
#include "jinja/print.h"

/* How a list of statements ends. */
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static ptq_status execute(struct machine *m, const struct node *first, enum flow *flow);

static ptq_status data(struct machine *m, const struct node *n, enum flow *flow)
{
    (void)flow;
    return print_value(m, &n->value, m->out);
}

static ptq_status output(struct machine *m, const struct node *n, enum flow *flow)
{
    struct value v;
    (void)flow;
    PTQI_TRY(evaluate(m, n->a, &v));
    return print_value(m, &v, m->out);
}

static ptq_status branch(struct machine *m, const struct node *n, enum flow *flow)
{
    int truth;
    for (;;) {
        PTQI_TRY(evaluate_truth(m, n->a, &truth));
        const struct node *otherwise = n->otherwise;
        if (truth)
            return execute(m, n->items, flow);
        if (!otherwise || otherwise->kind != NODE_IF || otherwise->next)
            return execute(m, otherwise, flow);
        n = otherwise; /* elif */
    }
}

/* Statements with variables of their own. */
static ptq_status execute_inside(struct machine *m, const struct node *first, enum flow *flow)
{
    struct scope *const outer = m->scope;
    PTQI_TRY(scope_begin(m, outer, &m->scope));
    PTQI_TRY(execute(m, first, flow));
    m->scope = outer;
    return PTQ_OK;
}

/* What statements print, as a text. */
static ptq_status capture(struct machine *m, const struct node *first, struct text *text)
{
    struct builder out = {.arena = m->arena}, *const before = m->out;
    enum flow flow = FLOW_ON;
    const int loops = m->loops;
    m->out = &out;
    m->loops = 0;
    PTQI_TRY(execute_inside(m, first, &flow));
    m->loops = loops;
    m->out = before;
    *text = text_make(out.bytes, out.length);
    return PTQ_OK;
}

static ptq_status assign(struct machine *m, const struct node *target, const struct value *v);

static ptq_status assign_each(struct machine *m, const struct node *target, const struct value *v)
{
    const struct list *items;
    int64_t count = 0, i = 0;
    for (const struct node *n = target->items; n; n = n->next)
        count++;
    PTQI_TRY(items_of(m, v, &items));
    if (items->count != count)
        return machine_fail(m, PTQ_ERROR_FORMAT, "%lld values for %lld names",
                            (long long)items->count, (long long)count);
    for (const struct node *n = target->items; n; n = n->next)
        PTQI_TRY(assign(m, n, &items->items[i++]));
    return PTQ_OK;
}

static ptq_status assign_member(struct machine *m, const struct node *target, const struct value *v)
{
    struct variable *found;
    PTQI_TRY(scope_find(m, m->scope, target->a->name, &found));
    if (!found || found->value.kind != VALUE_NAMESPACE)
        return machine_fail(m, PTQ_ERROR_FORMAT, "only members of a namespace can be set");
    return namespace_set(m, found->value.dict, target->name, *v);
}

static ptq_status assign(struct machine *m, const struct node *target, const struct value *v)
{
    if (target->kind == NODE_TUPLE)
        return assign_each(m, target, v);
    if (target->kind == NODE_SET_MEMBER)
        return assign_member(m, target, v);
    return scope_set(m, m->scope, target->name, *v);
}

static ptq_status set(struct machine *m, const struct node *n, enum flow *flow)
{
    struct value v;
    (void)flow;
    PTQI_TRY(evaluate(m, n->b, &v));
    return assign(m, n->a, &v);
}

/* The text of a block after its filters. */
static ptq_status filter_block_text(struct machine *m, const struct node *n, struct value *out)
{
    const struct text before = m->block_text;
    struct text text;
    PTQI_TRY(capture(m, n->items, &text));
    m->block_text = text;
    PTQI_TRY(evaluate(m, n->b, out));
    m->block_text = before;
    return PTQ_OK;
}

static ptq_status set_block(struct machine *m, const struct node *n, enum flow *flow)
{
    struct value v;
    (void)flow;
    PTQI_TRY(filter_block_text(m, n, &v));
    return assign(m, n->a, &v);
}

static ptq_status filter_block(struct machine *m, const struct node *n, enum flow *flow)
{
    struct value v;
    (void)flow;
    PTQI_TRY(filter_block_text(m, n, &v));
    return print_value(m, &v, m->out);
}

static ptq_status generation(struct machine *m, const struct node *n, enum flow *flow)
{
    struct text text;
    (void)flow;
    PTQI_TRY(capture(m, n->items, &text));
    return builder_add(m->out, text.bytes, text.length);
}

/* Whether the condition of a loop accepts an item. */
static ptq_status accepts(struct machine *m, const struct loop *loop, const struct value *item,
                          int *truth)
{
    struct scope *const before = m->scope;
    PTQI_TRY(scope_begin(m, loop->scope, &m->scope));
    PTQI_TRY(assign(m, loop->node->a, item));
    PTQI_TRY(evaluate_truth(m, loop->node->c, truth));
    m->scope = before;
    return PTQ_OK;
}

static ptq_status extend_loop(struct machine *m, struct loop *loop, int64_t wanted)
{
    while (loop->list.count < wanted && loop->tested < loop->source->count) {
        const struct value *item = &loop->source->items[loop->tested++];
        int truth;
        PTQI_TRY(accepts(m, loop, item, &truth));
        if (truth)
            loop->list.items[loop->list.count++] = *item;
    }
    return PTQ_OK;
}

/* Without a condition, the items are those of the source. */
static ptq_status begin_loop(struct machine *m, const struct node *n, const struct list *source,
                             struct loop *loop)
{
    *loop = (struct loop){.source = source, .node = n, .scope = m->scope};
    if (!n->c) {
        loop->list = *source;
        loop->tested = source->count;
        return PTQ_OK;
    }
    loop->list.items = arena_alloc(m->arena, source->count, (int64_t)sizeof *source->items);
    return loop->list.items ? PTQ_OK : m->arena->status;
}

/* finished: whether any iteration came to the end of the statements. */
static ptq_status iterate(struct machine *m, struct loop *loop, int *finished)
{
    const struct value variable = {.kind = VALUE_LOOP, .loop = loop};
    enum flow flow = FLOW_ON;
    *finished = 0;
    for (; flow != FLOW_BREAK; loop->index++) {
        PTQI_TRY(extend_loop(m, loop, loop->index + 1));
        if (loop->index == loop->list.count)
            break;
        PTQI_TRY(scope_begin(m, loop->scope, &m->scope));
        PTQI_TRY(scope_set(m, m->scope, (struct text){"loop", 4}, variable));
        PTQI_TRY(assign(m, loop->node->a, &loop->list.items[loop->index]));
        flow = FLOW_ON;
        PTQI_TRY(execute(m, loop->node->items, &flow));
        *finished |= flow == FLOW_ON;
        m->scope = loop->scope;
    }
    return PTQ_OK;
}

static ptq_status repeat(struct machine *m, const struct node *n, enum flow *flow)
{
    const struct list *items;
    struct value v;
    int finished;
    struct loop *loop = arena_alloc(m->arena, 1, (int64_t)sizeof *loop);
    if (!loop)
        return m->arena->status;
    PTQI_TRY(evaluate(m, n->b, &v));
    PTQI_TRY(items_of(m, &v, &items));
    PTQI_TRY(begin_loop(m, n, items, loop));
    m->loops++;
    PTQI_TRY(iterate(m, loop, &finished));
    m->loops--;
    return finished ? PTQ_OK : execute_inside(m, n->otherwise, flow);
}

static ptq_status leave_loop(struct machine *m, const struct node *n, enum flow *flow)
{
    if (!m->loops)
        return machine_fail(m, PTQ_ERROR_FORMAT, "break or continue outside of a loop");
    *flow = n->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
    return PTQ_OK;
}

static ptq_status define_macro(struct machine *m, const struct node *n, enum flow *flow)
{
    struct macro *macro = arena_alloc(m->arena, 1, (int64_t)sizeof *macro);
    (void)flow;
    if (!macro)
        return m->arena->status;
    *macro = (struct macro){n, m->scope};
    return scope_set(m, m->scope, n->name, (struct value){.kind = VALUE_MACRO, .macro = macro});
}

/* The argument for a parameter: by its place, else by its name; NULL if there is none. */
static const struct value *argument_for(const struct arguments *arguments, int place,
                                        struct text name, int *used)
{
    if (place < arguments->count)
        return &arguments->values[place];
    for (int i = 0; i < arguments->keyword_count; i++)
        if (text_equal(arguments->keywords[i].name, name)) {
            ++*used;
            return &arguments->keywords[i].value;
        }
    return NULL;
}

/* Sets the parameters in the macro's scope, in order, so that a default may use those before. */
static ptq_status bind_parameters(struct machine *m, const struct node *macro,
                                  const struct arguments *arguments)
{
    int place = 0, used = 0;
    for (const struct node *p = macro->b; p; p = p->next, place++) {
        const struct value *given = argument_for(arguments, place, p->name, &used);
        struct value v = given ? *given : value_undefined(p->name);
        PTQI_TRY(machine_work(m, arguments->keyword_count * 8));
        if (!given && p->a)
            PTQI_TRY(evaluate(m, p->a, &v));
        PTQI_TRY(scope_set(m, m->scope, p->name, v));
    }
    if (arguments->count > place || arguments->keyword_count > used)
        return machine_fail(m, PTQ_ERROR_FORMAT, "the macro '%.*s' does not take these arguments",
                            (int)ptqi_min(macro->name.length, 40), macro->name.bytes);
    return PTQ_OK;
}

static ptq_status call_macro(struct machine *m, const struct macro *macro,
                             const struct arguments *arguments, struct value *result)
{
    struct scope *const outer = m->scope;
    struct text text;
    PTQI_TRY(machine_enter(m));
    PTQI_TRY(scope_begin(m, macro->scope, &m->scope));
    PTQI_TRY(bind_parameters(m, macro->node, arguments));
    PTQI_TRY(capture(m, macro->node->items, &text));
    m->scope = outer;
    machine_leave(m);
    *result = value_string(text.bytes, text.length);
    return PTQ_OK;
}

static ptq_status (*const executors[NODE_KINDS])(struct machine *m, const struct node *n,
                                                 enum flow *flow) = {
    [NODE_DATA] = data,
    [NODE_OUTPUT] = output,
    [NODE_IF] = branch,
    [NODE_FOR] = repeat,
    [NODE_SET] = set,
    [NODE_SET_BLOCK] = set_block,
    [NODE_MACRO] = define_macro,
    [NODE_FILTER_BLOCK] = filter_block,
    [NODE_GENERATION] = generation,
    [NODE_BREAK] = leave_loop,
    [NODE_CONTINUE] = leave_loop,
};

static ptq_status execute(struct machine *m, const struct node *first, enum flow *flow)
{
    PTQI_TRY(machine_enter(m));
    for (const struct node *n = first; n && *flow == FLOW_ON; n = n->next) {
        m->line = n->line;
        PTQI_TRY(machine_work(m, 0));
        PTQI_TRY(executors[n->kind](m, n, flow));
    }
    machine_leave(m);
    return PTQ_OK;
}

ptq_status execute_template(struct machine *m, const struct node *first)
{
    enum flow flow = FLOW_ON;
    m->call_macro = call_macro;
    m->extend_loop = extend_loop;
    return execute(m, first, &flow);
}
