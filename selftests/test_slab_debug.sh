#!/bin/sh
# SPDX-License-Identifier: MIT
#
# With every cache debugged: tests that pass without pass with it, ordinary
# programs run on the malloc replacement, and a report comes out of one that
# overruns. Without it the fast paths know nothing of it.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
# shellcheck source=selftests/program-helpers
. "${0%/*}/program-helpers"

obj=$(cd "${SLAB_OBJ:-.}" && pwd)
tests=$obj/selftests/static
slabmalloc=$obj/libslabmalloc.so
CK_TIMEOUT_MULTIPLIER=$((10 * ${CK_TIMEOUT_MULTIPLIER:-1}))
RN_LADDER=thp,small
export CK_TIMEOUT_MULTIPLIER RN_LADDER

# --- the tests ---

debugged()	# program argument...
{
	# shellcheck disable=SC2086 # an emulator may be several words
	RN_SLAB_DEBUG=FZPU timeout -k 5 600 ${EMULATOR:-} "$@" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
}

names="test_alloc test_threads test_fork test_mempool_threads"
# Those with threads are enough where each takes long.
[ -n "${SAN:-}${EMULATOR:-}" ] ||
	names="$names test_realloc test_mempool test_shrinker test_trim"
for name in $names; do
	built "$tests/$name"
	check "$name, debugged" debugged "$tests/$name"
done
# Each thread finds the same objects in other hands.
RN_PERCPU=fallback
export RN_PERCPU
check "test_threads, debugged, fallback" debugged "$tests/test_threads"
unset RN_PERCPU

if [ -n "${SAN:-}${EMULATOR:-}" ]; then
	finish
	exit
fi

# --- programs on the malloc replacement ---

over()		# program argument...: and what is checked is not in vain
{
	LD_PRELOAD=$slabmalloc RN_SLABINFO=$tmp/slabinfo debugged "$@" || return
	# An object of 64 bytes, with what is around it.
	awk '$1 == "kmalloc-64" { exit $4 < 300 } END { if (!NR) exit 1 }' \
		"$tmp/slabinfo"
}

over_debugged()	# program argument...
{
	check "$1 over FZPU" over "$@"
}

built "$slabmalloc"
each_program over_debugged
[ ! -x "$obj/selftests/preload/containers" ] ||
	check "a C++ program over FZPU" over "$obj/selftests/preload/containers"

# --- a report, with names where there are any ---

reported()	# pattern
{
	debugged "$obj/selftests/shared/crash/overrun" 60 60 4
	[ $? = 134 ] && grep -qE "$1" "$tmp/err"
}

check "where it was allocated" reported \
	'^Allocated in \[overrun\+0x[0-9a-f]+\] age=[0-9]+ cpu=[0-9]+ pid=[0-9]+$'
check "where it is freed" reported '^Call Trace:$'
check "what is there" reported \
	'^Redzone  0x[0-9a-f]+: 41 41 41 41 cc .* AAAA\.'
frame=$(sed -nE 's/^Allocated in \[overrun\+(0x[0-9a-f]+)\].*/\1/p' "$tmp/err")
knows_line()
{
	addr2line -e "$obj/selftests/shared/crash/overrun" "$frame" \
		>"$tmp/out" && grep -q '/crash/' "$tmp/out"
}
check "addr2line knows the line" knows_line

# The caller is the first one: none of our own.
found_by()	# program argument...
{
	name=$1
	shift
	debugged "$obj/selftests/shared/crash/$name" "$@"
	[ $? = 134 ] && sed -n '/^Call Trace:$/{n;p;}' "$tmp/err" |
		grep -qE "^	\[$name\+0x[0-9a-f]+\]$"
}
check "who frees is the first of a stack" found_by overrun 64 64 1
check "who allocates is the first of a stack" found_by write_freed 64 0 1

# --- the fast paths ---

# Instructions of a function: at most so many (Documentation/mm/slab-debug.rst).
is_lean()	# object file, function, most
{
	objdump -d --no-show-raw-insn --disassemble="$2" "$obj/$1" |
		sed '1,/^Disassembly/d' >"$tmp/out"
	n=$(grep -cE '^ +[0-9a-f]+:	' "$tmp/out")
	[ "$n" -gt 20 ] && [ "$n" -le "$3" ]
}

if [ "$(uname -m)" = x86_64 ] && [ -z "${CFLAGS:-}" ] &&
    [ "${CC:-gcc}" = gcc ]; then
	for limit in rn_alloc:36 rn_free:32 rn_alloc_class_v3:32; do
		check "${limit%:*} is lean" is_lean mm/kmalloc.o \
			"${limit%:*}" "${limit#*:}"
	done
	for limit in rn_cache_alloc:30 rn_cache_free:34; do
		check "${limit%:*} is lean" is_lean mm/cache_alloc.o \
			"${limit%:*}" "${limit#*:}"
	done
	for limit in malloc:30 free:32; do
		check "${limit%:*} is lean" is_lean compat/malloc.o \
			"${limit%:*}" "${limit#*:}"
	done
fi

finish
