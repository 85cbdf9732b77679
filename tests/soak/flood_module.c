/*
 * flood_module.c - a worker of the flood: makes objects and reads those of others, until it is killed in the middle of it.
 */
#include <stdlib.h>
#include <troupe/module.h>
#include <unistd.h>

#include "tests/soak/flood_data.h"

static trp_err
on_make(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)trp_as_i64(ctx->args[0]);
    uint8_t *bytes = malloc(size);
    (void)self;
    if (bytes == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    flood_fill(bytes, size, (uint64_t)trp_as_i64(ctx->args[1]));
    const trp_err err = trp_return(ctx, trp_bytes(bytes, size));
    free(bytes);
    return err;
}

/* An object written in place, in a list. */
static trp_err
on_put(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)trp_as_i64(ctx->args[0]);
    trp_ref *ref = NULL;
    (void)self;
    TRP_TRY(trp_put_begin(ctx->runtime, trp_bytes(NULL, size), &ref, ctx->error));
    flood_fill(trp_put_room(ref), size, (uint64_t)trp_as_i64(ctx->args[1]));
    trp_err err = trp_put_end(ref, ctx->error);
    if (err == TRP_OK)
        err = trp_return(ctx, TRP_LIST(ref));
    trp_ref_release(&ref);
    return err;
}

static trp_err
on_sum(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64((int64_t)flood_sum(ctx->args[0].as.bytes, ctx->args[0].size)));
}

static trp_err
on_pid(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64(getpid()));
}

static const trp_method methods[] = {
    {.name = "make", .fn = on_make, .args = "size:i, seed:i"},
    {.name = "put", .fn = on_put, .args = "size:i, seed:i"},
    {.name = "sum", .fn = on_sum, .args = "bytes:b"},
    {.name = "pid", .fn = on_pid},
    {0},
};

static const trp_class classes[] = {{.name = "Worker", .methods = methods}, {0}};

TRP_MODULE(flood_module, .classes = classes);
