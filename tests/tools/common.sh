# common.sh - what ./run and ./check share: headings, quiet commands, packages, builds. Sourced by bash, in the tree's root.

umask 022 # modules that others may write are not loaded

if [ -t 1 ]; then
    bold=$'\033[1m' plain=$'\033[0m'
else
    bold='' plain=''
fi

heading() {
    printf '%s== %s%s\n' "$bold" "$*" "$plain"
}

# quiet LOG COMMAND...: its output goes to LOG; when it fails the end of that is shown.
quiet() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        printf '%s: %s failed; all of its output is in %s\n' "${0##*/}" "$1" "$log" >&2
        return 1
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        printf '%s: needs root or sudo for: %s\n' "${0##*/}" "$*" >&2
        return 1
    fi
}

# install_packages WHO...: those of packages.txt for WHO that dpkg does not know as installed.
install_packages() {
    local who missing='' package needed_by
    while read -r package needed_by; do
        case $package in '' | '#'*) continue ;; esac
        for who in "$@"; do
            if [ "$needed_by" = "$who" ] &&
                ! dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
                missing="$missing $package"
            fi
        done
    done <tests/tools/packages.txt
    if [ -n "$missing" ]; then
        heading "Installing:$missing"
        quiet build/log/apt-update.txt as_root apt-get update
        # shellcheck disable=SC2086
        quiet build/log/apt-install.txt as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends $missing
    fi
}

# set_up DIRECTORY MESON-OPTION...: a build directory with these options; an old one is brought up to them.
set_up() {
    local directory=$1
    shift
    if [ -f "$directory/build.ninja" ]; then
        [ $# = 0 ] || quiet "$directory/log/configure.txt" meson configure "$directory" "$@"
    else
        if command -v ccache >/dev/null; then
            export CC="${CC:-ccache gcc}" CXX="${CXX:-ccache g++}"
        fi
        mkdir -p "$directory/log"
        quiet "$directory/log/setup.txt" meson setup "$directory" "$@"
    fi
}

# say_progress LOG: every 10 s how far ninja is, as "[n/m]", until killed.
say_progress() {
    while sleep 10 >/dev/null 2>&1; do # sleep may outlive us, and must not hold a pipe that somebody reads to its end
        tail -n 1 "$1" 2>/dev/null | sed -n 's/^\(\[[0-9]*\/[0-9]*\]\).*/   \1/p'
    done
}

# build DIRECTORY [TARGET...]
build() {
    local log=$1/log/ninja.txt teller failed=0
    rm -f "$log"
    say_progress "$log" &
    teller=$!
    quiet "$log" ninja -k 0 -C "$@" || failed=1
    kill "$teller" 2>/dev/null || :
    wait "$teller" 2>/dev/null || :
    return "$failed"
}
