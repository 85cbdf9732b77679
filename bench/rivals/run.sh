#!/bin/bash
# run.sh [--quick] - measures Troupe and those of its rivals that are installed, one after the other, each in a network namespace
# that has loopback only (needs root), and puts the figures into docs/rivals.md with its two plots. A rival that is absent is
# left out and named. --quick: small counts, to see whether all of it works; docs/ is left alone.
#
#   Erlang   erlang-base (Debian)          CAF   libcaf-dev, g++ (Debian)
#   Ray      `pip install ray` into a virtual environment; RAY_PYTHON is its python (default: python3)
#   plots    gnuplot-nox (Debian)
set -eu
cd "$(dirname "$0")/../.."

quick=()
case ${1-} in
'') ;;
--quick) quick=(--quick) ;;
*)
    echo "usage: bench/rivals/run.sh [--quick]" >&2
    exit 2
    ;;
esac

here=bench/rivals
build=build
out=$build/log/rivals
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$out"
rm -f "$out"/*.jsonl

# side NAME LABEL COMMAND...: its figures, under a line that says what was measured. One that fails is named, and left out.
side() {
    local name=$1 label=$2
    shift 2
    printf '%-8s ' "$name" >&2
    if printf '{"system": "%s"}\n' "$label" >"$out/$name.jsonl" &&
        HOME=$scratch timeout 600 unshare --net sh -c 'ip link set lo up && exec "$@"' sh "$@" 2>"$out/$name.err" |
        grep '^{' >>"$out/$name.jsonl"; then
        echo "done" >&2
    else
        rm -f "$out/$name.jsonl"
        echo "failed: $(tail -n 1 "$out/$name.err")" >&2
    fi
}
absent() {
    printf '%-8s not installed: left out\n' "$1" >&2
}
set -o pipefail

[ -x $build/bench/rivals/rivals_ours ] || {
    echo "run.sh: $build/bench/rivals/rivals_ours is not built: run ninja -C build first" >&2
    exit 1
}
unshare --net true 2>"$scratch/why" || {
    echo "run.sh: no network namespace can be made here: $(cat "$scratch/why")" >&2
    exit 1
}

side troupe "Troupe $($build/tools/troupe --version | grep -o '[0-9][0-9.]*' | head -n 1)" \
    $build/bench/rivals/rivals_ours $build/bench/modules ${quick+"${quick[@]}"}

if command -v erlc >/dev/null; then
    erlc -o "$scratch" $here/erlang_side.erl
    version=$(erl -noshell -eval 'io:format("~s", [erlang:system_info(otp_release)]), halt().')
    side erlang "Erlang/OTP $version" sh -c 'epmd -daemon
        erl -noshell -name main@127.0.0.1 -setcookie "$$" -pa "$0" -s erlang_side main -extra "$@"; status=$?
        epmd -kill >/dev/null; exit $status' "$scratch" ${quick+"${quick[@]}"}
else
    absent Erlang
fi

if [ -f /usr/include/caf/all.hpp ] && command -v g++ >/dev/null; then
    g++ -O2 -std=c++17 -o "$scratch/caf_side" $here/caf_side.cpp -lcaf_core -lcaf_io -lpthread
    side caf "CAF $(dpkg-query -W -f '${source:Upstream-Version}' libcaf-dev 2>/dev/null)" "$scratch/caf_side" \
        ${quick+"${quick[@]}"}
else
    absent CAF
fi

python=${RAY_PYTHON-python3}
if version=$("$python" -c 'import ray; print(ray.__version__)' 2>/dev/null); then
    side ray "Ray $version" "$python" $here/ray_side.py ${quick+"${quick[@]}"}
else
    absent Ray
fi

if [ ${#quick[@]} -gt 0 ]; then
    python3 $here/page.py "$out" "$scratch" docs/rivals.md
    grep -c '^|' "$scratch/rivals.md" >/dev/null
else
    python3 $here/page.py "$out" docs docs/rivals.md
fi
