/*
 * settings.c - the table of settings, and the configuration files. One thread. The files are read by a plug-in
 * (tools/config/), and here checked against the table.
 */
#include "tools/cli/settings.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/config/config.h"

enum { FILE_MAX = 65536, FILES = 3 };

static const struct tri_setting settings[TRI_KEY_COUNT] = {
    [TRI_KEY_DIR] = {"node", "dir", "TROUPE_DIR", "$XDG_RUNTIME_DIR/troupe or /tmp/troupe-UID"},
    [TRI_KEY_MODULE_PATH] = {"node", "module-path", "TRP_MODULE_PATH", "the installed modules"},
    [TRI_KEY_NUM_CPUS] = {"node", "num-cpus", NULL, "as many as the process may use"},
    [TRI_KEY_NUM_GPUS] = {"node", "num-gpus", NULL, "0"},
    [TRI_KEY_STORE] = {"node", "store", NULL, "30 % of the memory"},
    [TRI_KEY_SPILL_DIR] = {"node", "spill-dir", "TROUPE_SPILL_DIR", "/var/tmp/troupe-UID"},
    [TRI_KEY_SPILL_MAX] = {"node", "spill-max", NULL, "half of what is free there"},
    [TRI_KEY_SPILL_AT] = {"node", "spill-at", NULL, "80"},
    [TRI_KEY_LOG_LEVEL] = {"node", "log-level", NULL, "info"},
    [TRI_KEY_LOG_FILE] = {"node", "log-file", NULL, "stderr; DIR/log of a daemon"},
    [TRI_KEY_NAMESPACE] = {"command", "namespace", NULL, "default"},
    [TRI_KEY_TIMEOUT] = {"command", "timeout", NULL, "as long as it takes"},
    [TRI_KEY_COLOR] = {"command", "color", "NO_COLOR", "on a terminal"},
};

struct tri_settings {
    char *texts[TRI_KEY_COUNT]; /* of the files */
    int files[TRI_KEY_COUNT];   /* in which: 1 to FILES */
    char paths[FILES][512];
};

const struct tri_setting *
tri_setting_at(enum tri_key key)
{
    return &settings[key];
}

/* ---------------------------------------------------------------------------------------------------------- its values */

static bool
is_amount(const char *text)
{
    double amount;

    return tri_read_amount(text, &amount) && amount <= 1e6;
}

static bool
is_size(const char *text)
{
    const size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits < 16 &&
           (text[digits] == '\0' || (strchr("KMGT", text[digits]) != NULL && text[digits + 1] == '\0'));
}

static bool
is_level(const char *text)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(text, levels[i]) == 0)
            return true;
    return false;
}

static bool
is_percent(const char *text)
{
    char *end = NULL;
    const long percent = strtol(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && percent >= 1 && percent <= 100;
}

static bool
is_time(const char *text)
{
    int64_t ms;

    return tri_read_time(text, &ms);
}

const char *
tri_setting_wants(enum tri_key key, const char *text)
{
    static const struct {
        bool (*is_good)(const char *text);
        const char *wants;
    } rows[TRI_KEY_COUNT] = {
        [TRI_KEY_NUM_CPUS] = {is_amount, "a number from 0 to 1000000"},
        [TRI_KEY_NUM_GPUS] = {is_amount, "a number from 0 to 1000000"},
        [TRI_KEY_STORE] = {is_size, "a number of bytes, or one with K, M, G or T"},
        [TRI_KEY_SPILL_MAX] = {is_size, "a number of bytes, or one with K, M, G or T"},
        [TRI_KEY_SPILL_AT] = {is_percent, "a number of percent from 1 to 100"},
        [TRI_KEY_LOG_LEVEL] = {is_level, "error, warning, info or debug"},
        [TRI_KEY_TIMEOUT] = {is_time, TRI_TIME_WANTED},
    };

    return text == NULL || rows[key].is_good == NULL || rows[key].is_good(text) ? NULL : rows[key].wants;
}

/* -------------------------------------------------------------------------------------------------------- one file */

struct reading {
    struct tri_cli *cli;
    int file; /* 1 to FILES */
    const char *path, *text;
    bool seen[TRI_KEY_COUNT];
    int exit_code;
};

static int
refuse_key(struct reading *reading, const char *section, const char *key)
{
    const char *names[TRI_KEY_COUNT + 1] = {NULL};
    const char *meant;
    int count = 0;

    for (int i = 0; i < TRI_KEY_COUNT; i++)
        if (strcmp(settings[i].section, section) == 0)
            names[count++] = settings[i].key;
    meant = tri_suggest(key, names);
    return tri_fail_text(reading->cli, "%s: line %d: section '%.64s' has no '%.64s'; %s%s%s", reading->path,
                         tri_settings_line_of(reading->text, key, false), section, key,
                         meant != NULL ? "did you mean '" : "troupe.cfg(5) lists them", meant != NULL ? meant : "",
                         meant != NULL ? "'?" : "");
}

static int
take_key(struct reading *reading, const char *section, const char *key, const char *value)
{
    struct tri_settings *all = reading->cli->settings;
    int i = 0;

    while (i < TRI_KEY_COUNT && (strcmp(settings[i].section, section) != 0 || strcmp(settings[i].key, key) != 0))
        i++;
    if (i == TRI_KEY_COUNT)
        return refuse_key(reading, section, key);
    if (reading->seen[i])
        return tri_fail_text(reading->cli, "%s: line %d: '%s' of section '%s' is there twice", reading->path,
                             tri_settings_line_of(reading->text, key, true), key, section);
    reading->seen[i] = true;
    if (value[0] == '\0')
        return tri_fail_text(reading->cli, "%s: line %d: '%s' of section '%s' is empty; it is written %s = VALUE",
                             reading->path, tri_settings_line_of(reading->text, key, true), key, section, key);
    if ((i == TRI_KEY_DIR || i == TRI_KEY_LOG_FILE) && value[0] != '/')
        return tri_fail_text(reading->cli, "%s: '%s' is '%.200s'; in a file it has to be a full path", reading->path,
                             key, value);
    if (i == TRI_KEY_COLOR && strcmp(value, "auto") != 0 && strcmp(value, "never") != 0)
        return tri_fail_text(reading->cli, "%s: 'color' is '%.200s'; it has to be auto or never", reading->path, value);
    free(all->texts[i]);
    all->texts[i] = strdup(value);
    all->files[i] = reading->file;
    return all->texts[i] != NULL ? TRI_EXIT_OK : tri_fail_text(reading->cli, "out of memory");
}

static int
refuse_section(struct reading *reading, const char *section, const char *key)
{
    static const char *const sections[] = {"node", "command", NULL};
    const int line = tri_settings_line_of(reading->text, section, false);
    const char *meant = tri_suggest(section, sections);

    for (int i = 0; i < TRI_KEY_COUNT; i++) {
        if (strcmp(settings[i].key, section) != 0)
            continue;
        if (key != NULL)
            return tri_fail_text(reading->cli, "%s: line %d: '%.64s' stands below a setting; four spaces are enough",
                                 reading->path, tri_settings_line_of(reading->text, key, false), key);
        return tri_fail_text(reading->cli,
                             "%s: line %d: '%s' is a setting; it stands below a line '%s', indented by four spaces",
                             reading->path, line, section, settings[i].section);
    }
    return tri_fail_text(reading->cli, "%s: line %d: there is no section '%.64s'; %s%s%s", reading->path, line, section,
                         meant != NULL ? "did you mean '" : "there is node and command", meant != NULL ? meant : "",
                         meant != NULL ? "'?" : "");
}

static void
on_row(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    const bool is_section = strcmp(section, "node") == 0 || strcmp(section, "command") == 0;

    if (reading->exit_code != TRI_EXIT_OK)
        return;
    if (!is_section) {
        reading->exit_code = refuse_section(reading, section, key);
    } else if (key == NULL && value != NULL && value[0] != '\0') {
        reading->exit_code = tri_fail_text(reading->cli, "%s: line %d: '%s' is a section, and has no value of its own",
                                           reading->path, tri_settings_line_of(reading->text, section, false), section);
    } else if (key != NULL) {
        reading->exit_code = take_key(reading, section, key, value != NULL ? value : "");
    }
}

void
tri_own_directory(char *text, size_t size)
{
    const ssize_t got = readlink("/proc/self/exe", text, size - 1);
    char *slash;

    text[got > 0 ? got : 0] = '\0';
    slash = strrchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* Beside the command in a build's directory, else where it is installed. */
static troupe_config_read_fn *
load_plugin(struct tri_cli *cli, const char *path)
{
    char own[512], plugin[640];
    void *library;
    troupe_config_read_fn *found = NULL;

    tri_own_directory(own, sizeof own);
    (void)snprintf(plugin, sizeof plugin, "%s/troupe-config.so", own);
    if (access(plugin, F_OK) != 0)
        (void)snprintf(plugin, sizeof plugin, "%s/" TRI_PLUGIN_DIR "/troupe-config.so", own);
    library = dlopen(plugin, RTLD_LAZY | RTLD_LOCAL);
    if (library != NULL)
        found = (troupe_config_read_fn *)dlsym(library, "troupe_config_read"); /* it stays loaded */
    if (found == NULL)
        (void)tri_fail_text(cli, "%s: cannot be read without %s", path, dlerror());
    return found;
}

/* Whoever may write it decides what code runs: modules come from its module-path. */
static int
check_owner(struct tri_cli *cli, const char *path, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return tri_fail_file(cli, path, errno);
    if (!S_ISREG(status.st_mode))
        return tri_fail_text(cli, "%s: not a file", path);
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return tri_fail_text(cli, "%s: belongs to user %u; it is read if it is yours or root's: chown it", path,
                             (unsigned)status.st_uid);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return tri_fail_text(cli, "%s: can be written by others (mode %04o): chmod go-w it", path,
                             (unsigned)status.st_mode & 07777);
    if (status.st_size > FILE_MAX)
        return tri_fail_text(cli, "%s: more than %d bytes", path, (int)FILE_MAX);
    return TRI_EXIT_OK;
}

static int
parse(struct reading *reading, char *text, size_t size)
{
    troupe_config_read_fn *read_text;
    char why[256] = "", said[512];
    const size_t good = tri_utf8_end(text, size);

    if (good < size || memchr(text, '\0', size) != NULL)
        return tri_fail_text(reading->cli, "%s: not text, at its byte %zu", reading->path,
                             good < size ? good : strlen(text));
    read_text = load_plugin(reading->cli, reading->path);
    if (read_text == NULL)
        return TRI_EXIT_FAILED;
    reading->text = text;
    if (!read_text(text, on_row, reading, why, sizeof why)) {
        tri_settings_explain(text, why, said, sizeof said);
        return tri_fail_text(reading->cli, "%s: %s", reading->path, said);
    }
    return reading->exit_code;
}

static int
read_open_file(struct reading *reading, int fd)
{
    char *text = malloc(FILE_MAX + 1);
    size_t size = 0;
    ssize_t got = 1;
    int exit_code = TRI_EXIT_OK;

    if (text == NULL)
        return tri_fail_text(reading->cli, "out of memory");
    while (size < FILE_MAX && got > 0) {
        got = read(fd, text + size, FILE_MAX - size);
        size += got > 0 ? (size_t)got : 0;
    }
    text[size] = '\0';
    if (got < 0)
        exit_code = tri_fail_file(reading->cli, reading->path, errno);
    else
        exit_code = parse(reading, text, size);
    free(text);
    return exit_code;
}

static int
read_file(struct tri_cli *cli, int file, bool has_to_be)
{
    struct reading reading = {.cli = cli, .file = file, .path = cli->settings->paths[file - 1]};
    const int fd = open(reading.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int exit_code;

    if (fd < 0 && !has_to_be && (errno == ENOENT || errno == ENOTDIR))
        return TRI_EXIT_OK;
    if (fd < 0)
        return tri_fail_file(cli, reading.path, errno);
    exit_code = check_owner(cli, reading.path, fd);
    if (exit_code == TRI_EXIT_OK)
        exit_code = read_open_file(&reading, fd);
    (void)close(fd);
    return exit_code;
}

/* ---------------------------------------------------------------------------------------------------------- all of them */

static int
read_files(struct tri_cli *cli)
{
    const char *named = getenv("TROUPE_CONFIG"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char(*paths)[512] = cli->settings->paths;
    int exit_code;

    if (named != NULL && named[0] == '\0')
        return TRI_EXIT_OK;
    (void)snprintf(paths[0], sizeof paths[0], "/etc/troupe.cfg");
    if (config != NULL && config[0] == '/')
        (void)snprintf(paths[1], sizeof paths[1], "%s/troupe/troupe.cfg", config);
    else if (home != NULL && home[0] == '/')
        (void)snprintf(paths[1], sizeof paths[1], "%s/.config/troupe/troupe.cfg", home);
    if (named != NULL && snprintf(paths[2], sizeof paths[2], "%s", named) >= (int)sizeof paths[2])
        return tri_fail_text(cli, "$TROUPE_CONFIG has %zu bytes, more than a path", strlen(named));
    for (int file = 1; file <= FILES; file++) {
        exit_code = paths[file - 1][0] != '\0' ? read_file(cli, file, file == FILES) : TRI_EXIT_OK;
        if (exit_code != TRI_EXIT_OK)
            return exit_code;
    }
    return TRI_EXIT_OK;
}

int
tri_settings_load(struct tri_cli *cli)
{
    if (cli->settings != NULL)
        return TRI_EXIT_OK;
    cli->settings = calloc(1, sizeof *cli->settings);
    return cli->settings != NULL ? read_files(cli) : tri_fail_text(cli, "out of memory");
}

bool
tri_settings_no_color(const struct tri_cli *cli)
{
    const char *color = cli->settings != NULL ? cli->settings->texts[TRI_KEY_COLOR] : NULL;

    return color != NULL && strcmp(color, "never") == 0;
}

static const char *
variable(enum tri_key key)
{
    const char *text = settings[key].variable != NULL ? getenv(settings[key].variable) : NULL;

    if (text == NULL || text[0] == '\0')
        return NULL;
    return key == TRI_KEY_COLOR ? "never" : text; /* NO_COLOR says so whatever it is */
}

int
tri_setting(struct tri_cli *cli, enum tri_key key, const char *option, const char **text)
{
    const int exit_code = tri_settings_load(cli);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    *text = option != NULL ? option : variable(key);
    if (*text == NULL)
        *text = cli->settings->texts[key];
    return TRI_EXIT_OK;
}

const char *
tri_setting_from(struct tri_cli *cli, enum tri_key key)
{
    if (variable(key) != NULL)
        return settings[key].variable;
    return cli->settings->texts[key] != NULL ? cli->settings->paths[cli->settings->files[key] - 1] : "default";
}
