#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The workloads of slabbench that are about threads: whatever the scheduling,
# they do the same over every allocator.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

check "list" gives 0 list
for w in falseshare-active falseshare-passive threadlocal prodcons sharedpool \
	threadchurn idle; do
	check "list has $w" out_has "^  $w "
done

# --- the same operations over each allocator ---

real=rn,rn-memcg,rn-exec,malloc,freelist
all=$real,null
for t in 1 3; do
	run_over $all 6 falseshare-active -n 1000 -t $t
	run_over $all 6 falseshare-passive -n 1000 -s 1 -t $t
	run_over $all 6 threadlocal -n 50000 -t $t
	run_over $all 6 threadlocal -n 50000 --count 1 -s 8,3000 -t $t
	run_over $all 6 prodcons -n 50000 -t $t
	run_over $all 6 sharedpool -n 50000 -t $t
	run_over $all 6 sharedpool -n 50000 --count 1 -t $t
	run_over $real 5 threadchurn -n 20 -t $t
	# A thread that is the first and the last, with one object.
	run_over $real 5 threadchurn -n 1 --count 1 -t $t
	run_over $all 6 idle -t $t
done

# Chance decides who comes first, and must not decide the sum.
check "prodcons, again and again" gives 0 run -w prodcons -t 5 -n 20000 -r 5 \
	-a rn,malloc --json "$tmp/json"
check "prodcons: the same each time" is_same checksum
check "sharedpool, again and again" gives 0 run -w sharedpool -t 5 -n 20000 \
	-r 5 -a rn,malloc --json "$tmp/json"
check "sharedpool: the same each time" is_same checksum

# What decides the work is drawn from the seed.
sum_of()	# seed, workload
{
	"$bench" run -a malloc -n 1000 -t 2 --json "$tmp/json" --seed "$1" \
		-w "$2" >"$tmp/out" 2>"$tmp/err" && value checksum
}

for w in threadlocal prodcons sharedpool threadchurn; do
	a=$(sum_of 7 $w)
	b=$(sum_of 8 $w)
	check "$w: a checksum" [ -n "$a" ]
	check "$w: another seed, other operations" [ "$a" != "$b" ]
done

# --- with the clock around each call, also in threads of the workload's own ---

check "latency" gives 0 run --latency -n 100 -t 2 -a rn,malloc \
	-w threadlocal,prodcons,sharedpool,threadchurn --json "$tmp/json"
check "latency: keys" has_keys alloc_p50_ns free_p50_ns p999_ns
check "latency: allocations took time" is_positive alloc_max_ns

# --- producers and consumers ---

is_value()	# key, value
{
	[ "$(value "$1" | sort -u)" = "$2" ]
}

run_over $all 6 prodcons -n 20001 -t 5 --producers 1
check "one producer: an operation is one of its objects" is_value ops 20001
run_over $all 6 prodcons -n 20001 -t 5 --producers 4 --csv "$tmp/csv"
check "four producers" is_value ops 80004
check "four producers, as the JSON says" is_value producers 4
check "four producers, as the CSV says" [ "$(awk -F, '
	NR == 1 { for (i = 1; i <= NF; i++) if ($i == "producers") at = i }
	END { print $at }' "$tmp/csv")" = 4 ]
check "half of the threads produce" gives 0 run -w prodcons -t 6 -n 1000 \
	--json "$tmp/json"
check "half are three" is_value producers 3
# Fewer objects than there are consumers.
run_over $all 6 prodcons -n 2 -t 6 --producers 1
check "no consumers" refuses 2 "--producers 4 leaves no consumer" \
	run -w prodcons -t 4 --producers 4
check "producers without prodcons" refuses 2 "--producers is for prodcons" \
	run -w pair --producers 2
check "no producers" refuses 2 "--producers: 0 is not within" \
	run -w prodcons --producers 0

# --- what is held for threads that sleep ---

# An allocator that keeps 64 KiB for each thread that ever called it.
keeping='#include <stddef.h>
#include <string.h>
extern void *__libc_malloc(size_t n);
void *malloc(size_t n)
{
	static __thread char *mine;

	if (!mine) {
		mine = __libc_malloc(65536);
		memset(mine, 1, 65536);
	}
	return __libc_malloc(n);
}'

holds()		# allocator, least KiB, most KiB
{
	grep "\"allocator\":\"$1\"" "$tmp/json" |
		sed 's/.*"held_kb":\([0-9]*\).*/\1/' |
		awk -v least="$2" -v most="$3" '
			$1 < least || $1 > most { bad = 1 }
			END { exit bad || !NR }'
}

check "idle" gives 0 run -w idle -t 100 -a null --json "$tmp/json"
check "idle: the harness holds next to nothing" holds null 0 1024
if [ -n "$preloads" ]; then
	check "make a malloc that keeps" library keeping "$keeping"
	check "compare idle" gives 0 compare -w idle -t 200 -r 1 \
		-p "glibc,keeping=$tmp/keeping.so" --json "$tmp/json"
	check "idle: what is kept for 200 threads is seen" \
		holds keeping 12800 40000
	check "idle: glibc keeps less" holds glibc 0 12000
else
	echo "SKIP an allocator that keeps memory: SAN=$SAN allows no preload"
fi

finish
