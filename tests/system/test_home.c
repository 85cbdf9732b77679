/*
 * test_home.c - a node whose directory somebody removes, or gives to another node: it says so, ends, and leaves
 * nothing, least of all somebody else's files touched.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/system/support.h"

static trp_error error;

/* On stdout and stderr in one, so that its log is heard. */
static void
service_start(struct system_process *service)
{
    const char *argv[] = {"/bin/sh", "-c", "exec \"$TROUPE_NODE\" --service --dir \"$0\" 2>&1",
                          system_service_directory(), NULL};
    system_start(service, argv);
    system_expect_line(service, "READY");
}

static void
shell(const char *format, const char *path)
{
    char command[256];
    snprintf(command, sizeof command, format, path);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void
expect_ended(struct system_process *service)
{
    char line[1024] = "";
    while (strstr(line, "was removed") == NULL)
        cr_assert(system_line(service, line, sizeof line), "it does not say why it ends");
    const int status = system_wait(service);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %x", (unsigned)status);
}

/* A call that nobody will answer ends. */
static void
expect_no_answer(trp_actor *actor)
{
    trp_ref *ref = NULL;
    trp_value value;
    trp_err err = trp_call(actor, "hang", TRP_NOARGS, &ref, &error);
    if (err == TRP_OK)
        err = trp_get(ref, SYSTEM_WAIT_MS, &value, &error);
    cr_expect(err == TRP_EBROKER || err == TRP_EACTORDIED, "%d %s", (int)err, error.message);
    trp_ref_release(&ref);
}

SYSTEM_TEST(system_home, a_service_whose_directory_is_removed_ends)
{
    struct system_process service;
    service_start(&service);
    trp_runtime *runtime = system_join();
    trp_actor *actor = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(actor, "add", TRP_NOARGS), 1);
    shell("rm -rf '%s'", system_service_directory());
    expect_ended(&service);
    expect_no_answer(actor);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_home, a_service_whose_lock_is_removed_ends_and_removes_the_rest)
{
    struct system_process service;
    service_start(&service);
    shell("rm '%s/lock'", system_service_directory());
    expect_ended(&service);
}

SYSTEM_TEST(system_home, a_node_that_takes_the_place_of_one_that_was_removed_keeps_what_is_its_own)
{
    struct system_process old, young;
    service_start(&old);
    shell("rm -rf '%s'", system_service_directory());
    system_service_start(&young, NULL);
    expect_ended(&old);
    trp_runtime *runtime = system_join();
    trp_actor *actor = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(actor, "add", TRP_NOARGS), 1);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
    system_service_stop(&young);
}

SYSTEM_TEST(system_home, a_private_node_whose_directory_is_removed_is_gone_for_its_driver)
{
    char pattern[128];
    glob_t found;
    trp_runtime *runtime = system_private();
    trp_actor *actor = system_spawn(runtime, NULL);
    cr_expect_eq(system_call_i64(actor, "add", TRP_NOARGS), 1);
    snprintf(pattern, sizeof pattern, "%s/troupe-private-*", system_directory());
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    cr_assert_eq(found.gl_pathc, 1);
    shell("rm -rf '%s'", found.gl_pathv[0]);
    globfree(&found);
    expect_no_answer(actor);
    system_expect_no_processes();
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}
