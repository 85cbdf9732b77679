/*
 * options.h - what the files that read, explain and complete command lines share. Private to tools/cli/, tools/sh/ and
 * completion.c.
 */
#ifndef TRI_OPTIONS_H
#define TRI_OPTIONS_H

#include "tools/cli/cli.h"

/* Option i of a verb: its own ones first, then those of every verb that needs a node, then those of all. NULL: past the end. */
const struct tri_option *tri_option_at(const struct tri_verb *verb, int i);

/* Whether a word is an option, by its looks: a number is none, as in `troupe call counter increment -5`. */
bool tri_is_option(const char *word, size_t size);
/* Which option a word names, "--name", "--name=TEXT", "-n" or "-nTEXT"; *text is NULL where the word has none. -1: nobody's. */
int tri_option_of(const struct tri_verb *verb, const char *word, const char **text);
/* The option whose value is the word after this one; NULL: it is no such option. */
const struct tri_option *tri_option_before_value(const struct tri_verb *verb, const char *word);

/* Fills in *args from the words after the verb's name; operands are gathered in `operands`, which has room for all words. 0,
 * or 2. */
int tri_options_parse(struct tri_cli *cli, int argc, char **argv, char **operands, struct tri_args *args);

/* The words of "ACTOR METHOD [ARG...]". */
struct tri_shape {
    int least, most;     /* operands; most -1: any number */
    char missing[3][48]; /* the names of the first, for "METHOD is missing" */
};
void tri_shape_of(const struct tri_verb *verb, struct tri_shape *shape);

/* `troupe help` and `troupe VERB --help`. */
int tri_help_all(struct tri_cli *cli);
void tri_help_verb(struct tri_cli *cli, const struct tri_verb *verb);

#endif
