/*
 * store_thread.c - jobs of the store thread (store_thread.h): a list under a lock, an event for what was done.
 *
 * Threads: the router calls what the header declares; everything below "the thread" runs on the thread, which owns `spill`.
 */
#include "broker/store_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spill/files.h"

enum { STACK_BYTES = 256 * 1024 };

enum job_kind { JOB_CLAIM, JOB_SWEEP, JOB_SPILL, JOB_RESTORE, JOB_DROP, JOB_KINDS };

struct job {
    struct tri_node link;
    enum job_kind kind;
    struct tri_spill_piece piece; /* claim, restore, drop */
    struct tri_file_place place;  /* claim */
    struct tri_store_done done;   /* spill, restore */
    uint32_t count;               /* spill */
    struct tri_spill_item items[];
};

struct tri_store_thread {
    struct tri_store_options options;
    char *directory;
    int event_fd;
    pthread_t thread;
    bool runs; /* router: the thread was made */
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct tri_node jobs, done; /* under the lock, and */
    bool ends;
    struct tri_spill_files files;
    /* the thread's own */
    struct tri_spill_backend *backend;
    struct tri_spill *spill;
    bool swept, dropped;
};

/* --------------------------------------------------------------------------------------------------------- the thread */

static void
note_place(struct tri_store_thread *self, struct tri_id id, const struct tri_spill_place *place)
{
    const struct tri_file_place file = {place->file, place->offset, place->stored_size};
    tri_record_file(&self->options.reg.records[tri_spilled_slot(id)], &file);
}

static void
on_moved(void *user, struct tri_id id, const struct tri_spill_place *place)
{
    note_place(user, id, place);
}

/* The parent too, where it is the usual one: it is this user's alone, or not used. */
static trp_err
make_parent(const char *directory, trp_error *error)
{
    char parent[4096];
    struct stat stat;
    const char *slash = strrchr(directory, '/');
    if (slash == NULL || slash == directory || (size_t)(slash - directory) >= sizeof parent)
        return TRP_OK;
    memcpy(parent, directory, (size_t)(slash - directory));
    parent[slash - directory] = '\0';
    if (mkdir(parent, 0700) != 0 && errno != EEXIST)
        return tri_fail_errno(error, TRP_EACCES, errno, "cannot make the spill directory's parent %.300s", parent);
    if (lstat(parent, &stat) != 0 || !S_ISDIR(stat.st_mode) || (stat.st_uid != geteuid() && stat.st_uid != 0))
        return TRI_FAIL(error, TRP_EACCES, "%.300s, where the spill directory would be, is no directory of this user",
                        parent);
    return TRP_OK;
}

static trp_err
open_files(struct tri_store_thread *self, trp_error *error)
{
    if (self->spill != NULL)
        return TRP_OK;
    const struct tri_spill_options options = {
        .max_bytes = self->options.max_bytes, .seed = self->options.seed, .moved = on_moved, .user = self};
    TRP_TRY(make_parent(self->directory, error));
    TRP_TRY(tri_spill_disk_open(self->directory, &self->backend, error));
    const trp_err err = tri_spill_create(self->backend, &options, &self->spill, error);
    if (err != TRP_OK)
        tri_spill_backend_destroy(&self->backend);
    return err;
}

/* Before the first thing that is no claim. */
static trp_err
sweep_once(struct tri_store_thread *self, trp_error *error)
{
    uint64_t removed, foreign;
    trp_error why;
    TRP_TRY(open_files(self, error));
    if (self->swept)
        return TRP_OK;
    self->swept = true;
    if (tri_spill_sweep(self->spill, &removed, &foreign, &why) != TRP_OK)
        tri_log(TRI_WARNING, "some files of a broker that died cannot be removed: %s", why.message);
    return TRP_OK;
}

static void
do_claim(struct tri_store_thread *self, struct job *job)
{
    const struct tri_spill_place place = {job->place.file, job->place.offset, job->place.stored_size, job->piece.size};
    trp_error why;
    trp_err err = open_files(self, &why);
    if (err == TRP_OK)
        err = tri_spill_claim(self->spill, job->piece.id, &place, &why);
    if (err != TRP_OK)
        tri_log(TRI_ERROR, "an object that was spilled under a broker before is lost: %s", why.message);
}

static void
do_sweep(struct tri_store_thread *self, struct job *job)
{
    trp_error why;
    (void)job;
    if (sweep_once(self, &why) != TRP_OK)
        tri_log(TRI_WARNING, "%s", why.message);
}

static void
do_spill(struct tri_store_thread *self, struct job *job)
{
    struct tri_store_done *done = &job->done;
    done->is_spilled = true;
    done->err = sweep_once(self, &done->error);
    if (done->err == TRP_OK)
        done->err = tri_spill_append(self->spill, job->items, job->count, &done->error);
    for (uint32_t i = 0; done->err == TRP_OK && i < job->count; i++) {
        struct tri_spill_place place;
        if (tri_spill_find(self->spill, job->items[i].id, &place))
            note_place(self, job->items[i].id, &place);
    }
}

static void
do_restore(struct tri_store_thread *self, struct job *job)
{
    struct tri_store_done *done = &job->done;
    const struct tri_spill_piece *piece = &job->piece;
    done->id = piece->id;
    done->err = sweep_once(self, &done->error);
    if (done->err == TRP_OK)
        done->err = tri_spill_read(self->spill, piece->id, self->options.arena + (uint64_t)piece->start * TRI_GRANULE,
                                   piece->size, &done->error);
    if (done->err != TRP_OK || !tri_spill_next(self->spill, piece->id, &done->next))
        done->next = (struct tri_id){0, 0};
}

static void
do_drop(struct tri_store_thread *self, struct job *job)
{
    trp_error why;
    if (sweep_once(self, &why) == TRP_OK && tri_spill_drop(self->spill, job->piece.id) == TRP_OK)
        self->dropped = true;
}

typedef void job_fn(struct tri_store_thread *self, struct job *job);
static job_fn *const jobs[JOB_KINDS] = {[JOB_CLAIM] = do_claim,
                                        [JOB_SWEEP] = do_sweep,
                                        [JOB_SPILL] = do_spill,
                                        [JOB_RESTORE] = do_restore,
                                        [JOB_DROP] = do_drop};

/* Nothing else is to be done: one file that is mostly gaps. What cannot be compacted now may be after the next drop. */
static void
compact(struct tri_store_thread *self)
{
    trp_error why;
    bool did = false;
    const trp_err err = tri_spill_compact(self->spill, &did, &why);
    if (err != TRP_OK)
        tri_log(TRI_DEBUG, "%s", why.message);
    self->dropped = err == TRP_OK && did;
}

static void
take_stat(struct tri_store_thread *self)
{
    if (self->spill == NULL)
        return;
    const struct tri_spill_stat stat = tri_spill_stat(self->spill);
    self->files =
        (struct tri_spill_files){stat.files, stat.file_bytes, stat.live_bytes, stat.max_bytes, stat.compacted};
}

static void
tell(struct tri_store_thread *self, struct job *job)
{
    const uint64_t one = 1;
    if (job->kind != JOB_SPILL && job->kind != JOB_RESTORE) {
        free(job);
        return;
    }
    tri_list_append(&self->done, &job->link);
    if (write(self->event_fd, &one, sizeof one) != (ssize_t)sizeof one)
        tri_log(TRI_ERROR, "the router cannot be told of what was spilled: %s", strerror(errno));
}

static void *
run(void *user)
{
    struct tri_store_thread *self = user;
    (void)pthread_setname_np(pthread_self(), "store");
    pthread_mutex_lock(&self->lock);
    while (!self->ends) {
        const bool has_job = !tri_list_empty(&self->jobs);
        struct job *job = has_job ? TRI_OWNER(self->jobs.next, struct job, link) : NULL;
        if (!has_job && !self->dropped) {
            pthread_cond_wait(&self->wanted, &self->lock);
            continue;
        }
        if (has_job)
            tri_list_remove(&job->link);
        pthread_mutex_unlock(&self->lock);
        if (has_job)
            jobs[job->kind](self, job);
        else
            compact(self);
        pthread_mutex_lock(&self->lock);
        take_stat(self);
        if (has_job)
            tell(self, job);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

/* --------------------------------------------------------------------------------------------------------- the router */

/* No signal is handled there. */
static trp_err
begin(struct tri_store_thread *self, trp_error *error)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    int failed = pthread_attr_init(&attributes);
    if (failed != 0)
        return tri_fail_errno(error, TRP_ENOMEM, failed, "cannot start the store thread");
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&self->thread, &attributes, run, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (failed != 0)
        return tri_fail_errno(error, TRP_ELIMIT, failed, "cannot start the store thread");
    self->runs = true;
    return TRP_OK;
}

/* Takes the job over; NULL passes. */
static bool
post(struct tri_store_thread *self, struct job *job)
{
    trp_error why = {.message = "no memory"};
    if (job == NULL || (!self->runs && begin(self, &why) != TRP_OK)) {
        tri_log(TRI_ERROR, "a job of the store thread is not done: %s", why.message);
        free(job);
        return false;
    }
    pthread_mutex_lock(&self->lock);
    tri_list_append(&self->jobs, &job->link);
    pthread_cond_signal(&self->wanted);
    pthread_mutex_unlock(&self->lock);
    return true;
}

static struct job *
job_new(enum job_kind kind, const struct tri_spill_piece *piece, uint32_t count)
{
    struct job *job = calloc(1, sizeof *job + count * sizeof *job->items);
    if (job == NULL)
        return NULL;
    job->kind = kind;
    job->count = count;
    if (piece != NULL)
        job->piece = *piece;
    return job;
}

static bool
on_spill(void *user, const struct tri_spill_piece *pieces, uint32_t count)
{
    struct tri_store_thread *self = user;
    struct job *job = job_new(JOB_SPILL, NULL, count);
    for (uint32_t i = 0; job != NULL && i < count; i++)
        job->items[i] = (struct tri_spill_item){
            pieces[i].id, self->options.arena + (uint64_t)pieces[i].start * TRI_GRANULE, pieces[i].size};
    return post(self, job);
}

static bool
on_restore(void *user, const struct tri_spill_piece *piece)
{
    return post(user, job_new(JOB_RESTORE, piece, 0));
}

static void
on_drop(void *user, struct tri_id id)
{
    (void)post(user, job_new(JOB_DROP, &(struct tri_spill_piece){.id = id}, 0));
}

static void
on_claim(void *user, struct tri_id id, uint64_t size, const struct tri_file_place *place)
{
    struct job *job = job_new(JOB_CLAIM, &(struct tri_spill_piece){.id = id, .size = size}, 0);
    if (job != NULL)
        job->place = *place;
    (void)post(user, job);
}

static struct tri_spill_files
on_files(void *user)
{
    struct tri_store_thread *self = user;
    pthread_mutex_lock(&self->lock);
    const struct tri_spill_files files = self->files;
    pthread_mutex_unlock(&self->lock);
    return files;
}

void
tri_store_thread_spiller(struct tri_store_thread *thread, struct tri_spiller *spiller)
{
    *spiller = (struct tri_spiller){on_spill, on_restore, on_drop, on_claim, on_files, thread};
}

void
tri_store_thread_sweep(struct tri_store_thread *thread)
{
    if (access(thread->directory, F_OK) == 0)
        (void)post(thread, job_new(JOB_SWEEP, NULL, 0));
}

int
tri_store_thread_fd(const struct tri_store_thread *thread)
{
    return thread->event_fd;
}

bool
tri_store_thread_done(struct tri_store_thread *thread, struct tri_store_done *done)
{
    uint64_t count;
    (void)!read(thread->event_fd, &count, sizeof count); /* it is looked at as often as something was done */
    pthread_mutex_lock(&thread->lock);
    struct job *job = !tri_list_empty(&thread->done) ? TRI_OWNER(thread->done.next, struct job, link) : NULL;
    if (job != NULL)
        tri_list_remove(&job->link);
    pthread_mutex_unlock(&thread->lock);
    if (job == NULL)
        return false;
    *done = job->done;
    free(job);
    return true;
}

trp_err
tri_store_thread_new(const struct tri_store_options *options, struct tri_store_thread **made, trp_error *error)
{
    struct tri_store_thread *self = calloc(1, sizeof *self);
    if (self == NULL || (self->directory = strdup(options->directory)) == NULL) {
        free(self);
        return TRI_FAIL(error, TRP_ENOMEM, "no memory for spilling");
    }
    self->options = *options;
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0) {
        const int errnum = errno;
        free(self->directory);
        free(self);
        return tri_fail_errno(error, TRP_ELIMIT, errnum, "no descriptor for spilling (ulimit -n)");
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wanted, NULL);
    tri_list_init(&self->jobs);
    tri_list_init(&self->done);
    *made = self;
    return TRP_OK;
}

static void
free_jobs(struct tri_node *list)
{
    while (!tri_list_empty(list)) {
        struct job *job = TRI_OWNER(list->next, struct job, link);
        tri_list_remove(&job->link);
        free(job);
    }
}

void
tri_store_thread_end(struct tri_store_thread **thread, bool remove)
{
    struct tri_store_thread *self = *thread;
    trp_error why;
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->ends = true;
    pthread_cond_signal(&self->wanted);
    pthread_mutex_unlock(&self->lock);
    if (self->runs)
        pthread_join(self->thread, NULL);
    if (remove && self->spill != NULL && tri_spill_clear(self->spill, &why) != TRP_OK)
        tri_log(TRI_WARNING, "some spilled objects cannot be removed: %s", why.message);
    tri_spill_destroy(&self->spill);
    tri_spill_backend_destroy(&self->backend);
    if (remove)
        (void)rmdir(self->directory);
    free_jobs(&self->jobs);
    free_jobs(&self->done);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->wanted);
    close(self->event_fd);
    free(self->directory);
    free(self);
    *thread = NULL;
}
