/*
 * segment.c - segment.h over shm_open, mmap and fallocate. Any thread.
 */
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 64 };
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

/* A name that nobody else has, for as long as it takes to open it twice; it says whose it is, should it be left. */
static void
passing_name(char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "/troupe-%u-%d-%016" PRIx64, (unsigned)geteuid(), (int)getpid(),
                   tri_random_secret());
}

trp_err
tri_segment_create(uint64_t size, struct tri_segment *segment, trp_error *error)
{
    TRI_ASSERT(size > 0 && size % 4096 == 0);
    char name[NAME_SIZE];
    passing_name(name);
    struct tri_segment made = {.fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), .read_fd = -1, .size = size};
    if (made.fd < 0)
        return tri_fail_system(error, TRP_EINVAL, errno, "cannot make shared memory %s%s", shm_dir, name);
    trp_err err = TRP_OK;
    made.read_fd = shm_open(name, O_RDONLY, 0);
    if (made.read_fd < 0 || fchmod(made.fd, 0600) != 0 || ftruncate(made.fd, (off_t)size) != 0)
        err = tri_fail_system(error, TRP_EINVAL, errno, "cannot have %" PRIu64 " bytes of shared memory in %s", size,
                              shm_dir);
    (void)shm_unlink(name);
    if (err == TRP_OK)
        err = map(&made, true, error);
    if (err == TRP_OK)
        *segment = made;
    else
        tri_segment_close(&made);
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
