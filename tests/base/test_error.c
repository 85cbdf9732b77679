/* test_error.c - sentences of errors, lines of the log, copying of text, growing arrays. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/base/base.h"

Test(error, is_written_whole_and_returns_its_code)
{
    trp_error error;

    memset(&error, 0x5a, sizeof error);
    cr_assert_eq(TRI_FAIL(&error, TRP_ELIMIT, "node has %u actors, its limit", 7u), TRP_ELIMIT);
    cr_assert_eq(error.code, TRP_ELIMIT);
    cr_assert_eq(error.ran, TRP_NOT_RUN);
    cr_assert_eq(error.rank, -1);
    cr_assert_eq(error.cause, 0);
    cr_assert_str_eq(error.message, "node has 7 actors, its limit");
    cr_assert(error.actor[0] == '\0' && error.method[0] == '\0' && error.node[0] == '\0');
    cr_assert_eq(error.reserved[5], 0);
}

Test(error, without_a_place_only_returns_its_code)
{
    cr_assert_eq(TRI_FAIL(NULL, TRP_EINVAL, "not %s", "this"), TRP_EINVAL);
    cr_assert_eq(tri_fail_errno(NULL, TRP_EACCES, ENOSPC, "no"), TRP_EACCES);
}

Test(error, may_quote_its_own_message)
{
    trp_error error;

    (void)TRI_FAIL(&error, TRP_EINVAL, "inner");
    (void)TRI_FAIL(&error, TRP_EINVAL, "outer: %s", error.message);
    cr_assert_str_eq(error.message, "outer: inner");
}

Test(error, says_the_systems_reason)
{
    trp_error error;

    cr_assert_eq(tri_fail_errno(&error, TRP_EDISKFULL, ENOSPC, "cannot write %s", "x"), TRP_EDISKFULL);
    cr_assert_str_eq(error.message, "cannot write x: No space left on device");
}

Test(error, of_the_system_has_the_code_and_the_remedy_that_go_with_its_reason)
{
    static const struct {
        int errnum;
        trp_err code;
        const char *message;
    } rows[] = {
        {EACCES, TRP_EACCES, "no x: Permission denied; choose a place that belongs to this user"},
        {EPERM, TRP_EACCES, "no x: Operation not permitted; choose a place that belongs to this user"},
        {EROFS, TRP_EACCES, "no x: Read-only file system; choose a place that can be written"},
        {ENOSPC, TRP_EDISKFULL, "no x: No space left on device; free some room there (df), or remove files (df -i)"},
        {EDQUOT, TRP_EDISKFULL,
         "no x: Disk quota exceeded; free some room there: this user has used up what it may "
         "have (quota)"},
        {EFBIG, TRP_EDISKFULL, "no x: File too large; allow larger files (ulimit -f)"},
        {EMFILE, TRP_ELIMIT, "no x: Too many open files; allow more open files (ulimit -n)"},
        {ENFILE, TRP_ELIMIT,
         "no x: Too many open files in system; the whole machine has too many open files (sysctl "
         "fs.file-max)"},
        {EAGAIN, TRP_ELIMIT,
         "no x: Resource temporarily unavailable; allow more processes and threads (ulimit -u, or "
         "pids.max of the control group)"},
        {ENOMEM, TRP_ENOMEM, "no x: Cannot allocate memory; free some memory, or allow more address space (ulimit -v)"},
        {ENAMETOOLONG, TRP_EINVAL, "no x: File name too long; choose a shorter path"},
        {ENOTDIR, TRP_EBROKER, "no x: Not a directory"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        trp_error error;
        cr_expect_eq(tri_fail_system(&error, TRP_EBROKER, rows[i].errnum, "no %s", "x"), rows[i].code);
        cr_expect_eq(error.code, rows[i].code);
        cr_expect_str_eq(error.message, rows[i].message);
        cr_expect_eq(tri_fail_system(NULL, TRP_EBROKER, rows[i].errnum, "no"), rows[i].code);
    }
}

Test(error, is_one_line)
{
    trp_error error;

    (void)TRI_FAIL(&error, TRP_EINVAL, "two\nlines\tand a bell\a");
    cr_assert_str_eq(error.message, "two lines and a bell ");
}

Test(error, too_long_is_cut_between_characters)
{
    char text[2000];
    trp_error error;

    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe4\xbd\xa0", 4);
        (void)TRI_FAIL(&error, TRP_EINVAL, "%s", text);
        const size_t length = strlen(error.message);
        cr_assert_lt(length, sizeof error.message);
        cr_assert_geq(length, sizeof error.message - 4);
        cr_assert_str_eq(error.message + length - 3, "...");
        cr_assert_eq((length - 3 - shift) % 3, 0, "half a character is left");
    }
}

Test(log, writes_one_line_per_event_at_or_below_its_level)
{
    char line[4096] = "", text[3000];
    int ends[2];
    ssize_t size;

    cr_assert_eq(pipe(ends), 0);
    tri_log_setup("tester", TRI_WARNING, ends[1]);
    tri_log(TRI_INFO, "not this");
    tri_log(TRI_WARNING, "a\nb %d", 5);
    size = read(ends[0], line, sizeof line - 1);
    cr_assert_gt(size, 0);
    line[size] = '\0';
    cr_assert_str_eq(line + 12, " W tester: a b 5\n", "got '%s'", line);
    cr_assert_eq(line[2], ':');
    cr_assert_eq(line[8], '.');
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tri_log(TRI_ERROR, "%s", text);
    size = read(ends[0], line, sizeof line - 1);
    cr_assert_gt(size, 1000);
    cr_assert_eq(line[size - 1], '\n');
    tri_log_setup("tester", TRI_WARNING, STDERR_FILENO);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

Test(text, is_copied_as_far_as_it_fits)
{
    char small[4] = "zzz", one[1] = {'z'};

    cr_assert_str_eq(tri_text_copy(small, sizeof small, "abcdef"), "abc");
    cr_assert_str_eq(tri_text_copy(small, sizeof small, "x"), "x");
    cr_assert_str_eq(tri_text_copy(one, sizeof one, "abc"), "");
    cr_assert_eq(tri_text_copy(small, 0, "abc"), small);
}

Test(array, doubles_and_refuses_what_cannot_be)
{
    uint64_t *items = NULL;
    size_t capacity = 0;

    for (size_t i = 0; i < 10000; i++) {
        cr_assert(TRI_RESERVE(items, capacity, i + 1));
        cr_assert_gt(capacity, i);
        items[i] = i;
    }
    cr_assert_leq(capacity, 16384);
    cr_assert_eq(items[9999], 9999);
    cr_assert_not(TRI_RESERVE(items, capacity, SIZE_MAX));
    cr_assert_not(TRI_RESERVE(items, capacity, SIZE_MAX / 4));
    cr_assert_eq(items[9999], 9999, "a refusal changed the array");
    free(items);
}

Test(log, a_line_that_was_logged_before_is_told_from_others)
{
    static const struct {
        const char *line, *text;
        enum tri_level level;
    } rows[] = {
        {"12:34:56.789 W troupe-worker: a task failed", "a task failed", TRI_WARNING},
        {"12:34:56.789 E troupe-worker: ", "", TRI_ERROR},
        {"12:34:56.789 D troupe: x: y", "x: y", TRI_DEBUG},
        {"12:34:56.789 X troupe-worker: x", "12:34:56.789 X troupe-worker: x", TRI_INFO},
        {"12:34:56.789 W somebody: x", "12:34:56.789 W somebody: x", TRI_INFO},
        {"12:34:56.789 W troupe-worker", "12:34:56.789 W troupe-worker", TRI_INFO},
        {"12:34:56", "12:34:56", TRI_INFO},
        {"12:34:56.789 ", "12:34:56.789 ", TRI_INFO},
        {"", "", TRI_INFO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum tri_level level = TRI_INFO;
        cr_expect_str_eq(tri_log_text(rows[i].line, &level), rows[i].text, "%s", rows[i].line);
        cr_expect_eq(level, rows[i].level, "%s", rows[i].line);
    }
}
