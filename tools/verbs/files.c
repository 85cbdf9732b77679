/*
 * files.c - the bytes of files as values: `troupe put --file` reads them into the object itself, `troupe get -o` writes them from
 * where they lie. Neither has them in memory of its own; what does not say its size is gathered in pieces. One thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/verbs/verbs.h"

enum { PIECE = 8 << 20, PROGRESS_MS = 100 };

/* ----------------------------------------------------------------------------------------------------------- progress */

struct progress {
    struct tri_cli *cli;
    const char *what;
    size_t size; /* 0: not known */
    int64_t shown_ms;
    bool shows, shown;
};

static struct progress
progress_of(struct tri_cli *cli, const char *what, size_t size)
{
    const bool shows = !cli->quiet && !cli->json && isatty(fileno(cli->err)) != 0;

    return (struct progress){.cli = cli, .what = what, .size = size, .shown_ms = tri_clock_ms(), .shows = shows};
}

static void
show(struct progress *progress, size_t done)
{
    const int64_t now_ms = tri_clock_ms();

    if (!progress->shows || now_ms - progress->shown_ms < PROGRESS_MS)
        return;
    progress->shown_ms = now_ms;
    progress->shown = true;
    fprintf(progress->cli->err, "\r%.60s: %zu", progress->what, done >> 20);
    if (progress->size > 0)
        fprintf(progress->cli->err, " of %zu", progress->size >> 20);
    fprintf(progress->cli->err, " MiB\033[K");
    fflush(progress->cli->err);
}

static void
clear(const struct progress *progress)
{
    if (progress->shown)
        fprintf(progress->cli->err, "\r\033[K");
}

static int
stopped(struct tri_cli *cli, const char *path)
{
    trp_error error = {.code = TRP_ECANCELLED, .rank = -1};

    (void)snprintf(error.message, sizeof error.message, "%.255s: stopped half-way, nothing was made of it", path);
    return tri_fail(cli, &error, NULL);
}

/* ---------------------------------------------------------------------------------------------------------------- put */

/* As many as there are, up to `size`: fewer only at the end of the file. -1: errno, or Ctrl-C. */
static ssize_t
read_up_to(int fd, char *to, size_t size, struct progress *progress, size_t before)
{
    size_t done = 0;

    while (done < size) {
        const size_t most = size - done < PIECE ? size - done : PIECE;
        const ssize_t got = read(fd, to + done, most);
        if (got == 0)
            break;
        if (tri_stopped() || (got < 0 && errno != EINTR))
            return -1;
        done += got > 0 ? (size_t)got : 0;
        show(progress, before + done);
    }
    return (ssize_t)done;
}

static int
failed_reading(struct tri_cli *cli, const char *path)
{
    return tri_stopped() ? stopped(cli, path) : tri_fail_file(cli, path, errno);
}

/* Into the object itself. A file that others write meanwhile is not what it was: that is said, and nothing is kept. */
static int
put_sized(struct tri_cli *cli, int fd, const char *path, size_t size, trp_ref **ref)
{
    struct progress progress = progress_of(cli, path, size);
    trp_error error;
    ssize_t got;
    char more;

    if (trp_put_begin(cli->runtime, trp_bytes(NULL, size), ref, &error) != TRP_OK)
        return tri_fail(cli, &error, NULL);
    got = read_up_to(fd, trp_put_room(*ref), size, &progress, 0);
    clear(&progress);
    if (got < 0)
        return failed_reading(cli, path);
    if ((size_t)got < size)
        return tri_fail_text(cli, "%.500s: it had %zu bytes, and ended after %zd", path, size, got);
    if (read(fd, &more, 1) > 0)
        return tri_fail_text(cli, "%.500s: it had %zu bytes, and grew while it was read", path, size);
    return trp_put_end(*ref, &error) == TRP_OK ? TRI_EXIT_OK : tri_fail(cli, &error, NULL);
}

struct pieces {
    char **at;
    size_t count, size; /* bytes in all; each but the last is full */
};

static void
free_pieces(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++)
        free(pieces->at[i]);
    free(pieces->at);
}

static int
gather(struct tri_cli *cli, int fd, const char *path, struct pieces *pieces)
{
    struct progress progress = progress_of(cli, path, 0);
    ssize_t got = PIECE;

    while (got == PIECE) {
        char **at = realloc(pieces->at, (pieces->count + 1) * sizeof *at);
        if (at != NULL)
            pieces->at = at;
        if (at == NULL || (at[pieces->count] = malloc(PIECE)) == NULL)
            return tri_fail_text(cli, "out of memory");
        got = read_up_to(fd, at[pieces->count++], PIECE, &progress, pieces->size);
        pieces->size += got > 0 ? (size_t)got : 0;
    }
    clear(&progress);
    return got < 0 ? failed_reading(cli, path) : TRI_EXIT_OK;
}

/* Each piece is given back when it has been copied. */
static int
put_pieces(struct tri_cli *cli, struct pieces *pieces, trp_ref **ref)
{
    trp_error error;
    char *to;

    if (trp_put_begin(cli->runtime, trp_bytes(NULL, pieces->size), ref, &error) != TRP_OK)
        return tri_fail(cli, &error, NULL);
    to = trp_put_room(*ref);
    for (size_t i = 0, left = pieces->size; i < pieces->count; i++) {
        const size_t size = left < PIECE ? left : PIECE;
        memcpy(to, pieces->at[i], size);
        to += size;
        left -= size;
        free(pieces->at[i]);
        pieces->at[i] = NULL;
    }
    return trp_put_end(*ref, &error) == TRP_OK ? TRI_EXIT_OK : tri_fail(cli, &error, NULL);
}

static int
put_open(struct tri_cli *cli, int fd, const char *path, trp_ref **ref)
{
    struct pieces pieces = {0};
    struct stat status;
    off_t at;
    int exit_code;

    if (fstat(fd, &status) != 0)
        return tri_fail_file(cli, path, errno);
    if (S_ISDIR(status.st_mode))
        return tri_fail_file(cli, path, EISDIR);
    at = S_ISREG(status.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (at >= 0 && status.st_size > at) /* those of /proc have no size, and bytes all the same */
        return put_sized(cli, fd, path, (size_t)(status.st_size - at), ref);
    exit_code = gather(cli, fd, path, &pieces);
    if (exit_code == TRI_EXIT_OK)
        exit_code = put_pieces(cli, &pieces, ref);
    free_pieces(&pieces);
    return exit_code;
}

int
tri_put_file(struct tri_cli *cli, const char *path, trp_ref **ref)
{
    const bool is_input = strcmp(path, "-") == 0;
    const int fd = is_input ? fileno(cli->in) : open(path, O_RDONLY | O_CLOEXEC);
    int exit_code;

    if (fd < 0)
        return tri_fail_file(cli, path, errno);
    if (!is_input)
        tri_stop_watch(); /* reading from a terminal or pipe is ended by Ctrl-C at once */
    exit_code = put_open(cli, fd, is_input ? "standard input" : path, ref);
    if (!is_input)
        (void)close(fd);
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------------- get */

/* What of a value goes into a file. false: it has no bytes that are all of it. */
static bool
bytes_of(trp_value value, const char **bytes, size_t *size)
{
    DLTensor tensor;

    if (value.kind == TRP_BYTES || value.kind == TRP_STR) {
        *bytes = value.as.bytes;
        *size = value.size;
        return true;
    }
    if (!trp_as_tensor(value, &tensor))
        return false;
    *bytes = (const char *)tensor.data + tensor.byte_offset;
    *size = (size_t)tensor.dtype.bits * tensor.dtype.lanes / 8;
    for (int i = 0; i < tensor.ndim; i++)
        *size *= (size_t)tensor.shape[i];
    return true;
}

/* 0, or errno; ECANCELED: Ctrl-C. */
static int
write_all(struct tri_cli *cli, int fd, const char *path, const char *bytes, size_t size)
{
    struct progress progress = progress_of(cli, path, size);
    size_t done = 0;
    int err = 0;

    while (done < size && err == 0) {
        const size_t most = size - done < PIECE ? size - done : PIECE;
        const ssize_t written = write(fd, bytes + done, most);
        done += written > 0 ? (size_t)written : 0;
        err = tri_stopped() ? ECANCELED : written < 0 && errno != EINTR ? errno : 0;
        show(&progress, done);
    }
    clear(&progress);
    return err;
}

static int
report(struct tri_cli *cli, const char *path, int err)
{
    return err == 0 ? TRI_EXIT_OK : err == ECANCELED ? stopped(cli, path) : tri_fail_file(cli, path, err);
}

/* A device, a pipe: what is written is gone. */
static int
write_through(struct tri_cli *cli, const char *path, const char *bytes, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    int err;

    if (fd < 0)
        return tri_fail_file(cli, path, errno);
    err = write_all(cli, fd, path, bytes, size);
    if (close(fd) != 0 && err == 0)
        err = errno;
    return report(cli, path, err);
}

static mode_t
mode_of(const struct stat *before)
{
    mode_t mask;

    if (before != NULL)
        return before->st_mode & 07777;
    mask = umask(0);
    (void)umask(mask);
    return 0666 & ~mask;
}

/* Under another name first: the file is there whole, or as it was. `before`: it was there; `path` has no links then, and
 * `shown` is what it was called. */
static int
replace(struct tri_cli *cli, const char *shown, const char *path, const struct stat *before, const char *bytes,
        size_t size)
{
    const char *slash = strrchr(path, '/');
    const size_t folder = slash != NULL ? (size_t)(slash + 1 - path) : 0;
    char *other = malloc(folder + 32);
    int fd, err = 0;

    if (other == NULL)
        return tri_fail_text(cli, "out of memory");
    memcpy(other, path, folder);
    memcpy(other + folder, ".troupe-get.XXXXXX", sizeof ".troupe-get.XXXXXX");
    fd = mkostemp(other, O_CLOEXEC);
    if (fd < 0)
        err = errno;
    if (err == 0)
        err = write_all(cli, fd, shown, bytes, size);
    if (fd >= 0 && fchmod(fd, mode_of(before)) != 0 && err == 0)
        err = errno;
    if (fd >= 0 && close(fd) != 0 && err == 0)
        err = errno;
    if (err == 0 && rename(other, path) != 0)
        err = errno;
    if (err != 0 && fd >= 0)
        (void)unlink(other);
    free(other);
    return report(cli, shown, err);
}

static int
write_file(struct tri_cli *cli, const char *path, const char *bytes, size_t size)
{
    struct stat status;
    char *whole;
    int exit_code;

    if (stat(path, &status) != 0)
        return errno == ENOENT && path[0] != '\0' ? replace(cli, path, path, NULL, bytes, size)
                                                  : tri_fail_file(cli, path, errno);
    if (S_ISDIR(status.st_mode))
        return tri_fail_file(cli, path, EISDIR);
    if (!S_ISREG(status.st_mode))
        return write_through(cli, path, bytes, size);
    if (access(path, W_OK) != 0 || (whole = realpath(path, NULL)) == NULL)
        return tri_fail_file(cli, path, errno);
    exit_code = replace(cli, path, whole, &status, bytes, size);
    free(whole);
    return exit_code;
}

/* Raw, to where results go. */
static int
write_out(struct tri_cli *cli, const char *bytes, size_t size)
{
    int exit_code = tri_flush(cli);

    for (size_t done = 0; done < size && exit_code == TRI_EXIT_OK;) {
        const size_t most = size - done < PIECE ? size - done : PIECE;
        done += fwrite(bytes + done, 1, most, cli->out);
        exit_code = tri_flush(cli);
    }
    return exit_code;
}

int
tri_get_file(struct tri_cli *cli, const char *what, trp_value value, const char *path)
{
    const char *bytes;
    size_t size;
    int exit_code;

    if (!bytes_of(value, &bytes, &size))
        return tri_fail_text(cli, "'%.255s' is no bytes, string or tensor; without -o it is printed as JSON", what);
    if (strcmp(path, "-") == 0)
        return write_out(cli, bytes, size);
    tri_stop_watch();
    exit_code = write_file(cli, path, bytes, size);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    tri_tell(cli, "%zu bytes of '%.255s' are in %.500s", size, what, path);
    return tri_wants_value(cli) ? tri_give(cli, NULL, TRP_MAP("file", path, "bytes", size)) : TRI_EXIT_OK;
}
