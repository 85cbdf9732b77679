// greeter.cc - a module in C++17: rows by position, the state behind a pointer, no exception leaves what the host calls.
#include <new>
#include <string>

#include <troupe/module.h>

namespace
{

struct greeter {
    std::string greeting;
};

// Zeroed before init, so fini finds nullptr after an init that failed.
greeter *&
state(void *self)
{
    return *static_cast<greeter **>(self);
}

trp_err
init(trp_ctx *ctx, void *self)
{
    try {
        state(self) = new greeter{trp_as_str(ctx->args[0])};
        return TRP_OK;
    } catch (const std::bad_alloc &) {
        return trp_fail(ctx, TRP_ENOMEM, "no memory for a greeting");
    }
}

void
fini(void *self)
{
    delete state(self);
}

trp_err
greet(trp_ctx *ctx, void *self)
{
    try {
        const std::string text = state(self)->greeting + ", " + trp_as_str(ctx->args[0]);
        return trp_return(ctx, TRP_TUPLE(text.c_str(), text.size()));
    } catch (const std::bad_alloc &) {
        return trp_fail(ctx, TRP_ENOMEM, "no memory for a greeting");
    }
}

const trp_method methods[] = {{"greet", greet, "name:s"}, {}};
const trp_class classes[] = {
    {"Greeter", "says hello", sizeof(greeter *), init, "greeting:s=\"hello\"", fini, methods},
    {},
};

} // namespace

TRP_MODULE(greeter, classes);
