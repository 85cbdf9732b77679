/*
 * run.c - runs a program of the shell. A command's words become what a command line would have, and tri_cli_run does the rest;
 * the shell's own commands are rows of a table. One thread.
 */
#include "tools/sh/sh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/options.h"

enum { DEPTH_MAX = 1000 };

/* ------------------------------------------------------------------------------------------------------------ pointing */

void
tri_sh_point(struct tri_sh *sh, const char *at, size_t size)
{
    const char *text = sh->source.text, *begin = at, *end = at + strcspn(at, "\n");
    int line = 1;

    if (sh->cli.json)
        return;
    while (begin > text && begin[-1] != '\n')
        begin--;
    for (const char *c = text; c < begin; c++)
        line += *c == '\n';
    if (size > (size_t)(end - at))
        size = (size_t)(end - at);
    fprintf(sh->cli.err, "  %s:%d:%d: %.*s\n", sh->source.name, line, (int)(at - begin) + 1, (int)(end - begin), begin);
    fprintf(sh->cli.err, "  %*s", (int)snprintf(NULL, 0, "%s:%d:%d: ", sh->source.name, line, (int)(at - begin) + 1),
            "");
    for (const char *c = begin; c < at; c++)
        if (((unsigned char)*c & 0xc0) != 0x80) /* a character takes one place, however many bytes it has */
            (void)fputc(*c == '\t' ? '\t' : ' ', sh->cli.err);
    (void)fputc('^', sh->cli.err);
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)at[i] & 0xc0) != 0x80)
            (void)fputc('~', sh->cli.err);
    (void)fputc('\n', sh->cli.err);
    (void)fflush(sh->cli.err);
}

int
tri_sh_refuse(struct tri_sh *sh, const char *at, size_t size, const char *format, ...)
{
    char line[512];
    va_list list;
    int exit_code;

    va_start(list, format);
    (void)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    exit_code = tri_refuse(&sh->cli, "%s", line);
    tri_sh_point(sh, at, size);
    return exit_code;
}

/* --------------------------------------------------------------------------------------------------- the shell's own */

/* A command of the shell's: the words after its name, as text. */
struct own {
    const char *name;
    const char *usage;
    int least, most;
    int (*run)(struct tri_sh *sh, char **words, int count);
};

static int
run_echo(struct tri_sh *sh, char **words, int count)
{
    for (int i = 0; i < count; i++)
        fprintf(sh->cli.out, "%s%s", i > 0 ? " " : "", words[i]);
    fprintf(sh->cli.out, "\n");
    return tri_flush(&sh->cli);
}

static int
run_exit(struct tri_sh *sh, char **words, int count)
{
    int64_t code = sh->status;

    if (count > 0 && tri_take_number(&sh->cli, "the exit status", words[0], 0, 255, &code) != 0)
        return TRI_EXIT_USAGE;
    sh->ended = true;
    return (int)code;
}

static int
run_unset(struct tri_sh *sh, char **words, int count)
{
    for (int i = 0; i < count; i++)
        tri_sh_unset(sh, words[i]);
    return TRI_EXIT_OK;
}

static int
run_vars(struct tri_sh *sh, char **words, int count)
{
    (void)words;
    (void)count;
    for (struct tri_sh_variable *variable = sh->variables; variable != NULL; variable = variable->next) {
        fprintf(sh->cli.out, "%s = ", variable->name);
        tri_json_write(sh->cli.out, variable->held.value, false);
        fprintf(sh->cli.out, "\n");
    }
    return tri_flush(&sh->cli);
}

static int
run_source(struct tri_sh *sh, char **words, int count)
{
    const struct tri_source before = sh->source;
    struct tri_source inner = {NULL, NULL};
    char *text = NULL, *name = strdup(words[0]);
    FILE *file = fopen(words[0], "re");
    int exit_code;

    (void)count;
    if (file == NULL) {
        free(name);
        return tri_fail_file(&sh->cli, words[0], errno);
    }
    exit_code = tri_sh_read(&sh->cli, file, words[0], &text);
    (void)fclose(file);
    /* To the end of the shell: what `par` waits for points into it. */
    if (!tri_values_hold(&sh->texts, name, free) ||
        (exit_code == TRI_EXIT_OK && !tri_values_hold(&sh->texts, text, free)))
        return tri_fail_text(&sh->cli, "out of memory");
    if (exit_code != TRI_EXIT_OK) {
        free(text);
        return exit_code;
    }
    inner = (struct tri_source){.name = name, .text = text};
    exit_code = tri_sh_run(sh, &inner);
    sh->source = before;
    return exit_code;
}

static const struct own owns[] = {
    {"echo", "echo [WORD...]", 0, -1, run_echo},  {"exit", "exit [STATUS]", 0, 1, run_exit},
    {"unset", "unset NAME...", 1, -1, run_unset}, {"vars", "vars", 0, 0, run_vars},
    {"source", "source FILE", 1, 1, run_source},
};

enum { OWN_COUNT = sizeof owns / sizeof *owns };

const char *
tri_sh_own_name(size_t i)
{
    return i < OWN_COUNT ? owns[i].name : NULL;
}

static const struct own *
find_own(const char *name)
{
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (strcmp(owns[i].name, name) == 0)
            return &owns[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------------ commands */

/* What the operand at this place may be, by the verb's row: a TRI_WORD_; NULL: a value. */
static const char *
kind_of(const struct tri_verb *verb, int operand)
{
    const char *last = "text";

    for (int i = 0; verb != NULL && verb->words != NULL && verb->words[i] != NULL; i++) {
        if (i == operand)
            return verb->words[i];
        last = verb->words[i]; /* "ACTOR...": the last one repeats */
    }
    if (verb != NULL && verb->operands != NULL && (verb->flags & TRI_REST_IS_GIVEN) == 0 &&
        (strstr(verb->operands, "ARG") != NULL || strstr(verb->operands, "VALUE") != NULL))
        return NULL;
    return last;
}

/* A handle or a reference stays one; anything else in its place is a name. */
static char *
handle_or_text(struct tri_sh *sh, const struct tri_token *word, int *exit_code)
{
    struct tri_sh_found found;
    const char *path;
    size_t size;

    if (tri_sh_is_variable(word, &path, &size) && tri_sh_find(sh, path, size, &found) &&
        (found.value.kind == TRP_ACTOR || found.value.kind == TRP_REF))
        return tri_sh_operand(sh, word, exit_code);
    return tri_sh_text(sh, word, exit_code);
}

/* The words as a command line; argv has room for one more than there are words. */
static int
expand(struct tri_sh *sh, const struct tri_node *node, char **argv, const struct own **own)
{
    const struct tri_verb *verb = NULL;
    int words = 1, operands = 0, exit_code = TRI_EXIT_OK;
    bool text_next = false, given = false;

    for (int i = 0; i < node->word_count && exit_code == TRI_EXIT_OK; i++) {
        const struct tri_token *word = &node->words[i];
        const char *kind = kind_of(verb, operands);
        const bool option = !given && tri_is_option(word->text, word->size);
        if (i == 1) {
            verb = *own == NULL ? tri_verb_find(&sh->cli, 1, argv, &words) : NULL;
            kind = kind_of(verb, 0);
        }
        if (i == 0 || *own != NULL || option || text_next || (verb == NULL && i == 1))
            argv[i] = tri_sh_text(sh, word, &exit_code);
        else if (kind != NULL && strcmp(kind, TRI_WORD_ACTOR) != 0 && strcmp(kind, TRI_WORD_REF) != 0)
            argv[i] = tri_sh_text(sh, word, &exit_code);
        else
            argv[i] = kind != NULL ? handle_or_text(sh, word, &exit_code) : tri_sh_operand(sh, word, &exit_code);
        if (argv[i] == NULL)
            return exit_code;
        if (i == 0)
            *own = find_own(argv[0]);
        if (i == 1 && verb == NULL && *own == NULL) /* `ls actors`: a verb of two words, or nobody's */
            verb = tri_verb_find(&sh->cli, 2, argv, &words);
        else if (i > 0 && !option && !text_next)
            operands++;
        given = given || (option && strcmp(argv[i], "--") == 0);
        text_next = option && !given && verb != NULL && tri_option_before_value(verb, argv[i]) != NULL;
    }
    return exit_code;
}

static int
on_result(void *user, trp_ref *ref, trp_value value)
{
    struct tri_sh *sh = user;

    sh->took = true;
    sh->took_call = sh->cli.is_later;
    sh->took_quiet = sh->cli.quiet;
    sh->took_of = sh->cli.verb;
    return tri_sh_value_set(sh, sh->into, ref, value);
}

/* The word that the verb has looked at last. */
static struct tri_token
looked_at(const struct tri_sh *sh, const struct tri_node *node, char **argv)
{
    int found = 0;

    for (int i = 0; i < node->word_count; i++)
        if (sh->cli.word != NULL && sh->cli.word >= argv[i] && sh->cli.word <= argv[i] + strlen(argv[i]))
            found = i;
    return node->words[found];
}

static int
run_own(struct tri_sh *sh, const struct tri_node *node, const struct own *own, char **argv)
{
    const int count = node->word_count - 1;

    if (count < own->least || (own->most >= 0 && count > own->most))
        return tri_sh_refuse(sh, node->words[0].text, node->words[0].size, "usage: %s", own->usage);
    return own->run(sh, argv + 1, count);
}

/* Runs the words. `piped`: one more operand, "" for none. */
static int
run_words(struct tri_sh *sh, const struct tri_node *node, const char *piped, struct tri_sh_value *into, bool *has_value)
{
    char **argv = calloc((size_t)node->word_count + 2, sizeof *argv);
    const struct own *own = NULL;
    const struct tri_verb *verb;
    int count = node->word_count, exit_code, words;
    struct tri_sh_value *into_before = sh->into;

    if (argv == NULL)
        return tri_fail_text(&sh->cli, "out of memory");
    exit_code = expand(sh, node, argv, &own);
    if (exit_code == TRI_EXIT_OK && own != NULL) {
        exit_code = run_own(sh, node, own, argv);
    } else if (exit_code == TRI_EXIT_OK) {
        if (piped[0] != '\0')
            argv[count++] = strdup(piped);
        sh->into = into;
        sh->took = false;
        sh->cli.is_later = false;
        sh->cli.take = into != NULL ? on_result : NULL;
        sh->cli.word = NULL;
        exit_code = tri_cli_run(&sh->cli, count, argv);
        sh->stopped_node = sh->stopped_node || (exit_code == TRI_EXIT_OK && strcmp(argv[0], "stop") == 0);
        sh->cli.take = NULL;
        sh->into = into_before;
        *has_value = sh->took;
        sh->took_at = looked_at(sh, node, argv);
        verb = tri_verb_find(&sh->cli, count, argv, &words);
        sh->asked_for_node = verb != NULL && (verb->flags & TRI_ASKS_FOR_NODE) != 0;
        if (exit_code != TRI_EXIT_OK && exit_code != TRI_EXIT_PIPE)
            tri_sh_point(sh, sh->took_at.text, sh->took_at.size);
    }
    for (int i = 0; i < count; i++)
        free(argv[i]);
    free(argv);
    return exit_code;
}

/* In a `par` a call is made and not waited for: it gives its reference. */
static int
run_command(struct tri_sh *sh, const struct tri_node *node, const char *piped, struct tri_sh_value *into,
            bool *has_value)
{
    struct tri_sh_value held = {.value = trp_null()};
    int exit_code;

    if (sh->par_depth == 0)
        return run_words(sh, node, piped, into, has_value);
    sh->cli.later = true;
    exit_code = run_words(sh, node, piped, into != NULL ? into : &held, has_value);
    sh->cli.later = false;
    if (into != NULL)
        return exit_code;
    if (exit_code == TRI_EXIT_OK && *has_value)
        exit_code = tri_sh_add_call(sh, &held, NULL);
    *has_value = false;
    tri_sh_value_fini(&held);
    return exit_code;
}

/* "$_" or "${_", and no longer name. */
static bool
names_it(const char *at)
{
    const char *name = at[0] != '$' ? "" : at[1] == '{' ? at + 2 : at + 1;

    return name[0] == '_' && !tri_sh_is_name(name, 2);
}

/* The left one's result is $_, and the right one's last operand unless it names $_ itself. */
static int
run_pipe(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    struct tri_sh_value left = {.value = trp_null()};
    bool has_left = false, named = false;
    const struct tri_node *right = node->second;
    int exit_code = tri_sh_execute(sh, node->first, &left, &has_left);

    if (exit_code == TRI_EXIT_OK && !has_left)
        exit_code = tri_sh_refuse(sh, node->first->words != NULL ? node->first->words[0].text : sh->source.text,
                                  node->first->words != NULL ? node->first->words[0].size : 0,
                                  "this has no result that could be handed on");
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_assign(sh, "_", 1, &left);
    tri_sh_value_fini(&left);
    for (int i = 0; i < right->word_count; i++)
        for (const char *at = right->words[i].text; at < right->words[i].text + right->words[i].size - 1; at++)
            named = named || names_it(at);
    if (exit_code == TRI_EXIT_OK)
        exit_code = run_command(sh, right, named ? "" : "%_", into, has_value);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ programs */

int
tri_sh_literal(struct tri_sh *sh, const struct tri_token *word, struct tri_sh_value *held)
{
    struct tri_sh_found found;
    const char *path;
    size_t size;
    int exit_code = TRI_EXIT_OK;
    char *operand;

    if (tri_sh_is_variable(word, &path, &size) && tri_sh_find(sh, path, size, &found))
        return tri_sh_value_set(sh, held, found.ref, found.value);
    operand = tri_sh_operand(sh, word, &exit_code);
    if (operand == NULL)
        return exit_code;
    tri_sh_value_fini(held);
    if (!tri_values_hold(&held->values, operand, free)) /* strings borrow from it */
        return tri_fail_text(&sh->cli, "out of memory");
    exit_code = tri_value_of(&sh->cli, &held->values, operand, &held->value);
    if (exit_code != TRI_EXIT_OK)
        tri_sh_point(sh, word->text, word->size);
    return exit_code;
}

/* In a `par` the variable is the reference until its end. */
static int
run_assign(struct tri_sh *sh, const struct tri_node *node)
{
    struct tri_sh_value held = {.value = trp_null()}, call = {.value = trp_null()};
    const struct tri_token *name = &node->words[0];
    bool has_value = false;
    int exit_code;

    sh->took_call = false;
    exit_code = tri_sh_execute(sh, node->first, &held, &has_value);
    if (exit_code == TRI_EXIT_OK && sh->par_depth > 0 && has_value && sh->took_call) {
        exit_code = tri_sh_value_set(sh, &call, held.ref, held.value);
        if (exit_code == TRI_EXIT_OK)
            exit_code = tri_sh_add_call(sh, &call, name);
    }
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_assign(sh, name->text, name->size, &held);
    tri_sh_value_fini(&call);
    tri_sh_value_fini(&held);
    return exit_code;
}

/* A node that has ended stays ended: the next verb joins the one that runs then. What variables held of it is gone. */
static void
leave_dead_node(struct tri_sh *sh)
{
    struct tri_sh_variable *variable = sh->variables, *next;
    trp_ref *ref = NULL;
    const trp_err err = sh->cli.runtime != NULL ? trp_query(sh->cli.runtime, "nodes", &ref, NULL) : TRP_OK;

    trp_ref_release(&ref);
    if (!sh->stopped_node && err != TRP_ECLOSED && err != TRP_EBROKER)
        return;
    sh->stopped_node = false;
    for (; variable != NULL; variable = next) {
        next = variable->next;
        if (variable->held.ref != NULL || variable->held.value.kind == TRP_REF ||
            variable->held.value.kind == TRP_ACTOR)
            tri_sh_unset(sh, variable->name);
    }
    trp_shutdown(&sh->cli.runtime);
}

static int
run_block(struct tri_sh *sh, const struct tri_node *node)
{
    int exit_code = TRI_EXIT_OK;
    bool ignored = false;

    for (const struct tri_node *statement = node->first; statement != NULL && !sh->ended; statement = statement->next) {
        exit_code = tri_sh_execute(sh, statement, NULL, &ignored);
        sh->status = exit_code;
        if (sh->depth == 0 && (sh->stopped_node || exit_code == TRI_EXIT_NODE))
            leave_dead_node(sh);
        if (exit_code != TRI_EXIT_OK && (!sh->interactive || exit_code == TRI_EXIT_STOPPED))
            break;
    }
    return exit_code;
}

static int
execute(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    struct tri_sh_value literal = {.value = trp_null()};
    int exit_code;

    switch (node->kind) {
    case TRI_NODE_COMMAND:
        return run_command(sh, node, "", into, has_value);
    case TRI_NODE_PIPE:
        return run_pipe(sh, node, into, has_value);
    case TRI_NODE_ASSIGN:
        return run_assign(sh, node);
    case TRI_NODE_BLOCK:
        return run_block(sh, node);
    case TRI_NODE_LITERAL:
        *has_value = true;
        if (into != NULL)
            return tri_sh_literal(sh, &node->words[0], into);
        exit_code = tri_sh_literal(sh, &node->words[0], &literal);
        if (exit_code == TRI_EXIT_OK && (exit_code = tri_give(&sh->cli, literal.ref, literal.value)) == TRI_EXIT_OK)
            exit_code = tri_flush(&sh->cli);
        tri_sh_value_fini(&literal);
        return exit_code;
    default:
        return tri_sh_flow(sh, node, into, has_value);
    }
}

int
tri_sh_execute(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    int exit_code;

    *has_value = false;
    if (sh->depth >= DEPTH_MAX)
        return tri_refuse(&sh->cli, "more than %d commands, one in the other", DEPTH_MAX);
    sh->depth++;
    exit_code = execute(sh, node, into, has_value);
    sh->depth--;
    return exit_code;
}

int
tri_sh_run(struct tri_sh *sh, const struct tri_source *source)
{
    struct tri_sh_error error;
    struct tri_node *program;
    int exit_code;

    sh->source = *source;
    program = tri_sh_parse(source->text, &error);
    if (program == NULL) {
        exit_code = tri_sh_refuse(sh, error.at, 1, "%s", error.message);
        sh->status = exit_code;
        return exit_code;
    }
    exit_code = run_block(sh, program);
    tri_sh_free(&program);
    return exit_code;
}
