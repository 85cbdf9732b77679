/*
 * peer.h - a process that speaks to a node by libzmq, the side door and the codec alone, and may say whatever it likes: what
 * bad peers are made of. docs/protocol.md says what it should say.
 */
#ifndef PEER_H
#define PEER_H

#include "schemas/schemas.h"

/* The head of a batch, as the page shows it. */
struct peer_head {
    uint32_t magic;
    uint16_t version, zero16;
    uint32_t envelope_count, frame_count;
    uint64_t sequence, acknowledged, released_calls, released_bytes;
};

struct peer {
    const char *directory;
    void *context, *dealer;
    int door, second_door; /* -1: none */
    uint64_t cookie, space, broker;
    uint64_t sent, received, next;
    struct tri_packed packed;
    _Alignas(16) uint8_t bytes[65536]; /* of what came last */
};

/* Through the door, with a socket, and no word said. */
void peer_open(struct peer *peer, const char *directory);
int peer_open_door(const char *directory, uint64_t *cookie);
/* Says HELLO as a driver does; `change` (may be NULL) spoils it. Does not wait. */
void peer_hello(struct peer *peer, void (*change)(struct peer *peer, struct tri_login *login));
void peer_log_in(struct peer *peer); /* and waits for WELCOME */
void peer_close(struct peer *peer);  /* without a word */

/* An envelope in a packet of its own, numbered next; 0: not numbered. */
void peer_say(struct peer *peer, struct tri_route route, const struct tri_section *body);
/* The same packet for spoiling: its size, at most `size`. */
size_t peer_write(struct peer *peer, uint8_t *bytes, size_t size, struct tri_route route,
                  const struct tri_section *sections, uint32_t count);
void peer_send(struct peer *peer, const void *bytes, size_t size, bool more);
struct tri_id peer_id(struct peer *peer); /* a new one of its own */
/* Spawns system_module:Counter. */
struct tri_id peer_spawn(struct peer *peer);
void peer_call(struct peer *peer, struct tri_id actor, struct tri_id result, uint64_t sequence, const char *method);

/* The next envelope of this kind that comes; false: none in time. */
bool peer_receive(struct peer *peer, uint8_t kind, int timeout_ms, struct tri_envelope *envelope);
/* What the broker cuts it with; the door has to close, too. TRP_OK: it does not cut it. */
trp_err peer_await_cut(struct peer *peer, trp_error *error);
/* What a call fails with; TRP_OK: it succeeds. */
trp_err peer_await_result(struct peer *peer, struct tri_id result, trp_error *error);

#endif
