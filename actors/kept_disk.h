/*
 * kept_disk.h - between the holder (kept.c) and the files that outlive it (store/kept.h): references become values on disk, and values
 * there become objects again; times of this process become times of day. The holder's thread, without the process's lock.
 */
#ifndef TRI_KEPT_DISK_H
#define TRI_KEPT_DISK_H

#include "actors/runtime.h"
#include "store/store.h"

/* `until_ns` as a time of day, TRI_NEVER as TRI_KEPT_FOREVER; and back: 0, it is over. */
int64_t tri_wall_ms(uint64_t until_ns);
uint64_t tri_wall_until_ns(int64_t until_ms);

/* Writes what `ref` has, which is here. *written false: it is an error, an actor, or has references, whose objects would not be
 * there; such things are kept in memory alone. */
trp_err tri_kept_save(int directory, const char *name, uint64_t until_ns, trp_ref *ref, bool *written,
                      trp_error *error);
/* A new object with the value that was written. TRP_EOBJLOST: it is damaged, or gone. */
trp_err tri_kept_load(int directory, const char *name, trp_runtime *runtime, trp_ref **ref, trp_error *error);

#endif
