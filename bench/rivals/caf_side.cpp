// caf_side.cpp - CAF's side of the comparison: an echo actor in another process (published, TCP over loopback), and one in the
// same process. Prints a JSON object a line. Run without arguments it starts its own second process.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "caf/all.hpp"
#include "caf/io/all.hpp"

using body = std::string;

namespace
{

bool quick = false;

double
now_s()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

size_t
times(size_t count)
{
    return quick ? std::max<size_t>(10, count / 50) : count;
}

caf::behavior
echo(caf::event_based_actor *)
{
    return {[](const body &data) { return data; }};
}

void
report(const char *name, const char *unit, double value)
{
    std::printf("{\"case\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}\n", name, unit, value);
    std::fflush(stdout);
}

[[noreturn]] void
fail(const std::string &why)
{
    std::fprintf(stderr, "caf_side: %s\n", why.c_str());
    std::exit(1);
}

void
call(caf::scoped_actor &self, const caf::actor &to, const body &data)
{
    self->request(to, caf::infinite, data)
        .receive(
            [&](const body &back) {
                if (back != data)
                    fail("an echo came back as something else");
            },
            [&](caf::error &error) { fail(caf::to_string(error)); });
}

void
one_by_one(const char *name, caf::scoped_actor &self, const caf::actor &to, size_t count)
{
    const body data(64, 'x');
    std::vector<double> us(count);
    for (auto &taken : us) {
        double begin = now_s();
        call(self, to, data);
        taken = (now_s() - begin) * 1e6;
    }
    std::sort(us.begin(), us.end());
    std::printf("{\"case\": \"%s\", \"unit\": \"us\", \"value\": %.6g, \"quantiles\": [", name, us[count / 2]);
    const char *comma = "";
    for (size_t p : {1, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999}) {
        std::printf("%s[%zu, %.6g]", comma, p, us[(count - 1) * p / 1000]);
        comma = ", ";
    }
    std::printf("]}\n");
    std::fflush(stdout);
}

double
rate_of(caf::scoped_actor &self, const caf::actor &to, size_t window, size_t count)
{
    using handle = decltype(self->request(to, caf::infinite, body()));
    const body data(64, 'x');
    std::deque<handle> ring;
    double begin = now_s();
    for (size_t i = 0; i < count + window; i++) {
        if (i >= window) {
            ring.front().receive([](const body &) {}, [](caf::error &error) { fail(caf::to_string(error)); });
            ring.pop_front();
        }
        if (i < count)
            ring.push_back(self->request(to, caf::infinite, data));
    }
    return static_cast<double>(count) / (now_s() - begin);
}

int
serve(int port_fd)
{
    caf::actor_system_config config;
    config.load<caf::io::middleman>();
    caf::actor_system system{config};
    auto port = system.middleman().publish(system.spawn(echo), 0, "127.0.0.1");
    if (!port || write(port_fd, &*port, sizeof *port) != static_cast<ssize_t>(sizeof *port))
        return 1;
    pause();
    return 0;
}

} // namespace

int
main(int argc, char **argv)
{
    int fds[2];
    uint16_t port = 0;
    quick = argc > 1 && std::strcmp(argv[1], "--quick") == 0;
    double begin = now_s();
    if (pipe(fds) != 0)
        fail("pipe");
    pid_t other = fork();
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(serve(fds[1]));
    }
    close(fds[1]);
    if (other < 0 || read(fds[0], &port, sizeof port) != static_cast<ssize_t>(sizeof port))
        fail("the second process did not start");
    {
        caf::actor_system_config config;
        config.load<caf::io::middleman>();
        caf::actor_system system{config};
        auto remote = system.middleman().remote_actor("127.0.0.1", port);
        if (!remote)
            fail(caf::to_string(remote.error()));
        caf::scoped_actor self{system};
        call(self, *remote, body(64, 'x'));
        report("start", "ms", (now_s() - begin) * 1e3);
        one_by_one("call.sync", self, *remote, times(3000));
        report("call.async", "/s", rate_of(self, *remote, 1000, times(100000)));
        std::printf("{\"case\": \"outstanding\", \"unit\": \"/s\", \"points\": [");
        const char *comma = "";
        for (size_t window : {1, 4, 16, 64, 256, 1000}) {
            std::printf("%s[%zu, %.6g]", comma, window,
                        rate_of(self, *remote, window, times(window < 64 ? 5000 : 50000)));
            comma = ", ";
        }
        std::printf("]}\n");
        auto inside = system.spawn(echo);
        one_by_one("call.sync.inside", self, inside, times(20000));
        report("call.async.inside", "/s", rate_of(self, inside, 1000, times(200000)));
        size_t count = times(100000);
        double before = now_s();
        for (size_t i = 0; i < count; i++)
            system.spawn(echo);
        report("spawn.light", "/s", static_cast<double>(count) / (now_s() - before));
        self->send_exit(inside, caf::exit_reason::user_shutdown);
    }
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    return 0;
}
