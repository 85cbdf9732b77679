/*
 * test_prints.c - what methods print reaches the terminal of the driver whose they are, with actor and process before it, and
 * the node's log where there is no driver; not more than a terminal can take.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/support.h"

static trp_error error;
static char captured[1 << 20];
static char path[128];

/* From here on stderr of this process goes to a file. */
static int
capture(void)
{
    snprintf(path, sizeof path, "%s/stderr", system_directory());
    int kept = dup(STDERR_FILENO);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    cr_assert(kept >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
    return kept;
}

static bool
has_come(void *text)
{
    int fd = open(path, O_RDONLY);
    ssize_t size = fd >= 0 ? read(fd, captured, sizeof captured - 1) : -1;
    if (fd >= 0)
        close(fd);
    captured[size > 0 ? size : 0] = '\0';
    return strstr(captured, text) != NULL;
}

static bool
await_text(char *text)
{
    return system_await(has_come, text);
}

static void
release_capture(int kept)
{
    dup2(kept, STDERR_FILENO);
    close(kept);
    unlink(path);
}

static void
print(trp_actor *actor, const char *text, int64_t lines, const char *stream)
{
    trp_ref *ref = system_call(actor, "print", TRP_ARGS(text, lines, stream));
    cr_assert_eq(trp_get(ref, SYSTEM_WAIT_MS, NULL, &error), TRP_OK, "%s", error.message);
    trp_ref_release(&ref);
}

static size_t
count(const char *text)
{
    size_t found = 0;
    for (const char *at = captured; (at = strstr(at, text)) != NULL; at++)
        found++;
    return found;
}

static void
print_all(trp_runtime *runtime)
{
    const trp_actor_options named = {.name = "Ada"};
    trp_actor *ada = NULL, *nobody = NULL;
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, &named, &ada, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, &nobody, &error), TRP_OK);
    char prefix[64];
    int kept = capture();
    print(ada, "good morning", 1, "stdout");
    print(nobody, "who is there", 1, "stderr");
    snprintf(prefix, sizeof prefix, "(Ada pid=");
    bool morning = await_text((char *)(uintptr_t) ") good morning\n"),
         there = await_text((char *)(uintptr_t) ") who is there\n");
    bool has_prefix = strstr(captured, prefix) != NULL, has_class = strstr(captured, "(trouble:Trouble pid=") != NULL;
    print(ada, "line", 5000, "stdout");
    bool left_out = await_text((char *)(uintptr_t) "lines left out");
    size_t lines = count(") line\n");
    release_capture(kept);
    cr_expect(morning && there, "%.2000s", captured);
    cr_expect(has_prefix && has_class, "%.500s", captured);
    cr_expect(left_out, "%.500s", captured);
    cr_expect(lines >= 1000 && lines < 4500, "%zu lines came", lines);
    trp_actor_release(&ada);
    trp_actor_release(&nobody);
}

/* On the terminal, and in the death record, which is a value. */
SYSTEM_TEST(system_prints, what_is_printed_may_be_any_bytes_and_arrives_as_text)
{
    static const char bytes[] = "gr\xfcn and gr\xc3\xbcn\n";
    trp_runtime *runtime = system_private();
    trp_actor *actor = NULL;
    trp_ref *death = NULL;
    trp_value record;
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, NULL, &actor, &error), TRP_OK, "%s", error.message);
    int kept = capture();
    trp_ref *printed = system_call(actor, "print_bytes", TRP_ARGS(trp_bytes(bytes, sizeof bytes - 1)));
    bool came = await_text((char *)(uintptr_t) ") gr?n and gr\xc3\xbcn\n");
    release_capture(kept);
    cr_expect(came, "%.500s", captured);
    trp_ref *crash = system_call(actor, "crash", TRP_ARGS("kill"));
    cr_assert_eq(trp_watch(actor, TRP_WATCH_DEATH, &death, &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_get(death, SYSTEM_WAIT_MS, &record, &error), TRP_OK, "%s", error.message);
    const char *output = trp_as_str(trp_field(record, "last_output"));
    cr_expect_not_null(strstr(output, "gr?n and gr\xc3\xbcn"), "%s", output);
    trp_ref_release(&printed);
    trp_ref_release(&crash);
    trp_ref_release(&death);
    trp_actor_release(&actor);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_prints, what_is_printed_in_a_private_node_reaches_its_driver)
{
    trp_runtime *runtime = system_private();
    print_all(runtime);
    trp_shutdown(&runtime);
}

SYSTEM_TEST(system_prints, what_is_printed_in_a_service_reaches_the_driver_whose_it_is)
{
    struct system_process service;
    system_service_start(&service, NULL);
    trp_runtime *runtime = system_join();
    print_all(runtime);
    trp_shutdown(&runtime);
    system_service_stop(&service);
}

/* A detached actor whose driver has gone. */
SYSTEM_TEST(system_prints, what_nobody_hears_is_in_the_nodes_log)
{
    struct system_process service;
    char log[128];
    const trp_actor_options options = {.name = "Ada", .detached = true};
    trp_actor *ada = NULL;
    snprintf(log, sizeof log, "%s/log", system_directory());
    const char *more[] = {"--log-file", log, NULL};
    system_service_start(&service, more);
    trp_runtime *runtime = system_join();
    cr_assert_eq(trp_spawn(runtime, "trouble:Trouble", TRP_NOARGS, &options, &ada, &error), TRP_OK, "%s",
                 error.message);
    print(ada, "still here", 1, "stdout");
    cr_assert_eq(trp_send(ada, "slow", TRP_ARGS(300), &error), TRP_OK, "%s", error.message);
    cr_assert_eq(trp_send(ada, "print", TRP_ARGS("alone now"), &error), TRP_OK, "%s", error.message);
    trp_actor_release(&ada);
    trp_shutdown(&runtime);
    snprintf(path, sizeof path, "%s", log);
    cr_expect(await_text((char *)(uintptr_t) ") alone now"), "%.2000s", captured);
    cr_expect_not_null(strstr(captured, "(Ada pid="));
    system_service_stop(&service);
    unlink(log);
}
