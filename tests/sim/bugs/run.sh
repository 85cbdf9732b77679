#!/bin/sh
# Plants each fault of this folder into a copy of the sources, one at a time, and requires that the simulator finds it.
# usage: tests/sim/bugs/run.sh BUILD_DIR [SEEDS [NAME]]   (NAME: a pattern; only these faults)
#
# BUILD_DIR is a Meson build of this tree with the simulator in it: generated headers and the objects of what is not
# patched are taken from there; only the patched file is compiled again. What the simulator finds without a fault says
# nothing about one: seeds that fail in the unpatched build are left out, and counted.
set -eu

build=$(cd "${1:?usage: run.sh BUILD_DIR [SEEDS [NAME]]}" && pwd)
seeds=${2:-500}
steps=3000 # of a seed; it has 2,000 elsewhere
only=${3:-*}
root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/troupe-bugs.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
cc=${CC:-cc}
failed=0

# The objects have to be those of these sources.
ninja -C "$build" tests/sim/sim >"$work/ninja.log" || {
    cat "$work/ninja.log" >&2
    exit 1
}

# Writes the ranges of seeds, "FROM COUNT" each, in which the unpatched build finds nothing.
clean_ranges() {
    from=1
    while [ "$from" -le "$seeds" ]; do
        count=$((seeds - from + 1))
        status=0
        output=$("$build/tests/sim/sim" --from "$from" --seeds "$count" --steps "$steps" --quiet 2>&1) || status=$?
        if [ "$status" -eq 0 ]; then
            echo "$from $count"
            return 0
        fi
        bad=$(echo "$output" | sed -n 's/^seed \([0-9]*\): step.*/\1/p' | head -n 1)
        if [ -z "$bad" ]; then
            echo "the unpatched simulator died: $output" >&2
            return 1
        fi
        [ "$bad" -eq "$from" ] || echo "$from $((bad - from))"
        from=$((bad + 1))
    done
}

clean_ranges >"$work/ranges"
clean=$(awk '{ n += $2 } END { print n + 0 }' "$work/ranges")
echo "unpatched: nothing found in $clean of $seeds seeds"
if [ "$clean" -lt $((seeds * 9 / 10)) ]; then
    echo "too many seeds fail without a fault"
    failed=1
fi

for room in actors/core broker/core store transport transport/base schemas include; do
    mkdir -p "$work/$room"
    cp -r "$root/$room/." "$work/$room/"
done

# Sanitizers that the build was made with have to be in what is linked to it.
flags=$(grep -o -m1 -e '-fsanitize=[a-z,]*' "$build/build.ninja" || true)

objects_without() {
    find "$build/tests/sim" "$build/actors/core" "$build/broker/core" "$build/store" "$build/transport" "$build/schemas" -name '*.o' |
        grep -v -e "$1" -e '/tests/sim/bugs/' -e '/spill/'
}

# Says what was found, and fails if nothing was.
hunt() {
    while read -r from count; do
        status=0
        output=$("$work/sim" --from "$from" --seeds "$count" --steps "$steps" --quiet 2>&1) || status=$?
        if [ "$status" -ne 0 ]; then
            echo "$output" | grep -m1 -e '^seed' -e ': ' | cut -c1-160 || true
            [ "$status" -eq 1 ] || echo "(status $status)"
            return 0
        fi
    done <"$work/ranges"
    return 1
}

for patch in "$root"/tests/sim/bugs/$only.patch; do
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
    ${CXX:-c++} -fno-lto -fno-use-linker-plugin $flags -o "$work/sim" $(objects_without "$object") "$work/patched.o" -lzmq -lflatbuffers -lpthread -lm
    if found=$(hunt); then
        echo "$name: $found"
    else
        echo "$name: NOT FOUND in $clean seeds"
        failed=1
    fi
    cp "$root/$file" "$work/$file"
done
exit "$failed"
