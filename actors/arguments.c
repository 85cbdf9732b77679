/*
 * arguments.c - see arguments.h. On the thread that runs the call. The sections came from another process: whatever does not
 * add up is refused with TRP_EPROTO.
 */
#include "actors/arguments.h"

#include <string.h>

/* --------------------------------------------------------------------------------------------------- opening the views */

/* Handles for what a view names; nothing to do, and no lock, for most. */
static trp_err
adopt(struct tri_process *process, trp_runtime *runtime, const struct tri_section *section, struct tri_view *view,
      trp_error *error)
{
    if (view->ref_count == 0)
        return TRP_OK;
    tri_process_lock(process);
    trp_err err = tri_process_adopt(process, runtime, section, view, error);
    tri_process_unlock(process);
    return err;
}

static trp_err
open_appended(struct tri_arguments *arguments, struct tri_process *process, trp_runtime *runtime,
              const struct tri_section *sections, uint32_t section_count, struct tri_arena *arena, trp_error *error)
{
    arguments->appended = tri_arena_alloc(arena, (section_count - 1) * sizeof *arguments->appended);
    if (arguments->appended == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %u arguments", section_count - 1);
    for (uint32_t i = 1; i < section_count; i++) {
        struct tri_view *view = &arguments->appended[arguments->appended_count];
        if (sections[i].data == NULL) /* in the arena: pinned when it came, if that was possible */
            return TRI_FAIL(error, TRP_EOBJLOST, "the value of an argument was not in the arena when the call came");
        TRP_TRY(tri_view_open(view, &sections[i], error));
        trp_err err = adopt(process, runtime, &sections[i], view, error);
        if (err != TRP_OK) {
            tri_view_close(view);
            return err;
        }
        arguments->appended_count++;
    }
    return TRP_OK;
}

/* --------------------------------------------------------------------------------------------------- values in their places */

/* Root TUPLE: positional ones; LIST of a TUPLE and a MAP: keywords, too. */
static trp_err
split_root(struct tri_arguments *arguments, trp_error *error)
{
    trp_value root = tri_view_value(&arguments->body, 0);
    arguments->keywords = trp_null();
    arguments->positional = root;
    if (root.kind == TRP_TUPLE)
        return TRP_OK;
    if (root.kind == TRP_NULL) {
        arguments->positional = trp_tuple(NULL, 0);
        return TRP_OK;
    }
    if (root.kind == TRP_LIST && root.size == 2) {
        arguments->positional = trp_at(root, 0);
        arguments->keywords = trp_at(root, 1);
        if (arguments->positional.kind == TRP_TUPLE && arguments->keywords.kind == TRP_MAP)
            return TRP_OK;
    }
    return TRI_FAIL(error, TRP_EPROTO, "the arguments are neither a tuple nor a tuple and a map");
}

/* Copies of both, with the appended values instead of the references that they belong to. */
static trp_err
substitute(struct tri_arguments *arguments, const struct tri_section *sections, struct tri_arena *arena,
           trp_error *error)
{
    size_t positional = arguments->positional.size, keywords = arguments->keywords.size;
    if (arguments->keywords.kind != TRP_MAP)
        keywords = 0;
    trp_value *items = tri_arena_alloc(arena, (positional + 2 * keywords + 1) * sizeof *items);
    if (items == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu arguments", positional + keywords);
    trp_value *entries = items + positional;
    for (size_t i = 0; i < positional; i++)
        items[i] = trp_at(arguments->positional, i);
    for (size_t i = 0; i < keywords; i++) {
        entries[2 * i] = trp_key_at(arguments->keywords, i);
        entries[2 * i + 1] = trp_at(arguments->keywords, i);
    }
    for (uint32_t i = 0; i < arguments->appended_count; i++) {
        size_t place = sections[i + 1].place;
        if (place == 0 || place > positional + keywords)
            return TRI_FAIL(error, TRP_EPROTO, "a value came along for argument %zu of %zu", place,
                            positional + keywords);
        trp_value value = tri_view_value(&arguments->appended[i], 0);
        if (place <= positional)
            items[place - 1] = value;
        else
            entries[2 * (place - 1 - positional) + 1] = value;
    }
    arguments->positional = trp_tuple(items, positional);
    if (keywords > 0)
        arguments->keywords = trp_map(entries, keywords);
    return TRP_OK;
}

static trp_err
open_all(struct tri_arguments *arguments, struct tri_process *process, trp_runtime *runtime,
         const struct tri_section *sections, uint32_t section_count, struct tri_arena *arena, trp_error *error)
{
    TRP_TRY(split_root(arguments, error));
    if (section_count <= 1)
        return TRP_OK;
    TRP_TRY(open_appended(arguments, process, runtime, sections, section_count, arena, error));
    return substitute(arguments, sections, arena, error);
}

trp_err
tri_arguments_open(struct tri_arguments *arguments, struct tri_process *process, trp_runtime *runtime,
                   struct tri_view *body, const struct tri_section *sections, uint32_t section_count,
                   struct tri_arena *arena, trp_error *error)
{
    arguments->body = *body;
    arguments->appended = NULL;
    arguments->appended_count = 0;
    memset(body, 0, sizeof *body);
    trp_err err = adopt(process, runtime, &sections[0], &arguments->body, error);
    if (err != TRP_OK) {
        tri_view_close(&arguments->body);
        return err;
    }
    arguments->open = true;
    err = open_all(arguments, process, runtime, sections, section_count, arena, error);
    if (err != TRP_OK) {
        tri_process_lock(process);
        tri_arguments_close(arguments, process);
        tri_process_unlock(process);
    }
    return err;
}

void
tri_arguments_close(struct tri_arguments *arguments, struct tri_process *process)
{
    if (!arguments->open)
        return;
    arguments->open = false;
    for (uint32_t i = 0; i < arguments->appended_count; i++) {
        if (arguments->appended[i].ref_count > 0)
            tri_process_disown(process, &arguments->appended[i]);
        tri_view_close(&arguments->appended[i]);
    }
    if (arguments->body.ref_count > 0)
        tri_process_disown(process, &arguments->body);
    if (arguments->body.held != NULL)
        tri_buf_release(&arguments->body.held);
    arguments->appended_count = 0;
}
