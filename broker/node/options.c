/*
 * options.c - troupe-node's command line. Pure; it does not know what the options do.
 */
#include "broker/node/root.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char tri_root_usage[] =
    "troupe-node: the root process of a Troupe node\n"
    "\n"
    "  troupe-node --service [--dir DIR] [OPTIONS]        a node service, in the foreground, until SIGTERM\n"
    "  troupe-node --private --dir DIR --parent-fd FD     a node that ends when descriptor FD is closed\n"
    "                                                     (programs start one for themselves)\n"
    "\n"
    "  --dir DIR            where its sockets lie; else $TROUPE_DIR, $XDG_RUNTIME_DIR/troupe, /tmp/troupe-UID\n"
    "  --module-path PATH   directories of modules, separated by ':'; else $TRP_MODULE_PATH, else the installed one\n"
    "  --num-cpus N         CPUs that tasks and actors may take; else as many as this process may use\n"
    "  --num-gpus N         GPUs; else 0\n"
    "  --store SIZE         shared memory for large objects: bytes, or with K, M, G or T; 0: none; else 30 % of the "
    "memory\n"
    "  --spill-dir DIR      where they go when it is short; else $TROUPE_SPILL_DIR, /var/tmp/troupe-UID\n"
    "  --spill-max SIZE     at most so much of the disk; 0: none; else half of what is free there\n"
    "  --spill-at PERCENT   of the store that may be taken before that; else 80\n"
    "  --log-level LEVEL    error, warning, info or debug; else info for a service, warning for a private node\n"
    "  --log-file FILE      appended to, instead of stderr\n"
    "  --ready-fd FD        of a service: where it says READY DIR, or ERROR NUMBER SENTENCE, instead of stdout and "
    "stderr\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 it ended in order, 1 it could not start, 2 wrong command line, 3 the broker died.\n";

typedef trp_err option_fn(struct tri_root_options *options, const char *name, const char *text, trp_error *error);

static trp_err
set_mode(struct tri_root_options *options, enum tri_root_mode mode, const char *name, trp_error *error)
{
    if (options->mode != TRI_ROOT_NONE && options->mode != mode)
        return TRI_FAIL(error, TRP_EINVAL,
                        "%s cannot be combined with another mode: one of --service, --private, "
                        "--help, --version",
                        name);
    options->mode = mode;
    return TRP_OK;
}

static trp_err
on_private(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    (void)text;
    return set_mode(options, TRI_ROOT_PRIVATE, name, error);
}

static trp_err
on_service(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    (void)text;
    return set_mode(options, TRI_ROOT_SERVICE, name, error);
}

static trp_err
on_help(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    (void)text;
    return set_mode(options, TRI_ROOT_HELP, name, error);
}

static trp_err
on_version(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    (void)text;
    return set_mode(options, TRI_ROOT_VERSION, name, error);
}

static trp_err
set_text(const char **where, const char *name, const char *text, trp_error *error)
{
    if (*text == '\0')
        return TRI_FAIL(error, TRP_EINVAL, "%s is empty", name);
    *where = text;
    return TRP_OK;
}

static trp_err
on_directory(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_text(&options->directory, name, text, error);
}

static trp_err
on_module_path(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_text(&options->module_path, name, text, error);
}

static trp_err
on_log_file(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_text(&options->log_file, name, text, error);
}

static trp_err
set_amount(double *where, const char *name, const char *text, trp_error *error)
{
    char *end = NULL;
    errno = 0;
    double amount = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || errno != 0 || !isfinite(amount) || amount < 0 || amount > 1e6)
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', but must be a number from 0 to 1,000,000", name, text);
    *where = amount;
    return TRP_OK;
}

static trp_err
on_num_cpus(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_amount(&options->num_cpus, name, text, error);
}

static trp_err
on_num_gpus(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_amount(&options->num_gpus, name, text, error);
}

/* Bytes, or 1024 of them and so on. */
static trp_err
set_size(uint64_t *where, const char *name, const char *text, trp_error *error)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    const unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    if (*text < '0' || *text > '9' || errno != 0 || (*end != '\0' && (unit == NULL || end[1] != '\0')) ||
        number > UINT64_MAX >> (shift + 1))
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', but must be a number of bytes, or one with K, M, G or T: 512M",
                        name, text);
    *where = number << shift;
    return TRP_OK;
}

static trp_err
on_store(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    TRP_TRY(set_size(&options->store_bytes, name, text, error));
    options->no_store = options->store_bytes == 0;
    return TRP_OK;
}

static trp_err
on_spill_dir(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_text(&options->spill_directory, name, text, error);
}

static trp_err
on_spill_max(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    TRP_TRY(set_size(&options->spill_max_bytes, name, text, error));
    options->no_spill = options->spill_max_bytes == 0;
    return TRP_OK;
}

static trp_err
on_spill_at(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    char *end = NULL;
    const long percent = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || percent < 1 || percent > 100)
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', but must be a number of percent from 1 to 100", name, text);
    options->spill_at = (uint32_t)percent;
    return TRP_OK;
}

static trp_err
set_descriptor(int *where, const char *name, const char *text, trp_error *error)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || errno != 0 || fd < 0 || fd > 1048576)
        return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', but must be the number of an open descriptor", name, text);
    *where = (int)fd;
    return TRP_OK;
}

static trp_err
on_parent_fd(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_descriptor(&options->parent_fd, name, text, error);
}

static trp_err
on_ready_fd(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    return set_descriptor(&options->ready_fd, name, text, error);
}

static trp_err
on_log_level(struct tri_root_options *options, const char *name, const char *text, trp_error *error)
{
    static const char *const levels[] = {
        [TRI_ERROR] = "error", [TRI_WARNING] = "warning", [TRI_INFO] = "info", [TRI_DEBUG] = "debug"};
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(text, levels[i]) == 0) {
            options->log_level = (enum tri_level)i;
            return TRP_OK;
        }
    return TRI_FAIL(error, TRP_EINVAL, "%s is '%s', but must be error, warning, info or debug", name, text);
}

static const struct option_row {
    const char *name;
    bool takes_text;
    option_fn *handle;
} rows[] = {
    {"--private", false, on_private},    {"--service", false, on_service},    {"--help", false, on_help},
    {"--version", false, on_version},    {"--dir", true, on_directory},       {"--module-path", true, on_module_path},
    {"--num-cpus", true, on_num_cpus},   {"--num-gpus", true, on_num_gpus},   {"--parent-fd", true, on_parent_fd},
    {"--log-level", true, on_log_level}, {"--log-file", true, on_log_file},   {"--ready-fd", true, on_ready_fd},
    {"--store", true, on_store},         {"--spill-dir", true, on_spill_dir}, {"--spill-max", true, on_spill_max},
    {"--spill-at", true, on_spill_at},
};

/* The row of an argument "--name" or "--name=text"; *text: behind the '='. */
static const struct option_row *
find_row(const char *argument, const char **text)
{
    const char *equals = strchr(argument, '=');
    size_t size = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    *text = equals != NULL ? equals + 1 : NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, argument, size) == 0)
            return &rows[i];
    return NULL;
}

static trp_err
check(struct tri_root_options *options, bool level_given, trp_error *error)
{
    if (options->mode == TRI_ROOT_NONE)
        return TRI_FAIL(error, TRP_EINVAL, "say --service for a node service; see --help");
    if (options->mode == TRI_ROOT_PRIVATE && options->directory == NULL)
        return TRI_FAIL(error, TRP_EINVAL, "--private needs --dir DIR");
    if (options->mode == TRI_ROOT_PRIVATE && options->parent_fd < 0)
        return TRI_FAIL(error, TRP_EINVAL, "--private needs --parent-fd FD");
    if (options->mode == TRI_ROOT_SERVICE && options->parent_fd >= 0)
        return TRI_FAIL(error, TRP_EINVAL, "--parent-fd is only for --private");
    if (options->mode == TRI_ROOT_PRIVATE && options->ready_fd >= 0)
        return TRI_FAIL(error, TRP_EINVAL, "--ready-fd is only for --service");
    if (!level_given && options->mode == TRI_ROOT_SERVICE)
        options->log_level = TRI_INFO;
    return TRP_OK;
}

trp_err
tri_root_options_parse(int argc, char *const *argv, struct tri_root_options *options, trp_error *error)
{
    struct tri_root_options parsed = {.parent_fd = -1, .ready_fd = -1, .log_level = TRI_WARNING};
    bool level_given = false;
    for (int i = 1; i < argc; i++) {
        const char *text;
        const struct option_row *row = find_row(argv[i], &text);
        if (row == NULL)
            return TRI_FAIL(error, TRP_EINVAL, "unknown argument '%s'; see --help", argv[i]);
        if (!row->takes_text && text != NULL)
            return TRI_FAIL(error, TRP_EINVAL, "%s takes no text", row->name);
        if (row->takes_text && text == NULL) {
            if (i + 1 == argc)
                return TRI_FAIL(error, TRP_EINVAL, "%s lacks its text; see --help", row->name);
            text = argv[++i];
        }
        TRP_TRY(row->handle(&parsed, row->name, text, error));
        level_given = level_given || row->handle == on_log_level;
    }
    TRP_TRY(check(&parsed, level_given, error));
    *options = parsed;
    return TRP_OK;
}
