/*
 * store.h - the door of store/: where an object of a given size lies.
 *
 * In this release every object lies inline, in the memory of the processes that hold it, and travels in a frame; so the
 * one rule is the frame's limit. Up to TRI_INLINE_MAX bytes, counted as tri_value_pack counts them, that is where it
 * belongs. Pure; any thread.
 */
#ifndef TRI_STORE_H
#define TRI_STORE_H

#include <troupe/runtime.h>

#include "schemas/schemas.h"

/* Says where an object of `bytes` packed bytes will lie. TRP_ELIMIT: nowhere; it is larger than a frame. */
trp_err tri_store_place(uint64_t bytes, trp_location *location, trp_error *error);

#endif
