/*
 * disk.c - the backend of a directory on this machine. It knows names and descriptors, not what is in the files.
 */
#include "store/spill/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* So much at once: a write of 4 MiB takes twice the time of four such ones (ext4, Linux 6.18, a virtual machine). */
#define WRITE_MOST ((size_t)1 << 20)

struct disk {
    struct tri_spill_backend backend;
    int directory;
    char path[];
};

struct tri_spill_handle {
    int fd;
};

char *
tri_spill_name(uint64_t number, char name[TRI_SPILL_NAME_SIZE])
{
    snprintf(name, TRI_SPILL_NAME_SIZE, "troupe-%016" PRIx64 ".spill", number);
    return name;
}

/* Is this a name that tri_spill_name gives? */
static bool
parse_name(const char *name, uint64_t *number)
{
    char again[TRI_SPILL_NAME_SIZE];
    return sscanf(name, "troupe-%16" SCNx64 ".spill", number) == 1 && strcmp(tri_spill_name(*number, again), name) == 0;
}

static struct disk *
disk_of(struct tri_spill_backend *backend)
{
    return (struct disk *)(void *)backend;
}

/* A plain file of this user that nobody else can open: else somebody put it there. */
static bool
is_ours(const struct stat *stat)
{
    return S_ISREG(stat->st_mode) && stat->st_uid == geteuid() && (stat->st_mode & 077) == 0 && stat->st_nlink <= 1;
}

static int
disk_open(struct tri_spill_backend *backend, uint64_t number, bool create, struct tri_spill_handle **handle)
{
    char name[TRI_SPILL_NAME_SIZE];
    struct stat stat;
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT | O_EXCL : 0);
    struct tri_spill_handle *made = malloc(sizeof *made);
    if (made == NULL)
        return ENOMEM;
    made->fd = openat(disk_of(backend)->directory, tri_spill_name(number, name), flags, 0600);
    int failed = made->fd < 0 ? errno : 0;
    if (failed == 0 && fstat(made->fd, &stat) != 0)
        failed = errno;
    else if (failed == ELOOP || (failed == 0 && !is_ours(&stat)))
        failed = EPERM;
    if (failed == 0) {
        *handle = made;
        return 0;
    }
    if (made->fd >= 0)
        close(made->fd);
    free(made);
    return failed;
}

static void
disk_close(struct tri_spill_backend *backend, struct tri_spill_handle *handle)
{
    (void)backend;
    close(handle->fd);
    free(handle);
}

/* Goes over `done` bytes; returns the first piece that is not all done. */
static struct iovec *
skip(struct iovec *piece, int *count, size_t done)
{
    while (*count > 0 && done >= piece->iov_len) {
        done -= piece->iov_len;
        piece++;
        --*count;
    }
    if (done > 0) {
        piece->iov_base = (char *)piece->iov_base + done;
        piece->iov_len -= done;
    }
    return piece;
}

/* Writes of the pieces what lies before the next border of WRITE_MOST in the file; less, or -1, as pwritev does. */
static ssize_t
write_some(int fd, uint64_t offset, struct iovec *pieces, int count)
{
    size_t left = WRITE_MOST - offset % WRITE_MOST;
    int whole = 0;
    while (whole < count && pieces[whole].iov_len < left)
        left -= pieces[whole++].iov_len;
    if (whole == count)
        return pwritev(fd, pieces, count, (off_t)offset);
    const size_t size = pieces[whole].iov_len;
    pieces[whole].iov_len = left;
    const ssize_t done = pwritev(fd, pieces, whole + 1, (off_t)offset);
    pieces[whole].iov_len = size;
    return done;
}

static int
disk_write(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, struct iovec *pieces,
           int count)
{
    (void)backend;
    pieces = skip(pieces, &count, 0);
    while (count > 0) {
        const ssize_t done = write_some(handle->fd, offset, pieces, count);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        offset += (uint64_t)done;
        pieces = skip(pieces, &count, (size_t)done);
    }
    return 0;
}

static int
disk_read(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, void *to, size_t size,
          size_t *got)
{
    (void)backend;
    return tri_read_at(handle->fd, to, size, offset, got);
}

static int
disk_cut(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t size)
{
    (void)backend;
    return ftruncate(handle->fd, (off_t)size) == 0 ? 0 : errno;
}

static int
disk_sync(struct tri_spill_backend *backend, struct tri_spill_handle *handle)
{
    /* A new file's name, too. */
    return fdatasync(handle->fd) == 0 && fsync(disk_of(backend)->directory) == 0 ? 0 : errno;
}

static int
disk_remove(struct tri_spill_backend *backend, uint64_t number)
{
    char name[TRI_SPILL_NAME_SIZE];
    return unlinkat(disk_of(backend)->directory, tri_spill_name(number, name), 0) == 0 ? 0 : errno;
}

static int
disk_list(struct tri_spill_backend *backend, tri_spill_visit *visit, void *user, uint64_t *foreign)
{
    const int fd = openat(disk_of(backend)->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = fd >= 0 ? fdopendir(fd) : NULL;
    int failed = 0;
    if (files == NULL) {
        failed = errno;
        if (fd >= 0)
            close(fd);
        return failed;
    }
    *foreign = 0;
    for (;;) {
        struct stat stat;
        uint64_t number;
        errno = 0;
        const struct dirent *entry = readdir(files);
        failed = errno;
        if (entry == NULL)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (parse_name(entry->d_name, &number) && fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
            is_ours(&stat))
            visit(user, number, (uint64_t)stat.st_size);
        else
            ++*foreign;
    }
    closedir(files);
    return failed;
}

static int
disk_room(struct tri_spill_backend *backend, uint64_t *bytes)
{
    struct statvfs room;
    if (fstatvfs(disk_of(backend)->directory, &room) != 0)
        return errno;
    *bytes = (uint64_t)room.f_bavail * room.f_frsize;
    return 0;
}

static void
disk_destroy(struct tri_spill_backend *backend)
{
    struct disk *disk = disk_of(backend);
    if (disk->directory >= 0)
        close(disk->directory); /* and with it the lock */
    free(disk);
}

static const struct tri_spill_ops disk_ops = {
    .name = "disk",
    .open = disk_open,
    .close = disk_close,
    .write = disk_write,
    .read = disk_read,
    .cut = disk_cut,
    .sync = disk_sync,
    .remove = disk_remove,
    .list = disk_list,
    .room = disk_room,
    .destroy = disk_destroy,
};

/* Opens and locks the directory, if it is one that nobody but this user can get at. */
static trp_err
enter(struct disk *disk, trp_error *error)
{
    struct stat stat;
    if (mkdir(disk->path, 0700) != 0 && errno != EEXIST)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot make the spill directory %.300s", disk->path);
    disk->directory = open(disk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (disk->directory < 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot open the spill directory %.300s", disk->path);
    if (fstat(disk->directory, &stat) != 0)
        return tri_fail_system(error, TRP_EACCES, errno, "cannot look at the spill directory %.300s", disk->path);
    if (stat.st_uid != geteuid() || (stat.st_mode & 077) != 0)
        return TRI_FAIL(error, TRP_EACCES,
                        "the spill directory %.300s is of user %u with mode %04o: it must be of user %u with mode 0700",
                        disk->path, stat.st_uid, stat.st_mode & 07777, geteuid());
    if (flock(disk->directory, LOCK_EX | LOCK_NB) != 0)
        return tri_fail_errno(error, errno == EWOULDBLOCK ? TRP_EALREADY : TRP_EACCES, errno,
                              "another process spills to %.300s", disk->path);
    return TRP_OK;
}

trp_err
tri_spill_disk_open(const char *directory, struct tri_spill_backend **made, trp_error *error)
{
    const size_t size = strlen(directory) + 1;
    struct disk *disk = malloc(sizeof *disk + size);
    if (disk == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory to open the spill directory");
    *disk = (struct disk){.backend = {.ops = &disk_ops, .where = disk->path}, .directory = -1};
    memcpy(disk->path, directory, size);
    const trp_err err = enter(disk, error);
    if (err != TRP_OK) {
        disk_destroy(&disk->backend);
        return err;
    }
    *made = &disk->backend;
    return TRP_OK;
}

void
tri_spill_backend_destroy(struct tri_spill_backend **made)
{
    if (*made != NULL)
        (*made)->ops->destroy(*made);
    *made = NULL;
}
