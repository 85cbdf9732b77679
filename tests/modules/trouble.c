/*
 * trouble.c - module "trouble": whatever user code can do wrong, on request, and what it may rightly do in odd ways. For
 * system tests and for trying out how a node copes.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <troupe/module.h>

/* --------------------------------------------------------------------------------------------------------- what goes wrong */

static int
overflow_stack(volatile char *above)
{
    volatile char here[4096];
    here[0] = above != NULL ? above[0] : 1;
    if (here[0] == 0) /* never */
        return 0;
    return overflow_stack(here) + here[0];
}

static void
crash(const char *how)
{
    static const struct {
        const char *how;
        int signal_number;
    } rows[] = {
        {"segv", SIGSEGV},  {"bus", SIGBUS},   {"fpe", SIGFPE},   {"ill", SIGILL},
        {"abort", SIGABRT}, {"kill", SIGKILL}, {"term", SIGTERM},
    };
    if (strcmp(how, "null") == 0) {
        volatile int *nothing = NULL;
        *nothing = 1;
    }
    if (strcmp(how, "stack") == 0)
        overflow_stack(NULL);
    if (strcmp(how, "exit") == 0)
        exit(7);
    if (strcmp(how, "thread") == 0)
        pthread_exit(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(how, rows[i].how) == 0)
            raise(rows[i].signal_number);
}

static trp_err
method_crash(trp_ctx *ctx, void *self)
{
    (void)self;
    crash(ctx->args[0].as.str);
    return trp_fail(ctx, TRP_EINVAL, "there is no crash '%s'", ctx->args[0].as.str);
}

static trp_err
task_crash(trp_ctx *ctx)
{
    return method_crash(ctx, NULL);
}

/* Never comes back. */
static trp_err
method_hang(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    while (pause() != 0)
        continue;
    return TRP_OK;
}

static trp_err
task_hang(trp_ctx *ctx)
{
    return method_hang(ctx, NULL);
}

static void
sleep_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* Takes its time, unless it is cancelled. */
static trp_err
method_slow(trp_ctx *ctx, void *self)
{
    (void)self;
    for (int64_t left_ms = ctx->args[0].as.i64; left_ms > 0; left_ms -= 5) {
        if (trp_cancelled(ctx))
            return TRP_ECANCELLED;
        sleep_ms(left_ms < 5 ? left_ms : 5);
    }
    return trp_return(ctx, ctx->args[0]);
}

static trp_err
task_slow(trp_ctx *ctx)
{
    return method_slow(ctx, NULL);
}

static trp_err
method_fail(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_fail(ctx, (int32_t)ctx->args[0].as.i64, "%s", ctx->args[1].as.str);
}

static trp_err
task_fail(trp_ctx *ctx)
{
    return method_fail(ctx, NULL);
}

/* A code without words. */
static trp_err
method_bare_code(trp_ctx *ctx, void *self)
{
    (void)self;
    return (trp_err)ctx->args[0].as.i64;
}

static trp_err
method_return_twice(trp_ctx *ctx, void *self)
{
    (void)self;
    TRP_TRY(trp_return(ctx, trp_i64(1)));
    trp_err second = trp_return(ctx, trp_i64(2));
    return second == TRP_EALREADY ? TRP_OK : trp_fail(ctx, TRP_EINVAL, "a second return gave %d", (int)second);
}

/* A reply that nobody will give. */
static trp_err
method_never(trp_ctx *ctx, void *self)
{
    static trp_reply *lost[1024];
    static size_t count;
    (void)self;
    return trp_defer(ctx, &lost[count++ % 1024]);
}

/* A value that is none. */
static trp_err
method_return_none(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_at(trp_list(NULL, 0), 0));
}

/* The child's calls are refused; what they were refused with. */
static trp_err
method_fork(trp_ctx *ctx, void *self)
{
    int status = 0;
    (void)self;
    pid_t pid = fork();
    if (pid < 0)
        return trp_fail(ctx, TRP_ELIMIT, "fork: %s", strerror(errno));
    if (pid == 0) {
        trp_ref *ref = NULL;
        trp_err err = trp_put(ctx->runtime, trp_i64(1), &ref, NULL);
        _exit((int)err);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return trp_fail(ctx, TRP_EINVAL, "the child ended with status %x", (unsigned)status);
    return trp_return(ctx, trp_i64(WEXITSTATUS(status)));
}

/* The child comes back as if it were the host. */
static trp_err
method_fork_back(trp_ctx *ctx, void *self)
{
    (void)self;
    pid_t pid = fork();
    if (pid < 0)
        return trp_fail(ctx, TRP_ELIMIT, "fork: %s", strerror(errno));
    if (pid == 0)
        return trp_return(ctx, trp_i64(0)) == TRP_EFORKED ? TRP_OK : (abort(), TRP_OK);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return trp_fail(ctx, TRP_EINVAL, "the child ended with status %x", (unsigned)status);
    return trp_return(ctx, trp_i64(WEXITSTATUS(status)));
}

/* ------------------------------------------------------------------------------------------------------------ output, others */

static trp_err
method_print(trp_ctx *ctx, void *self)
{
    (void)self;
    FILE *file = strcmp(ctx->args[2].as.str, "stderr") == 0 ? stderr : stdout;
    for (int64_t i = 0; i < ctx->args[1].as.i64; i++)
        fprintf(file, "%s\n", ctx->args[0].as.str);
    return TRP_OK;
}

/* Without the end of a line, as a progress bar has it. */
static trp_err
method_print_part(trp_ctx *ctx, void *self)
{
    (void)self;
    printf("%s", ctx->args[0].as.str);
    return TRP_OK;
}

/* Of any bytes: what a program prints need not be text. */
static trp_err
method_print_bytes(trp_ctx *ctx, void *self)
{
    (void)self;
    fwrite(ctx->args[0].as.bytes, 1, ctx->args[0].size, stdout);
    return TRP_OK;
}

/* Calls another actor's method with further arguments and waits; its error is passed on. */
static trp_err
method_call_other(trp_ctx *ctx, void *self)
{
    trp_ref *ref = NULL;
    trp_value value, items = ctx->args[2];
    (void)self;
    trp_value *args = trp_alloc(ctx, items.size * sizeof *args);
    for (size_t i = 0; args != NULL && i < items.size; i++)
        args[i] = trp_at(items, i);
    TRP_TRY(trp_call(ctx->args[0].as.actor, ctx->args[1].as.str, trp_args(args, items.size), &ref, ctx->error));
    trp_err err = trp_get(ref, TRP_FOREVER, &value, ctx->error);
    if (err == TRP_OK)
        err = trp_return(ctx, value);
    trp_ref_release(&ref);
    return err;
}

/* Waits for all references of a list; how many values there were. */
static trp_err
method_wait_for(trp_ctx *ctx, void *self)
{
    trp_value refs = ctx->args[0];
    (void)self;
    for (size_t i = 0; i < refs.size; i++)
        TRP_TRY(trp_get(trp_at(refs, i).as.ref, TRP_FOREVER, NULL, ctx->error));
    return trp_return(ctx, trp_i64((int64_t)refs.size));
}

static trp_err
task_wait_for(trp_ctx *ctx)
{
    return method_wait_for(ctx, NULL);
}

/* Everything that it was given, as it arrived. */
static trp_err
method_wide(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_list(ctx->args, 8));
}

static trp_err
method_getenv(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_str(getenv(ctx->args[0].as.str)));
}

static trp_err
method_self(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_actor_value(ctx->actor));
}

static trp_err
method_allocate(trp_ctx *ctx, void *self)
{
    size_t size = (size_t)ctx->args[0].as.i64;
    (void)self;
    char *memory = malloc(size);
    if (memory == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    memset(memory, 1, size);
    free(memory);
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------------------- the tables */

static const trp_method trouble_methods[] = {
    {.name = "crash", .fn = method_crash, .args = "how:s=\"segv\""},
    {.name = "hang", .fn = method_hang},
    {.name = "slow", .fn = method_slow, .args = "ms:i"},
    {.name = "fail", .fn = method_fail, .args = "cause:i, text:s"},
    {.name = "bare_code", .fn = method_bare_code, .args = "code:i"},
    {.name = "return_twice", .fn = method_return_twice},
    {.name = "never", .fn = method_never},
    {.name = "return_none", .fn = method_return_none},
    {.name = "fork", .fn = method_fork},
    {.name = "fork_back", .fn = method_fork_back},
    {.name = "print", .fn = method_print, .args = "text:s, lines:i=1, stream:s=\"stdout\""},
    {.name = "print_bytes", .fn = method_print_bytes, .args = "bytes:b"},
    {.name = "print_part", .fn = method_print_part, .args = "text:s"},
    {.name = "call_other", .fn = method_call_other, .args = "other:a, method:s, ..."},
    {.name = "wait_for", .fn = method_wait_for, .args = "refs:[r]"},
    {.name = "wide", .fn = method_wide, .args = "a:i, b:d, c:s, d:b, e:[i], f:{sv}, g:?=0, h:v=null"},
    {.name = "getenv", .fn = method_getenv, .args = "name:s"},
    {.name = "self", .fn = method_self},
    {.name = "allocate", .fn = method_allocate, .args = "size:i"},
    {0},
};

/* Calls a method of the actor that this constructs, which cannot begin before. */
static trp_err
wait_for_self(trp_ctx *ctx)
{
    trp_ref *ref = NULL;
    TRP_TRY(trp_call(ctx->actor, "self", TRP_NOARGS, &ref, ctx->error));
    trp_err err = trp_get(ref, TRP_FOREVER, NULL, ctx->error);
    trp_ref_release(&ref);
    return err;
}

/* Its constructor does what a method does: crashes, hangs, fails. */
static trp_err
stillborn_init(trp_ctx *ctx, void *self)
{
    const char *how = ctx->args[0].as.str;
    if (strcmp(how, "self") == 0)
        return wait_for_self(ctx);
    if (strcmp(how, "hang") == 0)
        return method_hang(ctx, self);
    if (strcmp(how, "fail") == 0)
        return trp_fail(ctx, 5, "not born");
    crash(how);
    return TRP_OK;
}

static const trp_class trouble_classes[] = {
    {.name = "Trouble", .about = "does what it is told, however bad", .methods = trouble_methods},
    {.name = "Stillborn", .init = stillborn_init, .init_args = "how:s", .methods = trouble_methods},
    {.name = "Pair", .about = "the same, two at a time", .methods = trouble_methods, .max_concurrency = 2},
    {0},
};

static const trp_function trouble_tasks[] = {
    {.name = "crash", .fn = task_crash, .args = "how:s=\"segv\""},
    {.name = "hang", .fn = task_hang},
    {.name = "slow", .fn = task_slow, .args = "ms:i"},
    {.name = "fail", .fn = task_fail, .args = "cause:i, text:s"},
    {.name = "wait_for", .fn = task_wait_for, .args = "refs:[r]"},
    {0},
};

TRP_MODULE(trouble, .classes = trouble_classes, .tasks = trouble_tasks, .version = "1");
