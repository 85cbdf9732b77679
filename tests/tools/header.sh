#!/bin/sh
# header.sh STANDARD HEADER - whether a public header compiles alone, without a warning. STANDARD: c11 or c++17.
set -eu
case $1 in
c++*) compiler=c++ language=c++ ;;
*) compiler=cc language=c ;;
esac
include=include/
printf '#include <%s>\n' "${2#"$include"}" |
    "$compiler" -x "$language" -std="$1" -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -
