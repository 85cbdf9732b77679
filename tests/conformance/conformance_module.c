/* conformance_module.c - module "conformance": what the conformance tables call. Runs in worker hosts, and in the test's
 * own process in local mode. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/module.h>

/* ------------------------------------------------------------------------------------------------------------- tasks */

/* The length of the list that S2's `generate` builds: n entries, and one more for each of 0 and 1. */
static int64_t
generate(int64_t n)
{
    int64_t length = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i < 2)
            length++;
        volatile int64_t sum = generate(i - 1) + generate(i - 2);
        (void)sum;
        length++;
    }
    return length;
}

static trp_err
task_generate_2(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(generate(ctx->args[0].as.i64)));
}

static trp_err
task_echo(trp_ctx *ctx)
{
    return trp_return(ctx, ctx->args[0]);
}

/* `count` numbers, 0, 1, ..., written in place. how: 1 fails afterwards, 2 returns something else as well, 3 returns first. */
static trp_err
task_fill(trp_ctx *ctx)
{
    const int64_t how = ctx->args[1].as.i64;
    int64_t count = ctx->args[0].as.i64;
    DLTensor x = trp_dense(NULL, TRP_INT64, 1, &count);
    if (how == 3)
        TRP_TRY(trp_return(ctx, trp_i64(1)));
    trp_err err = trp_return_begin(ctx, TRP_MAP("x", &x, "how", how));
    if (how == 3)
        return err == TRP_EALREADY && x.data == NULL ? TRP_OK : trp_fail(ctx, TRP_EINVAL, "the second was taken");
    TRP_TRY(err);
    for (int64_t i = 0; i < count; i++)
        ((int64_t *)x.data)[i] = i;
    if (how == 2)
        return trp_return(ctx, trp_null()) == TRP_EALREADY ? TRP_OK : trp_fail(ctx, TRP_EINVAL, "both were taken");
    return how == 1 ? trp_fail(ctx, 7, "no") : TRP_OK;
}

/* Begins an object, hands it on in a list, and ends with it still open; or (how 1) lets go of it. */
static trp_err
task_abandon(trp_ctx *ctx)
{
    DLTensor x = trp_dense(NULL, TRP_UINT8, 1, (int64_t[]){ctx->args[0].as.i64});
    trp_ref *ref = NULL;
    TRP_TRY(trp_put_begin(ctx->runtime, trp_tensor(&x), &ref, ctx->error));
    trp_err err = trp_return(ctx, TRP_LIST(ref));
    trp_ref_release(&ref);
    return err;
}

/* Returns 200,000 bytes, and then finds that something else has failed. */
static trp_err
task_goes_on(trp_ctx *ctx)
{
    static char bytes[200000];
    trp_ref *ref = NULL;
    TRP_TRY(trp_return(ctx, trp_bytes(bytes, sizeof bytes)));
    TRP_TRY(trp_task(ctx->runtime, "conformance:fail", TRP_ARGS(7, "no"), &ref, ctx->error));
    trp_err err = trp_get(ref, 20000, NULL, ctx->error);
    trp_ref_release(&ref);
    return err == TRP_ETASK ? TRP_OK : trp_fail(ctx, TRP_EINVAL, "it did not fail");
}

static trp_err
task_add(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(ctx->args[0].as.i64 + ctx->args[1].as.i64));
}

static trp_err
task_fail(trp_ctx *ctx)
{
    return trp_fail(ctx, (int32_t)ctx->args[0].as.i64, "failed as asked: %s", ctx->args[1].as.str);
}

/* Has the node keep what it is given, from inside of a task. */
static trp_err
task_keep(trp_ctx *ctx)
{
    trp_ref *again = NULL;
    TRP_TRY(trp_keep(trp_at(ctx->args[0], 0).as.ref, ctx->args[1].as.str, TRP_FOREVER, ctx->error));
    TRP_TRY(trp_kept(ctx->runtime, ctx->args[1].as.str, &again, ctx->error));
    trp_err err = trp_return(ctx, trp_ref_value(again));
    trp_ref_release(&again);
    return err;
}

static trp_err
task_getpid(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(getpid()));
}

/* Dies by SIGKILL as long as the file does not exist, which it makes first: so it fails once and then succeeds. */
static trp_err
task_die_once(trp_ctx *ctx)
{
    const char *path = ctx->args[0].as.str;
    if (access(path, F_OK) != 0) {
        FILE *file = fopen(path, "w");
        if (file == NULL)
            return trp_fail(ctx, TRP_EACCES, "cannot make %s", path);
        fclose(file);
        raise(SIGKILL);
    }
    return trp_return(ctx, trp_str("survived"));
}

/* Waits inside of a task for another task: needs a slot of the node for the inner one. */
static trp_err
task_nested(trp_ctx *ctx)
{
    int64_t depth = ctx->args[0].as.i64;
    trp_ref *ref = NULL;
    trp_value value;
    if (depth == 0)
        return trp_return(ctx, trp_i64(0));
    TRP_TRY(trp_task(ctx->runtime, "conformance:nested", TRP_ARGS(depth - 1), &ref, ctx->error));
    trp_err err = trp_get(ref, 20000, &value, ctx->error);
    if (err == TRP_OK)
        err = trp_return(ctx, trp_i64(trp_as_i64(value) + 1));
    trp_ref_release(&ref);
    return err;
}

/* Says in the file that it was started, and dies by SIGKILL. */
static trp_err
task_die_noted(trp_ctx *ctx)
{
    FILE *file = fopen(ctx->args[0].as.str, "a");
    if (file == NULL)
        return trp_fail(ctx, TRP_EACCES, "cannot open %s", ctx->args[0].as.str);
    fputc('x', file);
    fclose(file);
    raise(SIGKILL);
    return TRP_OK;
}

static trp_err
task_die(trp_ctx *ctx)
{
    (void)ctx;
    _exit(7);
}

/* Leaves as it was told to. */
static trp_err
leave(trp_ctx *ctx, int64_t how)
{
    switch (how) {
    case 0:
        return TRP_ECANCELLED;
    case 1:
        return trp_fail(ctx, TRP_ECANCELLED, "its time was up");
    default:
        return trp_return(ctx, trp_str("too late"));
    }
}

static void
mark(const char *directory, const char *what)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, what);
    FILE *file = fopen(path, "w");
    if (file != NULL)
        fclose(file);
}

/* Says in the directory that it runs, and that it has seen its cancel. */
static trp_err
task_last(trp_ctx *ctx)
{
    const char *directory = ctx->args[0].as.str;
    mark(directory, "runs");
    while (!trp_cancelled(ctx))
        sched_yield();
    mark(directory, "seen");
    return leave(ctx, ctx->args[1].as.i64);
}

/* What it waits for goes on until it is cancelled. */
static trp_err
task_parent(trp_ctx *ctx)
{
    trp_ref *ref = NULL;
    TRP_TRY(trp_task(ctx->runtime, "conformance:last", TRP_ARGS(ctx->args[0], 0), &ref, ctx->error));
    trp_err err = trp_get(ref, TRP_FOREVER, NULL, ctx->error);
    trp_ref_release(&ref);
    return err;
}

static trp_err
task_cancel(trp_ctx *ctx)
{
    return trp_cancel(trp_at(ctx->args[0], 0).as.ref, 0, ctx->error);
}

static const trp_function tasks[] = {
    {.name = "generate_2", .fn = task_generate_2, .args = "n:i"},
    {.name = "echo", .fn = task_echo, .args = "x:v", .about = "gives back what it gets"},
    {.name = "fill", .fn = task_fill, .args = "count:i, how:i=0"},
    {.name = "goes_on", .fn = task_goes_on},
    {.name = "abandon", .fn = task_abandon, .args = "size:i"},
    {.name = "add", .fn = task_add, .args = "a:i, b:i=10"},
    {.name = "fail", .fn = task_fail, .args = "cause:i, text:s"},
    {.name = "keep", .fn = task_keep, .args = "object:[r], name:s"},
    {.name = "getpid", .fn = task_getpid},
    {.name = "die_once", .fn = task_die_once, .args = "path:s"},
    {.name = "die", .fn = task_die},
    {.name = "die_never_again", .fn = task_die_noted, .args = "path:s", .no_retries = true},
    {.name = "die_again_once", .fn = task_die_noted, .args = "path:s", .max_retries = 1},
    {.name = "nested", .fn = task_nested, .args = "depth:i"},
    {.name = "last", .fn = task_last, .args = "directory:s, how:i"},
    {.name = "parent", .fn = task_parent, .args = "directory:s"},
    {.name = "cancel", .fn = task_cancel, .args = "calls:[r]"},
    {0},
};

/* -------------------------------------------------------------------------------------------------------- class Log */

struct log {
    int64_t *items;
    size_t count;
    trp_ref *kept;
    trp_reply *reply;
};

static void
log_fini(void *self)
{
    struct log *log = self;
    free(log->items);
    trp_ref_release(&log->kept);
    if (log->reply != NULL)
        trp_reply_value(&log->reply, trp_null());
}

static trp_err
log_append(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    int64_t *items = realloc(log->items, (log->count + 1) * sizeof *items);
    if (items == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for item %zu", log->count);
    log->items = items;
    log->items[log->count++] = ctx->args[0].as.i64;
    return trp_return(ctx, trp_i64((int64_t)log->count));
}

static trp_err
log_read(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    trp_value *values = trp_alloc(ctx, (log->count + 1) * sizeof *values);
    if (values == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory");
    for (size_t i = 0; i < log->count; i++)
        values[i] = trp_i64(log->items[i]);
    return trp_return(ctx, trp_list(values, log->count));
}

/* Keeps the reference that a list contains; gives it back by `kept`. */
static trp_err
log_keep(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    trp_value inner = trp_at(ctx->args[0], 0);
    if (inner.kind != TRP_REF)
        return trp_fail(ctx, TRP_ETYPE, "wanted a list of a reference");
    trp_ref_release(&log->kept);
    log->kept = trp_ref_retain(inner.as.ref);
    return TRP_OK;
}

static trp_err
log_kept(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    trp_value item = trp_ref_value(log->kept);
    return trp_return(ctx, trp_list(&item, 1));
}

/* The value behind the kept reference, got inside of a method. */
static trp_err
log_value(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    trp_value value;
    TRP_TRY(trp_get(log->kept, 10000, &value, ctx->error));
    return trp_return(ctx, value);
}

static trp_err
log_hold(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    if (log->reply != NULL)
        return trp_fail(ctx, TRP_EALREADY, "somebody is held already");
    return trp_defer(ctx, &log->reply);
}

static trp_err
log_let_go(trp_ctx *ctx, void *self)
{
    struct log *log = self;
    if (log->reply == NULL)
        return trp_fail(ctx, TRP_ENOENT, "nobody is held");
    trp_reply_value(&log->reply, ctx->args[0]);
    return TRP_OK;
}

static trp_err
log_forsaken(trp_ctx *ctx, void *self)
{
    const struct log *log = self;
    return trp_return(ctx, trp_bool(trp_reply_cancelled(log->reply)));
}

static trp_err
log_getpid(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64(getpid()));
}

static trp_err
log_crash(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    raise(SIGSEGV);
    return TRP_OK;
}

static trp_err
log_return_twice(trp_ctx *ctx, void *self)
{
    (void)self;
    TRP_TRY(trp_return(ctx, trp_i64(1)));
    return trp_return(ctx, trp_i64(2)) == TRP_EALREADY ? TRP_OK : trp_fail(ctx, TRP_EINVAL, "the second was taken");
}

/* Calls itself and waits for it. */
static trp_err
log_wait_for_self(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_ref *ref = NULL;
    TRP_TRY(trp_call(ctx->actor, "read", TRP_NOARGS, &ref, ctx->error));
    trp_err err = trp_get(ref, 20000, NULL, ctx->error);
    trp_ref_release(&ref);
    return err;
}

/* An actor makes another, sends to it, and returns what it says, and its handle. */
static trp_err
log_beget(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_actor *child = NULL;
    trp_ref *ref = NULL;
    trp_value value;
    trp_err err = trp_spawn(ctx->runtime, "conformance:Log", TRP_NOARGS, NULL, &child, ctx->error);
    if (err == TRP_OK)
        err = trp_send(child, "append", TRP_ARGS(41), ctx->error);
    if (err == TRP_OK)
        err = trp_call(child, "append", TRP_ARGS(42), &ref, ctx->error);
    if (err == TRP_OK)
        err = trp_get(ref, 10000, &value, ctx->error);
    if (err == TRP_OK)
        err = trp_return(ctx, TRP_TUPLE(child, value));
    trp_ref_release(&ref);
    trp_actor_release(&child);
    return err;
}

/* Works until its deadline has passed. */
static trp_err
log_linger(trp_ctx *ctx, void *self)
{
    (void)self;
    while (!trp_cancelled(ctx))
        sched_yield();
    return leave(ctx, ctx->args[0].as.i64);
}

static trp_err
log_last(trp_ctx *ctx, void *self)
{
    (void)self;
    return task_last(ctx);
}

/* Its answer is that of a task that goes on until it is cancelled. */
static trp_err
log_hand_on(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_ref *ref = NULL;
    TRP_TRY(trp_task(ctx->runtime, "conformance:last", TRP_ARGS(ctx->args[0], 0), &ref, ctx->error));
    trp_err err = trp_delegate(ctx, ref);
    trp_ref_release(&ref);
    return err;
}

/* When it is cancelled it can send, and neither call nor wait. */
static trp_err
log_clean_up(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_ref *ref = NULL;
    mark(ctx->args[0].as.str, "runs");
    while (!trp_cancelled(ctx))
        sched_yield();
    trp_err sent = trp_send(ctx->actor, "append", TRP_ARGS(7), NULL);
    trp_err called = trp_call(ctx->actor, "append", TRP_ARGS(8), &ref, NULL);
    trp_ref_release(&ref);
    return trp_fail(ctx, 1000 * (int)sent + (int)called, "cleaned up");
}

static trp_err
log_delegate(trp_ctx *ctx, void *self)
{
    (void)self;
    trp_ref *ref = NULL;
    TRP_TRY(trp_task(ctx->runtime, "conformance:add", TRP_ARGS(1, 2), &ref, ctx->error));
    trp_err err = trp_delegate(ctx, ref);
    trp_ref_release(&ref);
    return err;
}

/* Writes to its argument, which is everybody's. */
static trp_err
log_scribble(trp_ctx *ctx, void *self)
{
    (void)self;
    *(volatile uint8_t *)(uintptr_t)ctx->args[0].as.bytes ^= 1;
    return trp_return(ctx, trp_null());
}

static const trp_method log_methods[] = {
    {.name = "append", .fn = log_append, .args = "item:i"},
    {.name = "read", .fn = log_read},
    {.name = "keep", .fn = log_keep, .args = "refs:[r]"},
    {.name = "kept", .fn = log_kept},
    {.name = "value", .fn = log_value},
    {.name = "hold", .fn = log_hold},
    {.name = "let_go", .fn = log_let_go, .args = "x:v=null"},
    {.name = "forsaken", .fn = log_forsaken, .about = "whether nobody waits any more for what is held"},
    {.name = "getpid", .fn = log_getpid},
    {.name = "crash", .fn = log_crash},
    {.name = "scribble", .fn = log_scribble, .args = "bytes:b"},
    {.name = "return_twice", .fn = log_return_twice},
    {.name = "wait_for_self", .fn = log_wait_for_self},
    {.name = "beget", .fn = log_beget},
    {.name = "delegate", .fn = log_delegate},
    {.name = "linger", .fn = log_linger, .args = "how:i"},
    {.name = "last", .fn = log_last, .args = "directory:s, how:i"},
    {.name = "hand_on", .fn = log_hand_on, .args = "directory:s"},
    {.name = "clean_up", .fn = log_clean_up, .args = "directory:s"},
    {0},
};

static trp_err
picky_init(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_fail(ctx, 77, "not today: %s", ctx->args[0].as.str);
}

static const trp_class classes[] = {
    {.name = "Log", .about = "remembers", .self_size = sizeof(struct log), .fini = log_fini, .methods = log_methods},
    {.name = "Picky", .init = picky_init, .init_args = "why:s=\"because\"", .methods = log_methods},
    {0},
};

TRP_MODULE(conformance, .classes = classes, .tasks = tasks, .version = "1", .about = "for the conformance tables");
