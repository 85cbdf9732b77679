/*
 * segment.c - segment.h over shm_open, mmap and fallocate. Any thread.
 */
#include "store/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char shm_dir[] = "/dev/shm";

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void
tri_segment_unmap(struct tri_segment *segment)
{
    if (segment->base != NULL)
        munmap(segment->base, segment->size);
    segment->base = NULL;
}

void
tri_segment_close(struct tri_segment *segment)
{
    if (segment->size > 0) {
        tri_segment_unmap(segment);
        close_fd(&segment->fd);
        close_fd(&segment->read_fd);
    }
    *segment = (struct tri_segment){.fd = -1, .read_fd = -1};
}

static trp_err
map(struct tri_segment *segment, bool writable, trp_error *error)
{
    void *base = mmap(NULL, segment->size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED | MAP_NORESERVE,
                      writable ? segment->fd : segment->read_fd, 0);
    if (base == MAP_FAILED)
        return tri_fail_system(error, TRP_EINVAL, errno,
                               "no room in this process for %" PRIu64 " bytes of shared memory", segment->size);
    (void)madvise(base, segment->size, MADV_DONTDUMP);
    segment->base = base;
    return TRP_OK;
}

static trp_err
fail_name(trp_error *error, const char *what, const char *name)
{
    const trp_err code = errno == EEXIST ? TRP_EEXIST : errno == ENOENT ? TRP_ENOENT : TRP_EINVAL;
    return tri_fail_system(error, code, errno, "cannot %s shared memory %s%s", what, shm_dir, name);
}

/* Opens and maps what exists under the name. */
static trp_err
open_both(const char *name, struct tri_segment *segment, trp_error *error)
{
    if ((segment->fd = shm_open(name, O_RDWR, 0)) < 0 || (segment->read_fd = shm_open(name, O_RDONLY, 0)) < 0)
        return fail_name(error, "open", name);
    struct stat status;
    if (fstat(segment->fd, &status) != 0)
        return fail_name(error, "look at", name);
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return TRI_FAIL(error, TRP_EACCES, "shared memory %s%s is user %u's, mode %o: not ours alone", shm_dir, name,
                        (unsigned)status.st_uid, (unsigned)status.st_mode & 0777);
    if (status.st_size <= 0)
        return TRI_FAIL(error, TRP_EPROTO, "shared memory %s%s is empty", shm_dir, name);
    segment->size = (uint64_t)status.st_size;
    return map(segment, true, error);
}

trp_err
tri_segment_attach(const char *name, struct tri_segment *segment, trp_error *error)
{
    struct tri_segment made = {.fd = -1, .read_fd = -1};
    const trp_err err = open_both(name, &made, error);
    if (err == TRP_OK) {
        *segment = made;
        return TRP_OK;
    }
    close_fd(&made.fd);
    close_fd(&made.read_fd);
    return err;
}

/* A name that nobody else has, for as long as it takes to open it twice; it says whose it is, should it be left. */
static void
passing_name(char name[TRI_SEGMENT_NAME_MAX])
{
    (void)snprintf(name, TRI_SEGMENT_NAME_MAX, "/troupe-%u-%d-%016" PRIx64, (unsigned)geteuid(), (int)getpid(),
                   tri_random_secret());
}

trp_err
tri_segment_create(const char *name, uint64_t size, struct tri_segment *segment, trp_error *error)
{
    TRI_ASSERT(size > 0 && size % 4096 == 0);
    char passing[TRI_SEGMENT_NAME_MAX];
    if (name == NULL)
        passing_name(passing);
    const char *used = name != NULL ? name : passing;
    int fd = shm_open(used, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fail_name(error, "make", used);
    trp_err err = TRP_OK;
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)size) != 0)
        err = fail_name(error, "size", used);
    close_fd(&fd);
    if (err == TRP_OK)
        err = tri_segment_attach(used, segment, error);
    if (name == NULL || err != TRP_OK)
        (void)shm_unlink(used);
    return err;
}

trp_err
tri_segment_map(int fd, uint64_t size, bool writable, struct tri_segment *segment, trp_error *error)
{
    struct stat status;
    if (size == 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || (uint64_t)status.st_size != size)
        return TRI_FAIL(error, TRP_EPROTO, "a descriptor that is no shared memory of %" PRIu64 " bytes", size);
    struct tri_segment made = {.fd = writable ? fd : -1, .read_fd = writable ? -1 : fd, .size = size};
    TRP_TRY(map(&made, writable, error));
    *segment = made;
    return TRP_OK;
}

trp_err
tri_segment_view(int fd, uint64_t size, bool writable, struct tri_segment *segment, trp_error *error)
{
    TRP_TRY(tri_segment_map(fd, size, writable, segment, error));
    segment->fd = segment->read_fd = -1;
    return TRP_OK;
}

/* fallocate, which may be interrupted again and again: no signal is let in meanwhile. 0, or errno. */
static int
allocate(int fd, int mode, uint64_t offset, uint64_t size)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = fallocate(fd, mode, (off_t)offset, (off_t)size) == 0 ? 0 : errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

trp_err
tri_segment_back(struct tri_segment *segment, uint64_t offset, uint64_t size, trp_error *error)
{
    TRI_ASSERT(offset <= segment->size && size <= segment->size - offset);
    const int failed = allocate(segment->fd, 0, offset, size);
    if (failed == 0)
        return TRP_OK;
    if (failed != ENOSPC && failed != ENOMEM)
        return tri_fail_errno(error, TRP_EINVAL, failed, "cannot have %" PRIu64 " more bytes in %s", size, shm_dir);
    return TRI_FAIL(error, TRP_ESTOREFULL,
                    "no memory for %" PRIu64
                    " more bytes in %s: %s; free some there, or start the node with a smaller store, or none (--store)",
                    size, shm_dir, strerrordesc_np(failed));
}

trp_err
tri_segment_unback(struct tri_segment *segment, uint64_t offset, uint64_t size, trp_error *error)
{
    TRI_ASSERT(offset <= segment->size && size <= segment->size - offset);
    const int failed = allocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
    return failed == 0 ? TRP_OK : tri_fail_errno(error, TRP_EINVAL, failed, "cannot give shared memory back");
}

trp_err
tri_segment_remove(const char *name, trp_error *error)
{
    return shm_unlink(name) == 0 || errno == ENOENT ? TRP_OK : fail_name(error, "remove", name);
}

unsigned
tri_segment_sweep(const char *prefix, bool (*keep)(void *user, const char *name), void *user)
{
    unsigned removed = 0;
    DIR *dir = opendir(shm_dir);
    if (dir == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat status;
        char name[TRI_SEGMENT_NAME_MAX];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || strlen(entry->d_name) + 2 > sizeof name ||
            fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode) ||
            status.st_uid != geteuid() || keep(user, entry->d_name))
            continue;
        (void)snprintf(name, sizeof name, "/%s", entry->d_name);
        removed += shm_unlink(name) == 0;
    }
    closedir(dir);
    return removed;
}
