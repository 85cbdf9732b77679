/*
 * root.c - the root process: starts, loops, ends. Everything that it waits for is a descriptor: signals, the parent, the
 * broker, the output of hosts.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { END_MS = 3000, SAMPLE_WAIT_MS = 50 };

/* ------------------------------------------------------------------------------------------------------- watching */

trp_err
tri_root_watch(struct tri_root *root, struct tri_watch *watch, trp_error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    if (epoll_ctl(root->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return tri_fail_errno(error, TRP_ELIMIT, errno, "cannot watch descriptor %d", watch->fd);
    return TRP_OK;
}

void
tri_root_unwatch(struct tri_root *root, struct tri_watch *watch)
{
    (void)epoll_ctl(root->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
}

/* The broker's socket is polled for writing while something waits for it. */
static void
watch_writing(struct tri_root *root)
{
    bool waits = tri_control_waits(&root->control);
    if (waits == root->broker_waits || root->broker.fd < 0)
        return;
    struct epoll_event event = {.events = EPOLLIN | (waits ? (uint32_t)EPOLLOUT : 0), .data.ptr = &root->broker};
    if (epoll_ctl(root->epoll_fd, EPOLL_CTL_MOD, root->broker.fd, &event) == 0)
        root->broker_waits = waits;
}

/* ------------------------------------------------------------------------------------------- what the starter hears */

static void
say(int fd, const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* who does not listen any more needs not hear it */
        text += written;
        size -= (size_t)written;
    }
}

static void
tell_systemd(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || *path == '\0' || strlen(path) >= sizeof address.sun_path)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    strcpy(address.sun_path, path);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
        tri_log(TRI_WARNING, "cannot tell systemd %s: %s", state, strerror(errno));
    close(fd);
}

static void
close_ready(struct tri_root *root)
{
    if (root->options.ready_fd >= 0)
        close(root->options.ready_fd);
    root->options.ready_fd = -1;
}

void
tri_root_started(struct tri_root *root)
{
    root->ready = true;
    if (root->options.mode == TRI_ROOT_PRIVATE) {
        say(root->options.parent_fd, "READY\n");
    } else {
        char line[sizeof root->home.path + 32];
        snprintf(line, sizeof line, "READY %s\n", root->home.path);
        say(root->options.ready_fd >= 0 ? root->options.ready_fd : STDOUT_FILENO, line);
        tell_systemd("READY=1");
        close_ready(root);
    }
    if (root->error_fd >= 0) {
        close(root->error_fd);
        root->error_fd = -1;
    }
}

void
tri_root_start_failed(struct tri_root *root, const trp_error *error)
{
    char line[sizeof error->message + 64];
    if (root->options.mode == TRI_ROOT_PRIVATE || root->options.ready_fd >= 0) {
        snprintf(line, sizeof line, "ERROR %d %s\n", (int)error->code, error->message);
        say(root->options.mode == TRI_ROOT_PRIVATE ? root->options.parent_fd : root->options.ready_fd, line);
        close_ready(root);
    } else {
        snprintf(line, sizeof line, "troupe-node: %s\n", error->message);
        say(root->error_fd >= 0 ? root->error_fd : STDERR_FILENO, line);
    }
    tri_root_end(root, 1);
}

/* ------------------------------------------------------------------------------------------------------------- end */

void
tri_root_end(struct tri_root *root, int exit_code)
{
    if (root->ending)
        return;
    root->ending = true;
    root->exit_code = exit_code;
    root->end_ns = tri_now_ns() + END_MS * TRI_NS_PER_MS;
    if (root->ready && root->options.mode != TRI_ROOT_PRIVATE)
        tell_systemd("STOPPING=1");
    tri_home_ending(&root->home);
    tri_keeper_stop(root);
}

/* Something was removed from the directory. Nobody can reach a node whose lock is not there any more. What another one has put
 * there is not touched: the broker would remove its socket by name. */
static void
on_removed(struct tri_root *root)
{
    const enum tri_home_holder holder = tri_home_holder(&root->home);
    if (root->ending || holder == TRI_HOME_OURS)
        return;
    tri_log(TRI_ERROR, "the node ends: its directory %s was removed", root->home.path);
    if (holder == TRI_HOME_ANOTHERS && root->broker_pid != 0)
        (void)kill(root->broker_pid, SIGKILL);
    tri_root_end(root, 3);
}

static void
on_signal(struct tri_root *root, struct tri_watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGIO) {
            on_removed(root);
        } else if (info.ssi_signo != SIGCHLD) {
            tri_log(TRI_INFO, "the node ends: %s", strsignal((int)info.ssi_signo));
            tri_root_end(root, 0);
        }
    tri_hosts_collect(root);
}

/* It has nothing to say; its end of file is our end. */
static void
on_parent(struct tri_root *root, struct tri_watch *watch)
{
    char data[64];
    ssize_t size = recv(watch->fd, data, sizeof data, MSG_DONTWAIT);
    if (size < 0 && errno == ENOTSOCK)
        size = read(watch->fd, data, sizeof data); /* a pipe: readable, so this does not wait */
    if (size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)))
        return;
    /* Our own end stays open until we have ended: its end of file says that nothing is left. */
    (void)epoll_ctl(root->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    tri_root_end(root, 0);
}

/* ----------------------------------------------------------------------------------------------------------- start */

/* For a pool of tasks, and actors and drivers beside it. */
static trp_err
enough_descriptors(double num_cpus, rlim_t allowed, trp_error *error)
{
    const int most = TRI_PEERS_MAX - TRI_PEERS_MORE;
    const int whole = num_cpus < most ? (int)num_cpus : most;
    const int cpus = whole + (whole < most && num_cpus > whole);
    const int processes = cpus + TRI_PEERS_MORE;
    const int needed = TRI_DESCRIPTORS_OWN + TRI_DESCRIPTORS * processes;
    if (allowed >= (rlim_t)needed)
        return TRP_OK;
    return TRI_FAIL(
        error, TRP_ELIMIT,
        "a node of %d CPUs needs %d open files, for %d processes, and may have %llu: allow more with ulimit -n "
        "%d or more (%d for each process on the node)",
        cpus, needed, processes, (unsigned long long)allowed, needed > 1024 ? needed : 1024, TRI_DESCRIPTORS);
}

static trp_err
raise_descriptors(const struct tri_root *root, trp_error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return tri_fail_errno(error, TRP_ELIMIT, errno, "cannot learn the limit of open files");
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
            return tri_fail_errno(error, TRP_ELIMIT, errno, "cannot raise the limit of open files");
    }
    return enough_descriptors(root->options.num_cpus, limit.rlim_cur, error);
}

static trp_err
open_signals(struct tri_root *root, trp_error *error)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 5; i++)
        sigaddset(&set, (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGIO}[i]);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
    (void)signal(SIGTTOU, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* whoever started us may have ignored it: then nobody could be awaited */
    root->signals = (struct tri_watch){on_signal, signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
    if (root->signals.fd < 0)
        return tri_fail_system(error, TRP_ELIMIT, errno, "cannot receive signals");
    return tri_root_watch(root, &root->signals, error);
}

static trp_err
open_descriptors(struct tri_root *root, trp_error *error)
{
    root->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    root->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    root->error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (root->null_fd < 0 || root->epoll_fd < 0)
        return tri_fail_system(error, TRP_ELIMIT, errno, "cannot open /dev/null and an epoll descriptor");
    (void)dup2(root->null_fd, STDIN_FILENO);
    TRP_TRY(open_signals(root, error));
    if (root->options.ready_fd >= 0)
        (void)fcntl(root->options.ready_fd, F_SETFD, FD_CLOEXEC);
    if (root->options.parent_fd < 0)
        return TRP_OK;
    (void)fcntl(root->options.parent_fd, F_SETFD, FD_CLOEXEC);
    root->parent = (struct tri_watch){on_parent, root->options.parent_fd};
    return tri_root_watch(root, &root->parent, error);
}

/* A log that cannot be written has nowhere to say so later. Its lines have no date, this one does. */
static trp_err
try_log(const struct tri_root *root, trp_error *error)
{
    char line[sizeof root->home.path + 128], date[64];
    const time_t now = time(NULL);
    struct tm day;
    (void)localtime_r(&now, &day);
    (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S %Z", &day);
    const int size =
        snprintf(line, sizeof line, "-- %s: a node starts in %s, process %d\n", date, root->home.path, (int)root->pid);
    const ssize_t written = write(STDERR_FILENO, line, (size_t)size);
    if (written == size)
        return TRP_OK;
    return tri_fail_system(error, TRP_EDISKFULL, written < 0 ? errno : ENOSPC, "cannot write the log file %.300s",
                           root->options.log_file);
}

static trp_err
open_log(const struct tri_root *root, trp_error *error)
{
    const char *path = root->options.log_file;
    if (path == NULL)
        return TRP_OK;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot write the log file %.300s", path);
    (void)dup2(fd, STDERR_FILENO);
    close(fd);
    return try_log(root, error);
}

static void
fill_defaults(struct tri_root *root)
{
    cpu_set_t set;
    if (root->options.num_cpus == 0)
        root->options.num_cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    root->memory_bytes = tri_memory_most(NULL);
    if (root->options.module_path == NULL)
        root->options.module_path = getenv("TRP_MODULE_PATH");
    if (gethostname(root->node_name, sizeof root->node_name) < 0 || root->node_name[0] == '\0')
        strcpy(root->node_name, "localhost");
    root->node_name[sizeof root->node_name - 1] = '\0';
    /* Processes may outlive a killed root, and look for the next one: its brokers have numbers that were never used. */
    const time_t start_of_2020 = 1577836800;
    root->incarnation = root->options.mode == TRI_ROOT_SERVICE ? (uint64_t)(time(NULL) - start_of_2020) : 0;
}

/* A directory that appears later is found later, so this is no error. */
static void
check_module_path(const char *path)
{
    while (path != NULL && *path != '\0') {
        char directory[PATH_MAX];
        struct stat status;
        const size_t length = strcspn(path, ":");
        snprintf(directory, sizeof directory, "%.*s", (int)length, path);
        if (length > 0 && (stat(directory, &status) < 0 || !S_ISDIR(status.st_mode)))
            tri_log(TRI_WARNING, "no module comes from %.300s, which is in the module path: %s", directory,
                    access(directory, F_OK) < 0 ? strerror(errno) : "it is not a directory");
        path += length + (path[length] == ':');
    }
}

static trp_err
start(struct tri_root *root, trp_error *error)
{
    const bool is_private = root->options.mode == TRI_ROOT_PRIVATE;
    const struct sched_param batch = {0};
    if (is_private)
        (void)setpgid(0, 0); /* what the terminal sends is for the driver */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)sched_setscheduler(0, SCHED_BATCH, &batch); /* and so are hosts: who wakes us goes on first, and sends more */
    fill_defaults(root);
    TRP_TRY(raise_descriptors(root, error));
    TRP_TRY(tri_link_context_room(error));
    TRP_TRY(open_descriptors(root, error));
    TRP_TRY(tri_hosts_init(root, error));
    TRP_TRY(tri_home_open(&root->home, root->options.directory, is_private, error));
    TRP_TRY(open_log(root, error));
    if (!tri_home_watch(&root->home))
        tri_log(TRI_WARNING, "should %s be removed, the node does not notice: %s", root->home.path, strerror(errno));
    if (!is_private)
        (void)tri_kept_sweep();
    check_module_path(root->options.module_path);
    TRP_TRY(tri_root_make_arena(root, error));
    TRP_TRY(tri_root_choose_spill(root, error));
    TRP_TRY(tri_root_warm(root, error));
    return tri_keeper_start(root, error);
}

static void
loop(struct tri_root *root)
{
    struct epoll_event events[64];
    while (!root->ending || root->broker_pid != 0) {
        uint64_t now_ns = tri_now_ns();
        if (root->ending && now_ns >= root->end_ns)
            return;
        tri_hosts_sample(root, now_ns);
        watch_writing(root);
        tri_hosts_left_out(root, now_ns);
        int wait_ms = root->limited_count > 0 || root->left_out_ns != 0 ? SAMPLE_WAIT_MS : -1;
        if (root->ending)
            wait_ms = (int)((root->end_ns - now_ns) / TRI_NS_PER_MS) + 1;
        int count = epoll_wait(root->epoll_fd, events, sizeof events / sizeof *events, wait_ms);
        for (int i = 0; i < count; i++) {
            struct tri_watch *watch = events[i].data.ptr;
            if (watch == &root->signals)
                continue; /* last: it frees hosts, whose pipes may be among these events */
            if (watch->fd >= 0)
                watch->ready(root, watch);
        }
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr == &root->signals)
                on_signal(root, &root->signals);
    }
}

static void
finish(struct tri_root *root)
{
    if (root->broker_pid != 0) {
        tri_log(TRI_WARNING, "the broker did not end in time and is killed");
        (void)kill(root->broker_pid, SIGKILL);
    }
    tri_hosts_end(root); /* and the broker: it waits for all children */
    root->broker_pid = 0;
    tri_link_context_end(&root->warm_context);
    tri_root_end_arena(root);
    if (root->ready && root->exit_code == 0 && tri_home_holder(&root->home) == TRI_HOME_OURS)
        tri_kept_clear(root->home.path); /* it was stopped; whatever else ends it, the next node has what it kept */
    tri_root_end_spill(root);
    tri_home_close(&root->home);
    tri_table_fini(&root->hosts);
    free(root->drivers);
    free(root->ended);
}

int
tri_root_main(int argc, char **argv, tri_worker_main_fn *worker, const char *broker_path)
{
    static struct tri_root root; /* one per process; its message buffer is too large for a stack */
    trp_error error;
    root = (struct tri_root){.worker = worker, .broker_path = broker_path, .pid = getpid()};
    tri_list_init(&root.host_list);
    root.home.lock_fd = root.home.watch_fd = root.epoll_fd = root.null_fd = root.error_fd = -1;
    root.signals.fd = root.parent.fd = root.broker.fd = root.control.fd = -1;
    tri_log_setup("troupe-node", TRI_WARNING, STDERR_FILENO);
    if (tri_root_options_parse(argc, argv, &root.options, &error) != TRP_OK) {
        fprintf(stderr, "troupe-node: %s\n", error.message);
        return 2;
    }
    if (root.options.mode == TRI_ROOT_HELP || root.options.mode == TRI_ROOT_VERSION) {
        printf("%s", root.options.mode == TRI_ROOT_HELP ? tri_root_usage : "");
        if (root.options.mode == TRI_ROOT_VERSION)
            printf("troupe-node %d.%d.%d\n", TRP_VERSION_MAJOR, TRP_VERSION_MINOR, TRP_VERSION_PATCH);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    tri_log_setup("troupe-node", root.options.log_level, STDERR_FILENO);
    if (start(&root, &error) != TRP_OK)
        tri_root_start_failed(&root, &error);
    loop(&root);
    finish(&root);
    return root.exit_code;
}
