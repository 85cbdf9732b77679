/*
 * bad_peers.h - what a peer can do that it may not: the rows of "Bad peers" in docs/protocol.md, and more.
 */
#ifndef BAD_PEERS_H
#define BAD_PEERS_H

#include "tests/system/peer.h"

struct bad_peer {
    const char *name;
    void (*act)(struct peer *peer);
    trp_err cut;   /* TRP_OK: it is dropped, and no more */
    bool stranger; /* it has not logged in before */
};
extern const struct bad_peer bad_peers[];
extern const size_t bad_peer_count;

/* Only the call fails, whose result is returned. */
struct bad_call {
    const char *name;
    struct tri_id (*act)(struct peer *peer);
    trp_err err;
};
extern const struct bad_call bad_calls[];
extern const size_t bad_call_count;

#endif
