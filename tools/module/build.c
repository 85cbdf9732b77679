/*
 * build.c - `troupe module build`: meson, called so that hosts load what it makes: nobody else may write to it, and the troupe
 * that is built against is the one that this command belongs to. One thread. It knows nothing of what a module is made of.
 */
#include "tools/module/module.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH_SIZE = 4096, MODULES_MOST = 64 };

/* ------------------------------------------------------------------------------------------------------- what it needs */

static bool
in_path(const char *program)
{
    const char *path = getenv("PATH");
    char file[PATH_SIZE];

    for (const char *rest = path != NULL ? path : "/usr/bin:/bin"; *rest != '\0';) {
        const size_t length = strcspn(rest, ":");
        (void)snprintf(file, sizeof file, "%.*s/%s", (int)length, rest, program);
        if (length > 0 && access(file, X_OK) == 0)
            return true;
        rest += length + (rest[length] == ':' ? 1 : 0);
    }
    return false;
}

/* The first word of $CC, which may be "ccache gcc"; NULL: it is not set. */
static const char *
compiler_of(char *word, size_t size)
{
    const char *given = getenv("CC");

    if (given == NULL || given[0] == '\0')
        return NULL;
    (void)snprintf(word, size, "%.*s", (int)strcspn(given, " "), given);
    return word;
}

static int
check_programs(struct tri_cli *cli)
{
    static const struct {
        const char *program, *other, *package;
    } rows[] = {
        {"meson", NULL, "meson"},
        {"ninja", "samu", "ninja-build"},
        {"pkg-config", "pkgconf", "pkg-config"},
    };
    char word[200];
    const char *compiler = compiler_of(word, sizeof word);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!in_path(rows[i].program) && (rows[i].other == NULL || !in_path(rows[i].other)))
            return tri_fail_text(cli, "there is no %s in $PATH; on Debian: apt install %s", rows[i].program,
                                 rows[i].package);
    if (compiler != NULL && !in_path(compiler) && access(compiler, X_OK) != 0)
        return tri_fail_text(cli, "$CC is '%.100s', which is not in $PATH", compiler);
    if (compiler == NULL && !in_path("cc") && !in_path("gcc") && !in_path("clang"))
        return tri_fail_text(cli, "there is no C compiler (cc, gcc, clang) in $PATH; on Debian: apt install gcc");
    return TRI_EXIT_OK;
}

/* Where the pkg-config file of the library lies that this command uses; behind what the user has set. */
static void
find_package(void)
{
    static const char *const beside[] = {"", "/pkgconfig"};
    const char *given = getenv("PKG_CONFIG_PATH");
    char path[PATH_SIZE] = "", real[PATH_SIZE];
    Dl_info info;

    if (dladdr((const void *)&trp_version, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, real) == NULL || strrchr(real, '/') == NULL)
        return;
    *strrchr(real, '/') = '\0';
    if (given != NULL && given[0] != '\0')
        (void)snprintf(path, sizeof path, "%s", given);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        const size_t used = strlen(path);
        if (used + strlen(real) + 40 < sizeof path)
            (void)snprintf(path + used, sizeof path - used, "%s%s%s", used > 0 ? ":" : "", real, beside[i]);
    }
    (void)setenv("PKG_CONFIG_PATH", path, 1);
}

/* ------------------------------------------------------------------------------------------------------------- running */

/* Its output goes to stderr: stdout is for results. --quiet: to nobody, unless it fails. */
static int
run_program(struct tri_cli *cli, char *const *words, const char *log)
{
    posix_spawn_file_actions_t actions;
    int status = 0, err;
    pid_t pid = 0;

    (void)fflush(NULL);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (log != NULL)
        (void)posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    (void)posix_spawn_file_actions_adddup2(&actions, 2, 1);
    err = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (err != 0)
        return tri_fail_text(cli, "%s cannot be started: %s", words[0], strerror(err));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT)
        return TRI_EXIT_STOPPED;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? TRI_EXIT_OK : TRI_EXIT_FAILED;
}

static void
show_log(struct tri_cli *cli, const char *log)
{
    char line[1024];
    FILE *file = fopen(log, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fputs(line, cli->err);
    if (file != NULL)
        (void)fclose(file);
}

/* What the compiler says of code that it takes; not what is run, and by whom. */
static void
show_warnings(struct tri_cli *cli, const char *log)
{
    static const char *const others[] = {"[", "INFO:", "ninja:", "Activating ", "Found ", "Entering "};
    char line[1024];
    FILE *file = fopen(log, "re");
    bool warns = false;

    while (file != NULL && !warns && fgets(line, sizeof line, file) != NULL)
        warns = strstr(line, "warning: ") != NULL;
    if (warns)
        rewind(file);
    while (warns && fgets(line, sizeof line, file) != NULL) {
        bool is_other = false;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            is_other = is_other || strncmp(line, others[i], strlen(others[i])) == 0;
        if (!is_other)
            fputs(line, cli->err);
    }
    if (file != NULL)
        (void)fclose(file);
}

/* TRI_EXIT_FAILED: what it said is on stderr (unless it compiles), and nothing else is but warnings. */
static int
try_meson(struct tri_cli *cli, const char *build, const char *what, char *const *words)
{
    char log[PATH_SIZE + 32];
    int exit_code;

    (void)snprintf(log, sizeof log, "%s/troupe-%s.log", build, what);
    exit_code = run_program(cli, words, cli->verbose ? NULL : log);
    const bool compiles = strcmp(what, "compile") == 0;
    if (exit_code == TRI_EXIT_FAILED && !cli->verbose && !compiles) /* of that it depends on the part that failed */
        show_log(cli, log);
    else if (exit_code == TRI_EXIT_OK && !cli->verbose && !cli->quiet && compiles)
        show_warnings(cli, log);
    return exit_code;
}

static int
meson_failed(struct tri_cli *cli, const char *what)
{
    return tri_fail_text(cli, "meson %s failed; what it said is above", what);
}

static int
run_meson(struct tri_cli *cli, const char *build, const char *what, char *const *words)
{
    const int exit_code = try_meson(cli, build, what, words);

    return exit_code == TRI_EXIT_FAILED ? meson_failed(cli, what) : exit_code;
}

/* The names of the modules that lie in `build` itself, as meson compile takes them, from `words[count]` on; they are kept in
 * `values`. How many words there are. */
static size_t
name_modules(struct tri_values *values, trp_value targets, char **words, size_t count)
{
    for (uint64_t i = 0; i < targets.size; i++) {
        const trp_value target = trp_at(targets, i);
        char *word = NULL;
        if (strcmp(trp_as_str(trp_field(target, "type")), "shared module") != 0 || count == MODULES_MOST + 4)
            continue;
        if (asprintf(&word, "%s:shared_module", trp_as_str(trp_field(target, "name"))) < 0 ||
            !tri_values_hold(values, word, free))
            break;
        words[count++] = word;
    }
    return count;
}

/* Whether the modules compile by themselves, after something in the directory did not. What is said then is shown: it is in the
 * tests' part once more, since they include the modules' source. */
static bool
modules_compile(struct tri_cli *cli, const char *build)
{
    char *words[MODULES_MOST + 5] = {(char *)"meson", (char *)"compile", (char *)"-C", (char *)(uintptr_t)build};
    char path[PATH_SIZE + 64], log[PATH_SIZE + 32], *text = NULL;
    struct tri_values values = {0};
    trp_value targets;
    size_t size = 0, count = 4;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/meson-info/intro-targets.json", build);
    (void)snprintf(log, sizeof log, "%s/troupe-modules.log", build);
    file = fopen(path, "re");
    if (file != NULL && tri_read_all(cli, file, path, SIZE_MAX, &text, &size) == TRI_EXIT_OK &&
        tri_json_read(cli, &values, path, text, size, &targets) == TRI_EXIT_OK)
        count = name_modules(&values, targets, words, count);
    if (file != NULL)
        (void)fclose(file);
    free(text);
    const bool compiled = count > 4 && run_program(cli, words, log) == TRI_EXIT_OK;
    if (compiled || count == 4)
        (void)snprintf(log, sizeof log, "%s/troupe-compile.log", build);
    if (!cli->verbose)
        show_log(cli, log);
    tri_values_fini(&values);
    return compiled;
}

/* What does not compile may be a test alone: then the modules are there, and that is said. */
static int
compile_all(struct tri_cli *cli, const char *build, bool with_tests)
{
    char *const compile[] = {(char *)"meson", (char *)"compile", (char *)"-C", (char *)(uintptr_t)build, NULL};
    const int exit_code = try_meson(cli, build, "compile", compile);

    if (exit_code != TRI_EXIT_FAILED)
        return exit_code;
    if (!modules_compile(cli, build))
        return meson_failed(cli, "compile");
    if (with_tests)
        return tri_fail_text(cli,
                             "what is built is the module alone: its tests do not compile; what the compiler said is "
                             "above");
    tri_say(cli,
            "warning: what is built is the module alone: its tests do not compile; what the compiler said is above");
    return TRI_EXIT_OK;
}

/* ------------------------------------------------------------------------------------------------------ what came of it */

/* Who made it may have had another umask: hosts load nothing that others can write to. */
static int
close_to_others(struct tri_cli *cli, const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return tri_fail_file(cli, path, errno);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && chmod(path, status.st_mode & 07755) != 0)
        return tri_fail_file(cli, path, errno);
    return TRI_EXIT_OK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int
give_modules(struct tri_cli *cli, const char *build)
{
    char names[MODULES_MOST][TRI_MODULE_NAME_SIZE + 3];
    trp_value list[MODULES_MOST], module;
    struct tri_values values = {0};
    size_t count = 0;
    int exit_code = close_to_others(cli, build);
    DIR *open = opendir(build);

    for (const struct dirent *entry; open != NULL && count < MODULES_MOST && (entry = readdir(open)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0 &&
            tri_is_module_name(entry->d_name, length - 3))
            (void)snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
    }
    if (open != NULL)
        (void)closedir(open);
    qsort(names, count, sizeof names[0], compare_names);
    for (size_t i = 0; i < count && exit_code == TRI_EXIT_OK; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", build, names[i]) < 0 || !tri_values_hold(&values, path, free)) {
            exit_code = tri_fail_text(cli, "out of memory");
            break;
        }
        exit_code = close_to_others(cli, path);
        if (exit_code == TRI_EXIT_OK) /* what no host would load is no success */
            exit_code = tri_module_describe(cli, &values, path, &module);
        list[i] = trp_str(path);
        if (exit_code == TRI_EXIT_OK && !tri_wants_value(cli))
            tri_print(cli, "%s\n", path);
    }
    if (exit_code == TRI_EXIT_OK && count == 0)
        exit_code = tri_fail_text(cli,
                                  "%.300s has no module: its meson.build has to make a shared_module without a "
                                  "prefix (name_prefix: '')",
                                  build);
    else if (exit_code == TRI_EXIT_OK && tri_wants_value(cli))
        exit_code = tri_give(cli, NULL, trp_list(list, count));
    tri_values_fini(&values);
    return exit_code;
}

/* ------------------------------------------------------------------------------------------------------------ the verb */

/* Whether meson knows a test: without Criterion it has set up none, and to run none would be no failure. */
static bool
has_tests(const char *build)
{
    char path[PATH_SIZE + 64], text[3] = "";
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/meson-info/intro-tests.json", build);
    file = fopen(path, "re");
    if (file == NULL)
        return true; /* meson itself will say */
    (void)fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    return strcmp(text, "[]") != 0;
}

static int
build_all(struct tri_cli *cli, const char *directory, char *build, bool with_tests)
{
    char file[PATH_SIZE + 32];
    char *const setup[] = {(char *)"meson", (char *)"setup", build, (char *)directory, NULL};
    char *const test[] = {(char *)"meson", (char *)"test", (char *)"-C", build, (char *)"--print-errorlogs", NULL};
    int exit_code = TRI_EXIT_OK;

    if (mkdir(build, 0755) != 0 && errno != EEXIST)
        return tri_fail_file(cli, build, errno);
    (void)snprintf(file, sizeof file, "%s/build.ninja", build);
    if (access(file, F_OK) != 0)
        exit_code = run_meson(cli, build, "setup", setup);
    if (exit_code == TRI_EXIT_OK)
        exit_code = compile_all(cli, build, with_tests);
    if (exit_code == TRI_EXIT_OK && with_tests && !has_tests(build))
        return tri_fail_text(cli,
                             "there is no test to run: %.300s/meson.build has none, or Criterion was not there when "
                             "it was set up; on Debian: apt install libcriterion-dev, then rm -r %.300s",
                             directory, build);
    if (exit_code == TRI_EXIT_OK && with_tests)
        exit_code = run_meson(cli, build, "test", test);
    return exit_code == TRI_EXIT_OK ? give_modules(cli, build) : exit_code;
}

static int
run_build(struct tri_cli *cli, const struct tri_args *args)
{
    const char *directory = args->count > 0 ? args->operands[0] : ".";
    char build[PATH_SIZE], file[PATH_SIZE + 32];
    mode_t before;
    int exit_code;

    if (directory[0] == '\0')
        return tri_refuse(cli, "DIR is empty");
    if (strlen(directory) + 32 > sizeof build)
        return tri_refuse(cli, "DIR has a path of %zu bytes", strlen(directory));
    (void)snprintf(build, sizeof build, "%s/build", directory);
    (void)snprintf(file, sizeof file, "%s/meson.build", directory);
    if (access(file, R_OK) != 0 && errno == ENOENT)
        return tri_fail_text(cli, "there is no %.300s; `troupe module new NAME` writes one", file);
    if (access(file, R_OK) != 0)
        return tri_fail_file(cli, file, errno);
    exit_code = check_programs(cli);
    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    find_package();
    before = umask(022);
    exit_code = build_all(cli, directory, build, tri_option(args, "test") != NULL);
    (void)umask(before);
    return exit_code;
}

static const char *const build_words[] = {TRI_WORD_DIRECTORY, NULL};
static const struct tri_option build_options[] = {
    {"test", 0, NULL, "runs its tests, too", NULL},
    {0},
};

const struct tri_verb tri_verb_module_build = {
    .name = "module build",
    .group = "Modules",
    .about = "builds a module with meson, and prints the files that it made",
    .operands = "[DIR]",
    .words = build_words,
    .options = build_options,
    .more = "It is built in DIR/build; DIR is the current directory unless given. --verbose shows what meson says.\n"
            "What was made is loaded as a host loads it; a module that no host would load is a failure.\n"
            "Where its tests alone do not compile, the module is built: without --test that is a warning, and 0.\n",
    .run = run_build,
};
