/*
 * test_names.c - the directory: names of every length, while it grows and shrinks.
 */
#include "tests/core/fake.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 5000 };

struct stage {
    struct fake *fake;
    struct tri_actor *actors[MANY];
};

/* Short ones lie in the bucket, others apart. */
static const char *
text_of(size_t i)
{
    static char text[TRI_NAME_MAX + 1];
    const int padding = (int)(i % 7) * 8;
    snprintf(text, sizeof text, "%zu-%.*s", i, padding, "a-name-that-is-as-long-as-names-may-well-be-sometimes");
    return text;
}

static struct tri_actor *
find(const struct stage *stage, const char *namespace_, size_t i)
{
    struct tri_id id = {0, 0};
    struct tri_actor *actor = tri_name_find(stage->fake->core, namespace_, text_of(i), &id);
    if (actor != NULL)
        cr_assert(tri_id_equal(id, actor->thing.entry.id));
    return actor;
}

static void
begin(struct stage *stage)
{
    stage->fake = fake_new(NULL, NULL, 0);
    struct tri_core *core = stage->fake->core;
    for (size_t i = 0; i < MANY; i++) {
        cr_assert(tri_actors_reserve(core, 1));
        cr_assert_eq(tri_table_reserve(&core->things, 1), TRP_OK);
        stage->actors[i] = tri_actor_new(core, (struct tri_id){77, i + 1});
        cr_assert_eq(tri_name_bind(core, stage->actors[i], "default", text_of(i), NULL), TRP_OK);
    }
    cr_assert_eq(core->names.count, MANY);
}

static void
end(struct stage *stage)
{
    fake_forget(stage->fake);
    tri_core_destroy(&stage->fake->core);
    tri_packed_fini(&stage->fake->packed);
    free(stage->fake->sent);
    free(stage->fake);
}

Test(names, each_is_found_and_no_other)
{
    struct stage stage;
    begin(&stage);
    for (size_t i = 0; i < MANY; i++) {
        cr_assert_eq(find(&stage, "default", i), stage.actors[i], "%s", text_of(i));
        cr_assert_null(find(&stage, "other", i));
        cr_assert_null(find(&stage, "default", i + MANY));
    }
    end(&stage);
}

Test(names, a_name_that_is_taken_is_refused_and_named)
{
    struct stage stage;
    trp_error error;
    begin(&stage);
    cr_assert_eq(tri_name_bind(stage.fake->core, stage.actors[0], "default", text_of(3), &error), TRP_EEXIST);
    cr_assert_not_null(strstr(error.message, text_of(3)), "%s", error.message);
    end(&stage);
}

Test(names, those_that_are_freed_are_gone_and_may_be_taken_again)
{
    struct stage stage;
    begin(&stage);
    for (size_t i = 0; i < MANY; i += 2)
        tri_name_free(stage.fake->core, stage.actors[i]);
    for (size_t i = 0; i < MANY; i++)
        cr_assert_eq(find(&stage, "default", i), i % 2 == 0 ? NULL : stage.actors[i], "%s", text_of(i));
    for (size_t i = 0; i < MANY; i += 2)
        cr_assert_eq(tri_name_bind(stage.fake->core, stage.actors[i], "default", text_of(i), NULL), TRP_OK);
    for (size_t i = MANY; i-- > 0;) {
        cr_assert_eq(find(&stage, "default", i), stage.actors[i]);
        tri_name_free(stage.fake->core, stage.actors[i]);
        tri_name_free(stage.fake->core, stage.actors[i]); /* without a name: nothing */
    }
    cr_assert_eq(stage.fake->core->names.count, 0);
    end(&stage);
}
