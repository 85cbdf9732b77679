#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/segment.h"

enum { SIZE = 1 << 20 };

static char name[TRI_SEGMENT_NAME_MAX];

static void
name_it(void)
{
    (void)snprintf(name, sizeof name, "/troupe-test-%d-segment", (int)getpid());
}

static void
remove_it(void)
{
    cr_assert_eq(tri_segment_remove(name, NULL), TRP_OK);
}

TestSuite(segment, .init = name_it, .fini = remove_it);

static uint64_t
blocks_of(const struct tri_segment *segment)
{
    struct stat status;
    cr_assert_eq(fstat(segment->fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static bool
exists(const char *shm)
{
    char path[256];
    (void)snprintf(path, sizeof path, "/dev/shm%s", shm);
    return access(path, F_OK) == 0;
}

Test(segment, has_memory_only_where_it_was_asked_for_and_gives_it_back)
{
    struct tri_segment segment;
    cr_assert_eq(tri_segment_create(name, SIZE, &segment, NULL), TRP_OK);
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

Test(segment, without_a_name_it_is_nowhere_to_be_seen)
{
    struct tri_segment segment;
    cr_assert_eq(tri_segment_create(NULL, SIZE, &segment, NULL), TRP_OK);
    struct stat status;
    cr_assert_eq(fstat(segment.fd, &status), 0);
    cr_expect_eq(status.st_nlink, 0);
    tri_segment_close(&segment);
}

Test(segment, outlives_its_process_under_its_name)
{
    const pid_t child = fork();
    if (child == 0) {
        struct tri_segment segment;
        if (tri_segment_create(name, SIZE, &segment, NULL) != TRP_OK ||
            tri_segment_back(&segment, 0, 4096, NULL) != TRP_OK)
            _exit(1);
        memcpy(segment.base, "still here", 11);
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    struct tri_segment segment;
    cr_assert_eq(tri_segment_attach(name, &segment, NULL), TRP_OK);
    cr_expect_eq(segment.size, SIZE);
    cr_expect_str_eq((const char *)segment.base, "still here");
    struct tri_segment twice;
    cr_expect_eq(tri_segment_create(name, SIZE, &twice, NULL), TRP_EEXIST);
    tri_segment_close(&segment);
}

Test(segment, who_gets_the_descriptor_for_reading_cannot_write)
{
    struct tri_segment segment, readers;
    cr_assert_eq(tri_segment_create(NULL, SIZE, &segment, NULL), TRP_OK);
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
    cr_assert_eq(tri_segment_create(NULL, size, &segment, NULL), TRP_OK);
    cr_expect_eq(tri_segment_back(&segment, 0, size, &error), TRP_ESTOREFULL);
    cr_expect_not_null(strstr(error.message, "No space left"), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "(--store)"), "%s", error.message);
    cr_expect_eq(blocks_of(&segment), 0, "nothing has changed");
    tri_segment_close(&segment);
}

Test(segment, of_others_or_of_no_size_is_refused)
{
    struct tri_segment segment;
    trp_error error;
    cr_expect_eq(tri_segment_attach(name, &segment, &error), TRP_ENOENT);
    cr_expect_not_null(strstr(error.message, name), "%s", error.message);
    const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    cr_expect_eq(tri_segment_attach(name, &segment, NULL), TRP_EPROTO, "it is empty");
    cr_assert(ftruncate(fd, 4096) == 0 && fchmod(fd, 0640) == 0);
    cr_expect_eq(tri_segment_attach(name, &segment, &error), TRP_EACCES);
    cr_expect_not_null(strstr(error.message, "640"), "%s", error.message);
    close(fd);
}

static bool
keep_second(void *user, const char *found)
{
    return strcmp(found, user) == 0;
}

Test(segment, what_nobody_owns_any_more_is_swept)
{
    char names[3][TRI_SEGMENT_NAME_MAX], prefix[64];
    (void)snprintf(prefix, sizeof prefix, "troupe-test-%d-swept-", (int)getpid());
    for (int i = 0; i < 3; i++) {
        struct tri_segment segment;
        (void)snprintf(names[i], sizeof names[i], "/%s%d", prefix, i);
        cr_assert_eq(tri_segment_create(names[i], 4096, &segment, NULL), TRP_OK);
        tri_segment_close(&segment);
    }
    cr_expect_eq(tri_segment_sweep(prefix, keep_second, names[1] + 1), 2);
    cr_expect(!exists(names[0]) && exists(names[1]) && !exists(names[2]));
    cr_assert_eq(tri_segment_remove(names[1], NULL), TRP_OK);
    cr_expect_not(exists(names[1]));
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
    cr_assert_eq(tri_segment_create(NULL, (uint64_t)SLICE * SLICES * 4, &segment, NULL), TRP_OK);
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
