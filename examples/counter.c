/*
 * counter.c - the smallest module: an actor that counts. Compile it alone, it links nothing:
 *
 *     cc -shared -fPIC -o counter.so counter.c
 */
#include <troupe/module.h>

struct counter {
    int64_t value;
};

static trp_err
counter_increment(trp_ctx *ctx, void *self)
{
    struct counter *counter = self;
    counter->value += ctx->args[0].as.i64;
    return trp_return(ctx, trp_i64(counter->value));
}

static trp_err
counter_get(trp_ctx *ctx, void *self)
{
    const struct counter *counter = self;
    return trp_return(ctx, trp_i64(counter->value));
}

static const trp_method counter_methods[] = {
    {.name = "increment", .fn = counter_increment, .args = "step:i=1", .about = "adds, and gives the sum"},
    {.name = "get_counter", .fn = counter_get, .about = "what was counted so far"},
    {0},
};

static const trp_class counter_classes[] = {
    {
        .name = "Counter",
        .about = "counts from 0",
        .self_size = sizeof(struct counter),
        .methods = counter_methods,
    },
    {0},
};

TRP_MODULE(counter, .classes = counter_classes, .version = "1", .about = "the smallest module");
