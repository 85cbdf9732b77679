/*
 * complete.c - what the word under the cursor could be: commands, options, and the names that `troupe __complete` knows of the
 * node, and variables. One thread. It knows no editor.
 */
#include "tools/sh/sh.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

/* Words before which a command begins anew. */
static const char *const leads[] = {"if", "else", "while", "not", "par", NULL};
/* What a command, or what is made of commands, begins with beside verbs and the shell's own. */
static const char *const key_words[] = {"if", "while", "for", "not", "par", NULL};

static bool
is_text(const struct tri_token *word, const char *text)
{
    return strlen(text) == word->size && memcmp(text, word->text, word->size) == 0;
}

static bool
is_one_of(const struct tri_token *word, const char *const *words)
{
    while (*words != NULL && !is_text(word, *words))
        words++;
    return *words != NULL;
}

static bool
is_own(const struct tri_token *word)
{
    const char *name;

    for (size_t i = 0; (name = tri_sh_own_name(i)) != NULL; i++)
        if (is_text(word, name))
            return true;
    return is_one_of(word, key_words);
}

/* A line for the word if it begins as `typed` does. */
static void
offer_word(FILE *out, const char *word, const char *typed)
{
    if (strncmp(word, typed, strlen(typed)) == 0)
        fprintf(out, "%s\n", word);
}

static void
offer_own(FILE *out, const char *typed)
{
    const char *name;

    for (size_t i = 0; (name = tri_sh_own_name(i)) != NULL; i++)
        offer_word(out, name, typed);
    for (size_t i = 0; key_words[i] != NULL; i++)
        offer_word(out, key_words[i], typed);
}

static void
offer_variables(struct tri_sh *sh, FILE *out, const char *sign, const char *typed)
{
    const size_t size = strlen(sign);

    for (struct tri_sh_variable *variable = sh->variables; variable != NULL; variable = variable->next)
        if (strncmp(variable->name, typed + size, strlen(typed) - size) == 0)
            fprintf(out, "%s%s\n", sign, variable->name);
}

/* The command that the text ends in: its words, the last of which is typed still and may be empty. false: there is none, as
 * inside of quotes. */
static bool
last_command(const char *text, struct tri_token *words, int *count)
{
    struct tri_sh_error error;
    struct tri_token token;
    const char *at = text;

    *count = 0;
    for (;;) {
        if (!tri_sh_token(&at, &token, &error))
            return false;
        if (token.kind == TRI_TOKEN_END)
            break;
        if (token.kind != TRI_TOKEN_WORD) {
            *count = 0;
        } else if (*count == 0 && is_one_of(&token, leads) && *at != '\0') {
            continue;
        } else if (*count == 1 && token.size == 1 && *token.text == '=' && *at != '\0' &&
                   tri_sh_is_name(words->text, words->size)) {
            *count = 0;
        } else {
            if (*count == WORDS_MAX - 1)
                return false;
            words[(*count)++] = token;
        }
    }
    if (*token.text == '#')
        return false;
    if (*count == 0 || words[*count - 1].text + words[*count - 1].size != token.text)
        words[(*count)++] = (struct tri_token){TRI_TOKEN_WORD, token.text, 0};
    return true;
}

/* What `troupe __complete` says about the words. */
static void
ask_command(struct tri_sh *sh, FILE *out, const struct tri_token *words, int count, const char *typed)
{
    char *argv[WORDS_MAX + 3] = {strdup("__complete"), strdup("--")};
    FILE *before = sh->cli.out;
    bool good = argv[0] != NULL && argv[1] != NULL;
    int ignored, at = 2;

    for (int i = 0; good && i < count; i++, at++) {
        argv[at] = i + 1 < count ? tri_sh_text(sh, &words[i], &ignored) : strdup(typed);
        good = argv[at] != NULL;
    }
    sh->cli.out = out;
    if (good)
        (void)tri_cli_run(&sh->cli, at, argv);
    sh->cli.out = before;
    for (int i = 0; i < at; i++)
        free(argv[i]);
}

static void
offer_all(struct tri_sh *sh, FILE *out, const struct tri_token *words, int count, const char *typed)
{
    if (typed[0] == '$') {
        offer_variables(sh, out, typed[1] == '{' ? "${" : "$", typed);
    } else if (count == 1) {
        offer_own(out, typed);
        ask_command(sh, out, words, count, typed);
    } else if (is_text(words, "unset")) {
        offer_variables(sh, out, "", typed);
    } else if (is_text(words, "source")) {
        fprintf(out, ":files\n");
    } else if (!is_own(words)) {
        ask_command(sh, out, words, count, typed);
    }
}

/* The last word as it is compared: a variable's name as it stands, else what the word stands for. */
static char *
typed_text(struct tri_sh *sh, const struct tri_token *word)
{
    int ignored;

    return word->size == 0 || word->text[0] == '$' ? strndup(word->text, word->size) : tri_sh_text(sh, word, &ignored);
}

char *
tri_sh_offers(struct tri_sh *sh, const char *text, size_t *typed_size)
{
    struct tri_token words[WORDS_MAX];
    const struct tri_sh before = *sh;
    char *lines = NULL, *typed = NULL;
    size_t size = 0;
    int count;
    FILE *out, *nowhere;

    *typed_size = 0;
    if (!last_command(text, words, &count) || (out = open_memstream(&lines, &size)) == NULL)
        return NULL;
    nowhere = fopen("/dev/null", "we");
    if (nowhere != NULL) { /* nobody has asked for what is wrong with the line */
        sh->cli.err = nowhere;
        sh->source = (struct tri_source){.name = "line", .text = text};
        typed = typed_text(sh, &words[count - 1]);
    }
    if (typed != NULL) {
        *typed_size = strlen(typed);
        offer_all(sh, out, words, count, typed);
    }
    sh->cli.err = before.cli.err;
    sh->source = before.source;
    sh->status = before.status;
    free(typed);
    if (nowhere != NULL)
        (void)fclose(nowhere);
    if (fclose(out) == 0)
        return lines;
    free(lines);
    return NULL;
}
