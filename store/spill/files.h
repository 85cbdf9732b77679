/*
 * files.h - the spilled objects of a node: which there are, in which file each lies, and how files come and go.
 *
 * Objects are appended in batches to a file of about 100 MB; when it has that much the next one is begun. An object that dies
 * leaves a gap: a file without objects is removed at once, one that is mostly gaps when tri_spill_compact gets to it, its objects
 * having been appended elsewhere. What a file takes counts against the budget, gaps and all. Of the budget an eighth, or a
 * file, is left for compacting, so that the budget holds always and dead bytes never stop what would free them.
 *
 * What a call needs in memory does not grow with the objects' sizes: a buffer of 4 MiB for all of it, and 100 bytes for each object.
 * Objects are written from where they lie, and read to where they shall lie.
 *
 * Errors of this page, wherever they are not told: TRP_ENOMEM; TRP_ELIMIT, no descriptor is left (ulimit -n); TRP_EACCES, the
 * place cannot be written to; TRP_EUNAVAILABLE, it failed in another way. Each leaves all objects as they were.
 *
 * One thread, which may block on the disk. It knows nothing of the arena, nor of who holds an object.
 */
#ifndef TRI_SPILL_FILES_H
#define TRI_SPILL_FILES_H

#include "store/spill/backend.h"
#include "store/spill/block.h"

#define TRI_SPILL_FILE_BYTES (UINT64_C(100) << 20)
#define TRI_SPILL_OPEN_MAX   16 /* files that are open at once */

struct tri_spill;

/* Where an object is; for a table that outlives this process. */
struct tri_spill_place {
    uint64_t file, offset;
    uint64_t stored_size; /* headers included */
    uint64_t raw_size;
};

struct tri_spill_options {
    uint64_t max_bytes;  /* budget; 0: half of what is free there now */
    uint64_t file_bytes; /* 0: TRI_SPILL_FILE_BYTES. At most an eighth of max_bytes is taken */
    uint64_t seed;       /* of the table of ids */
    bool sync;           /* each batch survives a crash of the machine; usually nobody is left to ask for it then */
    /* An object was moved: its old place may be forgotten now, and is gone soon. May be NULL. */
    void (*moved)(void *user, struct tri_id id, const struct tri_spill_place *place);
    void *user;
};

struct tri_spill_stat {
    uint64_t objects, raw_bytes;     /* of the objects that are spilled */
    uint64_t files, file_bytes;      /* what counts against the budget */
    uint64_t live_bytes;             /* of file_bytes: objects. The others are gaps */
    uint64_t max_bytes;              /* the budget */
    uint64_t appended, appended_raw; /* so far: objects, and their bytes */
    uint64_t restored_raw;           /* so far */
    uint64_t compacted;              /* so far: files */
    uint64_t empty_files;            /* files without objects that are still there */
};

/* The backend is borrowed until the end. Files that are there already are taken over: tri_spill_claim says what of them is wanted,
 * and tri_spill_sweep ends that. */
trp_err tri_spill_create(struct tri_spill_backend *backend, const struct tri_spill_options *options,
                         struct tri_spill **made, trp_error *error);
/* The files stay, for the next one to take over. NULL passes. */
void tri_spill_destroy(struct tri_spill **made);
/* All objects are gone, and their files. What cannot be removed: the first reason, after all was tried. */
trp_err tri_spill_clear(struct tri_spill *spill, trp_error *error);

/* An object that an earlier process appended. Claims in the order of files and offsets let tri_spill_next tell neighbours.
 * TRP_EOBJLOST: it is not there, or not that object. TRP_EEXIST: claimed before. TRP_ENOMEM, TRP_ELIMIT: it may well be there: ask
 * again before the sweep, which takes away what nobody claimed. */
trp_err tri_spill_claim(struct tri_spill *spill, struct tri_id id, const struct tri_spill_place *place,
                        trp_error *error);
/* Removes the files of ours that have no object, and what is behind the last object of each other one, which was being written
 * when its process died. Says how many were removed, and how much there is that is not ours, which stays. What cannot be
 * removed: the first reason, after all was tried. */
trp_err tri_spill_sweep(struct tri_spill *spill, uint64_t *removed, uint64_t *foreign, trp_error *error);

/* ---------------------------------------------------------------------------------------------------------- writing */

struct tri_spill_item {
    struct tri_id id;
    const void *data; /* stays as it is during the call */
    uint64_t size;
};
/* All of them, or none: what was written of them is cut off again. TRP_EDISKFULL: the budget does not have room for them even if
 * nothing can be compressed (then nothing was written), or the disk has none; with the numbers. TRP_EEXIST: one is spilled already.
 * TRP_EINVAL: an id is none, or one is there twice. TRP_ELIMIT: larger than TRI_SPILL_OBJECT_MAX. */
trp_err tri_spill_append(struct tri_spill *spill, const struct tri_spill_item *items, size_t count, trp_error *error);
/* The object is not wanted any more. TRP_ENOENT: it is not spilled. */
trp_err tri_spill_drop(struct tri_spill *spill, struct tri_id id);
/* Frees one file of which less than half is alive, and removes what could not be removed before. *did: there was one, and there may
 * be more. When it fails some objects of the file may have moved, and all are there. */
trp_err tri_spill_compact(struct tri_spill *spill, bool *did, trp_error *error);

/* ---------------------------------------------------------------------------------------------------------- reading */

bool tri_spill_find(const struct tri_spill *spill, struct tri_id id,
                    struct tri_spill_place *place); /* place may be NULL */
/* The object that was written behind this one, and is likely to be asked for next. false: there is none in its file. */
bool tri_spill_next(const struct tri_spill *spill, struct tri_id id, struct tri_id *next);

/* The whole object, to `size` bytes, which is its raw size. TRP_ENOENT: it is not spilled. TRP_EINVAL: it has another size.
 * TRP_EOBJLOST: it is damaged or gone; what is in `to` then is of no use. */
trp_err tri_spill_read(struct tri_spill *spill, struct tri_id id, void *to, uint64_t size, trp_error *error);

/* The same in steps of a block, between which the object may move or end (TRP_ENOENT then), and others be appended. */
struct tri_spill_reader {
    struct tri_id id;
    uint64_t raw_size;      /* of the object */
    uint32_t index, blocks; /* the next one to be read, and how many there are; equal: all were read */
    uint64_t at;            /* bytes of the stored object that were read */
};
trp_err tri_spill_read_begin(struct tri_spill *spill, struct tri_id id, struct tri_spill_reader *reader,
                             trp_error *error);
/* Block `reader->index` to its place in the object that begins at `object`. There is one left. */
trp_err tri_spill_read_block(struct tri_spill *spill, struct tri_spill_reader *reader, void *object, trp_error *error);

struct tri_spill_stat tri_spill_stat(const struct tri_spill *spill);
/* Checks all that has to hold; NULL, or what does not. Looks at everything: for tests. */
const char *tri_spill_check(const struct tri_spill *spill);

#endif
