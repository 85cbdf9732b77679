/*
 * test_tmp.c - which directories on disk are taken for those of nodes that are gone, and what goes with them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/tmp.h"
#include "tests/common/scratch.h"

static char parent[SCRATCH_SIZE], path[300];

static const char *
inside(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", parent, name);
    return path;
}

static bool
is_left(int directory, const char *name)
{
    cr_expect(tri_tmp_is_ours(directory, S_IFDIR));
    return strcmp(name, "row-lives") != 0;
}

static bool
is_file(const char *name)
{
    return strcmp(name, "ours") == 0;
}

static const struct tri_tmp_kind kind = {"row-", is_left, is_file};

static void
set_up(void)
{
    scratch_make(parent, "tmp");
}

static void
tear_down(void)
{
    cr_assert_eq(rmdir(parent), 0, "%s", strerror(errno));
}

TestSuite(tmp, .init = set_up, .fini = tear_down);

static void
make_file(const char *name)
{
    const int fd = open(inside(name), O_CREAT | O_EXCL | O_WRONLY, 0600);
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    close(fd);
}

Test(tmp, has_a_place_for_each_user)
{
    char usual[TRI_TMP_SIZE], wanted[TRI_TMP_SIZE];
    (void)snprintf(wanted, sizeof wanted, "/var/tmp/troupe-%u", (unsigned)geteuid());
    cr_expect_str_eq(tri_tmp_path(usual), wanted);
}

Test(tmp, what_is_left_goes_with_its_files_and_all_else_stays)
{
    static const struct {
        const char *name, *file; /* NULL: it has none */
        mode_t mode;
        bool goes;
    } rows[] = {
        {"row-left", "row-left/ours", 0700, true},    {"row-empty", NULL, 0700, true},
        {"row-lives", "row-lives/ours", 0700, false}, {"row-foreign", "row-foreign/theirs", 0700, false},
        {"row-open", "row-open/ours", 0755, false},   {"other-left", "other-left/ours", 0700, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(mkdir(inside(rows[i].name), rows[i].mode), 0);
        if (rows[i].file != NULL)
            make_file(rows[i].file);
    }
    cr_assert_eq(symlink("row-lives", inside("row-link")), 0);
    cr_expect_eq(tri_tmp_sweep(parent, &kind), 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(access(inside(rows[i].name), F_OK) != 0, rows[i].goes, "%s", rows[i].name);
        if (rows[i].goes)
            continue;
        cr_expect_eq(unlink(inside(rows[i].file)), 0, "%s", rows[i].file);
        cr_expect_eq(rmdir(inside(rows[i].name)), 0, "%s", rows[i].name);
    }
    cr_expect_eq(unlink(inside("row-link")), 0);
    cr_expect_eq(tri_tmp_sweep("/nonexistent", &kind), 0);
}
