/*
 * shell.h - inside broker/: the router thread, the only one of the broker besides libzmq's. It reads packets, hands their
 * envelopes to the core, and sends what the core posts. What an envelope means it does not know.
 *
 *   shell            start, loop, end
 *   shell_packets    packets in and out, acknowledgements
 *   shell_login      HELLO: a visitor at the door becomes a member
 *   shell_members    members: heartbeats, leaving, cutting
 *   shell_door       the side door
 *   shell_root       what the root says; deaths of hosts
 *   shell_arena      the arena: its memory, its descriptors for processes, their ends
 *   store_thread     a thread of its own, that writes objects of the arena to files and reads them back
 *   shell_lines      what hosts print, to their drivers
 *   shell_ops        what the core wants done
 *
 * A visitor is a connection at the door; a member is a peer of the core, which has logged in.
 */
#ifndef TRI_SHELL_H
#define TRI_SHELL_H

#include "broker/broker.h"
#include "broker/core/core.h"
#include "broker/node/control.h"
#include "broker/node/home.h"
#include "broker/node/lines.h"
#include "broker/store_thread.h"
#include "store/store.h"

struct tri_shell;

enum {
    TRI_ROUND_PACKETS = 16, /* read before what was posted is sent */
    TRI_ACK_MS = 5,         /* an acknowledgement waits so long for something to ride on */
    /* What a process sent before it ended is read until its link is read to the end. That is looked for so often; it takes at
     * most so long (a grandchild may hold the link open), and exactly so long where links have no descriptors. */
    TRI_LAST_LOOK_MS = 1,
    TRI_LAST_WORDS_MAX_MS = 1000,
    TRI_LAST_WORDS_MS = 10,
    TRI_EXIT_WAIT_MS = 2000, /* a host whose door is closed has to have ended */
    TRI_PING_MS = 2500,
    TRI_SILENCE_MS = 10000,
    TRI_RETRY_MS = 10,                  /* a full queue is tried again, also without news */
    TRI_STOP_MS = 300,                  /* actors end in order for so long when the node ends */
    TRI_PRINTED_BYTES = 4 * 1024 * 1024 /* of lines on their way to a driver */
};

/* What epoll tells about. */
struct tri_source {
    void (*ready)(struct tri_shell *shell, struct tri_source *source);
    int fd;
};

struct tri_visitor {
    struct tri_source source;
    struct tri_entry entry; /* {cookie, 0} */
    struct tri_node link;
    int pidfd;
    int32_t pid;
    uint64_t cookie;
    struct tri_member *member; /* NULL: has not said HELLO */
    bool closed;               /* freed when the events at hand are done */
};

/* The last packets of a process that has ended are awaited. */
struct tri_last_words {
    uint64_t since_ns;
    uint64_t dry_read; /* they were read when shell->dry_reads says so; 0: its link is open yet */
};

/* Lines on their way to a driver: not acknowledged, in bytes (shell_lines.c). */
struct tri_printed {
    uint64_t older, newer, older_packet, newer_packet, left_out;
};

struct tri_member {
    struct tri_shell *shell;
    struct tri_entry entry; /* {link_peer, 0} */
    struct tri_node link;
    uint64_t link_peer;
    tri_peer_index index;
    struct tri_visitor *visitor; /* NULL: its door is closed */
    struct tri_channel channel;
    struct tri_places places;   /* of the channel */
    struct tri_welcome welcome; /* what it was told of the arena */
    uint64_t token, space;      /* token 0: a driver */
    int32_t pid;
    uint32_t credit_calls; /* as WELCOME said, all three */
    uint64_t credit_bytes;
    bool snapshot;
    bool struck; /* nothing goes out any more */
    bool linked; /* in the table of links */
    bool left;   /* said GOODBYE */
    bool failed; /* no memory for its channel: to be cut */
    bool pinged;
    uint64_t heard_ns;
    uint64_t owes_since_ns;
    uint64_t leaves_ns; /* since when its last packets are awaited (driver), when it is killed (host); TRI_NEVER */
    struct tri_last_words last_words; /* of a driver */
    struct tri_printed printed;
    struct tri_node dirty;   /* something posted */
    struct tri_node owing;   /* an acknowledgement, or credit, to be told */
    struct tri_node pending; /* packets that its queue had no room for */
    struct tri_node backlog; /* of shell->backlogs */
};

struct tri_unsent_packet {
    struct tri_node link;
    struct tri_packet packet;
};

/* A host has ended: the core hears of it when its last packets were read. */
struct tri_exit {
    struct tri_node link;
    uint64_t token;
    uint64_t link_peer; /* 0: it was not logged in */
    struct tri_last_words last_words;
    struct tri_death death; /* texts in `texts` */
    char texts[];
};

struct tri_shell {
    struct tri_core *core;
    struct tri_core_config config;
    struct tri_control control;
    char directory[108], node_name[64];
    bool is_service;
    /* io */
    void *context;
    struct tri_link *server;
    struct tri_door_server *door;
    int epoll_fd;
    struct tri_source root_source, link_source, door_source;
    bool root_waits;
    uint64_t dry_reads; /* how often the link was read until nothing was there */
    bool dry;           /* the last look at the link came after the last send, and found nothing */
    bool busy;          /* the core had an event since the last round */
    uint64_t now_ns;
    /* peers */
    struct tri_member **members; /* by index; config.limits.peers */
    struct tri_member *greeting; /* is about to log in: the core may post to it before we know its index */
    struct tri_table by_link;    /* members */
    struct tri_table by_cookie;  /* visitors */
    struct tri_node visitor_list, closed_visitors, member_list, dirty, owing, backlogs;
    struct tri_node exits;  /* in the order that the root told them */
    struct tri_node doomed; /* members that the core has cut: closed after the flush */
    uint32_t leaving_count;
    uint32_t visitor_count, visitor_limit;
    uint64_t heartbeat_ns, retry_ns; /* TRI_NEVER: off */
    struct tri_packed packed;
    /* the arena */
    struct tri_segment parts[TRI_PARTS];
    struct tri_store_thread *store_thread; /* NULL: nothing is spilled */
    struct tri_source store_source;
    struct tri_node awaited; /* processes whose end is awaited */
    uint64_t *ended_spaces;  /* that have ended: the core hears of it after the step */
    size_t ended_count, ended_capacity;
    /* forks that could not be asked for, and members that failed: told to the core later */
    uint64_t *failed_forks;
    size_t failed_fork_count, failed_fork_capacity;
    bool any_failed;
    /* life */
    bool stopping, root_gone, ended;
    uint64_t stop_ns;
    uint64_t dropped;    /* packets of nobody */
    struct tri_rate bad; /* lines of the log about what processes should not have said */
};

/* shell.c */
trp_err tri_shell_watch(struct tri_shell *shell, struct tri_source *source, trp_error *error);
void tri_shell_unwatch(struct tri_shell *shell, struct tri_source *source); /* and closes the descriptor */
void tri_shell_stop(struct tri_shell *shell);

/* shell_packets.c */
uint32_t tri_shell_receive(struct tri_shell *shell); /* up to TRI_ROUND_PACKETS; how many */
void tri_shell_flush(struct tri_shell *shell);       /* sends what was posted */
void tri_shell_acknowledge(struct tri_shell *shell); /* what is owed for too long */
void tri_shell_retry(struct tri_shell *shell);       /* what full queues refused */
void tri_member_post(struct tri_member *member, const struct tri_route *route, const struct tri_section *sections,
                     uint32_t section_count, uint64_t *where);
void tri_member_owes(struct tri_member *member);               /* perhaps an acknowledgement */
void tri_member_emit(void *member, struct tri_packet *packet); /* tri_emit_fn */
void tri_member_drop_backlog(struct tri_member *member);

/* Whether everything was received that a process sent which has ended. To be asked after each receive. */
bool tri_shell_heard_all(struct tri_shell *shell, uint64_t link_peer, struct tri_last_words *last_words);

/* shell_login.c. An envelope of a packet without a number; the sender may be nobody yet. */
void tri_shell_unnumbered(struct tri_shell *shell, uint64_t link_peer, const struct tri_packet *packet);

/* shell_members.c */
/* Known to nobody until it is bound to what the core calls it. */
trp_err tri_member_new(struct tri_shell *shell, struct tri_member **member, trp_error *error);
void tri_member_bind(struct tri_member *member, tri_peer_index index);
void tri_member_relink(struct tri_member *member, uint64_t link_peer);
struct tri_member *tri_member_find(const struct tri_shell *shell, uint64_t link_peer); /* NULL: nobody */
struct tri_member *tri_member_at(const struct tri_shell *shell, tri_peer_index index); /* NULL: nobody */
struct tri_member *tri_member_of_token(const struct tri_shell *shell, uint64_t token);
void tri_member_free(struct tri_member *member); /* and its door; the core has forgotten it */
/* It broke a rule: CUT is sent, its door closed; hosts are killed and count as gone when they have ended. */
void tri_member_cut(struct tri_member *member, const trp_error *why);
void tri_member_gone(struct tri_member *member);   /* a driver: the core hears of it now */
void tri_member_leaves(struct tri_member *member); /* its door is closed */
void tri_member_stays(struct tri_member *member);  /* it is back */
void tri_shell_send_cut(struct tri_shell *shell, uint64_t link_peer, const trp_error *why);
/* Of somebody who is not logged in: CUT is sent, the link is struck; `refuse` says so in the log, too. */
void tri_shell_turn_away(struct tri_shell *shell, uint64_t link_peer, const trp_error *why);
void tri_shell_refuse(struct tri_shell *shell, uint64_t link_peer, const trp_error *why);
bool tri_shell_may_log_bad(struct tri_shell *shell); /* one more line about what should not have been said */
void tri_shell_leaving(struct tri_shell *shell);     /* those whose time has come */
void tri_shell_heartbeat(struct tri_shell *shell);   /* PING, or the end, of silent hosts */
void tri_shell_arm_heartbeat(struct tri_shell *shell);
void tri_shell_close_doomed(struct tri_shell *shell);

/* shell_door.c */
trp_err tri_shell_open_door(struct tri_shell *shell, trp_error *error);
void tri_visitor_close(struct tri_visitor *visitor, struct tri_shell *shell);
struct tri_visitor *tri_visitor_find(const struct tri_shell *shell, uint64_t cookie);
void tri_shell_free_visitors(struct tri_shell *shell); /* that were closed */

/* shell_root.c */
trp_err tri_shell_start(struct tri_shell *shell, const struct tri_core_ops *ops,
                        trp_error *error); /* START, EXPECTED */
void tri_shell_tell_root(struct tri_shell *shell, void *message, size_t size, const char *const *texts, uint32_t count);
void tri_shell_kill(struct tri_shell *shell, uint64_t token, const char *rule);
void tri_shell_exits(struct tri_shell *shell); /* deaths whose last packets were read */
void tri_shell_watch_root(struct tri_shell *shell);
void tri_shell_free_exits(struct tri_shell *shell);

/* shell_arena.c */
/* What START says of it; before the core is made. */
trp_err tri_shell_take_arena(struct tri_shell *shell, const struct tri_control_start *start,
                             const char *spill_directory, trp_error *error);
void tri_shell_sweep_spill(struct tri_shell *shell); /* after that: what a broker that died has left goes */
void tri_shell_end_arena(struct tri_shell *shell);   /* after the core */
/* The descriptors that each process gets: returns how many. */
enum { TRI_ARENA_FDS = 3 };
size_t tri_shell_arena_fds(const struct tri_shell *shell, int fds[TRI_ARENA_FDS]);
void tri_member_open_arena(struct tri_member *member); /* its channel takes places */
void tri_shell_ended_spaces(struct tri_shell *shell);

/* shell_lines.c */
/* A host has printed it: to the driver whose actor or task it is, else to the node's log. */
void tri_shell_line(struct tri_shell *shell, uint64_t token, int32_t pid, bool is_stderr, const char *text);
void tri_member_left_out(struct tri_member *reader); /* tells how many lines it did not get, if it reads again */

/* shell_ops.c */
void tri_shell_ops(struct tri_shell *shell, struct tri_core_ops *ops);
void tri_shell_report_failures(struct tri_shell *shell); /* what an operation could not do, as events */

#endif
