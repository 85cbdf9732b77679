/*
 * control.h - what the root process and its broker say to each other: fixed structs over a SOCK_SEQPACKET pair, each with
 * its texts behind it, and the end of the pair that both hold. Both run the same build, so that a message that does not
 * add up is an error of the connection.
 *
 * Neither side ever waits for the other: what the socket does not take lies in a queue, in order.
 * Thread: each end belongs to one thread.
 */
#ifndef TRI_CONTROL_H
#define TRI_CONTROL_H

#include "schemas/schemas.h"
#include "store/store.h"

/* Open files that a broker needs, and how many processes may be on its node: the root refuses to start a node for fewer than
 * one for each CPU and TRI_PEERS_MORE. */
enum {
    TRI_DESCRIPTORS_OWN = 64, /* the broker's, and libzmq's own */
    TRI_DESCRIPTORS = 4,      /* per process: door, pidfd, link, and what libzmq needs */
    TRI_PEERS_MORE = 32,
    TRI_PEERS_MAX = 4096
};

/* The descriptors that a broker begins with: its root's line, then the parts of the arena, if there is one. */
enum {
    TRI_CONTROL_FD = 3,
    TRI_ARENA_FD = 4,                            /* TRI_PARTS of them, to be written */
    TRI_ARENA_READ_FD = TRI_ARENA_FD + TRI_PARTS /* the words, only to be read */
};

enum tri_control_kind {
    /* root to broker */
    TRI_CONTROL_START = 1,   /* struct tri_control_start: the first message */
    TRI_CONTROL_EXPECTED,    /* struct tri_control_expected: as many as START says, over several messages */
    TRI_CONTROL_FORKED,      /* token, number: pid */
    TRI_CONTROL_FORK_FAILED, /* token, number: trp_err; text: why it was not forked, or could not log in */
    TRI_CONTROL_EXITED,      /* struct tri_control_exited */
    TRI_CONTROL_LINE,        /* struct tri_control_line. A host printed it */
    TRI_CONTROL_STOP,        /* end in order */
    /* broker to root */
    TRI_CONTROL_READY,  /* bound, processes may come */
    TRI_CONTROL_FAILED, /* number: trp_err; text: why it cannot start */
    TRI_CONTROL_FORK,   /* struct tri_control_fork */
    TRI_CONTROL_LABEL,  /* token; text: what it is now */
    TRI_CONTROL_KILL,   /* token; text: the rule */
    TRI_CONTROL_DRIVER, /* struct tri_control_driver */
    TRI_CONTROL_BURY,   /* struct tri_control_bury */
    TRI_CONTROL_KIND_COUNT
};

/* Every message begins with this. Texts lie behind the struct of its kind, each with its NUL. */
struct tri_control_head {
    uint32_t kind;
    uint32_t text_count;
    uint64_t token; /* of the host that it is about; 0: none */
    int64_t number;
};
struct tri_control_start { /* texts: directory, node name, spill directory (empty: nothing is spilled) */
    struct tri_control_head head;
    uint64_t incarnation;
    double num_cpus, num_gpus;
    uint64_t memory_bytes;
    uint32_t is_service;
    uint32_t log_level;
    uint32_t spare_hosts;
    uint32_t expected_count;
    uint32_t tasks_lost;     /* a host that had run tasks has died */
    uint32_t arena_granules; /* 0: there is no arena */
    uint32_t arena_slots;
    uint32_t arena_used; /* a broker before had it */
    uint32_t spill_at;   /* percent; 0: the usual */
    uint64_t spill_max_bytes;
};
struct tri_control_living {
    uint64_t token;      /* host; 0: not one */
    uint64_t space;      /* driver */
    struct tri_id ended; /* an actor that does not live any more; none: not one */
    int32_t pid;
    uint32_t tailored; /* a host, forked with the environment or the memory limit of one actor */
};
enum { TRI_CONTROL_LIVING_MAX = 1024 };
struct tri_control_expected {
    struct tri_control_head head; /* number: how many of the entries are set; only these are sent */
    struct tri_control_living living[TRI_CONTROL_LIVING_MAX];
};
struct tri_control_exited { /* texts: module, actor, method, backtrace, last output, killed_by */
    struct tri_control_head head;
    int32_t pid;
    int32_t exit_code; /* -1: it did not exit */
    int32_t signal;    /* 0: none */
    uint32_t memory_limit;
    uint64_t sequence, started, finished;
    struct tri_id resident; /* the actor that lived in it; none */
    uint64_t ran_tasks;
};
struct tri_control_line { /* texts: the line */
    struct tri_control_head head;
    int32_t pid;
    uint32_t stream; /* 1 or 2 */
};
struct tri_control_fork { /* texts: label, then name and text of each variable */
    struct tri_control_head head;
    uint64_t memory_bytes;
};
struct tri_control_driver { /* a driver has logged in, or is gone */
    struct tri_control_head head;
    uint64_t space;
    int32_t pid;
    uint32_t gone;
};

struct tri_control_bury { /* this actor is killed: the next broker has to know, for it may never have had a host */
    struct tri_control_head head;
    struct tri_id actor;
};

enum {
    TRI_CONTROL_MAX = 64 * 1024,       /* bytes of a message */
    TRI_CONTROL_TEXTS_MAX = 2 + 2 * 64 /* texts of a message */
};

/* One end. */
struct tri_control {
    int fd; /* -1: closed */
    struct tri_control_waiting *first, **last;
    size_t waiting_bytes;
};
void tri_control_init(struct tri_control *control, int fd); /* takes the descriptor, makes it non-blocking */
void tri_control_fini(struct tri_control *control);         /* closes it, drops what waits */

/* Sends the struct (its head's text_count is set here) with its texts behind it, or queues it. TRP_EBROKER: the other end is
 * closed. TRP_ELIMIT: too large. TRP_ENOMEM. */
trp_err tri_control_send(struct tri_control *control, void *message, size_t size, const char *const *texts,
                         uint32_t text_count, trp_error *error);
trp_err tri_control_flush(struct tri_control *control, trp_error *error); /* as much as the socket takes now */
static inline bool
tri_control_waits(const struct tri_control *control)
{
    return control->first != NULL;
}

/* A received message. */
union tri_control_message {
    struct tri_control_head head;
    struct tri_control_start start;
    struct tri_control_expected expected;
    struct tri_control_exited exited;
    struct tri_control_line line;
    struct tri_control_fork fork;
    struct tri_control_driver driver;
    struct tri_control_bury bury;
    uint8_t bytes[TRI_CONTROL_MAX];
};
/* Receives one without waiting, checks it, and points texts[0 ... head.text_count) into it. TRP_EAGAIN: nothing there;
 * TRP_EBROKER: the other end is closed; TRP_EPROTO: it does not add up. */
trp_err tri_control_recv(struct tri_control *control, union tri_control_message *message,
                         const char *texts[TRI_CONTROL_TEXTS_MAX], trp_error *error);
const char *tri_control_name(uint32_t kind);

#endif
