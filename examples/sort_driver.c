/*
 * sort_driver.c - sorts files by lines, as LC_ALL=C sort does, also more of them than the node's shared memory has room for. A
 * sample says where to cut, so that all ranges have about as much; tasks cut and sort pieces of the text; tasks merge
 * each range of all pieces, several ranges at a time; they are written out in order. Nothing is sorted or kept here: the text is
 * read into objects and written from them, and few of either are had at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include <troupe/troupe.h>

#include "examples.h"

enum {
    AT_ONCE = 2,
    SHARE = 8,
    SAMPLES_A_RANGE = 64,
    PIECES_MAX = 240,
    RANGES_MAX = 1000,
    SAMPLE_BYTES = 4096,
    TAIL = 64 * 1024
};
enum { MIB = 1 << 20 };

static const char default_path[] = "/usr/share/common-licenses";

/* A file as it is to be sorted: its bytes, and a newline where it ends without one. */
struct input {
    char *path;
    uint64_t size, start; /* in all of the text */
    bool adds_newline;
};

struct job {
    trp_runtime *rt;
    uint64_t store, chunk, wanted; /* bytes; 0: as it comes */
    const char *output;            /* NULL: stdout */
    struct input *inputs;
    size_t input_count, input_capacity;
    uint64_t size; /* of all text */
    trp_ref *borders;
    size_t ranges, pieces;
    trp_ref ***parts; /* by piece, by range */
    bool progress;
    int open_fd; /* of the input that was read last */
    size_t open_input;
    int out_fd;
};

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
show(const struct job *job, const char *what, uint64_t done)
{
    if (job->progress)
        fprintf(stderr, "\r\033[K%s: %" PRIu64 " of %" PRIu64 " MiB", what, done / MIB, job->size / MIB);
}

static trp_err
fail(trp_error *error, trp_err code, const char *what, const char *why)
{
    *error = (trp_error){.code = code, .rank = -1};
    snprintf(error->message, sizeof error->message, "%.300s: %.200s", what, why);
    return code;
}

/* ---------------------------------------------------------------------------------------------------------------- input */

static trp_err
read_at(int fd, const char *path, char *to, uint64_t size, uint64_t at, trp_error *error)
{
    while (size > 0) {
        const ssize_t got = pread(fd, to, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail(error, TRP_ENOENT, path, got < 0 ? strerror(errno) : "it has become shorter");
        to += got;
        at += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return TRP_OK;
}

/* Bytes [at, at + size) of an input, of which all but an added newline are in its file. */
static trp_err
read_input(struct job *job, size_t i, char *to, uint64_t size, uint64_t at, trp_error *error)
{
    const struct input *input = &job->inputs[i];
    if (job->open_fd < 0 || job->open_input != i) {
        if (job->open_fd >= 0)
            close(job->open_fd);
        job->open_fd = open(input->path, O_RDONLY | O_CLOEXEC);
        job->open_input = i;
    }
    if (job->open_fd < 0)
        return fail(error, TRP_ENOENT, input->path, strerror(errno));
    if (input->adds_newline && at + size == input->size && size > 0)
        to[--size] = '\n';
    return read_at(job->open_fd, input->path, to, size, at, error);
}

static trp_err
add_input(struct job *job, const char *path, uint64_t size, trp_error *error)
{
    char last = '\n';
    if (job->input_count == job->input_capacity) {
        const size_t capacity = job->input_capacity > 0 ? 2 * job->input_capacity : 64;
        struct input *inputs = realloc(job->inputs, capacity * sizeof *inputs);
        if (inputs == NULL)
            return fail(error, TRP_ENOMEM, path, strerror(ENOMEM));
        job->inputs = inputs;
        job->input_capacity = capacity;
    }
    struct input *input = &job->inputs[job->input_count];
    *input = (struct input){.path = strdup(path), .size = size, .start = job->size};
    if (input->path == NULL)
        return fail(error, TRP_ENOMEM, path, strerror(ENOMEM));
    job->input_count++;
    if (size > 0)
        TRP_TRY(read_input(job, job->input_count - 1, &last, 1, size - 1, error));
    input->adds_newline = last != '\n';
    input->size += input->adds_newline;
    job->size += input->size;
    return TRP_OK;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Files, and all files in directories, in the order of their names. */
static trp_err
find_inputs(struct job *job, char **paths, trp_error *error)
{
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    trp_err err = walk != NULL ? TRP_OK : fail(error, TRP_ENOMEM, paths[0], strerror(errno));
    for (FTSENT *entry; err == TRP_OK && (entry = fts_read(walk)) != NULL;) {
        if (entry->fts_info == FTS_F)
            err = add_input(job, entry->fts_path, (uint64_t)entry->fts_statp->st_size, error);
        else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
            err = fail(error, TRP_ENOENT, entry->fts_path, strerror(entry->fts_errno));
        else if (entry->fts_info == FTS_DEFAULT && entry->fts_level == 0)
            err = fail(error, TRP_EINVAL, entry->fts_path, "no regular file");
    }
    if (err == TRP_OK && errno != 0) /* of fts_read, where it is not the end */
        err = fail(error, TRP_ENOMEM, paths[0], strerror(errno));
    if (walk != NULL)
        fts_close(walk);
    const size_t once = job->input_count;
    for (size_t i = 0; err == TRP_OK && job->size > 0 && job->size < job->wanted; i++) { /* all of it again */
        const struct input *input = &job->inputs[i % once];
        err = add_input(job, input->path, input->size - input->adds_newline, error);
    }
    return err;
}

/* Bytes [at, at + size) of all text. */
static trp_err
read_text(struct job *job, char *to, uint64_t size, uint64_t at, trp_error *error)
{
    size_t low = 0, high = job->input_count;
    while (high - low > 1) { /* the input that has the first of them */
        const size_t middle = (low + high) / 2;
        if (job->inputs[middle].start <= at)
            low = middle;
        else
            high = middle;
    }
    for (; size > 0; low++) {
        const struct input *input = &job->inputs[low];
        const uint64_t from = at - input->start, left = input->size - from, some = left < size ? left : size;
        if (some > 0)
            TRP_TRY(read_input(job, low, to, some, from, error));
        to += some;
        at += some;
        size -= some;
    }
    return TRP_OK;
}

/* Where the line ends that has byte `at`. */
static trp_err
line_end(struct job *job, uint64_t at, uint64_t *end, trp_error *error)
{
    static char text[TAIL];
    while (at < job->size) {
        const uint64_t size = job->size - at < TAIL ? job->size - at : TAIL;
        TRP_TRY(read_text(job, text, size, at, error));
        const char *newline = memchr(text, '\n', size);
        if (newline != NULL) {
            *end = at + (uint64_t)(newline - text) + 1;
            return TRP_OK;
        }
        at += size;
    }
    *end = job->size;
    return TRP_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- plan */

/* How large pieces are, and how many ranges: so that what is had at once is a part of the store. */
static trp_err
plan(struct job *job, trp_error *error)
{
    uint64_t slots = 0;
    trp_ref *ref = NULL;
    trp_value rows;
    trp_err err = trp_query(job->rt, "store", &ref, error);
    if (err == TRP_OK)
        err = trp_get(ref, 10000, &rows, error);
    if (err == TRP_OK) {
        job->store = (uint64_t)trp_as_i64(trp_field(trp_at(rows, 0), "limit"));
        slots = (uint64_t)trp_as_i64(trp_field(trp_at(rows, 0), "slots"));
    }
    trp_ref_release(&ref);
    if (err != TRP_OK)
        return err;
    const uint64_t share = job->store > 0 ? job->store / SHARE : 4 * MIB;
    if (job->chunk == 0)
        job->chunk = share < MIB ? MIB : share;
    if (job->chunk < job->size / PIECES_MAX)
        job->chunk = job->size / PIECES_MAX + 1;
    job->ranges = (size_t)(job->size / share + AT_ONCE);
    job->ranges = job->ranges < RANGES_MAX ? job->ranges : RANGES_MAX;
    const uint64_t parts = slots * 3 / 4, pieces = job->size / job->chunk + 1; /* each part is an object */
    if (job->store > 0 && job->ranges > parts / pieces)
        job->ranges = (size_t)(parts / pieces);
    if (job->store > 0 && (job->chunk > job->store / 4 || job->ranges * (job->store / 5) < job->size))
        return fail(error, TRP_EINVAL, "--store", "it is too small for so much, or for such pieces");
    return TRP_OK;
}

struct sample {
    size_t size;
    char text[SAMPLE_BYTES];
};

static int
compare_samples(const void *a, const void *b)
{
    const struct sample *left = *(struct sample *const *)a, *right = *(struct sample *const *)b;
    const int order = memcmp(left->text, right->text, left->size < right->size ? left->size : right->size);
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

/* The line behind a byte anywhere, or its beginning. */
static trp_err
take_sample(struct job *job, uint64_t anywhere, struct sample **made, trp_error *error)
{
    uint64_t at = anywhere;
    struct sample *sample = malloc(sizeof *sample);
    if (sample == NULL)
        return fail(error, TRP_ENOMEM, "a sample", strerror(ENOMEM));
    trp_err err = anywhere > 0 ? line_end(job, anywhere, &at, error) : TRP_OK;
    sample->size = err == TRP_OK && job->size - at < SAMPLE_BYTES ? (size_t)(job->size - at) : SAMPLE_BYTES;
    if (err == TRP_OK)
        err = read_text(job, sample->text, sample->size, at, error);
    const char *newline = err == TRP_OK ? memchr(sample->text, '\n', sample->size) : NULL;
    if (newline != NULL)
        sample->size = (size_t)(newline - sample->text);
    *made = realloc(sample, offsetof(struct sample, text) + sample->size + 1);
    if (*made == NULL)
        *made = sample;
    return err;
}

/* The lines that part the sample into ranges, as an object. */
static trp_err
put_borders(struct job *job, trp_error *error)
{
    const size_t count = job->ranges * SAMPLES_A_RANGE;
    struct sample **samples = calloc(count, sizeof(struct sample *));
    trp_value *borders = calloc(job->ranges, sizeof *borders);
    trp_err err = samples != NULL && borders != NULL ? TRP_OK : fail(error, TRP_ENOMEM, "a sample", strerror(ENOMEM));
    uint64_t seed = 1;
    for (size_t i = 0; i < count && err == TRP_OK; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        show(job, "sampling", job->size * i / count);
        err = take_sample(job, (seed >> 16) % job->size, &samples[i], error);
    }
    if (err == TRP_OK)
        qsort(samples, count, sizeof *samples, compare_samples);
    for (size_t i = 1; i < job->ranges && err == TRP_OK; i++)
        borders[i - 1] = trp_bytes(samples[i * SAMPLES_A_RANGE]->text, samples[i * SAMPLES_A_RANGE]->size);
    if (err == TRP_OK)
        err = trp_put(job->rt, trp_list(borders, job->ranges - 1), &job->borders, error);
    for (size_t i = 0; samples != NULL && i < count; i++)
        free(samples[i]);
    free(samples);
    free(borders);
    return err;
}

/* ----------------------------------------------------------------------------------------------------------------- cut */

/* A piece of the text goes from the files into an object, and that to a task. */
static trp_err
send_piece(struct job *job, uint64_t at, uint64_t size, trp_ref **cut, trp_error *error)
{
    trp_ref *piece = NULL;
    TRP_TRY(trp_put_begin(job->rt, trp_bytes(NULL, size), &piece, error));
    trp_err err = read_text(job, trp_put_room(piece), size, at, error);
    if (err == TRP_OK)
        err = trp_put_end(piece, error);
    if (err == TRP_OK)
        err = trp_task(job->rt, "sort:cut", TRP_ARGS(piece, job->borders), cut, error);
    trp_ref_release(&piece); /* the call holds it */
    return err;
}

/* A reference to each part; the list that they came in is not needed any more. */
static trp_err
take_parts(struct job *job, trp_ref **cut, trp_error *error)
{
    trp_value list;
    trp_ref **parts = calloc(job->ranges, sizeof(trp_ref *));
    trp_ref ***pieces = realloc(job->parts, (job->pieces + 1) * sizeof *pieces);
    if (pieces != NULL)
        job->parts = pieces;
    trp_err err = parts != NULL && pieces != NULL ? trp_get(*cut, TRP_FOREVER, &list, error)
                                                  : fail(error, TRP_ENOMEM, "a piece", strerror(ENOMEM));
    if (err == TRP_OK)
        err = trp_check(list, "[r]", error);
    for (size_t i = 0; i < job->ranges && err == TRP_OK; i++)
        parts[i] = trp_ref_retain(trp_at(list, i).as.ref);
    if (err == TRP_OK)
        job->parts[job->pieces++] = parts;
    else
        free(parts);
    trp_ref_release(cut);
    return err;
}

static trp_err
cut_all(struct job *job, trp_error *error)
{
    trp_ref *cuts[AT_ONCE] = {NULL};
    trp_err err = TRP_OK;
    size_t sent = 0;
    for (uint64_t at = 0, end; at < job->size && err == TRP_OK; at = end) {
        end = at + job->chunk;
        err = end < job->size ? line_end(job, end - 1, &end, error) : TRP_OK;
        end = end < job->size ? end : job->size;
        trp_ref **slot = &cuts[sent++ % AT_ONCE];
        if (err == TRP_OK && *slot != NULL)
            err = take_parts(job, slot, error);
        if (err == TRP_OK)
            err = send_piece(job, at, end - at, slot, error);
        show(job, "sorting", end);
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        trp_ref **slot = &cuts[sent++ % AT_ONCE];
        if (err == TRP_OK && *slot != NULL)
            err = take_parts(job, slot, error);
        trp_ref_release(slot);
    }
    return err;
}

/* --------------------------------------------------------------------------------------------------------------- merge */

static trp_err
send_range(struct job *job, size_t range, trp_ref **merged, trp_error *error)
{
    trp_value args[PIECES_MAX + AT_ONCE];
    for (size_t i = 0; i < job->pieces; i++)
        args[i] = trp_ref_value(job->parts[i][range]);
    const trp_err err = trp_task(job->rt, "sort:merge", trp_args(args, job->pieces), merged, error);
    for (size_t i = 0; i < job->pieces; i++)
        trp_ref_release(&job->parts[i][range]); /* the call holds them */
    return err;
}

/* From where it lies; then it may go. */
static trp_err
write_range(struct job *job, trp_ref **merged, uint64_t *written, trp_error *error)
{
    trp_value value;
    DLTensor text;
    TRP_TRY(trp_get(*merged, TRP_FOREVER, &value, error));
    if (!trp_as_tensor(value, &text))
        return fail(error, TRP_ETYPE, "sort:merge", "its result is no tensor");
    const char *from = text.data;
    for (uint64_t left = (uint64_t)text.shape[0]; left > 0;) {
        const ssize_t some = write(job->out_fd, from, left < 8 * MIB ? left : 8 * MIB);
        if (some < 0 && errno != EINTR)
            return fail(error, TRP_EDISKFULL, job->output != NULL ? job->output : "standard output", strerror(errno));
        from += some > 0 ? some : 0;
        left -= some > 0 ? (uint64_t)some : 0;
    }
    *written += (uint64_t)text.shape[0];
    show(job, "merging", *written);
    trp_unpin(*merged);
    trp_ref_release(merged);
    return TRP_OK;
}

static trp_err
merge_all(struct job *job, trp_error *error)
{
    trp_ref *merged[AT_ONCE] = {NULL};
    uint64_t written = 0;
    trp_err err = TRP_OK;
    for (size_t i = 0; i < job->ranges + AT_ONCE && err == TRP_OK; i++) {
        trp_ref **slot = &merged[i % AT_ONCE];
        if (*slot != NULL)
            err = write_range(job, slot, &written, error);
        if (err == TRP_OK && i < job->ranges)
            err = send_range(job, i, slot, error);
    }
    for (size_t i = 0; i < AT_ONCE; i++)
        trp_ref_release(&merged[i]);
    if (err == TRP_OK && written != job->size)
        err = fail(error, TRP_EOBJLOST, "the result", "it has not as many bytes as what was read");
    return err;
}

/* ------------------------------------------------------------------------------------------------------------- figures */

static void
print_figures(struct job *job, double took_s)
{
    static const struct {
        const char *key, *text;
    } figures[] = {{"taken", "are in shared memory"},
                   {"spilled", "on disk"},
                   {"spilled_total", "were spilled"},
                   {"restored_total", "came back"}};
    trp_ref *ref = NULL;
    trp_value rows;
    trp_error error;
    fprintf(stderr, "%.1f MB sorted in %zu pieces and %zu ranges, a store of %.1f MB, %.2f s\n",
            (double)job->size / 1e6, job->pieces, job->ranges, (double)job->store / 1e6, took_s);
    if (trp_query(job->rt, "store", &ref, &error) == TRP_OK && trp_get(ref, 10000, &rows, &error) == TRP_OK)
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            if (trp_field(trp_at(rows, 0), figures[i].key).kind == TRP_I64)
                fprintf(stderr, "%.1f MB %s\n", (double)trp_as_i64(trp_field(trp_at(rows, 0), figures[i].key)) / 1e6,
                        figures[i].text);
    trp_ref_release(&ref);
}

static trp_err
run(struct job *job, trp_error *error)
{
    const double began_s = now_s();
    if (job->size > 0) {
        TRP_TRY(plan(job, error));
        TRP_TRY(put_borders(job, error));
        TRP_TRY(cut_all(job, error));
        TRP_TRY(merge_all(job, error));
    }
    if (job->progress)
        fprintf(stderr, "\r\033[K");
    print_figures(job, now_s() - began_s);
    return TRP_OK;
}

static void
free_job(struct job *job)
{
    for (size_t i = 0; i < job->pieces; i++) {
        for (size_t k = 0; k < job->ranges; k++)
            trp_ref_release(&job->parts[i][k]);
        free(job->parts[i]);
    }
    free(job->parts);
    trp_ref_release(&job->borders);
    trp_shutdown(&job->rt);
    for (size_t i = 0; i < job->input_count; i++)
        free(job->inputs[i].path);
    free(job->inputs);
    if (job->open_fd >= 0)
        close(job->open_fd);
}

/* ---------------------------------------------------------------------------------------------------------------- main */

static int
usage(bool asked)
{
    fprintf(asked ? stdout : stderr,
            "usage: sort [--store SIZE] [--chunk SIZE] [--size SIZE] [--output FILE] [PATH...]\n\n"
            "Sorts the lines of files, and of all files in directories (%s), byte by byte.\n"
            "  --store SIZE   shared memory of the node that it starts (as the node has it)\n"
            "  --chunk SIZE   of the pieces that are sorted at once (an eighth of the store)\n"
            "  --size SIZE    takes the files again and again until there is so much\n"
            "  --output FILE  where the result goes (standard output)\n\n"
            "SIZE is a number of bytes, or one with k, M or G behind it. Figures are printed on standard error.\n"
            "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
            default_path);
    return asked ? 0 : 2;
}

static bool
read_size(const char *text, uint64_t *size)
{
    static const char units[] = "kMG";
    char *end = NULL;
    const double number = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
    if (end == text || !(number > 0) || number > 1e15 || (*end != '\0' && (unit == NULL || end[1] != '\0')))
        return false;
    *size = (uint64_t)(unit != NULL ? number * (double)(UINT64_C(1024) << (10 * (unit - units))) : number);
    return *size > 0;
}

/* The index of the first path, or -1. */
static int
read_options(int argc, char **argv, struct job *job)
{
    const struct {
        const char *name;
        uint64_t *size;
    } sizes[] = {{"--store", &job->store}, {"--chunk", &job->chunk}, {"--size", &job->wanted}};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at += 2) {
        bool known = false;
        if (strcmp(argv[at], "--") == 0)
            return at + 1;
        if (at + 1 == argc)
            return -1;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            known |= strcmp(argv[at], sizes[i].name) == 0 && read_size(argv[at + 1], sizes[i].size);
        if (strcmp(argv[at], "--output") == 0)
            job->output = argv[at + 1];
        else if (!known)
            return -1;
    }
    return at;
}

int
main(int argc, char **argv)
{
    struct job job = {.progress = isatty(2) == 1, .open_fd = -1, .out_fd = 1};
    char *defaults[] = {(char *)default_path, NULL};
    trp_error error;
    const int first = read_options(argc, argv, &job);
    if (wants_help(argc, argv) || first < 0)
        return usage(wants_help(argc, argv));
    const trp_config config = {.node = {.module_path = module_path(), .store_bytes = (int64_t)job.store}};
    trp_err err = find_inputs(&job, first < argc ? argv + first : defaults, &error);
    if (err == TRP_OK && job.output != NULL) {
        job.out_fd = open(job.output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        err = job.out_fd >= 0 ? TRP_OK : fail(&error, TRP_EACCES, job.output, strerror(errno));
    }
    if (err == TRP_OK)
        err = trp_init(&config, &job.rt, &error);
    if (err == TRP_OK)
        err = run(&job, &error);
    if (err != TRP_OK)
        fprintf(stderr, "%ssort: %s\n", job.progress ? "\r\033[K" : "", error.message);
    free_job(&job);
    if (job.out_fd > 1 && close(job.out_fd) != 0 && err == TRP_OK) {
        fprintf(stderr, "sort: %s: %s\n", job.output, strerror(errno));
        return 1;
    }
    return err != TRP_OK;
}
