/* test_segment.c - shared memory: where there is memory behind it, who may write, and what is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/segment.h"

enum { SIZE = 1 << 20 };

static uint64_t
blocks_of(const struct tri_segment *segment)
{
    struct stat status;
    cr_assert_eq(fstat(segment->fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

Test(segment, has_memory_only_where_it_was_asked_for_and_gives_it_back)
{
    struct tri_segment segment;
    cr_assert_eq(tri_segment_create(SIZE, &segment, NULL), TRP_OK);
    cr_expect_eq(blocks_of(&segment), 0);
    cr_assert_eq(tri_segment_back(&segment, 8192, 16384, NULL), TRP_OK);
    cr_expect_eq(blocks_of(&segment), 16384);
    memset(segment.base + 8192, 7, 16384);
    cr_assert_eq(tri_segment_unback(&segment, 8192, 16384, NULL), TRP_OK);
    cr_expect_eq(blocks_of(&segment), 0);
    tri_segment_close(&segment);
    cr_expect(segment.base == NULL && segment.fd == -1);
    tri_segment_close(&segment);
}

Test(segment, has_no_name_and_is_its_users_alone)
{
    struct tri_segment segment;
    cr_assert_eq(tri_segment_create(SIZE, &segment, NULL), TRP_OK);
    struct stat status;
    cr_assert_eq(fstat(segment.fd, &status), 0);
    cr_expect_eq(status.st_nlink, 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    cr_expect_eq(status.st_size, SIZE);
    cr_expect_eq(fcntl(segment.read_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    tri_segment_close(&segment);
}

Test(segment, who_gets_the_descriptor_for_reading_cannot_write)
{
    struct tri_segment segment, readers;
    cr_assert_eq(tri_segment_create(SIZE, &segment, NULL), TRP_OK);
    cr_assert_eq(tri_segment_back(&segment, 0, 4096, NULL), TRP_OK);
    segment.base[5] = 42;
    const int fd = dup(segment.read_fd);
    trp_error error;
    cr_expect_eq(tri_segment_map(fd, SIZE + 4096, false, &readers, &error), TRP_EPROTO);
    cr_assert_eq(tri_segment_map(fd, SIZE, false, &readers, NULL), TRP_OK);
    cr_expect_eq(readers.base[5], 42);
    cr_expect_eq(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_expect_eq(mprotect(readers.base, 4096, PROT_READ | PROT_WRITE), -1);
    tri_segment_close(&readers);
    tri_segment_close(&segment);
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_expect_eq(tri_segment_map(ends[0], SIZE, false, &readers, NULL), TRP_EPROTO, "a pipe is no memory");
}

Test(segment, memory_that_is_not_there_is_refused_before_it_is_touched)
{
    struct statvfs shm;
    cr_assert_eq(statvfs("/dev/shm", &shm), 0);
    const uint64_t size = ((uint64_t)shm.f_blocks * shm.f_frsize + (UINT64_C(1) << 30)) / 4096 * 4096;
    struct tri_segment segment;
    trp_error error;
    cr_assert_eq(tri_segment_create(size, &segment, NULL), TRP_OK);
    cr_expect_eq(tri_segment_back(&segment, 0, size, &error), TRP_ESTOREFULL);
    cr_expect_not_null(strstr(error.message, "No space left"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "(--store)"), "%s", error.message);
    cr_expect_eq(blocks_of(&segment), 0, "nothing has changed");
    tri_segment_close(&segment);
}

/* ---------------------------------------------------------------------------------------------------------- huge pages */

/* A /dev/shm of this process alone, whose files have huge pages: those of the machine are not touched. */
static bool
mount_huge(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/dev/shm", "tmpfs", 0, "huge=always,size=256m") == 0;
}

/* KiB of the mapping at `base` that page tables have as huge pages. */
static unsigned long
huge_kib(const void *base)
{
    char line[512];
    unsigned long begin, end, kib = 0;
    bool here = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
            here = begin == (uintptr_t)base;
        else if (here && sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1)
            break;
    fclose(maps);
    return kib;
}

/* As an arena is used: memory comes behind it 4 MiB at a time, and a reader maps it elsewhere. */
Test(segment, has_huge_pages_where_the_mount_gives_them)
{
    enum { SLICE = 4 << 20, SLICES = 4 };
    struct tri_segment segment, readers;
    uint64_t sum = 0;
    if (!mount_huge())
        cr_skip_test("a mount of its own with huge pages is refused: %s", strerror(errno));
    cr_assert_eq(tri_segment_create((uint64_t)SLICE * SLICES * 4, &segment, NULL), TRP_OK);
    for (uint64_t i = 0; i < SLICES; i++)
        cr_assert_eq(tri_segment_back(&segment, i * SLICE, SLICE, NULL), TRP_OK);
    cr_expect_eq(blocks_of(&segment), (uint64_t)SLICE * SLICES);
    memset(segment.base, 1, (size_t)SLICE * SLICES);
    if (huge_kib(segment.base) == 0)
        cr_skip_test("this system has no huge pages for shared memory, or none left");
    cr_assert_eq(tri_segment_view(segment.read_fd, segment.size, false, &readers, NULL), TRP_OK);
    for (size_t at = 0; at < (size_t)SLICE * SLICES; at += 4096)
        sum += readers.base[at];
    cr_expect_eq(sum, (uint64_t)SLICE * SLICES / 4096);
    cr_expect_gt(huge_kib(readers.base), 0, "who reads it maps it as it lies");
    cr_assert_eq(tri_segment_unback(&segment, SLICE, SLICE, NULL), TRP_OK);
    cr_expect_eq(blocks_of(&segment), (uint64_t)SLICE * (SLICES - 1), "given back as it came");
    tri_segment_close(&readers);
    tri_segment_close(&segment);
}
