"""ray_side.py - Ray's side of the comparison: the cases of ours.c, written as Ray's own microbenchmark writes them (an
actor that returns its argument, ray.get in a loop or of a window). Prints a JSON object a line."""

import json
import os
import sys
import time

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
begin = time.perf_counter()
import ray

QUICK = "--quick" in sys.argv
BODY = bytes(64)
PER_MILLE = [1, 10, 50, 100, 250, 500, 750, 900, 950, 990, 999]


def times(count):
    return max(10, count // 50) if QUICK else count


def report(case, unit, value, **more):
    print(json.dumps({"case": case, "unit": unit, "value": value, **more}), flush=True)


@ray.remote(num_cpus=0)
class Echo:
    def echo(self, data):
        return data


@ray.remote
def noop(data):
    return data


def one_by_one(case, function, count):
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        assert ray.get(function.remote(BODY)) == BODY
        taken.append((time.perf_counter() - start) * 1e6)
    taken.sort()
    quantiles = [[p, taken[(count - 1) * p // 1000]] for p in PER_MILLE]
    report(case, "us", taken[count // 2], quantiles=quantiles)


def rate_of(function, window, count):
    """Calls a second with `window` outstanding. A whole window is got at once, which is Ray's quickest way."""
    start = time.perf_counter()
    done = 0
    while done < count:
        answers = ray.get([function.remote(BODY) for _ in range(window)])
        assert len(answers) == window and answers[0] == BODY
        done += window
    return done / (time.perf_counter() - start)


def spawn_ms(count):
    start = time.perf_counter()
    actors = [Echo.remote() for _ in range(count)]
    ray.get([actor.echo.remote(BODY) for actor in actors])
    return (time.perf_counter() - start) * 1e3


def median(values):
    return sorted(values)[len(values) // 2]


ray.init(include_dashboard=False, log_to_driver=False, num_cpus=max(2, os.cpu_count()))
ray.get(noop.remote(BODY))
report("start", "ms", (time.perf_counter() - begin) * 1e3)
echo = Echo.remote()
ray.get(echo.echo.remote(BODY))
one_by_one("call.sync", echo.echo, times(3000))
report("call.async", "/s", rate_of(echo.echo, 1000, times(20000)))
points = [[n, rate_of(echo.echo, n, times(2000 if n < 64 else 10000))] for n in (1, 4, 16, 64, 256, 1000)]
report("outstanding", "/s", None, points=points)
one_by_one("task.sync", noop, times(1000))
report("task.async", "/s", rate_of(noop, 1000, times(5000)))
report("spawn.own", "ms", median([spawn_ms(1) for _ in range(1 if QUICK else 5)]))
report("spawn.own.10", "/s", 1e4 / median([spawn_ms(10) for _ in range(1 if QUICK else 3)]))
start = time.perf_counter()
ray.shutdown()
report("shutdown", "ms", (time.perf_counter() - start) * 1e3)
