#!/bin/sh
# Plants each fault of this folder into a copy of the sources, one at a time, and requires that the simulator finds it.
# usage: tests/sim/bugs/run.sh BUILD_DIR [SEEDS]
#
# BUILD_DIR is a Meson build of this tree with the simulator in it: generated headers and the objects of what is not
# patched are taken from there; only the patched file is compiled again.
set -eu

build=$(cd "${1:?usage: run.sh BUILD_DIR [SEEDS]}" && pwd)
seeds=${2:-500}
root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/troupe-bugs.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cc=${CC:-cc}
failed=0

for room in actors/core broker/core transport transport/base schemas include; do
    mkdir -p "$work/$room"
    cp -r "$root/$room/." "$work/$room/"
done

# Sanitizers that the build was made with have to be in what is linked to it.
flags=$(grep -o -m1 -e '-fsanitize=[a-z,]*' "$build/build.ninja" || true)

objects_without() {
    find "$build/tests/sim" "$build/actors/core" "$build/broker/core" "$build/transport" "$build/schemas" -name '*.o' |
        grep -v -e "$1" -e '/tests/sim/bugs/'
}

for patch in "$root"/tests/sim/bugs/*.patch; do
    name=$(basename "$patch" .patch)
    file=$(sed -n 's|^+++ b/||p' "$patch" | head -n 1)
    cp "$root/$file" "$work/$file"
    if ! patch -s -p1 -d "$work" <"$patch"; then
        echo "$name: does not apply any more"
        failed=1
        cp "$root/$file" "$work/$file"
        continue
    fi
    library=$(basename "$(dirname "$file")")
    object="lib$library.a.p/$(basename "$file").o"
    [ "$file" = "${file#actors/core/}" ] || object="libproc.a.p/$(basename "$file").o"
    # shellcheck disable=SC2046,SC2086
    $cc -std=gnu11 -D_GNU_SOURCE -g -O2 $flags -I"$work" -I"$work/include" -I"$build" -c "$work/$file" -o "$work/patched.o"
    # shellcheck disable=SC2046,SC2086
    ${CXX:-c++} $flags -o "$work/sim" $(objects_without "$object") "$work/patched.o" -lzmq -lflatbuffers -lpthread -lm
    status=0
    output=$("$work/sim" --seeds "$seeds" --quiet 2>&1) || status=$?
    if [ "$status" -eq 0 ]; then
        echo "$name: NOT FOUND in $seeds seeds"
        failed=1
    else
        echo "$name: $(echo "$output" | grep -m1 -e '^seed' -e ': ' | cut -c1-160)"
    fi
    cp "$root/$file" "$work/$file"
done
exit "$failed"
