/* What every backend must do: the promises of backend.h, for the disk and for the one of the tests. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/spill/files.h"
#include "tests/common/scratch.h"
#include "tests/store/spill_data.h"
#include "tests/store/spill_memory.h"

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 8], place[128];
static struct memory memory;

static struct tri_spill_backend *
open_disk(void)
{
    struct tri_spill_backend *backend = NULL;
    if (path[0] == '\0') {
        scratch_make(directory, "spill");
        snprintf(path, sizeof path, "%s/spill", directory);
    }
    trp_error error = {0};
    cr_assert_eq(tri_spill_disk_open(path, &backend, &error), TRP_OK, "%s", error.message);
    return backend;
}

static struct tri_spill_backend *
open_memory(void)
{
    memory_init(&memory);
    return &memory.backend;
}

static struct tri_spill_backend *(*const makers[])(void) = {open_disk, open_memory};
#define EACH_BACKEND(backend)                                                                                          \
    for (size_t maker = 0; maker < sizeof makers / sizeof *makers; maker++)                                            \
        for (struct tri_spill_backend *backend = makers[maker](); backend != NULL; tri_spill_backend_destroy(&backend))

static void
clean(void)
{
    if (path[0] != '\0')
        scratch_remove(directory);
}
TestSuite(spill_backends, .fini = clean);

static struct tri_spill_handle *
opened(struct tri_spill_backend *backend, uint64_t number, bool create)
{
    struct tri_spill_handle *handle = NULL;
    cr_assert_eq(backend->ops->open(backend, number, create, &handle), 0, "%s", backend->ops->name);
    return handle;
}

static int
written(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, const char *text)
{
    const size_t half = strlen(text) / 2;
    struct iovec pieces[] = {{(void *)(uintptr_t)text, half},
                             {(void *)(uintptr_t) "", 0},
                             {(void *)(uintptr_t)(text + half), strlen(text) - half}};
    return backend->ops->write(backend, handle, offset, pieces, 3);
}

static const char *
text_at(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, size_t size)
{
    static char text[256];
    size_t got;
    cr_assert_eq(backend->ops->read(backend, handle, offset, text, size, &got), 0);
    text[got] = '\0';
    return text;
}

Test(spill_backends, what_is_written_is_read_at_once)
{
    EACH_BACKEND(backend)
    {
        struct tri_spill_handle *handle = opened(backend, 1, true);
        cr_expect_eq(written(backend, handle, 0, "hello, "), 0);
        cr_expect_eq(written(backend, handle, 7, "world"), 0);
        cr_expect_str_eq(text_at(backend, handle, 0, 12), "hello, world");
        cr_expect_str_eq(text_at(backend, handle, 3, 5), "lo, w");
        cr_expect_str_eq(text_at(backend, handle, 10, 100), "ld", "less only at the end");
        cr_expect_str_eq(text_at(backend, handle, 100, 1), "");
        cr_expect_eq(backend->ops->sync(backend, handle), 0);
        struct tri_spill_handle *second = opened(backend, 1, false);
        cr_expect_str_eq(text_at(backend, second, 0, 12), "hello, world");
        backend->ops->close(backend, second);
        backend->ops->close(backend, handle);
    }
}

Test(spill_backends, a_file_that_was_cut_goes_on_from_there)
{
    EACH_BACKEND(backend)
    {
        struct tri_spill_handle *handle = opened(backend, 1, true);
        cr_expect_eq(written(backend, handle, 0, "abcdefgh"), 0);
        cr_expect_eq(backend->ops->cut(backend, handle, 3), 0);
        cr_expect_str_eq(text_at(backend, handle, 0, 8), "abc");
        cr_expect_eq(written(backend, handle, 3, "xy"), 0);
        cr_expect_str_eq(text_at(backend, handle, 0, 8), "abcxy");
        cr_expect_eq(backend->ops->cut(backend, handle, 0), 0);
        cr_expect_str_eq(text_at(backend, handle, 0, 8), "");
        backend->ops->close(backend, handle);
    }
}

Test(spill_backends, a_new_file_is_no_old_one_and_a_missing_one_is_told)
{
    EACH_BACKEND(backend)
    {
        struct tri_spill_handle *handle = opened(backend, 5, true), *again = NULL;
        cr_expect_eq(backend->ops->open(backend, 5, true, &again), EEXIST);
        cr_expect_eq(backend->ops->open(backend, 6, false, &again), ENOENT);
        cr_expect_eq(backend->ops->remove(backend, 6), ENOENT);
        cr_expect_null(again);
        backend->ops->close(backend, handle);
    }
}

Test(spill_backends, a_removed_file_is_read_by_who_has_it_open_and_by_nobody_else)
{
    EACH_BACKEND(backend)
    {
        struct tri_spill_handle *handle = opened(backend, 1, true), *again = NULL;
        cr_expect_eq(written(backend, handle, 0, "abc"), 0);
        cr_expect_eq(backend->ops->remove(backend, 1), 0);
        cr_expect_str_eq(text_at(backend, handle, 0, 3), "abc");
        cr_expect_eq(backend->ops->open(backend, 1, false, &again), ENOENT);
        again = opened(backend, 1, true);
        cr_expect_str_eq(text_at(backend, again, 0, 3), "");
        backend->ops->close(backend, again);
        backend->ops->close(backend, handle);
    }
}

struct seen {
    uint64_t numbers, sizes, count;
};

static void
see(void *user, uint64_t number, uint64_t size)
{
    struct seen *seen = user;
    seen->numbers += number;
    seen->sizes += size;
    seen->count++;
}

Test(spill_backends, a_list_has_each_file_with_its_size)
{
    EACH_BACKEND(backend)
    {
        const uint64_t numbers[] = {1, 20, UINT64_C(1) << 60};
        uint64_t foreign = 77, room = 0;
        struct seen seen = {0};
        for (size_t i = 0; i < 3; i++) {
            struct tri_spill_handle *handle = opened(backend, numbers[i], true);
            cr_expect_eq(written(backend, handle, 0, "abcdefgh" + i), 0);
            backend->ops->close(backend, handle);
        }
        for (int twice = 0; twice < 2; twice++) {
            seen = (struct seen){0};
            cr_expect_eq(backend->ops->list(backend, see, &seen, &foreign), 0);
            cr_expect(seen.count == 3 && seen.sizes == 8 + 7 + 6 && seen.numbers == (UINT64_C(1) << 60) + 21);
            cr_expect_eq(foreign, 0);
        }
        cr_expect_eq(backend->ops->room(backend, &room), 0);
        cr_expect_gt(room, 0);
    }
}

/* ------------------------------------------------------------------------------------------------- the disk alone */

static const char *
in_directory(const char *name)
{
    snprintf(place, sizeof place, "%s/%s", path, name);
    return place;
}

Test(spill_backends, a_spill_directory_and_its_files_are_for_nobody_else)
{
    struct stat found;
    umask(0);
    struct tri_spill_backend *backend = open_disk();
    struct tri_spill_handle *handle = opened(backend, 255, true);
    cr_assert_eq(stat(path, &found), 0);
    cr_expect_eq(found.st_mode & 07777, 0700);
    cr_assert_eq(stat(in_directory("troupe-00000000000000ff.spill"), &found), 0);
    cr_expect_eq(found.st_mode & 07777, 0600);
    backend->ops->close(backend, handle);
    tri_spill_backend_destroy(&backend);
}

Test(spill_backends, a_directory_that_others_can_get_at_is_refused)
{
    struct tri_spill_backend *backend = open_disk(), *second = NULL;
    trp_error error = {0};
    cr_expect_eq(tri_spill_disk_open(path, &second, &error), TRP_EALREADY);
    cr_expect(strstr(error.message, path) != NULL, "%s", error.message);
    tri_spill_backend_destroy(&backend);

    chmod(path, 0750);
    cr_expect_eq(tri_spill_disk_open(path, &second, &error), TRP_EACCES);
    cr_expect(strstr(error.message, "0750") != NULL && strstr(error.message, "0700") != NULL, "%s", error.message);
    chmod(path, 0700);

    char link[128], below[128];
    snprintf(link, sizeof link, "%s/link", directory);
    cr_assert_eq(symlink(path, link), 0);
    cr_expect_eq(tri_spill_disk_open(link, &second, &error), TRP_EACCES);
    snprintf(below, sizeof below, "%s/not/there", directory);
    cr_expect_eq(tri_spill_disk_open(below, &second, &error), TRP_EACCES);
    cr_expect(strstr(error.message, "No such file") != NULL, "%s", error.message);
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 1, 1), 0);
        cr_expect_eq(tri_spill_disk_open(path, &second, &error), TRP_EACCES);
        cr_expect(strstr(error.message, "user 1 ") != NULL, "%s", error.message);
    }
    cr_expect_null(second);
}

Test(spill_backends, what_somebody_else_put_there_is_neither_opened_nor_listed)
{
    static const char *const names[] = {"notes.txt", "troupe-1.spill", "troupe-00000000000000FF.spill",
                                        "troupe-0000000000000001.spill.old"};
    struct tri_spill_backend *backend = open_disk();
    struct tri_spill_handle *handle = NULL;
    struct seen seen = {0};
    uint64_t foreign = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        close(open(in_directory(names[i]), O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(symlink("notes.txt", in_directory("troupe-0000000000000001.spill")), 0);
    cr_assert_eq(mkdir(in_directory("troupe-0000000000000002.spill"), 0700), 0);
    cr_assert_eq(mkfifo(in_directory("troupe-0000000000000003.spill"), 0600), 0);
    close(open(in_directory("troupe-0000000000000004.spill"), O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(chmod(place, 0644), 0);
    close(open(in_directory("troupe-0000000000000005.spill"), O_CREAT | O_WRONLY, 0600));
    char second[128];
    snprintf(second, sizeof second, "%s/second-name", path);
    cr_assert_eq(link(place, second), 0);
    for (uint64_t number = 1; number <= 5; number++)
        cr_expect_neq(backend->ops->open(backend, number, false, &handle), 0, "%d", (int)number);
    cr_expect_eq(backend->ops->list(backend, see, &seen, &foreign), 0);
    cr_expect_eq(seen.count, 0);
    cr_expect_eq(foreign, sizeof names / sizeof *names + 6);
    tri_spill_backend_destroy(&backend);
}

/* ------------------------------------------------------------------------------------------------------ a killed process */

enum { KILLED_AFTER = 40, KILLED_SIZE = 150 << 10 };

/* Spills objects until it is killed; says after each where it is. */
static void
spill_for_ever(int to_parent)
{
    static uint8_t bytes[KILLED_SIZE];
    struct tri_spill_backend *backend = open_disk();
    struct tri_spill *spill = NULL;
    const struct tri_spill_options options = {.max_bytes = UINT64_C(1) << 30, .file_bytes = 1 << 20};
    if (tri_spill_create(backend, &options, &spill, NULL) != TRP_OK)
        _exit(1);
    for (uint64_t i = 1;; i++) {
        struct tri_spill_place place;
        const struct tri_spill_item item = {{2, i}, bytes, sizeof bytes};
        (i % 2 == 0 ? fill_text : fill_noise)(bytes, sizeof bytes, i);
        if (tri_spill_append(spill, &item, 1, NULL) != TRP_OK || !tri_spill_find(spill, item.id, &place) ||
            write(to_parent, &place, sizeof place) != (ssize_t)sizeof place)
            _exit(1);
    }
}

Test(spill_backends, what_a_killed_process_had_spilled_is_read_by_the_next_one)
{
    static uint8_t bytes[KILLED_SIZE], back[KILLED_SIZE];
    struct tri_spill_place places[KILLED_AFTER];
    struct tri_spill *spill = NULL;
    uint64_t removed, foreign;
    int ends[2], status;
    struct tri_spill_backend *backend = open_disk();
    tri_spill_backend_destroy(&backend);
    cr_assert_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0)
        spill_for_ever(ends[1]);
    close(ends[1]);
    for (size_t i = 0; i < KILLED_AFTER; i++)
        cr_assert_eq(read(ends[0], &places[i], sizeof *places), (ssize_t)sizeof *places);
    cr_assert(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    cr_expect(WIFSIGNALED(status));

    backend = open_disk();
    const struct tri_spill_options options = {.max_bytes = UINT64_C(1) << 30};
    cr_assert_eq(tri_spill_create(backend, &options, &spill, NULL), TRP_OK);
    for (uint64_t i = 0; i < KILLED_AFTER; i++)
        cr_expect_eq(tri_spill_claim(spill, (struct tri_id){2, i + 1}, &places[i], NULL), TRP_OK);
    cr_expect_eq(tri_spill_sweep(spill, &removed, &foreign, NULL), TRP_OK);
    cr_expect_eq(tri_spill_stat(spill).file_bytes, tri_spill_stat(spill).live_bytes, "nothing else is left of it");
    for (uint64_t i = 1; i <= KILLED_AFTER; i++) {
        (i % 2 == 0 ? fill_text : fill_noise)(bytes, sizeof bytes, i);
        cr_expect_eq(tri_spill_read(spill, (struct tri_id){2, i}, back, sizeof back, NULL), TRP_OK);
        cr_expect(memcmp(bytes, back, sizeof bytes) == 0);
    }
    tri_spill_destroy(&spill);
    tri_spill_backend_destroy(&backend);
    close(ends[0]);
}

/* A disk of 64 KiB, in a namespace of this process, with which it ends. */
static struct tri_spill_backend *
open_small_disk(void)
{
    struct tri_spill_backend *backend = open_disk();
    tri_spill_backend_destroy(&backend);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", path, "tmpfs", 0, "size=64k,mode=0700") != 0)
        cr_skip_test("SKIP: a small tmpfs cannot be mounted here: %s", strerror(errno));
    return open_disk();
}

Test(spill_backends, a_disk_that_is_full_says_so)
{
    struct tri_spill_backend *backend = open_small_disk();
    struct tri_spill_handle *handle = opened(backend, 1, true);
    char *block = calloc(1, 128 << 10);
    struct iovec piece = {block, 128 << 10};
    uint64_t room = 1;
    cr_expect_eq(backend->ops->write(backend, handle, 0, &piece, 1), ENOSPC);
    cr_expect_eq(backend->ops->room(backend, &room), 0);
    cr_expect_eq(room, 0);
    cr_expect_eq(backend->ops->cut(backend, handle, 0), 0);
    cr_expect_eq(written(backend, handle, 0, "abc"), 0);
    cr_expect_str_eq(text_at(backend, handle, 0, 3), "abc");
    backend->ops->close(backend, handle);
    tri_spill_backend_destroy(&backend);
    cr_expect_eq(umount(path), 0);
    free(block);
}

Test(spill_backends, spilling_to_a_full_disk_loses_nothing)
{
    enum { SMALL = 20 << 10, LARGE = 60 << 10 };
    static uint8_t bytes[LARGE], back[LARGE];
    struct tri_spill_backend *backend = open_small_disk();
    struct tri_spill *spill = NULL;
    trp_error error = {0};
    fill_noise(bytes, LARGE, 1);
    const struct tri_spill_options options = {.max_bytes = 1 << 20};
    const struct tri_spill_item items[] = {{{1, 1}, bytes, SMALL}, {{1, 2}, bytes, LARGE}, {{1, 3}, bytes, SMALL}};
    cr_assert_eq(tri_spill_create(backend, &options, &spill, NULL), TRP_OK);
    cr_expect_eq(tri_spill_append(spill, items, 1, NULL), TRP_OK);
    cr_expect_eq(tri_spill_append(spill, items + 1, 2, &error), TRP_EDISKFULL);
    cr_expect(strstr(error.message, "free") != NULL && strstr(error.message, path) != NULL, "%s", error.message);
    cr_expect_eq(tri_spill_append(spill, items + 2, 1, NULL), TRP_OK, "there is room for that");
    for (size_t i = 0; i < 3; i += 2) {
        cr_expect_eq(tri_spill_read(spill, items[i].id, back, SMALL, NULL), TRP_OK);
        cr_expect_arr_eq(back, bytes, SMALL);
    }
    cr_expect_eq(tri_spill_read(spill, items[1].id, back, LARGE, NULL), TRP_ENOENT);
    cr_expect_eq(tri_spill_clear(spill, NULL), TRP_OK);
    tri_spill_destroy(&spill);
    tri_spill_backend_destroy(&backend);
    cr_expect_eq(umount(path), 0);
}
