/*
 * crash.c - the handler of SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT in a worker host (crash.h). It runs on a stack of its
 * own in a process that is lost: it allocates nothing, formats by hand, and writes only to the progress page. backtrace()
 * is called once at the start, since its first call loads a library. One of the two global variables of the project.
 */
#include "actors/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, STACK_SIZE = 64 * 1024, HANDLER_SECONDS = 5 };

static struct tri_progress *page;
static const char *volatile starting; /* not NULL: why an abort ends the start */
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
static _Thread_local void *stack;

struct writer {
    char *at, *end; /* the byte at end is for the NUL */
};

static void
put(void *user, const char *text)
{
    struct writer *writer = user;
    while (*text != '\0' && writer->at < writer->end)
        *writer->at++ = *text++;
}

static void
put_hex(struct writer *writer, uintptr_t number)
{
    char digits[2 * sizeof number + 3];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = "0123456789abcdef"[number & 15];
        number >>= 4;
    } while (number != 0);
    *--at = 'x';
    *--at = '0';
    put(writer, at);
}

/* "  /path/counter.so(counter_crash+0x12) [0x1139]": the last number is what addr2line -e FILE takes. */
static void
put_frame(struct writer *writer, void *frame)
{
    Dl_info info;
    put(writer, "  ");
    if (dladdr(frame, &info) == 0 || info.dli_fname == NULL) {
        put_hex(writer, (uintptr_t)frame);
        put(writer, "\n");
        return;
    }
    put(writer, info.dli_fname);
    put(writer, "(");
    if (info.dli_sname != NULL) {
        put(writer, info.dli_sname);
        put(writer, "+");
        put_hex(writer, (uintptr_t)frame - (uintptr_t)info.dli_saddr);
    }
    put(writer, ") [");
    put_hex(writer, (uintptr_t)frame - (uintptr_t)info.dli_fbase);
    put(writer, "]\n");
}

static void
on_crash(int signal_number, siginfo_t *info, void *context)
{
    static volatile sig_atomic_t inside;
    void *frames[FRAMES_MAX];
    (void)context;
    int saved = errno;
    signal(signal_number, SIG_DFL);
    if (inside) { /* another thread, or the handler itself */
        raise(signal_number);
        return;
    }
    inside = 1;
    atomic_store(&page->crash_signal, signal_number);
    if (signal_number == SIGABRT && starting != NULL) {
        struct writer why = {page->failure, page->failure + sizeof page->failure - 1};
        put(&why, starting);
        atomic_store(&page->unstarted, TRP_ELIMIT);
    }
    alarm(HANDLER_SECONDS); /* should what follows hang on a lock of the loader */
    struct writer writer = {page->backtrace, page->backtrace + sizeof page->backtrace - 1};
    tri_crash_why(info, put, &writer); /* first: the stack may lead through what cannot be read */
    *writer.at = '\0';
    int count = backtrace(frames, FRAMES_MAX);
    for (int i = 2; i < count; i++) { /* without this function and the kernel's frame */
        put_frame(&writer, frames[i]);
        *writer.at = '\0';
    }
    errno = saved;
    raise(signal_number); /* taken when this returns */
}

trp_err
tri_crash_thread_begin(trp_error *error)
{
    stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
        stack = NULL;
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for the crash handler's stack");
    }
    stack_t alternative = {.ss_sp = stack, .ss_size = STACK_SIZE};
    if (sigaltstack(&alternative, NULL) != 0)
        return tri_fail_errno(error, TRP_ENOMEM, errno, "no stack for the crash handler");
    return TRP_OK;
}

void
tri_crash_thread_end(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    if (stack == NULL)
        return;
    sigaltstack(&none, NULL);
    munmap(stack, STACK_SIZE);
    stack = NULL;
}

void
tri_crash_starting(const char *why)
{
    starting = why;
}

void
tri_crash_warm(void)
{
    static bool warm;
    void *primer[2];
    if (!warm)
        (void)backtrace(primer, 2);
    warm = true;
}

trp_err
tri_crash_install(struct tri_progress *progress, trp_error *error)
{
    TRI_ASSERT(progress != NULL);
    page = progress;
    tri_crash_warm();
    TRP_TRY(tri_crash_thread_begin(error));
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return tri_fail_errno(error, TRP_EINVAL, errno, "sigaction(%d)", signals[i]);
    return TRP_OK;
}
