#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The workloads of slabbench that are small programs: they do the same over
# every allocator, and tell one that loses what was written. Needs a C compiler
# for such an allocator.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

check "list" gives 0 list
for w in collatz list vector web kv json cache; do
	check "list has $w" out_has "^  $w "
done
for a in rn-cache rn-bulk; do
	check "list has $a" out_has "^  $a "
done

# --- the same operations over each allocator ---

# With rn-exec there may be room in what the tables of the pools lie in, which
# are there beforehand.
holds_all()
{
	sed -i '/"rn-exec"/d' "$tmp/json"
	value frag_ratio | awk '$1 < 1 { bad = 1 } END { exit bad || !NR }'
}

for t in 1 3; do
	all=rn,rn-memcg,rn-exec,malloc,freelist
	run_over $all 5 collatz -n 3000 --count 2500 -t $t
	run_over $all 5 list -n 3 --count 7000 -t $t
	run_over $all 5 list -n 2 --count 5000 -s 1,150 -t $t
	run_over $all 5 vector -n 3000 --count 5 -t $t
	run_over $all 5 web -n 1000 -t $t
	run_over $all 5 kv -n 20000 --count 3000 -t $t
	run_over $all 5 kv -n 5000 -s 100-9000 -t $t
	check "kv: phases" has_keys serve_ns_per_op drain_ns_per_op
	check "kv: no less is held than is live" holds_all
	run_over $all 5 json -n 150 -t $t
	run_over $all,rn-cache,rn-bulk 7 cache -n 1000 -t $t
	# Fewer objects than are replaced at a time.
	run_over $all,rn-cache,rn-bulk 7 cache -n 100 --count 3 -t $t
done

# What decides the work is drawn from the seed.
sum_of()	# seed, workload
{
	"$bench" run -a malloc -n 100 --count 100 --json "$tmp/json" \
		--seed "$1" -w "$2" >"$tmp/out" 2>"$tmp/err" && value checksum
}

for w in list vector web kv json cache; do
	a=$(sum_of 7 $w)
	b=$(sum_of 8 $w)
	check "$w: a checksum" [ -n "$a" ]
	check "$w: another seed, other operations" [ "$a" != "$b" ]
done

# --- with the clock around each call ---

check "latency" gives 0 run --latency -n 100 -w web,kv,json,cache \
	-a rn,malloc --json "$tmp/json"
check "latency: keys" has_keys alloc_p50_ns free_p50_ns p999_ns
check "latency in bulk" gives 0 run --latency -n 100 -w cache \
	-a rn-cache,rn-bulk --json "$tmp/json"
check "latency in bulk: keys" has_keys alloc_p50_ns free_p50_ns p999_ns

# --- who cannot take part ---

for w in collatz list vector web kv json cache; do
	check "$w is not for null" refuses 2 "null cannot take part in $w" \
		run -w $w -n 1 -a null
done
check "rn-cache is for cache" refuses 2 "rn-cache cannot take part in pair" \
	run -w pair -n 1000 -a rn-cache
check "rn-bulk is left out" refuses 0 "rn-bulk cannot take part in pair" \
	run -w pair -s 16 -n 1000 -a rn-bulk,rn --json "$tmp/json"
check "the others are run" lines "$tmp/json" 1
check "compare objects of a type" gives 0 compare -w cache -n 500 -r 2 \
	-p glibc,rn,rn-cache,rn-bulk --json "$tmp/json"
check "compare: peers x runs, without null" lines "$tmp/json" 8
check "compare: a peer for none of the rows" refuses 2 \
	"rn-cache cannot take part" \
	compare -w pair -s 16 -n 1000 -r 1 -p glibc,rn-cache

# --- an allocator that is not to be trusted ---

not_trusted()	# workload, what it says, more arguments
{
	w=$1
	text=$2
	shift 2
	check "$w is told from memory that changed" \
		refuses 1 "$w over malloc, thread 0: $text" \
		compare -w "$w" -r 1 -p "careless=$tmp/careless.so" "$@"
}

if [ -n "$preloads" ]; then
	check "make a careless malloc" bad careless
	not_trusted list "a payload has changed" -n 1 --count 5000
	not_trusted vector "a vector has another sum" -n 10000
	not_trusted web "a header differs from its line" -n 1000
	not_trusted kv "a value has changed" -n 10000
	not_trusted cache "an object has changed" -n 1000
else
	echo "SKIP an allocator that is not to be trusted: SAN=$SAN" \
		"allows no preload"
fi

finish
