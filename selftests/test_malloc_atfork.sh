#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fork() beside a library whose own handlers wait for threads that allocate. Its
# constructor runs before that of the library that is preloaded.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

preload="$slabmalloc $programs/libatfork.so"
in_both "a library stops its threads for a fork()" over forks loop 20
unset preload

finish
