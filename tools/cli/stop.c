/*
 * stop.c - Ctrl-C: the first is noted, for the wait that is under way to end; the second ends the process. The handler runs on
 * any thread; the rest on the command's one.
 */
#include <signal.h>
#include <unistd.h>

#include "tools/cli/cli.h"

static volatile sig_atomic_t pressed;
static bool watched;

static void
on_interrupt(int number)
{
    (void)number;
    if (pressed++ > 0)
        _exit(TRI_EXIT_STOPPED);
}

void
tri_stop_watch(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

    if (watched)
        return;
    watched = true;
    (void)sigaction(SIGINT, &action, NULL);
}

bool
tri_stopped(void)
{
    return pressed > 0;
}

void
tri_stop_clear(void)
{
    pressed = 0;
}
