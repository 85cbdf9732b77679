/*
 * doctor.c - `troupe doctor`: whether what a node needs is there, one line for each thing, and what would mend it. One thread.
 */
#include "tools/verbs/verbs.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tools/cli/home.h"
#include "tools/cli/settings.h"

enum { CHECKS_MAX = 16, TEXT_SIZE = 600, ROOM_MIB = 64, FILES_OWN = 64, FILES_EACH = 4, PROCESSES = 32 };

struct check {
    const char *name, *state; /* ok, warning, wrong */
    char what[TEXT_SIZE];
};
struct doctor {
    struct tri_cli *cli;
    struct tri_home home;
    bool has_settings; /* they could all be read */
    struct check checks[CHECKS_MAX];
    size_t count;
};

static void note(struct doctor *doctor, const char *name, const char *state, const char *format, ...) TRP_PRINTF(4, 5);

static void
note(struct doctor *doctor, const char *name, const char *state, const char *format, ...)
{
    struct check *check = &doctor->checks[doctor->count++];
    va_list list;

    check->name = name;
    check->state = state;
    va_start(list, format);
    (void)vsnprintf(check->what, sizeof check->what, format, list);
    va_end(list);
}

/* ------------------------------------------------------------------------------------------------------------- checks */

static void
check_programs(struct doctor *doctor)
{
    static const char *const others[] = {"troupe-broker", "troupe-worker"};
    const char *given = getenv("TROUPE_NODE");
    char path[512], *name;

    if (given != NULL && given[0] != '\0') {
        (void)snprintf(path, sizeof path, "%s%.500s", strchr(given, '/') != NULL ? "" : "./", given);
    } else {
        tri_own_directory(path, sizeof path - 16);
        (void)strcat(path, "/troupe-node");
    }
    if (access(path, X_OK) != 0) {
        note(doctor, "programs", "wrong", "%s cannot be run: %s", path, strerror(errno));
        return;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        name = strrchr(path, '/') + 1;
        if ((size_t)(name - path) + strlen(others[i]) + 1 > sizeof path)
            return;
        (void)strcpy(name, others[i]);
        if (access(path, X_OK) != 0) {
            note(doctor, "programs", "wrong", "%s cannot be run: %s; it has to lie beside troupe-node", path,
                 strerror(errno));
            return;
        }
    }
    *strrchr(path, '/') = '\0';
    note(doctor, "programs", "ok", "troupe %s, in %s", trp_version(), path);
}

static void
check_settings(struct doctor *doctor)
{
    const char *named = getenv("TROUPE_CONFIG"), *text = NULL;
    int key = 0;

    while (doctor->has_settings && key < TRI_KEY_COUNT && tri_setting(doctor->cli, key, NULL, &text) == TRI_EXIT_OK &&
           tri_setting_wants(key, text) == NULL)
        key++;
    if (!doctor->has_settings)
        note(doctor, "settings", "wrong", "a configuration file cannot be used, as said above; `man troupe.cfg`");
    else if (key < TRI_KEY_COUNT)
        note(doctor, "settings", "wrong", "%s in %s needs %s, got '%.200s'", tri_setting_at(key)->key,
             tri_setting_from(doctor->cli, key), tri_setting_wants(key, text), text);
    else
        note(doctor, "settings", "ok", "%s; `troupe config show` has them all",
             named != NULL && named[0] == '\0' ? "no configuration file is read" : "the configuration files are good");
}

static void
check_directory(struct doctor *doctor)
{
    const char *path = doctor->home.directory;
    struct statvfs room;
    struct stat status;

    if (lstat(path, &status) != 0) {
        if (errno == ENOENT)
            note(doctor, "directory", "ok", "%s is not there yet; a node makes it", path);
        else
            note(doctor, "directory", "wrong", "%s: %s; choose another with --dir", path, strerror(errno));
    } else if (!S_ISDIR(status.st_mode)) {
        note(doctor, "directory", "wrong", "%s is not a directory; choose another with --dir", path);
    } else if (status.st_uid != geteuid()) {
        note(doctor, "directory", "wrong", "%s belongs to user %u, you are %u; choose another with --dir", path,
             (unsigned)status.st_uid, (unsigned)geteuid());
    } else if ((status.st_mode & 077) != 0) {
        note(doctor, "directory", "wrong", "%s is open to other users (mode %03o); choose another with --dir", path,
             (unsigned)status.st_mode & 0777);
    } else if (statvfs(path, &room) == 0 && room.f_bavail * room.f_frsize >> 20 < ROOM_MIB) {
        note(doctor, "directory", "warning", "%s has %llu MiB left, on which logs are written", path,
             (unsigned long long)(room.f_bavail * room.f_frsize >> 20));
    } else {
        note(doctor, "directory", "ok", "%s", path);
    }
}

static void
check_files(struct doctor *doctor)
{
    struct rlimit limit;
    cpu_set_t set;
    const int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const unsigned long long needed = FILES_OWN + FILES_EACH * (unsigned long long)(cpus + PROCESSES);

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        note(doctor, "open files", "wrong", "their limit cannot be known: %s", strerror(errno));
    else if (limit.rlim_max < needed)
        note(doctor, "open files", "wrong", "%llu are allowed, a node of %d CPUs needs %llu: ulimit -n %llu",
             (unsigned long long)limit.rlim_max, cpus, needed, needed > 1024 ? needed : 1024);
    else
        note(doctor, "open files", "ok", "%llu are allowed, enough for %llu processes",
             (unsigned long long)limit.rlim_max, ((unsigned long long)limit.rlim_max - FILES_OWN) / FILES_EACH);
}

/* Those of the node that runs, else those that a node started now would have. */
static void
check_modules(struct doctor *doctor)
{
    const bool runs = doctor->home.pid != 0;
    const char *set = NULL, *at;
    char path[4096] = "", directory[512], trouble[400];

    if (runs && !tri_home_module_path(&doctor->home, path, sizeof path)) {
        note(doctor, "modules", "warning", "the module path of the node (process %d) cannot be read",
             (int)doctor->home.pid);
        return;
    }
    if (!runs && tri_setting(doctor->cli, TRI_KEY_MODULE_PATH, NULL, &set) == TRI_EXIT_OK && set != NULL)
        (void)snprintf(path, sizeof path, "%s", set);
    at = path;
    while (tri_module_path_next(&at, directory, sizeof directory, trouble, sizeof trouble)) {
        if (trouble[0] != '\0') {
            note(doctor, "modules", "warning", "%s is in the %smodule path: %s", directory, runs ? "node's " : "",
                 trouble);
            return;
        }
    }
    if (path[0] == '\0')
        note(doctor, "modules", "ok", "only those that are installed: %s",
             runs ? "the node has no module path" : "no module path is set for a node that starts now");
    else
        note(doctor, "modules", "ok", "%s: the module path of %s", path, runs ? "the node" : "a node that starts now");
}

/* A question that the broker answers, as long as it takes. */
static void
check_node(struct doctor *doctor)
{
    struct tri_cli *cli = doctor->cli;
    trp_ref *ref = NULL;
    int64_t before_ns;

    if (doctor->home.pid == 0 && doctor->home.is_stale) {
        note(doctor, "node", "warning", "the one at %s has died and left its files; `troupe start` starts another",
             doctor->home.directory);
        return;
    }
    if (doctor->home.pid == 0) {
        note(doctor, "node", "ok", "none runs at %s; `troupe start` starts one", doctor->home.directory);
        return;
    }
    if (cli->timeout_ms < 0)
        cli->timeout_ms = 5000;
    if (tri_join(cli) != TRI_EXIT_OK) {
        note(doctor, "node", "wrong", "the one at %s (process %d) does not let us in, as said above",
             doctor->home.directory, (int)doctor->home.pid);
        return;
    }
    before_ns = tri_clock_ns();
    if (trp_query(cli->runtime, "nodes", &ref, NULL) != TRP_OK || trp_get(ref, cli->timeout_ms, NULL, NULL) != TRP_OK)
        note(doctor, "node", "wrong", "the one at %s (process %d) does not answer within %g s", doctor->home.directory,
             (int)doctor->home.pid, (double)cli->timeout_ms / 1000);
    else
        note(doctor, "node", "ok", "the one at %s (process %d) answers within %.1f ms", doctor->home.directory,
             (int)doctor->home.pid, (double)(tri_clock_ns() - before_ns) / 1e6);
    trp_ref_release(&ref);
}

/* -------------------------------------------------------------------------------------------------------------- report */

static const struct tri_column columns[] = {
    {"CHECK", "check", false, NULL}, {"STATE", "state", false, NULL}, {"WHAT", "what", false, NULL}};

static int
give(const struct doctor *doctor)
{
    trp_value entries[CHECKS_MAX][6], rows[CHECKS_MAX];
    int exit_code;
    bool wrong = false;

    for (size_t i = 0; i < doctor->count; i++) {
        const trp_value row[6] = {trp_str("check"), trp_str(doctor->checks[i].name),
                                  trp_str("state"), trp_str(doctor->checks[i].state),
                                  trp_str("what"),  trp_str(doctor->checks[i].what)};
        memcpy(entries[i], row, sizeof row);
        rows[i] = trp_map(entries[i], 3);
        wrong = wrong || strcmp(doctor->checks[i].state, "wrong") == 0;
    }
    exit_code = tri_give_rows(doctor->cli, NULL, trp_list(rows, doctor->count), columns,
                              sizeof columns / sizeof *columns, NULL);
    return exit_code != TRI_EXIT_OK ? exit_code : wrong ? TRI_EXIT_FAILED : TRI_EXIT_OK;
}

static int
run_doctor(struct tri_cli *cli, const struct tri_args *args)
{
    static void (*const checks[])(struct doctor *) = {check_programs, check_settings, check_directory,
                                                      check_files,    check_modules,  check_node};
    struct doctor doctor = {.cli = cli};
    int exit_code;

    cli->directory = tri_option(args, "dir");
    doctor.has_settings = tri_settings_load(cli) == TRI_EXIT_OK; /* else that is a line of the table, too */
    exit_code = tri_home_look(cli, &doctor.home);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&doctor);
    return give(&doctor);
}

static const struct tri_option doctor_options[] = {
    {"dir", 0, "DIR", "the node's directory; else $TROUPE_DIR, else the default one", TRI_WORD_DIRECTORY},
    {0},
};

const struct tri_verb tri_verb_doctor = {
    .name = "doctor",
    .group = "Nodes",
    .about = "looks whether what a node needs is there, and says what would mend it",
    .options = doctor_options,
    .more = "It fails if anything is wrong; a warning alone is no failure. It needs no node, and starts none.\n",
    .run = run_doctor,
};
