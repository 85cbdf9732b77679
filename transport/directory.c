/*
 * directory.c - where a node lives, and that nobody else can write there. Any thread. Knows only the directory, not the files.
 */
#include "transport/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The longest of the files whose paths are addresses. */
#define LONGEST_FILE "/broker.sock"

static bool
is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static int
choose(const char *given, char *path, size_t size)
{
    const char *from_environment = getenv("TROUPE_DIR"), *run_time = getenv("XDG_RUNTIME_DIR");

    if (is_given(given))
        return snprintf(path, size, "%s", given);
    if (is_given(from_environment))
        return snprintf(path, size, "%s", from_environment);
    if (is_given(run_time))
        return snprintf(path, size, "%s/troupe", run_time);
    return snprintf(path, size, "/tmp/troupe-%u", (unsigned)geteuid());
}

static trp_err
check_length(const char *path, size_t wanted, size_t size, trp_error *error)
{
    const size_t limit = TRI_SOCKET_PATH_MAX - strlen(LONGEST_FILE);

    if (wanted >= size || wanted > limit)
        return TRI_FAIL(
            error, TRP_EINVAL,
            "the node's directory has a path of %zu bytes, at most %zu are possible, since sockets lie in it: "
            "set TROUPE_DIR to a shorter one (%s)",
            wanted, limit, path);
    return TRP_OK;
}

/* Processes of a node may stand in different directories: the path must mean the same to all. */
static trp_err
make_absolute(char *path, size_t size, trp_error *error)
{
    char *rest;
    size_t start;
    int wanted;

    if (path[0] == '/')
        return TRP_OK;
    rest = strdup(path);
    if (rest == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for a path");
    if (getcwd(path, size) == NULL) {
        free(rest);
        return tri_fail_system(error, TRP_EACCES, errno, "cannot tell which directory this is");
    }
    start = strlen(path);
    wanted = snprintf(path + start, size - start, "/%s", rest);
    free(rest);
    return check_length(path, start + (size_t)wanted, size, error);
}

static trp_err
check(const char *path, trp_error *error)
{
    struct stat status;

    if (lstat(path, &status) != 0)
        return tri_fail_system(error, errno == ENOENT ? TRP_ENOENT : TRP_EACCES, errno,
                               "there is no node's directory %s", path);
    if (!S_ISDIR(status.st_mode))
        return TRI_FAIL(
            error, TRP_EACCES,
            "%s is not a directory (or a symbolic link to one): choose a directory of your own with --dir or "
            "$TROUPE_DIR",
            path);
    if (status.st_uid != geteuid())
        return TRI_FAIL(error, TRP_EACCES, "%s belongs to user %u, this is user %u: set TROUPE_DIR to another path",
                        path, (unsigned)status.st_uid, (unsigned)geteuid());
    if ((status.st_mode & 077) != 0)
        return TRI_FAIL(
            error, TRP_EACCES,
            "%s is open to other users (mode %03o): choose a directory of your own with --dir or $TROUPE_DIR", path,
            (unsigned)status.st_mode & 0777);
    return TRP_OK;
}

trp_err
tri_directory(const char *given, bool make, char *path, size_t size, trp_error *error)
{
    const int wanted = choose(given, path, size);

    TRP_TRY(check_length(path, (size_t)wanted, size, error));
    TRP_TRY(make_absolute(path, size, error));
    if (make && mkdir(path, 0700) != 0 && errno != EEXIST)
        return tri_fail_system(error, TRP_EACCES, errno,
                               "cannot make the node's directory %s; set TROUPE_DIR to one that can be made", path);
    return check(path, error);
}
