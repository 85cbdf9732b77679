/*
 * spill.c - where a node's objects go when its shared memory is short: a directory for each node, beside others of this user.
 * The broker makes it when it first spills; the root names it, removes it in the end, and those of nodes that did not come to that.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "node-"

static bool
is_file(const char *name)
{
    const size_t length = strlen(name);
    return strncmp(name, "troupe-", 7) == 0 && length > 6 && strcmp(name + length - 6, ".spill") == 0;
}

/* Its root has ended, or had our number, or is this one; and no broker has it locked. */
static bool
is_left(int directory, const char *name)
{
    char *end = NULL;
    const long pid = strtol(name + sizeof PREFIX - 1, &end, 10);
    return pid > 0 && *end == '\0' && (pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) &&
           flock(directory, LOCK_EX | LOCK_NB) == 0;
}

static const struct tri_tmp_kind kind = {PREFIX, is_left, is_file};

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
    char parent[sizeof root->spill_directory - 32], usual[TRI_TMP_SIZE];
    if (root->arena.granules == 0 || root->options.no_spill)
        return TRP_OK;
    if (given == NULL && getenv("TROUPE_SPILL_DIR") != NULL && *getenv("TROUPE_SPILL_DIR") != '\0')
        given = getenv("TROUPE_SPILL_DIR");
    const int length = snprintf(parent, sizeof parent, "%s", given != NULL ? given : tri_tmp_path(usual));
    if (length < 0 || (size_t)length >= sizeof parent)
        return TRI_FAIL(error, TRP_EINVAL,
                        "the spill directory has a path of %d bytes, and may have %zu; see "
                        "--spill-dir",
                        length, sizeof parent - 1);
    if (given != NULL)
        TRP_TRY(check_given(parent, error));
    (void)tri_tmp_sweep(parent, &kind);
    (void)snprintf(root->spill_directory, sizeof root->spill_directory, "%s/" PREFIX "%d", parent, (int)getpid());
    return TRP_OK;
}

/* The broker has ended. The parent goes with the last of its nodes, where it is the usual one. */
void
tri_root_end_spill(struct tri_root *root)
{
    char usual[TRI_TMP_SIZE], *slash = strrchr(root->spill_directory, '/');
    if (slash == NULL)
        return;
    *slash = '\0';
    const int parent = open(root->spill_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0) {
        (void)tri_tmp_remove(parent, slash + 1, &kind);
        close(parent);
        if (strcmp(root->spill_directory, tri_tmp_path(usual)) == 0)
            (void)rmdir(root->spill_directory);
    }
    root->spill_directory[0] = '\0';
}
