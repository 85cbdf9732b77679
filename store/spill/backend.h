/*
 * backend.h - where spilled objects are written to, as an operations table: numbered files that only grow at their end.
 *
 * What a backend promises, this disk, the one that tests fail on purpose, or an object store to come:
 *
 *  1. A file belongs to one writer. Nobody else is told its number, and no two of ours use one place at a time (open it exclusively,
 *     or refuse to).
 *  2. A file is written from its start to its end: each write begins where the one before it ended, or where the file was cut.
 *     Nothing else is ever overwritten. So a file can be parts of a multipart upload that are still open.
 *  3. What was written can be read at once, by the same process, also before `sync`. An object store keeps the parts of an
 *     open upload for that.
 *  4. A write that fails may have written some of it: the caller cuts, or never uses that file's end again.
 *  5. Nothing needs to outlive the machine, unless `sync` said so; all needs to outlive the process. What comes back
 *     otherwise than it was written, or not at all, is found out by the reader: hashes are his, not the backend's.
 *  6. A file that was removed is gone for who opens it, though who has it open may still read it.
 *
 * Each operation returns 0 or an errno, may block, and is called by one thread at a time; none logs. ENOSPC, EDQUOT and EFBIG
 * say that there is no room, EMFILE, ENFILE and ENOMEM that nothing is wrong with the file.
 */
#ifndef TRI_SPILL_BACKEND_H
#define TRI_SPILL_BACKEND_H

#include <sys/uio.h>

#include "transport/base/base.h"

struct tri_spill_backend;
struct tri_spill_handle; /* each backend's own */

/* A file of ours that was found. */
typedef void tri_spill_visit(void *user, uint64_t number, uint64_t size);

struct tri_spill_ops {
    const char *name;
    /* Opens file `number`; with `create` it is new and empty: EEXIST if there is one. ENOENT; EPERM: it is not ours. */
    int (*open)(struct tri_spill_backend *backend, uint64_t number, bool create, struct tri_spill_handle **handle);
    void (*close)(struct tri_spill_backend *backend, struct tri_spill_handle *handle);
    /* Writes all the pieces one behind the other from `offset`, the file's end. The pieces may be changed. */
    int (*write)(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset,
                 struct iovec *pieces, int count);
    /* Reads `size` bytes; *got is less only at the file's end. */
    int (*read)(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t offset, void *to,
                size_t size, size_t *got);
    /* The file ends at `size`, which is not behind its end. */
    int (*cut)(struct tri_spill_backend *backend, struct tri_spill_handle *handle, uint64_t size);
    /* What was written survives a crash of the machine. */
    int (*sync)(struct tri_spill_backend *backend, struct tri_spill_handle *handle);
    /* Takes a file away, open or not. ENOENT: there is none. */
    int (*remove)(struct tri_spill_backend *backend, uint64_t number);
    /* Visits each file of ours, in no order; nothing is opened or removed meanwhile. *foreign counts what else is there. */
    int (*list)(struct tri_spill_backend *backend, tri_spill_visit *visit, void *user, uint64_t *foreign);
    /* How many bytes may still be written there. */
    int (*room)(struct tri_spill_backend *backend, uint64_t *bytes);
    void (*destroy)(struct tri_spill_backend *backend);
};

/* The first member of each backend's own struct. */
struct tri_spill_backend {
    const struct tri_spill_ops *ops;
    const char *where; /* for sentences: a path, an address */
};

/* The files of a directory, which is made (0700) if there is none; its parent must be there. Refused: TRP_EACCES, it is not a
 * directory of this user that nobody else may enter, or cannot be used; TRP_EALREADY, another process spills to it.
 * Whoever gets it ends it with tri_spill_backend_destroy. */
trp_err tri_spill_disk_open(const char *directory, struct tri_spill_backend **made, trp_error *error);
void tri_spill_backend_destroy(struct tri_spill_backend **made); /* NULL passes; the files stay */

#define TRI_SPILL_NAME_SIZE 32
/* "troupe-00000000000000ff.spill", the file's name in a directory; returns name. */
char *tri_spill_name(uint64_t number, char name[TRI_SPILL_NAME_SIZE]);

#endif
