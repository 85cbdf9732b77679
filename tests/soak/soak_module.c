/* soak_module.c - module "soak": an actor that writes down every call that it runs, in the order in which it runs them. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <troupe/module.h>

#include "tests/soak/soak.h"

struct recorder {
    int fd;
    int64_t work_us;
};

static trp_err
recorder_init(trp_ctx *ctx, void *self)
{
    struct recorder *recorder = self;
    recorder->work_us = ctx->args[1].as.i64;
    recorder->fd = open(ctx->args[0].as.str, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return recorder->fd >= 0 ? TRP_OK : trp_fail(ctx, TRP_EACCES, "cannot write %s", ctx->args[0].as.str);
}

static void
recorder_fini(void *self)
{
    struct recorder *recorder = self;
    if (recorder->fd > 0)
        close(recorder->fd);
}

/* The work is a wait of work_us, so that calls pile up in front of it as they would before a disk or a device. */
static trp_err
recorder_take(trp_ctx *ctx, void *self)
{
    struct recorder *recorder = self;
    struct soak_run run = {(uint32_t)ctx->args[0].as.i64, (uint32_t)ctx->args[1].as.i64};
    if (write(recorder->fd, &run, sizeof run) != sizeof run)
        return trp_fail(ctx, TRP_EDISKFULL, "cannot write the record of call %u", run.number);
    struct timespec work = {0, recorder->work_us * 1000};
    nanosleep(&work, NULL);
    return trp_return(ctx, ctx->args[1]);
}

static const trp_method recorder_methods[] = {
    {.name = "take", .fn = recorder_take, .args = "driver:i, number:i"},
    {0},
};

static const trp_class classes[] = {
    {.name = "Recorder",
     .self_size = sizeof(struct recorder),
     .init = recorder_init,
     .init_args = "path:s, work_us:i",
     .fini = recorder_fini,
     .methods = recorder_methods},
    {0},
};

TRP_MODULE(soak, .classes = classes);
