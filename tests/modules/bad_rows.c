/* bad_rows.c - module "bad_rows": a method whose arguments are not described as they should be. */
#include <troupe/module.h>

static trp_err
nothing(trp_ctx *ctx, void *self)
{
    (void)ctx;
    (void)self;
    return TRP_OK;
}

static const trp_method methods[] = {{.name = "broken", .fn = nothing, .args = "x:q"}, {0}};
static const trp_class classes[] = {{.name = "Broken", .methods = methods}, {0}};

TRP_MODULE(bad_rows, .classes = classes);
