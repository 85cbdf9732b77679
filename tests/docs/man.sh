#!/bin/sh
# man.sh SOURCE BUILD - whether mandoc finds nothing wrong with the manual pages. 77 (skipped) where there is no mandoc.
command -v mandoc >/dev/null || exit 77
cd "$2/docs/man3" || exit 1
# shellcheck disable=SC2046
exec mandoc -T lint -W warning "$1"/man/*.[1-9] $(grep -L '^\.so ' ./*.3)
