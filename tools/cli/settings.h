/*
 * settings.h - what can be set, and where: an option of the command line, else a variable of the environment, else a
 * configuration file, else the default. Private to tools/. One thread.
 *
 * The files are /etc/troupe.cfg, then ~/.config/troupe/troupe.cfg, then the one that $TROUPE_CONFIG names; a later one wins. An
 * empty $TROUPE_CONFIG: none of them is read. troupe.cfg(5).
 */
#ifndef TRI_SETTINGS_H
#define TRI_SETTINGS_H

#include "tools/cli/cli.h"

enum tri_key {
    TRI_KEY_DIR,
    TRI_KEY_MODULE_PATH,
    TRI_KEY_NUM_CPUS,
    TRI_KEY_NUM_GPUS,
    TRI_KEY_STORE,
    TRI_KEY_SPILL_DIR,
    TRI_KEY_SPILL_MAX,
    TRI_KEY_SPILL_AT,
    TRI_KEY_LOG_LEVEL,
    TRI_KEY_LOG_FILE,
    TRI_KEY_NAMESPACE,
    TRI_KEY_TIMEOUT,
    TRI_KEY_COLOR,
    TRI_KEY_COUNT
};

/* A row of the table of all settings. */
struct tri_setting {
    const char *section, *key; /* in a file; `key` is the option's name, too */
    const char *variable;      /* NULL: none */
    const char *fallback;      /* what it is where nothing is said, for people */
};
const struct tri_setting *tri_setting_at(enum tri_key key);

/* What is set: `option` where that is given, and so on. *text NULL: nothing, the default. 0, or the exit code of a file that is
 * wrong, which was said. */
int tri_setting(struct tri_cli *cli, enum tri_key key, const char *option, const char **text);
/* Of the same: the file, or "$VARIABLE"; "default". After tri_setting has returned 0. */
const char *tri_setting_from(struct tri_cli *cli, enum tri_key key);

/* What it has to be where `text` is not that; NULL: it is good, or is checked by who uses it. */
const char *tri_setting_wants(enum tri_key key, const char *text);

/* Reads the files, once; the second time it says nothing and returns 0, what could be read being set. */
int tri_settings_load(struct tri_cli *cli);
/* The number of the first line, or the last one, that begins with the word; 0: there is none. */
int tri_settings_line_of(const char *text, const char *word, bool last);
/* "line 2: it begins with a tab; ..." for what the reader has to say of a file with this text: "(2) invalid syntax". */
void tri_settings_explain(const char *text, const char *why, char *said, size_t size);
/* The files that were read want no colours. */
bool tri_settings_no_color(const struct tri_cli *cli);

/* Where the command itself lies, so that its plug-in and the node's program are found; "" where that is not known. */
void tri_own_directory(char *text, size_t size);

#endif
