/*
 * kept.h - values that a node service keeps for its programs, on disk: they outlive the process that holds them, and the node.
 * One file each, named by the hash of its name, in the directory that DIR/kept of the node is or leads to: the latter where DIR
 * lies in memory. A file is there whole or not at all (it gets its name last), and what is read was checked: a damaged one gives
 * an error, never another value. It survives the end of any process, not a crash of the machine.
 *
 * It knows values as bytes that a section has, without references; nothing of who asks, nor of time: `until_ms` is only stored.
 *
 * Errors: TRP_EDISKFULL; TRP_EACCES it is not ours alone, or cannot be written to; TRP_ENOENT; TRP_EOBJLOST damaged; TRP_ELIMIT no
 * descriptor is left; TRP_ENOMEM; TRP_EUNAVAILABLE it failed in another way. One thread at a time for each directory.
 */
#ifndef TRI_KEPT_H
#define TRI_KEPT_H

#include "schemas/schemas.h"

#define TRI_KEPT_FOREVER INT64_MAX

/* The descriptor of the node's directory of such files, to be closed. TRP_ENOENT: there is none, and it was not to be made. */
trp_err tri_kept_open(const char *node_directory, bool make, int *directory, trp_error *error);
/* Whether there is anything. */
bool tri_kept_any(const char *node_directory);
/* The node ends: all of it goes, the directory, too. */
void tri_kept_clear(const char *node_directory);
/* Removes what is in /var/tmp of nodes whose directories are gone. Returns how many. */
unsigned tri_kept_sweep(void);

/* What is said of a file, besides its value. */
struct tri_kept_about {
    struct tri_id id; /* the object's, in the node that wrote it */
    int64_t until_ms; /* as CLOCK_REALTIME, or TRI_KEPT_FOREVER */
};
/* Writes a value that has no references, or writes it anew. */
trp_err tri_kept_write(int directory, const char *name, const struct tri_kept_about *about,
                       const struct tri_section *value, trp_error *error);
/* The same value for another time. */
trp_err tri_kept_renew(int directory, const char *name, int64_t until_ms, trp_error *error);
void tri_kept_remove(int directory, const char *name);

/* Each of those that are there; what was half written by who has died is removed. Returns how many were damaged, which stay. */
typedef void tri_kept_visit(void *user, const char *name, const struct tri_kept_about *about);
unsigned tri_kept_each(int directory, tri_kept_visit *visit, void *user);

/* A file that is open to be read. */
struct tri_kept_file {
    int fd;
    uint64_t offset, size; /* of the value */
    uint64_t hash;
    uint32_t meta_size;
};
trp_err tri_kept_find(int directory, const char *name, struct tri_kept_file *file, trp_error *error);
/* The value's `size` bytes, to a multiple of 8; closes the file. */
trp_err tri_kept_read(struct tri_kept_file *file, uint8_t *to, trp_error *error);
void tri_kept_close(struct tri_kept_file *file);

#endif
