/*
 * hops_driver.c - README's driver with a pause: when its actor lives and has answered once, it says "ready", waits for a
 * line, and makes the one call that is traced.
 */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

static trp_err
increment(trp_actor *counter, int64_t by, int64_t *total, trp_error *error)
{
    trp_ref *ref = NULL;
    trp_value value;
    trp_err err = trp_call(counter, "increment", TRP_ARGS(by), &ref, error);
    if (err == TRP_OK)
        err = trp_get(ref, 60000, &value, error);
    if (err == TRP_OK)
        *total = trp_as_i64(value);
    trp_ref_release(&ref);
    return err;
}

int
main(void)
{
    trp_runtime *rt = NULL;
    trp_actor *counter = NULL;
    trp_error error;
    int64_t total = 0;
    trp_err err = trp_init(NULL, &rt, &error);

    if (err == TRP_OK)
        err = trp_spawn(rt, "counter:Counter", TRP_NOARGS, NULL, &counter, &error);
    if (err == TRP_OK)
        err = increment(counter, 3, &total, &error);
    if (err == TRP_OK) {
        printf("ready\n");
        fflush(stdout);
        (void)getchar();
        err = increment(counter, 4, &total, &error);
    }
    if (err == TRP_OK)
        printf("%" PRId64 "\n", total);
    else
        fprintf(stderr, "%s\n", error.message);
    trp_actor_release(&counter);
    trp_shutdown(&rt);
    return err == TRP_OK ? 0 : 1;
}
