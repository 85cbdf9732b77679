/*
 * peers.c - see peers.h. Pure but for malloc. One thread at a time. Knows no socket.
 */
#include "transport/peers.h"

#include <stdlib.h>
#include <string.h>

enum { STRUCK_MAX = 16384 };

trp_err
tri_peers_init(struct tri_peers *peers)
{
    *peers = (struct tri_peers){0};
    tri_list_init(&peers->struck);
    TRP_TRY(tri_table_init(&peers->by_number, 0));
    return tri_table_init(&peers->by_routing, tri_random_secret());
}

static void
free_peer(struct tri_entry *entry, void *user)
{
    (void)user;
    free(TRI_OWNER(entry, struct tri_peer, by_number));
}

void
tri_peers_fini(struct tri_peers *peers)
{
    tri_table_each(&peers->by_number, free_peer, NULL);
    tri_table_fini(&peers->by_number);
    tri_table_fini(&peers->by_routing);
}

/* libzmq's own routing ids are a zero and four bytes; others, which a peer chose, are hashed. */
static struct tri_id
routing_key(const uint8_t *routing, size_t size)
{
    uint32_t number;

    if (size != 5 || routing[0] != 0)
        return tri_id_of_text((const char *)routing, size);
    memcpy(&number, routing + 1, sizeof number);
    return (struct tri_id){.space = 1, .number = number};
}

struct tri_peer *
tri_peers_find(const struct tri_peers *peers, uint64_t number)
{
    struct tri_entry *entry = tri_table_find(&peers->by_number, (struct tri_id){.number = number});

    return entry != NULL ? TRI_OWNER(entry, struct tri_peer, by_number) : NULL;
}

struct tri_peer *
tri_peers_meet(struct tri_peers *peers, const uint8_t *routing, size_t size)
{
    const struct tri_id key = routing_key(routing, size);
    struct tri_entry *entry = tri_table_find(&peers->by_routing, key);
    struct tri_peer *peer;

    if (entry != NULL)
        return TRI_OWNER(entry, struct tri_peer, by_routing);
    if (tri_table_reserve(&peers->by_routing, 1) != TRP_OK || tri_table_reserve(&peers->by_number, 1) != TRP_OK)
        return NULL;
    peer = calloc(1, sizeof *peer + size);
    if (peer == NULL)
        return NULL;
    peer->by_number.id = (struct tri_id){.number = ++peers->last_number};
    peer->by_routing.id = key;
    peer->routing_size = (uint8_t)size;
    memcpy(peer->routing, routing, size);
    tri_table_insert(&peers->by_number, &peer->by_number);
    tri_table_insert(&peers->by_routing, &peer->by_routing);
    return peer;
}

static void
forget_oldest(struct tri_peers *peers)
{
    struct tri_peer *peer = TRI_OWNER(peers->struck.next, struct tri_peer, struck);

    tri_list_remove(&peer->struck);
    peers->struck_count--;
    tri_table_remove(&peers->by_number, &peer->by_number);
    tri_table_remove(&peers->by_routing, &peer->by_routing);
    free(peer);
}

void
tri_peers_strike(struct tri_peers *peers, uint64_t number)
{
    struct tri_peer *peer = tri_peers_find(peers, number);

    if (peer == NULL || peer->is_struck)
        return;
    peer->is_struck = true;
    tri_list_append(&peers->struck, &peer->struck);
    if (++peers->struck_count > STRUCK_MAX)
        forget_oldest(peers);
}
