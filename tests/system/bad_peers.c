/*
 * bad_peers.c - the acts of bad peers, one function each, and the table of what becomes of them: "Bad peers" of
 * docs/protocol.md. Who does them, when and beside whom is test_peers.c.
 */
#include "tests/system/bad_peers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = sizeof(struct peer_head), BIG = 40 * 1024 * 1024 };

static _Alignas(16) uint8_t packet[5 * 1024 * 1024];

/* ------------------------------------------------------------------------------------------ packets that are spoiled */

/* A good call of nobody's actor, as the first bytes of `packet`. */
static size_t
write_call(struct peer *peer)
{
    trp_error error;
    struct tri_id none = {peer->space, 1000}, result = peer_id(peer);
    cr_assert_eq(tri_call_pack(&peer->packed, "add", trp_null(), NULL, &error), TRP_OK);
    return peer_write(peer, packet, sizeof packet,
                      (struct tri_route){.kind = TRI_CALL, .target = none, .result = result, .sequence = 1},
                      &peer->packed.section, 1);
}

static struct peer_head *
head_of(void)
{
    return (void *)packet;
}

/* A route with what write_call says. */
struct call_route {
    struct tri_route_head head;
    struct tri_id target, result;
    uint64_t sequence;
};

static struct tri_route_head *
route_of(void)
{
    return (void *)(packet + HEAD);
}

static struct call_route *
parts_of(void)
{
    return (void *)(packet + HEAD);
}

/* The body's head, which is written out for that. */
static struct tri_section_head *
section_of(size_t *size)
{
    struct call_route *route = parts_of();
    struct tri_section_head *head = (void *)(route + 1);
    if ((route->head.parts & TRI_HAS_BODY) == 0)
        return head;
    memmove(head + 1, head, route->head.size - sizeof *route);
    *head = (struct tri_section_head){.meta_size = route->head.meta_size, .size = route->head.body_size};
    route->head.parts &= (uint8_t)~TRI_HAS_BODY;
    route->head.meta_size = route->head.body_size = 0;
    route->head.size += sizeof *head;
    *size += sizeof *head;
    return head;
}

#define SPOILED(name, spoil)                                                                                           \
    static void name(struct peer *peer)                                                                                \
    {                                                                                                                  \
        size_t size = write_call(peer);                                                                                \
        spoil;                                                                                                         \
        peer_send(peer, packet, size, false);                                                                          \
    }
SPOILED(no_magic, head_of()->magic = 0x20545447)
SPOILED(packet_version, head_of()->version = 9)
SPOILED(packet_zeros, head_of()->zero16 = 1)
SPOILED(too_many_envelopes, head_of()->envelope_count = 2)
SPOILED(absurdly_many_envelopes, head_of()->envelope_count = UINT32_MAX)
SPOILED(too_few_envelopes, head_of()->envelope_count = 0)
SPOILED(a_frame_that_is_not_there, head_of()->frame_count = 1)
SPOILED(acknowledges_what_was_not_sent, head_of()->acknowledged = 1 << 20)
SPOILED(releases_what_was_not_given, head_of()->released_calls = 7)
SPOILED(cut_short, size -= 8)
SPOILED(too_long, size += 8)
SPOILED(shorter_than_a_head, size = HEAD - 8)
SPOILED(of_no_bytes, size = 0)
SPOILED(envelope_version, route_of()->version = 1)
SPOILED(unknown_kind, route_of()->kind = 90)
SPOILED(kind_out_of_the_table, route_of()->kind = 255)
SPOILED(kind_of_nothing, route_of()->kind = 0)
SPOILED(unknown_flag, route_of()->flags = 0x8000)
SPOILED(flag_of_another_kind, route_of()->flags = TRI_DRAIN)
SPOILED(flag_of_the_brokers, route_of()->flags = TRI_IN_PLACE | TRI_TASK)
SPOILED(priority, route_of()->priority = 3)
SPOILED(a_part_that_is_not_there, route_of()->parts |= TRI_HAS_PARENT)
SPOILED(a_part_that_is_not_said, route_of()->parts &= (uint8_t)~TRI_HAS_SEQUENCE)
SPOILED(a_body_of_another_size, route_of()->body_size += 8)
SPOILED(a_body_beyond_its_envelope, route_of()->body_size = UINT16_MAX)
SPOILED(a_body_all_structured, route_of()->meta_size = UINT16_MAX)
SPOILED(envelope_too_large, route_of()->size += 8)
SPOILED(envelope_too_small, route_of()->size = 8)
SPOILED(envelope_unaligned, route_of()->size -= 4)
SPOILED(no_sections, route_of()->section_count = 0)
SPOILED(too_many_sections, route_of()->section_count = TRI_SECTIONS_MAX + 1)
SPOILED(section_zeros, section_of(&size)->zero16 = 1)
SPOILED(section_flags, section_of(&size)->flags = 2)
SPOILED(section_place, section_of(&size)->place = 1)
SPOILED(section_too_large, section_of(&size)->size = TRI_COPY_MAX)
SPOILED(section_of_a_frame, section_of(&size)->size = TRI_FRAME_MAX; section_of(&size)->flags = TRI_SECTION_FRAME)
SPOILED(section_over_64_mib, section_of(&size)->size = UINT32_MAX; section_of(&size)->flags = TRI_SECTION_FRAME)
SPOILED(section_meta, section_of(&size)->meta_size = UINT32_MAX)
SPOILED(too_many_references, section_of(&size)->ref_count = TRI_REFS_MAX + 1)
SPOILED(references_that_are_not_there, section_of(&size)->ref_count = TRI_REFS_MAX)
SPOILED(foreign_result, parts_of()->result.space++)
SPOILED(no_result, parts_of()->result = (struct tri_id){0})
SPOILED(no_target, parts_of()->target = (struct tri_id){0})
SPOILED(no_place_in_the_lane, parts_of()->sequence = 0)

static void
batch_over_4_mib(struct peer *peer)
{
    write_call(peer);
    peer_send(peer, packet, sizeof packet, false);
}

static void
too_many_frames(struct peer *peer)
{
    size_t size = write_call(peer);
    head_of()->frame_count = 65;
    peer_send(peer, packet, size, true);
    for (int i = 0; i < 65; i++)
        peer_send(peer, packet, 8, i < 64);
}

static void
frame_over_64_mib(struct peer *peer)
{
    static uint8_t *big;
    size_t size = write_call(peer);
    if (big == NULL)
        big = calloc(1, TRI_FRAME_MAX + 8); /* of the test's process */
    head_of()->frame_count = 1;
    section_of(&size)->size = TRI_FRAME_MAX + 8;
    section_of(&size)->flags = TRI_SECTION_FRAME;
    peer_send(peer, packet, size, true);
    peer_send(peer, big, TRI_FRAME_MAX + 8, false);
}

/* ------------------------------------------------------------------------------------- messages that are out of place */

static void
say_body(struct peer *peer, uint8_t kind, struct tri_id result)
{
    trp_error error;
    cr_assert_eq(tri_value_pack(&peer->packed, trp_i64(1), NULL, NULL, &error), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = kind, .result = result}, &peer->packed.section);
}

static void
result_from_a_driver(struct peer *peer)
{
    say_body(peer, TRI_RESULT, peer_id(peer));
}

static void
welcome_to_the_broker(struct peer *peer)
{
    say_body(peer, TRI_WELCOME, (struct tri_id){0, 0});
}

static void
freed_to_the_broker(struct peer *peer)
{
    say_body(peer, TRI_FREED, (struct tri_id){0, 0});
}

static void
module_from_a_driver(struct peer *peer)
{
    say_body(peer, TRI_MODULE, (struct tri_id){0, 0});
}

static void
ready_from_a_driver(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_READY, .target = peer_id(peer)}, NULL);
}

static void
ended_from_a_driver(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_ENDED, .target = peer_id(peer)}, NULL);
}

static void
pong_from_a_driver(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_PONG}, NULL);
}

static void
unblocked_from_a_driver(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_UNBLOCKED, .parent = peer_id(peer)}, NULL);
}

static void
hello_in_the_session(struct peer *peer)
{
    const struct tri_login login = {.version_min = TRI_WIRE_VERSION,
                                    .version_max = TRI_WIRE_VERSION,
                                    .role = TRI_DRIVER,
                                    .pid = getpid(),
                                    .cookie = peer->cookie,
                                    .program = ""};
    trp_error error;
    cr_assert_eq(tri_login_pack(&peer->packed, &login, &error), TRP_OK);
    size_t size =
        peer_write(peer, packet, sizeof packet, (struct tri_route){.kind = TRI_HELLO}, &peer->packed.section, 1);
    head_of()->sequence = ++peer->sent;
    peer_send(peer, packet, size, false);
}

static void
call_before_hello(struct peer *peer)
{
    size_t size = write_call(peer);
    head_of()->sequence = 0;
    peer_send(peer, packet, size, false);
}

/* As what is left of a session before: dropped without a word; HELLO is answered as ever. */
static void
numbered_call_before_hello(struct peer *peer)
{
    size_t size = write_call(peer);
    peer_send(peer, packet, size, false);
    peer->sent = 0;
    peer_log_in(peer);
}

static void
wrong_cookie(struct peer *peer, struct tri_login *login)
{
    (void)peer;
    login->cookie++;
}

static void
hello_with_a_wrong_cookie(struct peer *peer)
{
    peer_hello(peer, wrong_cookie);
}

static void
future_version(struct peer *peer, struct tri_login *login)
{
    (void)peer;
    login->version_min = login->version_max = TRI_WIRE_VERSION + 1;
}

static void
hello_of_a_future_version(struct peer *peer)
{
    peer_hello(peer, future_version);
}

static void
other_pid(struct peer *peer, struct tri_login *login)
{
    (void)peer;
    login->pid = getppid();
}

static void
hello_of_another_process(struct peer *peer)
{
    peer_hello(peer, other_pid);
}

static void
be_a_host(struct peer *peer, struct tri_login *login)
{
    (void)peer;
    login->role = TRI_HOST;
    login->host_token = 1;
}

static void
hello_as_a_host(struct peer *peer)
{
    peer_hello(peer, be_a_host);
}

static void
somebody_else(struct peer *peer, struct tri_login *login)
{
    login->space = peer->space - 1;
}

static void
hello_as_somebody_else(struct peer *peer)
{
    peer_hello(peer, somebody_else);
}

static void
never_given(struct peer *peer, struct tri_login *login)
{
    (void)peer;
    login->space = (uint64_t)UINT32_MAX << 32 | 1;
}

static void
hello_under_a_name_that_was_never_given(struct peer *peer)
{
    peer_hello(peer, never_given);
}

static void
hello_with_a_body_that_does_not_verify(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 64, .size = 64};
    memset(packet + 4096, 0xa5, 64);
    peer_say(peer, (struct tri_route){.kind = TRI_HELLO}, &body);
}

/* A second cookie on the link of the first. */
static void
hello_with_another_cookie(struct peer *peer)
{
    peer->second_door = peer_open_door(peer->directory, &peer->cookie);
    peer_hello(peer, NULL);
}

/* ---------------------------------------------------------------------------------------------- names, holds, windows */

static void
spawn_of_a_foreign_actor(struct peer *peer)
{
    peer->space++;
    peer_spawn(peer);
}

static void
release_of_nothing(struct peer *peer)
{
    const struct tri_run release = {.id = {peer->space + 1, 4711}, .count = 1, .handed = 1};
    trp_error error;
    cr_assert_eq(tri_runs_pack(&peer->packed, &release, 1, &error), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_RELEASE}, &peer->packed.section);
}

static void
release_of_more_than_it_holds(struct peer *peer)
{
    struct tri_run release = {.id = peer_spawn(peer), .count = 1, .handed = 3};
    trp_error error;
    cr_assert_eq(tri_runs_pack(&peer->packed, &release, 1, &error), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_RELEASE}, &peer->packed.section);
}

/* One is its own, the others are not. */
static void
release_of_a_run_of_others(struct peer *peer)
{
    const struct tri_id actor = peer_spawn(peer), foreign = {peer->space + 1, 1};
    const struct tri_run runs[] = {{.id = actor, .count = 1, .handed = 1},
                                   {.id = foreign, .step = 1, .count = TRI_RUN_MAX, .handed = 1}};
    trp_error error;
    cr_assert_eq(tri_runs_pack(&peer->packed, runs, 2, &error), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_RELEASE}, &peer->packed.section);
}

static void
release_of_a_run_without_end(struct peer *peer)
{
    const struct tri_run run = {.id = {peer->space, 1}, .step = 1, .count = UINT32_MAX, .handed = 1};
    trp_error error;
    cr_assert_eq(tri_runs_pack(&peer->packed, &run, 1, &error), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_RELEASE}, &peer->packed.section);
}

/* ---------------------------------------------------------------------------------------------------------- the arena */

static void
space_of_nothing(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_SPACE}, NULL);
}

static void
want_of_nothing(struct peer *peer)
{
    peer_say(peer, (struct tri_route){.kind = TRI_WANT}, NULL);
}

static void
here_to_the_broker(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 64, .size = 64};
    memset(packet + 4096, 0xa5, 64);
    peer_say(peer, (struct tri_route){.kind = TRI_HERE, .result = peer_id(peer)}, &body);
}

static void
lease_to_the_broker(struct peer *peer)
{
    const struct tri_lease lease = {.count = 1};
    cr_assert_eq(tri_lease_pack(&peer->packed, &lease, NULL), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_LEASE}, &peer->packed.section);
}

static void
gives_back(struct peer *peer, uint32_t start, uint32_t count, uint32_t slot)
{
    const struct tri_lease lease = {.start = start, .count = count, .slots = &slot, .slot_count = slot != UINT32_MAX};
    cr_assert_eq(tri_lease_pack(&peer->packed, &lease, NULL), TRP_OK);
    peer_say(peer, (struct tri_route){.kind = TRI_GIVEN}, &peer->packed.section);
}

static void
given_that_was_never_leased(struct peer *peer)
{
    gives_back(peer, 0, 1, UINT32_MAX);
}

static void
given_beyond_the_arena(struct peer *peer)
{
    gives_back(peer, UINT32_MAX - 2, 2, UINT32_MAX);
}

static void
given_slot_of_nobody(struct peer *peer)
{
    gives_back(peer, 0, 0, 7);
}

static void
given_that_does_not_verify(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 64, .size = 64};
    memset(packet + 4096, 0xa5, 64);
    peer_say(peer, (struct tri_route){.kind = TRI_GIVEN}, &body);
}

/* PUT of a value that lies in the arena, as the sender says. */
static void
say_place(struct peer *peer, struct tri_place place, uint32_t size)
{
    const struct tri_section body = {.meta_size = 64, .size = size};
    const struct tri_id id = peer_id(peer);
    const size_t batch =
        peer_write(peer, packet, sizeof packet, (struct tri_route){.kind = TRI_PUT, .result = id}, &body, 1);
    place.frame = 1;
    memcpy(packet + batch, &place, sizeof place);
    head_of()->zero16 = 1; /* places, and no frame */
    head_of()->frame_count = 0;
    peer_send(peer, packet, batch + sizeof place, false);
}

/* A lease, and its first granule and slot. */
static struct tri_place
leased(struct peer *peer)
{
    struct tri_envelope envelope;
    struct tri_lease lease;
    peer_say(peer, (struct tri_route){.kind = TRI_SPACE, .sequence = 100}, NULL);
    cr_assert(peer_receive(peer, TRI_LEASE, 10000, &envelope));
    cr_assert_eq(tri_lease_unpack(&envelope.body, &lease, NULL), TRP_OK);
    return (struct tri_place){.slot = lease.slots[0], .generation = 1, .start = lease.start, .size = 200000};
}

static void
place_that_was_never_leased(struct peer *peer)
{
    say_place(peer, (struct tri_place){.slot = 1, .generation = 1, .size = 200000}, 200000);
}

static void
place_of_another_generation(struct peer *peer)
{
    struct tri_place place = leased(peer);
    place.generation = UINT32_MAX;
    say_place(peer, place, 200000);
}

static void
place_beyond_its_lease(struct peer *peer)
{
    struct tri_place place = leased(peer);
    place.size = TRI_STORED_MAX;
    say_place(peer, place, TRI_STORED_MAX);
}

static void
place_of_another_size(struct peer *peer)
{
    say_place(peer, leased(peer), 190000);
}

static void
spawn_that_does_not_verify(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 256, .size = 256};
    memset(packet + 4096, 0xa5, 256);
    peer_say(peer, (struct tri_route){.kind = TRI_SPAWN, .target = peer_id(peer)}, &body);
}

/* The broker reads what a task needs; of a call it opens nothing. */
static void
task_that_does_not_verify(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 256, .size = 256};
    memset(packet + 4096, 0xa5, 256);
    peer_say(peer, (struct tri_route){.kind = TRI_CALL, .flags = TRI_TASK, .result = peer_id(peer)}, &body);
}

static void
lookup_that_does_not_verify(struct peer *peer)
{
    struct tri_section body = {.data = packet + 4096, .meta_size = 24, .size = 24};
    memset(packet + 4096, 0x5a, 24);
    peer_say(peer, (struct tri_route){.kind = TRI_LOOKUP, .result = peer_id(peer)}, &body);
}

/* 40 MiB each, to an actor that ends none of them: the window is 64 MiB, and one envelope more is allowed. */
static void
more_than_the_window(struct peer *peer)
{
    static uint8_t *big;
    trp_error error;
    struct tri_id actor = peer_spawn(peer);
    peer_call(peer, actor, peer_id(peer), 1, "hang");
    if (big == NULL)
        big = calloc(1, BIG); /* of the test's process */
    for (uint64_t i = 2; i < 5; i++) {
        cr_assert_eq(tri_call_pack(&peer->packed, "print", TRP_ARGS(trp_bytes(big, BIG)), NULL, &error), TRP_OK, "%s",
                     error.message);
        peer_say(peer, (struct tri_route){.kind = TRI_CALL, .target = actor, .result = peer_id(peer), .sequence = i},
                 &peer->packed.section);
    }
}

/* ------------------------------------------------------------------------------------------------ what only fails */

static struct tri_id
call_of_a_wrong_epoch(struct peer *peer)
{
    struct tri_id actor = peer_spawn(peer), result = peer_id(peer);
    trp_error error;
    peer_call(peer, actor, result, 1, "add");
    cr_assert_eq(peer_await_result(peer, result, &error), TRP_OK, "%s", error.message);
    result = peer_id(peer);
    cr_assert_eq(tri_call_pack(&peer->packed, "add", trp_null(), NULL, &error), TRP_OK);
    peer_say(peer,
             (struct tri_route){.kind = TRI_CALL, .target = actor, .result = result, .sequence = 2, .epoch = 12345},
             &peer->packed.section);
    return result;
}

static struct tri_id
call_that_does_not_verify(struct peer *peer)
{
    struct tri_id actor = peer_spawn(peer), result = peer_id(peer);
    struct tri_section body = {.data = packet + 4096, .meta_size = 256, .size = 256};
    memset(packet + 4096, 0xa5, 256);
    peer_say(peer, (struct tri_route){.kind = TRI_CALL, .target = actor, .result = result, .sequence = 1}, &body);
    return result;
}

static struct tri_id
call_of_an_unknown_actor(struct peer *peer)
{
    struct tri_id result = peer_id(peer);
    peer_call(peer, (struct tri_id){peer->space, 4711}, result, 1, "add");
    return result;
}

/* --------------------------------------------------------------------------------------------------------- the table */

const struct bad_peer bad_peers[] = {
#define CUT(name)                                                                                                      \
    {                                                                                                                  \
#name, name, TRP_EPROTO, false                                                                                 \
    }
    CUT(no_magic),
    CUT(packet_version),
    CUT(packet_zeros),
    CUT(too_many_envelopes),
    CUT(absurdly_many_envelopes),
    CUT(too_few_envelopes),
    CUT(a_frame_that_is_not_there),
    CUT(acknowledges_what_was_not_sent),
    CUT(releases_what_was_not_given),
    CUT(cut_short),
    CUT(too_long),
    CUT(shorter_than_a_head),
    CUT(of_no_bytes),
    CUT(envelope_version),
    CUT(unknown_kind),
    CUT(kind_out_of_the_table),
    CUT(kind_of_nothing),
    CUT(unknown_flag),
    CUT(flag_of_another_kind),
    CUT(flag_of_the_brokers),
    CUT(priority),
    CUT(a_part_that_is_not_there),
    CUT(a_part_that_is_not_said),
    CUT(a_body_of_another_size),
    CUT(a_body_beyond_its_envelope),
    CUT(a_body_all_structured),
    CUT(envelope_too_large),
    CUT(envelope_too_small),
    CUT(envelope_unaligned),
    CUT(no_sections),
    CUT(too_many_sections),
    CUT(section_zeros),
    CUT(section_flags),
    CUT(section_place),
    CUT(section_too_large),
    CUT(section_of_a_frame),
    CUT(section_over_64_mib),
    CUT(section_meta),
    CUT(too_many_references),
    CUT(references_that_are_not_there),
    CUT(foreign_result),
    CUT(no_result),
    CUT(no_target),
    CUT(no_place_in_the_lane),
    CUT(batch_over_4_mib),
    CUT(too_many_frames),
    CUT(frame_over_64_mib),
    CUT(result_from_a_driver),
    CUT(welcome_to_the_broker),
    CUT(freed_to_the_broker),
    CUT(module_from_a_driver),
    CUT(ready_from_a_driver),
    CUT(ended_from_a_driver),
    CUT(pong_from_a_driver),
    CUT(unblocked_from_a_driver),
    CUT(hello_in_the_session),
    CUT(hello_as_a_host),
    CUT(hello_as_somebody_else),
    CUT(hello_with_another_cookie),
    CUT(spawn_of_a_foreign_actor),
    CUT(release_of_nothing),
    CUT(release_of_more_than_it_holds),
    CUT(release_of_a_run_of_others),
    CUT(release_of_a_run_without_end),
    CUT(space_of_nothing),
    CUT(want_of_nothing),
    CUT(here_to_the_broker),
    CUT(lease_to_the_broker),
    CUT(given_that_was_never_leased),
    CUT(given_beyond_the_arena),
    CUT(given_slot_of_nobody),
    CUT(given_that_does_not_verify),
    CUT(place_that_was_never_leased),
    CUT(place_of_another_generation),
    CUT(place_beyond_its_lease),
    CUT(place_of_another_size),
    CUT(spawn_that_does_not_verify),
    CUT(task_that_does_not_verify),
    CUT(lookup_that_does_not_verify),
    {"more_than_the_window", more_than_the_window, TRP_ELIMIT, false},
    {"call_before_hello", call_before_hello, TRP_EPROTO, true},
    {"no_magic_before_hello", no_magic, TRP_EPROTO, true},
    {"numbered_call_before_hello", numbered_call_before_hello, TRP_OK, true},
    {"hello_with_a_wrong_cookie", hello_with_a_wrong_cookie, TRP_EACCES, true},
    {"hello_of_a_future_version", hello_of_a_future_version, TRP_EPROTO, true},
    {"hello_of_another_process", hello_of_another_process, TRP_EACCES, true},
    {"hello_as_a_host_at_once", hello_as_a_host, TRP_EACCES, true},
    {"hello_under_a_name_that_was_never_given", hello_under_a_name_that_was_never_given, TRP_EPROTO, true},
    {"hello_with_a_body_that_does_not_verify", hello_with_a_body_that_does_not_verify, TRP_EPROTO, true},
};
const size_t bad_peer_count = sizeof bad_peers / sizeof *bad_peers;

const struct bad_call bad_calls[] = {
    {"call_of_a_wrong_epoch", call_of_a_wrong_epoch, TRP_EACTORDIED},
    {"call_that_does_not_verify", call_that_does_not_verify, TRP_EPROTO},
    {"call_of_an_unknown_actor", call_of_an_unknown_actor, TRP_EACTORDIED},
};
const size_t bad_call_count = sizeof bad_calls / sizeof *bad_calls;
