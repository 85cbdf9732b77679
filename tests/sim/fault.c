/*
 * fault.c - faults: somebody is killed or a link is cut, now and then, and just after a message of a kind that the seed has
 * drawn, when much is half done. It must not know what is half done.
 */
#include "tests/sim/sim.h"

static struct sim_process *
victim(struct sim_world *world, bool host)
{
    uint32_t first = (uint32_t)sim_random(world, world->process_top);

    for (uint32_t i = 0; i < world->process_top; i++) {
        struct sim_process *process = &world->processes[(first + i) % world->process_top];
        if (process->used && process->alive && process->is_host == host)
            return process;
    }
    return NULL;
}

static void
kill_one(struct sim_world *world, struct sim_process *process)
{
    bool host = process != NULL && process->is_host;

    if (process == NULL)
        return;
    if (!host && process->up && !process->parts && tri_proc_space(process->proc) != 0 && sim_chance(world, 30))
        sim_process_part(process);
    else
        sim_process_end(process);
    if (host)
        world->host_kills++;
    else
        world->driver_kills++;
    if (!host)
        (void)sim_process_new(world, false, 0);
}

static void
kill_broker(struct sim_world *world)
{
    if (world->core == NULL)
        return;
    world->broker_kills++;
    sim_broker_kill(world);
}

static void
cut(struct sim_world *world, struct sim_process *process)
{
    if (process == NULL || !process->up)
        return;
    world->cuts++;
    sim_process_cut(process);
}

static void
kill_some(struct sim_world *world)
{
    const struct sim_mix *mix = &world->mix;
    uint32_t steps = world->options.steps;
    uint64_t step = world->step;

    if (step == (world->calm_until > 0 ? steps * 9 / 10 : steps * 2 / 5) || sim_random(world, mix->broker_every) == 0)
        kill_broker(world);
    if (step == steps / 3 || step == steps * 4 / 5 || sim_random(world, mix->host_every) == 0)
        kill_one(world, victim(world, true));
    if (sim_random(world, mix->driver_every) == 0)
        kill_one(world, victim(world, false));
}

void
sim_omen(struct sim_process *process, uint8_t kind)
{
    struct sim_world *world = process->world;

    for (uint32_t i = 0; i < sizeof world->mix.omens / sizeof *world->mix.omens && !world->draining; i++) {
        const struct sim_omen *omen = &world->mix.omens[i];
        if (omen->kind != kind || !sim_chance(world, omen->percent))
            continue;
        world->fault = omen->fault;
        world->struck = process;
    }
}

static void
strike(struct sim_world *world)
{
    struct sim_process *process = world->struck;
    bool calm = world->step < world->calm_until;

    if (world->fault == SIM_CUT)
        cut(world, process);
    else if (world->fault == SIM_KILL_BROKER && !calm)
        kill_broker(world);
    else if (world->fault == SIM_KILL_PEER && !calm && process->used && process->alive)
        kill_one(world, process);
    world->fault = SIM_NO_FAULT;
}

void
sim_fault(struct sim_world *world)
{
    struct sim_process *process;

    if (world->fault != SIM_NO_FAULT)
        strike(world);
    if (world->step >= world->calm_until)
        kill_some(world);
    else if (world->drivers_leave && sim_random(world, 25) == 0 && (process = victim(world, false)) != NULL)
        sim_program_leave(process);
    if (world->step == world->options.steps / 2 || sim_random(world, world->mix.cut_every) == 0)
        cut(world, victim(world, sim_chance(world, 50)));
}
