/*
 * why.c - `troupe why`: what a result or an actor waits for, where and since when, one line for each link of the chain; or how
 * it failed, with the death record. One thread.
 */
#include "tools/verbs/verbs.h"

#include <string.h>
#include <unistd.h>

#include "tools/cli/offers.h"

enum { ID_SIZE = 32 };

/* What is asked about. */
struct subject {
    char id[ID_SIZE + 1];
    char name[300]; /* as it was typed; "" where that was the id */
    trp_ref *ref;   /* of what the node keeps; else NULL */
    struct tri_offers offers;
};

static bool
is_id(const char *text)
{
    return strlen(text) == ID_SIZE && strspn(text, "0123456789abcdefABCDEF") == ID_SIZE;
}

/* ---------------------------------------------------------------------------------------------------------- the chain */

/* "3.2 s", "5 min 10 s", "2 h 5 min". */
static void
time_text(double s, char *text, size_t size)
{
    const long long whole = (long long)s;

    if (whole < 60)
        (void)snprintf(text, size, "%.1f s", s);
    else if (whole < 3600)
        (void)snprintf(text, size, "%lld min %lld s", whole / 60, whole % 60);
    else
        (void)snprintf(text, size, "%lld h %lld min", whole / 3600, whole % 3600 / 60);
}

/* What a row says, without the id that it begins with where that is the one asked about, or the one of the row before. */
static const char *
link_text(const char *text, const struct subject *subject, bool first)
{
    if (first && strncmp(text, subject->id, ID_SIZE) == 0 && text[ID_SIZE] == ':')
        return text + ID_SIZE + 2;
    if (first && strncmp(text, subject->id, ID_SIZE) == 0 && text[ID_SIZE] == ' ')
        return text + ID_SIZE + 1;
    return text;
}

/* The name under which the node keeps what this id begins; NULL: none. */
static const char *
kept_name(const char *text, trp_value kept)
{
    for (size_t i = 0; i < kept.size; i++) {
        const char *name = trp_as_str(trp_field(trp_at(kept, i), "name"));
        if (strncmp(text, trp_as_str(trp_field(trp_at(kept, i), "id")), ID_SIZE) == 0 && name[0] != '\0')
            return name;
    }
    return NULL;
}

/* The text, with names for ids of what is kept. */
static void
print_named(struct tri_cli *cli, const char *text, trp_value kept)
{
    while (*text != '\0') {
        const size_t digits = strspn(text, "0123456789abcdef");
        const char *name = digits == ID_SIZE ? kept_name(text, kept) : NULL;
        const size_t size = digits > 0 ? digits : strcspn(text, "0123456789abcdef");
        tri_print(cli, "%.*s", name != NULL ? (int)strlen(name) : (int)size, name != NULL ? name : text);
        text += size;
    }
}

/* Who holds a value that is there, and reads it. */
static void
print_holders(struct tri_cli *cli, trp_value row, trp_value kept)
{
    const trp_value list = trp_field(row, "held_by");
    const long long more = (long long)trp_as_i64(trp_field(row, "held_more"));
    const char *state = trp_as_str(trp_field(row, "state"));
    char text[600];

    if (strcmp(state, "ready") != 0 && strcmp(state, "failed") != 0)
        return;
    time_text(trp_as_f64(trp_field(row, "age_s")), text, sizeof text);
    tri_print(cli, "    known for %s, on node %s\n", text, trp_as_str(trp_field(row, "node")));
    for (size_t i = 0; i < list.size; i++) {
        const trp_value holder = trp_at(list, i);
        const bool reads = strcmp(trp_as_str(trp_field(holder, "kind")), "pin") == 0;
        if (trp_as_i64(trp_field(holder, "pid")) == getpid())
            continue; /* only to ask */
        tri_holder_text(holder, text, sizeof text);
        tri_print(cli, "  %s by ", reads ? "pinned" : "held");
        print_named(cli, text, kept);
        tri_print(cli, "\n");
    }
    if (more > 0)
        tri_print(cli, "  and by %lld more\n", more);
}

static void
print_chain(struct tri_cli *cli, const struct subject *subject, trp_value rows)
{
    const struct tri_hush before = tri_hush(cli);
    trp_value kept = trp_null();
    trp_ref *ref = NULL;
    char since[64];

    if ((rows.size > 1 || trp_field(trp_at(rows, 0), "held_by").size > 0) &&
        tri_kept_ask(cli, &ref, &kept) != TRI_EXIT_OK)
        kept = trp_null();
    tri_unhush(cli, before);
    tri_print(cli, "%s\n", subject->name[0] != '\0' ? subject->name : subject->id);
    for (size_t i = 0; i < rows.size; i++) {
        const trp_value row = trp_at(rows, i);
        const double since_s = trp_as_f64(trp_field(row, "since_s"));
        tri_print(cli, "  %s", i > 0 ? "then " : "");
        print_named(cli, link_text(trp_as_str(trp_field(row, "waits")), subject, i == 0), kept);
        time_text(since_s, since, sizeof since);
        if (since_s > 0)
            tri_print(cli, "\n    for %s, on node %s", since, trp_as_str(trp_field(row, "node")));
        tri_print(cli, "\n");
        if (i == 0)
            print_holders(cli, row, kept);
    }
    trp_ref_release(&ref);
}

/* ------------------------------------------------------------------------------------------------------------- finding */

static int
refuse_subject(struct tri_cli *cli, const struct subject *subject, const trp_error *why)
{
    const struct tri_hush before = tri_hush(cli);
    char remedy[300] = "`troupe ls actors` and `troupe ls kept` list them";
    trp_value kept = trp_null();
    const char *meant = NULL;
    trp_error error = *why;
    trp_ref *ref = NULL;
    int exit_code;

    if (why->code == TRP_ENOENT && tri_kept_ask(cli, &ref, &kept) == TRI_EXIT_OK)
        meant = tri_suggest_name(cli, subject->name, subject->offers.actors, kept);
    tri_unhush(cli, before);
    if (why->code == TRP_ENOENT)
        (void)snprintf(error.message, sizeof error.message,
                       "no actor is called '%s', and nothing is kept under that name", subject->name);
    if (meant != NULL)
        (void)snprintf(remedy, sizeof remedy, "did you mean '%.255s'?", meant);
    exit_code = tri_fail(cli, &error, why->code == TRP_ENOENT ? remedy : NULL);
    trp_ref_release(&ref);
    return exit_code;
}

static int
find_subject(struct tri_cli *cli, const char *text, struct subject *subject)
{
    trp_error error;
    trp_value row;
    int exit_code;

    if (is_id(text) || (strncmp(text, "actor:", 6) == 0 && is_id(text + 6))) {
        (void)snprintf(subject->id, sizeof subject->id, "%s", is_id(text) ? text : text + 6);
        if (trp_kept(cli->runtime, subject->id, &subject->ref, NULL) != TRP_OK)
            subject->ref = NULL; /* told as the broker knows it */
        return TRI_EXIT_OK;
    }
    if (strlen(text) >= sizeof subject->name)
        return tri_refuse(cli, "a name has at most 255 bytes, got %zu", strlen(text));
    exit_code = tri_offers_ask(cli, &subject->offers);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    row = tri_offers_actor(cli, &subject->offers, strncmp(text, "actor:", 6) == 0 ? text + 6 : text);
    if (row.kind == TRP_MAP) {
        (void)snprintf(subject->id, sizeof subject->id, "%s", trp_as_str(trp_field(row, "id")));
        (void)snprintf(subject->name, sizeof subject->name, "actor %s",
                       tri_typed_name(cli, trp_as_str(trp_field(row, "name"))));
        return TRI_EXIT_OK;
    }
    tri_kept_name(text, subject->name, sizeof subject->name);
    if (trp_kept(cli->runtime, subject->name, &subject->ref, &error) != TRP_OK)
        return refuse_subject(cli, subject, &error);
    (void)snprintf(subject->id, sizeof subject->id, "%s", trp_ref_id(subject->ref));
    return TRI_EXIT_OK;
}

/* ------------------------------------------------------------------------------------------------------------- telling */

/* What the node keeps has failed: all that is known about it. */
static int
tell_failure(struct tri_cli *cli, const struct subject *subject)
{
    const trp_value failure = trp_failure(subject->ref);

    if (tri_wants_value(cli))
        return tri_give(cli, subject->ref, failure);
    tri_print(cli, "%s has failed\n  %s\n", subject->name[0] != '\0' ? subject->name : subject->id,
              trp_as_str(trp_field(failure, "message")));
    if (!cli->quiet)
        tri_show_failure(cli->out, failure);
    return TRI_EXIT_OK;
}

/* Whether the keeper has it as failed; its error is a message away. */
static bool
has_failed(struct tri_cli *cli, const struct subject *subject)
{
    trp_ref *ref = NULL;
    trp_value rows;
    trp_error error;
    bool failed = false;

    if (subject->ref == NULL || tri_kept_ask(cli, &ref, &rows) != TRI_EXIT_OK)
        return false;
    for (size_t i = 0; i < rows.size; i++)
        failed = failed || (strcmp(trp_as_str(trp_field(trp_at(rows, i), "id")), subject->id) == 0 &&
                            strcmp(trp_as_str(trp_field(trp_at(rows, i), "state")), "failed") == 0);
    trp_ref_release(&ref);
    return failed && tri_wait_for(cli, subject->ref, subject->id, NULL, &error) != TRP_OK &&
           trp_failure(subject->ref).kind == TRP_MAP;
}

static int
tell_chain(struct tri_cli *cli, const struct subject *subject)
{
    char question[64];
    trp_ref *ref = NULL;
    trp_value rows;
    int exit_code;

    (void)snprintf(question, sizeof question, "why %s", subject->id);
    exit_code = tri_ask(cli, question, &ref, &rows);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (tri_wants_value(cli))
        exit_code = tri_give(cli, ref, rows);
    else
        print_chain(cli, subject, rows);
    trp_ref_release(&ref);
    return exit_code;
}

static int
run_why(struct tri_cli *cli, const struct tri_args *args)
{
    struct subject subject = {.ref = NULL};
    int exit_code = tri_join(cli);

    if (exit_code == TRI_EXIT_OK)
        exit_code = find_subject(cli, args->operands[0], &subject);
    if (exit_code == TRI_EXIT_OK && has_failed(cli, &subject))
        exit_code = tell_failure(cli, &subject);
    else if (exit_code == TRI_EXIT_OK)
        exit_code = tell_chain(cli, &subject);
    trp_ref_release(&subject.ref);
    tri_offers_fini(&subject.offers);
    return exit_code;
}

static const char *const why_words[] = {TRI_WORD_ACTOR "|" TRI_WORD_REF, NULL};

const struct tri_verb tri_verb_why = {
    .name = "why",
    .group = "Looking around",
    .about = "tells what a result or an actor waits for, or how it failed",
    .operands = "WHAT",
    .words = why_words,
    .flags = TRI_NEEDS_NODE,
    .more =
        "WHAT is an actor's name, what the node keeps, or the id of either (`troupe ls calls` has those of results).\n",
    .run = run_why,
};
