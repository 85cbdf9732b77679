/*
 * home.c - the directory that a node lives in. A lock on DIR/lock says that a node lives there; whoever finds it free may
 * take or remove what lies there. It knows no process.
 */
#include "broker/node/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char *const files[] = {"broker.sock", "door", "warm.sock", "node.pid"};
static const char private_prefix[] = "troupe-private-";
enum { GRACE_MS = 100, ENDING_MS = 4000 }; /* a root takes at most 3 s to end */
enum { PATH_LIMIT = 107, SOCKET_NAME = sizeof "/broker.sock", NEW_DIRECTORY_S = 60 };

static trp_err
fail_at(trp_error *error, int errnum, const char *what, const char *path)
{
    const trp_err code = tri_errno_code(errnum, TRP_EINVAL);
    const char *remedy = code == TRP_EACCES ? "" : tri_errno_remedy(errnum);
    return TRI_FAIL(error, code, "cannot %s %s: %s; %s%schoose %s with --dir or $TROUPE_DIR", what, path,
                    strerror(errnum), remedy, remedy[0] != '\0' ? ", or " : "",
                    code == TRP_EACCES ? "a directory of your own" : "another directory");
}

/* The pid of the node in `path`, as its file says; 0: it does not say. */
static int
read_pid(const char *path, bool *ending)
{
    char name[sizeof((struct tri_home *)0)->path + 16], word[8] = "";
    int pid = 0;
    *ending = false;
    snprintf(name, sizeof name, "%s/node.pid", path);
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d %7s", &pid, word) < 1)
        pid = 0;
    fclose(file);
    *ending = strcmp(word, "ending") == 0;
    return pid;
}

static trp_err
write_pid(const struct tri_home *home, trp_error *error)
{
    char name[sizeof home->path + 16], text[32];
    snprintf(name, sizeof name, "%s/node.pid", home->path);
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_at(error, errno, "write", name);
    ssize_t written = write(fd, text, (size_t)size);
    int errnum = written < 0 ? errno : ENOSPC;
    if (close(fd) < 0 && written == size) {
        errnum = errno;
        written = -1;
    }
    return written == size ? TRP_OK : fail_at(error, errnum, "write", name);
}

enum tri_home_holder
tri_home_holder(const struct tri_home *home)
{
    char name[sizeof home->path + 16];
    struct stat ours, there;
    snprintf(name, sizeof name, "%s/lock", home->path);
    if (lstat(name, &there) < 0 || fstat(home->lock_fd, &ours) < 0)
        return TRI_HOME_NOBODYS;
    return ours.st_ino == there.st_ino && ours.st_dev == there.st_dev ? TRI_HOME_OURS : TRI_HOME_ANOTHERS;
}

/* dnotify, which is older than inotify and says less: closing an inotify descriptor takes the kernel up to 40 ms (measured), as
 * long as a private node lives in a short program. */
bool
tri_home_watch(struct tri_home *home)
{
    home->watch_fd = open(home->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return home->watch_fd >= 0 && fcntl(home->watch_fd, F_NOTIFY, DN_DELETE | DN_RENAME | DN_MULTISHOT) == 0;
}

/* For whoever wants to take the directory: it waits then. Should this fail, it is told that a node lives here. */
void
tri_home_ending(const struct tri_home *home)
{
    char name[sizeof home->path + 16];
    snprintf(name, sizeof name, "%s/node.pid", home->path);
    const bool ours = home->lock_fd >= 0 && tri_home_holder(home) == TRI_HOME_OURS;
    int fd = ours ? open(name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0)
        return;
    if (write(fd, "ending\n", 7) != 7)
        tri_log(TRI_DEBUG, "cannot write %s: %s", name, strerror(errno));
    close(fd);
}

/* Takes DIR/lock. 0: taken, *fd is set; EWOULDBLOCK: held; else errno. The file may have been removed by a sweep between
 * opening and locking it: then it is not the one that others see. */
static int
lock_directory(const char *path, bool make, int *fd)
{
    char name[sizeof((struct tri_home *)0)->path + 16];
    snprintf(name, sizeof name, "%s/lock", path);
    for (;;) {
        struct stat ours, theirs;
        *fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
        if (*fd < 0)
            return errno;
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0 && fstat(*fd, &ours) == 0) {
            if (stat(name, &theirs) == 0 && ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
                return 0;
            close(*fd);
            continue;
        }
        int errnum = errno;
        close(*fd);
        return errnum;
    }
}

/* Whether a node made the directory, so that the last one to leave it removes it. */
static bool
was_made(int lock_fd)
{
    char text[4];
    return pread(lock_fd, text, sizeof text, 0) == (ssize_t)sizeof text && memcmp(text, "made", sizeof text) == 0;
}

/* For whoever removes it, should we be killed. */
static trp_err
mark_made(const struct tri_home *home, trp_error *error)
{
    ssize_t size = pwrite(home->lock_fd, "made", 4, 0);
    if (size == 4)
        return TRP_OK;
    return fail_at(error, size < 0 ? errno : ENOSPC, "write the lock in", home->path);
}

void
tri_home_unlink_sockets(const struct tri_home *home)
{
    char name[sizeof home->path + 16];
    snprintf(name, sizeof name, "%s/broker.sock", home->path);
    (void)unlink(name);
    snprintf(name, sizeof name, "%s/door", home->path);
    (void)unlink(name);
}

/* What a node leaves; the lock goes last. */
static void
remove_files(const char *path, bool and_lock)
{
    char name[sizeof((struct tri_home *)0)->path + 16];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "%s/%s", path, files[i]);
        (void)unlink(name);
    }
    if (and_lock) {
        snprintf(name, sizeof name, "%s/lock", path);
        (void)unlink(name);
    }
}

/* Whether its node has not taken the directory yet, which is brand-new: there is no lock, or one that says nothing. */
static bool
is_being_taken(const char *path, const struct stat *status)
{
    char name[PATH_LIMIT + sizeof "/lock"];
    struct stat lock;
    snprintf(name, sizeof name, "%.*s/lock", PATH_LIMIT, path);
    return time(NULL) - status->st_mtime < NEW_DIRECTORY_S && (stat(name, &lock) < 0 || lock.st_size == 0);
}

/* Whether a private node's directory may go: ours, and taken by a node once whose lock is free. One that is being taken is not
 * even locked to look at it: its node would find the lock held. */
static bool
sweep_one(const char *path)
{
    struct stat status;
    int lock_fd = -1;
    if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
        is_being_taken(path, &status))
        return false;
    int errnum = lock_directory(path, false, &lock_fd);
    if (errnum != 0 && errnum != ENOENT)
        return false;
    remove_files(path, true);
    bool removed = rmdir(path) == 0;
    if (lock_fd >= 0)
        close(lock_fd);
    return removed;
}

unsigned
tri_home_sweep(const char *parent)
{
    unsigned count = 0;
    DIR *directory = opendir(parent);
    if (directory == NULL)
        return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char path[sizeof((struct tri_home *)0)->path + sizeof entry->d_name];
        if (strncmp(entry->d_name, private_prefix, sizeof private_prefix - 1) != 0)
            continue;
        int size = snprintf(path, sizeof path, "%s/%s", parent, entry->d_name);
        if (size > 0 && size <= PATH_LIMIT - SOCKET_NAME)
            count += sweep_one(path);
    }
    closedir(directory);
    return count;
}

static void
sweep_beside(const char *path)
{
    char parent[sizeof((struct tri_home *)0)->path];
    tri_text_copy(parent, sizeof parent, path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return;
    slash[slash == parent] = '\0';
    unsigned count = tri_home_sweep(parent);
    if (count > 0)
        tri_log(TRI_INFO, "removed %u private nodes that had died, in %s", count, parent);
}

/* The full path, so that it stays right for whoever runs elsewhere. */
static trp_err
find_path(struct tri_home *home, const char *given, trp_error *error)
{
    char path[sizeof home->path];
    struct stat status;
    home->made = given != NULL && lstat(given, &status) < 0 && errno == ENOENT;
    if (given != NULL && strlen(given) + SOCKET_NAME - 1 > PATH_LIMIT)
        return TRI_FAIL(
            error, TRP_EINVAL,
            "the directory's path has %zu bytes, but sockets lie in it whose paths end at %d: choose one of "
            "at most %d bytes with --dir or $TROUPE_DIR: %.200s",
            strlen(given), PATH_LIMIT, PATH_LIMIT - SOCKET_NAME + 1, given);
    TRP_TRY(tri_directory(given, true, path, sizeof path, error));
    char *full = realpath(path, NULL);
    if (full == NULL && errno == ENOENT)
        return tri_fail_errno(error, TRP_ENOENT, errno, "cannot enter %s", path);
    if (full == NULL)
        return fail_at(error, errno, "enter", path);
    bool fits = strlen(full) + SOCKET_NAME - 1 <= PATH_LIMIT;
    trp_err err = fits ? TRP_OK
                       : TRI_FAIL(error, TRP_EINVAL,
                                  "the directory's path %.200s is too long for the sockets in it: choose one of at "
                                  "most %d bytes with --dir or $TROUPE_DIR",
                                  full, PATH_LIMIT - SOCKET_NAME + 1);
    if (fits)
        tri_text_copy(home->path, sizeof home->path, full);
    free(full);
    return err;
}

static void
await_process(int pid, int wait_ms)
{
    struct pollfd poller = {.fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, .events = POLLIN};
    if (poller.fd < 0)
        return;
    while (poll(&poller, 1, wait_ms) < 0 && errno == EINTR) /* signals are blocked in a root */
        continue;
    close(poller.fd);
}

/* The lock is held: by a node that lives, that was told to end a moment ago, or that is ending. Those that end are waited for. */
static void
await_end(const char *path)
{
    bool ending;
    int pid = read_pid(path, &ending);
    await_process(pid, GRACE_MS);
    pid = read_pid(path, &ending);
    if (ending)
        await_process(pid, ENDING_MS);
}

static trp_err
fail_held(const struct tri_home *home, trp_error *error)
{
    bool ending;
    int pid = read_pid(home->path, &ending);
    if (ending)
        return TRI_FAIL(
            error, TRP_EALREADY,
            "the node in %s (process %d) is ending, and has not within %d s: try again, or end it with kill "
            "-9 %d",
            home->path, pid, ENDING_MS / 1000, pid);
    return TRI_FAIL(
        error, TRP_EALREADY,
        "a node lives in %s (process %d): end it with `troupe stop`, or choose another directory with --dir or "
        "$TROUPE_DIR",
        home->path, pid);
}

/* Finds or makes the directory and takes its lock. A node that ends may take the directory away meanwhile: then again. */
static trp_err
take_directory(struct tri_home *home, const char *given, int *errnum, trp_error *error)
{
    bool waited = false;
    trp_err err = TRP_OK;
    for (int tries = 0; tries < 8; tries++) {
        err = find_path(home, given, error);
        if (err == TRP_ENOENT)
            continue; /* it was taken away between two looks */
        TRP_TRY(err);
        *errnum = lock_directory(home->path, true, &home->lock_fd);
        if (*errnum != 0)
            home->lock_fd = -1;
        bool ending;
        const bool is_held = *errnum == EWOULDBLOCK, has_pid = is_held && read_pid(home->path, &ending) != 0;
        if (*errnum != ENOENT && (!is_held || (waited && has_pid)))
            break;
        if (has_pid)
            await_end(home->path);
        else if (is_held)
            (void)poll(NULL, 0, 10); /* it has removed its files and is about to let go, or writes its first */
        waited = waited || has_pid;
    }
    return err;
}

trp_err
tri_home_open(struct tri_home *home, const char *given, bool is_private, trp_error *error)
{
    int errnum = 0;
    *home = (struct tri_home){.lock_fd = -1, .watch_fd = -1};
    TRP_TRY(take_directory(home, given, &errnum, error));
    if (errnum == EWOULDBLOCK)
        return fail_held(home, error);
    if (errnum != 0)
        return fail_at(error, errnum, "lock", home->path);
    remove_files(home->path, false);
    home->made = was_made(home->lock_fd) || home->made || is_private;
    trp_err err = home->made ? mark_made(home, error) : TRP_OK;
    if (err == TRP_OK)
        err = write_pid(home, error);
    if (err != TRP_OK) {
        tri_home_close(home);
        return err;
    }
    if (is_private)
        sweep_beside(home->path);
    return TRP_OK;
}

/* What is kept waits for the next node, and with it the directory, and the lock that says who made that. */
static void
leave(const char *path, bool made)
{
    const bool stays = tri_kept_any(path);
    if (!stays)
        tri_kept_clear(path);
    remove_files(path, !stays);
    if (made && !stays && rmdir(path) < 0 && errno != ENOENT && errno != ENOTEMPTY) /* a log may lie there */
        tri_log(TRI_WARNING, "cannot remove %s: %s", path, strerror(errno));
}

/* Where the lock is gone: whether the directory is that one still, or one that the next node has made and not locked yet. */
static bool
is_same_directory(const struct tri_home *home)
{
    struct stat ours, there;
    return home->watch_fd >= 0 && fstat(home->watch_fd, &ours) == 0 && lstat(home->path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

void
tri_home_close(struct tri_home *home)
{
    if (home->lock_fd < 0)
        return;
    const enum tri_home_holder holder = tri_home_holder(home);
    if (holder == TRI_HOME_OURS || (holder == TRI_HOME_NOBODYS && is_same_directory(home)))
        leave(home->path, home->made);
    close(home->lock_fd);
    if (home->watch_fd >= 0)
        close(home->watch_fd);
    home->lock_fd = home->watch_fd = -1;
}

void
tri_home_remove_dead(const char *path, int root_pid)
{
    int lock_fd = -1;
    await_process(root_pid, GRACE_MS); /* its sockets may close before its lock */
    int errnum = lock_directory(path, false, &lock_fd);
    if (errnum != 0)
        return; /* another node has taken it, or removed it */
    leave(path, was_made(lock_fd));
    close(lock_fd);
}
