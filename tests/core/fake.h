/*
 * fake.h - a shell that only writes down: what the broker's core posts, forks, kills and releases. Tests drive the core
 * with it, envelope by envelope, each checked the way the real shell checks it, and look at every invariant after each.
 */
#ifndef TRI_TEST_CORE_FAKE_H
#define TRI_TEST_CORE_FAKE_H

#include <criterion/criterion.h>

#include "broker/core/state.h"

struct sent {
    tri_peer_index peer;
    uint64_t packet;
    bool credited;
    struct tri_parcel *parcel;
};
struct fake {
    struct tri_core *core;
    struct sent *sent;
    size_t sent_count, sent_capacity;
    uint64_t packets[256]; /* by peer */
    uint64_t unread[256];  /* by peer: so much it has not acknowledged */
    bool no_credit;
    bool goes_on; /* envelopes of one packet: the round has no end yet */
    uint64_t released, released_bytes, now_ns;
    uint64_t forks[256];
    uint32_t fork_count, env_count;
    uint64_t killed[256];
    uint32_t kill_count;
    char kill_rule[200];
    struct tri_id buried; /* last */
    char label[100];
    uint32_t cut_count;
    struct tri_packed packed;
    trp_error error;
    uint64_t numbers; /* for ids */
};

extern const struct tri_id no_id;

struct fake *fake_new(const struct tri_core_config *config, const struct tri_expected *expected, size_t count);
void fake_free(struct fake *fake);
void fake_check(const struct fake *fake);

tri_peer_index fake_login(struct fake *fake, enum tri_role role, uint64_t token, uint64_t space);
tri_peer_index fake_driver(struct fake *fake);
tri_peer_index fake_host(struct fake *fake); /* the newest fork */
struct tri_id fake_id(struct fake *fake, tri_peer_index peer);

trp_err fake_send(struct fake *fake, tri_peer_index peer, struct tri_route route, const struct tri_section *sections,
                  uint32_t count);
void fake_acknowledge(struct fake *fake, tri_peer_index peer); /* everything that was sent to it */
void fake_tick(struct fake *fake, uint64_t ms);                /* so much later */
void fake_gone(struct fake *fake, tri_peer_index peer);
void fake_died(struct fake *fake, tri_peer_index peer, int signal, uint64_t started, uint64_t finished);

/* What was sent to a peer: the newest of a kind (NULL: none), how many. */
const struct sent *fake_last(const struct fake *fake, tri_peer_index peer, uint8_t kind);
const struct sent *fake_result(const struct fake *fake, tri_peer_index peer, struct tri_id id);
size_t fake_count(const struct fake *fake, tri_peer_index peer, uint8_t kind);
bool fake_names(const struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id id); /* in an Ids body */
trp_error fake_error(const struct sent *sent);
int64_t fake_number(const struct sent *sent);
void fake_forget(struct fake *fake); /* what was sent so far */

/* Messages, the common ones. refs: entries of the body. */
struct tri_section fake_value(struct fake *fake, int64_t number);
struct tri_section fake_failure(struct fake *fake, trp_err code, const char *message);
trp_err fake_call(struct fake *fake, tri_peer_index peer, struct tri_id target, struct tri_id result, uint64_t sequence,
                  const struct tri_ref_entry *refs, uint16_t count);
trp_err fake_task(struct fake *fake, tri_peer_index peer, struct tri_id result, const struct tri_ref_entry *refs,
                  uint16_t count);
trp_err fake_return(struct fake *fake, tri_peer_index host, struct tri_id result, int64_t number);
trp_err fake_fail(struct fake *fake, tri_peer_index host, struct tri_id result, trp_err code, const char *message);
trp_err fake_ids(struct fake *fake, tri_peer_index peer, uint8_t kind, uint16_t flags, struct tri_id parent,
                 const struct tri_id *ids, uint32_t count);
trp_err fake_release(struct fake *fake, tri_peer_index peer, struct tri_id id, uint64_t handed);
trp_err fake_put(struct fake *fake, tri_peer_index peer, struct tri_id id, int64_t number,
                 const struct tri_ref_entry *refs, uint16_t count);
trp_err fake_answer_fetch(struct fake *fake, tri_peer_index peer, struct tri_id id, int64_t number);
trp_err fake_request(struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id target, struct tri_id result,
                     const struct tri_section *body);
struct tri_spawn fake_spawn_body(const char *name);
trp_err fake_spawn(struct fake *fake, tri_peer_index peer, struct tri_id target, struct tri_id result,
                   const struct tri_spawn *body);
trp_err fake_plain(struct fake *fake, tri_peer_index peer, uint8_t kind, struct tri_id target, struct tri_id parent);
/* A driver's actor that runs in a host that is logged in, READY. */
struct tri_id fake_actor(struct fake *fake, tri_peer_index driver, const char *name, tri_peer_index *host);
/* The same, whose READY says that it runs so many calls at a time. */
struct tri_id fake_actor_of(struct fake *fake, tri_peer_index driver, const char *name, uint64_t concurrency,
                            tri_peer_index *host);

#endif
