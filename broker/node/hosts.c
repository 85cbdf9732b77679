/*
 * hosts.c - the hosts of a node: forked warm, watched, killed, collected. What a host did last stands on the page that it
 * shares with us; what it printed last, in its lines. From both the death record is made.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BY_TOKEN = 1, BY_PID = 2, SAMPLE_MS = 50, LEFT_OUT_MS = 500, QUEUE_MAX = 8 * 1024 * 1024 };
/* Above memory_bytes and what it begins with: stacks of threads, and what it may get before we have seen it. */
#define MEMORY_SLACK (UINT64_C(96) * 1024 * 1024)

trp_err
tri_hosts_init(struct tri_root *root, trp_error *error)
{
    if (tri_table_init(&root->hosts, tri_random_secret()) != TRP_OK)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the table of hosts");
    return TRP_OK;
}

struct tri_hosted *
tri_hosts_find(const struct tri_root *root, uint64_t token)
{
    struct tri_entry *entry = tri_table_find(&root->hosts, (struct tri_id){BY_TOKEN, token});
    return entry != NULL ? TRI_OWNER(entry, struct tri_hosted, by_token) : NULL;
}

static struct tri_hosted *
find_pid(const struct tri_root *root, pid_t pid)
{
    struct tri_entry *entry = tri_table_find(&root->hosts, (struct tri_id){BY_PID, (uint64_t)pid});
    return entry != NULL ? TRI_OWNER(entry, struct tri_hosted, by_pid) : NULL;
}

/* ----------------------------------------------------------------------------------------------------------- lines */

/* To the broker, which knows who should see it; without one, or where it does not keep up, to the log. */
static void
send_line(struct tri_root *root, struct tri_hosted *host, int number, const char *line)
{
    struct tri_control_line message = {.head = {.kind = TRI_CONTROL_LINE, .token = host->token},
                                       .pid = (int32_t)host->pid,
                                       .stream = (uint32_t)number};
    if (root->broker_pid != 0 && root->control.waiting_bytes < QUEUE_MAX) {
        tri_keeper_send(root, &message, sizeof message, &line, 1);
        return;
    }
    enum tri_level level = TRI_INFO;
    line = tri_log_text(line, &level);
    tri_log(level, "(%s pid=%d) %s", host->label, (int)host->pid, line);
}

struct line_context {
    struct tri_root *root;
    struct tri_stream *stream;
};

static void
say_left_out(struct tri_root *root, struct tri_hosted *host, int number)
{
    char text[64];
    if (host->rate.left_out == 0)
        return;
    snprintf(text, sizeof text, "... %llu lines left out", (unsigned long long)host->rate.left_out);
    host->rate.left_out = 0;
    send_line(root, host, number, text);
}

static void
on_line(void *user, const char *line)
{
    struct line_context *context = user;
    struct tri_hosted *host = context->stream->host;
    if (host->recent == NULL)
        host->recent = calloc(1, sizeof *host->recent);
    if (host->recent != NULL)
        tri_recent_add(host->recent, line);
    uint64_t left_out = host->rate.left_out;
    const uint64_t now_ns = tri_now_ns();
    if (!tri_rate_take(&host->rate, now_ns)) {
        if (context->root->left_out_ns == 0)
            context->root->left_out_ns = now_ns + LEFT_OUT_MS * TRI_NS_PER_MS;
        return;
    }
    if (left_out > 0)
        say_left_out(context->root, host, context->stream->number);
    send_line(context->root, host, context->stream->number, line);
}

/* Also of those that print nothing more. */
void
tri_hosts_left_out(struct tri_root *root, uint64_t now_ns)
{
    if (root->left_out_ns == 0 || now_ns < root->left_out_ns)
        return;
    root->left_out_ns = 0;
    for (struct tri_node *node = root->host_list.next; node != &root->host_list; node = node->next)
        say_left_out(root, TRI_OWNER(node, struct tri_hosted, link), STDERR_FILENO);
}

static void
close_stream(struct tri_root *root, struct tri_stream *stream)
{
    struct line_context context = {root, stream};
    tri_lines_flush(&stream->lines, on_line, &context);
    if (stream->watch.fd >= 0)
        tri_root_unwatch(root, &stream->watch);
}

/* One read, or until nothing is left. */
static void
read_stream(struct tri_root *root, struct tri_stream *stream, bool all)
{
    char data[16384];
    struct line_context context = {root, stream};
    while (stream->watch.fd >= 0) {
        ssize_t size = read(stream->watch.fd, data, sizeof data);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            close_stream(root, stream);
            return;
        }
        tri_lines_feed(&stream->lines, data, (size_t)size, on_line, &context);
        if (!all)
            return;
    }
}

static void
on_stream(struct tri_root *root, struct tri_watch *watch)
{
    read_stream(root, TRI_OWNER(watch, struct tri_stream, watch), false);
}

/* ------------------------------------------------------------------------------------------------------------ fork */

static void
host_free(struct tri_root *root, struct tri_hosted *host)
{
    for (int i = 0; i < 2; i++)
        close_stream(root, &host->streams[i]);
    if (host->progress != NULL)
        munmap(host->progress, TRI_PROGRESS_SIZE);
    free(host->recent);
    free(host);
}

/* A host with its page and pipes; ends[]: what it will write to. */
static trp_err
host_new(struct tri_root *root, const char *label, int ends[2], struct tri_hosted **host, trp_error *error)
{
    struct tri_hosted *made = calloc(1, sizeof *made);
    ends[0] = ends[1] = -1;
    if (made == NULL || tri_table_reserve(&root->hosts, 2) != TRP_OK) {
        free(made);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a host");
    }
    tri_text_copy(made->label, sizeof made->label, label);
    for (int i = 0; i < 2; i++)
        made->streams[i] = (struct tri_stream){.watch = {on_stream, -1}, .host = made, .number = i + 1};
    void *page = mmap(NULL, TRI_PROGRESS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    made->progress = page != MAP_FAILED ? page : NULL;
    trp_err err = page != MAP_FAILED ? TRP_OK : tri_fail_system(error, TRP_ENOMEM, errno, "no memory for a host");
    for (int i = 0; i < 2 && err == TRP_OK; i++) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) < 0) {
            err = tri_fail_system(error, TRP_ELIMIT, errno, "no pipe for a host's output");
            break;
        }
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
        made->streams[i].watch.fd = fds[0];
        ends[i] = fds[1];
        err = tri_root_watch(root, &made->streams[i].watch, error);
    }
    if (err != TRP_OK) {
        for (int i = 0; i < 2; i++)
            if (ends[i] >= 0)
                close(ends[i]);
        host_free(root, made);
        return err;
    }
    *host = made;
    return TRP_OK;
}

static void
default_signals(const sigset_t *handled)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        if (sigismember(handled, number) == 1)
            (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Pages of /proc/PID/statm in bytes: all that is resident, what of it is shared, and what it may write to. */
static bool
read_statm(pid_t pid, uint64_t *resident, uint64_t *shared, uint64_t *data)
{
    char path[40];
    unsigned long long pages[3];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    int count = fscanf(file, "%*u %llu %llu %*u %*u %llu", &pages[0], &pages[1], &pages[2]);
    fclose(file);
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *resident = pages[0] * page;
    *shared = pages[1] * page;
    *data = pages[2] * page;
    return count == 3;
}

/* The wall behind the limit: what is asked for beyond it is refused before it can do harm. */
static void
limit_memory(uint64_t memory_bytes)
{
    uint64_t resident, shared, data;
    struct rlimit limit;
    if (memory_bytes == 0 || !read_statm(getpid(), &resident, &shared, &data))
        return;
    limit.rlim_cur = limit.rlim_max = data + memory_bytes + MEMORY_SLACK;
    if (setrlimit(RLIMIT_DATA, &limit) < 0)
        perror("troupe-worker: cannot set the memory limit");
}

/* In the child: becomes a host. Everything that could fail here leaves a line in its output. */
_Noreturn static void
become_host(const struct tri_root *root, const struct tri_hosted *host, const int ends[2], const char *const *env,
            uint32_t env_count)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != root->pid)
        _exit(1); /* the root died before it said so */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_NAME, "troupe-worker");
    (void)dup2(root->null_fd, STDIN_FILENO);
    (void)dup2(ends[0], STDOUT_FILENO);
    (void)dup2(ends[1], STDERR_FILENO);
    (void)close_range(3, ~0u, 0);
    default_signals(&root->handled);
    limit_memory(host->memory_bytes);
    for (uint32_t i = 0; i + 1 < env_count; i += 2)
        if (setenv(env[i], env[i + 1], 1) < 0)
            fprintf(stderr, "troupe-worker: cannot set the variable '%s': %s\n", env[i], strerror(errno));
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    struct tri_worker_start start = {.directory = root->home.path,
                                     .module_path = root->options.module_path,
                                     .token = host->token,
                                     .progress = host->progress,
                                     .log_level = root->options.log_level,
                                     .is_private = root->options.mode == TRI_ROOT_PRIVATE};
    int code = root->worker(&start);
    (void)fflush(NULL);
    _exit(code);
}

/* What fork does for locks that other threads may hold is for nothing here: there are none, and it costs each fork 15 page
 * faults. A sanitizer has to see it. */
static pid_t
fork_root(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return fork();
#else
    return _Fork();
#endif
}

static void
add(struct tri_root *root, struct tri_hosted *host)
{
    host->by_token.id = (struct tri_id){BY_TOKEN, host->token};
    host->by_pid.id = (struct tri_id){BY_PID, (uint64_t)host->pid};
    tri_table_insert(&root->hosts, &host->by_token);
    tri_table_insert(&root->hosts, &host->by_pid);
    tri_list_append(&root->host_list, &host->link);
    root->host_count++;
    if (host->memory_bytes != 0)
        root->limited_count++;
}

trp_err
tri_hosts_fork(struct tri_root *root, uint64_t token, uint64_t memory_bytes, const char *label, const char *const *env,
               uint32_t env_count, pid_t *pid, trp_error *error)
{
    struct tri_hosted *host = NULL;
    int ends[2];
    if (tri_hosts_find(root, token) != NULL)
        return TRI_FAIL(error, TRP_EALREADY, "there is a host %llu", (unsigned long long)token);
    TRP_TRY(host_new(root, label, ends, &host, error));
    host->token = token;
    host->memory_bytes = memory_bytes;
    host->tailored = memory_bytes != 0 || env_count > 0;
    host->pid = fork_root();
    int errnum = errno;
    if (host->pid == 0)
        become_host(root, host, ends, env, env_count);
    close(ends[0]);
    close(ends[1]);
    (void)madvise(host->progress, TRI_PROGRESS_SIZE,
                  MADV_DONTFORK); /* no later host sees, or pays for, this one's page */
    if (host->pid < 0) {
        host_free(root, host);
        return tri_fail_system(error, TRP_ELIMIT, errnum, "cannot fork a host");
    }
    (void)setpgid(host->pid, host->pid); /* also done by the child: whoever comes first */
    add(root, host);
    *pid = host->pid;
    return TRP_OK;
}

/* ----------------------------------------------------------------------------------------------------------- death */

void
tri_hosts_kill(struct tri_hosted *host, const char *rule)
{
    if (host->rule[0] == '\0')
        tri_text_copy(host->rule, sizeof host->rule, rule);
    (void)kill(host->pid, SIGKILL);
}

static uint64_t
private_bytes(pid_t pid)
{
    uint64_t resident, shared, data;
    return read_statm(pid, &resident, &shared, &data) && resident > shared ? resident - shared : 0;
}

void
tri_hosts_sample(struct tri_root *root, uint64_t now_ns)
{
    if (root->limited_count == 0 || now_ns < root->next_sample_ns)
        return;
    root->next_sample_ns = now_ns + SAMPLE_MS * TRI_NS_PER_MS;
    for (struct tri_node *node = root->host_list.next; node != &root->host_list; node = node->next) {
        struct tri_hosted *host = TRI_OWNER(node, struct tri_hosted, link);
        if (host->memory_bytes == 0 || host->over_memory || private_bytes(host->pid) <= host->memory_bytes)
            continue;
        char rule[96];
        snprintf(rule, sizeof rule, "it held more than its memory limit of %llu bytes",
                 (unsigned long long)host->memory_bytes);
        host->over_memory = true;
        tri_hosts_kill(host, rule);
    }
}

/* A text of the shared page, which a broken host may have left without an end. */
static char *
page_text(char *dest, size_t size, const char *text, size_t text_size)
{
    size_t length = strnlen(text, text_size < size ? text_size : size - 1);
    memcpy(dest, text, length);
    dest[length] = '\0';
    return dest;
}

/* What it ran when it died; "": nothing. */
static void
format_last_call(char *text, size_t size, const struct tri_progress *page)
{
    char module[64 + 1], method[272 + 1];
    const uint64_t started = atomic_load(&page->started);
    text[0] = '\0';
    if (page->method[0] == '\0' || (started > 0 && started == atomic_load(&page->finished)))
        return;
    page_text(module, sizeof module, page->module, sizeof page->module);
    page_text(method, sizeof method, page->method, sizeof page->method);
    snprintf(text, size, " in %s%s%s", strchr(method, ':') == NULL ? module : "",
             strchr(method, ':') == NULL ? ":" : "", method);
}

/* One line of the log: who ended, how, and at what. */
static void
log_exit(const struct tri_root *root, const struct tri_hosted *host, const siginfo_t *info)
{
    const struct tri_progress *page = host->progress;
    const bool by_signal = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
    const int crash = atomic_load(&page->crash_signal), number = crash > 0 && crash < NSIG ? crash : info->si_status;
    const bool tasks = strcmp(host->label, "tasks") == 0, spare = strcmp(host->label, "spare") == 0;
    const bool quiet = root->ending || (!by_signal && info->si_status == 0);
    const enum tri_level level = quiet ? TRI_DEBUG : TRI_INFO;
    char who[TRI_NAME_MAX + 64], where[400], why[sizeof page->failure + 1];
    snprintf(who, sizeof who, "%s%s%s (process %d)",
             tasks   ? "a task host"
             : spare ? "a spare host"
                     : "actor '",
             tasks || spare ? "" : host->label, tasks || spare ? "" : "'", (int)host->pid);
    format_last_call(where, sizeof where, page);
    page_text(why, sizeof why, page->failure, sizeof page->failure);
    tri_text_clean(where, strlen(where));
    tri_text_clean(why, strlen(why));
    if (host->rule[0] != '\0' && by_signal && number == SIGKILL)
        tri_log(level, "%s was killed%s: %s", who, where, host->rule);
    else if (by_signal)
        tri_log(level, "%s was ended by SIG%s%s", who, sigabbrev_np(number) != NULL ? sigabbrev_np(number) : "?",
                where);
    else if (why[0] != '\0')
        tri_log(level, "%s could not be made: %s", who, why);
    else
        tri_log(level, "%s has exited with status %d%s", who, info->si_status, info->si_status != 0 ? where : "");
}

static void
send_exited(struct tri_root *root, const struct tri_hosted *host, const siginfo_t *info, const struct rusage *usage)
{
    char module[64 + 1], actor[272 + 1], method[272 + 1], backtrace[TRI_BACKTRACE_SIZE + 1];
    char output[TRI_RECENT_LINES * TRI_RECENT_WIDTH + 1] = "";
    const struct tri_progress *page = host->progress;
    bool by_signal = info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED;
    int32_t crash = atomic_load(&page->crash_signal);
    if (host->recent != NULL)
        tri_recent_format(host->recent, output, sizeof output);
    struct tri_control_exited exited = {
        .head = {.kind = TRI_CONTROL_EXITED, .token = host->token},
        .pid = (int32_t)host->pid,
        .exit_code = by_signal ? -1 : info->si_status,
        .signal = by_signal ? info->si_status : 0,
        .memory_limit = host->over_memory || (host->memory_bytes != 0 && (by_signal || info->si_status != 0) &&
                                              (uint64_t)usage->ru_maxrss * 1024 >= host->memory_bytes),
        .sequence = atomic_load(&page->sequence),
        .started = atomic_load(&page->started),
        .finished = atomic_load(&page->finished),
        .resident = {atomic_load(&page->actor_space), atomic_load(&page->actor_number)},
        .ran_tasks = atomic_load(&page->ran_tasks) != 0,
    };
    if (crash > 0 && crash < NSIG && exited.signal != SIGKILL) {
        exited.signal = crash;
        exited.exit_code = -1;
    }
    bool idle = exited.started == exited.finished && exited.started > 0; /* the page has what ran before */
    if (idle)
        exited.sequence = 0;
    bool ours = host->rule[0] != '\0' && exited.signal == SIGKILL;
    const char *texts[] = {
        idle ? "" : page_text(module, sizeof module, page->module, sizeof page->module),
        page_text(actor, sizeof actor, page->actor[0] != '\0' ? page->actor : host->label, sizeof page->actor),
        idle ? "" : page_text(method, sizeof method, page->method, sizeof page->method),
        page_text(backtrace, sizeof backtrace, page->backtrace, sizeof page->backtrace),
        output,
        ours ? host->rule : "",
    };
    tri_keeper_send(root, &exited, sizeof exited, texts, sizeof texts / sizeof *texts);
}

/* It never was a host: whoever waits for it hears what it lacked. */
static void
send_unstarted(struct tri_root *root, const struct tri_hosted *host, trp_err code)
{
    char why[sizeof host->progress->failure + 1];
    struct tri_control_head failed = {.kind = TRI_CONTROL_FORK_FAILED, .token = host->token, .number = code};
    const char *text = page_text(why, sizeof why, host->progress->failure, sizeof host->progress->failure);
    tri_text_clean(why, strlen(why));
    tri_keeper_send(root, &failed, sizeof failed, &text, 1);
}

static void
collect_host(struct tri_root *root, struct tri_hosted *host, const siginfo_t *info, const struct rusage *usage)
{
    for (int i = 0; i < 2; i++) {
        read_stream(root, &host->streams[i], true);
        close_stream(root, &host->streams[i]);
    }
    say_left_out(root, host, 2);
    tri_table_remove(&root->hosts, &host->by_token);
    tri_table_remove(&root->hosts, &host->by_pid);
    tri_list_remove(&host->link);
    root->host_count--;
    if (host->memory_bytes != 0)
        root->limited_count--;
    const struct tri_progress *page = host->progress;
    if (host->rule[0] == '\0')
        tri_text_clean(page_text(host->rule, sizeof host->rule, page->rule, sizeof page->rule),
                       strnlen(page->rule, sizeof page->rule));
    tri_keeper_ended(root, (struct tri_id){atomic_load(&page->actor_space), atomic_load(&page->actor_number)});
    root->tasks_lost |= atomic_load(&page->ran_tasks) != 0;
    log_exit(root, host, info);
    const int32_t unstarted = atomic_load(&page->unstarted);
    if (root->broker_pid != 0 && unstarted > 0 && unstarted < TRP_ERR_LAST_)
        send_unstarted(root, host, (trp_err)unstarted);
    else if (root->broker_pid != 0)
        send_exited(root, host, info, usage);
    host_free(root, host);
}

void
tri_hosts_collect(struct tri_root *root)
{
    for (;;) {
        siginfo_t info = {0};
        struct rusage usage = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct tri_hosted *host = find_pid(root, info.si_pid);
        int status = 0;
        if (host != NULL)
            (void)kill(-info.si_pid, SIGKILL); /* what it started goes with it; its number is not free before wait4 */
        (void)wait4(info.si_pid, &status, 0, &usage);
        if (host != NULL)
            collect_host(root, host, &info, &usage);
        else if (info.si_pid == root->broker_pid)
            tri_keeper_died(root, status);
    }
}

/* Processes that hosts left behind are ours by now (PR_SET_CHILD_SUBREAPER). */
static bool
kill_children(void)
{
    char path[64];
    int pid;
    bool any = false;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fscanf(file, "%d", &pid) == 1) {
        (void)kill(pid, SIGKILL);
        any = true;
    }
    fclose(file);
    return any;
}

void
tri_hosts_end(struct tri_root *root)
{
    while (!tri_list_empty(&root->host_list)) {
        struct tri_hosted *host = TRI_OWNER(root->host_list.next, struct tri_hosted, link);
        siginfo_t info = {.si_code = CLD_KILLED, .si_status = SIGKILL};
        struct rusage usage = {0};
        (void)kill(-host->pid, SIGKILL);
        (void)kill(host->pid, SIGKILL);
        (void)waitpid(host->pid, NULL, 0);
        collect_host(root, host, &info, &usage);
    }
    while (kill_children() && (waitpid(-1, NULL, 0) > 0 || errno == EINTR))
        continue;
}
