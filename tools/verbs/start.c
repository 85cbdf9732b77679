/*
 * start.c - `troupe start`: a node service, in the foreground or as a daemon. One thread. It runs troupe-node and waits until that
 * says that it is ready, or why it is not; what a node does is not known here.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/home.h"
#include "tools/cli/settings.h"

enum { READY_MS = 30 * 1000, READY_FD = 3, WORDS_MAX = 32, PATH_SIZE = 512, MODULES_SIZE = 4096 };

/* The command line of the node, and where its texts lie. */
struct starting {
    char program[PATH_SIZE], directory[256], log[PATH_SIZE], spill[PATH_SIZE], modules[MODULES_SIZE];
    char *words[WORDS_MAX];
    int count;
    bool is_daemon;
    int64_t ready_ms;
    pid_t pid;
    int line;         /* our end of the pipe that it answers on */
    sigset_t signals; /* that end it: blocked here, and waited for */
};

/* --------------------------------------------------------------------------------------------------- the command line */

static void
add(struct starting *it, const char *name, const char *text)
{
    it->words[it->count++] = (char *)name; /* execv changes nothing */
    it->words[it->count++] = (char *)text;
}

/* "/./" and "//" are "/", which changes no meaning; ".." may come after a symbolic link. */
static void
clean(char *path)
{
    char *to = path;

    for (const char *at = path; *at != '\0'; at++) {
        if (at[0] == '/' && (at[1] == '/' || (at[1] == '\0' && to > path)))
            continue;
        if (at[0] == '/' && at[1] == '.' && (at[2] == '/' || (at[2] == '\0' && to > path))) {
            at++;
            continue;
        }
        *to++ = *at;
    }
    *to = '\0';
}

/* A daemon leaves the directory that it was started in. */
static int
full_path(struct tri_cli *cli, const char *path, char *full, size_t size)
{
    char here[PATH_SIZE] = "";

    if (path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return tri_fail_file(cli, "the current directory", errno);
    if (snprintf(full, size, "%s%s%s", here, path[0] != '/' ? "/" : "", path) >= (int)size)
        return tri_fail_text(cli, "a path of %zu bytes is too long: %.100s...", strlen(here) + strlen(path), path);
    clean(full);
    return TRI_EXIT_OK;
}

/* Each directory as a full path. */
static int
take_modules(struct tri_cli *cli, const char *path, struct starting *it)
{
    char directory[PATH_SIZE], full[PATH_SIZE], ignored[1];
    size_t used = 0;
    int exit_code = TRI_EXIT_OK;

    while (exit_code == TRI_EXIT_OK &&
           tri_module_path_next(&path, directory, sizeof directory, ignored, sizeof ignored)) {
        exit_code = full_path(cli, directory, full, sizeof full);
        if (exit_code == TRI_EXIT_OK && used + strlen(full) + 2 > sizeof it->modules)
            exit_code = tri_fail_text(cli, "a module path of more than %zu bytes is too long", sizeof it->modules - 1);
        if (exit_code == TRI_EXIT_OK)
            used += (size_t)snprintf(it->modules + used, sizeof it->modules - used, "%s%s", used > 0 ? ":" : "", full);
    }
    if (used > 0)
        add(it, "--module-path", it->modules);
    return exit_code;
}

/* In the foreground the node says itself which are not there; what a daemon says is in its log, where nobody looks who believes
 * that all is well. */
static void
warn_of_modules(struct tri_cli *cli, const struct starting *it)
{
    const char *at = it->modules;
    char directory[PATH_SIZE], trouble[400];
    struct stat status;

    if (cli->json || cli->quiet)
        return;
    while (tri_module_path_next(&at, directory, sizeof directory, trouble, sizeof trouble))
        if (trouble[0] != '\0' && (it->log[0] != '\0' || (stat(directory, &status) == 0 && S_ISDIR(status.st_mode))))
            fprintf(cli->err, "troupe start: %s is in the module path: %s\n", directory, trouble);
}

/* One of those that the node is given. */
static int
hand_on(struct tri_cli *cli, const struct tri_args *args, enum tri_key key, const char *word, struct starting *it)
{
    const char *name = tri_setting_at(key)->key, *option = tri_option(args, name), *text = NULL;
    char what[600];
    const int exit_code = tri_setting(cli, key, option, &text);

    if (exit_code != TRI_EXIT_OK || text == NULL)
        return exit_code;
    (void)snprintf(what, sizeof what, option != NULL ? "--%s" : "%s in %s", name, tri_setting_from(cli, key));
    if (text[0] == '\0')
        return tri_refuse(cli, "%s is empty", what);
    if (tri_setting_wants(key, text) != NULL)
        return tri_refuse(cli, "%s needs %s, got '%s'", what, tri_setting_wants(key, text), text);
    if (key == TRI_KEY_MODULE_PATH)
        return take_modules(cli, text, it);
    if (key == TRI_KEY_SPILL_DIR) {
        const int found = full_path(cli, text, it->spill, sizeof it->spill);
        if (found != TRI_EXIT_OK)
            return found;
        text = it->spill;
    }
    add(it, word, text);
    return TRI_EXIT_OK;
}

static int
take_log(struct tri_cli *cli, const struct tri_args *args, struct starting *it)
{
    const char *text = NULL;
    int exit_code = tri_setting(cli, TRI_KEY_LOG_FILE, tri_option(args, "log-file"), &text);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (text != NULL && text[0] == '\0')
        return tri_refuse(cli, "--log-file is empty");
    if (text != NULL)
        exit_code = full_path(cli, text, it->log, sizeof it->log);
    else if (it->is_daemon)
        (void)snprintf(it->log, sizeof it->log, "%s/log", it->directory);
    if (exit_code == TRI_EXIT_OK && it->log[0] != '\0')
        add(it, "--log-file", it->log);
    return exit_code;
}

static int
plan(struct tri_cli *cli, const struct tri_args *args, struct starting *it)
{
    static const struct {
        enum tri_key key;
        const char *word;
    } handed[] = {{TRI_KEY_MODULE_PATH, "--module-path"}, {TRI_KEY_NUM_CPUS, "--num-cpus"},
                  {TRI_KEY_NUM_GPUS, "--num-gpus"},       {TRI_KEY_STORE, "--store"},
                  {TRI_KEY_SPILL_DIR, "--spill-dir"},     {TRI_KEY_SPILL_MAX, "--spill-max"},
                  {TRI_KEY_SPILL_AT, "--spill-at"},       {TRI_KEY_LOG_LEVEL, "--log-level"}};
    const char *timeout = tri_option(args, "timeout");
    char directory[256], program[PATH_SIZE];
    int exit_code;

    *it = (struct starting){.is_daemon = tri_option(args, "daemon") != NULL, .ready_ms = READY_MS, .line = -1};
    cli->directory = tri_option(args, "dir");
    exit_code = tri_directory_of(cli, directory, sizeof directory);
    if (exit_code == TRI_EXIT_OK)
        exit_code = full_path(cli, directory, it->directory, sizeof it->directory);
    if (exit_code == TRI_EXIT_OK && timeout != NULL)
        exit_code = tri_take_time(cli, "--timeout", timeout, &it->ready_ms);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_node_program(cli, program, sizeof program);
    if (exit_code == TRI_EXIT_OK)
        exit_code = full_path(cli, program, it->program, sizeof it->program);
    it->words[it->count++] = it->program;
    it->words[it->count++] = (char *)"--service";
    add(it, "--ready-fd", "3");
    add(it, "--dir", it->directory);
    for (size_t i = 0; exit_code == TRI_EXIT_OK && i < sizeof handed / sizeof *handed; i++)
        exit_code = hand_on(cli, args, handed[i].key, handed[i].word, it);
    if (exit_code == TRI_EXIT_OK)
        exit_code = take_log(cli, args, it);
    if (exit_code == TRI_EXIT_OK)
        warn_of_modules(cli, it);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ the child */

/* In the child: what it says on the line, if the program cannot be run, is what the program would say. */
static void
become_node(const struct starting *it, int line, pid_t parent)
{
    const int null = open("/dev/null", O_RDWR);
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    if (it->is_daemon) {
        (void)setsid();
        (void)chdir("/");
        (void)dup2(null, STDOUT_FILENO);
    } else {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* it does not outlive this command */
        if (getppid() != parent)
            _exit(1);
    }
    (void)dup2(null, STDIN_FILENO);
    if (line != READY_FD)
        (void)dup2(line, READY_FD); /* without FD_CLOEXEC */
    else
        (void)fcntl(line, F_SETFD, 0);
    (void)execv(it->program, it->words);
    (void)dprintf(READY_FD, "ERROR %d %.400s cannot be run: %s\n", TRP_EINVAL, it->program, strerror(errno));
    _exit(1);
}

static int
launch(struct tri_cli *cli, struct starting *it)
{
    const pid_t parent = getpid();
    int line[2];

    (void)signal(SIGCHLD, SIG_DFL); /* or nobody could be awaited */
    if (pipe2(line, O_CLOEXEC) != 0)
        return tri_fail_file(cli, "a pipe", errno);
    tri_tell(cli, "runs %s for %s", it->program, it->directory);
    it->pid = fork();
    if (it->pid == 0)
        become_node(it, line[1], parent);
    (void)close(line[1]);
    it->line = line[0];
    return it->pid > 0 ? TRI_EXIT_OK : tri_fail_text(cli, "another process cannot be started: %s", strerror(errno));
}

static void
end_child(struct starting *it, int number)
{
    if (it->pid > 0) {
        (void)kill(it->pid, number);
        while (waitpid(it->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    it->pid = 0;
}

static void
say_status(int status, char *text, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(text, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        (void)snprintf(text, size, "with exit status %d", WEXITSTATUS(status));
}

/* ------------------------------------------------------------------------------------------------------------ readiness */

/* Its first line. 0; or the exit code: it is too late, or Ctrl-C was pressed, and the node is ended. An empty line: it has ended
 * without one. */
static int
read_line(struct tri_cli *cli, struct starting *it, char *text, size_t size)
{
    const int64_t until_ms = tri_clock_ms() + it->ready_ms;
    struct pollfd line = {.fd = it->line, .events = POLLIN};
    size_t used = 0;
    ssize_t got = 1;

    text[0] = '\0';
    while (got > 0 && used + 1 < size && strchr(text, '\n') == NULL) {
        const int64_t left_ms = until_ms - tri_clock_ms();
        const int woken = poll(&line, 1, left_ms > 100 ? 100 : left_ms > 0 ? (int)left_ms : 0);
        if (woken > 0) {
            got = read(it->line, text + used, size - 1 - used);
            used += got > 0 ? (size_t)got : 0;
            text[used] = '\0';
        } else if (sigtimedwait(&it->signals, NULL, &(struct timespec){0, 0}) > 0) {
            end_child(it, SIGTERM);
            (void)tri_fail_text(cli, "stopped before the node was ready; it has ended");
            return TRI_EXIT_STOPPED;
        } else if (left_ms <= 0) {
            end_child(it, SIGKILL);
            (void)tri_fail_text(cli, "the node was not ready within %g s and was killed; `troupe doctor` looks why",
                                (double)it->ready_ms / 1000);
            return TRI_EXIT_TIME;
        }
    }
    text[strcspn(text, "\n")] = '\0';
    return TRI_EXIT_OK;
}

static int
await_ready(struct tri_cli *cli, struct starting *it)
{
    char text[1200], how[128];
    const char *why;
    int status = 0;
    int exit_code = read_line(cli, it, text, sizeof text);

    (void)close(it->line);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (strncmp(text, "READY ", 6) == 0) {
        (void)snprintf(it->directory, sizeof it->directory, "%.255s", text + 6);
        return TRI_EXIT_OK;
    }
    while (waitpid(it->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    why = strncmp(text, "ERROR ", 6) == 0 ? strchr(text + 6, ' ') : NULL;
    if (why != NULL)
        return tri_fail_text(cli, "%s", why + 1);
    say_status(status, how, sizeof how);
    return tri_fail_text(cli, "the node ended while it started, %s%s%s", how,
                         it->log[0] != '\0' ? "; its log is " : "; what it said is above", it->log);
}

/* ----------------------------------------------------------------------------------------------------- in the foreground */

/* Until the node ends: by itself, or because one of these signals came. */
static int
stay(struct tri_cli *cli, struct starting *it)
{
    sigset_t signals = it->signals, before;
    char how[128];
    siginfo_t info;
    int status = 0, number;

    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, &before);
    while (waitpid(it->pid, &status, WNOHANG) == 0) {
        number = sigwaitinfo(&signals, &info);
        if (number > 0 && number != SIGCHLD && !(number == SIGINT && info.si_code == SI_KERNEL)) /* Ctrl-C: it has it */
            (void)kill(it->pid, SIGTERM);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return TRI_EXIT_OK;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
        return tri_fail_text(cli, "the node ended: its broker died again and again, as its log says");
    say_status(status, how, sizeof how);
    return tri_fail_text(cli, "the node ended, %s", how);
}

static int
give_started(struct tri_cli *cli, const struct starting *it)
{
    if (tri_wants_value(cli))
        return tri_give(cli, NULL,
                        TRP_MAP("directory", it->directory, "pid", it->pid, "log",
                                it->log[0] != '\0' ? trp_str(it->log) : trp_null()));
    tri_print(cli, "a node runs at %s (process %d)%s%s\n", it->directory, (int)it->pid,
              it->log[0] != '\0' ? ", its log is " : "; Ctrl-C ends it", it->log);
    return tri_flush(cli);
}

static int
run(struct tri_cli *cli, struct starting *it)
{
    int exit_code = launch(cli, it);

    if (exit_code == TRI_EXIT_OK)
        exit_code = await_ready(cli, it);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    exit_code = give_started(cli, it);
    return it->is_daemon ? exit_code : stay(cli, it);
}

static int
run_start(struct tri_cli *cli, const struct tri_args *args)
{
    struct starting it;
    sigset_t before;
    int exit_code = plan(cli, args, &it);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    (void)sigemptyset(&it.signals);
    (void)sigaddset(&it.signals, SIGTERM);
    (void)sigaddset(&it.signals, SIGINT);
    (void)sigaddset(&it.signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &it.signals, &before);
    exit_code = run(cli, &it);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return exit_code;
}

static const struct tri_option start_options[] = {
    {"dir", 0, "DIR", "where it is to live; else $TROUPE_DIR, else the default", TRI_WORD_DIRECTORY},
    {"daemon", 'd', NULL, "goes into the background when it is ready", NULL},
    {"module-path", 0, "PATH", "directories of modules, separated by ':'", TRI_WORD_DIRECTORY},
    {"num-cpus", 0, "N", "CPUs that tasks and actors may take; else all", NULL},
    {"num-gpus", 0, "N", "GPUs; else 0", NULL},
    {"store", 0, "SIZE", "shared memory for large objects: 512M, 4G; 0: none; else 30 % of the memory", NULL},
    {"spill-dir", 0, "DIR", "where they go when it is short; else $TROUPE_SPILL_DIR, /var/tmp/troupe-UID", NULL},
    {"spill-max", 0, "SIZE", "at most so much of the disk; 0: none; else half of what is free there", NULL},
    {"spill-at", 0, "PERCENT", "of the store that may be taken before that; else 80", NULL},
    {"log-file", 0, "FILE", "appended to; else stderr, and DIR/log of a daemon", TRI_WORD_FILE},
    {"log-level", 0, "LEVEL", "error, warning, info or debug; else info", "error|warning|info|debug"},
    {"timeout", 't', "TIME", "how long it may take until it is ready; else 30s", NULL},
    {0},
};

const struct tri_verb tri_verb_start = {
    .name = "start",
    .group = "Nodes",
    .about = "starts a node service, in the foreground or as a daemon",
    .options = start_options,
    .more =
        "It returns when the node is ready (--daemon) or has ended. What is not given is taken from the configuration\n"
        "files (troupe.cfg(5)). `troupe stop` ends the node.\n",
    .run = run_start,
};
