/*
 * echo.c - the module that the bench calls: an actor and tasks that do as little as there is.
 */
#include <troupe/module.h>

#include <stdlib.h>
#include <string.h>

struct echo {
    int unused;
};

static trp_err
on_echo(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, ctx->args[0]);
}

/* Waits for a reference inside a list: keeps this actor from its next call until the reference is ready. */
static trp_err
on_hold(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_get(trp_at(ctx->args[0], 0).as.ref, TRP_FOREVER, NULL, ctx->error);
}

/* A new object of so many bytes, all of them 1. */
static trp_err
on_make(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)trp_as_i64(ctx->args[0]);
    void *bytes = malloc(size > 0 ? size : 1);
    trp_err err;

    (void)self;
    if (bytes == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    memset(bytes, 1, size);
    err = trp_return(ctx, trp_bytes(bytes, size));
    free(bytes);
    return err;
}

struct gate {
    trp_reply *reply;
};

/* Answers when the gate is opened. */
static trp_err
on_pass(trp_ctx *ctx, void *self)
{
    struct gate *gate = self;

    if (gate->reply != NULL)
        return trp_fail(ctx, TRP_EEXIST, "somebody waits at the gate already");
    return trp_defer(ctx, &gate->reply);
}

static trp_err
on_open(trp_ctx *ctx, void *self)
{
    struct gate *gate = self;

    if (gate->reply != NULL)
        trp_reply_value(&gate->reply, trp_null());
    return trp_return(ctx, trp_null());
}

static trp_err
noop(trp_ctx *ctx)
{
    return trp_return(ctx, ctx->args[0]);
}

static const trp_method echo_methods[] = {
    {.name = "echo", .fn = on_echo, .args = "data:b", .about = "gives its argument back"},
    {.name = "make", .fn = on_make, .args = "size:i", .about = "gives so many bytes"},
    {.name = "hold", .fn = on_hold, .args = "until:[r]", .about = "waits for the reference in the list"},
    {0},
};

static const trp_method gate_methods[] = {
    {.name = "pass", .fn = on_pass, .about = "answers after open"},
    {.name = "open", .fn = on_open, .about = "lets the one who waits pass"},
    {0},
};

static const trp_class echo_classes[] = {
    {.name = "Echo", .about = "an echo", .self_size = sizeof(struct echo), .methods = echo_methods},
    {.name = "Gate", .about = "holds one caller", .self_size = sizeof(struct gate), .methods = gate_methods},
    {0},
};

static const trp_function echo_tasks[] = {
    {.name = "noop", .fn = noop, .args = "data:b", .about = "gives its argument back"},
    {0},
};

TRP_MODULE(echo, .classes = echo_classes, .tasks = echo_tasks);
