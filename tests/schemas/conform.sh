#!/bin/sh
# conform.sh FLATC DIRECTORY - whether each schema can still read what the previous one wrote.
set -eu
flatc=$1
cd "$2"
for schema in *.fbs; do
    [ -f "previous/$schema" ] || { echo "previous/$schema is missing" >&2; exit 1; }
    "$flatc" --conform "previous/$schema" -I . "$schema"
done
for schema in previous/*.fbs; do
    [ -f "${schema#previous/}" ] || { echo "${schema#previous/} is gone" >&2; exit 1; }
done
