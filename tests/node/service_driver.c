/* service_driver.c - what service.py has done to a node service: `service_driver DIR`. It makes actors that fail, and says
 * what a module that is nowhere is answered with. */
#include <stdio.h>

#include <troupe/troupe.h>

/* A call to a new actor; its error is printed. */
static void
call(trp_runtime *rt, const char *class_name, trp_value args, const char *method)
{
    trp_actor *actor = NULL;
    trp_ref *ref = NULL;
    trp_error error = {.message = "no error"};
    if (trp_spawn(rt, class_name, args, NULL, &actor, &error) == TRP_OK &&
        trp_call(actor, method, TRP_NOARGS, &ref, &error) == TRP_OK && trp_get(ref, 30000, NULL, &error) == TRP_OK)
        printf("no error: ");
    printf("%s: %s\n", class_name, error.message);
    trp_ref_release(&ref);
    trp_actor_release(&actor);
}

int
main(int argc, char **argv)
{
    trp_runtime *rt = NULL;
    trp_error error;
    const trp_config config = {.address = argc > 1 ? argv[1] : NULL};
    if (trp_init(&config, &rt, &error) != TRP_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    call(rt, "nomodule:Nobody", TRP_NOARGS, "x");
    call(rt, "trouble:Stillborn", TRP_ARGS("fail"), "x");
    call(rt, "trouble:Trouble", TRP_NOARGS, "crash");
    trp_shutdown(&rt);
    return 0;
}
