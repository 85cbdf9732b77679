/* test_file.c - a part of a file is read whole, or as far as there is any. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/base/base.h"

Test(file, a_part_is_read_as_far_as_the_file_goes)
{
    static const struct {
        uint64_t offset;
        size_t size, got;
    } rows[] = {{0, 10, 10}, {3, 4, 4}, {7, 9, 3}, {10, 1, 0}, {1 << 20, 5, 0}, {2, 0, 0}};
    char path[] = "/tmp/troupe-test-file-XXXXXX", bytes[16];
    const int fd = mkstemp(path);

    cr_assert(fd >= 0 && unlink(path) == 0);
    cr_assert_eq(write(fd, "0123456789", 10), 10);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t got = 99;
        memset(bytes, 'x', sizeof bytes);
        cr_expect_eq(tri_read_at(fd, bytes, rows[i].size, rows[i].offset, &got), 0);
        cr_expect_eq(got, rows[i].got, "row %zu", i);
        cr_expect_eq(memcmp(bytes, "0123456789" + (got > 0 ? rows[i].offset : 0), got), 0, "row %zu", i);
        cr_expect_eq(bytes[got], 'x', "row %zu", i);
    }
    (void)close(fd);
}

Test(file, what_cannot_be_read_is_said)
{
    size_t got = 99;
    char byte;
    int ends[2];

    cr_expect_eq(tri_read_at(-1, &byte, 1, 0, &got), EBADF);
    cr_expect_eq(got, 0);
    cr_assert_eq(pipe(ends), 0);
    cr_expect_eq(tri_read_at(ends[0], &byte, 1, 0, &got), ESPIPE);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
