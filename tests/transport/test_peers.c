/* test_peers.c - numbers for routing ids, also for very many that were struck. */
#include "helpers.h"

#include <string.h>

#include "transport/peers.h"

static uint64_t
meet(struct tri_peers *peers, uint32_t number)
{
    uint8_t routing[5] = {0};
    const struct tri_peer *peer;

    memcpy(routing + 1, &number, sizeof number);
    peer = tri_peers_meet(peers, routing, sizeof routing);
    cr_assert_not_null(peer);
    cr_assert_eq(memcmp(peer->routing, routing, sizeof routing), 0);
    return peer->by_number.id.number;
}

Test(peers, the_same_routing_id_is_the_same_peer_of_any_length)
{
    struct tri_peers peers;
    uint64_t first[255];
    uint8_t chosen[255];

    memset(chosen, 'r', sizeof chosen);
    EXPECT(TRP_OK, tri_peers_init(&peers));
    for (size_t i = 0; i < 255; i++)
        first[i] = tri_peers_meet(&peers, chosen, i + 1)->by_number.id.number;
    for (size_t i = 0; i < 255; i++) {
        cr_assert_eq(first[i], i + 1);
        cr_assert_eq(tri_peers_meet(&peers, chosen, i + 1)->by_number.id.number, first[i]);
        cr_assert_eq(tri_peers_find(&peers, first[i])->routing_size, i + 1);
    }
    cr_assert_null(tri_peers_find(&peers, 0));
    cr_assert_null(tri_peers_find(&peers, 256));
    tri_peers_fini(&peers);
}

Test(peers, of_very_many_that_were_struck_the_oldest_are_forgotten)
{
    enum { MANY = 40000 };
    struct tri_peers peers;
    uint64_t kept;

    EXPECT(TRP_OK, tri_peers_init(&peers));
    kept = meet(&peers, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        tri_peers_strike(&peers, meet(&peers, i));
    cr_assert_lt(peers.by_number.count, MANY / 2);
    cr_assert_eq(peers.by_number.count, peers.by_routing.count);
    cr_assert_eq(meet(&peers, MANY), kept, "one that was not struck was forgotten");
    cr_assert(tri_peers_find(&peers, meet(&peers, MANY - 1))->is_struck);
    cr_assert_not(tri_peers_find(&peers, meet(&peers, 0))->is_struck, "it would log in again");
    tri_peers_fini(&peers);
}
