/*
 * sh.h - what the files of the shell share: its programs, its variables, and who runs them. Private to tools/sh/. One thread.
 *
 *   words.c    text into tokens; a word as text or as an operand, with what it names filled in. Pure but for variables
 *   parse.c    tokens into a program. Pure
 *   values.c   variables, and the way into them: $x.key[0]
 *   run.c      runs a program: every verb is run by tri_cli_run, as from a command line
 *   flow.c     for, if, while, par
 *   complete.c what a word that is typed could be
 *   line.c     lines typed at a terminal: editing, history, completion
 *   verb.c     `troupe sh`
 */
#ifndef TRI_SH_H
#define TRI_SH_H

#include "tools/cli/cli.h"

/* ---------------------------------------------------------------------------------------------------------- programs */

enum tri_token_kind {
    TRI_TOKEN_END,
    TRI_TOKEN_WORD,
    TRI_TOKEN_LINE, /* a newline or ';' */
    TRI_TOKEN_PIPE,
    TRI_TOKEN_AND,
    TRI_TOKEN_OR,
    TRI_TOKEN_OPEN, /* '{' of a block */
    TRI_TOKEN_CLOSE
};

/* A part of the source, as it stands there. */
struct tri_token {
    enum tri_token_kind kind;
    const char *text;
    size_t size;
};

struct tri_source {
    const char *name; /* of the file, or what stands for one */
    const char *text; /* ended by NUL */
};

enum tri_node_kind {
    TRI_NODE_COMMAND, /* words */
    TRI_NODE_LITERAL, /* words[0] */
    TRI_NODE_COMPARE, /* words[0] words[1] words[2] */
    TRI_NODE_ASSIGN,  /* words[0] = first */
    TRI_NODE_PIPE,    /* first | second */
    TRI_NODE_AND,
    TRI_NODE_OR,
    TRI_NODE_NOT, /* first */
    TRI_NODE_IF,  /* first, second, third */
    TRI_NODE_WHILE,
    TRI_NODE_FOR,  /* words[0] in words[1...]; first is the body */
    TRI_NODE_PAR,  /* first */
    TRI_NODE_BLOCK /* first, and its siblings by `next` */
};

struct tri_node {
    enum tri_node_kind kind;
    struct tri_token *words;
    int word_count;
    struct tri_node *first, *second, *third;
    struct tri_node *next;      /* the statement after this one */
    struct tri_node *allocated; /* all nodes of a program, for its end */
};

/* What is wrong with a program, and where. */
struct tri_sh_error {
    const char *at;
    bool incomplete; /* more text would mend it */
    char message[256];
};

/* The next token from *at on; false: `error` says what is wrong with it. */
bool tri_sh_token(const char **at, struct tri_token *token, struct tri_sh_error *error);
/* NULL: `error` says what is wrong. It borrows the text. */
struct tri_node *tri_sh_parse(const char *text, struct tri_sh_error *error);
void tri_sh_free(struct tri_node **program);

/* ----------------------------------------------------------------------------------------------------------- values */

/* A value and what it stands on. */
struct tri_sh_value {
    trp_ref *ref;             /* or */
    struct tri_values values; /* owned */
    trp_value value;
};

struct tri_sh_variable {
    struct tri_sh_variable *next;
    struct tri_sh_value held;
    char name[];
};

/* What a command of `par` gave: a call that has not been waited for, or a result that was there at once. */
struct tri_sh_call {
    struct tri_sh_call *next;
    const struct tri_verb *verb;
    struct tri_sh_value held; /* of a call its reference */
    bool is_call, quiet;
    struct tri_source source;
    struct tri_token at;   /* of the source, to point at */
    struct tri_token word; /* the variable that it is assigned to; */
    bool is_assigned;      /* else its result is printed, or gathered */
};

struct tri_sh {
    struct tri_cli cli;
    struct tri_source source; /* of the program that runs */
    struct tri_sh_variable *variables;
    struct tri_sh_call *calls, **last_call; /* of the innermost `par` */
    int par_depth;
    int status;                 /* $? */
    bool interactive;           /* goes on after what fails */
    bool ended;                 /* `exit` */
    bool stopped_node;          /* `stop` */
    int depth;                  /* commands that run, one in the other */
    struct tri_values texts;    /* of `source`, to the end */
    struct tri_sh_value *into;  /* where the verb that runs puts its result; NULL: printed */
    bool asked_for_node;        /* it was one whose answer it is that no node runs */
    bool took;                  /* it has: */
    bool took_call, took_quiet; /* the reference of a call that goes on; it had --quiet */
    const struct tri_verb *took_of;
    struct tri_token took_at; /* the word that it looked at last */
};

void tri_sh_value_fini(struct tri_sh_value *held);
/* Takes the value over: retains `ref`, or copies what stands on nothing. 0, or the exit code. */
int tri_sh_value_set(struct tri_sh *sh, struct tri_sh_value *held, trp_ref *ref, trp_value value);
/* Gives the variable this value, which is emptied. 0, or the exit code. */
int tri_sh_assign(struct tri_sh *sh, const char *name, size_t size, struct tri_sh_value *held);
void tri_sh_unset(struct tri_sh *sh, const char *name);
/* Whether this is a name that a variable may have. */
bool tri_sh_is_name(const char *text, size_t size);
/* Bytes of the name, and of the .key and [index] behind it. */
size_t tri_sh_path_size(const char *text);
/* What "x.key[0]" names, borrowed until the variable changes. */
struct tri_sh_found {
    trp_value value;
    trp_ref *ref;      /* that the value lies in; NULL: in none */
    const char *meant; /* where nothing was found, the name that was probably meant, or NULL */
    char there[200];   /* and what the part of it that was found has; "": none was */
};
bool tri_sh_find(struct tri_sh *sh, const char *path, size_t size, struct tri_sh_found *found);
bool tri_sh_is_true(trp_value value);
/* -1, 0, 1; 2: they cannot be compared. Numbers by size, texts by their bytes; others only for being equal. */
int tri_sh_compare(trp_value a, trp_value b);

/* ------------------------------------------------------------------------------------------------------------ words */

/* The word as text, quotes taken off and variables filled in; malloced. NULL: said, the exit code in *exit_code. */
char *tri_sh_text(struct tri_sh *sh, const struct tri_token *word, int *exit_code);
/* The word as an operand that stands for a value (tri_value_of); malloced. */
char *tri_sh_operand(struct tri_sh *sh, const struct tri_token *word, int *exit_code);
/* The path of "$path" or "${path}", if the word is nothing else. */
bool tri_sh_is_variable(const struct tri_token *word, const char **path, size_t *size);
/* A value as JSON, malloced; a string as the text that it is. NULL: no memory. */
char *tri_sh_json(trp_value value, size_t *size);

/* ---------------------------------------------------------------------------------------------------------- running */

/* The whole of a script, malloced; it is UTF-8, and has no NUL. 0, or the exit code. */
int tri_sh_read(struct tri_cli *cli, FILE *file, const char *name, char **text);
/* Runs a text from beginning to end; the exit code. `source` is borrowed meanwhile. */
int tri_sh_run(struct tri_sh *sh, const struct tri_source *source);
/* Runs a part of a program. `into`: where its result goes; NULL: it is printed. *has_value: it had one. */
int tri_sh_execute(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value);
int tri_sh_flow(struct tri_sh *sh, const struct tri_node *node, struct tri_sh_value *into, bool *has_value);
/* The value of a word by itself: `x = 5`. */
int tri_sh_literal(struct tri_sh *sh, const struct tri_token *word, struct tri_sh_value *held);
/* What the command of `par` that ran last gave, which is emptied; `word`: the variable that it is assigned to, or NULL. */
int tri_sh_add_call(struct tri_sh *sh, struct tri_sh_value *held, const struct tri_token *word);
/* The name of one of the shell's own commands; NULL: past the last one. */
const char *tri_sh_own_name(size_t i);

/* "sh: ..." and the line with the word marked; returns the exit code. */
int tri_sh_refuse(struct tri_sh *sh, const char *at, size_t size, const char *format, ...) TRP_PRINTF(4, 5);
/* The line of the source, the part of it marked. */
void tri_sh_point(struct tri_sh *sh, const char *at, size_t size);

/* ------------------------------------------------------------------------------------------------------ interactive */

/* What the last word of the text could be, a line each, and how many bytes of that are there already; ":files" and ":directories" stand for
 * those. malloced; NULL: nothing. */
char *tri_sh_offers(struct tri_sh *sh, const char *text, size_t *typed_size);
/* Lines typed at a terminal until its end or `exit`. */
int tri_sh_interact(struct tri_sh *sh);

#endif
