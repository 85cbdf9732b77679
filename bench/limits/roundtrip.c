/*
 * roundtrip.c - an empty libzmq program: connects to an echo, says a word, hears it and ends. With "serve" it is that echo,
 * which says READY when it can be connected to and ends with its standard input. One thread; Troupe is not in it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

static int
echo(void *socket)
{
    zmq_pollitem_t items[2] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = 0, .events = ZMQ_POLLIN}};

    while (zmq_poll(items, 2, -1) >= 0 && items[1].revents == 0) {
        int more = 1;
        while (items[0].revents != 0 && more != 0) {
            zmq_msg_t part;
            (void)zmq_msg_init(&part);
            if (zmq_msg_recv(&part, socket, 0) < 0)
                return 1;
            more = zmq_msg_more(&part);
            if (zmq_msg_send(&part, socket, more != 0 ? ZMQ_SNDMORE : 0) < 0)
                return 1;
        }
    }
    return 0;
}

static int
serve(void *context, const char *address)
{
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    int exit_code = 1;

    if (socket != NULL && zmq_bind(socket, address) == 0) {
        puts("READY");
        (void)fflush(stdout);
        exit_code = echo(socket);
    }
    (void)zmq_close(socket);
    return exit_code;
}

static int
call(void *context, const char *address)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    char text[16];
    const bool heard = socket != NULL && zmq_connect(socket, address) == 0 && zmq_send(socket, "hello", 5, 0) == 5 &&
                       zmq_recv(socket, text, sizeof text, 0) == 5;

    (void)zmq_close(socket);
    return heard ? 0 : 1;
}

int
main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    int exit_code = 2;

    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        exit_code = serve(context, argv[2]);
    else if (argc == 2)
        exit_code = call(context, argv[1]);
    (void)zmq_ctx_term(context);
    return exit_code;
}
