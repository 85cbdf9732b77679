/* test_limit.c - how large an arena may become, as the machine, its control groups and the user say. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/limit.h"
#include "tests/common/scratch.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

Test(limit, the_rule)
{
    static const struct {
        struct tri_memory memory;
        uint64_t asked, limit; /* 0: refused */
        const char *words;     /* in what is said, or in the error */
    } rows[] = {
        {{10 * GIB, 8 * GIB, UINT64_MAX}, 0, 3221225472, ""},
        {{10 * GIB, 2 * GIB, UINT64_MAX}, 0, 2 * GIB, "/dev/shm has no more"},
        {{10 * GIB, 8 * GIB, GIB}, 0, GIB, "the control group's memory limit leaves no more"},
        {{10 * GIB, 64 * MIB, UINT64_MAX}, 0, 64 * MIB, "may have 64 MiB, not 3071"},
        {{10 * GIB, 8 * GIB, UINT64_MAX}, 7 * GIB, 7 * GIB, ""},
        {{10 * GIB, 8 * GIB, UINT64_MAX}, 16 * MIB + 1, 16 * MIB + 4096, ""},
        {{10 * GIB, 64 * MIB + 4097, UINT64_MAX}, 65 * MIB, 0, "67112960 bytes would do"},
        {{10 * GIB, 8 * GIB, 100 * MIB}, 101 * MIB, 0, "104857600 bytes would do"},
        {{10 * GIB, 8 * GIB, UINT64_MAX}, 16 * MIB - 1, 0, "at least 16 MiB"},
        {{10 * GIB, 15 * MIB, UINT64_MAX}, 0, 0, "/dev/shm has 15 MiB left"},
        {{10 * GIB, 8 * GIB, 0}, 0, 0, "leaves 0 MiB left"},
        {{100000 * GIB, 9000 * GIB, UINT64_MAX}, 0, 4096 * GIB, ""},
        {{100000 * GIB, 9000 * GIB, UINT64_MAX}, 4096 * GIB + 1, 0, "at most 4194304 MiB"},
        {{20 * MIB, 8 * GIB, UINT64_MAX}, 0, 16 * MIB, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t limit = 77;
        char said[200];
        trp_error error = {.code = TRP_OK};
        const trp_err err = tri_arena_limit(&rows[i].memory, rows[i].asked, &limit, said, sizeof said, &error);
        cr_expect_eq(err, rows[i].limit != 0 ? TRP_OK : TRP_ESTOREFULL, "row %zu: %d", i, err);
        if (err != TRP_OK) {
            cr_expect_eq(limit, 77, "row %zu", i);
            cr_expect_not_null(strstr(error.message, rows[i].words), "row %zu: %s", i, error.message);
            continue;
        }
        cr_expect(limit <= rows[i].limit && rows[i].limit - limit < 512 * 1024, "row %zu: %llu", i,
                  (unsigned long long)limit);
        cr_expect(strstr(said, rows[i].words) != NULL && (rows[i].words[0] != '\0' || said[0] == '\0'), "row %zu: %s",
                  i, said);
    }
}

static void
write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

Test(limit, the_least_of_all_control_groups_around_counts)
{
    char dir[SCRATCH_SIZE], inner[80], outer[80], own[80], meminfo[80];
    scratch_make(dir, "limit");
    (void)snprintf(outer, sizeof outer, "%s/a", dir);
    (void)snprintf(inner, sizeof inner, "%s/a/b", dir);
    (void)snprintf(own, sizeof own, "%s/own", dir);
    (void)snprintf(meminfo, sizeof meminfo, "%s/meminfo", dir);
    cr_assert(mkdir(outer, 0700) == 0 && mkdir(inner, 0700) == 0);
    write_file(dir, "meminfo", "MemFree: 1 kB\nMemTotal:       1000 kB\n");
    write_file(dir, "own", "1:name=x:/elsewhere\n0::/a/b\n");
    write_file(outer, "memory.max", "5000\n");
    write_file(outer, "memory.current", "4000\n");
    write_file(inner, "memory.max", "max\n");
    write_file(inner, "memory.current", "4000\n");
    const struct tri_memory_places places = {meminfo, "/dev/shm", dir, own};
    struct tri_memory memory;
    cr_assert_eq(tri_memory_read(&places, &memory, NULL), TRP_OK);
    cr_expect_eq(memory.total, 1000 * 1024);
    cr_expect_eq(memory.cgroup_left, 1000);
    cr_expect_eq(tri_memory_most(&places), 5000);
    cr_expect(memory.shm_left > 0);
    write_file(inner, "memory.max", "4100\n");
    cr_assert_eq(tri_memory_read(&places, &memory, NULL), TRP_OK);
    cr_expect_eq(memory.cgroup_left, 100);
    write_file(inner, "memory.max", "3000\n");
    cr_assert_eq(tri_memory_read(&places, &memory, NULL), TRP_OK);
    cr_expect_eq(memory.cgroup_left, 0, "more is used than is allowed");
    cr_expect_eq(tri_memory_most(&places), 3000);
    write_file(inner, "memory.max", "max\n");
    write_file(outer, "memory.max", "5000000\n");
    cr_expect_eq(tri_memory_most(&places), 1000 * 1024, "the machine has less");
    write_file(outer, "memory.max", "max\n");
    cr_expect_eq(tri_memory_most(&places), 1000 * 1024);
    write_file(dir, "meminfo", "MemTotal: much\n");
    trp_error error;
    cr_expect_eq(tri_memory_read(&places, &memory, &error), TRP_EINVAL);
    cr_expect_not_null(strstr(error.message, meminfo), "%s", error.message);
    cr_expect_eq(tri_memory_most(&places), 0);
    scratch_remove(dir);
}

Test(limit, this_machine_says_its_figures)
{
    struct tri_memory memory;
    cr_assert_eq(tri_memory_read(NULL, &memory, NULL), TRP_OK);
    cr_expect(memory.total > 64 * MIB && memory.shm_left <= memory.total * 64);
}
