/*
 * store.h - the door of store/: immutable objects in shared memory, and how they spill to disk.
 *
 *   segment    shared memory that is mapped whole and has memory behind the parts that were asked for
 *   limit      how large the arena of a node may become
 *   runs       pure: who has which part of the arena
 *   register   what is in which slot, in a segment that only brokers map: from it a new broker makes all of it anew
 *   pins       how a process reads in place what a broker may want to take away, without a message
 *   space      pure: what a process has of the arena, and what of it is free
 *   process    a process's mappings, leases, slots and pins: buffers for new objects, and for those of others
 *   kept       what a node service keeps on disk for its programs, a file each
 *   tmp        directories on disk that a node has outside of its own: which are left, how they go
 *   spill/     objects in files, LZ4 where it pays; a library of its own (spill/files.h)
 *
 * Brokers use segment to register, processes use process and kept; nothing here knows messages.
 */
#ifndef TRI_STORE_H
#define TRI_STORE_H

#include "store/kept.h"
#include "store/limit.h"
#include "store/pins.h"
#include "store/process.h"
#include "store/register.h"
#include "store/runs.h"
#include "store/segment.h"
#include "store/space.h"
#include "store/tmp.h"

#endif
