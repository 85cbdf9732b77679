/*
 * modules_file.c - what a module's file is before any of its code runs: whether it is a whole shared object for this machine with the
 * description of a module. Any thread. It reads the file, and knows nothing of what is in a description.
 */
#include "actors/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "troupe_module_"
enum { SECTIONS_MAX = 4096, NAMES_MOST = 64 * 1024 * 1024 };

struct file {
    const char *path; /* as it is called in sentences */
    int fd;
    uint64_t size;
    ElfW(Ehdr) head;
    trp_error *error;
};

#define BAD(file, format, ...) TRI_FAIL((file)->error, TRP_EMODULE, "%.300s " format, (file)->path, ##__VA_ARGS__)

/* A part of the file. false: it ends before, or cannot be read. */
static bool
read_part(const struct file *file, uint64_t from, void *into, size_t size)
{
    size_t got;

    return from <= file->size && size <= file->size - from && tri_read_at(file->fd, into, size, from, &got) == 0 &&
           got == size;
}

/* -------------------------------------------------------------------------------------------------------------- the head */

static const char *
machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_386, "32-bit x86"},     {EM_X86_64, "x86-64"}, {EM_ARM, "32-bit ARM"},
                 {EM_AARCH64, "64-bit ARM"}, {EM_RISCV, "RISC-V"},  {EM_PPC64, "64-bit POWER"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "another machine";
}

/* Of this program, which runs here. */
static bool
own_head(ElfW(Ehdr) * head)
{
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const bool good = fd >= 0 && pread(fd, head, sizeof *head, 0) == (ssize_t)sizeof *head;

    if (fd >= 0)
        (void)close(fd);
    return good;
}

static trp_err
check_head(struct file *file)
{
    static const char *const types[] = {"nothing known", "an object file (.o)", "a program", "", "a core dump"};
    const ElfW(Ehdr) *head = &file->head;
    ElfW(Ehdr) own;

    if (file->size == 0)
        return BAD(file, "is empty; build it anew");
    if (!read_part(file, 0, &file->head, sizeof file->head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return BAD(file, "is not a shared object: it does not begin like one; modules are built with -shared -fPIC");
    if (own_head(&own) &&
        (memcmp(own.e_ident + EI_CLASS, head->e_ident + EI_CLASS, 2) != 0 || own.e_machine != head->e_machine))
        return BAD(file, "is for %s, and this machine is %s; build it here", machine_name(head->e_machine),
                   machine_name(own.e_machine));
    if (head->e_type != ET_DYN)
        return BAD(file, "is %s and no shared object; link it with -shared",
                   types[head->e_type < 5 && head->e_type != ET_DYN ? head->e_type : 0]);
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------- is all of it there */

static trp_err
damaged(const struct file *file, uint64_t end)
{
    return BAD(file, "is damaged: it should have %llu bytes at least, and has %llu; build or copy it anew",
               (unsigned long long)end, (unsigned long long)file->size);
}

static uint64_t
end_of(uint64_t from, uint64_t size)
{
    return size > UINT64_MAX - from ? UINT64_MAX : from + size;
}

static trp_err
check_segments(const struct file *file)
{
    const ElfW(Ehdr) *head = &file->head;
    uint64_t end;

    if (head->e_phentsize != sizeof(ElfW(Phdr)) || head->e_phnum == 0)
        return BAD(file, "is damaged: it has no segments; build it anew");
    end = end_of(head->e_phoff, (uint64_t)head->e_phnum * sizeof(ElfW(Phdr)));
    if (end > file->size)
        return damaged(file, end);
    for (unsigned i = 0; i < head->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!read_part(file, head->e_phoff + i * sizeof segment, &segment, sizeof segment))
            return tri_fail_errno(file->error, TRP_EACCES, errno, "cannot read %s", file->path);
        end = end_of(segment.p_offset, segment.p_filesz);
        if (segment.p_type == PT_LOAD && end > file->size)
            return damaged(file, end);
    }
    return TRP_OK;
}

/* ------------------------------------------------------------------------------------------------------ what it describes */

/* The text at an offset of a section; "" where it does not end in there. */
static const char *
text_at(const char *texts, size_t size, size_t offset)
{
    return offset < size && memchr(texts + offset, '\0', size - offset) != NULL ? texts + offset : "";
}

/* The names of modules that are described: the one wanted, else the first. */
static void
look_for(const ElfW(Sym) * symbols, size_t count, const char *texts, size_t size, const char *wanted, char *found)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = text_at(texts, size, symbols[i].st_name);
        if (symbols[i].st_shndx == SHN_UNDEF || strncmp(text, PREFIX, sizeof PREFIX - 1) != 0)
            continue;
        text += sizeof PREFIX - 1;
        if (found[0] == '\0' || strcmp(text, wanted) == 0)
            (void)snprintf(found, TRI_MODULE_NAME_MAX + 1, "%.63s", text);
    }
}

static void *
read_section(const struct file *file, const ElfW(Shdr) * section)
{
    void *bytes = section->sh_size > 0 && section->sh_size <= NAMES_MOST ? malloc(section->sh_size) : NULL;

    if (bytes != NULL && !read_part(file, section->sh_offset, bytes, section->sh_size)) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static bool
read_head(const struct file *file, unsigned i, ElfW(Shdr) * section)
{
    return i < file->head.e_shnum && i < SECTIONS_MAX &&
           read_part(file, file->head.e_shoff + i * sizeof *section, section, sizeof *section);
}

/* true: the names that it exports could be read; `found` is "" where no module is among them. */
static bool
find_description(const struct file *file, const char *wanted, char *found)
{
    ElfW(Shdr) names, texts;
    ElfW(Sym) *symbols = NULL;
    char *text = NULL;
    unsigned i = 0;

    found[0] = '\0';
    if (file->head.e_shentsize != sizeof names)
        return false;
    while (read_head(file, i, &names) && names.sh_type != SHT_DYNSYM)
        i++;
    if (read_head(file, i, &names) && read_head(file, names.sh_link, &texts)) {
        symbols = read_section(file, &names);
        text = read_section(file, &texts);
    }
    if (symbols != NULL && text != NULL)
        look_for(symbols, names.sh_size / sizeof *symbols, text, texts.sh_size, wanted, found);
    free(symbols);
    free(text);
    return symbols != NULL && text != NULL;
}

static trp_err
check_description(const struct file *file, const char *name)
{
    char found[TRI_MODULE_NAME_MAX + 1];

    if (!find_description(file, name, found) || strcmp(found, name) == 0)
        return TRP_OK; /* the loader will see */
    if (found[0] == '\0')
        return BAD(file,
                   "is a shared object, but no module: it has no symbol " PREFIX "%s; its source has to end with "
                   "TRP_MODULE(%s, ...)",
                   name, name);
    return BAD(file, "describes the module '%s': it has to be called %s.so, or its source to say TRP_MODULE(%s, ...)",
               found, found, name);
}

/* -------------------------------------------------------------------------------------------------------------- all of it */

static trp_err
check_file(struct file *file, const char *name)
{
    struct stat status;
    trp_err err;

    if (fstat(file->fd, &status) != 0)
        return tri_fail_errno(file->error, TRP_EACCES, errno, "cannot read %s", file->path);
    if (!S_ISREG(status.st_mode))
        return BAD(file, "is %s, and no file", S_ISDIR(status.st_mode) ? "a directory" : "a device or pipe");
    file->size = (uint64_t)status.st_size;
    err = check_head(file);
    if (err == TRP_OK)
        err = check_segments(file);
    return err == TRP_OK ? check_description(file, name) : err;
}

trp_err
tri_module_file_check(const char *path, const char *shown, const char *name, trp_error *error)
{
    struct file file = {.path = shown, .error = error};
    trp_err err;

    file.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file.fd < 0)
        return tri_fail_errno(error, TRP_EACCES, errno, "cannot read %s", shown);
    err = check_file(&file, name);
    (void)close(file.fd);
    return err;
}
