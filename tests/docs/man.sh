#!/bin/sh
# man.sh SOURCE - whether mandoc finds nothing wrong with the manual pages. 77 (skipped) where there is no mandoc.
command -v mandoc >/dev/null || exit 77
exec mandoc -T lint -W warning "$1"/man/*.[1-9]
