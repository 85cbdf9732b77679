/*
 * mix.c - what a seed is like: how much its programs do of what, who is slow in what, how often whom a fault meets, the limits.
 * Seeds that differ much in this meet more windows than seeds that are all alike. It must not know what happens in a run.
 */
#include "tests/sim/sim.h"

/* A quarter, as much, or four times as much. */
static uint32_t
about(struct sim_world *world, uint32_t weight)
{
    static const uint32_t quarters[] = {1, 4, 4, 16};

    return weight * quarters[sim_random(world, 4)];
}

static uint32_t
one_of(struct sim_world *world, const uint32_t *numbers, uint32_t count)
{
    return numbers[sim_random(world, count)];
}

static void
draw_omen(struct sim_world *world, struct sim_omen *omen)
{
    static const uint8_t kinds[] = {TRI_CALL,   TRI_RESULT,  TRI_ACCEPTED, TRI_WAIT,    TRI_RELEASE, TRI_FREED,
                                    TRI_FETCH,  TRI_PUT,     TRI_SPAWN,    TRI_CREATE,  TRI_READY,   TRI_STOP,
                                    TRI_CANCEL, TRI_BLOCKED, TRI_KILL,     TRI_SNAPSHOT};
    static const enum sim_fault_kind faults[] = {SIM_KILL_BROKER, SIM_KILL_PEER, SIM_CUT};

    omen->kind = kinds[sim_random(world, sizeof kinds / sizeof *kinds)];
    omen->fault = faults[sim_random(world, sizeof faults / sizeof *faults)];
    omen->percent = (uint32_t)(1 + sim_random(world, 5));
}

void
sim_mix(struct sim_world *world)
{
    static const uint32_t turns[SIM_TURNS] = {34, 26, 20, 15, 6},
                          acts[2][SIM_ACTS] = {
                              {22, 15, 8, 6, 18, 6, 13, 12, 3},
                              {6, 2, 14, 3, 20, 1, 6, 48, 1}, /* values are lent, kept and given back */
                          };
    struct sim_mix *mix = &world->mix;
    bool lends;

    /* What is lost while nobody has died is lost by a mistake: some seeds have long to find that. */
    world->calm_until = sim_chance(world, 40) ? world->options.steps * 3 / 4 : 0;
    world->drivers_leave = world->calm_until > 0 && sim_chance(world, 60);
    lends = !world->drivers_leave && sim_chance(world, 70);
    for (uint32_t i = 0; i < SIM_TURNS; i++)
        mix->turns[i] = about(world, turns[i]);
    for (uint32_t i = 0; i < SIM_ACTS; i++)
        mix->acts[i] = about(world, acts[lends][i]);
    mix->slow = one_of(world, (const uint32_t[]){0, 10, 40}, 3);
    mix->slowness = one_of(world, (const uint32_t[]){50, 90, 97}, 3);
    mix->drivers = (uint32_t)(2 + sim_random(world, 3));
    mix->kills = one_of(world, (const uint32_t[]){0, 3, 30}, 3);
    mix->let_go = (uint32_t)sim_random(world, 20);
    mix->broker_every = about(world, 300);
    mix->host_every = about(world, 100);
    mix->driver_every = about(world, 300);
    mix->cut_every = about(world, 60);
    for (uint32_t i = 0; i < sizeof mix->omens / sizeof *mix->omens; i++)
        draw_omen(world, &mix->omens[i]);
    world->num_cpus = (double)(1 + sim_random(world, 4)) + 0.5;
    /* Small enough to be reached, and large enough for no program to wait for what it has not been able to ask for. */
    world->limits.credit_calls = (uint32_t)(60 + sim_random(world, 200));
    world->limits.credit_bytes = 60000 + sim_random(world, 200000);
    world->limits.host_window_calls = (uint32_t)(2 + sim_random(world, 12));
    world->limits.host_window_bytes = 2000 + sim_random(world, 40000);
    world->limits.unread_bytes =
        world->options.seed % 4 == 0 ? 300 : 0; /* drawn of nothing: the others stay what they were */
    world->limits.waiting_hosts_per_cpu = (uint32_t)(1 + sim_random(world, 4));
}

void
sim_mix_process(struct sim_process *process)
{
    const struct sim_mix *mix = &process->world->mix;

    for (uint32_t i = 0; i < SIM_TURNS; i++)
        process->slow[i] = sim_chance(process->world, mix->slow) ? mix->slowness : 0;
}

/* The place of one of the weights. */
uint32_t
sim_draw(struct sim_world *world, const uint32_t *weights, uint32_t count)
{
    uint64_t all = 0, at;
    uint32_t i = 0;

    for (i = 0; i < count; i++)
        all += weights[i];
    at = sim_random(world, all);
    for (i = 0; i + 1 < count && at >= weights[i]; i++)
        at -= weights[i];
    return i;
}
