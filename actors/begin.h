/*
 * begin.h - values that are written in place (trp_put_begin), and packing with room for that. Private to the room. With the
 * process's lock.
 */
#ifndef TRI_BEGIN_H
#define TRI_BEGIN_H

#include "actors/process.h"

/* Into process->packed, with room in the arena where the value is large, which may be waited for. `blanks` (may be NULL): what is
 * written later; undone where this fails. */
trp_err tri_pack_with_room(struct tri_process *process, trp_value value, struct tri_blanks *blanks, trp_error *error);
/* One handle less was given out of a value that is being written: without any nobody can end that. */
void tri_begin_look(struct tri_process *process, struct tri_handle *handle);

#endif
