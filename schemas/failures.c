/*
 * failures.c - the sentences and records of failures that the broker, local mode and the runtime all speak of, so that they are
 * the same everywhere. Pure; any thread. It does not know who found a failure, nor whom it is told.
 */
#include <stdio.h>

#include "schemas/schemas.h"

static void
place_error(const struct tri_about *about, trp_error *error)
{
    tri_text_copy(error->node, sizeof error->node, about->node);
    tri_text_copy(error->method, sizeof error->method, about->method);
    tri_text_copy(error->actor, sizeof error->actor, about->actor);
    error->ran = about->ran;
}

void
tri_say_unmade(char *text, size_t size, const trp_error *why)
{
    static const trp_err before[] = {/* of its module, class, options or arguments; its own failures are TRP_ETASK */
                                     TRP_ENOENT, TRP_EMODULE, TRP_ENOMETHOD, TRP_EACCES,
                                     TRP_EINVAL, TRP_ETYPE,   TRP_ELIMIT};
    bool ran = true;
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        ran = ran && why->code != before[i];
    (void)snprintf(text, size, "%s: %.500s", ran ? "its constructor failed" : "it could not be made", why->message);
}

void
tri_about_refused(trp_error *error, trp_err code, const struct tri_about *about, const char *why)
{
    char what[TRI_NAME_MAX + 32];
    if (about->method[0] != '\0')
        snprintf(what, sizeof what, "%s '%.200s'", about->is_task ? "task" : "call of", about->method);
    else
        snprintf(what, sizeof what, "%s", about->is_task ? "task" : "call");
    tri_fail(error, code, "The %s%s%s %s on node '%s': %s.", what, about->who[0] != '\0' ? " to " : "", about->who,
             about->fate, about->node, why);
    place_error(about, error);
}

void
tri_about_ended(trp_error *error, const struct tri_about *about, const char *why)
{
    tri_fail(error, TRP_EACTORDIED, "%s on node '%s' does not answer: %s. The call %s.", about->who, about->node, why,
             about->fate);
    place_error(about, error);
}

void
tri_about_died(trp_error *error, const struct tri_about *about, const char *how)
{
    tri_fail(error, TRP_EACTORDIED, "%s on node '%s' died: %s. The call%s%.200s %s.", about->who, about->node, how,
             about->method[0] != '\0' ? " of " : "", about->method, about->fate);
    place_error(about, error);
}

void
tri_about_argument(struct tri_failure *failure, const struct tri_about *about, uint32_t place,
                   const struct tri_failure *cause)
{
    tri_fail(&failure->error, cause != NULL ? cause->error.code : TRP_EPROTO,
             "The call%s%.200s %s: its argument %u failed: %.480s", about->method[0] != '\0' ? " of " : "",
             about->method, about->fate, place,
             cause != NULL ? cause->error.message : "with an error that cannot be read");
    place_error(about, &failure->error);
    if (cause == NULL)
        return;
    failure->cause = cause;
    failure->error.cause = cause->error.code == TRP_ETASK ? cause->error.cause : (int32_t)cause->error.code;
}

trp_err
tri_fail_nobody(trp_error *error, const char *name, const char *space, const char *node, const char *died)
{
    if (died != NULL)
        return tri_fail(error, TRP_ENOENT,
                        "Failed to look up actor with name '%.200s': in the namespace '%.100s' of node '%s' it died: "
                        "%.400s",
                        name, space, node, died);
    return tri_fail(
        error, TRP_ENOENT,
        "Failed to look up actor with name '%.200s': in the namespace '%.100s' of node '%s' nobody made one, "
        "or it has ended",
        name, space, node);
}

trp_err
tri_fail_cycle(trp_error *error)
{
    (void)tri_fail(error, TRP_ECYCLE, "the result of a call names itself through the references in it");
    error->ran = TRP_RAN;
    return TRP_ECYCLE;
}

trp_err
tri_fail_taken(trp_error *error, const char *name, const char *space)
{
    return tri_fail(error, TRP_EEXIST,
                    "The name %s (namespace=%s) is already taken. Please use a different name or get the existing "
                    "actor using trp_lookup(\"%s/%s\")",
                    name, space, space, name);
}

static trp_value
text_of(const char *text)
{
    return trp_str(text != NULL ? text : "");
}

trp_value
tri_death_map(const struct tri_death *death, trp_value entries[2 * TRI_DEATH_FIELDS])
{
    const trp_value fields[2 * TRI_DEATH_FIELDS] = {
        trp_str("actor"),        text_of(death->actor),         trp_str("id"),          text_of(death->id),
        trp_str("class"),        text_of(death->class_name),    trp_str("node"),        text_of(death->node),
        trp_str("message"),      text_of(death->message),       trp_str("pid"),         trp_i64(death->pid),
        trp_str("exit_code"),    trp_i64(death->exit_code),     trp_str("signal"),      trp_i64(death->signal),
        trp_str("memory_limit"), trp_bool(death->memory_limit), trp_str("module"),      text_of(death->module),
        trp_str("method"),       text_of(death->method),        trp_str("sequence"),    trp_u64(death->sequence),
        trp_str("backtrace"),    text_of(death->backtrace),     trp_str("last_output"), text_of(death->last_output),
        trp_str("killed_by"),    text_of(death->killed_by),
    };
    memcpy(entries, fields, sizeof fields);
    return trp_map(entries, TRI_DEATH_FIELDS);
}
