/*
 * bodies.c - the bodies of what simulated programs say, packed once for a seed, and the numbers that tell values apart. It must
 * not know who says what.
 */
#include "tests/sim/sim.h"

static void
must(struct sim_world *world, trp_err err, const trp_error *error)
{
    if (err != TRP_OK)
        sim_fail(world, "packing: %s", error->message);
}

static void
find_payload(struct sim_world *world)
{
    struct tri_packed other = {0};
    trp_error error;

    must(world, tri_value_pack(&world->value, trp_i64(0x1122334455667788), NULL, NULL, &error), &error);
    must(world, tri_value_pack(&other, trp_i64(0x0807060504030201), NULL, NULL, &error), &error);
    while (world->payload_at < world->value.section.size &&
           world->value.section.data[world->payload_at] == other.section.data[world->payload_at])
        world->payload_at++;
    tri_packed_fini(&other);
    if (world->payload_at + 8 > world->value.section.size)
        sim_fail(world, "no payload in a value");
}

/* Usual ones, one that takes more than a CPU, one that takes none, one that is started again however often its host dies. */
static void
pack_tasks(struct sim_world *world)
{
    static const struct tri_needs needs[SIM_TASKS] = {
        {0}, {.num_cpus = 1.25}, {.num_cpus = -1}, {.num_cpus = 0.5, .max_retries = -1}};
    trp_error error;

    for (uint32_t i = 0; i < SIM_TASKS; i++)
        must(world, tri_task_pack(&world->task[i], "sim:task", trp_null(), i == 0 ? NULL : &needs[i], NULL, &error),
             &error);
}

static void
pack_spawns(struct sim_world *world)
{
    static const char *const names[SIM_NAMES] = {"red", "green", "blue"};
    trp_error error;

    for (uint32_t i = 0; i < 3 + 3 * SIM_NAMES; i++) {
        struct tri_spawn spawn = {.class_name = "sim:Actor", .name = "", .namespace_ = "default", .num_cpus = 0};
        spawn.detached = i % 3 == 2;
        spawn.get_if_exists = i >= 3 && i % 3 == 1;
        spawn.memory_bytes = i % 4 == 2 ? i + 1 : 0;
        spawn.num_cpus = i == 1 ? 1.0 / 1024 : 0; /* little: an actor that waits for what others hold waits rightly */
        if (i >= 3)
            spawn.name = names[i / 3 - 1];
        must(world, tri_spawn_pack(&world->spawn[i], &spawn, trp_null(), NULL, &error), &error);
    }
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        must(world, tri_name_pack(&world->name[i], names[i], "default", &error), &error);
}

void
sim_bodies_init(struct sim_world *world)
{
    static const uint8_t large[2500];
    struct tri_failure failure = {0};
    trp_error error;

    must(world, tri_call_pack(&world->call, "method", trp_null(), NULL, &error), &error);
    pack_tasks(world);
    find_payload(world);
    (void)TRI_FAIL(&failure.error, TRP_ETASK, "it failed on purpose");
    failure.error.ran = TRP_RAN;
    must(world, tri_error_pack(&world->error, &failure, &error), &error);
    (void)TRI_FAIL(&failure.error, TRP_ECANCELLED, "it was cancelled while it ran");
    failure.error.ran = TRP_RAN;
    must(world, tri_error_pack(&world->cancelled, &failure, &error), &error);
    must(world, tri_value_pack(&world->large, trp_bytes(large, sizeof large), NULL, NULL, &error), &error);
    must(world, tri_kill_pack(&world->kill[0], 0, false, &error), &error);
    must(world, tri_kill_pack(&world->kill[1], SIM_DRAIN_MS, false, &error), &error);
    must(world, tri_watch_pack(&world->watch[0], 0, &error), &error);
    must(world, tri_watch_pack(&world->watch[1], 1, &error), &error);
    pack_spawns(world);
}

void
sim_bodies_fini(struct sim_world *world)
{
    tri_packed_fini(&world->call);
    for (uint32_t i = 0; i < SIM_TASKS; i++)
        tri_packed_fini(&world->task[i]);
    tri_packed_fini(&world->value);
    tri_packed_fini(&world->large);
    tri_packed_fini(&world->error);
    tri_packed_fini(&world->cancelled);
    tri_packed_fini(&world->kill[0]);
    tri_packed_fini(&world->kill[1]);
    tri_packed_fini(&world->watch[0]);
    tri_packed_fini(&world->watch[1]);
    for (uint32_t i = 0; i < 3 + 3 * SIM_NAMES; i++)
        tri_packed_fini(&world->spawn[i]);
    for (uint32_t i = 0; i < SIM_NAMES; i++)
        tri_packed_fini(&world->name[i]);
}

uint64_t
sim_payload(struct tri_id id)
{
    return (id.space * 31 + id.number) * UINT64_C(0x9e3779b97f4a7c15);
}
