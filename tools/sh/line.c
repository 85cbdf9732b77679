/*
 * line.c - lines typed at a terminal: editing and history by libedit, which is loaded only for that. One thread.
 */
#include "tools/sh/sh.h"

#include <dlfcn.h>
#include <errno.h>
#include <histedit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_MAX = 1000 };

/* libedit's functions, by their names. */
struct edit {
    void *library;
    __typeof__(el_init) *el_init;
    __typeof__(el_end) *el_end;
    __typeof__(el_set) *el_set;
    __typeof__(el_gets) *el_gets;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
};

struct terminal {
    struct edit edit;
    EditLine *el;
    History *past;
    char file[512]; /* of the history; "": none */
};

static bool
edit_load(struct edit *edit)
{
    edit->library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (edit->library == NULL)
        return false;
    /* A function's address out of an object's, as POSIX has it. */
    *(void **)&edit->el_init = dlsym(edit->library, "el_init");
    *(void **)&edit->el_end = dlsym(edit->library, "el_end");
    *(void **)&edit->el_set = dlsym(edit->library, "el_set");
    *(void **)&edit->el_gets = dlsym(edit->library, "el_gets");
    *(void **)&edit->history_init = dlsym(edit->library, "history_init");
    *(void **)&edit->history_end = dlsym(edit->library, "history_end");
    *(void **)&edit->history = dlsym(edit->library, "history");
    return edit->el_init != NULL && edit->el_end != NULL && edit->el_set != NULL && edit->el_gets != NULL &&
           edit->history_init != NULL && edit->history_end != NULL && edit->history != NULL;
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
    edit->el_set(terminal->el, EL_SIGNAL, 1); /* a terminal that changes its size */
    edit->el_set(terminal->el, EL_SETTY, "-d", "-isig", NULL);
    edit->el_set(terminal->el, EL_BIND, "^C", "em-kill-line", NULL);
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
    HistEvent event;

    if (terminal->past != NULL && terminal->el != NULL && terminal->file[0] != '\0')
        edit->history(terminal->past, &event, H_SAVE, terminal->file);
    if (terminal->past != NULL)
        edit->history_end(terminal->past);
    if (terminal->el != NULL)
        edit->el_end(terminal->el);
    if (edit->library != NULL)
        (void)dlclose(edit->library);
}

/* One more line at the end of *text; false: there is none. */
static bool
read_line(struct terminal *terminal, char **text)
{
    const size_t before = *text != NULL ? strlen(*text) : 0;
    const char *line;
    char *longer;
    int size = 0;

    terminal->edit.el_set(terminal->el, EL_PROMPT, before == 0 ? prompt : prompt_again);
    do
        line = terminal->edit.el_gets(terminal->el, &size);
    while (line == NULL && errno == EINTR);
    if (line == NULL || size <= 0)
        return false;
    longer = realloc(*text, before + (size_t)size + 1);
    if (longer == NULL)
        return false;
    memcpy(longer + before, line, (size_t)size);
    longer[before + (size_t)size] = '\0';
    *text = longer;
    return true;
}

/* A whole program: lines until it is one, or wrong. NULL: the end. */
static char *
read_program(struct terminal *terminal)
{
    char *text = NULL;
    struct tri_sh_error error;
    struct tri_node *program;
    bool more = true;

    while (more && read_line(terminal, &text)) {
        program = tri_sh_parse(text, &error);
        more = program == NULL && error.incomplete;
        tri_sh_free(&program);
    }
    return text;
}

int
tri_sh_interact(struct tri_sh *sh)
{
    struct terminal terminal = {.file = ""};
    HistEvent event;
    char *text;

    if (!terminal_open(&terminal, sh)) {
        terminal_close(&terminal);
        return tri_fail_text(&sh->cli,
                             "lines are edited by libedit, which cannot be loaded; install libedit2, or run a script");
    }
    sh->interactive = true;
    tri_stop_watch();
    while (!sh->ended && (text = read_program(&terminal)) != NULL) {
        const struct tri_source source = {.name = "line", .text = text};
        if (text[strspn(text, " \t\n")] != '\0')
            terminal.edit.history(terminal.past, &event, H_ENTER, text);
        (void)tri_sh_run(sh, &source);
        tri_stop_clear();
        free(text);
    }
    if (!sh->ended)
        fprintf(sh->cli.out, "\n");
    terminal_close(&terminal);
    return sh->ended ? sh->status : TRI_EXIT_OK;
}
