/*
 * errors.c - how calls fail here: errors that name actor, method, node and cause, in full sentences, and say whether the
 * call ran.
 */
#include "broker/core/state.h"

#include <stdio.h>
#include <string.h>

const struct tri_section *
tri_error_section(struct tri_core *core, const struct tri_failure *failure)
{
    if (tri_error_pack(&core->packed, failure, NULL) != TRP_OK)
        return &core->memory_packed.section;
    return &core->packed.section;
}

/* Who, where, and what is to be said of a call that waits at this broker. */
static struct tri_about
about(struct tri_core *core, const struct tri_pending *call, const char *who)
{
    const bool maybe = call->again || call->retries > 0;
    return (struct tri_about){.who = who,
                              .actor = call->actor != NULL ? call->actor->texts->label : "",
                              .method = tri_method_text(call),
                              .node = core->node,
                              .fate = call->again ? "may have run before the broker died"
                                      : maybe     ? "may have run on a host that died"
                                                  : "was not run",
                              .ran = maybe ? TRP_MAY_HAVE_RUN : TRP_NOT_RUN,
                              .is_task = call->kind == TRI_CALL_TASK};
}

/* To whoever asked for the end of a call it is cancelled, however that came about; the sentence says how. */
static void
finish_failed(struct tri_core *core, struct tri_pending *call, struct tri_failure *failure)
{
    if (call->cancelled && failure->error.code != TRP_ECANCELLED) {
        failure->error.cause = (int32_t)failure->error.code;
        failure->error.code = TRP_ECANCELLED;
    }
    if (call->kind == TRI_CALL_SPAWN) { /* the actor's calls get it instead */
        struct tri_actor *actor = call->actor;
        tri_actor_die(core, actor, NULL, tri_error_section(core, failure), failure->error.message);
        return;
    }
    tri_call_finish(core, call, NULL, tri_error_section(core, failure), true, NULL, NULL);
}

void
tri_call_fail(struct tri_core *core, struct tri_pending *call, trp_err code, const char *format, ...)
{
    struct tri_failure failure = {0};
    char text[400], who[TRI_NAME_MAX + 64] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (call->actor != NULL)
        tri_actor_text(call->actor, who);
    const struct tri_about what = about(core, call, who);
    tri_about_refused(&failure.error, code, &what, text);
    finish_failed(core, call, &failure);
}

/* What it is sent is to be small: the record of a death with its output and backtrace is for those who take it. */
static bool
is_full(const struct tri_pending *call)
{
    return call->caller != NULL && call->caller->full;
}

void
tri_death_sign(const struct tri_core *core, const struct tri_actor *actor, const char *message, char *id,
               struct tri_death *death)
{
    death->actor = actor != NULL ? actor->texts->label : "";
    death->id = actor != NULL ? tri_id_format(tri_thing_id(&actor->thing), id) : "";
    death->class_name = actor != NULL ? actor->texts->class_name : "";
    death->node = core->node;
    death->message = message;
}

/* Its actor has ended, or is ending. */
void
tri_call_fail_actor(struct tri_core *core, struct tri_pending *call, const struct tri_actor *actor)
{
    struct tri_failure failure = {0}, chain[8];
    char text[TRI_NAME_MAX + 64], id[TRI_ID_TEXT_SIZE], why[512] = "it is of another epoch";
    uint32_t count = 0;
    if (actor->obituary != NULL)
        tri_text_copy(why, sizeof why, actor->obituary->error.message);
    else if ((actor->state == TRI_ACTOR_DEAD || actor->killed || actor->closing) && actor->kill_rule != NULL)
        snprintf(why, sizeof why, "it was ended by %s", actor->kill_rule);
    else if (actor->state == TRI_ACTOR_DEAD || actor->killed || actor->closing)
        tri_text_copy(why, sizeof why, "it has ended");
    const struct tri_about what = about(core, call, tri_actor_text(actor, text));
    tri_about_ended(&failure.error, &what, why);
    if (actor->unhoused != TRP_OK)
        failure.error.code = actor->unhoused;
    if (actor->obituary != NULL) {
        if (!is_full(call)) {
            failure.death = actor->obituary->death;
            tri_death_sign(core, actor, actor->obituary->error.message, id, &failure.death);
        }
        if (actor->obituary->cause != NULL &&
            tri_error_unpack(&actor->obituary->cause->sections[0], chain, &count, NULL) == TRP_OK && count > 0) {
            failure.cause = &chain[0];
            failure.error.cause = chain[0].error.code;
        }
    }
    finish_failed(core, call, &failure);
}

/* An argument failed: the call's error is that one, which names its first place, and it was not run. */
void
tri_call_fail_need(struct tri_core *core, struct tri_pending *call, const struct tri_object *object)
{
    struct tri_failure failure = {0}, chain[8];
    uint32_t count = 0, place = UINT32_MAX;
    for (uint32_t i = 0; i < call->need_count; i++)
        if (call->needs[i].object == object && call->needs[i].place < place)
            place = call->needs[i].place;
    const struct tri_about what = about(core, call, "");
    bool known = tri_error_unpack(&object->value->section, chain, &count, NULL) == TRP_OK && count > 0;
    tri_about_argument(&failure, &what, place, known ? &chain[0] : NULL);
    finish_failed(core, call, &failure);
}

/* A line before those of the stack, which are indented, says what it comes from. */
static void
say_signal(const struct tri_death *death, char *text, size_t size)
{
    const char *why = death->backtrace != NULL && death->backtrace[0] != ' ' ? death->backtrace : "";
    snprintf(text, size, "its process %d ended by signal %d (SIG%s)%s%.*s", death->pid, death->signal,
             sigabbrev_np(death->signal) != NULL ? sigabbrev_np(death->signal) : "?", why[0] != '\0' ? ": " : "",
             (int)strcspn(why, "\n"), why);
}

void
tri_death_text(const struct tri_death *death, const char *why, char *text, size_t size)
{
    if (death == NULL || !death->present)
        snprintf(text, size, "%s", why != NULL ? why : "its process is gone");
    else if (death->killed_by != NULL && death->killed_by[0] != '\0')
        snprintf(text, size, "its process %d was killed (%s)", death->pid, death->killed_by);
    else if (death->memory_limit)
        snprintf(text, size, "its process %d went over its memory limit", death->pid);
    else if (death->signal != 0)
        say_signal(death, text, size);
    else
        snprintf(text, size, "its process %d exited with code %d", death->pid, death->exit_code);
}

/* The host's page names the call that began last; others may have run beside it. */
static bool
is_last(const struct tri_pending *call, const struct tri_death *death)
{
    return death != NULL && death->present && death->method != NULL && call->sequence == death->sequence &&
           (call->index == 0 || call->index == death->started);
}

/* The process that had it died. */
void
tri_call_fail_death(struct tri_core *core, struct tri_pending *call, trp_ran ran, const struct tri_death *death,
                    const char *rule)
{
    static const char *const words[] = {
        [TRP_MAY_HAVE_RUN] = "may have run", [TRP_NOT_RUN] = "was not run", [TRP_RAN] = "ran"};
    struct tri_failure failure = {0};
    char who[TRI_NAME_MAX + 64] = "The task's host", how[300], fate[100], id[TRI_ID_TEXT_SIZE];
    struct tri_about what = about(core, call, who);
    if (call->actor != NULL)
        tri_actor_text(call->actor, who);
    snprintf(fate, sizeof fate, "%s%s", words[ran],
             call->state == TRI_CALL_LEFT ? ", and its caller had not taken its result" : "");
    if (call->kind == TRI_CALL_TASK && call->retries > 0)
        snprintf(fate, sizeof fate, "%s: it was started %u times", words[ran], call->retries + 1u);
    if (what.method[0] == '\0' && ran == TRP_MAY_HAVE_RUN && is_last(call, death))
        what.method = death->method;
    what.fate = fate;
    what.ran = ran;
    tri_death_text(death, rule, how, sizeof how);
    tri_about_died(&failure.error, &what, how);
    if (!is_full(call)) {
        if (death != NULL)
            failure.death = *death;
        tri_death_sign(core, call->actor, how, id, &failure.death);
    }
    finish_failed(core, call, &failure);
}

static const char *
put_text(char **at, const char *text)
{
    char *start = *at;
    size_t size = strlen(text != NULL ? text : "") + 1;
    memcpy(start, text != NULL ? text : "", size);
    tri_text_clean(start, size - 1); /* what it printed may be anything */
    *at += size;
    return start;
}

struct tri_obituary *
tri_obituary_new(const struct tri_death *death, const struct tri_section *cause)
{
    static const struct tri_route none = {.kind = TRI_RESULT, .flags = TRI_FAILED};
    struct tri_obituary *obituary = calloc(1, sizeof *obituary);
    if (obituary == NULL)
        return NULL;
    if (death != NULL) {
        const char *texts[] = {death->module,    death->actor,       death->method,
                               death->backtrace, death->last_output, death->killed_by};
        size_t size = 0;
        for (size_t i = 0; i < 6; i++)
            size += strlen(texts[i] != NULL ? texts[i] : "") + 1;
        obituary->texts = malloc(size);
        if (obituary->texts != NULL) {
            char *at = obituary->texts;
            obituary->death = *death;
            obituary->death.id = obituary->death.class_name = NULL; /* tri_death_sign says who */
            obituary->death.node = obituary->death.message = NULL;
            obituary->death.module = put_text(&at, texts[0]);
            obituary->death.actor = put_text(&at, texts[1]);
            obituary->death.method = put_text(&at, texts[2]);
            obituary->death.backtrace = put_text(&at, texts[3]);
            obituary->death.last_output = put_text(&at, texts[4]);
            obituary->death.killed_by = put_text(&at, texts[5]);
        }
    }
    if (cause != NULL)
        obituary->cause = tri_parcel_new(&none, cause, 1, cause->size);
    return obituary;
}

void
tri_obituary_free(struct tri_obituary **obituary)
{
    if (*obituary == NULL)
        return;
    tri_parcel_free(&(*obituary)->cause);
    free((*obituary)->texts);
    free(*obituary);
    *obituary = NULL;
}
