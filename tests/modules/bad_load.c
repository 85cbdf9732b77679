/* bad_load.c - a module whose code runs when it is loaded, and does what $BAD_LOAD says; and whose actor is never made. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/module.h>

__attribute__((constructor)) static void
on_load(void)
{
    const char *how = getenv("BAD_LOAD");
    if (how == NULL)
        return;
    printf("loading\n");
    fflush(stdout);
    if (strcmp(how, "crash") == 0)
        raise(SIGABRT);
    if (strcmp(how, "segv") == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would exit */
        raise(SIGSEGV);
    }
    if (strcmp(how, "exit") == 0)
        _exit(3);
    if (strcmp(how, "hang") == 0)
        pause();
    if (strcmp(how, "fork") == 0 && fork() == 0)
        pause();
}

static trp_err
task_nothing(trp_ctx *ctx)
{
    (void)ctx;
    return TRP_OK;
}

static trp_err
hangs_init(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    while (pause() != 0)
        continue;
    return TRP_OK;
}

static const trp_class bad_load_classes[] = {{.name = "Hangs", .init = hangs_init}, {0}};
static const trp_function bad_load_tasks[] = {{.name = "nothing", .fn = task_nothing}, {0}};
TRP_MODULE(bad_load, .classes = bad_load_classes, .tasks = bad_load_tasks);
