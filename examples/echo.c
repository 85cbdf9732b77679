/*
 * echo.c - gives back what it gets, as an actor and as a task; and an actor that remembers the order of its calls.
 */
#include <stdlib.h>

#include <troupe/module.h>

struct echo {
    int64_t *items;
    size_t count, capacity;
};

static void
echo_fini(void *self)
{
    struct echo *echo = self;
    free(echo->items);
}

static trp_err
echo_echo(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, ctx->args[0]);
}

static trp_err
echo_none(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return TRP_OK;
}

static trp_err
echo_append(trp_ctx *ctx, void *self)
{
    struct echo *echo = self;
    if (echo->count == echo->capacity) {
        size_t capacity = echo->capacity > 0 ? 2 * echo->capacity : 64;
        int64_t *items = realloc(echo->items, capacity * sizeof *items);
        if (items == NULL)
            return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu items", capacity);
        echo->items = items;
        echo->capacity = capacity;
    }
    echo->items[echo->count++] = ctx->args[0].as.i64;
    return trp_return(ctx, trp_i64((int64_t)echo->count));
}

static trp_err
echo_log(trp_ctx *ctx, void *self)
{
    const struct echo *echo = self;
    trp_value *items = trp_alloc(ctx, echo->count * sizeof *items);
    if (items == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu items", echo->count);
    for (size_t i = 0; i < echo->count; i++)
        items[i] = trp_i64(echo->items[i]);
    return trp_return(ctx, trp_list(items, echo->count));
}

static trp_err
task_echo(trp_ctx *ctx)
{
    return trp_return(ctx, ctx->args[0]);
}

static trp_err
task_none(trp_ctx *ctx)
{
    (void)ctx;
    return TRP_OK;
}

static const trp_method echo_methods[] = {
    {.name = "echo", .fn = echo_echo, .args = "x:v", .about = "its argument"},
    {.name = "none", .fn = echo_none, .about = "nothing in, null out"},
    {.name = "append", .fn = echo_append, .args = "item:i", .about = "remembers a number; how many there are"},
    {.name = "log", .fn = echo_log, .about = "the numbers, in the order in which they came"},
    {0},
};

static const trp_class echo_classes[] = {
    {
        .name = "Echo",
        .about = "gives back what it gets",
        .self_size = sizeof(struct echo),
        .fini = echo_fini,
        .methods = echo_methods,
    },
    {0},
};

static const trp_function echo_tasks[] = {
    {.name = "echo", .fn = task_echo, .args = "x:v", .about = "its argument"},
    {.name = "none", .fn = task_none, .about = "nothing in, null out"},
    {0},
};

TRP_MODULE(echo, .classes = echo_classes, .tasks = echo_tasks, .version = "1");
