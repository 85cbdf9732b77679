/*
 * settings_lines.c - a line of a configuration file: where it is, and what is wrong with one that cannot be read. Pure; any
 * thread. It knows how such a file is written, and no setting.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/cli/settings.h"

int
tri_settings_line_of(const char *text, const char *word, bool last)
{
    const size_t size = strlen(word);
    int found = 0;

    for (int line = 1; *text != '\0'; line++) {
        const char *begin = text + strspn(text, " \t");
        if (strncmp(begin, word, size) == 0 && strchr(" \t\r\n=#", begin[size]) != NULL && (last || found == 0))
            found = line;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return found;
}

static const char *
line_at(const char *text, int line)
{
    while (--line > 0 && *text != '\0') {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

static const char *
wrong_indent(const char *line, size_t blanks, char *said, size_t size)
{
    if (memchr(line, '\t', blanks) != NULL)
        return "it begins with a tab; a setting begins with four spaces";
    if (blanks == 4)
        return "there is no section above it; a line with a section's name, not indented, has to be there";
    (void)snprintf(said, size, "it begins with %zu space%s; a setting begins with four", blanks,
                   blanks == 1 ? "" : "s");
    return said;
}

static const char *
wrong_line(const char *line, bool is_indent, char *said, size_t size)
{
    const size_t blanks = strspn(line, " \t");
    const char *begin = line + blanks;
    const size_t length = strcspn(begin, "\r\n"), name = strcspn(begin, "[]{}:=; \t\r\n");

    if (*begin == ';' || *begin == '/')
        return "a comment begins with '#'";
    if (is_indent || memchr(line, '\t', blanks) != NULL)
        return wrong_indent(line, blanks, said, size);
    if (name == 0 && *begin != '[')
        return NULL;
    if (memchr(begin, '=', length) != NULL)
        return NULL;
    if (*begin == '[')
        (void)snprintf(said, size, "a section's name stands by itself: %.*s", (int)strcspn(begin + 1, "]\r\n"),
                       begin + 1);
    else if (blanks > 0)
        (void)snprintf(said, size, "a setting is written NAME = VALUE: %.*s = ...", (int)name, begin);
    else
        (void)snprintf(said, size, "a section's name stands by itself: %.*s", (int)name, begin);
    return said;
}

void
tri_settings_explain(const char *text, const char *why, char *said, size_t size)
{
    char *end = NULL;
    const long line = why[0] == '(' ? strtol(why + 1, &end, 10) : 0;
    char hint[200];
    const char *wrong = NULL;

    if (line <= 0 || end == NULL || *end != ')') {
        (void)snprintf(said, size, "%s", why);
        return;
    }
    if (strncmp(end, ") missing", strlen(") missing")) == 0)
        wrong = "the quotes are not closed";
    else
        wrong = wrong_line(line_at(text, (int)line), strstr(end, "indent") != NULL, hint, sizeof hint);
    (void)snprintf(said, size, "line %ld: %s", line, wrong != NULL ? wrong : end + 2);
}
