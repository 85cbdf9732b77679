/*
 * trace.c - `troupe trace`: runs a command with $TROUPE_TRACE, and makes a Chrome trace of the calls that it made and of those
 * that they made. One thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/program.h"
#include "tools/trace/trace.h"
#include "tools/verbs/verbs.h"

enum { DIRECTORY_SIZE = 200, REMOVALS = 3 };

/* Processes of a node service may still write: what they have open has no size any more, and what they open anew goes, too. */
static void
remove_directory(const char *directory)
{
    char path[DIRECTORY_SIZE + 300];
    const struct dirent *file;

    for (int i = 0; i < REMOVALS && rmdir(directory) != 0; i++) {
        DIR *files = opendir(directory);
        while (files != NULL && (file = readdir(files)) != NULL) {
            (void)snprintf(path, sizeof path, "%s/%s", directory, file->d_name);
            if (file->d_name[0] != '.' && truncate(path, 0) == 0)
                (void)unlink(path);
        }
        if (files != NULL)
            (void)closedir(files);
    }
}

static int
make_directory(struct tri_cli *cli, char directory[DIRECTORY_SIZE])
{
    const char *parent = getenv("TMPDIR");

    if (parent == NULL || parent[0] != '/')
        parent = "/tmp";
    if (snprintf(directory, DIRECTORY_SIZE, "%s/troupe-trace-XXXXXX", parent) >= DIRECTORY_SIZE)
        return tri_fail_text(cli, "$TMPDIR has more than %d bytes", DIRECTORY_SIZE - 24);
    if (mkdtemp(directory) == NULL)
        return tri_fail_file(cli, parent, errno);
    return TRI_EXIT_OK;
}

/* --------------------------------------------------------------------------------------------------------- what came of it */

static void
say(struct tri_cli *cli, const struct tri_traced *traced, const char *path)
{
    if (cli->quiet)
        return;
    if (traced->call_count == 0)
        fprintf(cli->err, "troupe trace: no call was made on a node, and %s is empty\n", path);
    else if (traced->unfinished > 0)
        fprintf(cli->err, "troupe trace: %zu calls, of which %zu have not ended, are in %s\n", traced->call_count,
                traced->unfinished, path);
    else
        fprintf(cli->err, "troupe trace: %zu calls are in %s\n", traced->call_count, path);
}

/* Closes `out`, whatever happens. */
static int
write_out(struct tri_cli *cli, struct tri_traced *traced, FILE *out, const char *path)
{
    const bool has_memory = tri_traced_write(traced, out);
    const bool failed = fflush(out) != 0 || ferror(out) != 0;
    const int why = errno;

    if (fclose(out) != 0 || failed)
        return tri_fail_file(cli, path, why);
    if (!has_memory)
        return tri_fail_text(cli, "out of memory");
    say(cli, traced, path);
    if (traced->incomplete)
        return tri_fail_text(cli, "the trace is not complete: a process could not write all of it, or was killed");
    return TRI_EXIT_OK;
}

static int
collect(struct tri_cli *cli, const char *directory, FILE *out, const char *path)
{
    struct tri_traced traced = {0};
    int exit_code = tri_traced_read(cli, directory, &traced);

    if (exit_code == TRI_EXIT_OK)
        exit_code = write_out(cli, &traced, out, path);
    else
        (void)fclose(out);
    tri_traced_fini(&traced);
    return exit_code;
}

/* Opened before the command runs, so that a wrong path costs no work. */
static int
open_out(struct tri_cli *cli, const char *path, FILE **out)
{
    const int fd = strcmp(path, "-") == 0 ? fcntl(fileno(cli->out), F_DUPFD_CLOEXEC, 3) : -1;

    *out = fd >= 0 ? fdopen(fd, "w") : strcmp(path, "-") == 0 ? NULL : fopen(path, "we");
    return *out != NULL ? TRI_EXIT_OK : tri_fail_file(cli, path, errno);
}

static int
run_trace(struct tri_cli *cli, const struct tri_args *args)
{
    const char *path = tri_option(args, "output") != NULL ? tri_option(args, "output") : "trace.json";
    char directory[DIRECTORY_SIZE];
    int exit_code, collected;
    FILE *out = NULL;

    if (path[0] == '\0')
        return tri_refuse(cli, "--output needs a file, got ''");
    exit_code = tri_program_check(cli, args->operands[0]);
    if (exit_code == TRI_EXIT_OK)
        exit_code = open_out(cli, path, &out);
    if (exit_code == TRI_EXIT_OK && (exit_code = make_directory(cli, directory)) != TRI_EXIT_OK)
        (void)fclose(out);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    exit_code = tri_program_run(cli, args->operands, "TROUPE_TRACE", directory);
    collected = collect(cli, directory, out, path);
    remove_directory(directory);
    return exit_code != TRI_EXIT_OK ? exit_code : collected;
}

static const char *const trace_words[] = {TRI_WORD_PROGRAM, NULL};
static const struct tri_option trace_options[] = {
    {"output", 'o', "FILE", "where the trace goes; trace.json unless given, '-' for standard output", TRI_WORD_FILE},
    {0},
};

const struct tri_verb tri_verb_trace = {
    .name = "trace",
    .group = "Looking around",
    .about = "runs a program and shows where the time of its calls went, for chrome://tracing or Perfetto",
    .operands = "PROGRAM [ARG...]",
    .words = trace_words,
    .options = trace_options,
    .flags = TRI_REST_IS_GIVEN,
    .more = "Of each call there is a slice from when it was made to when it started, and one from then to when its "
            "function\n"
            "returned; and of what these call, too. An option of the program's own comes after it, or after '--'. The "
            "exit\n"
            "status is the program's; 1 where that was 0 and the trace could not be written, or not all of it.\n",
    .run = run_trace,
};
