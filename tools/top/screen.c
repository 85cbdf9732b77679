/*
 * screen.c - the terminal that `troupe top` draws on: its other screen, keys without a line around them, its size; all of it as
 * it was when we leave, however we leave. The handlers run on any thread and call nothing that a handler must not; the rest runs
 * on the command's one.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tools/top/top.h"

#define ENTER "\033[?1049h\033[?25l\033[H\033[J" /* the other screen, no cursor, nothing on it */
#define LEAVE "\033[?25h\033[?1049l"

static struct termios keys_before, keys;
static int screen = -1; /* the descriptor; -1: it is not open */
static bool has_keys;   /* and `keys_before` is to come back */
static volatile sig_atomic_t changed;
static const int ending[] = {SIGTERM, SIGHUP, SIGQUIT};

static void
say(const char *text)
{
    while (*text != '\0') {
        const ssize_t sent = write(screen, text, strlen(text));
        if (sent <= 0)
            return; /* it has gone: there is nothing to put right */
        text += sent;
    }
}

static void
enter(void)
{
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    say(ENTER);
}

static void
leave(void)
{
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &keys_before);
    say(LEAVE);
}

static void
on_change(int number)
{
    (void)number;
    changed = 1;
}

static void
on_end(int number)
{
    leave();
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* when this returns */
}

/* Ctrl-Z: the shell finds its terminal as it was, and we ours when it has us go on. */
static void
on_stop(int number)
{
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    const int err = errno;
    sigset_t set;

    leave();
    (void)signal(number, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)raise(number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
    (void)sigaction(number, &action, NULL);
    enter();
    changed = 1;
    errno = err;
}

static void catch (int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    (void)sigaction(number, &action, NULL);
}

void
tri_screen_open(struct tri_cli *cli)
{
    screen = fileno(cli->out);
    has_keys =
        isatty(STDIN_FILENO) != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp() && tcgetattr(STDIN_FILENO, &keys_before) == 0;
    keys = keys_before;
    keys.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tri_stop_before(leave);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        catch (ending[i], on_end);
    catch (SIGTSTP, on_stop);
    catch (SIGWINCH, on_change);
    enter();
}

void
tri_screen_close(void)
{
    if (screen < 0)
        return;
    tri_stop_before(NULL);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        catch (ending[i], SIG_DFL);
    catch (SIGTSTP, SIG_DFL);
    catch (SIGWINCH, SIG_DFL);
    leave();
    screen = -1;
}

bool
tri_screen_size(size_t *columns, size_t *lines)
{
    struct winsize size = {0};

    if (screen < 0)
        return false;
    *columns = 80;
    *lines = 24;
    if (ioctl(screen, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        *columns = size.ws_col;
        *lines = size.ws_row;
    }
    return true;
}

enum tri_screen_event
tri_screen_wait(int64_t ms)
{
    struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
    char typed = '\0';

    if (poll(&key, has_keys && screen >= 0 ? 1 : 0, (int)ms) > 0) {
        if (read(STDIN_FILENO, &typed, 1) <= 0)
            has_keys = false; /* nobody types any more */
        else if (typed == 'q' || typed == 'Q')
            return TRI_SCREEN_QUIT;
    }
    if (!changed)
        return TRI_SCREEN_TIME;
    changed = 0;
    return TRI_SCREEN_CHANGED;
}
