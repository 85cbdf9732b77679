/*
 * peers.h - the peers of a server: numbers of ours for the routing ids of libzmq. For the files of transport/ only. Pure.
 */
#ifndef TRI_PEERS_H
#define TRI_PEERS_H

#include "transport/base/base.h"

/* The descriptor that a peer's connection has in libzmq, and the inode that it has there: both together are never another one's. */
struct tri_descriptor {
    enum { TRI_NOT_LOOKED_AT, TRI_NO_DESCRIPTOR, TRI_DESCRIPTOR_CLOSED, TRI_DESCRIPTOR_OPEN } state;
    int fd;
    uint64_t device, inode;
};

struct tri_peer {
    struct tri_entry by_number; /* its id.number is what others call it */
    struct tri_entry by_routing;
    struct tri_node struck; /* in the list of struck ones */
    bool is_struck;
    struct tri_descriptor connection;
    uint8_t routing_size;
    uint8_t routing[];
};

struct tri_peers {
    struct tri_table by_number, by_routing;
    uint64_t last_number;
    struct tri_node struck; /* oldest first */
    size_t struck_count;
};
trp_err tri_peers_init(struct tri_peers *peers);
void tri_peers_fini(struct tri_peers *peers);
struct tri_peer *tri_peers_find(const struct tri_peers *peers, uint64_t number); /* NULL: nobody */
/* The peer that has this routing id, of at most 255 bytes; a new one, with the next number, if nobody has. NULL: no memory. */
struct tri_peer *tri_peers_meet(struct tri_peers *peers, const uint8_t *routing, size_t size);
/* It stays known, as struck. Of very many the oldest are forgotten: they would have to log in again. */
void tri_peers_strike(struct tri_peers *peers, uint64_t number);

#endif
