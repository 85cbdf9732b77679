/*
 * transport.h - the door of transport/: how envelopes travel.
 *
 *   packet    one ZeroMQ message: a batch of envelopes, then the frames of their large sections
 *   session   pure: numbers packets, acknowledges cumulatively, keeps what is not acknowledged, drops what came before,
 *             counts credit. Both ends of every connection have one
 *   channel   pure: a session with the batch being filled; what the broker's and the runtime's shells (and the simulator)
 *             hold for each peer
 *   link      a ZeroMQ socket behind a table of operations: ipc, inproc, tcp
 *   door      the local side door: SOCK_SEQPACKET, credentials, descriptors, news of death
 *
 * session and channel know no socket and no clock.
 */
#ifndef TRI_TRANSPORT_H
#define TRI_TRANSPORT_H

#include "schemas/schemas.h"
#include "transport/base/base.h"

/* --------------------------------------------------------------------------------------------------------- packets */

enum {
    TRI_BATCH_BYTES = 128 * 1024,  /* a batch is sent when it has reached this */
    TRI_PACKET_BYTES = 256 * 1024, /* or its frames this */
    TRI_PACKET_FRAMES = 64,
    TRI_BATCH_MAX =
        4 * 1024 * 1024, /* a batch frame that is larger is refused (one envelope may carry 4,096 entries) */
};

/* The first bytes of a batch. Little-endian. Envelopes follow, each at a multiple of 8. */
struct tri_batch_head {
    uint32_t magic;       /* TRI_BATCH_MAGIC */
    uint16_t version;     /* TRI_WIRE_VERSION */
    uint16_t place_count; /* places in the arena, at the end of the batch, of frames that are not sent */
    uint32_t envelope_count;
    uint32_t frame_count; /* that are sent */
    uint64_t
        sequence; /* 1, 2, ... per session and direction; 0: not numbered (HELLO, WELCOME, CUT, bare acknowledgements) */
    uint64_t acknowledged; /* all of your packets up to this one are accepted */
    uint64_t
        released_calls; /* credit: so many of the credited envelopes that you ever sent on this session have ended */
    uint64_t released_bytes; /* and so many of their bytes */
};
#define TRI_BATCH_MAGIC 0x31505254u /* "TRP1" */

/* A packet as it is sent or was received. frames[0] is the batch. Counted: one holder at a time changes nothing. */
struct tri_packet {
    uint32_t frame_count; /* including the batch */
    struct tri_buf *frames[1 + TRI_PACKET_FRAMES];
};
void tri_packet_fini(struct tri_packet *packet); /* releases the frames */

/* Checks a received packet's head and sizes, and walks its envelopes, each checked (tri_envelope_check) before `visit` sees
 * it. A batch whose data is misaligned is first copied (packet->frames[0] is replaced). Stops at the first error of either.
 * TRP_EPROTO; or what visit returns. */
typedef trp_err tri_envelope_fn(void *user, const struct tri_envelope *envelope, trp_error *error);
trp_err tri_packet_head(struct tri_packet *packet, struct tri_batch_head *head, trp_error *error);
/* Makes the buffer that a place stands for: of that size, with a place. Whatever else it does is done once for each packet that is
 * taken. TRP_EPROTO: the sender may not say this. */
struct tri_places {
    trp_err (*open)(void *user, const struct tri_place *place, struct tri_buf **buf, trp_error *error);
    void *user;
};
/* Puts them among the packet's frames, where they belong. NULL: places are refused. To be called before tri_packet_each. */
trp_err tri_packet_open_places(struct tri_packet *packet, const struct tri_places *places, trp_error *error);
trp_err tri_packet_each(const struct tri_packet *packet, tri_envelope_fn *visit, void *user, trp_error *error);

/* -------------------------------------------------------------------------------------------------------- sessions */

enum { TRI_SPARES_MAX = 4 };

/* All of it is readable; only the functions write. Zero-initialise with tri_session_init. */
struct tri_session {
    uint64_t next_sequence;     /* of the next packet to number */
    uint64_t peer_acknowledged; /* of ours */
    uint64_t received;          /* of the peer's: all up to this were accepted */
    uint64_t told;              /* the `acknowledged` that our last packet carried */
    struct tri_sent *sent;      /* ring of packets not acknowledged, oldest first */
    size_t sent_head, sent_count, sent_capacity;
    uint64_t sent_bytes; /* that they hold */
    /* Batches that were acknowledged and that nobody else holds, to be filled again; at most spare_max, which the owner sets. */
    struct tri_buf *spares[TRI_SPARES_MAX];
    uint32_t spare_count, spare_max;
    /* credit, as sender */
    uint32_t window_calls;
    uint64_t window_bytes;
    uint64_t used_calls, used_bytes;         /* ever sent, credited */
    uint64_t returned_calls, returned_bytes; /* ever released by the peer */
    /* credit, as receiver */
    uint64_t released_calls, released_bytes;
    uint64_t told_calls;
};
struct tri_sent {
    uint64_t sequence;
    struct tri_packet packet;
};

void tri_session_init(struct tri_session *session, uint32_t window_calls, uint64_t window_bytes);
void tri_session_fini(struct tri_session *session);

/* Whether a credited envelope of `bytes` may be sent now. One larger than the whole window may go when nothing is out. */
bool tri_session_has_credit(const struct tri_session *session, uint64_t bytes);
void tri_session_use(struct tri_session *session, uint64_t bytes); /* one credited envelope is on its way */
/* As receiver: one credited envelope of so many bytes has ended; the peer hears of it with the next packet. */
void tri_session_release(struct tri_session *session, uint64_t bytes);

/* Numbers a packet, stamps its head and keeps it until acknowledged. TRP_ENOMEM: nothing has changed. */
trp_err tri_session_send(struct tri_session *session, struct tri_packet *packet, trp_error *error);
/* Makes sure that the next tri_session_send cannot fail: TRP_ENOMEM otherwise. */
trp_err tri_session_reserve(struct tri_session *session, trp_error *error);
/* Stamps the head of a packet that is not numbered (bare acknowledgement). */
void tri_session_stamp(struct tri_session *session, struct tri_packet *packet);

enum tri_receipt { TRI_TAKE, TRI_DUPLICATE, TRI_GAP };
/* Looks at the head of a received packet: applies acknowledgement and credit (TRP_EPROTO if they run backwards or ahead of
 * what was sent), and says what to do with its envelopes. TAKE: it is the next one (or not numbered). The caller calls
 * tri_session_accept when they are all accepted. GAP: one before is missing; ask for a resume. */
trp_err tri_session_receive(struct tri_session *session, const struct tri_batch_head *head, enum tri_receipt *receipt,
                            trp_error *error);
void tri_session_accept(struct tri_session *session, const struct tri_batch_head *head);
/* Something received is not acknowledged yet, or credit not told. */
bool tri_session_owes(const struct tri_session *session);

/* A link was cut and is back, the session goes on: the peer has all up to `received` (TRP_EPROTO if that was never sent),
 * then `emit` is given each later packet again, in order, restamped. */
typedef void tri_emit_fn(void *user, struct tri_packet *packet);
trp_err tri_session_resume(struct tri_session *session, uint64_t received, tri_emit_fn *emit, void *user,
                           trp_error *error);

/* -------------------------------------------------------------------------------------------------------- channels */

struct tri_channel {
    struct tri_session session;
    struct tri_buf *batch; /* being filled; NULL: empty */
    size_t batch_size;
    uint32_t envelope_count;
    struct tri_packet packet; /* frames of the batch's large sections, from 1 on */
    uint64_t frame_bytes;
    uint32_t place_bytes; /* what is going to be said of those that are not sent */
    struct tri_node full; /* packets that were closed by a full batch, to be sent: list of tri_full */
    size_t full_count;
    uint64_t full_bytes;
    size_t usual_size;               /* of the last batches: the next one is made as large at once */
    const struct tri_places *places; /* borrowed; NULL: none are let in */
};
void tri_channel_init(struct tri_channel *channel, uint32_t window_calls, uint64_t window_bytes);
void tri_channel_fini(struct tri_channel *channel);
void tri_channel_reset(struct tri_channel *channel, uint32_t window_calls,
                       uint64_t window_bytes); /* drops what is not sent */

/* Appends an envelope. *where (may be NULL): the sequence number that its packet will have. Closes the batch first if it
 * would be too full; so several packets may come out of a flush. TRP_ENOMEM: nothing was added. Never refuses for lack of
 * credit: who sends credited envelopes asks tri_session_has_credit first, and calls tri_session_use. */
trp_err tri_channel_post(struct tri_channel *channel, const struct tri_route *route, const struct tri_section *sections,
                         uint32_t section_count, uint64_t *where, trp_error *error);
bool tri_channel_has_output(const struct tri_channel *channel); /* something posted and not flushed */
size_t tri_channel_pending_bytes(const struct tri_channel *channel);
/* Numbers and emits everything posted. `emit` takes the packet over (retains what it keeps). */
trp_err tri_channel_flush(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error);
/* Only the packets that are full: what is being filled stays. */
trp_err tri_channel_flush_full(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error);
/* Emits a bare acknowledgement if one is owed and nothing is posted. */
trp_err tri_channel_acknowledge(struct tri_channel *channel, tri_emit_fn *emit, void *user, trp_error *error);

/* A whole packet in: head, session, then its envelopes to `visit`, then accepted. *receipt may be NULL. */
trp_err tri_channel_receive(struct tri_channel *channel, struct tri_packet *packet, tri_envelope_fn *visit, void *user,
                            enum tri_receipt *receipt, trp_error *error);

/* One envelope that belongs to no session (HELLO, WELCOME, CUT) as a packet of its own, sequence 0. */
trp_err tri_packet_single(struct tri_packet *packet, const struct tri_route *route, const struct tri_section *sections,
                          uint32_t section_count, trp_error *error);

/* A heap copy of an envelope, for whoever must keep it: own bytes, retained frames, and room for appended sections. */
struct tri_letter {
    struct tri_route route;
    uint32_t section_count, section_capacity;
    uint64_t size;                /* bytes that it holds, for limits */
    struct tri_section *sections; /* data of section i lies behind them or in sections[i].frame (retained) */
};
struct tri_letter *tri_letter_copy(const struct tri_envelope *envelope); /* NULL: no memory */
/* Appends the value in `section` (copied or its frame retained) as the value of argument `place`. TRP_ENOMEM. */
trp_err tri_letter_append(struct tri_letter *letter, const struct tri_section *section, uint32_t place);
void tri_letter_free(struct tri_letter **letter);

/* ----------------------------------------------------------------------------------------------------------- links */

/* A link is one socket. One thread uses it at a time. A server has many peers, each known by an opaque number that the
 * link gives; a client has the one it connects to, number 0. */
struct tri_link;
struct tri_link_ops {
    const char *scheme; /* "ipc" */
    /* address as in "ipc:///run/x", "inproc://x", "tcp://127.0.0.1:*". TRP_EACCES, TRP_EINVAL (path over 107 bytes), TRP_ELIMIT */
    trp_err (*bind)(void *context, const char *address, struct tri_link **link, trp_error *error);
    trp_err (*connect)(void *context, const char *address, struct tri_link **link, trp_error *error);
};
const struct tri_link_ops *tri_link_find(const char *address); /* by its scheme; NULL: none */
/* Packets of one peer that wait at a server: twice the window of calls, as if each call were a packet, and had one beside it. */
enum { TRI_LINK_PACKETS = 131072 };
extern const struct tri_link_ops *const tri_link_table[]; /* ended by NULL */

/* A ZeroMQ context with our options; raises the soft limit of file descriptors. TRP_ELIMIT: fewer than 64 descriptors are left,
 * or too little address space for its threads and the keeper; said beforehand, because libzmq aborts the process when it does
 * not get what it needs. That so many threads can be started has to be known (tri_room_try_threads). */
trp_err tri_link_context(void **context, trp_error *error);
trp_err tri_link_context_room(trp_error *error); /* whether there is address space for one more */
void tri_link_context_end(void **context);
/* Takes over the packet's references on success. TRP_EAGAIN: the peer's queue is full. TRP_ENOENT: no such peer any more. */
trp_err tri_link_send(struct tri_link *link, uint64_t peer, struct tri_packet *packet, trp_error *error);
/* timeout_ms 0: looks, and leaves *error as it is where nothing is there; -1: for ever. TRP_ETIMEDOUT: nothing. *peer of a
 * server: who. TRP_EPROTO: frames over limits (they are dropped; *peer is set). */
trp_err tri_link_recv(struct tri_link *link, int timeout_ms, uint64_t *peer, struct tri_packet *packet,
                      trp_error *error);
/* Whether a packet waits to be received. Looks without waiting; to be asked after sends, which may take the edge of
 * tri_link_fd. */
bool tri_link_readable(struct tri_link *link);
/* What became of the connection of a server's peer, or of a client's own: the first that something came over. */
enum tri_connection {
    TRI_CONNECTED,    /* more may come */
    TRI_DISCONNECTED, /* all that came over it can be received now: when nothing more is received, it was all */
    TRI_UNTOLD,       /* this link cannot tell (inproc), or nothing came over it yet */
};
enum tri_connection tri_link_connection(struct tri_link *link, uint64_t peer);
/* Strikes a peer off: what still comes from it is dropped and counted, and nothing can be sent to it (TRP_ENOENT). */
void tri_link_strike(struct tri_link *link, uint64_t peer);
uint64_t tri_link_dropped(const struct tri_link *link); /* packets of peers that were struck */
int tri_link_fd(const struct tri_link *link);           /* readable when recv or send should be tried: edge-triggered */
const char *tri_link_address(const struct tri_link *link); /* as bound, with the real port */
void tri_link_close(struct tri_link **link);               /* linger 0 */

/* ------------------------------------------------------------------------------------------------------- side door */

/* Server: one listening socket in the node's directory (0700). */
struct tri_door_server;
trp_err tri_door_listen(const char *path, struct tri_door_server **server,
                        trp_error *error); /* TRP_EACCES, TRP_EALREADY: alive */
int tri_door_server_fd(const struct tri_door_server *server);
/* Accepts one: checks the user by SO_PEERCRED, opens a pidfd and looks again that the door is open. TRP_EAGAIN: nobody. */
trp_err tri_door_accept(struct tri_door_server *server, int *fd, int *pidfd, int32_t *pid, trp_error *error);
void tri_door_refuse(int fd);                                /* says that there is no room for it; to be closed then */
void tri_door_server_close(struct tri_door_server **server); /* and unlinks */
/* Client. The first message from the server is the 8-byte cookie. */
/* It may come with descriptors, which are the caller's then. */
enum { TRI_DOOR_FDS = 4 };
struct tri_greeting {
    int fd; /* the door */
    uint64_t cookie;
    int fds[TRI_DOOR_FDS];
    size_t fd_count;
};
void tri_greeting_close_fds(struct tri_greeting *greeting); /* all but the door */
/* TRP_EACCES: not let in; TRP_ELIMIT: the server has no descriptors for it. */
trp_err tri_door_greet(const char *path, int timeout_ms, struct tri_greeting *greeting, trp_error *error);
/* Messages of up to 64 KiB with up to 4 descriptors. recv: *size 0: end of file, the peer is gone. */
trp_err tri_door_send(int fd, const void *data, size_t size, const int *fds, size_t fd_count, trp_error *error);
trp_err tri_door_recv(int fd, void *data, size_t capacity, size_t *size, int *fds, size_t fd_capacity, size_t *fd_count,
                      trp_error *error); /* does not wait: TRP_EAGAIN */

/* ----------------------------------------------------------------------------------------------- the progress page */

/* Shared between the root and one host (a memfd that the root maps before it forks): what the host's death record is made of. The
 * host writes, also from its crash handler; the root reads when the host is dead. */
enum { TRI_PROGRESS_SIZE = 16384, TRI_BACKTRACE_SIZE = 8192 };
struct tri_progress {
    _Atomic uint64_t started, finished; /* index of the last call started; all calls up to `finished` have ended */
    _Atomic uint64_t sequence;          /* route.sequence of the call started last */
    char module[64], actor[272], method[272];   /* of the call started last */
    _Atomic int32_t crash_signal;               /* 0: it did not crash */
    _Atomic uint32_t ran_tasks;                 /* not 0: it has started one */
    _Atomic uint64_t actor_space, actor_number; /* of the actor that was made here, before anything of it runs */
    _Atomic int32_t unstarted;                  /* trp_err of a host that could not log in; 0 */
    char failure[512];                          /* why that, or why the actor could not be made; "": it could */
    char rule[256];                             /* what its code did for which it kills itself; "": nothing */
    char backtrace[TRI_BACKTRACE_SIZE];         /* lines, NUL-terminated */
};

/* What the root hands to the code of a new host, right after the fork (or, to troupe-worker, in its environment). */
struct tri_worker_start {
    const char *directory;   /* the node's */
    const char *module_path; /* directories separated by ':' */
    uint64_t token;          /* for HELLO */
    struct tri_progress *progress;
    enum tri_level log_level;
    bool is_private; /* the node is one program's own */
};
typedef int tri_worker_main_fn(const struct tri_worker_start *start); /* the process's exit code */

/* ---------------------------------------------------------------------------------------------- the node's directory */

/* Where a node lives: $TROUPE_DIR, else $XDG_RUNTIME_DIR/troupe, else /tmp/troupe-UID; or `given`. Makes it 0700 if wanted and
 * checks owner and mode; the path given back is absolute. Files: broker.sock (ipc), door (side door), node.pid, lock. TRP_EACCES,
 * TRP_ENOENT (not there, and not to be made), TRP_EINVAL (too long for the sockets in it). */
trp_err tri_directory(const char *given, bool make, char *path, size_t size, trp_error *error);

#endif
