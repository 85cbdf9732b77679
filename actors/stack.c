/*
 * stack.c - how much of a thread's stack is left: functions that wait run others on top of them, in worker hosts (tasks in place)
 * and in local mode. Any thread, of itself. It must not know what runs there.
 */
#include <pthread.h>
#include <stdio.h>

#include "actors/invoke.h"

enum { KEEP_PART = 4, DEPTH_WHERE_UNKNOWN = 64 };

/* Of this thread: asked for once, which for a main thread takes a look into /proc. */
static _Thread_local struct {
    uintptr_t low;
    size_t size; /* 0: it could not be found out */
    bool asked;
} stack;

static void
ask(void)
{
    pthread_attr_t attributes;
    void *low = NULL;

    stack.asked = true;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &stack.size) == 0)
        stack.low = (uintptr_t)low;
    (void)pthread_attr_destroy(&attributes);
}

bool
tri_stack_low(char *text)
{
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    const uint32_t depth = tri_current_execution != NULL ? tri_current_execution->depth + 1 : 0;
    size_t left;

    if (depth == 0)
        return false;
    if (!stack.asked)
        ask();
    left = here > stack.low ? here - stack.low : 0;
    if (stack.size == 0 ? depth < DEPTH_WHERE_UNKNOWN : left >= stack.size / KEEP_PART)
        return false;
    if (text == NULL)
        return true;
    (void)snprintf(text, TRI_STACK_TEXT,
                   "calls that wait for calls are nested too deeply. %u of them stand on this thread already, each in "
                   "the middle of the one before, and of its stack of %zu KiB less than a quarter is left, the limit",
                   depth, stack.size / 1024);
    return true;
}
