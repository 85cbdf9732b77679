/*
 * store_module.c - an actor and tasks that make, read and hand on large values. Bytes of a seed s: byte i is s + i * 7.
 */
#include <stdlib.h>
#include <string.h>
#include <troupe/module.h>
#include <unistd.h>

struct worker {
    trp_ref *held;
    size_t size;
};

static void
fill(uint8_t *bytes, size_t size, int64_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((uint64_t)seed + i * 7);
}

static trp_err
return_made(trp_ctx *ctx, size_t size, int64_t seed)
{
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    trp_err err;

    if (bytes == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    fill(bytes, size, seed);
    err = trp_return(ctx, trp_bytes(bytes, size));
    free(bytes);
    return err;
}

static trp_err
on_make(trp_ctx *ctx, void *self)
{
    (void)self;
    return return_made(ctx, (size_t)trp_as_i64(ctx->args[0]), trp_as_i64(ctx->args[1]));
}

static int64_t
count_wrong(trp_value value, int64_t seed)
{
    const uint8_t *bytes = value.as.bytes;
    int64_t wrong = 0;
    for (size_t i = 0; i < value.size; i++)
        wrong += bytes[i] != (uint8_t)((uint64_t)seed + i * 7);
    return wrong;
}

static trp_err
on_check(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64(count_wrong(ctx->args[0], trp_as_i64(ctx->args[1]))));
}

static trp_err
on_echo(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, ctx->args[0]);
}

/* Puts an object and gives it in a list; with `keep` this actor has it, too. */
static trp_err
on_put(trp_ctx *ctx, void *self)
{
    struct worker *worker = self;
    const size_t size = (size_t)trp_as_i64(ctx->args[0]);
    uint8_t *bytes = malloc(size);
    trp_ref *ref = NULL;
    trp_err err;

    if (bytes == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    fill(bytes, size, trp_as_i64(ctx->args[1]));
    err = trp_put(ctx->runtime, trp_bytes(bytes, size), &ref, ctx->error);
    free(bytes);
    if (err != TRP_OK)
        return err;
    err = trp_return(ctx, TRP_LIST(ref));
    if (trp_as_i64(ctx->args[2]) != 0)
        worker->held = ref;
    else
        trp_ref_release(&ref);
    return err;
}

/* An object that is being written, in a list. */
static trp_err
on_begin(trp_ctx *ctx, void *self)
{
    struct worker *worker = self;
    TRP_TRY(trp_put_begin(ctx->runtime, trp_bytes(NULL, (size_t)trp_as_i64(ctx->args[0])), &worker->held, ctx->error));
    worker->size = (size_t)trp_as_i64(ctx->args[0]);
    return trp_return(ctx, TRP_LIST(worker->held));
}

static trp_err
on_end(trp_ctx *ctx, void *self)
{
    struct worker *worker = self;
    fill(trp_put_room(worker->held), worker->size, trp_as_i64(ctx->args[0]));
    TRP_TRY(trp_put_end(worker->held, ctx->error));
    trp_ref_release(&worker->held);
    return TRP_OK;
}

static trp_err
on_pid(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64(getpid()));
}

static trp_err
on_let_go(trp_ctx *ctx, void *self)
{
    struct worker *worker = self;
    trp_ref_release(&worker->held);
    return trp_return(ctx, trp_null());
}

static trp_err
make(trp_ctx *ctx)
{
    return return_made(ctx, (size_t)trp_as_i64(ctx->args[0]), trp_as_i64(ctx->args[1]));
}

static trp_err
check(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(count_wrong(ctx->args[0], trp_as_i64(ctx->args[1]))));
}

static const trp_method methods[] = {
    {.name = "make", .fn = on_make, .args = "size:i, seed:i"},
    {.name = "check", .fn = on_check, .args = "bytes:b, seed:i"},
    {.name = "echo", .fn = on_echo, .args = "value:v"},
    {.name = "put", .fn = on_put, .args = "size:i, seed:i, keep:i"},
    {.name = "begin", .fn = on_begin, .args = "size:i"},
    {.name = "end", .fn = on_end, .args = "seed:i"},
    {.name = "pid", .fn = on_pid},
    {.name = "let_go", .fn = on_let_go},
    {0},
};

/* What its constructor was given is wrong in so many places. */
struct reader {
    int64_t wrong;
};

static trp_err
reader_init(trp_ctx *ctx, void *self)
{
    struct reader *reader = self;
    reader->wrong = count_wrong(ctx->args[0], trp_as_i64(ctx->args[1]));
    return TRP_OK;
}

static trp_err
on_wrong(trp_ctx *ctx, void *self)
{
    const struct reader *reader = self;
    return trp_return(ctx, trp_i64(reader->wrong));
}

static const trp_method reader_methods[] = {{.name = "wrong", .fn = on_wrong}, {0}};

static const trp_class classes[] = {
    {.name = "Reader",
     .self_size = sizeof(struct reader),
     .methods = reader_methods,
     .init = reader_init,
     .init_args = "bytes:b, seed:i"},
    {.name = "Worker", .self_size = sizeof(struct worker), .methods = methods},
    {0},
};

static const trp_function tasks[] = {
    {.name = "make", .fn = make, .args = "size:i, seed:i"},
    {.name = "check", .fn = check, .args = "bytes:b, seed:i"},
    {0},
};

TRP_MODULE(store_module, .classes = classes, .tasks = tasks);
