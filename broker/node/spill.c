/*
 * spill.c - where a node's objects go when its shared memory is short: a directory for each node, beside others of this user.
 * The broker makes it when it first spills; the root names it, removes it in the end, and those of nodes that did not come to that.
 */
#include "broker/node/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char prefix[] = "node-";

/* The files of one directory that nobody has locked, and itself. Only what a broker would have made. */
static void
remove_at(int parent, const char *name)
{
    struct stat stat;
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (fstat(fd, &stat) != 0 || stat.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return;
    }
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *files = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;
    while (files != NULL && (entry = readdir(files)) != NULL) {
        const size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, "troupe-", 7) == 0 && length > 6 &&
            strcmp(entry->d_name + length - 6, ".spill") == 0)
            (void)unlinkat(fd, entry->d_name, 0);
    }
    if (files != NULL)
        (void)closedir(files);
    else if (copy >= 0)
        close(copy);
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        tri_log(TRI_WARNING, "cannot remove the spill directory %s: %s", name, strerror(errno));
    close(fd);
}

/* Those whose root has ended; and one that had our number. */
static void
sweep(const char *parent)
{
    const int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *nodes = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (nodes == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(nodes)) != NULL) {
        char *end = NULL;
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0)
            continue;
        const long pid = strtol(entry->d_name + sizeof prefix - 1, &end, 10);
        if (pid > 0 && *end == '\0' && (pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)))
            remove_at(fd, entry->d_name);
    }
    (void)closedir(nodes);
}

/* One that was asked for has to do. */
static trp_err
check_given(const char *parent, trp_error *error)
{
    struct stat stat;
    if (*parent != '/')
        return TRI_FAIL(error, TRP_EINVAL, "the spill directory is '%.300s', but must be a full path; see --spill-dir",
                        parent);
    if (mkdir(parent, 0700) != 0 && errno != EEXIST)
        return tri_fail_errno(error, TRP_EACCES, errno, "cannot make the spill directory %.300s; see --spill-dir",
                              parent);
    if (lstat(parent, &stat) != 0 || !S_ISDIR(stat.st_mode) || access(parent, W_OK | X_OK) != 0)
        return TRI_FAIL(error, TRP_EACCES,
                        "the spill directory %.300s is no directory that can be written to; see "
                        "--spill-dir",
                        parent);
    return TRP_OK;
}

trp_err
tri_root_choose_spill(struct tri_root *root, trp_error *error)
{
    const char *given = root->options.spill_directory;
    char parent[sizeof root->spill_directory - 32];
    if (root->arena.granules == 0 || root->options.no_spill)
        return TRP_OK;
    if (given == NULL && getenv("TROUPE_SPILL_DIR") != NULL && *getenv("TROUPE_SPILL_DIR") != '\0')
        given = getenv("TROUPE_SPILL_DIR");
    const int length = given != NULL ? snprintf(parent, sizeof parent, "%s", given)
                                     : snprintf(parent, sizeof parent, "/var/tmp/troupe-%u", (unsigned)geteuid());
    if (length < 0 || (size_t)length >= sizeof parent)
        return TRI_FAIL(error, TRP_EINVAL,
                        "the spill directory has a path of %d bytes, and may have %zu; see "
                        "--spill-dir",
                        length, sizeof parent - 1);
    if (given != NULL)
        TRP_TRY(check_given(parent, error));
    sweep(parent);
    (void)snprintf(root->spill_directory, sizeof root->spill_directory, "%s/%s%d", parent, prefix, (int)getpid());
    return TRP_OK;
}

/* The broker has ended. The parent goes with the last of its nodes, where it is the usual one. */
void
tri_root_end_spill(struct tri_root *root)
{
    char *slash = strrchr(root->spill_directory, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    const int parent = open(root->spill_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        remove_at(parent, slash + 1);
        close(parent);
        if (root->options.spill_directory == NULL && getenv("TROUPE_SPILL_DIR") == NULL)
            (void)rmdir(root->spill_directory);
    }
    root->spill_directory[0] = '\0';
}
