/*
 * fuzz_kept.c - libFuzzer's entry: any bytes as the file of a value that a node keeps. The next node lists it, reads it, looks at
 * the value, and keeps it for longer.
 *
 * The first byte of the input says whether all hashes are set as they should be first: else hardly any input would get beyond
 * them. The second one says whether the file has the name that it should have.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/kept_head.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kept_input.h"
#include "tests/schemas/every_body.h"

static char node[] = "/dev/shm/troupe-fuzz-kept-XXXXXX";

static void
leave(void)
{
    char kept[sizeof node + sizeof "/kept"];
    (void)snprintf(kept, sizeof kept, "%s/kept", node);
    (void)rmdir(kept);
    (void)rmdir(node);
}

/* The directory that all files lie in, one after the other. */
static int
open_directory(void)
{
    static int directory = -1;
    char kept[sizeof node + sizeof "/kept"];
    if (directory >= 0)
        return directory;
    TRI_ASSERT(mkdtemp(node) != NULL);
    (void)atexit(leave);
    (void)snprintf(kept, sizeof kept, "%s/kept", node);
    TRI_ASSERT(mkdir(kept, 0700) == 0);
    TRI_ASSERT(tri_kept_open(node, false, &directory, NULL) == TRP_OK);
    return directory;
}

/* Sets the hashes as far as what they are of is there. */
static void
seal(uint8_t *bytes, size_t size)
{
    struct tri_kept_head head;
    if (size < sizeof head)
        return;
    memcpy(&head, bytes, sizeof head);
    if (head.name_size <= size - sizeof head)
        head.name_hash = XXH3_64bits(bytes + sizeof head, head.name_size);
    const uint64_t at = tri_kept_offset(&head);
    if (at <= size && head.size <= size - at)
        head.hash = XXH3_64bits(bytes + at, head.size);
    head.head_hash = tri_kept_head_hash(&head);
    memcpy(bytes, &head, sizeof head);
}

/* The name that the file says, as far as it has one. */
static void
find_name(const uint8_t *bytes, size_t size, char name[TRI_NAME_MAX + 1])
{
    struct tri_kept_head head = {0};
    if (size >= sizeof head)
        memcpy(&head, bytes, sizeof head);
    size_t length = size >= sizeof head && head.name_size <= size - sizeof head ? head.name_size : 0;
    if (length > TRI_NAME_MAX)
        length = TRI_NAME_MAX;
    memcpy(name, bytes + (length > 0 ? sizeof head : 0), length);
    name[length] = '\0';
}

static void
write_file(int directory, const char *file, const uint8_t *bytes, size_t size)
{
    const int fd = openat(directory, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    TRI_ASSERT(fd >= 0);
    TRI_ASSERT(write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

struct seen {
    const char *name;
    unsigned count;
};

static void
see(void *user, const char *name, const struct tri_kept_about *about)
{
    struct seen *seen = user;
    (void)about;
    seen->count++;
    TRI_ASSERT(strcmp(name, seen->name) == 0);
}

/* Its value, in memory that has no byte more than it. */
static bool
read_value(int directory, const char *name)
{
    struct tri_kept_file file;
    struct tri_view view;
    if (tri_kept_find(directory, name, &file, NULL) != TRP_OK)
        return false;
    TRI_ASSERT(file.size > 0 && file.size <= FUZZ_SEED_MAX && file.meta_size <= file.size);
    uint8_t *bytes = malloc(tri_pad8(file.size));
    TRI_ASSERT(bytes != NULL);
    const struct tri_section section = {.meta_size = file.meta_size, .size = file.size, .data = bytes};
    if (tri_kept_read(&file, bytes, NULL) == TRP_OK && tri_view_open(&view, &section, NULL) == TRP_OK) {
        tri_touch_view(&view);
        tri_view_close(&view);
    }
    free(bytes);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[FUZZ_SEED_MAX];
    char name[TRI_NAME_MAX + 1], file[64];
    if (size < KEPT_HEAD || size > sizeof bytes)
        return 0;
    const int directory = open_directory();
    size -= KEPT_HEAD;
    memcpy(bytes, data + KEPT_HEAD, size);
    if (data[0] & 1)
        seal(bytes, size);
    find_name(bytes, size, name);
    const char *shown = data[1] & 1 ? "another" : name;
    const struct tri_id id = tri_id_of_text(shown, strlen(shown));
    (void)snprintf(file, sizeof file, "%016" PRIx64 "%016" PRIx64 ".kept", id.space, id.number);
    write_file(directory, file, bytes, size);

    struct seen seen = {.name = name};
    const unsigned damaged = tri_kept_each(directory, see, &seen);
    TRI_ASSERT(damaged + seen.count == 1);
    const bool found = read_value(directory, shown);
    TRI_ASSERT(found == (seen.count == 1));
    TRI_ASSERT(!found || tri_kept_renew(directory, shown, 5, NULL) == TRP_OK);
    TRI_ASSERT(!found || read_value(directory, shown));
    tri_kept_remove(directory, shown);
    return 0;
}
