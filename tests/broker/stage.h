/*
 * stage.h - the broker's shell with a test around it that is its root and its processes, over real sockets.
 */
#ifndef TRI_TEST_BROKER_STAGE_H
#define TRI_TEST_BROKER_STAGE_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "broker/broker.h"
#include "broker/node/control.h"

enum { WAIT_MS = 10000 };

/* One in a process: the broker, and what its root has of it. */
extern struct stage {
    char scratch[64], address[96], door_path[96];
    pid_t broker;
    struct tri_control control;
    union tri_control_message message; /* the last one that came to the root, and its texts */
    const char *texts[TRI_CONTROL_TEXTS_MAX];
    FILE *events; /* what the core was told, a line each */
    void *context;
} stage;

void stage_open(void);  /* a directory */
void stage_close(void); /* without it */
void stage_start(uint32_t expected_count);
void stage_start_ready(void);
void stage_end(void); /* in order */
/* The next event, and the next message to the root. */
void expect_event(const char *wanted);
void expect_control(uint32_t kind);

/* A driver, or a host, of the broker's. */
struct process {
    int door;
    struct tri_link *link;
    struct tri_channel channel;
    struct tri_login login;
    struct tri_welcome welcome;
    uint8_t last_kind;
    struct tri_id last_result;
    trp_error why;
    size_t lines;
    char last_line[64];
};

void process_visit(struct process *process); /* knocks at the door; a driver that has no link yet */
void process_connect(struct process *process);
void process_hello(struct process *process);
void process_log_in(struct process *process); /* all of these, and WELCOME */
void process_enter(struct process *process);  /* the same at a broker that is started for it */
void process_post(struct process *process, uint8_t kind, uint64_t number);
void process_emit(void *user, struct tri_packet *packet);
enum tri_receipt process_take(struct process *process); /* one packet */
void expect_kind(struct process *process, uint8_t kind);
void expect_door_closed(struct process *process);
void process_close_door(struct process *process);
void process_leave(struct process *process);

#endif
