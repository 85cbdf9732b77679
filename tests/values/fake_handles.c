/*
 * fake_handles.c - the two functions of a runtime that values ask for a name: a "handle" here is its own name.
 */
#include <troupe/runtime.h>

const char *
trp_ref_id(const trp_ref *ref)
{
    return (const char *)ref;
}

const char *
trp_actor_id(const trp_actor *actor)
{
    return (const char *)actor;
}
