#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make headers_check: a header that does not compile makes it fail, each time.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

# The makefiles of here with headers of ours. Who runs the tests is no parent.
unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS o
ln -s "$PWD/Makefile" "$PWD/scripts" "$tmp"
mkdir -p "$tmp/include/rn" "$tmp/out/.headers_check"

header()	# name, declarations
{
	printf '#include <stddef.h>\n\n%s\n' "$2" >"$tmp/include/rn/$1.h"
}

compiles()	# name, standard
{
	make -C "$tmp" O="$tmp/out" "$tmp/out/.headers_check/$1.$2" \
		>"$tmp/out.make" 2>"$tmp/err"
}

fails()		# name, standard, words
{
	! compiles "$1" "$2" && grep -qF -- "$3" "$tmp/err" &&
		[ ! -e "$tmp/out/.headers_check/$1.$2" ]
}

header good 'static inline size_t rn_good(void) { return 0; }'
header unknown 'void rn_unknown(pid_t pid);'
header cxx 'void rn_cxx(int this);'
header warned 'static inline int rn_warned(int n) { int n2; return n; }'
for std in c11 gnu11 c++11 gnu++17; do
	check "a good header, $std" compiles good "$std"
	check "a type that is unknown, $std" fails unknown "$std" pid_t
	check "the same again, $std" fails unknown "$std" pid_t
	check "a warning, $std" fails warned "$std" n2
done
check "no C++, as C" compiles cxx c11
check "no C++" fails cxx c++11 this
header unknown 'void rn_unknown(int pid);'
check "mended" compiles unknown c11

finish
