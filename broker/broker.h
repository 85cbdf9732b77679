/*
 * broker.h - the door of broker/ for tools/: the two programs of a node.
 */
#ifndef TRI_BROKER_H
#define TRI_BROKER_H

#include "transport/transport.h"

/* The whole of troupe-broker. Descriptor 3 is its root's; argv[1], for people who look at processes, its directory. Returns
 * the exit code: 0 told to end, 1 it could not start (the root was told why), 2 started by hand. */
int tri_broker_main(int argc, char **argv);

/* The whole of troupe-node (broker/node/root.h). `worker` is entered in each host, right after its fork. broker_path NULL:
 * troupe-broker beside our own program. */
int tri_root_main(int argc, char **argv, tri_worker_main_fn *worker, const char *broker_path);

#endif
