/*
 * describe.c - `troupe describe`: what an actor, a class, a task or a module is and takes. One thread. It reads the broker's
 * lists "actors" and "modules".
 */
#include "tools/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"
#include "tools/cli/signature.h"
#include "tools/module/files.h"

enum { SIGNATURE_SIZE = 1024 };

/* -------------------------------------------------------------------------------------------------------------- people */

static void
print_about(struct tri_cli *cli, const char *about)
{
    tri_print(cli, "%s%s\n", about[0] != '\0' ? ": " : "", about);
}

static void
print_callable(struct tri_cli *cli, const char *indent, const char *name, const char *args, const char *about)
{
    char text[SIGNATURE_SIZE];

    (void)tri_signature_text(args, text, sizeof text);
    tri_print(cli, "%s%s(%s)", indent, name, text);
    print_about(cli, about);
}

static void
print_methods(struct tri_cli *cli, const char *indent, trp_value methods)
{
    for (size_t i = 0; i < methods.size; i++) {
        const trp_value method = trp_at(methods, i);
        print_callable(cli, indent, trp_as_str(trp_field(method, "name")), trp_as_str(trp_field(method, "args")),
                       trp_as_str(trp_field(method, "about")));
    }
}

static void
print_class(struct tri_cli *cli, const char *module, trp_value row)
{
    char name[400];

    (void)snprintf(name, sizeof name, "class %.100s:%.255s", module, trp_as_str(trp_field(row, "name")));
    print_callable(cli, "", name, trp_as_str(trp_field(row, "init_args")), trp_as_str(trp_field(row, "about")));
    print_methods(cli, "  ", trp_field(row, "methods"));
}

static void
print_task(struct tri_cli *cli, const char *module, trp_value row)
{
    char name[400];

    (void)snprintf(name, sizeof name, "task %.100s:%.255s", module, trp_as_str(trp_field(row, "name")));
    print_callable(cli, "", name, trp_as_str(trp_field(row, "args")), trp_as_str(trp_field(row, "about")));
}

static void
print_module(struct tri_cli *cli, trp_value row)
{
    const char *name = trp_as_str(trp_field(row, "name")), *version = trp_as_str(trp_field(row, "version"));
    const trp_value classes = trp_field(row, "classes"), tasks = trp_field(row, "tasks");

    tri_print(cli, "module %s%s%s", name, version[0] != '\0' ? ", version " : "", version);
    print_about(cli, trp_as_str(trp_field(row, "about")));
    for (size_t i = 0; i < classes.size; i++) {
        tri_print(cli, "\n");
        print_class(cli, name, trp_at(classes, i));
    }
    tri_print(cli, "%s", tasks.size > 0 ? "\n" : "");
    for (size_t i = 0; i < tasks.size; i++)
        print_task(cli, name, trp_at(tasks, i));
}

static void
print_actor(struct tri_cli *cli, trp_value row)
{
    const long long pid = (long long)trp_as_i64(trp_field(row, "pid"));
    const char *death = trp_as_str(trp_field(row, "death"));

    tri_print(cli, "actor %s\n", trp_as_str(trp_field(row, "name")));
    tri_print(cli, "  id       %s\n", trp_as_str(trp_field(row, "id")));
    tri_print(cli, "  state    %s, for %.1f s\n", trp_as_str(trp_field(row, "state")),
              trp_as_f64(trp_field(row, "age_s")));
    if (pid > 0)
        tri_print(cli, "  process  %lld\n", pid);
    if (death[0] != '\0')
        tri_print(cli, "  death    %s\n", death);
    tri_print(cli, "  pending  %lld calls\n", (long long)trp_as_i64(trp_field(row, "pending")));
    tri_print(cli, "  handles  %lld%s\n", (long long)trp_as_i64(trp_field(row, "handles")),
              trp_as_i64(trp_field(row, "detached")) != 0 ? ", and lives without any" : "");
    tri_print(cli, "\n");
}

/* ------------------------------------------------------------------------------------------------------------- finding */

/* What is described. */
struct subject {
    struct tri_offers offers;
    trp_value actor, module, class_, task; /* TRP_NONE: it is not one */
};

static void
find_subject(struct tri_cli *cli, struct subject *subject, const char *text)
{
    subject->actor = tri_offers_actor(cli, &subject->offers, text);
    if (subject->actor.kind != TRP_NONE)
        text = trp_as_str(trp_field(subject->actor, "class"));
    subject->module = tri_offers_module(&subject->offers, text);
    subject->class_ = tri_offers_class(&subject->offers, text);
    subject->task = tri_offers_task(&subject->offers, text);
}

/* What helps with a module of this name that no host has loaded: where its file is, or which was probably meant; NULL: nothing. */
static const char *
remedy_of_module(struct tri_cli *cli, const char *name, char *text, size_t size)
{
    char path[8192], file[4400], meant[256];

    if (!tri_module_path_of_node(cli, path, sizeof path))
        return NULL;
    if (tri_module_find(path, name, file, sizeof file, meant, sizeof meant))
        (void)snprintf(text, size, "`troupe module inspect %s` shows what it would offer", file);
    else if (meant[0] != '\0')
        (void)snprintf(text, size, "did you mean '%s'?", meant);
    else
        return NULL;
    return text;
}

static int
refuse_name(struct tri_cli *cli, const struct subject *subject, const char *text)
{
    const char *meant = tri_suggest_name(cli, text, subject->offers.actors, subject->offers.modules);
    trp_error error = {.code = TRP_ENOENT, .rank = -1};
    char remedy[4500];

    (void)snprintf(error.message, sizeof error.message,
                   "no actor is called '%.255s', and no host has loaded a module of that name", text);
    if (meant != NULL)
        (void)snprintf(remedy, sizeof remedy, "did you mean '%.255s'?", meant);
    else if (remedy_of_module(cli, text, remedy, sizeof remedy) == NULL)
        (void)snprintf(remedy, sizeof remedy, "`troupe ls modules --all` lists those that could be");
    return tri_fail(cli, &error, remedy);
}

static int
refuse_subject(struct tri_cli *cli, const struct subject *subject, const char *text)
{
    const char *colon = strchr(text, ':'), *remedy;
    trp_error error = {.code = TRP_ENOENT, .rank = -1};
    char module[300], meant[4500];

    if (tri_module_of_file(text, colon != NULL ? (size_t)(colon - text) : strlen(text), module, sizeof module))
        return tri_refuse(cli, "'%.255s' is a file, which `troupe module inspect` shows; here %s stands for the module",
                          text, module);
    if (colon == NULL)
        return refuse_name(cli, subject, text);
    (void)snprintf(module, sizeof module, "%.*s", (int)(colon - text), text);
    if (subject->module.kind != TRP_NONE) {
        (void)snprintf(error.message, sizeof error.message, "module '%s' has neither class nor task '%.255s'", module,
                       colon + 1);
        remedy = tri_suggest_row(colon + 1, trp_field(subject->module, "classes"), meant, sizeof meant);
        if (remedy == NULL)
            remedy = tri_suggest_row(colon + 1, trp_field(subject->module, "tasks"), meant, sizeof meant);
        return tri_fail(cli, &error, remedy != NULL ? remedy : "`troupe ls modules` lists them");
    }
    (void)snprintf(error.message, sizeof error.message, "no process has loaded a module '%s'", module);
    remedy = tri_suggest_row(module, subject->offers.modules, meant, sizeof meant);
    if (remedy == NULL)
        remedy = remedy_of_module(cli, module, meant, sizeof meant);
    return tri_fail(cli, &error, remedy != NULL ? remedy : "`troupe ls modules --all` lists those that could be");
}

static int
give_value(struct tri_cli *cli, const struct subject *subject)
{
    const bool is_actor = subject->actor.kind != TRP_NONE;
    const trp_value offered = subject->class_.kind != TRP_NONE ? subject->class_
                              : subject->task.kind != TRP_NONE ? subject->task
                                                               : subject->module;
    const trp_value class_ = offered.kind == TRP_NONE ? trp_null() : offered;

    if (is_actor)
        return tri_give(cli, NULL, TRP_MAP("actor", subject->actor, "class", class_));
    return tri_give(cli, NULL, offered);
}

static int
describe(struct tri_cli *cli, const struct subject *subject)
{
    const char *module = trp_as_str(trp_field(subject->module, "name"));

    if (tri_wants_value(cli))
        return give_value(cli, subject);
    if (subject->actor.kind != TRP_NONE)
        print_actor(cli, subject->actor);
    if (subject->class_.kind != TRP_NONE)
        print_class(cli, module, subject->class_);
    if (subject->task.kind != TRP_NONE)
        print_task(cli, module, subject->task);
    if (subject->actor.kind == TRP_NONE && subject->class_.kind == TRP_NONE && subject->task.kind == TRP_NONE)
        print_module(cli, subject->module);
    return TRI_EXIT_OK;
}

static int
run_describe(struct tri_cli *cli, const struct tri_args *args)
{
    const char *text = args->operands[0];
    struct subject subject = {0};
    bool found;
    int exit_code = tri_join(cli);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_offers_ask(cli, &subject.offers);
    if (exit_code == TRI_EXIT_OK) {
        find_subject(cli, &subject, text);
        found = subject.actor.kind != TRP_NONE || subject.class_.kind != TRP_NONE || subject.task.kind != TRP_NONE ||
                (strchr(text, ':') == NULL && subject.module.kind != TRP_NONE);
        exit_code = found ? describe(cli, &subject) : refuse_subject(cli, &subject, text);
    }
    tri_offers_fini(&subject.offers);
    return exit_code;
}

static const char *const describe_words[] = {TRI_WORD_ACTOR "|" TRI_WORD_MODULE "|" TRI_WORD_CLASS "|" TRI_WORD_TASK,
                                             NULL};

const struct tri_verb tri_verb_describe = {
    .name = "describe",
    .group = "Looking around",
    .about = "shows what an actor, a class, a task or a module is and takes",
    .operands = "WHAT",
    .words = describe_words,
    .flags = TRI_NEEDS_NODE,
    .more =
        "WHAT is the name of an actor or of a module, MODULE:CLASS or MODULE:FUNCTION. Modules are those that a "
        "host of\n"
        "the node has loaded; `troupe ls modules --all` has the others, and `troupe module inspect FILE` shows one.\n",
    .run = run_describe,
};
