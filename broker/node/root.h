/*
 * root.h - inside broker/node/: the root process of a node, parent of the broker and of every host. Single-threaded, it has
 * no ZeroMQ context of its own while it runs, and loads no module; all hangs from one struct.
 *
 *   options     the command line
 *   home        the node's directory: lock, stale files, removal
 *   warm        what is done once, before the first fork, so that hosts start quickly
 *   hosts       fork, pipes, exit statuses, death records
 *   lines       what hosts print: cutting into lines, rate, the last ones
 *   arena       the shared memory of large objects
 *   spill       the directory that they go to when it is short
 *   keeper      the broker: start, messages, death, restart
 *   root        the loop
 */
#ifndef TRI_ROOT_H
#define TRI_ROOT_H

#include <signal.h>
#include <sys/types.h>

#include "broker/broker.h"
#include "broker/node/control.h"
#include "broker/node/home.h"
#include "broker/node/lines.h"
#include "store/store.h"
#include "transport/transport.h"

/* --------------------------------------------------------------------------------------------------------- options */

enum tri_root_mode { TRI_ROOT_NONE, TRI_ROOT_PRIVATE, TRI_ROOT_SERVICE, TRI_ROOT_HELP, TRI_ROOT_VERSION };
struct tri_root_options {
    enum tri_root_mode mode;
    const char *directory;   /* NULL: the user's usual one */
    const char *module_path; /* NULL: as the environment says */
    const char *log_file;    /* NULL: stderr */
    double num_cpus, num_gpus;
    uint64_t store_bytes; /* 0: as much as is usual */
    bool no_store;
    const char *spill_directory; /* NULL: as the environment says, else the usual one */
    uint64_t spill_max_bytes;    /* 0: half of what is free there */
    uint32_t spill_at;           /* percent of the store; 0: the usual */
    bool no_spill;
    int parent_fd; /* -1: none */
    int ready_fd;  /* of a service: who started it hears there how that went; -1: on stdout and stderr */
    enum tri_level log_level;
};
/* TRP_EINVAL: the sentence names the argument and what is allowed. Texts borrow argv. */
trp_err tri_root_options_parse(int argc, char *const *argv, struct tri_root_options *options, trp_error *error);
extern const char tri_root_usage[];

/* ------------------------------------------------------------------------------------------------------------ home */

struct tri_home {
    char path[108];
    int lock_fd;  /* -1: not ours */
    int watch_fd; /* -1: it is not watched */
    bool made;    /* the directory was not there before */
};
/* Makes or takes the directory, locks it, sweeps what a dead node left in it and, for a private node, beside it. TRP_EALREADY:
 * a node lives there (its pid is said); one that is ending is waited for. TRP_EINVAL: too long a path. TRP_EACCES, TRP_EDISKFULL. */
trp_err tri_home_open(struct tri_home *home, const char *given, bool is_private, trp_error *error);
void tri_home_close(
    struct tri_home *home); /* removes what is ours, and the directory where it was made by us or is private */
void tri_home_ending(const struct tri_home *home); /* the next node waits for this one's end, for a few seconds */
/* Whose lock lies there now: somebody may have removed the directory, or put another one in its place. */
enum tri_home_holder { TRI_HOME_OURS, TRI_HOME_NOBODYS, TRI_HOME_ANOTHERS };
enum tri_home_holder tri_home_holder(const struct tri_home *home);
bool tri_home_watch(struct tri_home *home); /* SIGIO comes when something is removed from it, or it is. false: errno */
/* Removes private nodes in `parent` that nobody's lock holds and that belong to us; says how many. */
unsigned tri_home_sweep(const char *parent);
void tri_home_unlink_sockets(const struct tri_home *home);

/* ------------------------------------------------------------------------------------------------------------ root */

enum { TRI_ENDED_MAX = 65536 }; /* actors that have ended, the youngest of them, of which the next broker is told */

struct tri_root;
/* Whatever the loop polls: `ready` is called when the descriptor is. */
struct tri_watch {
    void (*ready)(struct tri_root *root, struct tri_watch *watch);
    int fd;
};

struct tri_stream { /* stdout or stderr of a host */
    struct tri_watch watch;
    struct tri_hosted *host;
    int number; /* 1 or 2 */
    struct tri_lines lines;
};
struct tri_hosted { /* a host that lives, or is not collected yet */
    struct tri_entry by_token, by_pid;
    struct tri_node link;
    uint64_t token;
    pid_t pid;
    uint64_t memory_bytes;
    bool over_memory;
    bool tailored; /* it has a memory limit or variables of one actor */
    char label[TRI_NAME_MAX + 1];
    char rule[TRI_NAME_MAX + 1];
    struct tri_progress *progress;
    struct tri_stream streams[2];
    struct tri_rate rate;
    struct tri_recent *recent;
};

/* What it has for large objects. granules 0: nothing. */
struct tri_node_arena {
    uint32_t granules, slots;
    bool used; /* a broker has had it */
    struct tri_segment parts[TRI_PARTS];
};

struct tri_root {
    struct tri_root_options options;
    struct tri_home home;
    char node_name[64];
    uint64_t memory_bytes; /* what actors and tasks may ask for; 0: not known */
    tri_worker_main_fn *worker;
    const char *broker_path;
    pid_t pid;
    int epoll_fd, null_fd, error_fd; /* error_fd: where errors of the start are said */
    struct tri_watch signals, parent, broker;
    void *warm_context; /* warm.c */
    struct tri_node_arena arena;
    char spill_directory[512]; /* empty: nothing is spilled */
    sigset_t handled;          /* signals that a host sets back */
    /* hosts */
    struct tri_table hosts; /* by {BY_TOKEN, token} and {BY_PID, pid} of hosts.c */
    struct tri_node host_list;
    unsigned host_count, limited_count; /* limited: by memory_bytes */
    uint64_t next_sample_ns;
    uint64_t left_out_ns; /* when it is told how many lines were left out; 0: none were */
    /* broker */
    struct tri_control control;
    bool broker_waits; /* the control socket is polled for writing */
    pid_t broker_pid;  /* 0: none */
    uint64_t incarnation;
    uint64_t broker_started_ns;
    unsigned short_lives; /* brokers in a row that died within a second of their start */
    struct tri_control_driver *drivers;
    size_t driver_count, driver_capacity;
    /* what the next broker must not bring back to life */
    struct tri_id *ended; /* a ring once there are TRI_ENDED_MAX */
    size_t ended_count, ended_capacity, ended_next;
    bool tasks_lost;
    union tri_control_message message;
    /* life */
    bool ready; /* said so */
    bool ending;
    uint64_t end_ns; /* then the broker is killed */
    int exit_code;
};

trp_err tri_root_watch(struct tri_root *root, struct tri_watch *watch, trp_error *error);
void tri_root_unwatch(struct tri_root *root, struct tri_watch *watch);
/* Everything ends, once: the broker is told, then hosts are killed and awaited, then files are removed. */
void tri_root_end(struct tri_root *root, int exit_code);
void tri_root_start_failed(struct tri_root *root, const trp_error *error); /* says so to who started us, and ends */
void tri_root_started(struct tri_root *root);                              /* the broker is ready */

/* As large as the options say. TRP_ESTOREFULL: what was asked for does not fit. The usual one that cannot be made is none. */
trp_err tri_root_make_arena(struct tri_root *root, trp_error *error);
void tri_root_end_arena(struct tri_root *root);
/* Names this node's, and removes those of nodes that were killed. TRP_EINVAL, TRP_EACCES: what was asked for cannot be used. */
trp_err tri_root_choose_spill(struct tri_root *root, trp_error *error);
void tri_root_end_spill(struct tri_root *root); /* after the broker */

/* Loads, binds and ends what a host needs, so that its pages are there before the fork. */
trp_err tri_root_warm(struct tri_root *root, trp_error *error);
/* Forks hand on what is mapped of the libraries' code, and all of that around `code`. */
void tri_root_keep_mapped(const void *code);

/* ----------------------------------------------------------------------------------------------------------- hosts */

trp_err tri_hosts_init(struct tri_root *root, trp_error *error);
/* env: names and texts in turn. */
trp_err tri_hosts_fork(struct tri_root *root, uint64_t token, uint64_t memory_bytes, const char *label,
                       const char *const *env, uint32_t env_count, pid_t *pid, trp_error *error);
struct tri_hosted *tri_hosts_find(const struct tri_root *root, uint64_t token);
void tri_hosts_kill(struct tri_hosted *host, const char *rule);
/* Collects every process that has ended; of hosts, after their last lines, says EXITED. */
void tri_hosts_collect(struct tri_root *root);
void tri_hosts_end(struct tri_root *root);                       /* kills and awaits all */
void tri_hosts_sample(struct tri_root *root, uint64_t now_ns);   /* kills those that hold more memory than they may */
void tri_hosts_left_out(struct tri_root *root, uint64_t now_ns); /* tells how many lines were, when it is time */

/* ---------------------------------------------------------------------------------------------------------- keeper */

trp_err tri_keeper_start(struct tri_root *root, trp_error *error); /* starts a broker */
void tri_keeper_died(struct tri_root *root, int status);           /* it was collected */
void tri_keeper_send(struct tri_root *root, void *message, size_t size, const char *const *texts, uint32_t text_count);
void tri_keeper_stop(struct tri_root *root); /* tells it to end in order */
/* This actor does not live any more, or never did. */
void tri_keeper_ended(struct tri_root *root, struct tri_id actor);

#endif
