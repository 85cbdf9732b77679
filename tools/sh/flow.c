/*
 * flow.c - what decides which commands run, how often, and at once: if, while, for, not, && and ||, comparisons, par. One
 * thread: `par` makes calls and waits for them at its end, it starts no threads.
 */
#include "tools/sh/sh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------- conditions */

/* It succeeded, and its result, if any, is neither false nor null. */
static bool
is_good(int exit_code, bool has_value, const struct tri_sh_value *held)
{
    return exit_code == TRI_EXIT_OK && (!has_value || tri_sh_is_true(held->value));
}

/* Whether it is good. What the line itself has wrong, and a node that is not there, is no condition, unless it was asked for. */
static int
decide(struct tri_sh *sh, const struct tri_node *node, bool *is_true)
{
    struct tri_sh_value held = {.value = trp_null()};
    const int par_depth = sh->par_depth;
    bool has_value = false;
    int exit_code;

    sh->par_depth = 0; /* its result is wanted now */
    exit_code = tri_sh_execute(sh, node, &held, &has_value);
    sh->par_depth = par_depth;
    sh->status = exit_code;
    *is_true = is_good(exit_code, has_value, &held);
    tri_sh_value_fini(&held);
    if (exit_code == TRI_EXIT_USAGE || exit_code == TRI_EXIT_STOPPED)
        return exit_code;
    return exit_code == TRI_EXIT_NODE && !sh->asked_for_node ? exit_code : TRI_EXIT_OK;
}

static int
run_comparison(struct tri_sh *sh, const struct tri_node *node, bool *is_true)
{
    struct tri_sh_value left = {.value = trp_null()}, right = {.value = trp_null()};
    const char *sign = node->words[1].text;
    const bool or_equal = node->words[1].size == 2;
    int exit_code = tri_sh_literal(sh, &node->words[0], &left), order;

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_literal(sh, &node->words[2], &right);
    if (exit_code == TRI_EXIT_OK && (left.value.kind == TRP_REF || right.value.kind == TRP_REF)) {
        const int which = left.value.kind == TRP_REF ? 0 : 2;
        exit_code = tri_sh_refuse(sh, node->words[which].text, node->words[which].size,
                                  "this is a reference, whose value has not been got: y = get $x");
    } else if (exit_code == TRI_EXIT_OK) {
        order = tri_sh_compare(left.value, right.value);
        if (sign[0] == '=' || sign[0] == '!')
            *is_true = (order == 0) == (sign[0] == '=');
        else if (order == 2)
            exit_code = tri_sh_refuse(sh, node->words[1].text, node->words[1].size,
                                      "only two numbers, or two strings, are one before the other");
        else
            *is_true = (or_equal && order == 0) || order == (sign[0] == '<' ? -1 : 1);
    }
    tri_sh_value_fini(&left);
    tri_sh_value_fini(&right);
    return exit_code;
}

/* A truth as a result. */
static int
give_truth(struct tri_sh *sh, bool is_true, struct tri_sh_value *into, bool *has_value)
{
    *has_value = true;
    if (into == NULL)
        return tri_give(&sh->cli, NULL, trp_bool(is_true));
    tri_sh_value_fini(into);
    into->value = trp_bool(is_true);
    return TRI_EXIT_OK;
}

static int
run_if(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    bool is_true = false;
    const int exit_code = decide(sh, node->first, &is_true);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (is_true)
        return tri_sh_execute(sh, node->second, into, has_value);
    return node->third != NULL ? tri_sh_execute(sh, node->third, into, has_value) : TRI_EXIT_OK;
}

static int
run_while(struct tri_sh *sh, const struct tri_node *node)
{
    bool is_true = false, ignored = false;
    int exit_code;

    tri_stop_watch();
    while ((exit_code = decide(sh, node->first, &is_true)) == TRI_EXIT_OK && is_true && !sh->ended) {
        exit_code = tri_sh_execute(sh, node->second, NULL, &ignored);
        if (exit_code != TRI_EXIT_OK || tri_stopped())
            return tri_stopped() ? TRI_EXIT_STOPPED : exit_code;
    }
    return exit_code;
}

/* The left one of && and ||. Its outcome is wanted now, also in a `par`, which has its result among the others all the same. */
static int
run_left(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    struct tri_sh_value held = {.value = trp_null()};
    const int par_depth = sh->par_depth;
    int exit_code;

    sh->took_call = sh->took_quiet = false;
    sh->par_depth = 0;
    exit_code = tri_sh_execute(sh, node, into != NULL || par_depth == 0 ? into : &held, has_value);
    sh->par_depth = par_depth;
    if (exit_code == TRI_EXIT_OK && *has_value && into == NULL && par_depth > 0)
        exit_code = tri_sh_add_call(sh, &held, NULL);
    tri_sh_value_fini(&held);
    return exit_code;
}

/* The right one runs where the left one's outcome leaves it open; the result is that of the last one that ran. */
static int
run_either(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    const bool is_and = node->kind == TRI_NODE_AND;
    int exit_code = run_left(sh, node->first, into, has_value);
    bool good;

    sh->status = exit_code;
    good = into != NULL ? is_good(exit_code, *has_value, into) : exit_code == TRI_EXIT_OK;
    if (exit_code == TRI_EXIT_STOPPED || sh->ended || good != is_and)
        return exit_code;
    if (into != NULL)
        tri_sh_value_fini(into);
    return tri_sh_execute(sh, node->second, into, has_value);
}

/* ----------------------------------------------------------------------------------------------------------------- for */

static int
run_body(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *item)
{
    bool ignored = false;
    int exit_code = tri_sh_assign(sh, node->words[0].text, node->words[0].size, item);

    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_execute(sh, node->first, NULL, &ignored);
    return exit_code == TRI_EXIT_OK && tri_stopped() ? TRI_EXIT_STOPPED : exit_code;
}

/* "1..10" */
static bool
is_range(const char *text, long long *first, long long *last)
{
    char *end = NULL;

    errno = 0;
    *first = strtoll(text, &end, 10);
    if (end == text || strncmp(end, "..", 2) != 0 || end[2] == '\0')
        return false;
    text = end + 2;
    *last = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

/* Whether the word is a range, once its variables are filled in: 1..10, $a..$b. 0, or the exit code. */
static int
take_range(struct tri_sh *sh, const struct tri_token *word, bool *taken, long long *first, long long *last)
{
    int exit_code = TRI_EXIT_OK;
    char *text;

    *taken = false;
    if (memmem(word->text, word->size, "..", 2) == NULL || strchr("'\"[{", word->text[0]) != NULL)
        return TRI_EXIT_OK;
    text = tri_sh_text(sh, word, &exit_code);
    *taken = text != NULL && is_range(text, first, last);
    free(text);
    return exit_code;
}

static int
run_range(struct tri_sh *sh, const struct tri_node *node, long long first, long long last)
{
    struct tri_sh_value item = {.value = trp_null()};
    int exit_code = TRI_EXIT_OK;

    for (long long i = first; i <= last && exit_code == TRI_EXIT_OK && !sh->ended; i++) {
        item.value = trp_i64(i);
        exit_code = run_body(sh, node, &item);
        if (i == last)
            break; /* the largest number has no next one */
    }
    return exit_code;
}

/* Each item of a list, each key of a map. */
static int
run_items(struct tri_sh *sh, const struct tri_node *node, const struct tri_sh_value *all)
{
    struct tri_sh_value item = {.value = trp_null()};
    int exit_code = TRI_EXIT_OK;

    for (size_t i = 0; i < all->value.size && exit_code == TRI_EXIT_OK && !sh->ended; i++) {
        const trp_value one = all->value.kind == TRP_MAP ? trp_key_at(all->value, i) : trp_at(all->value, i);
        exit_code = tri_sh_value_set(sh, &item, all->ref, one);
        if (exit_code == TRI_EXIT_OK)
            exit_code = run_body(sh, node, &item);
    }
    tri_sh_value_fini(&item);
    return exit_code;
}

/* What one word stands for: a range, what is in a list or a map, or itself. */
static int
run_over(struct tri_sh *sh, const struct tri_node *node, const struct tri_token *word)
{
    struct tri_sh_value all = {.value = trp_null()};
    long long first, last;
    bool is_a_range;
    int exit_code = take_range(sh, word, &is_a_range, &first, &last);

    if (exit_code == TRI_EXIT_OK && is_a_range)
        return run_range(sh, node, first, last);
    if (exit_code == TRI_EXIT_OK)
        exit_code = tri_sh_literal(sh, word, &all);
    if (exit_code == TRI_EXIT_OK) {
        const bool has_items = all.value.kind == TRP_LIST || all.value.kind == TRP_TUPLE || all.value.kind == TRP_MAP;
        exit_code = has_items ? run_items(sh, node, &all) : run_body(sh, node, &all);
    }
    tri_sh_value_fini(&all);
    return exit_code;
}

static int
run_for(struct tri_sh *sh, const struct tri_node *node)
{
    int exit_code = TRI_EXIT_OK;

    tri_stop_watch();
    for (int i = 1; i < node->word_count && exit_code == TRI_EXIT_OK && !sh->ended; i++)
        exit_code = run_over(sh, node, &node->words[i]);
    return exit_code;
}

/* ----------------------------------------------------------------------------------------------------------------- par */

int
tri_sh_add_call(struct tri_sh *sh, struct tri_sh_value *held, const struct tri_token *word)
{
    struct tri_sh_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return tri_fail_text(&sh->cli, "out of memory");
    *call = (struct tri_sh_call){.held = *held,
                                 .source = sh->source,
                                 .at = sh->took_at,
                                 .is_assigned = word != NULL,
                                 .verb = sh->took_of,
                                 .is_call = sh->took_call,
                                 .quiet = sh->took_quiet};
    if (word != NULL)
        call->word = *word;
    *held = (struct tri_sh_value){.value = trp_null()};
    *sh->last_call = call;
    sh->last_call = &call->next;
    return TRI_EXIT_OK;
}

static void
release_held(void *thing)
{
    tri_sh_value_fini(thing);
    free(thing);
}

/* The value, and what it stands on, as one item of a list that `into` becomes. */
static int
gather(struct tri_sh *sh, struct tri_sh_call *call, trp_value value, struct tri_sh_value *into, trp_value *item)
{
    struct tri_sh_value *kept = malloc(sizeof *kept);

    if (kept != NULL)
        *kept = call->held;
    call->held = (struct tri_sh_value){.value = trp_null()};
    *item = value;
    return tri_values_hold(&into->values, kept, release_held) ? TRI_EXIT_OK : tri_fail_text(&sh->cli, "out of memory");
}

/* A call that nobody but this block has made; a watch has no end that one could ask for. */
static bool
is_own(const struct tri_sh_call *call)
{
    return call->is_call && strcmp(call->verb->name, "watch") != 0;
}

static int
await_call(struct tri_sh *sh, struct tri_sh_call *call, struct tri_own_calls *own, trp_value *value)
{
    trp_error error;

    if (!is_own(call))
        return tri_await(&sh->cli, call->held.ref, "a call of par", value);
    if (tri_wait_for_own(&sh->cli, own, call->held.ref, value, &error) == TRP_OK)
        return TRI_EXIT_OK;
    return tri_fail_ref(&sh->cli, call->held.ref, &error, NULL);
}

/* Waits for one; its value goes to its variable, to `item`, or out. */
static int
finish_call(struct tri_sh *sh, struct tri_sh_call *call, struct tri_own_calls *own, struct tri_sh_value *into,
            trp_value *item)
{
    struct tri_sh_value held = {.value = trp_null()};
    const struct tri_verb *verb = sh->cli.verb;
    trp_value value = call->held.value;
    int exit_code = TRI_EXIT_OK;

    sh->cli.verb = call->verb;
    if (call->is_call)
        exit_code = await_call(sh, call, own, &value);
    sh->cli.verb = verb;
    if (exit_code == TRI_EXIT_STOPPED && own->cancelled)
        return exit_code;
    if (exit_code != TRI_EXIT_OK) {
        const struct tri_source source = sh->source;
        sh->source = call->source;
        tri_sh_point(sh, call->at.text, call->at.size);
        sh->source = source;
        return exit_code;
    }
    if (call->is_assigned)
        exit_code = tri_sh_value_set(sh, &held, call->held.ref, value);
    if (exit_code == TRI_EXIT_OK && call->is_assigned)
        exit_code = tri_sh_assign(sh, call->word.text, call->word.size, &held);
    if (exit_code == TRI_EXIT_OK && into != NULL)
        return gather(sh, call, value, into, item);
    return exit_code != TRI_EXIT_OK || call->is_assigned || call->quiet ? exit_code
                                                                        : tri_give(&sh->cli, call->held.ref, value);
}

/* The references of the calls, so that all of them can be cancelled. NULL: no memory. */
static trp_ref **
own_refs(struct tri_sh_call *calls, size_t count)
{
    trp_ref **refs = calloc(count + 1, sizeof *refs);

    for (size_t i = 0; refs != NULL && calls != NULL; calls = calls->next, i++)
        refs[i] = is_own(calls) ? trp_ref_retain(calls->held.ref) : NULL;
    return refs;
}

/* All are waited for, also after one has failed: the first failure, in the order of the calls, is the block's. */
static int
finish_calls(struct tri_sh *sh, struct tri_sh_call *calls, struct tri_own_calls *own, struct tri_sh_value *into,
             bool *has_value)
{
    size_t used = 0;
    const size_t count = own->count;
    trp_value *items = NULL;
    int exit_code = TRI_EXIT_OK, code;

    if (into != NULL) {
        tri_sh_value_fini(into);
        items = calloc(count + 1, sizeof *items);
        if (!tri_values_hold(&into->values, items, free))
            return tri_fail_text(&sh->cli, "out of memory");
    }
    for (struct tri_sh_call *call = calls; call != NULL && (exit_code != TRI_EXIT_STOPPED || own->cancelled);
         call = call->next) {
        code = finish_call(sh, call, own, into, items != NULL ? &items[used++] : NULL);
        if (exit_code == TRI_EXIT_OK || code == TRI_EXIT_STOPPED)
            exit_code = code;
    }
    if (exit_code == TRI_EXIT_OK && into != NULL) {
        *has_value = true;
        into->value = trp_list(items, used);
    }
    return exit_code != TRI_EXIT_OK ? exit_code : tri_flush(&sh->cli);
}

/* The same; the first Ctrl-C cancels them. */
static int
finish_own_calls(struct tri_sh *sh, struct tri_sh_call *calls, struct tri_sh_value *into, bool *has_value)
{
    struct tri_own_calls own = {.what = "the calls of par"};
    trp_ref **refs;
    int exit_code;

    for (const struct tri_sh_call *call = calls; call != NULL; call = call->next)
        own.count++;
    own.refs = refs = own_refs(calls, own.count);
    if (refs == NULL)
        return tri_fail_text(&sh->cli, "out of memory");
    exit_code = finish_calls(sh, calls, &own, into, has_value);
    for (size_t i = 0; i < own.count; i++)
        trp_ref_release(&refs[i]);
    free(refs);
    return exit_code;
}

static int
run_par(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    struct tri_sh_call *calls_before = sh->calls, **last_before = sh->last_call, *calls;
    bool ignored = false;
    int exit_code, finished;

    sh->calls = NULL;
    sh->last_call = &sh->calls;
    sh->par_depth++;
    exit_code = tri_sh_execute(sh, node->first, NULL, &ignored);
    sh->par_depth--;
    calls = sh->calls;
    sh->calls = calls_before;
    sh->last_call = last_before;
    finished = finish_own_calls(sh, calls, exit_code == TRI_EXIT_OK ? into : NULL, has_value);
    sh->took_call = false; /* what a variable gets now is a value */
    while (calls != NULL) {
        struct tri_sh_call *next = calls->next;
        tri_sh_value_fini(&calls->held);
        free(calls);
        calls = next;
    }
    return exit_code != TRI_EXIT_OK ? exit_code : finished;
}

/* ------------------------------------------------------------------------------------------------------------------ all */

int
tri_sh_flow(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value)
{
    bool is_true = false;
    int exit_code;

    switch (node->kind) {
    case TRI_NODE_IF:
        return run_if(sh, node, into, has_value);
    case TRI_NODE_WHILE:
        return run_while(sh, node);
    case TRI_NODE_FOR:
        return run_for(sh, node);
    case TRI_NODE_PAR:
        return run_par(sh, node, into, has_value);
    case TRI_NODE_AND:
    case TRI_NODE_OR:
        return run_either(sh, node, into, has_value);
    case TRI_NODE_NOT:
        exit_code = decide(sh, node->first, &is_true);
        return exit_code == TRI_EXIT_OK ? give_truth(sh, !is_true, into, has_value) : exit_code;
    default: /* TRI_NODE_COMPARE */
        exit_code = run_comparison(sh, node, &is_true);
        return exit_code == TRI_EXIT_OK ? give_truth(sh, is_true, into, has_value) : exit_code;
    }
}
