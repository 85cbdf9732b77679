/*
 * cli.h - what the command's verbs, and the shell, share: the table of verbs and its options, JSON in and out, what is said to
 * stdout and stderr, the connection to the node, Ctrl-C. Private to tools/. One thread. It uses the public interface only, and
 * knows no verb.
 *
 * A verb is a row (struct tri_verb) in a file of tools/verbs/, and a line in the table of troupe.c. tri_cli_run finds the row,
 * parses the command line by it, and calls `run`; the shell calls tri_cli_run, too, with its own struct tri_cli. So a verb
 *   - reads its operands and options from `args`, both checked against its row already;
 *   - writes results by tri_give (one value), tri_give_rows (a listing) or tri_print (text, unless tri_wants_value), never to
 *     stdout itself;
 *   - reports what went wrong by tri_refuse (the command line: 2), tri_fail (a trp_error: by its code) or tri_fail_text (1),
 *     each of which prints its line and returns the exit code: `return tri_fail(cli, &error, NULL);`
 *   - takes the node from tri_join, and lets go of what it got from it before it returns;
 *   - waits by tri_await or in slices (tri_slice_ms), so that Ctrl-C and --timeout end it; where cli->later it does not wait for
 *     what it has called, but gives the reference and sets cli->is_later.
 */
#ifndef TRI_CLI_H
#define TRI_CLI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <troupe/runtime.h>

struct tri_cli;
struct tri_args;
struct tri_settings; /* settings.h */

/* --------------------------------------------------------------------------------------------------------- exit codes */

/* What is not here comes from an error's code: tri_exit_of. troupe(1) has the table. */
enum {
    TRI_EXIT_OK = 0,
    TRI_EXIT_FAILED = 1, /* the command itself: a file, its output, a program that cannot be started */
    TRI_EXIT_USAGE = 2,
    TRI_EXIT_CORRECT = 3, /* the groups of TRP_ERRORS, from here on */
    TRI_EXIT_NAME = 4,
    TRI_EXIT_AGAIN = 5,
    TRI_EXIT_ROOM = 6,
    TRI_EXIT_METHOD = 7,
    TRI_EXIT_DIED = 8,
    TRI_EXIT_NODE = 9,
    TRI_EXIT_OTHER = 10,
    TRI_EXIT_TIME = 124,    /* as timeout(1) */
    TRI_EXIT_STOPPED = 130, /* Ctrl-C, as a shell shows it */
    TRI_EXIT_PIPE = 141     /* whoever reads our output has gone, as a shell shows SIGPIPE */
};

int tri_exit_of(trp_err err);

/* ------------------------------------------------------------------------------------------------- the table of verbs */

/* What a word may be: for completion, and for "did you mean". Rows of completion.c. */
#define TRI_WORD_ACTOR     "actor"
#define TRI_WORD_METHOD    "method" /* of the actor before it */
#define TRI_WORD_CLASS     "class"  /* module:Class */
#define TRI_WORD_TASK      "task"   /* module:function */
#define TRI_WORD_MODULE    "module"
#define TRI_WORD_REF       "ref"
#define TRI_WORD_FILE      "file"
#define TRI_WORD_DIRECTORY "directory"
#define TRI_WORD_PROGRAM   "program" /* in $PATH, or a file */
#define TRI_WORD_VERB      "verb"

struct tri_option {
    const char *name;  /* without its dashes */
    char letter;       /* 'f' for -f; 0: none */
    const char *value; /* what it takes, as in "NAME"; NULL: a flag */
    const char *about; /* for --help: begins with a small letter, no full stop */
    const char *word;  /* what the value may be: a TRI_WORD_, or words parted by '|'; NULL: anything */
};

/* Flags of a verb. Every verb has --json, --quiet, --verbose, --no-color and --help. */
enum {
    TRI_NEEDS_NODE = 1,    /* has --dir, --namespace and --timeout, too */
    TRI_REST_IS_GIVEN = 2, /* what follows the first operand is nobody's option: `troupe run PROGRAM -x` */
    TRI_HIDDEN = 4,        /* not in the list of verbs */
    TRI_ASKS_FOR_NODE = 8  /* that no node runs is its answer, and a condition of the shell's */
};

struct tri_verb {
    const char *name;         /* one word, or two: "ls", "module new" */
    const char *group;        /* under which heading `troupe help` has it */
    const char *about;        /* one line, as an option's */
    const char *operands;     /* as in "ACTOR METHOD [ARG...]": one word for each; [] may be left out, ... repeats */
    const char *const *words; /* of the operands, in order: a TRI_WORD_ or words parted by '|'; ended by NULL */
    const struct tri_option *options; /* its own, ended by a zero row; NULL: none */
    unsigned flags;
    const char *more; /* further text for --help, lines ended by \n; NULL: none */
    int (*run)(struct tri_cli *cli, const struct tri_args *args);
};

/* The command line, parsed. */
enum { TRI_OPTIONS_MAX = 32 };
struct tri_args {
    const struct tri_verb *verb;
    char **operands; /* as they were typed, in order */
    int count;
    const char *values[TRI_OPTIONS_MAX]; /* private: tri_option */
};

/* The option's text, "" for a flag that was given, NULL where it was not. */
const char *tri_option(const struct tri_args *args, const char *name);
/* A number from 0 on in *amount, of CPUs or the like; false: it is none. */
bool tri_read_amount(const char *text, double *amount);
/* A whole number from least to most in *number; otherwise 2, and it is said. */
int tri_take_number(struct tri_cli *cli, const char *what, const char *text, int64_t least, int64_t most,
                    int64_t *number);
/* A time such as "5", "0.5", "200ms", "5s", "2m", "1h" (a bare number is seconds) in *ms. */
#define TRI_TIME_WANTED "a time such as 5 (seconds), 200ms, 2m or 1h"
bool tri_read_time(const char *text, int64_t *ms);
/* The same, or 2, and it is said. */
int tri_take_time(struct tri_cli *cli, const char *what, const char *text, int64_t *ms);

/* -------------------------------------------------------------------------------------------------------- the command */

/* Whoever wants results as values instead of text (the shell). `ref` is where the value lies, NULL if nowhere; retain it to
 * keep the value. Returns the exit code. */
typedef int tri_take_fn(void *user, trp_ref *ref, trp_value value);
/* What %name stands for; false: nothing of the taker's. The value is borrowed until the verb has returned. */
typedef bool tri_find_fn(void *user, const char *name, trp_value *value);

struct tri_cli {
    const struct tri_verb *const *verbs; /* the table, ended by NULL */
    const char *(*own_name)(size_t i);   /* what the shell has beside these, up to NULL; NULL: nothing */
    FILE *out, *err;                     /* stdout and stderr, or where the shell sends them */
    FILE *in;                            /* what the operand '-' reads */
    tri_take_fn *take;                   /* NULL: results are printed */
    tri_find_fn *find;                   /* NULL: %name is what the node keeps */
    void *user;                          /* of both */
    const struct tri_args *defaults;     /* common options where a command line has none (`troupe sh -q`); NULL: none */
    /* Of the verb that runs: */
    const struct tri_verb *verb;
    bool json, raw, full, quiet, verbose, no_color;
    const char *directory;  /* of the node: --dir, else NULL */
    const char *namespace_; /* --namespace, else NULL */
    int64_t timeout_ms;     /* --timeout, else TRP_FOREVER */
    const char *word;       /* of argv, or in one of them: what is looked at, so that the shell can point at it */
    bool later;             /* calls are not waited for: `take` has their references (par of the shell), */
    bool is_later;          /* and this tells that it was one */
    /* Of the process: */
    trp_runtime *runtime;          /* NULL until tri_join */
    char joined_directory[256];    /* whose node that is */
    char joined_namespace[256];    /* and what its names are looked up in */
    struct tri_settings *settings; /* of the configuration files; NULL: not read yet */
    bool owes;                     /* something was sent that has no answer: it must reach the broker before we go */
    bool has_cancelled;            /* Ctrl-C has, and it was said */
    bool hushed;                   /* tri_hush */
    int write_errno;               /* the first failure to write to `out` since it was last reported */
};

void tri_cli_init(struct tri_cli *cli, const struct tri_verb *const *verbs);
/* Ends the process. What had an answer is done, and the broker sees that its door closes: only what has none is waited for. A
 * shut-down in order would be a fifth of what `troupe call` costs. */
_Noreturn void tri_cli_exit(struct tri_cli *cli, int exit_code);

/* Runs a verb: argv[0] is its name (argv[0] and argv[1], where that has two words). All that it printed is written when this
 * returns its exit code. */
int tri_cli_run(struct tri_cli *cli, int argc, char **argv);
/* The row of these words, and how many of them are its name; NULL: there is none. */
const struct tri_verb *tri_verb_find(const struct tri_cli *cli, int argc, char **argv, int *words);

/* --------------------------------------------------------------------------------------------------------------- output */

/* Text for stdout, unless --quiet. */
void tri_print(struct tri_cli *cli, const char *format, ...) TRP_PRINTF(2, 3);
/* For stderr, where --verbose was given: "troupe VERB: ...". */
void tri_tell(struct tri_cli *cli, const char *format, ...) TRP_PRINTF(2, 3);
/* Writes out what was printed: 0, or the exit code of having failed, which is said. For verbs that go on printing. */
int tri_flush(struct tri_cli *cli);
/* Whether `file` wants colours: a terminal, no NO_COLOR, no --no-color, and not TERM=dumb. */
bool tri_has_colours(const struct tri_cli *cli, FILE *file);

/* Whether what a verb has for people as text is wanted as a value: --json, or the shell takes it. */
bool tri_wants_value(const struct tri_cli *cli);
/* The result of a verb: handed to the shell, or printed as one line of JSON. */
int tri_give(struct tri_cli *cli, trp_ref *ref, trp_value value);

/* A column of a listing: the text or number under `key`, or what `show` makes of the row, where a NULL `key` means several. */
struct tri_column {
    const char *heading;
    const char *key;
    bool right; /* numbers */
    void (*show)(trp_value row, const char *key, char *text, size_t size);
};
/* For columns: a process's number, "-" where it has none. */
void tri_show_pid(trp_value row, const char *key, char *text, size_t size);
/* A LIST of MAPs: handed to the shell, or a JSON array of whole rows (--json), or a table. `none` is said on stderr where there
 * are no rows, and the table is for people. */
int tri_give_rows(struct tri_cli *cli, trp_ref *ref, trp_value rows, const struct tri_column *columns, size_t count,
                  const char *none);

/* --------------------------------------------------------------------------------------------------------------- errors */

/* Each prints one line on stderr, "troupe VERB: cause; remedy", and returns the exit code. With --json the line is an object:
 * {"error": {...}}. A NULL remedy: the one that fits the code, if any. */
int tri_refuse(struct tri_cli *cli, const char *format, ...) TRP_PRINTF(2, 3);
int tri_fail(struct tri_cli *cli, const trp_error *error, const char *remedy);
/* The same for what a reference failed with: --verbose shows all that is known about it (tri_show_failure). */
int tri_fail_ref(struct tri_cli *cli, trp_ref *ref, const trp_error *error, const char *remedy);
/* The remedy where a wait is over and its result, which `troupe why` knows by that name, may still come; NULL: it is not so. */
const char *tri_remedy_of_wait(const trp_ref *ref, const char *name, const trp_error *error, char *text, size_t size);
int tri_fail_text(struct tri_cli *cli, const char *format, ...) TRP_PRINTF(2, 3);
/* A line like these that is no error yet. */
void tri_say(struct tri_cli *cli, const char *format, ...) TRP_PRINTF(2, 3);
/* As tri_fail_text, with "path: strerror". */
int tri_fail_file(struct tri_cli *cli, const char *path, int err);

/* While more is asked only to say something better: nothing is said of what fails, and a second is enough for it. */
struct tri_hush {
    bool hushed;
    int64_t timeout_ms;
};
struct tri_hush tri_hush(struct tri_cli *cli);
void tri_unhush(struct tri_cli *cli, struct tri_hush before);

/* The word of `words` (ended by NULL) that was probably meant; NULL: none is near. */
const char *tri_suggest(const char *typed, const char *const *words);
/* "unknown verb 'benc'; did you mean 'bench'?", refused. */
int tri_unknown(struct tri_cli *cli, const char *kind, const char *typed, const char *const *words);

/* ----------------------------------------------------------------------------------------------------------- the node */

/* Where the node is: --dir, $TROUPE_DIR, the default; whether one runs there or not. */
int tri_directory_of(struct tri_cli *cli, char *text, size_t size);
/* Joins it, once. 0: cli->runtime is there. No node is ever started by this. */
int tri_join(struct tri_cli *cli);
/* A handle on the actor of that name: "name", "namespace/name", "actor:ID" as it is printed, or %NAME of the shell's; else it is
 * said, with the name that was probably meant. */
int tri_find_actor(struct tri_cli *cli, const char *name, trp_actor **actor);
/* What the node keeps (trp_keep) under that name or id, "ref:NAME" or %NAME; else it is said. */
int tri_find_kept(struct tri_cli *cli, const char *operand, trp_ref **ref);
/* The name alone, cut to `size`. */
void tri_kept_name(const char *operand, char *name, size_t size);
/* LIST of MAPs of all that it keeps. *ref is to be released. */
int tri_kept_ask(struct tri_cli *cli, trp_ref **ref, trp_value *rows);
/* Asks the broker (trp_query) and waits for the answer. *ref is to be released. */
int tri_ask(struct tri_cli *cli, const char *what, trp_ref **ref, trp_value *answer);

/* Whether a new name can be told from how handles and references are written; or 2, and it is said. */
int tri_check_name(struct tri_cli *cli, const char *name);

/* Waits for a reference, for --timeout at most, or until Ctrl-C. 0: *value is there (`value` may be NULL), until it is released;
 * otherwise it is said, `what` being the subject, as in "counter.greet". */
int tri_await(struct tri_cli *cli, trp_ref *ref, const char *what, trp_value *value);
/* The same without a word: why not is in *error. */
trp_err tri_wait_for(struct tri_cli *cli, trp_ref *ref, const char *what, trp_value *value, trp_error *error);
/* The same of calls of our own, which the first Ctrl-C cancels, all of them; their end is waited for. TRP_ECANCELLED: it was said,
 * and tri_fail has nothing to add. */
struct tri_own_calls {
    trp_ref *const *refs; /* NULL: none */
    size_t count;
    const char *what; /* for the sentence: "counter.greet" */
    bool cancelled;
};
trp_err tri_wait_for_own(struct tri_cli *cli, struct tri_own_calls *own, trp_ref *ref, trp_value *value,
                         trp_error *error);
/* For loops that wait by themselves: when --timeout is over, and how long the next wait may be, so that Ctrl-C is seen; 0: it is
 * over. */
int64_t tri_until_ms(const struct tri_cli *cli);
int64_t tri_slice_ms(int64_t until_ms);
/* What is known of a failure (trp_failure) beside its message, with what led to it; and a death record (trp_watch). */
void tri_show_failure(FILE *out, trp_value failure);
void tri_show_death(FILE *out, trp_value death);

/* --------------------------------------------------------------------------------------------------------------- times */

/* The clock that nobody sets, since some moment. */
int64_t tri_clock_ns(void);
int64_t tri_clock_ms(void);
/* "3.2s", "5m10s", "2h5m", "3d4h"; "unknown" if it is negative. */
void tri_seconds_text(double s, char *text, size_t size);

/* -------------------------------------------------------------------------------------------------------------- Ctrl-C */

/* From here on the first Ctrl-C is noted, and the second ends the process with 130. tri_await does it, too. */
void tri_stop_watch(void);
/* From here on the first one ends the process, also one that was noted: for what cannot be told to end, such as reading. */
void tri_stop_unwatch(void);
/* It was pressed since tri_stop_watch or tri_stop_clear. */
bool tri_stopped(void);
void tri_stop_clear(void);
/* What puts the terminal right before the second Ctrl-C ends the process; called in a handler. NULL: nothing. */
void tri_stop_before(void (*restore)(void));
/* Ends the process as if nobody had caught the signal. */
void tri_stop_die(void);

/* ---------------------------------------------------------------------------------------------------- values and JSON */

/* What operands stand for; owns all of it. Zeroed before its first use. */
struct tri_values {
    struct tri_held *held;
    bool has_read_stdin;
};
void tri_values_fini(struct tri_values *values);

/* One operand as a value: JSON; "@file" and '-', the JSON in there; "%name", what the node or the shell keeps; another word is a
 * string. Strings of JSON that begin with ref:, actor:, bytes:, f64: or str: are what they say. 0, or the exit code. */
int tri_value_of(struct tri_cli *cli, struct tri_values *values, const char *operand, trp_value *value);
/* The arguments of a call: as above, and "name=VALUE", which come last. */
int tri_arguments(struct tri_cli *cli, struct tri_values *values, char *const *operands, int count, trp_value *args);
/* Whether an operand is "module:Class" or "module:function", as `form` has it; or 2, and it is said. */
int tri_check_offered(struct tri_cli *cli, const char *operand, const char *form);
/* Whether the text is the path of a module's file, and the module's name: "fib" for "dir/fib.so". */
bool tri_module_of_file(const char *text, size_t size, char *name, size_t name_size);
/* The whole of a file, malloced, with a NUL behind it; `name` is what it is called where it cannot be read, or has more than
 * `most` bytes (SIZE_MAX: it may have any number). 0, or the exit code; *text is NULL then. */
int tri_read_all(struct tri_cli *cli, FILE *file, const char *name, size_t most, char **text, size_t *size);
/* JSON text; `where` names it in sentences. */
int tri_json_read(struct tri_cli *cli, struct tri_values *values, const char *where, const char *text, size_t size,
                  trp_value *value);
/* Keeps memory, or a handle, until tri_values_fini. false: no memory, and it is released. */
bool tri_values_hold(struct tri_values *values, void *thing, void (*release)(void *thing));

/* Writes a value as JSON that tri_value_of takes. Not `full`: tensors and long bytes are summed up, which it does not take. */
void tri_json_write(FILE *out, trp_value value, bool full);
/* The same for a C string. */
void tri_json_write_text(FILE *out, const char *text, size_t size);

/* Where the UTF-8 ends: `size` if all of it is, else the offset of the first byte that is not. */
size_t tri_utf8_end(const char *text, size_t size);

#endif
