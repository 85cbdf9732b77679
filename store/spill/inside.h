/*
 * inside.h - what files.c, append.c and restore.c share of a tri_spill. Nobody else includes it.
 */
#ifndef TRI_SPILL_INSIDE_H
#define TRI_SPILL_INSIDE_H

#include "store/spill/files.h"

struct file {
    struct tri_entry entry;          /* in `files`, by its number */
    struct tri_node order;           /* in `in_order`, as they were begun */
    struct tri_node recent;          /* in `open_files`, the longest unused first; linked to itself while closed */
    struct tri_node objects;         /* in the order of their offsets */
    struct tri_spill_handle *handle; /* NULL: closed */
    uint64_t number;
    uint64_t size; /* where the next object begins; of a file whose end could not be cut: what it takes at most */
    uint64_t live_bytes, live_count;
    bool unreadable; /* compacting failed to read it: it stays until its objects have died */
};

struct object {
    struct tri_entry entry; /* in `objects` */
    struct tri_node place;  /* in its file's */
    struct file *file;
    uint64_t offset, stored_size, raw_size;
};

enum { PIECES = 128, HEADERS = 64 };

struct tri_spill {
    struct tri_spill_backend *backend;
    struct tri_spill_options options;
    struct tri_table objects, files;
    struct tri_node in_order, open_files;
    uint32_t open_count;
    uint64_t next_number;
    struct file *current; /* what is appended to; NULL: the next append begins one */
    struct tri_spill_stat stat;
    /* What was gathered for the current file and is not written: pieces of objects, of the scratch and of `headers`. */
    struct iovec pieces[PIECES];
    int piece_count;
    uint64_t gathered; /* bytes */
    size_t scratch_used;
    uint32_t header_count;
    struct tri_spill_header headers[HEADERS];
    uint8_t *scratch; /* TRI_SPILL_SCRATCH bytes */
};

/* The trp_err for an errno of writing. */
trp_err tri_spill_errno(int errnum);

/* ----------------------------------------------------------------------------------------------------------- files */

/* A new file, which is the current one. */
trp_err tri_spill_file_begin(struct tri_spill *spill, trp_error *error);
/* Makes sure that it is open; another one may be closed for that. `lost` is what it means that it is not there. */
trp_err tri_spill_file_open(struct tri_spill *spill, struct file *file, trp_err lost, trp_error *error);
/* It has no objects: it goes. When it cannot, it is counted as empty and tried again. Returns an errno. */
int tri_spill_file_end(struct tri_spill *spill, struct file *file);
/* Ends each file that has no objects; *removed how many. The first reason why one stays. */
trp_err tri_spill_remove_empty(struct tri_spill *spill, uint64_t *removed, trp_error *error);
/* Takes `size` as what a file takes. */
void tri_spill_file_grow(struct tri_spill *spill, struct file *file, uint64_t size);

/* --------------------------------------------------------------------------------------------------------- objects */

struct object *tri_spill_object_find(const struct tri_spill *spill, struct tri_id id); /* NULL: absent */
/* Links an object to where it is. The table has room for it. */
void tri_spill_object_link(struct tri_spill *spill, struct object *object, struct file *file, uint64_t offset);
/* Takes it out of its file, which may be without objects then. */
void tri_spill_object_unlink(struct tri_spill *spill, struct object *object);

/* Reads a part of a stored object. All of it is there or the object is lost. */
trp_err tri_spill_fetch(struct tri_spill *spill, struct object *object, uint64_t at, void *to, size_t size,
                        trp_error *error);

#endif
