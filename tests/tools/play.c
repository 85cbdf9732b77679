/*
 * play.c - a module for tests of the command: an actor that can be made to wait, to fail and to crash, and values that JSON has
 * no word for.
 */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/module.h>

struct stage {
    trp_reply *reply;
    int64_t count;
};

/* Answered by `go`. */
static trp_err
stage_wait(trp_ctx *ctx, void *self)
{
    struct stage *stage = self;

    if (stage->reply != NULL)
        trp_reply_fail(&stage->reply, 1, "somebody else waits now");
    return trp_defer(ctx, &stage->reply);
}

static trp_err
stage_go(trp_ctx *ctx, void *self)
{
    struct stage *stage = self;

    (void)ctx;
    trp_reply_value(&stage->reply, ctx->args[0]);
    return TRP_OK;
}

static trp_err
stage_crash(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    printf("the last line\n");
    fflush(stdout);
    abort();
}

static trp_err
stage_fail(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_fail(ctx, (int32_t)ctx->args[0].as.i64, "%s", trp_as_str(ctx->args[1]));
}

static trp_err
stage_echo(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, ctx->args[0]);
}

/* The letter of its kind, and the JSON that it prints as. */
static trp_err
stage_kind(trp_ctx *ctx, void *self)
{
    static const char *const kinds[] = {"null", "bool",  "i64", "f64",    "str", "bytes",
                                        "list", "tuple", "map", "tensor", "ref", "actor"};
    char text[256];

    (void)self;
    (void)snprintf(text, sizeof text, "%s", kinds[ctx->args[0].kind]);
    return trp_return(ctx, trp_str(text));
}

static trp_err
stage_tensor(trp_ctx *ctx, void *self)
{
    float data[] = {1, 2.5, -3, 4};
    DLTensor tensor = trp_dense(data, TRP_FLOAT32, 2, (int64_t[]){2, 2});

    (void)self;
    return trp_return(ctx, trp_tensor(&tensor));
}

static trp_err
stage_bytes(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)ctx->args[0].as.i64;
    unsigned char *bytes = trp_alloc(ctx, size + 1);

    (void)self;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        bytes[i] = (unsigned char)i;
    return trp_return(ctx, trp_bytes(bytes, size));
}

static bool
is_there(const char *directory, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void
make(const char *directory, const char *name)
{
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    if (file != NULL)
        (void)fclose(file);
}

/* Says in the directory that it runs and that it was cancelled; leaves then, or (stubborn) when it may. */
static trp_err
stage_last(trp_ctx *ctx, void *self)
{
    const char *directory = trp_as_str(ctx->args[0]);

    (void)self;
    make(directory, "runs");
    while (!trp_cancelled(ctx))
        (void)sched_yield();
    make(directory, "seen");
    while (ctx->args[1].as.boolean && !is_there(directory, "may"))
        (void)sched_yield();
    return TRP_ECANCELLED;
}

static trp_err
stage_count(trp_ctx *ctx, void *self)
{
    struct stage *stage = self;

    return trp_return(ctx, trp_i64(++stage->count));
}

static trp_err
stage_odd(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, TRP_LIST(NAN, -INFINITY, 0.1, 1e300, "ref:it", "a\nb\"c\\", trp_null(), trp_bool(true)));
}

static const trp_method stage_methods[] = {
    {.name = "wait", .fn = stage_wait, .about = "until somebody says go"},
    {.name = "go", .fn = stage_go, .args = "value:v=null"},
    {.name = "crash", .fn = stage_crash},
    {.name = "fail", .fn = stage_fail, .args = "cause:i, text:s"},
    {.name = "echo", .fn = stage_echo, .args = "x:v"},
    {.name = "kind", .fn = stage_kind, .args = "x:v"},
    {.name = "tensor", .fn = stage_tensor},
    {.name = "bytes", .fn = stage_bytes, .args = "size:i"},
    {.name = "odd", .fn = stage_odd},
    {.name = "last", .fn = stage_last, .args = "directory:s, stubborn:v=false"},
    {.name = "count", .fn = stage_count},
    {0},
};

static trp_err
picky_init(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_fail(ctx, TRP_EINVAL, "not with me");
}

static const trp_class classes[] = {
    {.name = "Stage", .about = "for tests", .self_size = sizeof(struct stage), .methods = stage_methods},
    {.name = "Picky", .init = picky_init, .methods = stage_methods},
    {0},
};

static trp_err
task_echo(trp_ctx *ctx)
{
    return trp_return(ctx, ctx->args[0]);
}

static trp_err
task_die(trp_ctx *ctx)
{
    (void)ctx;
    abort();
}

static const trp_function tasks[] = {
    {.name = "echo", .fn = task_echo, .args = "x:v", .about = "gives back what it gets"},
    {.name = "die", .fn = task_die, .no_retries = true},
    {0},
};

TRP_MODULE(play, .classes = classes, .tasks = tasks, .version = "1", .about = "for tests of the command");
