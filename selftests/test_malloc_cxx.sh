#!/bin/sh
# SPDX-License-Identifier: MIT
#
# C++ on the malloc replacement.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

if ! [ -x "$programs/operators" ]; then
	echo "no C++ compiler when the tests were built"
	exit 77
fi

in_both "all forms of operator new and delete" over operators
in_both "operators of the program's own" over own_operators
in_both "containers and threads" over containers
in_both "a plugin, where the program has no C++ library" \
	over host "$programs/libplugin.so" 50

# Under this limit the library has 128 MiB: two such blocks are too much.
handler_frees()
{
	under="prlimit --as=400000000"
	over operators 240
	status=$?
	under=
	return $status
}
in_both "a new_handler that frees something" handler_frees

# Where all is in one program there is no next library whose operator throws.
no_operators()
{
	nm -g --defined-only "$obj/libslabmalloc.a" >"$tmp/out"
	grep -q ' T malloc$' "$tmp/out" && ! grep -q ' _Z' "$tmp/out"
}
check "the archive leaves the operators to the C++ library" no_operators

finish
