/*
 * fake_broker.c - started by the root in place of a broker: gives its end of the control socket, and its pid, to the test that
 * waits at $TEST_BROKER_SOCKET, and sleeps until it is killed.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/transport.h"

int
main(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("TEST_BROKER_SOCKET");
    const pid_t pid = getpid();
    const int control = 3;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (path == NULL || strlen(path) >= sizeof address.sun_path)
        return 1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return 1;
    if (tri_door_send(fd, &pid, sizeof pid, &control, 1, NULL) != TRP_OK)
        return 1;
    close(control);
    close(fd);
    for (;;)
        pause();
}
