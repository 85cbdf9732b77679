/* system_module.c - module "system_module": actors for the system tests to count, wait, print and die with. */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/module.h>

struct counter {
    int64_t value;
};

static trp_err
counter_add(trp_ctx *ctx, void *self)
{
    struct counter *counter = self;
    counter->value += ctx->args[0].as.i64;
    return trp_return(ctx, trp_i64(counter->value));
}

static trp_err
counter_pid(trp_ctx *ctx, void *self)
{
    (void)self;
    return trp_return(ctx, trp_i64(getpid()));
}

static trp_err
counter_crash(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    printf("about to crash\n");
    abort();
}

static trp_err
counter_hang(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    while (pause() != 0)
        continue; /* a signal that is handled does not end it */
    return TRP_OK;
}

/* Until nobody waits for it any more. */
static trp_err
counter_spin(trp_ctx *ctx, void *self)
{
    (void)self;
    while (!trp_cancelled(ctx))
        (void)sched_yield();
    return TRP_OK;
}

static trp_err
counter_print(trp_ctx *ctx, void *self)
{
    (void)self;
    printf("%s\n", ctx->args[0].as.str);
    return TRP_OK;
}

/* A child that nobody waits for; its number. */
static trp_err
counter_leave_child(trp_ctx *ctx, void *self)
{
    (void)self;
    pid_t pid = fork();
    if (pid < 0)
        return trp_fail(ctx, TRP_ELIMIT, "no child");
    if (pid == 0)
        for (;;)
            pause();
    return trp_return(ctx, trp_i64(pid));
}

static trp_err
counter_grow(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)ctx->args[0].as.i64;
    (void)self;
    char *block = malloc(size);
    if (block == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    for (size_t i = 0; i < size; i += 4096)
        block[i] = 1;
    for (;;)
        pause();
}

/* So many bytes, which begin with a number. */
static trp_err
counter_fill(trp_ctx *ctx, void *self)
{
    const size_t size = (size_t)ctx->args[0].as.i64;
    (void)self;
    char *block = calloc(1, size);
    if (block == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory for %zu bytes", size);
    memcpy(block, &ctx->args[1].as.i64, sizeof(int64_t));
    trp_err err = trp_return(ctx, trp_bytes(block, size));
    free(block);
    return err;
}

static void *
allocate(void *barrier)
{
    char *volatile block = malloc(1000);
    (void)pthread_barrier_wait(barrier);
    free(block);
    return NULL;
}

/* How many heaps malloc has once eight threads have allocated at the same time. */
static trp_err
counter_heaps(trp_ctx *ctx, void *self)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    char *text = NULL;
    size_t size = 0;
    int64_t count = 0;
    (void)self;
    FILE *file = open_memstream(&text, &size);
    if (file == NULL)
        return trp_fail(ctx, TRP_ENOMEM, "no memory");
    (void)pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, allocate, &barrier) != 0)
            abort();
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&barrier);
    (void)malloc_info(0, file);
    (void)fclose(file);
    for (const char *at = text; (at = strstr(at, "<heap nr=")) != NULL; at++)
        count++;
    free(text);
    return trp_return(ctx, trp_i64(count));
}

/* What is written to a FIFO, which is waited for. */
static trp_err
read_fifo(trp_ctx *ctx)
{
    char text[64] = "";
    FILE *file = fopen(ctx->args[0].as.str, "r");
    if (file == NULL)
        return trp_fail(ctx, TRP_EACCES, "cannot open %s", ctx->args[0].as.str);
    const bool read = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    return read ? trp_return(ctx, trp_str(text)) : trp_fail(ctx, TRP_ESTOP, "nothing was written");
}

static trp_err
counter_read(trp_ctx *ctx, void *self)
{
    (void)self;
    return read_fifo(ctx);
}

static const trp_method counter_methods[] = {
    {.name = "add", .fn = counter_add, .args = "n:i=1"},
    {.name = "pid", .fn = counter_pid},
    {.name = "crash", .fn = counter_crash},
    {.name = "hang", .fn = counter_hang},
    {.name = "heaps", .fn = counter_heaps},
    {.name = "fill", .fn = counter_fill, .args = "size:i, number:i"},
    {.name = "leave_child", .fn = counter_leave_child},
    {.name = "grow", .fn = counter_grow, .args = "size:i"},
    {.name = "read", .fn = counter_read, .args = "path:s"},
    {.name = "print", .fn = counter_print, .args = "text:s"},
    {.name = "spin", .fn = counter_spin},
    {0},
};

static trp_err
task_double(trp_ctx *ctx)
{
    return trp_return(ctx, trp_i64(2 * ctx->args[0].as.i64));
}

/* One byte in a file for each time it runs. */
static trp_err
task_mark(trp_ctx *ctx)
{
    FILE *file = fopen(ctx->args[0].as.str, "a");
    if (file == NULL)
        return trp_fail(ctx, TRP_EACCES, "cannot write %s", ctx->args[0].as.str);
    fputc('.', file);
    fclose(file);
    return trp_return(ctx, trp_null());
}

/* How deep tasks that wait for tasks came: `depth` and no deeper, or up to where one was refused. */
static trp_err
task_nest(trp_ctx *ctx)
{
    const int64_t depth = ctx->args[0].as.i64;
    trp_ref *inner = NULL;
    trp_value value;
    if (depth <= 0)
        return trp_return(ctx, trp_i64(0));
    TRP_TRY(trp_task(ctx->runtime, "system_module:nest", TRP_ARGS(depth - 1), &inner, ctx->error));
    const trp_err err = trp_get(inner, TRP_FOREVER, &value, ctx->error);
    const int64_t below = err == TRP_OK ? trp_as_i64(value) : -1;
    trp_ref_release(&inner);
    if (err == TRP_OK)
        return trp_return(ctx, trp_i64(below + 1));
    if (err != TRP_ELIMIT || ctx->error->ran != TRP_NOT_RUN ||
        strstr(ctx->error->message, "less than a quarter is left, the limit") == NULL)
        return err;
    return trp_return(ctx, trp_i64(0));
}

static const trp_class classes[] = {
    {.name = "Counter", .self_size = sizeof(struct counter), .methods = counter_methods},
    {0},
};
static const trp_function tasks[] = {
    {.name = "double", .fn = task_double, .args = "n:i"},
    {.name = "read", .fn = read_fifo, .args = "path:s"},
    {.name = "mark", .fn = task_mark, .args = "path:s"},
    {.name = "nest", .fn = task_nest, .args = "depth:i"},
    {0},
};

TRP_MODULE(system_module, .classes = classes, .tasks = tasks);
