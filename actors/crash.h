/*
 * crash.h - when user code crashes a host: the signal and the stack's lines are written into the progress page, then the
 * process dies of that signal as it would have. The death record is made of the page, by the root.
 */
#ifndef TRI_CRASH_H
#define TRI_CRASH_H

#include <signal.h>

#include "transport/transport.h"

/* What a first backtrace costs; a fork hands it on. */
void tri_crash_warm(void);
/* Once per process. TRP_ENOMEM. */
trp_err tri_crash_install(struct tri_progress *progress, trp_error *error);
/* From here on an abort is what libzmq does where it gets no thread or descriptor: the host could not start, as `why` says.
 * NULL: it is whoever calls it again. The text stays the caller's. */
void tri_crash_starting(const char *why);
/* A module is about to be loaded from there: a crash looks whether somebody has written to it since. */
void tri_crash_loads(const char *path);
/* In the handler: says in one line what the files of the process tell of the crash, or nothing. */
typedef void tri_crash_put_fn(void *user, const char *text);
void tri_crash_why(const siginfo_t *info, tri_crash_put_fn *put, void *user);
/* In each further thread that runs user code: a stack for the handler, so that an overflow of the thread's own is
 * reported, too. */
trp_err tri_crash_thread_begin(trp_error *error);
void tri_crash_thread_end(void);

#endif
