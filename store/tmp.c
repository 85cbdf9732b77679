/*
 * tmp.c - tmp.h.
 */
#include "store/tmp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *
tri_tmp_path(char path[TRI_TMP_SIZE])
{
    (void)snprintf(path, TRI_TMP_SIZE, "/var/tmp/troupe-%u", (unsigned)geteuid());
    return path;
}

bool
tri_tmp_is_ours(int fd, mode_t type)
{
    struct stat status;
    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == type && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

DIR *
tri_tmp_list(int directory)
{
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *opened = fd >= 0 ? fdopendir(fd) : NULL;
    if (opened == NULL && fd >= 0)
        close(fd);
    return opened;
}

void
tri_tmp_empty(int directory, const struct tri_tmp_kind *kind)
{
    DIR *opened = tri_tmp_list(directory);
    for (const struct dirent *entry; opened != NULL && (entry = readdir(opened)) != NULL;)
        if (kind->is_file(entry->d_name))
            (void)unlinkat(directory, entry->d_name, 0); /* else the directory stays, too */
    if (opened != NULL)
        closedir(opened);
}

bool
tri_tmp_remove(int parent, const char *name, const struct tri_tmp_kind *kind)
{
    bool gone = false;
    const int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return false;
    if (tri_tmp_is_ours(directory, S_IFDIR) && kind->is_left(directory, name)) {
        tri_tmp_empty(directory, kind);
        gone = unlinkat(parent, name, AT_REMOVEDIR) == 0;
        if (!gone && errno != ENOENT)
            tri_log(TRI_WARNING, "cannot remove the directory %s, where a node had files: %s", name, strerror(errno));
    }
    close(directory);
    return gone;
}

unsigned
tri_tmp_sweep(const char *parent, const struct tri_tmp_kind *kind)
{
    unsigned removed = 0;
    const int fd = open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *opened = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *entry; opened != NULL && (entry = readdir(opened)) != NULL;)
        if (strncmp(entry->d_name, kind->prefix, strlen(kind->prefix)) == 0)
            removed += tri_tmp_remove(fd, entry->d_name, kind);
    if (opened != NULL)
        closedir(opened);
    else if (fd >= 0)
        close(fd);
    return removed;
}
