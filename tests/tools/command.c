/* command.c - see command.h. */
#include "tests/tools/command.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/common/child.h"
#include "tests/common/scratch.h"

enum { SAID_SIZE = 64 * 1024 };

static char home[SCRATCH_SIZE] = "";
static pid_t node = -1;

void
command_begin(void)
{
    const char *command = getenv("TROUPE_COMMAND"), *path = getenv("PATH");
    char text[4096];

    (void)signal(SIGINT, SIG_DFL); /* whoever started the tests in the background has it ignored */
    scratch_make(home, "test");
    cr_assert_eq(chdir(home), 0);
    cr_assert_not_null(command);
    (void)snprintf(text, sizeof text, "%.*s:%s", (int)(strrchr(command, '/') - command), command, path);
    (void)setenv("PATH", text, 1);
    (void)snprintf(text, sizeof text, "%s/node", home);
    (void)setenv("TROUPE_DIR", text, 1);
    (void)unsetenv("XDG_RUNTIME_DIR");
    (void)setenv("TROUPE_CONFIG", "", 1); /* nobody's files */
    (void)setenv("NO_COLOR", "1", 1);
}

void
command_begin_node(void)
{
    char said[1024] = "", log[128];
    const char *more[] = {"--log-file", log, "--num-cpus", "2", NULL};

    command_begin();
    (void)snprintf(log, sizeof log, "%s/log", home);
    node = child_start_node(getenv("TROUPE_DIR"), more, said, sizeof said);
    cr_assert_gt(node, 0, "%s", said);
}

void
command_begin_stage(void)
{
    static const struct command_row rows[] = {{"troupe spawn play:Stage --name s", 0, NULL, ""}};

    command_begin_node();
    COMMAND_RUN(rows);
}

void
command_end(void)
{
    if (node > 0)
        cr_expect(child_end(node), "the node did not end in order");
    node = -1;
    cr_assert_eq(chdir("/"), 0);
    scratch_remove(home);
}

/* Whether `text` is `picture`, in which '*' stands for any text. */
static bool
matches(const char *picture, const char *text)
{
    const char *star = NULL, *back = NULL;

    while (*text != '\0') {
        if (*picture == '*') {
            star = picture++;
            back = text;
        } else if (*picture == *text) {
            picture++;
            text++;
        } else if (star != NULL) {
            picture = star + 1;
            text = ++back;
        } else {
            return false;
        }
    }
    while (*picture == '*')
        picture++;
    return *picture == '\0';
}

static void
read_file(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    size_t got;

    cr_assert_not_null(file);
    got = fread(text, 1, SAID_SIZE - 1, file);
    text[got] = '\0';
    (void)fclose(file);
}

void
command_run(const struct command_row *rows, size_t count)
{
    static char out[SAID_SIZE], err[SAID_SIZE], line[8192];

    for (size_t i = 0; i < count; i++) {
        const struct command_row *row = &rows[i];
        FILE *script = fopen("line", "w");
        cr_assert_not_null(script);
        fprintf(script, "{ %s\n} >out 2>err\n", row->line);
        (void)fclose(script);
        const int status = system("sh line");
        const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        read_file("out", out);
        read_file("err", err);
        (void)snprintf(line, sizeof line, "%.200s", row->line);
        cr_expect_eq(exit_code, row->exit_code, "%s\nexit code %d, not %d\n%s%s", line, exit_code, row->exit_code, out,
                     err);
        cr_expect(row->out == NULL || matches(row->out, out), "%s\nsaid: %s\nnot:  %s\n(stderr: %s)", line, out,
                  row->out, err);
        cr_expect(row->err == NULL || matches(row->err, err), "%s\nsaid on stderr: %s\nnot:            %s", line, err,
                  row->err);
    }
}
