/* bad_symbol.c - module "bad_symbol": needs a function that nobody has. */
#include <troupe/module.h>

trp_err nobody_has_this_function(trp_ctx *ctx);

static const trp_function tasks[] = {{.name = "missing", .fn = nobody_has_this_function}, {0}};

TRP_MODULE(bad_symbol, .tasks = tasks);
