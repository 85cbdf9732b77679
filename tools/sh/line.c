/*
 * line.c - lines typed at a terminal: editing, history and the Tab key, by libedit, which is loaded only for that. One thread.
 */
#include "tools/sh/sh.h"

#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_MAX = 1000, SHOWN_MAX = 200, WORD_MAX = 300 };

#define LIBRARY "libedit.so.2"

/* libedit's functions, by their names. */
struct edit {
    void *library;
    __typeof__(el_init) *el_init;
    __typeof__(el_end) *el_end;
    __typeof__(el_set) *el_set;
    __typeof__(el_line) *el_line;
    __typeof__(el_source) *el_source;
    __typeof__(el_insertstr) *el_insertstr;
    __typeof__(_el_fn_complete) *el_fn_complete; /* names of files */
    __typeof__(el_gets) *el_gets;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
};

struct terminal {
    struct edit edit;
    struct tri_sh *sh;
    char *program;    /* the lines before the one that is typed; NULL: none */
    bool interrupted; /* by Ctrl-C, at the prompt */
    EditLine *el;
    History *past;
    char file[512]; /* of the history; "": none */
};

static bool
edit_load(struct edit *edit)
{
    edit->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (edit->library == NULL)
        return false;
    /* A function's address out of an object's, as POSIX has it. */
    *(void **)&edit->el_init = dlsym(edit->library, "el_init");
    *(void **)&edit->el_end = dlsym(edit->library, "el_end");
    *(void **)&edit->el_set = dlsym(edit->library, "el_set");
    *(void **)&edit->el_line = dlsym(edit->library, "el_line");
    *(void **)&edit->el_source = dlsym(edit->library, "el_source");
    *(void **)&edit->el_insertstr = dlsym(edit->library, "el_insertstr");
    *(void **)&edit->el_fn_complete = dlsym(edit->library, "_el_fn_complete");
    *(void **)&edit->el_gets = dlsym(edit->library, "el_gets");
    *(void **)&edit->history_init = dlsym(edit->library, "history_init");
    *(void **)&edit->history_end = dlsym(edit->library, "history_end");
    *(void **)&edit->history = dlsym(edit->library, "history");
    return edit->el_init != NULL && edit->el_end != NULL && edit->el_set != NULL && edit->el_gets != NULL &&
           edit->el_line != NULL && edit->el_source != NULL && edit->el_insertstr != NULL &&
           edit->el_fn_complete != NULL && edit->history_init != NULL && edit->history_end != NULL &&
           edit->history != NULL;
}

static const char *
prompt(EditLine *el)
{
    (void)el;
    return "troupe> ";
}

static const char *
prompt_again(EditLine *el)
{
    (void)el;
    return "      > ";
}

/* ------------------------------------------------------------------------------------------------------------ keys */

/* libedit calls a key's function with its own handle alone; el_get, by which that leads to us, is asked for by its name. */
static struct terminal *
terminal_of(EditLine *el)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    struct terminal *terminal = NULL;
    __typeof__(el_get) *get = NULL;

    if (library == NULL)
        return NULL;
    *(void **)&get = dlsym(library, "el_get");
    if (get != NULL)
        (void)get(el, EL_CLIENTDATA, &terminal);
    (void)dlclose(library);
    return terminal;
}

/* Ctrl-C: the program that is typed is forgotten, all of its lines. */
static unsigned char
on_interrupt_key(EditLine *el, int key)
{
    struct terminal *terminal = terminal_of(el);

    (void)key;
    if (terminal == NULL)
        return CC_ERROR;
    terminal->interrupted = true;
    return CC_EOF;
}

/* The text up to the cursor, with the lines before it. malloced. */
static char *
text_before(struct terminal *terminal)
{
    const LineInfo *line = terminal->edit.el_line(terminal->el);
    const char *before = terminal->program != NULL ? terminal->program : "";
    char *text = NULL;

    if (asprintf(&text, "%s%.*s", before, (int)(line->cursor - line->buffer), line->buffer) < 0)
        return NULL;
    return text;
}

/* What all lines begin with, in `shared`; their number. */
static int
shared_beginning(const char *lines, char *shared, size_t size)
{
    int count = 0;

    for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n") + 1, count++) {
        const size_t length = strcspn(line, "\n");
        size_t same = 0;
        if (count == 0)
            (void)snprintf(shared, size, "%.*s", (int)length, line);
        while (same < length && shared[same] == line[same])
            same++;
        if (shared[same] != '\0')
            shared[same] = '\0';
    }
    shared[tri_utf8_end(shared, strlen(shared))] = '\0';
    return count;
}

/* Below the line, in columns. */
static void
show_lines(const struct terminal *terminal, const char *lines, int count)
{
    FILE *out = terminal->sh->cli.out;
    struct winsize window = {.ws_col = 80};
    size_t widest = 1, columns, at = 0;

    for (const char *line = lines; *line != '\0'; line += strcspn(line, "\n") + 1)
        widest = strcspn(line, "\n") > widest ? strcspn(line, "\n") : widest;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
        window.ws_col = 80;
    columns = window.ws_col / (widest + 2) > 0 ? window.ws_col / (widest + 2) : 1;
    fprintf(out, "\n");
    for (const char *line = lines; *line != '\0' && at < SHOWN_MAX; line += strcspn(line, "\n") + 1) {
        const int width = (int)strcspn(line, "\n");
        const bool last = ++at % columns == 0 || line[width + 1] == '\0' || at == SHOWN_MAX;
        fprintf(out, "%.*s%*s%s", width, line, last ? 0 : (int)widest + 2 - width, "", last ? "\n" : "");
    }
    if (count > SHOWN_MAX)
        fprintf(out, "and %d more\n", count - SHOWN_MAX);
    (void)fflush(out);
}

/* Puts in what is missing of a word; what would end it, or be more than itself, with a backslash before it. */
static unsigned char
insert_rest(struct terminal *terminal, const char *rest, bool whole)
{
    char text[2 * WORD_MAX + 2];
    size_t size = 0;

    for (; *rest != '\0' && size < 2 * WORD_MAX; rest++) {
        if (strchr(" \t;|&{}\'\"$\\#", *rest) != NULL)
            text[size++] = '\\';
        text[size++] = *rest;
    }
    if (whole)
        text[size++] = ' ';
    text[size] = '\0';
    return terminal->edit.el_insertstr(terminal->el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

/* Tab: puts in what all that fit have in common; shows them where that is nothing more. */
static unsigned char
on_tab_key(EditLine *el, int key)
{
    struct terminal *terminal = terminal_of(el);
    char *text = terminal != NULL ? text_before(terminal) : NULL, *lines = NULL;
    char shared[WORD_MAX + 1] = "";
    size_t typed = 0;
    unsigned char done = CC_ERROR;
    int count;

    if (text != NULL)
        lines = tri_sh_offers(terminal->sh, text, &typed);
    count = lines != NULL ? shared_beginning(lines, shared, sizeof shared) : 0;
    if (count == 1 && (shared[0] == ':' || (shared[0] == '-' && strstr(shared, "=:") != NULL))) {
        done = terminal->edit.el_fn_complete(el, key);
    } else if (count == 1 || strlen(shared) > typed) {
        done = insert_rest(terminal, shared + typed, count == 1);
    } else if (count > 1) {
        show_lines(terminal, lines, count);
        done = CC_REDISPLAY;
    }
    free(lines);
    free(text);
    return done;
}

/* ------------------------------------------------------------------------------------------------------- the terminal */

/* Where the history lies: $XDG_STATE_HOME/troupe/history, else below ~/.local/state. */
static void
find_history(struct terminal *terminal)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *slash;
    int size = -1;

    if (state != NULL && state[0] == '/')
        size = snprintf(terminal->file, sizeof terminal->file, "%s/troupe/history", state);
    else if (home != NULL && home[0] == '/')
        size = snprintf(terminal->file, sizeof terminal->file, "%s/.local/state/troupe/history", home);
    if (size < 0 || (size_t)size >= sizeof terminal->file) {
        terminal->file[0] = '\0';
        return;
    }
    for (slash = strchr(terminal->file + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(terminal->file, 0700); /* what is wrong shows when the file is written */
        *slash = '/';
    }
}

static bool
terminal_open(struct terminal *terminal, struct tri_sh *sh)
{
    HistEvent event;
    struct edit *edit = &terminal->edit;

    if (!edit_load(edit))
        return false;
    terminal->el = edit->el_init("troupe", stdin, sh->cli.out, sh->cli.err);
    terminal->past = edit->history_init();
    if (terminal->el == NULL || terminal->past == NULL)
        return false;
    edit->el_set(terminal->el, EL_EDITOR, "emacs");
    (void)edit->el_source(terminal->el, NULL); /* ~/.editrc, where there is one */
    edit->el_set(terminal->el, EL_SIGNAL, 1);  /* a terminal that changes its size */
    edit->el_set(terminal->el, EL_SETTY, "-d", "-isig", NULL);
    edit->el_set(terminal->el, EL_SETTY, "-x", "-echoctl", NULL); /* Ctrl-C in a call leaves no ^C on the line */
    edit->el_set(terminal->el, EL_CLIENTDATA, terminal);
    edit->el_set(terminal->el, EL_ADDFN, "troupe-interrupt", "forgets what is typed", on_interrupt_key);
    edit->el_set(terminal->el, EL_ADDFN, "troupe-complete", "completes the word", on_tab_key);
    edit->el_set(terminal->el, EL_BIND, "^C", "troupe-interrupt", NULL);
    edit->el_set(terminal->el, EL_BIND, "^I", "troupe-complete", NULL);
    edit->el_set(terminal->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    edit->history(terminal->past, &event, H_SETSIZE, HISTORY_MAX);
    edit->history(terminal->past, &event, H_SETUNIQUE, 1);
    edit->el_set(terminal->el, EL_HIST, edit->history, terminal->past);
    find_history(terminal);
    if (terminal->file[0] != '\0')
        edit->history(terminal->past, &event, H_LOAD, terminal->file);
    return true;
}

static void
terminal_close(struct terminal *terminal)
{
    struct edit *edit = &terminal->edit;

    if (terminal->past != NULL)
        edit->history_end(terminal->past);
    if (terminal->el != NULL)
        edit->el_end(terminal->el);
    if (edit->library != NULL)
        (void)dlclose(edit->library);
}

/* One more line at the end of what is typed; false: there is none. */
static bool
read_line(struct terminal *terminal)
{
    const size_t before = terminal->program != NULL ? strlen(terminal->program) : 0;
    const char *line;
    char *longer;
    int size = 0;

    terminal->edit.el_set(terminal->el, EL_PROMPT, before == 0 ? prompt : prompt_again);
    terminal->interrupted = false;
    do {
        /* Before the prompt: what is typed as soon as that is seen would be echoed twice. */
        terminal->edit.el_set(terminal->el, EL_PREP_TERM, 1);
        line = terminal->edit.el_gets(terminal->el, &size);
    } while (line == NULL && size < 0 && errno == EINTR);
    if (line == NULL || size <= 0)
        return false;
    longer = realloc(terminal->program, before + (size_t)size + 1);
    if (longer == NULL)
        return false;
    memcpy(longer + before, line, (size_t)size);
    longer[before + (size_t)size] = '\0';
    terminal->program = longer;
    return true;
}

/* A whole program in terminal->program: lines until it is one, or wrong. false: the end. */
static bool
read_program(struct terminal *terminal)
{
    struct tri_sh_error error;
    struct tri_node *program;
    bool more = true;

    while (more) {
        if (read_line(terminal)) {
            program = tri_sh_parse(terminal->program, &error);
            more = program == NULL && error.incomplete;
            tri_sh_free(&program);
        } else if (terminal->interrupted) {
            fprintf(terminal->sh->cli.out, "^C\n");
            free(terminal->program);
            terminal->program = NULL;
        } else {
            break;
        }
    }
    return terminal->program != NULL;
}

/* What was typed is kept at once: whoever closes the terminal does not ask us. */
static void
remember(struct terminal *terminal)
{
    HistEvent event;

    if (terminal->program[strspn(terminal->program, " \t\n")] == '\0')
        return;
    terminal->edit.history(terminal->past, &event, H_ENTER, terminal->program);
    if (terminal->file[0] != '\0')
        terminal->edit.history(terminal->past, &event, H_SAVE, terminal->file);
}

int
tri_sh_interact(struct tri_sh *sh)
{
    struct terminal terminal = {.sh = sh, .file = ""};

    (void)setlocale(LC_CTYPE, ""); /* how wide characters are */
    if (!terminal_open(&terminal, sh)) {
        terminal_close(&terminal);
        return tri_fail_text(&sh->cli,
                             "lines are edited by libedit, which cannot be loaded; install libedit2, or run a script");
    }
    sh->interactive = true;
    tri_stop_watch();
    while (!sh->ended && read_program(&terminal)) {
        const struct tri_source source = {.name = "line", .text = terminal.program};
        remember(&terminal);
        tri_stop_clear(); /* what was pressed between two commands was for none */
        (void)tri_sh_run(sh, &source);
        free(terminal.program);
        terminal.program = NULL;
    }
    if (!sh->ended)
        fprintf(sh->cli.out, "\n");
    terminal_close(&terminal);
    return sh->ended ? sh->status : TRI_EXIT_OK;
}
