/*
 * module_path.c - directories of modules, as home.h has them: which a running node has, and whether modules come from them. One
 * thread. It knows a node by its process alone, and asks no broker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/cli/home.h"

/* What would be refused: code is loaded from where nobody else can put it. */
static const char *
directory_trouble(const char *directory)
{
    struct stat status;

    if (stat(directory, &status) != 0)
        return strerror(errno);
    if (!S_ISDIR(status.st_mode))
        return "it is not a directory";
    if (status.st_uid != geteuid() && status.st_uid != 0)
        return "it is neither yours nor root's, so no module is loaded from it";
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "it can be written by others, so no module is loaded from it: chmod go-w it";
    return NULL;
}

static bool
is_module_file(const char *directory, const char *name)
{
    const size_t length = strlen(name);
    unsigned char head[4] = {0};
    char path[4096];
    struct stat status;
    bool whole;
    int fd;

    if (length < 4 || strcmp(name + length - 3, ".so") != 0)
        return false;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (status.st_uid != geteuid() && status.st_uid != 0) || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    whole = read(fd, head, sizeof head) == (ssize_t)sizeof head && memcmp(head, "\177ELF", sizeof head) == 0;
    (void)close(fd);
    return whole;
}

/* How many files for modules are in it; *good: of those that may be loaded, and are shared objects. -1: it cannot be read. */
static int
count_modules(const char *directory, int *good)
{
    DIR *open = opendir(directory);
    const struct dirent *entry;
    int found = 0;

    *good = 0;
    if (open == NULL)
        return -1;
    while ((entry = readdir(open)) != NULL) {
        const size_t length = strlen(entry->d_name);
        found += length > 3 && strcmp(entry->d_name + length - 3, ".so") == 0;
        *good += is_module_file(directory, entry->d_name);
    }
    (void)closedir(open);
    return found;
}

/* A directory where nothing is wrong but that it has no module: those of `troupe module new` are built into its build/. */
static void
modules_trouble(const char *directory, char *trouble, size_t size)
{
    char build[4096];
    int good, built;
    const int found = count_modules(directory, &good);

    if (good > 0)
        return;
    (void)snprintf(build, sizeof build, "%s/build", directory);
    (void)count_modules(build, &built);
    if (found < 0)
        (void)snprintf(trouble, size, "%s", strerror(errno));
    else if (built > 0)
        (void)snprintf(trouble, size, "there is no module in it; did you mean %.300s?", build);
    else if (found > 0)
        (void)snprintf(trouble, size, "no file in it is a module; `troupe module inspect FILE` says why");
    else
        (void)snprintf(trouble, size, "there is no module in it");
}

bool
tri_module_path_next(const char **path, char *directory, size_t size, char *trouble, size_t trouble_size)
{
    const char *wrong;
    size_t length;

    *path += strspn(*path, ":");
    length = strcspn(*path, ":");
    if (length == 0)
        return false;
    (void)snprintf(directory, size, "%.*s", (int)length, *path);
    wrong = directory_trouble(directory);
    (void)snprintf(trouble, trouble_size, "%s", wrong != NULL ? wrong : "");
    if (wrong == NULL)
        modules_trouble(directory, trouble, trouble_size);
    *path += length;
    return true;
}

/* A file of /proc that has texts, each ended by a 0; NULL: it cannot be read. *end is behind the last. */
static char *
read_texts(pid_t pid, const char *name, char **end)
{
    enum { STEP = 16 * 1024, MOST = 4 * 1024 * 1024 };
    char path[64], *texts = NULL, *grown;
    size_t used = 0;
    ssize_t got = 1;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && got > 0 && used < MOST) {
        grown = realloc(texts, used + STEP + 1);
        if (grown == NULL)
            break;
        texts = grown;
        got = read(fd, texts + used, STEP);
        used += got > 0 ? (size_t)got : 0;
        texts[used] = '\0';
    }
    if (fd >= 0)
        (void)close(fd);
    *end = texts != NULL ? texts + used : NULL;
    return texts;
}

bool
tri_home_module_path(const struct tri_home *home, char *path, size_t size)
{
    static const char option[] = "--module-path", variable[] = "TRP_MODULE_PATH=";
    char *end, *words = read_texts(home->pid, "cmdline", &end), *texts;
    const char *found = NULL;

    if (words == NULL)
        return false;
    for (char *word = words; word < end; word += strlen(word) + 1) {
        const size_t length = sizeof option - 1;
        if (strncmp(word, option, length) == 0 && (word[length] == '=' || word[length] == '\0'))
            found = word + length + 1;
    }
    (void)snprintf(path, size, "%s", found != NULL && found < end ? found : "");
    free(words);
    if (found != NULL)
        return true;
    texts = read_texts(home->pid, "environ", &end);
    for (char *text = texts; texts != NULL && text < end; text += strlen(text) + 1)
        if (strncmp(text, variable, sizeof variable - 1) == 0)
            (void)snprintf(path, size, "%s", text + sizeof variable - 1);
    free(texts);
    return texts != NULL;
}
