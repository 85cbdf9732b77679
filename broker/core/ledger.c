/*
 * ledger.c - what the node has and what of it is given out. Admission, not isolation; used may exceed what there is while
 * executions that waited go on. Pure arithmetic.
 */
#include "broker/core/state.h"

#include <stdio.h>
#include <string.h>

#define SLACK 1e-9

trp_err
tri_ledger_init(struct tri_ledger *ledger, const struct tri_core_config *config)
{
    ledger->cpus = config->num_cpus;
    ledger->gpus = config->num_gpus;
    ledger->memory = config->memory_bytes;
    if (config->resource_count == 0)
        return TRP_OK;
    size_t size = 0;
    for (uint32_t i = 0; i < config->resource_count; i++)
        size += strlen(config->resources[i].name) + 1;
    ledger->custom = calloc(config->resource_count, sizeof *ledger->custom);
    ledger->custom_used = calloc(config->resource_count, sizeof *ledger->custom_used);
    ledger->texts = malloc(size);
    if (ledger->custom == NULL || ledger->custom_used == NULL || ledger->texts == NULL)
        return TRP_ENOMEM;
    char *at = ledger->texts;
    for (uint32_t i = 0; i < config->resource_count; i++) {
        size_t length = strlen(config->resources[i].name) + 1;
        memcpy(at, config->resources[i].name, length);
        ledger->custom[i].name = at;
        ledger->custom[i].amount = config->resources[i].amount;
        at += length;
    }
    ledger->custom_count = config->resource_count;
    return TRP_OK;
}

void
tri_ledger_fini(struct tri_ledger *ledger)
{
    free(ledger->custom);
    free(ledger->custom_used);
    free(ledger->texts);
}

static int
custom_find(const struct tri_ledger *ledger, const char *name)
{
    for (uint32_t i = 0; i < ledger->custom_count; i++)
        if (strcmp(ledger->custom[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool
fits(const struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory, const struct tri_special *special,
     bool empty)
{
    double cpus_used = empty ? 0 : ledger->cpus_used, gpus_used = empty ? 0 : ledger->gpus_used;
    uint64_t memory_used = empty ? 0 : ledger->memory_used;
    if (cpus_used + cpus > ledger->cpus + SLACK && cpus > 0)
        return false;
    if (gpus_used + gpus > ledger->gpus + SLACK && gpus > 0)
        return false;
    if (ledger->memory > 0 && memory > 0 && (memory > ledger->memory || memory_used > ledger->memory - memory))
        return false;
    for (uint32_t i = 0; special != NULL && i < special->resource_count; i++) {
        int row = custom_find(ledger, special->resources[i].name);
        if (special->resources[i].amount <= 0)
            continue;
        if (row < 0 ||
            (empty ? 0 : ledger->custom_used[row]) + special->resources[i].amount > ledger->custom[row].amount + SLACK)
            return false;
    }
    return true;
}

bool
tri_ledger_feasible(const struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory,
                    const struct tri_special *special)
{
    return fits(ledger, cpus, gpus, memory, special, true);
}

bool
tri_ledger_fits(const struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory,
                const struct tri_special *special)
{
    return fits(ledger, cpus, gpus, memory, special, false);
}

void
tri_ledger_add(struct tri_ledger *ledger, double cpus, double gpus, uint64_t memory, const struct tri_special *special,
               int sign)
{
    ledger->cpus_used += sign * cpus;
    ledger->gpus_used += sign * gpus;
    ledger->memory_used += sign > 0 ? memory : -memory;
    for (uint32_t i = 0; special != NULL && i < special->resource_count; i++) {
        int row = custom_find(ledger, special->resources[i].name);
        if (row >= 0)
            ledger->custom_used[row] += sign * special->resources[i].amount;
    }
}

void
tri_ledger_text(const struct tri_ledger *ledger, char *text, size_t size)
{
    int length = snprintf(text, size, "%g CPUs, %g GPUs", ledger->cpus, ledger->gpus);
    if (ledger->memory > 0 && length > 0 && (size_t)length < size)
        length += snprintf(text + length, size - (size_t)length, ", %llu bytes of memory",
                           (unsigned long long)ledger->memory);
    for (uint32_t i = 0; i < ledger->custom_count && length > 0 && (size_t)length < size; i++)
        length +=
            snprintf(text + length, size - (size_t)length, ", %g %s", ledger->custom[i].amount, ledger->custom[i].name);
}

void
tri_needs_text(const struct tri_resource *resources, uint32_t count, double cpus, double gpus, uint64_t memory,
               char *text, size_t size)
{
    int length = snprintf(text, size, "%g CPUs", cpus);
    if (gpus > 0 && length > 0 && (size_t)length < size)
        length += snprintf(text + length, size - (size_t)length, ", %g GPUs", gpus);
    if (memory > 0 && length > 0 && (size_t)length < size)
        length += snprintf(text + length, size - (size_t)length, ", %llu bytes of memory", (unsigned long long)memory);
    for (uint32_t i = 0; i < count && length > 0 && (size_t)length < size; i++)
        length += snprintf(text + length, size - (size_t)length, ", %g %s", resources[i].amount, resources[i].name);
}
