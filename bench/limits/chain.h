/*
 * chain.h - what the chain's client and its other processes agree on. Private to bench/limits.
 */
#ifndef TRI_CHAIN_H
#define TRI_CHAIN_H

#include "bench/limits/limits.h"

#define TRI_CHAIN_ROLE_OPTION "--limit-role" /* PROGRAM --limit-role proxy|worker DIRECTORY */
#define TRI_CHAIN_FRONT       "ipc://%s/front"
#define TRI_CHAIN_BACK        "ipc://%s/back"
enum { TRI_CHAIN_ENDPOINT_SIZE = 128 };

/* A socket with unbounded queues that does not linger; NULL: errno says why. */
void *tri_chain_socket(void *context, int type);

#endif
