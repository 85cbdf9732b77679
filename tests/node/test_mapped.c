/*
 * test_mapped.c - that a fork finds the root's code mapped.
 */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/node/root.h"

enum { PAGE = 4096, PAGES = 200, COULD_NOT_LOOK = 255 };

/* Bytes of a file, mapped as code is. */
static const char *
map_code(void)
{
    char path[] = "/tmp/troupe-mapped-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    unlink(path);
    cr_assert_eq(ftruncate(fd, PAGES * PAGE), 0);
    void *code = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    cr_assert_neq(code, MAP_FAILED);
    close(fd);
    return code;
}

/* How many of its pages are mapped in a fork that has not touched them. */
static int
count_in_fork(const char *code)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int count = 0, pagemap = open("/proc/self/pagemap", O_RDONLY);
        for (int i = 0; i < PAGES; i++) {
            uint64_t entry = 0;
            off_t at = (off_t)(((uintptr_t)code / PAGE + (uintptr_t)i) * sizeof entry);
            if (pread(pagemap, &entry, sizeof entry, at) != sizeof entry)
                _exit(COULD_NOT_LOOK);
            count += entry >> 63 != 0;
        }
        _exit(count);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(mapped, code_stays_mapped_in_a_fork_as_it_was)
{
    if (sysconf(_SC_PAGESIZE) != PAGE)
        cr_skip_test("pages of another size");
    const char *code = map_code();
    for (size_t i = 0; i < PAGES; i++)
        cr_assert_eq(code[i * PAGE], 0);
    if (count_in_fork(code) == COULD_NOT_LOOK)
        cr_skip_test("the system does not say which pages are mapped");
    tri_root_keep_mapped(code);
    const int memory = open("/proc/self/mem", O_RDWR);
    if (memory < 0 || pwrite(memory, "", 1, (off_t)(uintptr_t)code) != 1)
        cr_skip_test("the system does not let a process write there");
    close(memory);
    cr_expect_eq(count_in_fork(code), PAGES);
    for (size_t i = 0; i < PAGES; i++)
        cr_expect_eq(code[i * PAGE], 0);
}
