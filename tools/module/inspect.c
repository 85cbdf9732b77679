/*
 * inspect.c - `troupe module inspect`: what a module offers. It is loaded as a host loads it, in a process of its own, since what
 * is in it may crash, print or never come back; the description comes through a pipe, as JSON. One thread.
 */
#include "tools/module/module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <troupe/testing.h>
#include <unistd.h>

enum { LOAD_MS = 10 * 1000, DESCRIPTION_MOST = 16 * 1024 * 1024 };

/* ---------------------------------------------------------------------------------------------- in the process of its own */

static void
put_text(FILE *out, const char *before, const char *key, const char *text)
{
    fprintf(out, "%s\"%s\": ", before, key);
    tri_json_write(out, trp_str(text != NULL ? text : ""), true);
}

static void
put_method(FILE *out, const trp_method *row)
{
    put_text(out, "{", "name", row->name);
    put_text(out, ", ", "args", row->args);
    put_text(out, ", ", "about", row->about);
    fprintf(out, "}");
}

static void
put_class(FILE *out, const trp_class *row)
{
    put_text(out, "{", "name", row->name);
    put_text(out, ", ", "about", row->about);
    put_text(out, ", ", "init_args", row->init_args);
    fprintf(out, ", \"init\": %s, \"fini\": %s, \"self_size\": %zu, \"max_concurrency\": %u, \"methods\": [",
            row->init != NULL ? "true" : "false", row->fini != NULL ? "true" : "false", row->self_size,
            row->max_concurrency > 0 ? row->max_concurrency : 1);
    for (const trp_method *method = row->methods; method != NULL && method->name != NULL; method++) {
        put_method(out, method);
        fprintf(out, "%s", method[1].name != NULL ? ", " : "");
    }
    fprintf(out, "]}");
}

static void
put_task(FILE *out, const trp_function *row)
{
    const double cpus = row->num_cpus > 0 ? row->num_cpus : row->num_cpus < 0 ? 0 : 1;

    put_text(out, "{", "name", row->name);
    put_text(out, ", ", "args", row->args);
    put_text(out, ", ", "about", row->about);
    fprintf(out, ", \"num_cpus\": ");
    tri_json_write(out, trp_f64(cpus), true);
    fprintf(out, ", \"num_gpus\": ");
    tri_json_write(out, trp_f64(row->num_gpus), true);
    fprintf(out, ", \"memory_bytes\": %llu, \"max_retries\": %d}", (unsigned long long)row->memory_bytes,
            row->no_retries         ? 0
            : row->max_retries == 0 ? 3
                                    : (int)row->max_retries);
}

static void
put_module(FILE *out, const trp_module *module)
{
    put_text(out, "{", "name", module->name);
    put_text(out, ", ", "version", module->version);
    put_text(out, ", ", "about", module->about);
    fprintf(out, ", \"abi\": \"%u.%u\", \"seed\": %s, \"classes\": [", module->stamp.abi >> 16,
            module->stamp.abi & 0xffff, module->seed != NULL ? "true" : "false");
    for (const trp_class *row = module->classes; row != NULL && row->name != NULL; row++) {
        put_class(out, row);
        fprintf(out, "%s", row[1].name != NULL ? ", " : "");
    }
    fprintf(out, "], \"tasks\": [");
    for (const trp_function *row = module->tasks; row != NULL && row->name != NULL; row++) {
        put_task(out, row);
        fprintf(out, "%s", row[1].name != NULL ? ", " : "");
    }
    fprintf(out, "]}");
}

/* Ends the process. What the module's own code prints goes to stderr. */
static void
describe(const char *path, int fd)
{
    const trp_module *module = NULL;
    trp_error error;
    FILE *out;

    (void)dup2(2, 1);
    out = fdopen(fd, "w");
    if (out == NULL)
        _exit(1);
    if (trp_test_load(path, &module, &error) == TRP_OK) {
        put_module(out, module);
    } else {
        fprintf(out, "{\"code\": %d, ", (int)error.code);
        put_text(out, "", "message", error.message);
        fprintf(out, "}");
    }
    _exit(fflush(out) == 0 ? 0 : 1);
}

/* --------------------------------------------------------------------------------------------------------- in this one */

struct answer {
    char *text;
    size_t size;
    bool late, stopped;
};

/* Until the pipe is closed or its process has ended (others that it has made may have the pipe, too), time is up, or Ctrl-C.
 * false: no memory, or more than any description has. */
static bool
read_answer(int fd, int ended_fd, struct answer *answer)
{
    const int64_t until_ms = tri_clock_ms() + LOAD_MS;
    struct pollfd pollers[2] = {{.fd = fd, .events = POLLIN}, {.fd = ended_fd, .events = POLLIN}};
    ssize_t got = 1;

    while (got > 0 || (got < 0 && pollers[1].revents == 0)) {
        const int64_t left_ms = until_ms - tri_clock_ms();
        char *more;
        answer->late = left_ms <= 0;
        answer->stopped = tri_stopped();
        if (answer->late || answer->stopped)
            return true;
        pollers[1].revents = 0;
        if (poll(pollers, 2, (int)left_ms) <= 0)
            continue;
        more = answer->size < DESCRIPTION_MOST ? realloc(answer->text, answer->size + 65536) : NULL;
        if (more == NULL)
            return false;
        answer->text = more;
        got = read(fd, answer->text + answer->size, 65536);
        if (got > 0)
            answer->size += (size_t)got;
    }
    return true;
}

/* What became of the process where it gave no answer. */
static void
say_death(const char *path, int status, trp_error *error)
{
    const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (signal != 0)
        (void)snprintf(
            error->message, sizeof error->message,
            "%.300s crashed while it was loaded, by signal %d (SIG%s); its constructor functions run then%s", path,
            signal, sigabbrev_np(signal) != NULL ? sigabbrev_np(signal) : "?",
            signal == SIGSEGV || signal == SIGBUS ? ", and its tables are read: does each of them end with {0}?" : "");
    else
        (void)snprintf(error->message, sizeof error->message,
                       "%.300s ended the process while it was loaded, with exit code %d; its constructor functions run "
                       "then",
                       path, WEXITSTATUS(status));
}

/* 0: it is there; TRI_EXIT_STOPPED, or another status with the reason in *error. */
static int
take_answer(struct tri_cli *cli, struct tri_values *values, const char *path, const struct answer *answer, int status,
            trp_value *module, trp_error *error)
{
    int exit_code;

    if (answer->stopped)
        return TRI_EXIT_STOPPED;
    if (answer->late) {
        (void)snprintf(error->message, sizeof error->message,
                       "%.300s does not come back from being loaded: it was ended after %d s", path, LOAD_MS / 1000);
        return TRI_EXIT_NAME;
    }
    if (answer->size == 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        say_death(path, status, error);
        return TRI_EXIT_NAME;
    }
    const struct tri_hush before = tri_hush(cli);
    exit_code = tri_json_read(cli, values, path, answer->text, answer->size, module);
    tri_unhush(cli, before);
    if (exit_code != TRI_EXIT_OK) {
        (void)snprintf(error->message, sizeof error->message, "%.300s has a description that cannot be read", path);
        return exit_code;
    }
    if (trp_field(*module, "code").kind != TRP_I64)
        return TRI_EXIT_OK;
    error->code = (trp_err)trp_as_i64(trp_field(*module, "code"));
    (void)snprintf(error->message, sizeof error->message, "%s", trp_as_str(trp_field(*module, "message")));
    return tri_exit_of(error->code);
}

/* It and all that it has made, which is in its process group. Its number is nobody else's before it is waited for. */
static int
end_process(pid_t pid, bool wait)
{
    siginfo_t info;
    int status = 0;

    while (wait && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static int
fail_with(trp_error *error, trp_err code, const char *what, int err)
{
    error->code = code;
    (void)snprintf(error->message, sizeof error->message, "%s: %s", what, strerror(err));
    return tri_exit_of(code);
}

int
tri_module_ask(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value *module, trp_error *error)
{
    struct answer answer = {0};
    int fds[2], ended_fd, status, exit_code;
    bool read_well;
    pid_t pid;

    *error = (trp_error){.code = TRP_EMODULE, .rank = -1};
    (void)fflush(NULL);
    if (pipe2(fds, O_CLOEXEC) != 0)
        return fail_with(error, TRP_ELIMIT, "a pipe cannot be made", errno);
    tri_stop_watch();
    pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the terminal's Ctrl-C is not for it */
        describe(path, fds[1]);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        (void)close(fds[0]);
        return fail_with(error, TRP_ENOMEM, "no process can be made", errno);
    }
    (void)setpgid(pid, pid); /* whoever is first */
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    ended_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    read_well = read_answer(fds[0], ended_fd, &answer);
    (void)close(fds[0]);
    if (ended_fd >= 0)
        (void)close(ended_fd);
    status = end_process(pid, read_well && !answer.late && !answer.stopped);
    exit_code = read_well ? take_answer(cli, values, path, &answer, status, module, error)
                          : fail_with(error, TRP_ENOMEM, "its description", ENOMEM);
    free(answer.text);
    return exit_code;
}

int
tri_module_describe(struct tri_cli *cli, struct tri_values *values, const char *path, trp_value *module)
{
    trp_error error;
    const int exit_code = tri_module_ask(cli, values, path, module, &error);

    return exit_code == TRI_EXIT_OK || exit_code == TRI_EXIT_STOPPED ? exit_code : tri_fail(cli, &error, NULL);
}

/* ------------------------------------------------------------------------------------------------------------ the verb */

static int
run_inspect(struct tri_cli *cli, const struct tri_args *args)
{
    const char *path = args->operands[0];
    struct tri_values values = {0};
    trp_value module;
    int exit_code;

    exit_code = tri_module_file(cli, path);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_module_describe(cli, &values, path, &module);
    if (exit_code == TRI_EXIT_OK && tri_wants_value(cli))
        exit_code = tri_give(cli, NULL, module);
    else if (exit_code == TRI_EXIT_OK)
        tri_module_show(cli, path, module);
    tri_values_fini(&values);
    return exit_code;
}

static const char *const inspect_words[] = {TRI_WORD_FILE, NULL};

const struct tri_verb tri_verb_module_inspect = {
    .name = "module inspect",
    .group = "Modules",
    .about = "prints what a module's file offers: classes, methods, tasks",
    .operands = "FILE",
    .words = inspect_words,
    .more = "FILE is NAME.so. It is loaded as a host loads it, in a process of its own.\n",
    .run = run_inspect,
};
