/*
 * arguments.h - from a received call to the arguments of a function: the body's view, the values that came along for
 * references at top level put in their place, handles for what is inside. Shared by the worker host and local mode.
 */
#ifndef TRI_ARGUMENTS_H
#define TRI_ARGUMENTS_H

#include "actors/invoke.h"

struct tri_arguments {
    trp_value positional, keywords; /* for tri_invoke; good until closed */
    struct tri_view body;
    struct tri_view *appended; /* in the arena; of the sections 1, 2, ... */
    uint32_t appended_count;
    bool open;
};

/* `body` is section 0's view, which is taken over, also on failure; the sections are to outlive this. Without the process's
 * lock, which is taken where there are handles to be made. TRP_EPROTO, TRP_EOBJLOST, TRP_ENOMEM: nothing is open. */
trp_err tri_arguments_open(struct tri_arguments *arguments, struct tri_process *process, trp_runtime *runtime,
                           struct tri_view *body, const struct tri_section *sections, uint32_t section_count,
                           struct tri_arena *arena, trp_error *error);
void tri_arguments_close(struct tri_arguments *arguments, struct tri_process *process); /* with the lock */

#endif
