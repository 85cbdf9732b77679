/*
 * core.h - the broker's mind: who is there, which actor lives where, what waits for what, who holds what. Pure: no
 * socket, file, clock or thread. Events go in through the functions below, each with the time; what is to be done comes
 * out through the operations, which only append to queues. The shell (broker/shell.c) and the simulator both drive it.
 *
 * A handler reserves what it may need, or refuses with TRP_ELIMIT or TRP_ENOMEM, before it changes anything.
 * docs/protocol.md says what each envelope means.
 */
#ifndef TRI_CORE_H
#define TRI_CORE_H

#include "store/store.h"
#include "transport/transport.h"

struct tri_core;

/* A peer as the core knows it: small numbers given by the core, dense, reused after tri_core_peer_gone. */
typedef uint32_t tri_peer_index;
#define TRI_NO_PEER UINT32_MAX

struct tri_core_limits {            /* 0: the default */
    uint32_t peers;                 /* 4,096 */
    uint32_t actors;                /* 1,048,576 */
    uint32_t pending_per_actor;     /* of actors that do not say; 0: none but their callers' windows */
    uint32_t credit_calls;          /* 65,536 per caller */
    uint64_t credit_bytes;          /* 64 MiB per caller */
    uint32_t host_window_calls;     /* 4,096: given to a host and not ended */
    uint64_t host_window_bytes;     /* 16 MiB */
    uint32_t waiting_hosts_per_cpu; /* 8 */
    uint32_t objects;               /* 16,777,216 */
    uint64_t unread_bytes;          /* 64 MiB: on their way to one process, when a result is to follow */
};

/* One object to be written away, or to be read back: where it lies, or is to lie, in the arena. */
struct tri_spill_piece {
    struct tri_id id; /* tri_spilled_id */
    uint32_t start;   /* granule */
    uint64_t size;
};

/* What is on the disk. */
struct tri_spill_files {
    uint64_t files, file_bytes, live_bytes, max_bytes, compacted;
};

/* Who writes objects away, reads them back, and notes in the register where they are (tri_record_file). In the order that
 * it is told; each spill and each restore is answered later, by an event. */
struct tri_spiller {
    /* Writes all of these or none: tri_core_spilled. The memory stays as it is until then. One batch at a time. false: it
     * has no memory to do so, and no answer comes. */
    bool (*spill)(void *user, const struct tri_spill_piece *pieces, uint32_t count);
    bool (*restore)(void *user, const struct tri_spill_piece *piece); /* tri_core_restored */
    void (*drop)(void *user, struct tri_id id);                       /* its copy is not wanted any more */
    /* It was spilled under a broker before; told in the order in which they lie there. */
    void (*claim)(void *user, struct tri_id id, uint64_t size, const struct tri_file_place *place);
    struct tri_spill_files (*files)(void *user); /* as of the last that was done */
    void *user;
};

/* What the shell has of the node's arena. granules 0: there is none. None of these functions may call back into the core. */
struct tri_arena {
    uint32_t granules, slots;
    tri_slot_word *words; /* [slots]; processes read them */
    uint8_t *pins;        /* tables of TRI_PIN_TABLE_BYTES, one for each tenant */
    void *reg;            /* store/register.h */
    bool fresh;           /* no broker has had it before: the register is not looked at */
    bool keeps_one;       /* of its idle extents */
    /* Memory behind a part, whole pages; what has some keeps it. TRP_ESTOREFULL: the system has none. */
    trp_err (*back)(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size, trp_error *error);
    void (*unback)(void *user, enum tri_arena_part part, uint64_t offset, uint64_t size);
    /* Tell tri_core_space_ended when this process has ended for certain. It may have already. */
    void (*await_end)(void *user, uint64_t space, int32_t pid);
    void *user;
    struct tri_spiller spiller; /* spill NULL: nothing is spilled */
    uint32_t spill_at;          /* percent of the arena that may be taken before objects are; 0: TRI_SPILL_AT */
};

struct tri_core_config {
    uint64_t incarnation; /* of this broker: 1, 2...; given by the root */
    const char *node;     /* its name */
    double num_cpus, num_gpus;
    uint64_t memory_bytes;                /* 0: not counted */
    const struct tri_resource *resources; /* custom ones of the node; copied */
    uint32_t resource_count;
    int32_t pid, root_pid; /* of this broker and its root: to be told who asks for processes; 0: not */
    bool service;          /* a node service: drivers may come back */
    uint32_t spare_hosts;  /* connected and idle, kept ahead */
    bool tasks_lost;       /* a host that had run tasks died under a broker before */
    uint64_t seed;         /* for hash tables */
    struct tri_core_limits limits;
    struct tri_arena arena;
};

/* What the core wants done. None of these may call back into the core. */
struct tri_core_ops {
    /* Post an envelope to a peer's channel. Returns the number of the packet that it will travel in. Cannot fail: a peer whose
     * channel has no memory is cut by the shell with an event of its own later. `credited`: counts against the peer's window. */
    uint64_t (*send)(void *user, tri_peer_index peer, const struct tri_route *route, const struct tri_section *sections,
                     uint32_t section_count, bool credited);
    /* Whether a credited envelope of this size fits into the peer's window now. */
    bool (*has_credit)(void *user, tri_peer_index peer, uint64_t bytes);
    /* Bytes that were posted to it and that it has not acknowledged. */
    uint64_t (*unread)(void *user, tri_peer_index peer);
    /* A credited envelope of a peer has ended: give its credit back. */
    void (*release)(void *user, tri_peer_index peer, uint64_t bytes);
    /* Close this peer: CUT with the error was sent before; kill it if it is a host. The core has forgotten it already. */
    void (*cut)(void *user, tri_peer_index peer, const char *reason);
    /* Fork a host; it will log in with this token. env: added to its environment. */
    void (*fork)(void *user, uint64_t token, const char *label, const struct tri_env *env, uint32_t env_count,
                 uint64_t memory_bytes);
    /* What this host is now, for prefixes and death records: "counter:Counter" or a name. */
    void (*label)(void *user, uint64_t token, const char *label);
    void (*kill)(void *user, uint64_t token, const char *rule); /* rule: the words for its death record */
    /* This actor, which may never have had a host, is killed or dead: brokers after this one are told of it as `ended`. */
    void (*bury)(void *user, struct tri_id actor);
    /* Where the lines that hosts print go is decided by the shell; it asks tri_core_log_reader. */
    void *user;
};

/* NULL config fields: defaults. `expected`: after a restart, the hosts (by token) and drivers (by space) that lived under the
 * broker before and have to report: nothing is routed until each host has sent its last SNAPSHOT or is gone; nothing is freed
 * for want of holders until the drivers have, or 10 s have passed. And actors that do not live any more, however often their
 * SPAWN is sent again. */
struct tri_expected {
    uint64_t token;      /* host; 0: not one */
    uint64_t space;      /* driver */
    struct tri_id ended; /* actor; none: not one */
    int32_t pid;
    bool tailored; /* host: forked with the environment or the memory limit of one actor, and of use to no other */
};
trp_err tri_core_new(const struct tri_core_config *config, const struct tri_core_ops *ops,
                     const struct tri_expected *expected, size_t expected_count, uint64_t now_ns,
                     struct tri_core **core, trp_error *error);
void tri_core_destroy(struct tri_core **core);

/* --- events --- */

/* Somebody says HELLO. On TRP_OK *peer is its index, *welcome what to answer (the shell sends WELCOME unnumbered, and resets
 * or resumes the channel as welcome->snapshot says). A known space on the same broker resumes that peer. Else the error is
 * what to send with CUT. `pid`: as the side door's credentials say. */
trp_err tri_core_hello(struct tri_core *core, const struct tri_login *login, int32_t pid, uint64_t now_ns,
                       tri_peer_index *peer, struct tri_welcome *welcome, trp_error *error);
/* An envelope of a numbered packet, in order. An error means: cut that peer (the shell sends CUT, then calls peer_gone). */
trp_err tri_core_envelope(struct tri_core *core, tri_peer_index peer, const struct tri_envelope *envelope,
                          uint64_t now_ns, trp_error *error);
/* The peer has acknowledged our packets up to this one, or returned credit: called after the envelopes of the packet that
 * said so. */
void tri_core_acknowledged(struct tri_core *core, tri_peer_index peer, uint64_t sequence, uint64_t now_ns);
/* It is dead, said GOODBYE and closed, or was cut. Frees the index. `death`: NULL where nothing is known (drivers). */
void tri_core_peer_gone(struct tri_core *core, tri_peer_index peer, const struct tri_death *death, uint64_t now_ns);
/* The root says: host `token` has ended (it may never have logged in, or its peer is still known: then it is gone now). */
void tri_core_host_exited(struct tri_core *core, uint64_t token, const struct tri_death *death, uint64_t now_ns);
/* The root could not fork, or what it forked could not log in: with what code, and the sentence. */
void tri_core_fork_failed(struct tri_core *core, uint64_t token, trp_err code, const char *why, uint64_t now_ns);
/* This process has ended: what it had of the arena is free, and its table of pins. */
void tri_core_space_ended(struct tri_core *core, uint64_t space, uint64_t now_ns);
/* A place that a peer says (tri_places): sealed, if it was not. TRP_EPROTO. */
trp_err tri_core_open_place(struct tri_core *core, tri_peer_index peer, const struct tri_place *place,
                            struct tri_buf **buf, trp_error *error);
/* The batch that was told to be spilled is written, or none of it is (TRP_EDISKFULL, and all else that spilling can say). */
void tri_core_spilled(struct tri_core *core, trp_err err, const trp_error *error, uint64_t now_ns);
/* This object is where it was told to be restored to, or is not. TRP_EOBJLOST: it never will be. `next`: what lies behind it
 * in its file and is likely to be asked for; none. */
void tri_core_restored(struct tri_core *core, struct tri_id id, trp_err err, const trp_error *error, struct tri_id next,
                       uint64_t now_ns);
/* The shell has read until dry and is about to flush: posts what is said in batches (ACCEPTED, FREED: one envelope per peer). */
void tri_core_round(struct tri_core *core, uint64_t now_ns);
/* Time passes: deadlines, start deadlines, recalls, recovery. Call at the time that tri_core_next_ns names, or later. */
void tri_core_tick(struct tri_core *core, uint64_t now_ns);
uint64_t tri_core_next_ns(const struct tri_core *core); /* TRI_NEVER: nothing is due */

/* --- looking, for shell, tests and simulator --- */

/* Which driver should see what host `token` prints: the one whose task or actor runs there; TRI_NO_PEER: the log only. */
tri_peer_index tri_core_log_reader(struct tri_core *core, uint64_t token, const char **label);
uint64_t tri_core_token(const struct tri_core *core, tri_peer_index peer); /* 0: a driver */
uint64_t tri_core_space(const struct tri_core *core, tri_peer_index peer);
bool tri_core_recovering(const struct tri_core *core);
/* How often this reference or handle was handed over to the peer and not taken back. */
uint64_t tri_core_handed(const struct tri_core *core, tri_peer_index peer, struct tri_id id);

/* Checks every invariant that can be seen from inside; false and a sentence at the first that does not hold. O(all). */
bool tri_core_check(const struct tri_core *core, char *why, size_t size);

struct tri_core_counts {
    uint64_t peers, hosts, actors, names, pending, objects, holds, queued_calls, queued_tasks, blocked, steps, dropped;
    double cpus_used;
};
void tri_core_count(const struct tri_core *core, struct tri_core_counts *counts);

#endif
