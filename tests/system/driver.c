/*
 * driver.c - a driver in a process of its own, for tests that kill it: joins the node in the directory that it is given, or
 * starts a private one ("-"), spawns a counter, says "READY" and its number, and waits until its stdin ends or it is killed.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <troupe/troupe.h>

int
main(int argc, char **argv)
{
    trp_runtime *runtime = NULL;
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    trp_value value;
    trp_error error;
    const trp_config config = {.address = argc > 1 && strcmp(argv[1], "-") != 0 ? argv[1] : NULL,
                               .node = {.num_cpus = 2}};
    if (trp_init(&config, &runtime, &error) != TRP_OK ||
        trp_spawn(runtime, "system_module:Counter", TRP_NOARGS, NULL, &actor, &error) != TRP_OK ||
        trp_call(actor, "pid", TRP_NOARGS, &ref, &error) != TRP_OK || trp_get(ref, 20000, &value, &error) != TRP_OK) {
        printf("FAILED %s\n", error.message);
        return 1;
    }
    printf("READY %lld\n", (long long)trp_as_i64(value));
    fflush(stdout);
    for (;;)
        pause();
}
