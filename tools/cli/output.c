/*
 * output.c - what goes to stdout, with each write checked, and the shape of listings. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/cli/settings.h"

/* ------------------------------------------------------------------------------------------------------------- writing */

static void
note_failure(struct tri_cli *cli, bool failed)
{
    if (failed && cli->write_errno == 0)
        cli->write_errno = errno != 0 ? errno : EIO;
}

void
tri_print(struct tri_cli *cli, const char *format, ...)
{
    va_list list;

    if (cli->quiet)
        return;
    va_start(list, format);
    note_failure(cli, vfprintf(cli->out, format, list) < 0);
    va_end(list);
}

void
tri_tell(struct tri_cli *cli, const char *format, ...)
{
    va_list list;

    if (!cli->verbose)
        return;
    fprintf(cli->err, "troupe%s%s: ", cli->verb != NULL ? " " : "", cli->verb != NULL ? cli->verb->name : "");
    va_start(list, format);
    vfprintf(cli->err, format, list);
    va_end(list);
    fputc('\n', cli->err);
}

int
tri_flush(struct tri_cli *cli)
{
    int err;

    note_failure(cli, fflush(cli->out) != 0 || ferror(cli->out));
    err = cli->write_errno;
    cli->write_errno = 0;
    if (err == 0)
        return TRI_EXIT_OK;
    clearerr(cli->out);
    if (err == EPIPE)
        return TRI_EXIT_PIPE; /* it has read enough */
    return tri_fail_text(cli, "its output cannot be written: %s", strerror(err));
}

bool
tri_has_colours(const struct tri_cli *cli, FILE *file)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    const int fd = fileno(file);

    if (cli->no_color || (none != NULL && none[0] != '\0') || tri_settings_no_color(cli) || fd < 0 || isatty(fd) == 0)
        return false;
    return terminal != NULL && strcmp(terminal, "dumb") != 0;
}

bool
tri_wants_value(const struct tri_cli *cli)
{
    return cli->json || cli->take != NULL;
}

int
tri_give(struct tri_cli *cli, trp_ref *ref, trp_value value)
{
    if (cli->take != NULL)
        return cli->take(cli->user, ref, value);
    if (!cli->quiet && cli->raw && value.kind == TRP_STR) {
        note_failure(cli,
                     fwrite(trp_as_str(value), 1, value.size, cli->out) < value.size || fputc('\n', cli->out) == EOF);
    } else if (!cli->quiet) {
        tri_json_write(cli->out, value, cli->full);
        note_failure(cli, fputc('\n', cli->out) == EOF || ferror(cli->out));
    }
    return TRI_EXIT_OK;
}

/* ------------------------------------------------------------------------------------------------------------ listings */

enum { CELL_SIZE = 1024, GAP = 2, COLUMNS_MAX = 16 };

static void
cell(const struct tri_column *column, trp_value row, char *text)
{
    const trp_value value = column->show == NULL ? trp_field(row, column->key) : trp_null();

    text[0] = '\0';
    if (column->show != NULL)
        column->show(row, column->key, text, CELL_SIZE);
    else if (value.kind == TRP_STR)
        (void)snprintf(text, CELL_SIZE, "%s", trp_as_str(value));
    else if (value.kind == TRP_F64)
        (void)snprintf(text, CELL_SIZE, "%g", value.as.f64);
    else if (value.kind == TRP_BOOL)
        (void)snprintf(text, CELL_SIZE, "%s", value.as.boolean ? "yes" : "");
    else if (value.kind != TRP_NONE && value.kind != TRP_NULL)
        (void)trp_format(value, text, CELL_SIZE);
}

void
tri_show_pid(trp_value row, const char *key, char *text, size_t size)
{
    const long long pid = (long long)trp_as_i64(trp_field(row, key));

    (void)snprintf(text, size, pid > 0 ? "%lld" : "-", pid);
}

/* Characters, which is columns for nearly all that is written here. */
static size_t
width_of(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += (*text & 0xc0) != 0x80;
    return count;
}

/* Cuts the text to so many characters. */
static void
cut(char *text, size_t width)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        if ((*text & 0xc0) != 0x80 && count++ == width) {
            *text = '\0';
            return;
        }
}

/* Columns of the terminal; 0: it is none, and nothing is cut. */
static size_t
terminal_width(const struct tri_cli *cli)
{
    struct winsize size = {0};
    const int fd = fileno(cli->out);

    if (fd < 0 || isatty(fd) == 0 || ioctl(fd, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

static void
print_cell(struct tri_cli *cli, const struct tri_column *column, const char *text, size_t width, bool last)
{
    const int pad = (int)(width - width_of(text));

    if (column->right)
        tri_print(cli, "%*s%s%*s", pad, "", text, last ? 0 : GAP, "");
    else
        tri_print(cli, "%s%*s", text, last ? 0 : pad + GAP, "");
}

static void
print_table(struct tri_cli *cli, trp_value rows, const struct tri_column *columns, size_t count)
{
    const size_t screen = terminal_width(cli);
    const bool colours = tri_has_colours(cli, cli->out);
    size_t widths[COLUMNS_MAX] = {0}, used = 0;
    char text[CELL_SIZE];

    for (size_t c = 0; c < count && c < COLUMNS_MAX; c++) {
        widths[c] = width_of(columns[c].heading);
        for (size_t i = 0; i < rows.size; i++) {
            cell(&columns[c], trp_at(rows, i), text);
            widths[c] = width_of(text) > widths[c] ? width_of(text) : widths[c];
        }
        if (c + 1 < count)
            used += widths[c] + GAP;
    }
    tri_print(cli, "%s", colours ? "\033[1m" : "");
    for (size_t c = 0; c < count && c < COLUMNS_MAX; c++)
        print_cell(cli, &columns[c], columns[c].heading, widths[c], c + 1 == count);
    tri_print(cli, "%s\n", colours ? "\033[0m" : "");
    for (size_t i = 0; i < rows.size; i++) {
        for (size_t c = 0; c < count && c < COLUMNS_MAX; c++) {
            cell(&columns[c], trp_at(rows, i), text);
            if (c + 1 == count && screen > used && screen - used >= 8)
                cut(text, screen - used);
            print_cell(cli, &columns[c], text, widths[c] > width_of(text) ? widths[c] : width_of(text), c + 1 == count);
        }
        tri_print(cli, "\n");
    }
}

int
tri_give_rows(struct tri_cli *cli, trp_ref *ref, trp_value rows, const struct tri_column *columns, size_t count,
              const char *none)
{
    if (tri_wants_value(cli))
        return tri_give(cli, ref, rows);
    if (rows.size == 0) {
        if (!cli->quiet && none != NULL)
            fprintf(cli->err, "%s\n", none);
        return TRI_EXIT_OK;
    }
    print_table(cli, rows, columns, count);
    return TRI_EXIT_OK;
}
