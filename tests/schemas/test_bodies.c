/*
 * test_bodies.c - every body: what goes in comes out, and whatever else comes in is refused or decodes, and never crashes.
 */
#include <criterion/criterion.h>

#include "tests/schemas/every_body.h"

#include <stdlib.h>
#include <string.h>

Test(bodies, every_sample_reads_back)
{
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        struct tri_packed packed = {0};
        trp_error error = {0};
        cr_assert_eq(tri_body_samples[i].pack(&packed, &error), TRP_OK, "%s: %s", tri_body_samples[i].name,
                     error.message);
        cr_assert_eq(tri_body_samples[i].read(&packed.section, &error), TRP_OK, "%s: %s", tri_body_samples[i].name,
                     error.message);
        tri_packed_fini(&packed);
    }
}

Test(bodies, a_sample_of_one_kind_is_refused_as_any_other)
{
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        struct tri_packed packed = {0};
        cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
        for (size_t k = 0; k < tri_body_sample_count; k++) {
            bool both_calls = tri_body_samples[i].kind == TRI_CALL && tri_body_samples[k].kind == TRI_CALL;
            if (i != k && !both_calls)
                cr_assert_eq(tri_body_samples[k].read(&packed.section, NULL), TRP_EPROTO, "%s as %s",
                             tri_body_samples[i].name, tri_body_samples[k].name);
        }
        tri_packed_fini(&packed);
    }
}

Test(bodies, cut_short_at_every_length_they_are_refused)
{
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        struct tri_packed packed = {0};
        cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
        for (uint64_t size = 0; size < packed.section.size; size++) {
            void *memory;
            trp_error error = {0};
            struct tri_section section = tri_section_copy(&packed.section, size, 0, &memory);
            trp_err err = tri_body_samples[i].read(&section, &error);
            if (size + 8 < packed.section.meta_size)
                cr_assert_eq(err, TRP_EPROTO, "%s of %zu bytes", tri_body_samples[i].name, (size_t)size);
            if (err != TRP_OK)
                cr_assert(error.message[0] != '\0');
            free(memory);
        }
        tri_packed_fini(&packed);
    }
}

Test(bodies, with_any_bits_of_a_byte_flipped_they_are_refused_or_read_within_bounds)
{
    static const uint8_t masks[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff};
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        struct tri_packed packed = {0};
        void *memory;
        cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
        struct tri_section section = tri_section_copy(&packed.section, packed.section.size, 0, &memory);
        uint8_t *bytes = memory;
        for (uint64_t at = 0; at < section.size; at++) {
            for (size_t m = 0; m < sizeof masks; m++) {
                bytes[at] ^= masks[m];
                trp_err err = tri_body_samples[i].read(&section, NULL);
                cr_assert(err == TRP_OK || err == TRP_EPROTO);
                bytes[at] ^= masks[m];
            }
        }
        free(memory);
        tri_packed_fini(&packed);
    }
}

Test(bodies, at_any_alignment_values_are_read_and_others_refused_or_read)
{
    for (size_t i = 0; i < tri_body_sample_count; i++) {
        struct tri_packed packed = {0};
        cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
        for (size_t offset = 1; offset < 8; offset++) {
            void *memory;
            struct tri_section section = tri_section_copy(&packed.section, packed.section.size, offset, &memory);
            bool copies = strcmp(tri_body_samples[i].name, "value") == 0 ||
                          strcmp(tri_body_samples[i].name, "call") == 0 ||
                          strcmp(tri_body_samples[i].name, "spawn") == 0;
            cr_assert_eq(tri_body_samples[i].read(&section, NULL), copies ? TRP_OK : TRP_EPROTO);
            free(memory);
        }
        tri_packed_fini(&packed);
    }
}

Test(bodies, login_and_welcome_keep_every_field)
{
    struct tri_packed packed = {0};
    struct tri_login login = {1, 2, TRI_DRIVER, 42, 3, 4, 5, 6, 7, "prog"}, back;
    struct tri_welcome welcome = {1, 2, 3, 4, true, "node", 5, 6, 7.5, 8, 9, 10}, again;
    cr_assert_eq(tri_login_pack(&packed, &login, NULL), TRP_OK);
    cr_assert_eq(tri_login_unpack(&packed.section, &back, NULL), TRP_OK);
    cr_assert_str_eq(back.program, "prog");
    back.program = login.program;
    cr_assert(back.version_min == 1 && back.version_max == 2 && back.role == TRI_DRIVER && back.pid == 42 &&
              back.cookie == 3 && back.space == 4 && back.received == 5 && back.broker == 6 && back.host_token == 7);
    cr_assert_eq(tri_welcome_pack(&packed, &welcome, NULL), TRP_OK);
    cr_assert_eq(tri_welcome_unpack(&packed.section, &again, NULL), TRP_OK);
    cr_assert(again.version == 1 && again.space == 2 && again.broker == 3 && again.received == 4 && again.snapshot &&
              again.credit_calls == 5 && again.credit_bytes == 6 && again.num_cpus == 7.5 &&
              again.arena_granules == 8 && again.slots == 9 && again.pins == 10);
    cr_assert_str_eq(again.node, "node");
    tri_packed_fini(&packed);
}

Test(bodies, spawn_keeps_every_field)
{
    struct tri_packed packed = {0};
    struct tri_spawn_scratch scratch;
    struct tri_spawn spawn;
    for (size_t i = 0; i < tri_body_sample_count; i++)
        if (tri_body_samples[i].kind == TRI_SPAWN)
            cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
    cr_assert_eq(tri_spawn_unpack(&packed.section, &spawn, &scratch, NULL), TRP_OK);
    cr_assert_str_eq(spawn.class_name, "counter:Counter");
    cr_assert_str_eq(spawn.name, "a");
    cr_assert_str_eq(spawn.namespace_, "default");
    cr_assert(!spawn.get_if_exists && spawn.detached && spawn.num_cpus == 1 && spawn.num_gpus == 0 &&
              spawn.memory_bytes == 5 && spawn.start_timeout_ms == 60000 && spawn.max_concurrency == 1 &&
              spawn.max_pending_calls == 10000 && spawn.resource_count == 2 && spawn.env_count == 2);
    cr_assert_str_eq(spawn.resources[1].name, "disks");
    cr_assert_eq(spawn.resources[1].amount, 2.5);
    cr_assert_str_eq(spawn.env[0].text, "C");
    tri_view_close(&spawn.args);
    tri_packed_fini(&packed);
}

Test(bodies, a_chain_of_more_than_eight_causes_is_cut)
{
    struct tri_packed packed = {0};
    struct tri_failure causes[12], chain[8];
    uint32_t count;
    memset(causes, 0, sizeof causes);
    for (int i = 0; i < 12; i++) {
        causes[i].error.code = TRP_ETASK;
        causes[i].error.cause = i;
        causes[i].cause = i < 11 ? &causes[i + 1] : NULL;
    }
    cr_assert_eq(tri_error_pack(&packed, &causes[0], NULL), TRP_OK);
    cr_assert_eq(tri_error_unpack(&packed.section, chain, &count, NULL), TRP_OK);
    cr_assert_eq(count, 8);
    cr_assert_eq(chain[7].error.cause, 7);
    cr_assert_null(chain[7].cause);
    cr_assert_eq(chain[0].cause, &chain[1]);
    tri_packed_fini(&packed);
}

Test(bodies, a_death_keeps_what_the_host_said_last)
{
    struct tri_packed packed = {0};
    struct tri_failure chain[8];
    uint32_t count;
    for (size_t i = 0; i < tri_body_sample_count; i++)
        if (tri_body_samples[i].kind == TRI_CUT)
            cr_assert_eq(tri_body_samples[i].pack(&packed, NULL), TRP_OK);
    cr_assert_eq(tri_error_unpack(&packed.section, chain, &count, NULL), TRP_OK);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(chain[0].error.message, "The board is empty.");
    cr_assert(!chain[0].death.present);
    cr_assert(chain[1].death.present && chain[1].death.signal == 11 && chain[1].death.exit_code == -1 &&
              chain[1].death.started == 9 && chain[1].death.finished == 8);
    cr_assert_str_eq(chain[1].death.backtrace, "#0 pop\n#1 main\n");
    cr_assert_str_eq(chain[1].death.last_output, "");
    cr_assert_str_eq(chain[1].death.actor, "board");
    cr_assert_str_eq(chain[1].death.class_name, "board:Board");
    cr_assert_str_eq(chain[1].death.id, "0000000100000001000000000000000b");
    cr_assert_str_eq(chain[1].death.node, "here");
    cr_assert_str_eq(chain[1].death.message, "its process 42 ended");
    cr_assert_str_eq(chain[0].death.message, "");
    tri_packed_fini(&packed);
}

Test(bodies, needs_are_0_where_nothing_is_said)
{
    struct tri_packed packed = {0};
    struct tri_spawn_scratch scratch;
    struct tri_needs needs = {-1, 0.5, 9, -1, NULL, 0}, back;
    bool present;
    cr_assert_eq(tri_task_pack(&packed, "m:f", TRP_NOARGS, NULL, NULL, NULL), TRP_OK);
    cr_assert_eq(tri_task_needs(&packed.section, &back, &scratch, &present, NULL), TRP_OK);
    cr_assert(!present && back.num_cpus == 0 && back.max_retries == 0);
    cr_assert_eq(tri_task_pack(&packed, "m:f", TRP_NOARGS, &needs, NULL, NULL), TRP_OK);
    cr_assert_eq(tri_task_needs(&packed.section, &back, &scratch, &present, NULL), TRP_OK);
    cr_assert(present && back.num_cpus == -1 && back.num_gpus == 0.5 && back.memory_bytes == 9 &&
              back.max_retries == -1);
    cr_assert_str_eq(tri_call_method(&packed.section), "m:f");
    tri_packed_fini(&packed);
}

Test(bodies, names_that_are_empty_or_too_long_are_refused)
{
    struct tri_packed packed = {0};
    struct tri_spawn spawn = {.class_name = "m:C", .name = "", .namespace_ = "default"};
    char name[1000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    cr_assert_eq(tri_call_pack(&packed, "", TRP_NOARGS, NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_call_pack(&packed, name, TRP_NOARGS, NULL, NULL), TRP_EINVAL);
    cr_assert_eq(tri_spawn_pack(&packed, &spawn, TRP_NOARGS, NULL, NULL), TRP_OK);
    spawn.name = name;
    cr_assert_eq(tri_spawn_pack(&packed, &spawn, TRP_NOARGS, NULL, NULL), TRP_EINVAL);
    spawn.name = "";
    spawn.namespace_ = "";
    cr_assert_eq(tri_spawn_pack(&packed, &spawn, TRP_NOARGS, NULL, NULL), TRP_EINVAL);
    spawn.namespace_ = "default";
    spawn.num_cpus = 1.0 / 0.0;
    cr_assert_eq(tri_spawn_pack(&packed, &spawn, TRP_NOARGS, NULL, NULL), TRP_EINVAL);
    tri_packed_fini(&packed);
}

Test(bodies, a_packed_buffer_that_somebody_holds_is_left_alone)
{
    struct tri_packed packed = {0};
    cr_assert_eq(tri_name_pack(&packed, "first", "", NULL), TRP_OK);
    struct tri_buf *held = tri_buf_retain(packed.buf);
    struct tri_section first = packed.section;
    cr_assert_eq(tri_name_pack(&packed, "second", "", NULL), TRP_OK);
    const char *text, *namespace_;
    cr_assert_eq(tri_name_unpack(&first, &text, &namespace_, NULL), TRP_OK);
    cr_assert_str_eq(text, "first");
    cr_assert_neq(packed.buf, held);
    tri_buf_release(&held);
    tri_packed_fini(&packed);
}

/* Every text of every body: with one byte that is no UTF-8, the whole is refused. */
Test(bodies, texts_that_are_not_utf8_are_refused)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"call", "increment"},
        {"call", "step"},
        {"task", "wordcount:count"},
        {"task", "disks"},
        {"spawn", "counter:Counter"},
        {"spawn", "default"},
        {"spawn", "slots"},
        {"spawn", "EMPTY"},
        {"spawn", "LANG"},
        {"spawn", "minimal_score"},
        {"error", "The board is empty."},
        {"error", "#0 pop"},
        {"login", "troupe-worker"},
        {"welcome", "node"},
        {"name", "Chemistry"},
        {"name", "default"},
        {"log", "board"},
        {"log", "a line"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < tri_body_sample_count; k++) {
            struct tri_packed packed = {0};
            void *memory;
            if (strcmp(tri_body_samples[k].name, rows[i].body) != 0)
                continue;
            cr_assert_eq(tri_body_samples[k].pack(&packed, NULL), TRP_OK);
            struct tri_section section = tri_section_copy(&packed.section, packed.section.size, 0, &memory);
            uint8_t *at = memmem(memory, (size_t)section.size, rows[i].text, strlen(rows[i].text));
            cr_assert_not_null(at, "no '%s' in %s", rows[i].text, rows[i].body);
            *at = 0xff;
            cr_expect_eq(tri_body_samples[k].read(&section, NULL), TRP_EPROTO, "%s: %s", rows[i].body, rows[i].text);
            free(memory);
            tri_packed_fini(&packed);
        }
}

Test(bodies, what_a_program_said_travels_as_text_whatever_it_was)
{
    struct tri_packed packed = {0};
    struct tri_failure chain[8], failure = {.error = {.code = TRP_ETASK, .rank = -1}};
    const struct tri_log_line line = {"board", 42, true, "gr\xfcn"};
    struct tri_log_line found;
    uint32_t count;
    strcpy(failure.error.message, "gr\xfcn");
    failure.death = (struct tri_death){.present = true, .last_output = "\xff\n"};
    cr_assert_eq(tri_error_pack(&packed, &failure, NULL), TRP_OK);
    cr_assert_eq(tri_error_unpack(&packed.section, chain, &count, NULL), TRP_OK);
    cr_expect_str_eq(chain[0].error.message, "gr?n");
    cr_expect_str_eq(chain[0].death.last_output, "?\n");
    cr_assert_eq(tri_log_pack(&packed, &line, NULL), TRP_OK);
    cr_assert_eq(tri_log_unpack(&packed.section, &found, NULL), TRP_OK);
    cr_expect_str_eq(found.text, "gr?n");
    tri_packed_fini(&packed);
}

static uint64_t
names_in(const struct tri_run *runs, uint32_t count, const struct tri_id *ids, const uint64_t *handed)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < runs[i].count; k++, at++) {
            cr_assert(tri_id_equal(tri_run_id(&runs[i], k), ids[at]), "name %llu", (unsigned long long)at);
            cr_assert_eq(runs[i].handed, handed[at]);
        }
    return at;
}

/* Ways in which names follow each other: each is one run, or as many as said. */
Test(bodies, names_in_a_row_are_one_run_and_come_out_as_they_went_in)
{
    static const struct {
        uint64_t first;
        int64_t step;
        uint32_t names, runs;
    } rows[] = {
        {1, 1, 64, 1},         {100, -1, 64, 1},      {100, -2, 50, 1},      {5, 2, 65, 2},
        {7, 0, 3, 3},          {UINT64_MAX, 1, 4, 1}, {9, INT32_MAX, 10, 1}, {9, INT64_C(1) << 31, 10, 10},
        {9, INT32_MIN, 10, 1}, {1, INT64_MIN, 4, 4},  {1, 1, 200, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed packed = {0};
        struct tri_run runs[200];
        struct tri_id ids[200];
        uint64_t handed[200];
        const struct tri_run *found;
        uint32_t count = 0;
        for (uint32_t k = 0; k < rows[i].names; k++) {
            ids[k] = (struct tri_id){3, rows[i].first + k * (uint64_t)rows[i].step};
            handed[k] = 2;
            if (count == 0 || !tri_run_takes(&runs[count - 1], ids[k], 2))
                runs[count++] = (struct tri_run){.id = ids[k], .count = 1, .handed = 2};
        }
        cr_expect_eq(count, rows[i].runs, "row %zu: %u runs", i, count);
        cr_assert_eq(tri_runs_pack(&packed, runs, count, NULL), TRP_OK);
        cr_assert_eq(tri_runs_unpack(&packed.section, &found, &count, NULL), TRP_OK);
        cr_expect_eq(names_in(found, count, ids, handed), rows[i].names);
        tri_packed_fini(&packed);
    }
}

Test(bodies, a_run_takes_no_name_of_another_space_or_handed_over_otherwise)
{
    struct tri_run run = {.id = {1, 1}, .count = 1, .handed = 1};
    cr_assert_not(tri_run_takes(&run, (struct tri_id){2, 2}, 1));
    cr_assert_not(tri_run_takes(&run, (struct tri_id){1, 2}, 2));
    cr_assert(tri_run_takes(&run, (struct tri_id){1, 3}, 1));
    cr_assert_not(tri_run_takes(&run, (struct tri_id){1, 4}, 1), "of another step");
}

Test(bodies, runs_of_no_name_or_of_too_many_are_refused)
{
    static struct tri_run many[TRI_RUN_IDS_MAX / TRI_RUN_MAX + 1];
    static const struct {
        uint32_t runs, count;
        trp_err err;
    } rows[] = {
        {1, 0, TRP_EPROTO},
        {1, TRI_RUN_MAX, TRP_OK},
        {1, TRI_RUN_MAX + 1, TRP_EPROTO},
        {1, UINT32_MAX, TRP_EPROTO},
        {TRI_RUN_IDS_MAX / TRI_RUN_MAX, TRI_RUN_MAX, TRP_OK},
        {TRI_RUN_IDS_MAX / TRI_RUN_MAX + 1, TRI_RUN_MAX, TRP_EPROTO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed packed = {0};
        const struct tri_run *found;
        trp_error error = {0};
        uint32_t count;
        for (uint32_t k = 0; k < rows[i].runs; k++)
            many[k] = (struct tri_run){.id = {1, k}, .step = 1, .count = rows[i].count};
        cr_assert_eq(tri_runs_pack(&packed, many, rows[i].runs, NULL), TRP_OK);
        cr_expect_eq(tri_runs_unpack(&packed.section, &found, &count, &error), rows[i].err, "row %zu", i);
        cr_expect_eq(error.message[0] != '\0', rows[i].err != TRP_OK, "row %zu", i);
        tri_packed_fini(&packed);
    }
}

Test(bodies, leases_keep_all_and_those_that_end_nowhere_are_refused)
{
    static const struct {
        uint32_t start, count, slots;
        trp_err err;
    } rows[] = {
        {5, 7, 3, TRP_OK},
        {0, 0, TRI_LEASE_SLOTS_MAX, TRP_OK},
        {9, 1, 0, TRP_OK},
        {UINT32_MAX - 1, 1, 1, TRP_OK},
        {UINT32_MAX, 1, 1, TRP_EPROTO},
        {1, UINT32_MAX, 1, TRP_EPROTO},
    };
    uint32_t slots[TRI_LEASE_SLOTS_MAX];
    for (uint32_t i = 0; i < TRI_LEASE_SLOTS_MAX; i++)
        slots[i] = 3 * i;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tri_packed packed = {0};
        const struct tri_lease lease = {rows[i].start, rows[i].count, slots, rows[i].slots};
        struct tri_lease found;
        trp_error error = {0};
        cr_assert_eq(tri_lease_pack(&packed, &lease, NULL), TRP_OK);
        cr_expect_eq(tri_lease_unpack(&packed.section, &found, &error), rows[i].err, "row %zu", i);
        cr_expect_eq(error.message[0] != '\0', rows[i].err != TRP_OK, "row %zu", i);
        if (rows[i].err == TRP_OK) {
            cr_expect(found.start == lease.start && found.count == lease.count && found.slot_count == lease.slot_count);
            cr_expect(found.slot_count == 0 || memcmp(found.slots, slots, found.slot_count * sizeof *slots) == 0,
                      "row %zu", i);
        }
        tri_packed_fini(&packed);
    }
}

/* What came before a constructor was run is not its failure. */
Test(bodies, why_an_actor_was_not_made)
{
    static const struct {
        trp_err code;
        const char *says;
    } rows[] = {
        {TRP_ETASK, "its constructor failed: no"},   {TRP_ENOMEM, "its constructor failed: no"},
        {TRP_EINVAL, "it could not be made: no"},    {TRP_ETYPE, "it could not be made: no"},
        {TRP_ENOENT, "it could not be made: no"},    {TRP_EMODULE, "it could not be made: no"},
        {TRP_ENOMETHOD, "it could not be made: no"}, {TRP_EACCES, "it could not be made: no"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const trp_error why = {.code = rows[i].code, .message = "no"};
        char text[64];
        tri_say_unmade(text, sizeof text, &why);
        cr_expect_str_eq(text, rows[i].says, "row %zu: %s", i, text);
    }
}
