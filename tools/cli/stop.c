/*
 * stop.c - Ctrl-C: the first is noted, for the wait that is under way to end; the second ends the process. The handler runs on
 * any thread; the rest on the command's one.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tools/cli/cli.h"

static volatile sig_atomic_t pressed;
static bool watched;
static void (*before_death)(void);

void
tri_stop_before(void (*restore)(void))
{
    before_death = restore;
}

void
tri_stop_die(void)
{
    sigset_t interrupt;

    if (before_death != NULL)
        before_death();
    (void)signal(SIGINT, SIG_DFL);
    (void)sigemptyset(&interrupt);
    (void)sigaddset(&interrupt, SIGINT);
    (void)kill(getpid(), SIGINT);
    (void)pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL); /* blocked in a handler */
    _exit(TRI_EXIT_STOPPED);
}

static void
on_interrupt(int number)
{
    (void)number;
    if (pressed++ > 0)
        tri_stop_die();
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

void
tri_stop_unwatch(void)
{
    if (!watched)
        return;
    watched = false;
    (void)signal(SIGINT, SIG_DFL);
    if (pressed > 0) /* before that */
        tri_stop_die();
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
