/*
 * completion.c - `troupe __complete`: what the last word of a command line could be, a line each, for the scripts in
 * tools/completion/. One thread. It is silent about whatever is wrong: there is nobody to tell.
 */
#include "tools/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

#include "tools/cli/offers.h"
#include "tools/cli/options.h"

/* A command line that is being typed. */
struct typed {
    struct tri_cli *cli;
    const struct tri_verb *verb;
    const char *operands[2]; /* the first ones before the last word, which say whose methods are meant */
    int count;               /* operands before the last word */
    const char *last;        /* what there is of it, mostly "" */
    char lead[64];           /* "--name=", where `last` is what follows that */
};

static void
offer(const struct typed *typed, const char *prefix, const char *text)
{
    const size_t size = strlen(typed->last), prefix_size = strlen(prefix);
    const size_t shared = size < prefix_size ? size : prefix_size;

    if (strncmp(prefix, typed->last, shared) == 0 && strncmp(text, typed->last + shared, size - shared) == 0)
        tri_print(typed->cli, "%s%s%s\n", typed->lead, prefix, text);
}

/* ------------------------------------------------------------------------------------------------------ kinds of words */

static void
offer_rows(const struct typed *typed, const char *prefix, trp_value rows)
{
    for (size_t i = 0; i < rows.size; i++)
        offer(typed, prefix, trp_as_str(trp_field(trp_at(rows, i), "name")));
}

static void
offer_actors(const struct typed *typed, const struct tri_offers *offers)
{
    for (size_t i = 0; i < offers->actors.size; i++) {
        const char *name = tri_typed_name(typed->cli, trp_as_str(trp_field(trp_at(offers->actors, i), "name")));
        if (name[0] != '\0' && strncmp(name, "troupe/", 7) != 0)
            offer(typed, "", name);
    }
}

static void
offer_methods(const struct typed *typed, const struct tri_offers *offers)
{
    const trp_value actor = tri_offers_actor(typed->cli, offers, typed->count > 0 ? typed->operands[0] : "");
    const char *class_name = trp_as_str(trp_field(actor, "class"));

    offer_rows(typed, "", trp_field(tri_offers_class(offers, class_name), "methods"));
}

/* "module:Class" or "module:function" of all modules. */
static void
offer_offered(const struct typed *typed, const struct tri_offers *offers, const char *kind)
{
    for (size_t i = 0; i < offers->modules.size; i++) {
        const trp_value module = trp_at(offers->modules, i);
        char prefix[300];
        if (strcmp(trp_as_str(trp_field(module, "name")), "troupe") == 0)
            continue; /* the node's own */
        (void)snprintf(prefix, sizeof prefix, "%.255s:", trp_as_str(trp_field(module, "name")));
        offer_rows(typed, prefix, trp_field(module, kind));
    }
}

static void
offer_classes(const struct typed *typed, const struct tri_offers *offers)
{
    offer_offered(typed, offers, "classes");
}

static void
offer_tasks(const struct typed *typed, const struct tri_offers *offers)
{
    offer_offered(typed, offers, "tasks");
}

static void
offer_modules(const struct typed *typed, const struct tri_offers *offers)
{
    offer_rows(typed, "", offers->modules);
}

static void
offer_kept(const struct typed *typed, const struct tri_offers *offers)
{
    trp_ref *ref = NULL;
    trp_value rows;

    (void)offers;
    if (tri_kept_ask(typed->cli, &ref, &rows) == TRI_EXIT_OK)
        offer_rows(typed, strncmp(typed->last, "ref:", 4) == 0 ? "ref:" : "", rows);
    trp_ref_release(&ref);
}

/* The shell knows files better: the scripts understand these three words. */
static void
offer_files(const struct typed *typed, const struct tri_offers *offers)
{
    (void)offers;
    tri_print(typed->cli, "%s:files\n", typed->lead);
}

static void
offer_directories(const struct typed *typed, const struct tri_offers *offers)
{
    (void)offers;
    tri_print(typed->cli, "%s:directories\n", typed->lead);
}

static void
offer_programs(const struct typed *typed, const struct tri_offers *offers)
{
    (void)offers;
    tri_print(typed->cli, ":programs\n");
}

static void
offer_verbs(const struct typed *typed, const struct tri_offers *offers)
{
    char before[64] = "";

    (void)offers;
    for (const struct tri_verb *const *verb = typed->cli->verbs; *verb != NULL; verb++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn((*verb)->name, " "), (*verb)->name);
        if (((*verb)->flags & TRI_HIDDEN) == 0 && strcmp(name, before) != 0)
            offer(typed, "", name);
        (void)snprintf(before, sizeof before, "%s", name);
    }
}

static const struct {
    const char *word;
    bool asks; /* the node */
    void (*offer)(const struct typed *typed, const struct tri_offers *offers);
} kinds[] = {
    {TRI_WORD_ACTOR, true, offer_actors},      {TRI_WORD_METHOD, true, offer_methods},
    {TRI_WORD_CLASS, true, offer_classes},     {TRI_WORD_TASK, true, offer_tasks},
    {TRI_WORD_MODULE, true, offer_modules},    {TRI_WORD_REF, true, offer_kept},
    {TRI_WORD_FILE, false, offer_files},       {TRI_WORD_DIRECTORY, false, offer_directories},
    {TRI_WORD_PROGRAM, false, offer_programs}, {TRI_WORD_VERB, false, offer_verbs},
};

/* One of the words between '|': a kind, or itself. */
static void
offer_word(const struct typed *typed, const char *word)
{
    struct tri_offers offers = {0};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].word, word) != 0)
            continue;
        if (!kinds[i].asks ||
            (tri_join(typed->cli) == TRI_EXIT_OK && tri_offers_ask(typed->cli, &offers) == TRI_EXIT_OK))
            kinds[i].offer(typed, &offers);
        tri_offers_fini(&offers);
        return;
    }
    offer(typed, "", word);
}

static void
offer_words(const struct typed *typed, const char *words)
{
    char word[128];

    while (words != NULL && *words != '\0') {
        const size_t size = strcspn(words, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)size, words);
        offer_word(typed, word);
        words += size + (words[size] == '|');
    }
}

/* ----------------------------------------------------------------------------------------------------- the command line */

/* The second words of `troupe module`. */
static void
offer_second(const struct typed *typed, const char *first)
{
    const size_t size = strlen(first);

    for (const struct tri_verb *const *verb = typed->cli->verbs; *verb != NULL; verb++)
        if (strncmp((*verb)->name, first, size) == 0 && (*verb)->name[size] == ' ')
            offer(typed, "", (*verb)->name + size + 1);
}

static void
offer_options(const struct typed *typed)
{
    const struct tri_option *option;

    for (int i = 0; (option = tri_option_at(typed->verb, i)) != NULL; i++)
        offer(typed, "--", option->name);
}

/* What an operand may be; the last of a row's words stands for all that follow where the row says "...". */
static void
offer_operand(const struct typed *typed)
{
    const char *const *words = typed->verb->words;
    struct tri_shape shape;
    int count = 0, at = typed->count;

    tri_shape_of(typed->verb, &shape);
    while (words != NULL && words[count] != NULL)
        count++;
    if (count > 0 && at >= count && shape.most < 0 && shape.least <= count)
        at = strstr(typed->verb->operands, " [") == NULL ? count - 1 : at;
    if (at < count)
        offer_words(typed, words[at]);
    else if ((typed->verb->flags & TRI_REST_IS_GIVEN) != 0)
        offer_files(typed, NULL); /* whatever that program takes */
}

/* The option whose value the last word has after its '='; that is then the last word. */
static const struct tri_option *
option_within(struct typed *typed)
{
    const char *text;
    const int i = tri_option_of(typed->verb, typed->last, &text);
    const struct tri_option *option = i >= 0 ? tri_option_at(typed->verb, i) : NULL;

    if (option == NULL || option->value == NULL || text == NULL || typed->last[1] != '-')
        return NULL;
    (void)snprintf(typed->lead, sizeof typed->lead, "--%s=", option->name);
    typed->last = text;
    return option;
}

/* The words between the verb and the last one: which of them are operands, and what the last one is. */
static void
complete(struct typed *typed, char **words, int count)
{
    const struct tri_option *option = NULL;
    bool ended = false;

    for (int i = 0; i < count; i++) {
        option = ended ? NULL : tri_option_before_value(typed->verb, words[i]);
        if (option != NULL && strcmp(option->name, "dir") == 0 && i + 1 < count)
            typed->cli->directory = words[i + 1];
        if (option != NULL && strcmp(option->name, "namespace") == 0 && i + 1 < count)
            typed->cli->namespace_ = words[i + 1];
        if (option != NULL && i + 1 < count) {
            i++;
            option = NULL;
        } else if (strcmp(words[i], "--") == 0) {
            ended = true;
        } else if (ended || words[i][0] != '-') {
            if (typed->count < 2)
                typed->operands[typed->count] = words[i];
            typed->count++;
            ended = ended || (typed->verb->flags & TRI_REST_IS_GIVEN) != 0;
        }
    }
    if (option == NULL && !ended)
        option = option_within(typed);
    if (option != NULL)
        offer_words(typed, option->word);
    else if (!ended && typed->last[0] == '-')
        offer_options(typed);
    else
        offer_operand(typed);
}

static int
run_complete(struct tri_cli *cli, const struct tri_args *args)
{
    struct typed typed = {.cli = cli, .last = args->count > 0 ? args->operands[args->count - 1] : ""};
    const struct tri_hush before = tri_hush(cli);
    int words = 0;

    if (args->count > 1)
        typed.verb = tri_verb_find(cli, args->count - 1, args->operands, &words);
    if (args->count <= 1)
        offer_verbs(&typed, NULL);
    else if (typed.verb != NULL)
        complete(&typed, args->operands + words, args->count - 1 - words);
    else if (args->count == 2)
        offer_second(&typed, args->operands[0]);
    tri_unhush(cli, before);
    return TRI_EXIT_OK;
}

const struct tri_verb tri_verb_complete = {
    .name = "__complete",
    .group = "",
    .about = "what the last of these words could be",
    .operands = "[WORD...]",
    .flags = TRI_HIDDEN,
    .run = run_complete,
};
