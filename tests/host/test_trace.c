/* test_trace.c - what a process writes of calls that are traced, and marks that are none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/trace.h"
#include "tests/common/scratch.h"

static char directory[SCRATCH_SIZE];
static struct tri_trace *trace;

static void
begin(void)
{
    scratch_make(directory, "trace");
    cr_assert_eq(chdir(directory), 0);
    trace = tri_trace_new();
    cr_assert_not_null(trace);
}

static void
end(void)
{
    tri_trace_end(&trace);
    scratch_remove(directory);
}

TestSuite(trace, .init = begin, .fini = end);

/* What this process has written. */
static const char *
written(void)
{
    static char text[4096];
    char path[32];
    FILE *file;

    (void)snprintf(path, sizeof path, "%d.trace", (int)getpid());
    file = fopen(path, "r");
    text[file == NULL ? 0 : fread(text, 1, sizeof text - 1, file)] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return text;
}

static void
run_one(const char *actor, const char *method)
{
    struct tri_trace_mark mark;
    struct tri_trace_run run;

    cr_assert_eq(tri_trace_started(trace, tri_trace_submitted(directory, &mark), actor, method, &run, NULL), TRP_OK);
    tri_trace_finished(&run, TRI_RAN_FAILURE);
}

Test(trace, a_call_is_a_line_when_it_starts_and_one_when_it_has_ended)
{
    unsigned long long number, pid, tid, started, submitted, caller, thread, finished;
    char names[64], how[16];

    run_one("Ada\t\n", "count");
    cr_assert_eq(sscanf(written(), "S\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%63[^\n]\nF\t1\t%llu\t%15s", &number,
                        &pid, &tid, &started, &submitted, &caller, &thread, names, &finished, how),
                 10, "%s", written());
    cr_expect(number == 1 && pid == (unsigned)getpid() && caller == pid && tid == thread);
    cr_expect(submitted <= started && started <= finished);
    cr_expect_str_eq(names, "Ada??\tcount");
    cr_expect_str_eq(how, "failure");
}

Test(trace, what_is_no_mark_is_refused_with_a_sentence)
{
    static const struct {
        const char *name;
        size_t size;
        const char *directory;
    } rows[] = {
        {"nothing", 0, ""},
        {"no directory", 16, ""},
        {"an empty one", 17, "\0"},
        {"no absolute one", 19, "x\0"},
        {"without its end", 18, "/x"},
        {"with more behind its end", 20, "/\0x"},
    };
    struct tri_trace_run run;
    trp_error error;
    uint8_t bytes[512];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct tri_section section = {.place = TRI_PLACE_TRACE, .size = rows[i].size, .data = bytes};
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes + 16, rows[i].directory, rows[i].size > 16 ? rows[i].size - 16 : 0);
        error.message[0] = '\0';
        cr_expect_eq(tri_trace_started(trace, &section, "", "", &run, &error), TRP_EPROTO, "%s", rows[i].name);
        cr_expect(error.message[0] != '\0', "%s", rows[i].name);
    }
    memset(bytes, '/', sizeof bytes);
    bytes[16 + TRI_TRACE_DIRECTORY_MAX + 1] = '\0';
    const struct tri_section longer = {.size = 16 + TRI_TRACE_DIRECTORY_MAX + 2, .data = bytes};
    cr_expect_eq(tri_trace_started(trace, &longer, "", "", &run, NULL), TRP_EPROTO);
    cr_expect_str_eq(written(), "");
}

Test(trace, a_directory_that_is_gone_is_passed_over)
{
    struct tri_trace_mark mark;
    struct tri_trace_run run;

    cr_assert_eq(tri_trace_started(trace, tri_trace_submitted("/nowhere", &mark), "", "", &run, NULL), TRP_OK);
    tri_trace_finished(&run, TRI_RAN_VALUE);
    run_one("a", "b");
    cr_expect_neq(strlen(written()), 0);
}

Test(trace, what_cannot_be_written_is_told_by_the_directory)
{
    struct stat status;
    char path[64];

    (void)snprintf(path, sizeof path, "%d.trace", (int)getpid());
    cr_assert_eq(symlink("/dev/full", path), 0);
    run_one("a", "b"); /* no file of ours */
    cr_assert_eq(stat(directory, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0710);
    cr_assert_eq(chmod(directory, 0700), 0);
    cr_assert_eq(unlink(path), 0);
    run_one("a", "b");
    cr_assert_eq(stat(directory, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0700);
}

Test(trace, a_driver_says_when_it_has_come_and_gone_and_what_cannot_be_is_refused)
{
    struct tri_trace *driver = NULL;
    trp_error error;

    (void)setenv("TROUPE_TRACE", directory, 1);
    cr_assert_eq(tri_trace_begin("program", &driver, &error), TRP_OK);
    cr_assert_not_null(driver);
    cr_expect_str_eq(tri_trace_directory(driver), directory);
    tri_trace_end(&driver);
    cr_expect_null(driver);
    cr_expect(written()[0] == 'D' && strstr(written(), "\tprogram\nE\t") != NULL, "%s", written());
    (void)setenv("TROUPE_TRACE", "/nowhere", 1);
    cr_assert_eq(tri_trace_begin("program", &driver, &error), TRP_OK);
    cr_expect_null(driver);
    (void)setenv("TROUPE_TRACE", "here", 1);
    cr_expect_eq(tri_trace_begin("program", &driver, &error), TRP_EINVAL);
    cr_expect_not_null(strstr(error.message, "absolute path"));
    (void)unsetenv("TROUPE_TRACE");
    cr_assert_eq(tri_trace_begin("program", &driver, &error), TRP_OK);
    cr_expect_null(driver);
    cr_expect_null(tri_trace_directory(driver));
}
