/*
 * driver.c - a driver in a process of its own, for tests that kill it: joins the node in the directory that it is given, or
 * starts a private one ("-"), spawns a counter, says "READY" and its number, and waits until it is killed. With
 * SYSTEM_DRIVER_CALLS=hang it has called a method that never returns before; with =keep it has the node keep "left", an object; with =leave it has
 * the node keep the result of a task, says "KEPT" and its id, and is gone;
 * with =work it makes some calls and says "DONE"; with =flood it makes many, stops itself, and when it goes on takes each of their results.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <troupe/troupe.h>

static trp_error error;

static trp_err
call(trp_actor *actor, const char *method, trp_value *value)
{
    trp_ref *ref = NULL;
    TRP_TRY(trp_call(actor, method, TRP_NOARGS, &ref, &error));
    return trp_get(ref, 20000, value, &error); /* the reference is kept: so is the value */
}

static trp_err
work(trp_actor *actor)
{
    trp_value value;
    for (int i = 0; i < 2000; i++)
        TRP_TRY(call(actor, "add", &value));
    return TRP_OK;
}

static trp_err
flood(trp_actor *actor)
{
    enum { CALLS = 20000, BYTES = 20000 };
    static trp_ref *refs[CALLS];
    for (int64_t i = 0; i < CALLS; i++)
        TRP_TRY(trp_call(actor, "fill", TRP_ARGS(BYTES, i), &refs[i], &error));
    (void)raise(SIGSTOP);
    for (int64_t i = 0; i < CALLS; i++) {
        trp_value value;
        int64_t number;
        TRP_TRY(trp_get(refs[i], 20000, &value, &error));
        memcpy(&number, value.as.bytes, sizeof number);
        if (number != i || value.size != BYTES) {
            printf("a result is another's\n");
            return TRP_EINVAL;
        }
        trp_ref_release(&refs[i]);
    }
    return TRP_OK;
}

/* A task whose result the node keeps, and nothing after that. */
static int
call_and_leave(trp_runtime *runtime)
{
    trp_ref *ref = NULL;
    if (trp_task(runtime, "system_module:double", TRP_ARGS(21), &ref, &error) != TRP_OK ||
        trp_keep(ref, NULL, TRP_FOREVER, &error) != TRP_OK) {
        printf("FAILED %s\n", error.message);
        return 1;
    }
    printf("KEPT %s\n", trp_ref_id(ref));
    fflush(stdout);
    _exit(0);
}

int
main(int argc, char **argv)
{
    trp_runtime *runtime = NULL;
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    trp_value value;
    const char *calls = getenv("SYSTEM_DRIVER_CALLS");
    const trp_config config = {.address = argc > 1 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL,
                               .node = {.num_cpus = 2}};
    trp_err err = trp_init(&config, &runtime, &error);
    if (err == TRP_OK && calls != NULL && strcmp(calls, "leave") == 0)
        return call_and_leave(runtime);
    if (err == TRP_OK)
        err = trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, NULL, &actor, &error);
    if (err == TRP_OK)
        err = call(actor, "pid", &value);
    if (err == TRP_OK && calls != NULL && strcmp(calls, "hang") == 0) {
        err = trp_call(actor, "hang", TRP_NOARGS, &ref, &error);
        if (err == TRP_OK && trp_get(ref, 100, NULL, &error) != TRP_ETIMEDOUT) /* it has left us */
            err = TRP_EINVAL;
    }
    if (err == TRP_OK && calls != NULL && strcmp(calls, "keep") == 0) {
        err = trp_put(runtime, trp_str("of a driver"), &ref, &error);
        if (err == TRP_OK)
            err = trp_keep(ref, "left", TRP_FOREVER, &error);
    }
    if (err == TRP_OK)
        printf("READY %lld\n", (long long)trp_as_i64(value));
    fflush(stdout);
    const bool works = calls != NULL && strcmp(calls, "work") == 0,
               floods = calls != NULL && strcmp(calls, "flood") == 0;
    if (err == TRP_OK && (works || floods)) {
        err = works ? work(actor) : flood(actor);
        if (err == TRP_OK)
            printf("DONE\n");
    }
    if (err != TRP_OK) {
        printf("FAILED %s\n", error.message);
        return 1;
    }
    fflush(stdout);
    for (;;)
        pause();
}
