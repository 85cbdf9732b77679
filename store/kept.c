/*
 * kept.c - kept.h on a file system.
 */
#include "store/kept_head.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "store/tmp.h"

#define HASH_SIZE  32 /* hex digits of a name's hash */
#define NAME_SIZE  (HASH_SIZE + sizeof ".kept")
#define SUFFIX     ".kept"
#define NEW_SUFFIX ".new"
#define PATH_SIZE  512
enum { AT_ONCE = 1 << 30, NEW_S = 60 };

/* ----------------------------------------------------------------------------------------------------------- errors */

/* What it means where tri_errno_code does not know. */
static trp_err
meaning_of(int errnum)
{
    if (errnum == ENOENT)
        return TRP_ENOENT;
    return errnum == ELOOP || errnum == ENOTDIR ? TRP_EACCES : TRP_EUNAVAILABLE; /* a link lies there, or a file */
}

static trp_err
fail(trp_error *error, const char *what, const char *name)
{
    return tri_fail_system(error, meaning_of(errno), errno, "cannot %s %s", what, name);
}

/* ------------------------------------------------------------------------------------------------------- directories */

static bool
ends_with(const char *name, const char *suffix)
{
    const size_t size = strlen(name), tail = strlen(suffix);
    return size > tail && strcmp(name + size - tail, suffix) == 0;
}

static bool
is_file(const char *name)
{
    return ends_with(name, SUFFIX) || ends_with(name, NEW_SUFFIX) || strcmp(name, "node") == 0;
}

/* Whether the node that it was made for has it no more. */
static bool
is_left(int directory, const char *name)
{
    char node[PATH_SIZE / 2], path[PATH_SIZE], leads[PATH_SIZE], base[TRI_TMP_SIZE], real[PATH_SIZE];
    struct stat status;
    const int fd = openat(directory, "node", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, node, sizeof node - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (size <= 0) /* it is being made, or its maker died then */
        return fstat(directory, &status) == 0 && time(NULL) - status.st_mtime > NEW_S;
    node[size] = '\0';
    (void)snprintf(path, sizeof path, "%s/kept", node);
    (void)snprintf(real, sizeof real, "%s/%s", tri_tmp_path(base), name);
    const ssize_t length = readlink(path, leads, sizeof leads - 1);
    return length < 0 ? errno == ENOENT || errno == ENOTDIR : strncmp(leads, real, (size_t)length) != 0;
}

static const struct tri_tmp_kind kind = {"kept-", is_left, is_file};

static bool
make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const bool ours = fd >= 0 && tri_tmp_is_ours(fd, S_IFDIR);
    if (fd >= 0)
        close(fd);
    if (!ours)
        errno = EACCES;
    return ours;
}

static bool
is_in_memory(const char *path)
{
    struct statfs status;
    return statfs(path, &status) == 0 && (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

/* Says whose it is, for who sweeps. */
static bool
sign(const char *real, const char *node_directory)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/node", real);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    const size_t size = strlen(node_directory);
    const bool done = write(fd, node_directory, size) == (ssize_t)size;
    close(fd);
    return done;
}

/* One that could not be made whole. */
static void
remove_empty(const char *real)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/node", real);
    (void)unlink(path);
    (void)rmdir(real);
}

static trp_err
make_kept(const char *node_directory, const char *link, trp_error *error)
{
    char base[TRI_TMP_SIZE], real[PATH_SIZE / 2], id[TRI_ID_TEXT_SIZE];
    if (!is_in_memory(node_directory))
        return make_directory(link) ? TRP_OK : fail(error, "make", link);
    (void)tri_id_format(tri_id_of_text(node_directory, strlen(node_directory)), id);
    (void)snprintf(real, sizeof real, "%s/%s%s", tri_tmp_path(base), kind.prefix, id);
    if (!make_directory(base))
        return fail(error, "make", base);
    if (make_directory(real) && sign(real, node_directory) && (symlink(real, link) == 0 || errno == EEXIST))
        return TRP_OK;
    const trp_err err = fail(error, "make", real);
    remove_empty(real);
    (void)rmdir(base);
    return err;
}

trp_err
tri_kept_open(const char *node_directory, bool make, int *directory, trp_error *error)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/kept", node_directory);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make) {
        TRP_TRY(make_kept(node_directory, path, error));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return fail(error, "open", path);
    if (!tri_tmp_is_ours(fd, S_IFDIR)) {
        close(fd);
        return TRI_FAIL(error, TRP_EACCES, "%s is not this user's alone", path);
    }
    *directory = fd;
    return TRP_OK;
}

bool
tri_kept_any(const char *node_directory)
{
    int directory = -1;
    bool any = false;
    if (tri_kept_open(node_directory, false, &directory, NULL) != TRP_OK)
        return false;
    DIR *opened = tri_tmp_list(directory);
    for (const struct dirent *entry; !any && opened != NULL && (entry = readdir(opened)) != NULL;)
        any = ends_with(entry->d_name, SUFFIX);
    if (opened != NULL)
        closedir(opened);
    close(directory);
    return any;
}

void
tri_kept_clear(const char *node_directory)
{
    char path[PATH_SIZE], real[PATH_SIZE], base[TRI_TMP_SIZE];
    int directory = -1;
    (void)snprintf(path, sizeof path, "%s/kept", node_directory);
    if (tri_kept_open(node_directory, false, &directory, NULL) == TRP_OK) {
        tri_tmp_empty(directory, &kind);
        close(directory);
    }
    const ssize_t size = readlink(path, real, sizeof real - 1);
    if (size <= 0) {
        (void)rmdir(path);
        return;
    }
    real[size] = '\0';
    (void)rmdir(real);
    (void)unlink(path);
    (void)rmdir(tri_tmp_path(base)); /* nothing else of this user lies there */
}

unsigned
tri_kept_sweep(void)
{
    char base[TRI_TMP_SIZE];
    return tri_tmp_sweep(tri_tmp_path(base), &kind);
}

/* ------------------------------------------------------------------------------------------------------------- files */

static void
name_file(const char *name, const char *suffix, char *file)
{
    const struct tri_id id = tri_id_of_text(name, strlen(name));
    (void)snprintf(file, NAME_SIZE, "%016" PRIx64 "%016" PRIx64 "%s", id.space, id.number, suffix);
}

/* All of it. 0, or errno. */
static int
write_all(int fd, const void *data, uint64_t size, uint64_t offset)
{
    const uint8_t *from = data;
    while (size > 0) {
        const ssize_t done = pwrite(fd, from, size < AT_ONCE ? size : AT_ONCE, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        from += done;
        offset += (uint64_t)done;
        size -= (uint64_t)done;
    }
    return 0;
}

/* false: it is shorter, or cannot be read. */
static bool
read_all(int fd, void *data, uint64_t size, uint64_t offset)
{
    size_t got;
    return tri_read_at(fd, data, size, offset, &got) == 0 && got == size;
}

trp_err
tri_kept_write(int directory, const char *name, const struct tri_kept_about *about, const struct tri_section *value,
               trp_error *error)
{
    char file[NAME_SIZE], fresh[NAME_SIZE];
    TRI_ASSERT(value->ref_count == 0);
    struct tri_kept_head head = {.magic = TRI_KEPT_MAGIC,
                                 .version = TRI_KEPT_VERSION,
                                 .name_size = (uint32_t)strlen(name),
                                 .id = about->id,
                                 .until_ms = about->until_ms,
                                 .size = value->size,
                                 .hash = XXH3_64bits(value->data, value->size),
                                 .meta_size = value->meta_size};
    head.name_hash = XXH3_64bits(name, head.name_size);
    head.head_hash = tri_kept_head_hash(&head);
    name_file(name, NEW_SUFFIX, fresh);
    name_file(name, SUFFIX, file);
    const int fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(error, "make a file to keep the object as", name);
    errno = write_all(fd, &head, sizeof head, 0);
    if (errno == 0)
        errno = write_all(fd, name, head.name_size, sizeof head);
    if (errno == 0)
        errno = write_all(fd, value->data, value->size, tri_kept_offset(&head));
    if (errno == 0 && ftruncate(fd, (off_t)(tri_kept_offset(&head) + value->size)) == 0 &&
        renameat(directory, fresh, directory, file) == 0) {
        close(fd);
        return TRP_OK;
    }
    const trp_err err =
        tri_fail_system(error, meaning_of(errno), errno,
                        "the %" PRIu64 " bytes that are to be kept as '%s' cannot be written", value->size, name);
    close(fd);
    (void)unlinkat(directory, fresh, 0);
    return err;
}

void
tri_kept_remove(int directory, const char *name)
{
    char file[NAME_SIZE];
    name_file(name, SUFFIX, file);
    (void)unlinkat(directory, file, 0);
}

/* Its head and name. NULL, or what is wrong with it. */
static const char *
read_head(int fd, struct tri_kept_head *head, char name[TRI_NAME_MAX + 1])
{
    struct stat status;
    if (!tri_tmp_is_ours(fd, S_IFREG) || fstat(fd, &status) != 0)
        return "it is no file of this user alone";
    if (!read_all(fd, head, sizeof *head, 0) || head->magic != TRI_KEPT_MAGIC)
        return "it is no such file";
    if (head->version != TRI_KEPT_VERSION)
        return "it is of another version";
    if (head->head_hash != tri_kept_head_hash(head))
        return "its head is damaged";
    if (head->name_size == 0 || head->name_size > TRI_NAME_MAX || head->size == 0 || head->size > TRI_STORED_MAX ||
        head->meta_size > head->size || (uint64_t)status.st_size != tri_kept_offset(head) + head->size)
        return "its size is not what it says";
    if (!read_all(fd, name, head->name_size, sizeof *head) || head->name_hash != XXH3_64bits(name, head->name_size))
        return "its name is damaged";
    name[head->name_size] = '\0';
    return strlen(name) == head->name_size ? NULL : "its name is damaged";
}

/* Opens the file of a name; *head is what it says, and right. */
static trp_err
open_file(int directory, const char *name, int access, int *fd, struct tri_kept_head *head, trp_error *error)
{
    char file[NAME_SIZE], is[TRI_NAME_MAX + 1];
    name_file(name, SUFFIX, file);
    *fd = openat(directory, file, access | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return fail(error, "open the file of", name);
    const char *wrong = read_head(*fd, head, is);
    if (wrong == NULL && strcmp(is, name) != 0)
        wrong = "it is of another name";
    if (wrong == NULL)
        return TRP_OK;
    close(*fd);
    return TRI_FAIL(error, TRP_EOBJLOST, "%s", wrong);
}

trp_err
tri_kept_renew(int directory, const char *name, int64_t until_ms, trp_error *error)
{
    struct tri_kept_head head;
    trp_error why;
    int fd;
    trp_err err = open_file(directory, name, O_RDWR, &fd, &head, &why);
    if (err != TRP_OK)
        return TRI_FAIL(error, err, "what is kept as '%s': %s", name, why.message);
    head.until_ms = until_ms;
    head.head_hash = tri_kept_head_hash(&head);
    errno = write_all(fd, &head, sizeof head, 0);
    err = errno == 0 ? TRP_OK : fail(error, "write the file of", name);
    close(fd);
    return err;
}

unsigned
tri_kept_each(int directory, tri_kept_visit *visit, void *user)
{
    char name[TRI_NAME_MAX + 1], file[NAME_SIZE];
    unsigned damaged = 0;
    struct tri_kept_head head;
    DIR *opened = tri_tmp_list(directory);
    for (const struct dirent *entry; opened != NULL && (entry = readdir(opened)) != NULL;) {
        if (ends_with(entry->d_name, NEW_SUFFIX))
            (void)unlinkat(directory, entry->d_name, 0);
        if (!ends_with(entry->d_name, SUFFIX))
            continue;
        const int fd = openat(directory, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        bool right = fd >= 0 && read_head(fd, &head, name) == NULL;
        if (right) {
            name_file(name, SUFFIX, file);
            right = strcmp(file, entry->d_name) == 0;
        }
        if (fd >= 0)
            close(fd);
        if (right)
            visit(user, name, &(struct tri_kept_about){head.id, head.until_ms});
        damaged += !right;
    }
    if (opened != NULL)
        closedir(opened);
    return damaged;
}

trp_err
tri_kept_find(int directory, const char *name, struct tri_kept_file *found, trp_error *error)
{
    struct tri_kept_head head;
    int fd;
    TRP_TRY(open_file(directory, name, O_RDONLY, &fd, &head, error));
    *found = (struct tri_kept_file){
        .fd = fd, .offset = tri_kept_offset(&head), .size = head.size, .hash = head.hash, .meta_size = head.meta_size};
    return TRP_OK;
}

trp_err
tri_kept_read(struct tri_kept_file *file, uint8_t *to, trp_error *error)
{
    const bool right = read_all(file->fd, to, file->size, file->offset) && XXH3_64bits(to, file->size) == file->hash;
    tri_kept_close(file);
    return right ? TRP_OK : TRI_FAIL(error, TRP_EOBJLOST, "the value's %" PRIu64 " bytes are damaged", file->size);
}

void
tri_kept_close(struct tri_kept_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
