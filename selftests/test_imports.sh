#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the library takes from others is what scripts/imports.allow lists:
# nothing that allocates, or where a thread may be cancelled.
set -u

program=scripts/check-imports
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

library=${SLAB_OBJ:-.}/libslab.a
if [ -n "${SAN:-}" ]; then
	echo "a sanitizer brings functions of its own"
	exit 77
fi
[ -f "$library" ] || {
	echo "$library is not there: build it first"
	exit 1
}

EMULATOR=
check "the library" gives 0 "$library" scripts/imports.allow

# An entry that is taken out is missed.
grep -v '^syscall$' scripts/imports.allow >"$tmp/list"
check "a list that lacks one" refuses 1 "syscall" "$library" "$tmp/list"
check "an empty list" refuses 2 "nothing to compare" "$library" /dev/null

# Nobody allows an allocation.
allows()
{
	grep -qxE "$1" scripts/imports.allow
}
refused()
{
	! allows "$1"
}
check "malloc is not allowed" refused 'malloc|calloc|realloc|free'
check "nor is stdio" refused 'fopen|fgets|getline|opendir|printf'

finish
