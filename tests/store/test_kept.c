/*
 * test_kept.c - values on disk that outlive their node: whole or not at all, checked when they are read, gone with the node.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/kept.h"

enum { SIZE = 100000 };

static char node[64], path[300];
static int directory = -1;
static trp_error error;
static uint8_t bytes[SIZE];

static void
make_node(const char *parent)
{
    (void)snprintf(node, sizeof node, "%s/troupe-test-kept-XXXXXX", parent);
    cr_assert_not_null(mkdtemp(node));
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 31 >> 2);
}

static void
open_node(bool make)
{
    cr_assert_eq(tri_kept_open(node, make, &directory, &error), TRP_OK, "%s", error.message);
}

static void
set_up(void)
{
    make_node("/tmp");
    open_node(true);
}

/* Nothing is left: the node's directory is empty again. */
static void
tear_down(void)
{
    if (directory >= 0)
        close(directory);
    tri_kept_clear(node);
    cr_assert_eq(rmdir(node), 0, "%s", strerror(errno));
}

TestSuite(kept, .init = set_up, .fini = tear_down);

static struct tri_section
value_of(uint64_t size)
{
    return (struct tri_section){.meta_size = 8, .size = size, .data = bytes};
}

static trp_err
keep(const char *name, uint64_t size)
{
    const struct tri_section value = value_of(size);
    const struct tri_kept_about about = {{7, 8}, 1234567};
    return tri_kept_write(directory, name, &about, &value, &error);
}

/* What is read under that name; TRP_OK: `size` bytes, as they were. */
static trp_err
look(const char *name, uint64_t size)
{
    static uint8_t read[SIZE];
    struct tri_kept_file file;
    const trp_err found = tri_kept_find(directory, name, &file, &error);
    if (found != TRP_OK)
        return found;
    cr_assert(file.size == size && file.meta_size == 8);
    const trp_err err = tri_kept_read(&file, read, &error);
    cr_expect(err != TRP_OK || memcmp(read, bytes, size) == 0);
    cr_expect_eq(file.fd, -1);
    return err;
}

static void
find_file(const char *name)
{
    const struct tri_id id = tri_id_of_text(name, strlen(name));
    (void)snprintf(path, sizeof path, "%s/kept/%016" PRIx64 "%016" PRIx64 ".kept", node, id.space, id.number);
}

struct seen {
    size_t count;
    int64_t until_ms;
    char name[300];
};

static void
see(void *user, const char *name, const struct tri_kept_about *about)
{
    struct seen *seen = user;
    seen->count++;
    cr_expect(tri_id_equal(about->id, (struct tri_id){7, 8}));
    seen->until_ms = about->until_ms;
    (void)snprintf(seen->name, sizeof seen->name, "%s", name);
}

Test(kept, what_was_written_is_read_and_listed_until_it_is_removed)
{
    struct seen seen = {0};
    char longest[TRI_NAME_MAX + 1];
    memset(longest, 'n', TRI_NAME_MAX);
    longest[TRI_NAME_MAX] = '\0';
    cr_expect_not(tri_kept_any(node));
    cr_assert_eq(keep("a", 16), TRP_OK, "%s", error.message);
    cr_assert_eq(keep(longest, SIZE), TRP_OK, "%s", error.message);
    cr_expect(tri_kept_any(node));
    cr_expect_eq(look("a", 16), TRP_OK, "%s", error.message);
    cr_expect_eq(look(longest, SIZE), TRP_OK, "%s", error.message);
    cr_expect_eq(look("b", 1), TRP_ENOENT);
    cr_expect_eq(tri_kept_each(directory, see, &seen), 0);
    cr_expect_eq(seen.count, 2);
    tri_kept_remove(directory, "a");
    cr_assert_eq(tri_kept_renew(directory, longest, TRI_KEPT_FOREVER, &error), TRP_OK, "%s", error.message);
    seen.count = 0;
    cr_expect_eq(tri_kept_each(directory, see, &seen), 0);
    cr_expect(seen.count == 1 && seen.until_ms == TRI_KEPT_FOREVER && strcmp(seen.name, longest) == 0);
    cr_expect_eq(look("a", 1), TRP_ENOENT);
    cr_expect_eq(look(longest, SIZE), TRP_OK, "%s", error.message);
    cr_assert_eq(keep(longest, 24), TRP_OK, "%s", error.message);
    cr_expect_eq(look(longest, 24), TRP_OK, "%s", error.message);
}

Test(kept, what_is_damaged_is_an_error_and_is_counted)
{
    static const struct {
        const char *what;
        long at; /* from the end where negative */
        bool is_listed;
    } rows[] = {{"magic", 0, false},        {"version", 8, false},      {"name's size", 12, false},
                {"time", 16, false},        {"size", 24, false},        {"value's hash", 32, false},
                {"meta", 40, false},        {"head's hash", 72, false}, {"id", 48, false},
                {"name's hash", 64, false}, {"name", 80, false},        {"value's begin", 128, true},
                {"value's end", -1, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seen seen = {0};
        uint8_t byte;
        cr_assert_eq(keep("x", SIZE), TRP_OK, "%s", error.message);
        find_file("x");
        const int fd = open(path, O_RDWR);
        const off_t at = rows[i].at >= 0 ? rows[i].at : lseek(fd, 0, SEEK_END) + rows[i].at;
        cr_assert_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        cr_expect_eq(look("x", SIZE), TRP_EOBJLOST, "%s", rows[i].what);
        cr_expect_eq(tri_kept_renew(directory, "x", 1, NULL), rows[i].is_listed ? TRP_OK : TRP_EOBJLOST, "%s",
                     rows[i].what);
        cr_expect_eq(tri_kept_each(directory, see, &seen), !rows[i].is_listed, "%s", rows[i].what);
        cr_expect_eq(seen.count, rows[i].is_listed, "%s", rows[i].what);
    }
}

Test(kept, what_is_cut_too_long_foreign_or_of_another_name_is_refused)
{
    struct seen seen = {0};
    char other[sizeof path];
    cr_assert_eq(keep("x", SIZE), TRP_OK);
    find_file("x");
    cr_assert_eq(truncate(path, SIZE), 0);
    cr_expect_eq(look("x", SIZE), TRP_EOBJLOST);
    cr_assert_eq(keep("x", SIZE), TRP_OK);
    cr_assert_eq(truncate(path, SIZE + 4096), 0);
    cr_expect_eq(look("x", SIZE), TRP_EOBJLOST);
    cr_assert_eq(keep("x", SIZE), TRP_OK);
    cr_assert_eq(chmod(path, 0644), 0);
    cr_expect_eq(look("x", SIZE), TRP_EOBJLOST);
    cr_assert_eq(keep("x", SIZE), TRP_OK);
    (void)snprintf(other, sizeof other, "%s", path);
    find_file("y");
    cr_assert_eq(rename(other, path), 0);
    cr_expect_eq(look("y", SIZE), TRP_EOBJLOST);
    cr_expect_eq(tri_kept_renew(directory, "y", 1, &error), TRP_EOBJLOST);
    cr_expect_str_eq(error.message, "what is kept as 'y': it is of another name");
    cr_expect_eq(tri_kept_each(directory, see, &seen), 1);
    cr_expect_eq(seen.count, 0);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/etc/passwd", path), 0);
    cr_expect_eq(look("y", SIZE), TRP_EACCES);
    cr_assert_eq(unlink(path), 0);
}

Test(kept, what_was_half_written_when_its_writer_died_goes_when_the_next_one_looks)
{
    struct seen seen = {0};
    (void)snprintf(path, sizeof path, "%s/kept/0123.new", node);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    cr_expect_not(tri_kept_any(node));
    cr_expect_eq(tri_kept_each(directory, see, &seen), 0);
    cr_expect_eq(seen.count, 0);
    cr_expect_eq(access(path, F_OK), -1);
}

Test(kept, a_disk_without_room_is_an_error_and_leaves_what_was_there)
{
    const struct rlimit little = {SIZE / 2, SIZE / 2};
    struct seen seen = {0};
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(keep("x", 10), TRP_OK);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    cr_expect_eq(keep("x", SIZE), TRP_EDISKFULL, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "; allow larger files (ulimit -f)"), "%s", error.message);
    cr_expect_eq(keep("y", SIZE), TRP_EDISKFULL, "%s", error.message);
    cr_expect_eq(look("x", 10), TRP_OK);
    cr_expect_eq(tri_kept_each(directory, see, &seen), 0);
    cr_expect_eq(seen.count, 1);
}

Test(kept, a_directory_that_is_not_ours_alone_is_refused)
{
    int opened = -1;
    (void)snprintf(path, sizeof path, "%s/kept", node);
    cr_assert_eq(chmod(path, 0755), 0);
    cr_expect_eq(tri_kept_open(node, true, &opened, &error), TRP_EACCES);
    cr_assert_eq(chmod(path, 0700), 0);
    cr_expect_eq(tri_kept_open("/nonexistent", false, &opened, &error), TRP_ENOENT);
    cr_expect_eq(opened, -1);
}

/* ------------------------------------------------------------------------------------------------ where memory is scarce */

/* Where `DIR/kept` leads to. */
static void
find_real(char real[300])
{
    (void)snprintf(path, sizeof path, "%s/kept", node);
    const ssize_t size = readlink(path, real, 299);
    cr_assert_gt(size, 0, "it lies in memory");
    real[size] = '\0';
    cr_assert_eq(strncmp(real, "/var/tmp/troupe-", 16), 0, "%s", real);
}

Test(kept_of_a_node_in_memory, lies_on_disk_and_goes_with_the_node)
{
    char real[300];
    make_node("/dev/shm");
    open_node(true);
    cr_assert_eq(keep("x", SIZE), TRP_OK, "%s", error.message);
    find_real(real);
    close(directory);
    open_node(false); /* the next node there */
    cr_expect_eq(look("x", SIZE), TRP_OK, "%s", error.message);
    (void)tri_kept_sweep(); /* which is nobody else's */
    cr_expect_eq(look("x", SIZE), TRP_OK, "%s", error.message);
    tear_down();
    cr_expect_eq(access(real, F_OK), -1);
}

Test(kept_of_a_node_in_memory, goes_at_a_start_of_another_one_where_its_directory_is_gone)
{
    char real[300];
    make_node("/dev/shm");
    open_node(true);
    cr_assert_eq(keep("x", SIZE), TRP_OK, "%s", error.message);
    find_real(real);
    close(directory);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(node), 0);
    cr_expect_geq(tri_kept_sweep(), 1);
    cr_expect_eq(access(real, F_OK), -1);
}
