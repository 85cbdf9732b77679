/*
 * host_actor.c - the one actor of a host: made when CREATE comes, with its state, its name and its constructor; ended with its
 * fini. On the main thread, without the lock except where it speaks to the proc. It must not know about calls.
 */
#include "actors/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/crash.h"

/* ------------------------------------------------------------------------------------------------------- construction */

static trp_err
set_environment(const struct tri_spawn *spawn, trp_error *error)
{
    for (uint32_t i = 0; i < spawn->env_count; i++)
        if (setenv(spawn->env[i].name, spawn->env[i].text, 1) != 0)
            return TRI_FAIL(error, TRP_EINVAL, "'%.64s' cannot be set in the environment", spawn->env[i].name);
    return TRP_OK;
}

/* Who it is: name, handle on itself, namespace of what it looks up. */
static trp_err
set_identity(struct tri_host *host, const struct tri_spawn *spawn, trp_error *error)
{
    struct tri_host_actor *actor = &host->actor;
    struct tri_ref *ref = NULL;
    tri_id_format(actor->id, actor->text);
    tri_text_copy(actor->name, sizeof actor->name, spawn->name[0] != '\0' ? spawn->name : spawn->class_name);
    tri_text_copy(host->runtime.default_namespace, sizeof host->runtime.default_namespace, spawn->namespace_);
    tri_text_copy(host->progress->actor, sizeof host->progress->actor, actor->name);
    host->place.name = spawn->name[0] != '\0' ? actor->name : "";
    tri_process_lock(host->process);
    trp_err err = tri_proc_resident(tri_process_proc(host->process), actor->id, &ref, error);
    tri_process_unlock(host->process);
    TRP_TRY(err);
    actor->handle = (trp_actor *)(void *)ref;
    actor->handle->handle.runtime = &host->runtime;
    host->runtime.self = actor->handle;
    return TRP_OK;
}

static trp_err
make_state(struct tri_host *host, const struct tri_spawn *spawn, trp_error *error)
{
    struct tri_host_actor *actor = &host->actor;
    const trp_class *row = actor->row;
    uint32_t declared = row->max_concurrency > 0 ? row->max_concurrency : 1;
    if (spawn->max_concurrency > declared)
        return TRI_FAIL(error, TRP_EINVAL, "max_concurrency %u is asked for, class %s declares %u",
                        spawn->max_concurrency, spawn->class_name, declared);
    host->mailbox.limit = spawn->max_concurrency > 0 ? spawn->max_concurrency : declared;
    actor->self = calloc(1, row->self_size > 0 ? row->self_size : 1);
    if (actor->self == NULL)
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for %zu bytes of state", row->self_size);
    actor->has_state = true;
    return TRP_OK;
}

/* Runs the constructor; its failure, packed, is in frame->execution. */
static trp_err
run_init(struct tri_host *host, struct tri_frame *frame, struct tri_spawn *spawn, trp_error *error)
{
    const struct tri_letter *letter = host->actor.create;
    struct tri_execution *execution = &frame->execution;
    execution->callable = tri_modules_find_init(host->modules, host->actor.row);
    execution->actor = host->actor.name;
    execution->ctx.actor = host->actor.handle;
    TRP_TRY(tri_arguments_open(&frame->arguments, host->process, &host->runtime, &spawn->args, letter->sections,
                               letter->section_count, &execution->memory, error));
    if (execution->callable == NULL) {
        if (frame->arguments.positional.size > 0 || frame->arguments.keywords.size > 0)
            return TRI_FAIL(error, TRP_EINVAL, "%s has no constructor, and takes no arguments; found %zu",
                            spawn->class_name, frame->arguments.positional.size + frame->arguments.keywords.size);
        return TRP_OK;
    }
    tri_host_show(host, execution->callable);
    tri_invoke(execution, host->actor.self, frame->arguments.positional, frame->arguments.keywords);
    trp_ref_release(&execution->delegate); /* a constructor has no result */
    return TRP_OK;
}

static trp_err
construct(struct tri_host *host, struct tri_frame *frame, trp_error *error)
{
    static struct tri_spawn_scratch scratch;
    const trp_module *module;
    struct tri_spawn spawn;
    if (host->actor.create->section_count == 0)
        return TRI_FAIL(error, TRP_EPROTO, "CREATE without a body");
    TRP_TRY(tri_spawn_unpack(&host->actor.create->sections[0], &spawn, &scratch, error));
    trp_err err = set_identity(host, &spawn, error);
    if (err == TRP_OK)
        err = set_environment(&spawn, error);
    if (err == TRP_OK)
        err = tri_modules_class(host->modules, spawn.class_name, &module, &host->actor.row, error);
    if (err == TRP_OK)
        err = make_state(host, &spawn, error);
    if (err != TRP_OK) {
        tri_view_close(&spawn.args);
        return err;
    }
    return run_init(host, frame, &spawn, error);
}

/* For the node's log. */
static void
show_failure(struct tri_host *host, const struct tri_section *section)
{
    static struct tri_failure chain[8]; /* a host has one actor */
    uint32_t count = 0;
    if (tri_error_unpack(section, chain, &count, NULL) == TRP_OK && count > 0)
        tri_text_copy(host->progress->failure, sizeof host->progress->failure, chain[0].error.message);
}

void
tri_host_construct(struct tri_host *host)
{
    struct tri_host_actor *actor = &host->actor;
    struct tri_proc *proc = tri_process_proc(host->process);
    trp_error error;
    tri_process_lock(host->process);
    struct tri_frame *frame = tri_frame_get(host);
    trp_err err = tri_process_runs(host->process, &error);
    tri_process_unlock(host->process);
    if (frame == NULL) {
        tri_log(TRI_ERROR, "no memory for an actor");
        abort();
    }
    if (err == TRP_OK)
        err = construct(host, frame, &error);
    if (err != TRP_OK)
        tri_execution_refuse(&frame->execution, &error);
    fflush(stdout);
    tri_process_lock(host->process);
    (void)tri_host_describe(host, false);
    actor->failed = frame->execution.outcome == TRI_RAN_FAILURE;
    if (actor->failed)
        show_failure(host, frame->execution.section);
    tri_proc_ready(proc, actor->id, host->mailbox.limit, actor->failed ? frame->execution.section : NULL);
    if (frame->execution.reply != NULL)
        tri_reply_abandon(&frame->execution.reply);
    tri_frame_put(frame);
    tri_letter_free(&actor->create);
    actor->constructed = true;
    host->mailbox.open = !actor->failed;
    tri_process_flush(host->process);
    tri_process_unlock(host->process);
}

/* --------------------------------------------------------------------------------------------------------------- end */

void
tri_host_end_actor(struct tri_host *host)
{
    struct tri_host_actor *actor = &host->actor;
    if (!actor->wanted)
        return;
    if (actor->has_state) {
        tri_host_show(host, NULL);
        if (actor->row->fini != NULL)
            actor->row->fini(actor->self);
        fflush(stdout);
    }
    tri_process_lock(host->process);
    tri_host_fail_promises(host);
    if (!actor->failed)
        tri_proc_ended(tri_process_proc(host->process), actor->id);
    tri_process_unlock(host->process);
    free(actor->self);
    actor->self = NULL;
    actor->has_state = false;
}
