/*
 * new.c - `troupe module new`: a directory with a module, its build and its test, which pass as they are. One thread. The texts
 * are templates.c's.
 */
#include "tools/module/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/module/templates.h"

enum { PATH_SIZE = 4096 };

/* What the marks of templates stand for. */
struct words {
    const char *name;                      /* @name@: word_count */
    char class_name[TRI_MODULE_NAME_SIZE]; /* @Name@: WordCount */
};

static void
make_class_name(const char *name, char *class_name)
{
    bool first = true;

    for (; *name != '\0'; name++) {
        if (*name == '_') {
            first = true;
            continue;
        }
        *class_name++ = first && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        first = false;
    }
    *class_name = '\0';
}

static void
write_words(FILE *file, const char *text, const struct words *words)
{
    for (const char *mark; (mark = strchr(text, '@')) != NULL;) {
        fwrite(text, 1, (size_t)(mark - text), file);
        if (strncmp(mark, "@name@", 6) == 0)
            fputs(words->name, file);
        else
            fputs(words->class_name, file);
        text = mark + 6;
    }
    fputs(text, file);
}

static void
path_of(const char *directory, const struct tri_template *from, const struct words *words, char *path)
{
    (void)snprintf(path, PATH_SIZE, "%s/%s%s%s", directory, from->before, from->named ? words->name : "", from->after);
}

/* Its group and others may not write it, whatever the umask: hosts load no module that they can. */
static int
write_file(struct tri_cli *cli, const char *directory, const struct tri_template *from, const struct words *words)
{
    char path[PATH_SIZE];
    int failed, fd;
    FILE *file;

    path_of(directory, from, words, path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return tri_fail_file(cli, path, errno);
    file = fdopen(fd, "w");
    if (file == NULL) {
        (void)close(fd);
        return tri_fail_text(cli, "out of memory");
    }
    write_words(file, from->text, words);
    failed = ferror(file) != 0 || fflush(file) != 0 ? errno : 0;
    if (fclose(file) != 0 && failed == 0)
        failed = errno;
    if (failed != 0)
        return tri_fail_file(cli, path, failed);
    tri_tell(cli, "wrote %s", path);
    return TRI_EXIT_OK;
}

/* What is no name for a struct. */
static const char *const words_of_c[] = {
    "asm",   "auto",   "bool",     "break",  "case",     "char",   "const",    "continue", "default",
    "do",    "double", "else",     "enum",   "errno",    "extern", "false",    "float",    "for",
    "goto",  "if",     "inline",   "int",    "linux",    "long",   "register", "restrict", "return",
    "short", "signed", "sizeof",   "static", "struct",   "switch", "true",     "typedef",  "typeof",
    "union", "unix",   "unsigned", "void",   "volatile", "while",
};

/* Meson's own targets, which a project may not have. */
static const char *const words_of_meson[] = {
    "all",     "benchmark", "clean",       "coverage", "dist",      "distcheck",
    "install", "phony",     "reconfigure", "test",     "uninstall",
};

static bool
is_among(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static bool
begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool
has_letter(const char *name, char first)
{
    for (; *name != '\0'; name++)
        if (*name >= first && *name < first + 26)
            return true;
    return false;
}

static int
check_name(struct tri_cli *cli, const char *name)
{
    if (!tri_is_module_name(name, strlen(name)))
        return tri_refuse(cli,
                          "'%.100s' cannot be a module's name: it has to be a C identifier of at most %d bytes, as in "
                          "word_count",
                          name, TRI_MODULE_NAME_SIZE - 1);
    if (strcmp(name, "troupe") == 0)
        return tri_refuse(cli, "'troupe' is the module that every node has; choose another name");
    if (begins(name, "trp") || begins(name, "troupe"))
        return tri_refuse(cli, "'%.100s' begins with %s, as Troupe's own names do; choose another name", name,
                          begins(name, "trp") ? "trp" : "troupe");
    if (is_among(name, words_of_c, sizeof words_of_c / sizeof *words_of_c))
        return tri_refuse(cli, "'%s' is a word of C or of its compiler; choose another name", name);
    if (is_among(name, words_of_meson, sizeof words_of_meson / sizeof *words_of_meson))
        return tri_refuse(cli, "'%s' is a target that meson makes itself; choose another name", name);
    if (strspn(name, "_") == strlen(name))
        return tri_refuse(cli, "'%.100s' has no letter for its class's name; choose another name", name);
    if (begins(name, "__") || (name[0] == '_' && name[1] >= 'A' && name[1] <= 'Z'))
        return tri_refuse(cli, "'%.100s' begins as only words of C and its compiler may; choose another name", name);
    if (has_letter(name, 'A') && !has_letter(name, 'a'))
        return tri_refuse(cli, "'%.100s' is all upper case, as macros are; choose another name, as in word_count",
                          name);
    return TRI_EXIT_OK;
}

static int
write_all(struct tri_cli *cli, const char *directory, const struct tri_template *list, const struct words *words)
{
    char path[PATH_SIZE];
    int exit_code = TRI_EXIT_OK;

    for (size_t i = 0; list[i].text != NULL && exit_code == TRI_EXIT_OK; i++)
        exit_code = write_file(cli, directory, &list[i], words);
    for (size_t i = 0; list[i].text != NULL && exit_code != TRI_EXIT_OK; i++) { /* nothing stays by halves */
        path_of(directory, &list[i], words, path);
        (void)unlink(path);
    }
    if (exit_code != TRI_EXIT_OK)
        (void)rmdir(directory);
    return exit_code;
}

static int
run_new(struct tri_cli *cli, const struct tri_args *args)
{
    struct words words = {.name = args->operands[0]};
    const char *directory = tri_option(args, "in");
    mode_t before;
    int exit_code = check_name(cli, words.name);

    if (exit_code != TRI_EXIT_OK)
        return exit_code;
    if (directory == NULL)
        directory = words.name;
    if (directory[0] == '\0')
        return tri_refuse(cli, "--in needs a directory, got ''");
    if (strlen(directory) + TRI_MODULE_NAME_SIZE + 16 > PATH_SIZE)
        return tri_refuse(cli, "--in has a path of %zu bytes", strlen(directory));
    make_class_name(words.name, words.class_name);
    before = umask(022);
    if (mkdir(directory, 0755) != 0)
        exit_code = errno == EEXIST
                        ? tri_fail_text(cli, "%.300s exists already; --in DIR names another directory", directory)
                        : tri_fail_file(cli, directory, errno);
    else
        exit_code = write_all(cli, directory, tri_option(args, "tasks-only") != NULL ? tri_task_files : tri_class_files,
                              &words);
    (void)umask(before);
    if (exit_code == TRI_EXIT_OK)
        tri_print(cli, "%s\n", directory);
    return exit_code;
}

static const struct tri_option new_options[] = {
    {"in", 'C', "DIR", "the directory that is made (NAME unless given)", TRI_WORD_DIRECTORY},
    {"tasks-only", 0, NULL, "a module of stateless tasks, without a class", NULL},
    {0},
};

const struct tri_verb tri_verb_module_new = {
    .name = "module new",
    .group = "Modules",
    .about = "writes a module, its build and its test, which pass as they are",
    .operands = "NAME",
    .options = new_options,
    .more = "NAME is a C identifier. `troupe module build NAME` builds what was written.\n",
    .run = run_new,
};
