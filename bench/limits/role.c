/*
 * role.c - the other processes of the chain: the proxy and the workers. A program that measures runs itself again as
 * these, so that nothing of it is left in them. Each is one thread with one or two sockets; it ends with its parent.
 */
#include "bench/limits/chain.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <zmq.h>

void *
tri_chain_socket(void *context, int type)
{
    int unbounded = 0, at_once = 0;
    void *socket = zmq_socket(context, type);

    if (socket != NULL && (zmq_setsockopt(socket, ZMQ_SNDHWM, &unbounded, sizeof unbounded) != 0 ||
                           zmq_setsockopt(socket, ZMQ_RCVHWM, &unbounded, sizeof unbounded) != 0 ||
                           zmq_setsockopt(socket, ZMQ_LINGER, &at_once, sizeof at_once) != 0)) {
        zmq_close(socket);
        socket = NULL;
    }
    return socket;
}

static int
run_proxy(void *context, const char *directory)
{
    void *front = tri_chain_socket(context, ZMQ_ROUTER);
    void *back = tri_chain_socket(context, ZMQ_DEALER);
    char endpoint[TRI_CHAIN_ENDPOINT_SIZE];

    snprintf(endpoint, sizeof endpoint, TRI_CHAIN_FRONT, directory);
    if (front == NULL || back == NULL || zmq_bind(front, endpoint) != 0)
        return 1;
    snprintf(endpoint, sizeof endpoint, TRI_CHAIN_BACK, directory);
    if (zmq_bind(back, endpoint) != 0)
        return 1;
    zmq_proxy(front, back, NULL);
    return 1;
}

/* Echoes, through plain buffers: for small messages that is a quarter faster than handing zmq_msg_t on, which shares
 * libzmq's receive buffers. An empty body asks who we are. */
static void
echo_forever(void *socket)
{
    uint8_t id[256], body[TRI_CHAIN_BODY_MAX];
    int pid = (int)getpid();

    for (;;) {
        int id_size = zmq_recv(socket, id, sizeof id, 0);
        int body_size = zmq_recv(socket, body, sizeof body, 0);

        if (id_size < 0 || body_size < 0 || zmq_send(socket, id, (size_t)id_size, ZMQ_SNDMORE) < 0)
            return;
        if (zmq_send(socket, body_size == 0 ? (void *)&pid : body, body_size == 0 ? sizeof pid : (size_t)body_size, 0) <
            0)
            return;
    }
}

static int
run_worker(void *context, const char *directory)
{
    void *socket = tri_chain_socket(context, ZMQ_DEALER);
    char endpoint[TRI_CHAIN_ENDPOINT_SIZE];

    snprintf(endpoint, sizeof endpoint, TRI_CHAIN_BACK, directory);
    if (socket != NULL && zmq_connect(socket, endpoint) == 0)
        echo_forever(socket);
    return 1;
}

bool
tri_limit_role(int argc, char **argv, int *exit_code)
{
    void *context;

    if (argc != 4 || strcmp(argv[1], TRI_CHAIN_ROLE_OPTION) != 0)
        return false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    context = zmq_ctx_new();
    if (context == NULL)
        *exit_code = 1;
    else
        *exit_code = strcmp(argv[2], "proxy") == 0 ? run_proxy(context, argv[3]) : run_worker(context, argv[3]);
    return true;
}
