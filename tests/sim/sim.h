/*
 * sim.h - a node in one process under a seeded scheduler: the broker's core, both ends' sessions, drivers and hosts, with the
 * objects that ship. One thread; everything random comes from the seed, time is counted, so that a seed is a run.
 */
#ifndef TRI_SIM_H
#define TRI_SIM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/core/proc.h"
#include "broker/core/core.h"
#include "transport/transport.h"

enum {
    SIM_PROCESSES = 1024,
    SIM_PEERS = 4096,
    SIM_VARS = 14,
    SIM_DEPTH = 24,
    SIM_EVENTS = 512,
    SIM_NAMES = 3,
    SIM_TASKS = 4,
    SIM_DRAIN_MS = 3,
    SIM_ENDED = 4096,
    SIM_PINS = 96,
};

/* What may happen next. */
enum sim_turn { SIM_UP, SIM_DOWN, SIM_ACT, SIM_FLUSH, SIM_BROKER, SIM_TURNS };
enum sim_act_kind {
    SIM_CALL,
    SIM_TASK,
    SIM_PUT,
    SIM_SPAWN,
    SIM_GET,
    SIM_REQUEST,
    SIM_RELEASE,
    SIM_KEEP,
    SIM_CANCEL,
    SIM_ACTS,
};
enum sim_fault_kind { SIM_NO_FAULT, SIM_KILL_BROKER, SIM_KILL_PEER, SIM_CUT };

/* What a seed is like, drawn once. */
struct sim_mix {
    uint32_t turns[SIM_TURNS], acts[SIM_ACTS]; /* weights */
    uint32_t drivers;
    uint32_t slow, slowness; /* percent of the processes, for each turn; and of those turns that pass */
    uint32_t kills;          /* percent, of the requests that are about an actor */
    uint32_t let_go;         /* percent, of what is lent, at each packet */
    uint32_t broker_every, host_every, driver_every, cut_every; /* steps on average */
    struct sim_omen {
        uint8_t kind; /* of what somebody has taken just now */
        enum sim_fault_kind fault;
        uint32_t percent;
    } omens[3];
};

struct sim_packet {
    struct tri_node link;
    struct tri_packet packet;
};

/* Handles that a driver's program or an execution has. */
struct sim_bag {
    struct tri_ref *vars[SIM_VARS];
    uint32_t count;
};

struct sim_execution {
    struct tri_incoming *call;
    struct tri_id id;
    struct sim_bag bag;
    struct tri_ref *waits[3];
    uint32_t wait_count, steps_left;
    bool blocked, any, deadlocked;
    bool answered; /* when it was cancelled */
};

/* What a process has pinned: for whom, or because it has made it. */
struct sim_pin {
    bool used, is_made;
    const void *owner;
    struct tri_place place;
};
struct sim_store {
    bool has;
    uint32_t table, start, count, slot_count; /* of a lease */
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    uint32_t asked; /* SPACE is out */
    struct sim_pin pins[SIM_PINS];
    struct tri_place unused[SIM_PINS]; /* values that have ended here */
    uint32_t unused_count;
    struct tri_places places;
};

struct sim_process {
    struct sim_world *world;
    bool used, alive, is_host, up, hello_out, leaving, bequeathed, killed, told_gone;
    bool parts;            /* it has said GOODBYE */
    uint64_t memory_bytes; /* host: the limit that it was forked with, which belongs to one actor */
    uint64_t token, broker, hello_ns;
    uint32_t slow[SIM_TURNS]; /* percent of its turns that pass */
    int32_t pid;
    struct tri_proc *proc;
    struct tri_channel channel;
    struct tri_node to_broker, to_process;
    struct sim_bag bag; /* driver */
    /* host */
    struct tri_node mailbox;
    struct sim_execution stack[SIM_DEPTH];
    uint32_t depth;
    bool ran_tasks, has_actor, constructed, construct_fails, stopping, drain;
    struct tri_id actor;
    char name[16];
    bool detached;
    struct sim_bag args, kept; /* kept: from one call of its actor to another */
    struct sim_bag awaited;    /* until they come, whatever else the program lets go of */
    struct sim_bag open;       /* values that are being written */
    uint64_t last_started;
    struct sim_store store;
};

struct sim_ref {
    struct tri_ref ref;
    struct sim_process *owner;
    bool endless;       /* a watch: may wait for ever */
    struct tri_id lent; /* in this call: to be let go of before a packet is looked at, once a host has the call */
    bool eager;         /* what comes back in it is waited for at once */
};

enum sim_event_kind { SIM_EXITED = 1, SIM_DRIVER_GONE, SIM_KILL, SIM_START_BROKER, SIM_FORK_FAILED };
struct sim_event {
    uint64_t due_ns, token;
    int32_t pid;
    enum sim_event_kind kind;
    uint64_t started, finished, space;
    struct tri_id resident;
    bool ran_tasks;
};

struct sim_peer { /* the broker's shell's side of one */
    struct sim_process *process;
    struct tri_channel channel;
    struct tri_places places;
    struct sim_world *world;
    struct tri_welcome welcome;
    bool used;
};

/* What the simulator knows of a call, whoever forgets it. */
struct sim_record {
    struct tri_entry entry;
    struct tri_id target;
    uint64_t ran_on, sequence; /* token of the host that started it last; 0: none */
    uint32_t runs;
    bool task, no_retry, one_way, failed, returned, endless, kill_asked;
    uint64_t killed_ns;       /* who asked for that has heard it: from then on it is not made; 0: nobody has */
    bool cancelled;           /* by its caller */
    uint64_t cancelled_under; /* which broker */
    bool heard;               /* by a host that had it */
    bool dropped;             /* its caller was told that it was cancelled and not run */
    bool bequest;             /* a call of a driver that is about to go: what it carries is kept */
    bool gone;                /* a process that had the value was killed by the broker */
    bool left;                /* {space, 0}: a driver that went when all its calls had been answered */
    struct tri_id kills;      /* KILL: whom */
    uint64_t drain_ns;        /* and how long it may finish its queue */
    uint64_t caller;
    struct sim_record *next;
};

struct sim_options {
    uint64_t seed;
    uint32_t steps;
    bool trace;
};

struct sim_world {
    struct sim_options options;
    uint64_t random, now_ns, hash, step;
    bool failed, draining, releasing;
    char why[512];
    struct tri_core *core;
    struct sim_arena *arena; /* NULL: the node has none */
    bool
        core_moved; /* something was said to it since it was checked last: it is pure, so that it is the same otherwise */
    struct sim_process *greeting; /* whose HELLO the core is looking at: it may be sent something at once */
    uint64_t incarnation, next_token;
    int32_t next_pid;
    struct tri_core_limits limits;
    double num_cpus;
    uint32_t process_top; /* one above the last that is used */
    uint32_t peer_top;
    struct sim_event events[SIM_EVENTS];
    uint32_t event_count;
    struct tri_id ended[SIM_ENDED]; /* what the root knows */
    uint32_t ended_count;
    bool tasks_lost;
    struct tri_table records;
    struct sim_record *all_records;
    struct tri_packed call, task[SIM_TASKS], value, large, error, cancelled, name[SIM_NAMES], kill[2], watch[2],
        spawn[3 + 3 * SIM_NAMES];
    size_t payload_at; /* of the number in `value` */
    uint32_t broker_kills, host_kills, cuts, driver_kills;
    uint64_t calm_until; /* step; before it nobody is killed */
    bool drivers_leave;  /* before it: when all their calls have been answered */
    struct sim_mix mix;
    enum sim_fault_kind fault; /* what an omen brings about when the step is over, and to whom */
    struct sim_process *struck;
    /* Last: not cleared for each seed. */
    struct sim_process processes[SIM_PROCESSES];
    struct sim_peer peers[SIM_PEERS];
};

/* world.c */
trp_err sim_run(const struct sim_options *options, struct sim_world *world);
uint64_t sim_random(struct sim_world *world, uint64_t below);
bool sim_chance(struct sim_world *world, uint32_t percent);
void sim_fail(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace_post(struct sim_world *world, const char *who, int number, const struct tri_route *route,
                    const struct tri_section *sections, uint32_t count);
void sim_note(struct sim_world *world, uint64_t what);
struct sim_event *sim_event_add(struct sim_world *world, enum sim_event_kind kind, uint64_t delay_ns);
bool sim_step(struct sim_world *world, bool jump); /* false: nothing can be done; `jump`: and no timer is due soon */
void sim_check(struct sim_world *world);
bool sim_exit_is_due(const struct sim_world *world,
                     const struct sim_process *process); /* the root has not collected it */

/* mix.c */
void sim_mix(struct sim_world *world);
void sim_mix_process(struct sim_process *process);
uint32_t sim_draw(struct sim_world *world, const uint32_t *weights, uint32_t count);

/* fault.c */
void sim_fault(struct sim_world *world);
void sim_omen(struct sim_process *process, uint8_t kind); /* the process, or the broker from it, has taken one */

/* broker.c */
void sim_broker_start(struct sim_world *world);
void sim_broker_kill(struct sim_world *world);
void sim_broker_packet(struct sim_world *world, struct sim_process *process, struct tri_packet *packet);
bool sim_broker_flush(struct sim_world *world, bool all);
void sim_root_ended(struct sim_world *world, struct tri_id actor); /* this one does not live any more */
void sim_broker_gone(struct sim_world *world, const struct sim_event *event);
struct sim_peer *sim_peer_of(struct sim_world *world, const struct sim_process *process);

/* process.c */
struct sim_process *sim_process_new(struct sim_world *world, bool is_host, uint64_t token);
void sim_process_end(struct sim_process *process); /* it dies: whoever has to hear it will */
void sim_process_part(
    struct sim_process *process); /* it says GOODBYE, and ends when the broker has that, or none is there */
void sim_process_hello(struct sim_process *process);
void sim_process_packet(struct sim_process *process, struct tri_packet *packet);
bool sim_process_flush(struct sim_process *process);
void sim_process_cut(struct sim_process *process);  /* its link */
void sim_process_lost(struct sim_process *process); /* the broker */
void sim_queue_clear(struct tri_node *queue);
void sim_queue_add(struct tri_node *queue, struct tri_packet *packet);

/* host.c */
void sim_host_ops(struct tri_proc_ops *ops);
bool sim_host_act(struct sim_process *host); /* false: nothing to do */
void sim_host_progress(struct sim_process *host, uint64_t *started, uint64_t *finished);

/* bodies.c */
void sim_bodies_init(struct sim_world *world);
void sim_bodies_fini(struct sim_world *world);
uint64_t sim_payload(struct tri_id id);

/* program.c */
void sim_program_step(struct sim_process *process, struct sim_bag *bag, struct sim_execution *execution);
/* What a program does by itself before and after a packet. */
void sim_program_before(struct sim_process *process, struct sim_bag *bag);
void sim_program_after(struct sim_process *process, struct sim_bag *bag);
/* What a call brought that its caller leaves behind: it stays with the actor, and is waited for sooner or later. */
void sim_program_inherit(struct sim_process *host, const struct tri_incoming *call);
/* A driver makes nothing more until all that it has made was answered, hands on what it has, and is to go as soon as that was
 * answered, too: whether that is so. */
void sim_program_leave(struct sim_process *process);
void sim_program_seal_all(struct sim_process *process); /* what it writes is written */
bool sim_program_may_go(struct sim_process *process);
void sim_bag_add(struct sim_process *process, struct sim_bag *bag, struct tri_ref *ref); /* takes the handle over */
void sim_bag_clear(struct sim_bag *bag);
void sim_bag_take(struct sim_process *process, struct sim_bag *bag, const struct tri_section *section);
/* `base` with references of the bag in it. */
void sim_section_of(struct sim_process *process, const struct tri_packed *base, const struct sim_bag *bag,
                    uint32_t count, bool arguments, struct tri_ref_entry *entries, struct tri_section *section);

/* record.c */
struct sim_record *sim_record_add(struct sim_world *world, struct tri_id id);
struct sim_record *sim_record_find(struct sim_world *world, struct tri_id id);
struct tri_id sim_one_way_id(uint64_t caller, struct tri_id target, uint64_t sequence);
void sim_record_cancelled(struct sim_world *world, struct sim_record *record); /* by its caller */
void sim_record_given(struct sim_process *host, const struct tri_incoming *call);
void sim_record_heard(struct sim_process *host, const struct tri_incoming *call); /* that it is cancelled */
void sim_record_start(struct sim_process *host, struct tri_incoming *call);
void sim_record_ready(struct sim_process *process, struct tri_ref *ref);
void sim_record_create(struct sim_process *host);
void sim_record_made(struct sim_world *world, struct tri_id actor);
void sim_record_killed(struct sim_process *host); /* it is about to be */
void sim_records_fini(struct sim_world *world);
bool sim_settled(const struct sim_process *host); /* an actor lives there that nobody has asked to end */
struct sim_process *sim_host_of(struct sim_world *world, struct tri_id actor);
struct sim_process *sim_host_with(struct sim_world *world, uint64_t token);

/* arena.c */
void sim_arena_open(struct sim_world *world);
void sim_arena_close(struct sim_world *world);
void sim_arena_begin(struct sim_world *world, struct tri_arena *arena); /* a broker is about to begin, */
void sim_arena_begun(struct sim_world *world);                          /* and has */
void sim_arena_broker_died(struct sim_world *world);
bool sim_arena_turn(struct sim_world *world, bool all); /* what the disk has done, and who has ended */
void sim_arena_check(struct sim_world *world);
void sim_arena_is_empty(struct sim_world *world);
void sim_arena_welcome(struct sim_process *process, const struct tri_welcome *welcome);
trp_err sim_arena_lease(struct sim_process *process, const struct tri_envelope *envelope, trp_error *error);
trp_err sim_arena_here(void *process, struct tri_ref *ref, const trp_error *why, trp_error *error);
struct tri_buf *sim_arena_make(struct sim_process *process); /* a new value; NULL: inline ones it is */
void sim_arena_read(struct sim_process *process, struct tri_ref *ref);
void sim_arena_arguments(struct sim_process *host, const struct tri_incoming *call);
void sim_arena_give(struct sim_process *process);
trp_err sim_arena_revoke(struct sim_process *process);
void sim_arena_rest(struct sim_process *process);
void sim_arena_let_go(struct sim_process *process, const void *owner);

/* ending.c */
void sim_ending(struct sim_world *world);

#endif
