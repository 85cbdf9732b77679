/*
 * tmp.h - directories on disk that a node has outside of its own, which may lie in memory: in /var/tmp/troupe-UID, or where it was
 * told. How they are removed when their node ends, and which of them are left of nodes that did not come to that. Any thread.
 *
 * It knows nothing of what is in their files: kept.h and the broker's spilling have a kind of directory each.
 */
#ifndef TRI_TMP_H
#define TRI_TMP_H

#include <dirent.h>
#include <sys/types.h>

#include "transport/base/base.h"

enum { TRI_TMP_SIZE = 40 };
/* "/var/tmp/troupe-UID", which may not be there; returns path. */
char *tri_tmp_path(char path[TRI_TMP_SIZE]);

/* Whether it is of this type (S_IFDIR, S_IFREG) and of this user, and nobody else may use it. */
bool tri_tmp_is_ours(int fd, mode_t type);
/* What is in a directory, to be closed; its descriptor stays the caller's. NULL: errno. */
DIR *tri_tmp_list(int directory);

struct tri_tmp_kind {
    const char *prefix; /* of its name */
    /* Whether its node has it no more: one that is open, and not closed before it is gone. */
    bool (*is_left)(int directory, const char *name);
    bool (*is_file)(const char *name); /* one that such a node makes in it */
};
/* Removes the files that its kind has; what else lies there stays. */
void tri_tmp_empty(int directory, const struct tri_tmp_kind *kind);
/* Removes a directory that is left, with its files. false: it is not ours, not left, or something else lies in it, of which the log
 * tells. */
bool tri_tmp_remove(int parent, const char *name, const struct tri_tmp_kind *kind);
/* All that are left in a directory. Returns how many were removed. */
unsigned tri_tmp_sweep(const char *parent, const struct tri_tmp_kind *kind);

#endif
