/* test_command.c - the command: what it says to wrong words, and its exit codes. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/cli/cli.h"

static const char *const words[] = {"bench", "version", "help", NULL};

Test(suggest, finds_the_word_that_was_meant)
{
    cr_expect_str_eq(tri_suggest("benc", words), "bench");
    cr_expect_str_eq(tri_suggest("bnech", words), "bench");
    cr_expect_str_eq(tri_suggest("versions", words), "version");
}

Test(suggest, says_nothing_when_no_word_is_near)
{
    cr_expect_null(tri_suggest("", words));
    cr_expect_null(tri_suggest("bench", words), "what was typed is no help");
    cr_expect_null(tri_suggest("spawn", words));
    cr_expect_null(tri_suggest("a-word-that-is-longer-than-any-that-was-ever-thought-of-as-the-name-of-a-verb", words));
}

struct row {
    const char *arguments, *said;
    int exit_code;
};
static const struct row rows[] = {
    {"", "usage: troupe VERB", 2},
    {"help", "usage: troupe VERB", 0},
    {"--help", "usage: troupe VERB", 0},
    {"version", "troupe 0.", 0},
    {"--version", "troupe 0.", 0},
    {"version now", "takes no arguments, got 'now'", 2},
    {"benhc", "did you mean 'bench'?", 2},
    {"nothing-like-it", "unknown verb 'nothing-like-it'; `troupe help` lists them\n", 2},
    {"help benhc", "did you mean 'bench'?", 2},
    {"help bench", "usage: troupe bench", 0},
    {"bench --help", "usage: troupe bench", 0},
    {"bench --list", "call.sync", 0},
    {"bench call.snyc", "did you mean 'call.sync'?", 2},
    {"bench no.such.case", "unknown case 'no.such.case'", 2},
    {"bench --jsno", "did you mean '--json'?", 2},
    {"bench --rounds", "--rounds needs a value: --rounds N", 2},
    {"bench --rounds 0", "--rounds needs a number from 1 to 99", 2},
    {"bench --rounds 100", "--rounds needs a number from 1 to 99", 2},
    {"bench --rounds 5x", "--rounds needs a number from 1 to 99", 2},
    {"bench --module-path", "--module-path needs a value: --module-path DIR", 2},
};

/* Runs `troupe ARGUMENTS`; what it wrote, to either side, is in `said`. */
static int
run(const char *arguments, char *said, size_t size)
{
    char command[512];
    size_t got;
    int status;
    FILE *pipe;

    snprintf(command, sizeof command, "'%s' %s 2>&1", getenv("TROUPE_COMMAND"), arguments);
    pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    got = fread(said, 1, size - 1, pipe);
    said[got] = 0;
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(command, answers_each_command_line_with_its_text_and_exit_code)
{
    char said[8192];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int exit_code = run(rows[i].arguments, said, sizeof said);
        cr_expect_eq(exit_code, rows[i].exit_code, "troupe %s: exit code %d", rows[i].arguments, exit_code);
        cr_expect(strstr(said, rows[i].said) != NULL, "troupe %s: %s", rows[i].arguments, said);
    }
}

Test(bench, gives_a_json_object_for_each_case)
{
    char said[8192];

    cr_assert_eq(run("bench --json --rounds 1 start wait.1000 call.command", said, sizeof said), 0, "%s", said);
    cr_expect(strstr(said, "{\"case\":\"start\",\"unit\":\"ms\",\"value\":") != NULL, "%s", said);
    cr_expect(strstr(said, "{\"case\":\"wait.1000\",\"unit\":\"us\",\"value\":") != NULL, "%s", said);
    cr_expect(strstr(said, "{\"case\":\"call.command\",\"unit\":\"us\",\"value\":") != NULL, "%s", said);
    cr_expect(strstr(said, "\"start.shutdown\"") == NULL, "only what was asked for: %s", said);
}
