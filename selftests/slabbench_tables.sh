#!/bin/sh
# SPDX-License-Identifier: MIT
#
# slabbench's tables and files from outside: what it makes of its runs, and
# what is left of them when it is stopped half-way.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

# --- scale ---

check "help of scale" gives 0 scale --help
check "scale" gives 0 scale -p glibc,rn -n 20000 --json "$tmp/json" -r 2
check "scale: rnbench at 1 to twice as many threads as CPUs" \
	[ "$(value workload | sort -u)" = rnbench ]
most=$((2 * $(nproc)))
check "scale: a row for one thread" out_has '^ *1  .* 1\.00x'
check "scale: the last row" out_has "^ *$most  "
check "scale: no more than that" \
	[ "$(value threads | sort -n | tail -n 1)" -eq "$most" ]
check "scale: columns" out_has '^threads *glibc *rn *null$'

# Throughput is the inverse of what a JSON line says of the only run.
throughput()	# field
{
	awk -v field="$1" '$1 == 2 { print $field }' "$tmp/out"
}

check "scale -t" gives 0 scale -w pair,batch -s 64 -t 2,3 -p glibc -n 20000 \
	-r 1 --json "$tmp/json"
check "scale: a table for each workload" \
	[ "$(grep -c '^threads' "$tmp/out")" -eq 2 ]
check "scale: without one thread there is no ratio" \
	[ "$(grep -c '[0-9]x' "$tmp/out")" -eq 0 ]
expected=$(sed -n '/"pair".*"glibc".*"threads":2,/p' "$tmp/json" |
	sed 's/.*"ns_per_op":\([^,]*\).*/\1/' |
	awk '{ printf "%.2f", 1000 / $1 }')
check "scale: million operations a second" \
	[ "$(throughput 2 | head -n 1)" = "$expected" ]
check "scale: bad peer" refuses 2 "unknown peer 'nope'" scale -p nope

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
