#!/bin/sh
# format.sh - whether every C and C++ file of the tree is as clang-format would write it.
set -eu
git ls-files -co --exclude-standard -- '*.c' '*.h' '*.cc' '*.hpp' | while read -r file; do
    if [ -f "$file" ]; then
        printf '%s\n' "$file"
    fi
done >build/log/format-files.txt
[ -s build/log/format-files.txt ] || {
    echo 'no files found: is this a git checkout?'
    exit 1
}
if ! xargs -P 2 -n 20 clang-format --dry-run -Werror <build/log/format-files.txt >build/log/format.txt 2>&1; then
    echo 'clang-format -i would change:'
    sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error: .*/\1/p' build/log/format.txt | sort | uniq -c
    exit 1
fi
