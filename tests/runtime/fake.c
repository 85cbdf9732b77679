/*
 * fake.c - see fake.h. One thread for the broker; the test's threads speak to it through a lock and an eventfd.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fake.h"
#include "transport/transport.h"

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "fake broker: %s:%d: %s\n", __FILE__, __LINE__, #condition);                         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { HELD_MAX = 200000 };

struct fake {
    char directory[128];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int bell;
    bool silent;
    bool stopping, answer;
    size_t calls, hellos, made;
    uint32_t credit;
    uint16_t version; /* of WELCOME; 0: ours */
    /* the thread's */
    void *context;
    struct tri_link *link;
    struct tri_door_server *server;
    int door;
    bool known, left;
    uint64_t peer, incarnation, space;
    struct tri_channel channel;
    struct tri_packed packed;
    struct tri_id *held;
    uint64_t *held_bytes;
    size_t held_count;
    bool makes_actor;
};

static void
emit(void *user, struct tri_packet *packet)
{
    struct fake *fake = user;

    if (tri_link_send(fake->link, fake->peer, packet, NULL) != TRP_OK)
        tri_packet_fini(packet);
}

static void
post_result(struct fake *fake, struct tri_id id, bool failed)
{
    const struct tri_route route = {.kind = TRI_RESULT, .flags = failed ? TRI_FAILED : 0, .result = id};

    if (!tri_id_is_none(id))
        MUST(tri_channel_post(&fake->channel, &route, &fake->packed.section, 1, NULL, NULL) == TRP_OK);
}

static void
answer_value(struct fake *fake, struct tri_id id, trp_value value)
{
    static const struct tri_handles none;

    MUST(tri_value_pack(&fake->packed, value, &none, NULL, NULL) == TRP_OK);
    post_result(fake, id, false);
}

static void
answer_failure(struct fake *fake, struct tri_id id, trp_err code, int32_t cause, const char *text)
{
    struct tri_failure failure = {.error = {.code = code, .cause = cause, .ran = TRP_RAN, .rank = -1}};

    (void)tri_text_copy(failure.error.message, sizeof failure.error.message, text);
    (void)tri_text_copy(failure.error.method, sizeof failure.error.method, "fail");
    MUST(tri_error_pack(&fake->packed, &failure, NULL) == TRP_OK);
    post_result(fake, id, true);
}

static void
on_call(struct fake *fake, const struct tri_envelope *envelope)
{
    const struct tri_id id = envelope->route.result;
    struct tri_section section;
    struct tri_call call;

    tri_envelope_section(envelope, 0, &section);
    MUST(tri_call_unpack(&section, &call, NULL) == TRP_OK);
    if (strcmp(call.method, "hold") == 0) {
        MUST(fake->held_count < HELD_MAX);
        fake->held_bytes[fake->held_count] = envelope->bytes;
        fake->held[fake->held_count++] = id;
    } else if (strcmp(call.method, "fail") == 0) {
        answer_failure(fake, id, TRP_ETASK, 7, "it failed, as told");
    } else if (strcmp(call.method, "die") == 0) {
        (void)close(fake->door);
        fake->door = -1;
    } else {
        const trp_value first = trp_at(tri_view_value(&call.args, 0), 0);
        answer_value(fake, id, first.kind == TRP_NONE ? trp_null() : first);
    }
    tri_view_close(&call.args);
    if (strcmp(call.method, "hold") != 0)
        tri_session_release(&fake->channel.session, envelope->bytes);
}

/* Not acknowledged, where it is the last that this broker hears. */
static void
on_made(struct fake *fake)
{
    if (!fake->makes_actor)
        return;
    (void)close(fake->door);
    fake->door = -1;
    fake->left = true;
    (void)pthread_mutex_lock(&fake->lock);
    fake->made++;
    (void)pthread_cond_broadcast(&fake->changed);
    (void)pthread_mutex_unlock(&fake->lock);
}

static trp_err
on_envelope(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    struct fake *fake = user;

    (void)error;
    switch (envelope->route.kind) {
    case TRI_CALL:
        on_call(fake, envelope);
        (void)pthread_mutex_lock(&fake->lock);
        fake->calls++;
        (void)pthread_cond_broadcast(&fake->changed);
        (void)pthread_mutex_unlock(&fake->lock);
        break;
    case TRI_PUT:
        tri_session_release(&fake->channel.session, envelope->bytes);
        break;
    case TRI_SPAWN:
        tri_session_release(&fake->channel.session, envelope->bytes);
        break;
    case TRI_LOOKUP:
        answer_failure(fake, envelope->route.result, TRP_ENOENT, 0, "Failed to look up actor with name 'nope'");
        break;
    case TRI_GOODBYE: /* the door closes sooner than the acknowledgement comes */
        (void)close(fake->door);
        fake->door = -1;
        fake->left = true;
        break;
    case TRI_READY:
        on_made(fake);
        break;
    case TRI_KILL:
    case TRI_WATCH:
        answer_value(fake, envelope->route.result, trp_null());
        break;
    case TRI_QUERY:
        answer_value(fake, envelope->route.result, trp_list(NULL, 0));
        break;
    default:
        break;
    }
    return TRP_OK;
}

static trp_err
on_hello(void *user, const struct tri_envelope *envelope, trp_error *error)
{
    const struct tri_route route = {.kind = TRI_WELCOME}, create = {.kind = TRI_CREATE, .target = {1, 5}};
    struct fake *fake = user;
    struct tri_packet packet = {0};
    struct tri_section section;
    struct tri_login login;

    MUST(envelope->route.kind == TRI_HELLO);
    tri_envelope_section(envelope, 0, &section);
    TRP_TRY(tri_login_unpack(&section, &login, error));
    const struct tri_welcome welcome = {
        .version = fake->version != 0 ? fake->version : TRI_WIRE_VERSION,
        .space = login.space != 0 ? login.space : (fake->incarnation << 32 | 1),
        .broker = fake->incarnation,
        .snapshot = login.space != 0,
        .node = "fake",
        .credit_calls = fake->credit,
        .credit_bytes = 64 * 1024 * 1024,
        .num_cpus = 4,
    };
    fake->left = false;
    tri_channel_reset(&fake->channel, 65536, 64 * 1024 * 1024);
    MUST(tri_welcome_pack(&fake->packed, &welcome, NULL) == TRP_OK);
    MUST(tri_packet_single(&packet, &route, &fake->packed.section, 1, NULL) == TRP_OK);
    if (!fake->silent)
        emit(fake, &packet);
    else
        tri_packet_fini(&packet);
    if (fake->makes_actor && !welcome.snapshot) {
        MUST(tri_value_pack(&fake->packed, trp_null(), NULL, NULL, NULL) == TRP_OK); /* of no class */
        MUST(tri_channel_post(&fake->channel, &create, &fake->packed.section, 1, NULL, NULL) == TRP_OK);
    }
    (void)pthread_mutex_lock(&fake->lock);
    fake->hellos++;
    (void)pthread_cond_broadcast(&fake->changed);
    (void)pthread_mutex_unlock(&fake->lock);
    return TRP_OK;
}

static void
on_packet(struct fake *fake, struct tri_packet *packet)
{
    struct tri_batch_head head;
    trp_error error = {.message = ""};
    trp_err err;

    MUST(tri_packet_head(packet, &head, NULL) == TRP_OK);
    if (head.sequence == 0 && head.envelope_count > 0)
        err = tri_packet_each(packet, on_hello, fake, &error);
    else
        err = tri_channel_receive(&fake->channel, packet, on_envelope, fake, NULL, &error);
    if (err != TRP_OK)
        (void)fprintf(stderr, "fake broker: %s\n", error.message);
    MUST(err == TRP_OK);
}

static void
answer_held(struct fake *fake)
{
    for (size_t i = 0; i < fake->held_count; i++) {
        answer_value(fake, fake->held[i], trp_i64((int64_t)i));
        tri_session_release(&fake->channel.session, fake->held_bytes[i]);
    }
    fake->held_count = 0;
}

static bool
look_at_wishes(struct fake *fake)
{
    bool stopping, answer;

    (void)pthread_mutex_lock(&fake->lock);
    stopping = fake->stopping;
    answer = fake->answer;
    fake->answer = false;
    (void)pthread_mutex_unlock(&fake->lock);
    if (answer)
        answer_held(fake);
    return !stopping;
}

static void
look_at_doors(struct fake *fake, const struct pollfd *fds)
{
    const uint64_t cookie = 4711;
    uint8_t bytes[8];
    size_t size = 0, fd_count = 0;
    int pidfd = -1, fd = -1;
    int32_t pid;

    if (fds[1].revents != 0 && tri_door_accept(fake->server, &fd, &pidfd, &pid, NULL) == TRP_OK) {
        (void)close(pidfd);
        if (fake->door >= 0)
            (void)close(fake->door);
        fake->door = fd;
        MUST(tri_door_send(fd, &cookie, sizeof cookie, NULL, 0, NULL) == TRP_OK);
    } else if (fds[2].revents != 0 && fake->door >= 0 &&
               tri_door_recv(fake->door, bytes, sizeof bytes, &size, NULL, 0, &fd_count, NULL) != TRP_EAGAIN) {
        (void)close(fake->door);
        fake->door = -1;
    }
}

static void *
broker(void *user)
{
    struct fake *fake = user;
    struct tri_packet packet = {0};

    while (look_at_wishes(fake)) {
        uint64_t count;
        while (tri_link_recv(fake->link, 0, &fake->peer, &packet, NULL) == TRP_OK) {
            on_packet(fake, &packet);
            tri_packet_fini(&packet);
        }
        (void)tri_channel_flush(&fake->channel, emit, fake, NULL);
        if (!fake->left)
            (void)tri_channel_acknowledge(&fake->channel, emit, fake, NULL);
        if (tri_link_readable(fake->link))
            continue;
        struct pollfd fds[4] = {{tri_link_fd(fake->link), POLLIN, 0},
                                {tri_door_server_fd(fake->server), POLLIN, 0},
                                {fake->door, POLLIN, 0},
                                {fake->bell, POLLIN, 0}};
        (void)poll(fds, 4, -1);
        look_at_doors(fake, fds);
        if (fds[3].revents != 0)
            (void)!read(fake->bell, &count, sizeof count);
    }
    return NULL;
}

static void
ring(struct fake *fake)
{
    const uint64_t one = 1;

    (void)!write(fake->bell, &one, sizeof one);
}

static struct fake *
start(const char *directory, bool silent)
{
    static uint64_t incarnation = 1;
    struct fake *fake = calloc(1, sizeof *fake);
    char path[160], address[192];

    MUST(fake != NULL);
    fake->held = malloc(HELD_MAX * sizeof *fake->held);
    fake->held_bytes = malloc(HELD_MAX * sizeof *fake->held_bytes);
    fake->incarnation = incarnation++;
    fake->credit = 65536;
    fake->silent = silent;
    fake->door = -1;
    if (directory != NULL) {
        (void)tri_text_copy(fake->directory, sizeof fake->directory, directory);
    } else {
        (void)tri_text_copy(fake->directory, sizeof fake->directory, "/tmp/troupe-fake-XXXXXX");
        MUST(mkdtemp(fake->directory) != NULL);
    }
    (void)snprintf(path, sizeof path, "%s/door", fake->directory);
    (void)snprintf(address, sizeof address, "ipc://%s/broker.sock", fake->directory);
    (void)pthread_mutex_init(&fake->lock, NULL);
    (void)pthread_cond_init(&fake->changed, NULL);
    tri_channel_init(&fake->channel, 65536, 64 * 1024 * 1024);
    fake->bell = eventfd(0, EFD_CLOEXEC);
    MUST(tri_link_context(&fake->context, NULL) == TRP_OK);
    MUST(tri_link_find(address)->bind(fake->context, address, &fake->link, NULL) == TRP_OK);
    MUST(tri_door_listen(path, &fake->server, NULL) == TRP_OK);
    MUST(pthread_create(&fake->thread, NULL, broker, fake) == 0);
    return fake;
}

struct fake *
fake_start(const char *directory)
{
    return start(directory, false);
}

struct fake *
fake_start_silent(const char *directory)
{
    return start(directory, true);
}

const char *
fake_directory(const struct fake *fake)
{
    return fake->directory;
}

void
fake_stop(struct fake **fake)
{
    struct fake *gone = *fake;

    *fake = NULL;
    (void)pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    (void)pthread_mutex_unlock(&gone->lock);
    ring(gone);
    (void)pthread_join(gone->thread, NULL);
    tri_door_server_close(&gone->server);
    if (gone->door >= 0)
        (void)close(gone->door);
    tri_link_close(&gone->link);
    tri_link_context_end(&gone->context);
    tri_channel_fini(&gone->channel);
    tri_packed_fini(&gone->packed);
    (void)close(gone->bell);
    (void)pthread_cond_destroy(&gone->changed);
    (void)pthread_mutex_destroy(&gone->lock);
    free(gone->held);
    free(gone->held_bytes);
    free(gone);
}

void
fake_answer_held(struct fake *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->answer = true;
    (void)pthread_mutex_unlock(&fake->lock);
    ring(fake);
}

void
fake_make_actor(struct fake *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->makes_actor = true;
    (void)pthread_mutex_unlock(&fake->lock);
}

void
fake_credit(struct fake *fake, uint32_t calls)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->credit = calls;
    (void)pthread_mutex_unlock(&fake->lock);
}

void
fake_version(struct fake *fake, uint16_t version)
{
    (void)pthread_mutex_lock(&fake->lock);
    fake->version = version;
    (void)pthread_mutex_unlock(&fake->lock);
}

static bool
await(struct fake *fake, const size_t *number, size_t count)
{
    struct timespec until;
    bool there;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    (void)pthread_mutex_lock(&fake->lock);
    while (*number < count && pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0) {
    }
    there = *number >= count;
    (void)pthread_mutex_unlock(&fake->lock);
    return there;
}

size_t
fake_calls(struct fake *fake)
{
    size_t calls;

    (void)pthread_mutex_lock(&fake->lock);
    calls = fake->calls;
    (void)pthread_mutex_unlock(&fake->lock);
    return calls;
}

bool
fake_await_calls(struct fake *fake, size_t count)
{
    return await(fake, &fake->calls, count);
}

bool
fake_await_hellos(struct fake *fake, size_t count)
{
    return await(fake, &fake->hellos, count);
}

bool
fake_await_made(struct fake *fake)
{
    return await(fake, &fake->made, 1);
}

void
fake_clean(const char *directory)
{
    static const char *const names[] = {"door", "broker.sock"};
    char path[192];

    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}
