/*
 * actors.h - the door of actors/ for tools/: the worker host's entry. Not for users, who include troupe/troupe.h.
 */
#ifndef TRI_ACTORS_H
#define TRI_ACTORS_H

#include "transport/transport.h"

/*
 * The life of a worker host: logs in at the broker of start->directory, becomes the actor or the task host that the broker
 * wants, runs calls until it is stopped or the broker is gone for good. Called once, on the main thread of a process that
 * the root has forked (before it made any thread), or by troupe-worker. Returns the exit code of the process: 0 ended in
 * order, 1 the broker is gone or never answered, 2 its actor's constructor failed.
 */
TRP_API int trp_worker_main(const struct tri_worker_start *start);

/* What all hosts need and a fork hands on: called once by the process that they are forked from, before it. */
TRP_API void trp_worker_warm(void);

#endif
