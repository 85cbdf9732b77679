/*
 * warm.c - what the root does once so that every host forked from it starts quickly: one ZeroMQ context made, used over the
 * kind of link that hosts use, and ended, which loads and binds all of it; then what is free is given back. Another context
 * stays and is never used, so that what libzmq sets up for a process's first one (protocols, cryptography) is there.
 */
#include "broker/node/root.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* One packet there, so that both ends have run. */
static trp_err
exchange(struct tri_link *server, struct tri_link *client, trp_error *error)
{
    struct tri_route route = {.kind = TRI_PING};
    struct tri_packet packet = {0};
    uint64_t peer;
    TRP_TRY(tri_packet_single(&packet, &route, NULL, 0, error));
    trp_err err = tri_link_send(client, 0, &packet, error);
    if (err != TRP_OK) {
        tri_packet_fini(&packet);
        return err;
    }
    packet = (struct tri_packet){0};
    err = tri_link_recv(server, 2000, &peer, &packet, error);
    tri_packet_fini(&packet);
    return err;
}

static trp_err
connect_and_exchange(void *context, const char *address, struct tri_link *server, trp_error *error)
{
    struct tri_link *client = NULL;
    TRP_TRY(tri_link_find(address)->connect(context, address, &client, error));
    trp_err err = exchange(server, client, error);
    tri_link_close(&client);
    return err == TRP_EAGAIN || err == TRP_ETIMEDOUT ? TRP_OK : err; /* a busy machine: hosts start slower, no more */
}

trp_err
tri_root_warm(struct tri_root *root, trp_error *error)
{
    char address[sizeof root->home.path + 32];
    snprintf(address, sizeof address, "ipc://%s/warm.sock", root->home.path);
    void *context = NULL;
    TRP_TRY(tri_link_context(&root->warm_context, error)); /* no threads: these come with a first socket */
    TRP_TRY(tri_room_try_threads(error));
    TRP_TRY(tri_link_context(&context, error));
    struct tri_link *server = NULL;
    trp_err err = tri_link_find(address)->bind(context, address, &server, error);
    if (err == TRP_OK) {
        err = connect_and_exchange(context, address, server, error);
        tri_link_close(&server);
    }
    tri_link_context_end(&context);
    (void)unlink(address + sizeof "ipc://" - 1);
    if (err == TRP_OK)
        err = tri_link_context_room(error); /* hosts begin here, and do not all find out by themselves */
    sigemptyset(&root->handled);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            sigaddset(&root->handled, number);
    }
    tri_root_keep_mapped((const void *)(uintptr_t)root->worker);
    malloc_trim(0);
    return err;
}
