#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What breaks a malloc that was preloaded: calls before and after everything,
# other libraries in its way, threads, signals, processes.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

# --- before main() and after it, beside other libraries ---

for function in malloc calloc realloc reallocarray aligned_alloc memalign \
		valloc posix_memalign; do
	in_both "$function() first" over first "$function"
done
in_both "early" over early
check "early: destructors have run" out_is destroyed
in_both "foreign memory" over foreign
in_both "a program that has libnuma and libhugetlbfs" over numa
check "a program with a malloc of its own" over own

over_two()	# libraries, program, argument...
{
	preload=$1
	shift
	over "$@"
	status=$?
	unset preload
	return $status
}

ctor=$programs/libctor.so
in_both "a library that allocates when loaded, behind" \
	over_two "$slabmalloc $ctor" early
in_both "before" over_two "$ctor $slabmalloc" early
in_both "that is loaded again and again" over host "$ctor" 300

# traced: more than the tracer's own calls went through it
traced()
{
	sed -n 's/^traced \([0-9]*\) and \([0-9]*\)$/\1 \2/p' "$tmp/err" |
		awk '{ seen = $1 > 1000 && $2 > 1000 } END { exit !seen }'
}

# dladdr() finds the tracer's malloc, so whose it is cannot be asked.
tracer=$programs/libtracer.so
in_both "a tracer that calls dlsym() in malloc()" \
	over_two "$tracer $slabmalloc" plain
check "it has seen the calls" traced

# --- threads ---

in_both "threads come and go, memory stays" over threads churn
in_both "threads with 16 KiB of stack" over threads stacks
in_both "destructors of keys free" over threads keys
in_both "threads are cancelled" over threads cancel

# --- signals ---

in_both "longjmp out of a handler" over signals longjmp

# A handler that interrupted a slow path may be told so, by a line and abort();
# what may not be is that it hangs, or dies of anything else.
handlers_allocate()
{
	ended=0
	told=0
	for _ in 1 2 3; do
		over signals slow 1 >/dev/null
		if [ $status = 0 ]; then
			ended=$((ended + 1))
		elif [ $status = 134 ] && grep -q '^libslab: BUG: ' "$tmp/err"
		then
			told=$((told + 1))
		else
			echo "exit code $status"
			return 1
		fi
	done
	echo "handlers that allocate: $ended came to the end, $told were told"
}
in_both "handlers allocate" handlers_allocate
in_both "handlers interrupt fast paths only" over signals fast 2

# --- processes ---

in_both "posix_spawn" over forks spawn 50
in_both "double forks" over forks double 100
check "2,000 forks under load" over forks loop 2000
in_both "some of them" over forks loop 200

daemon_ends()
{
	over forks daemon || return 1
	for _ in $(seq 100); do
		out_is "daemon is done" && return
		sleep 0.1
	done
	return 1
}
in_both "a daemon" daemon_ends

finish
