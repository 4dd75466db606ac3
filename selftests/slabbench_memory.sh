#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The workloads of slabbench that are about memory, and what "slabbench frag"
# draws of them.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

check "list" gives 0 list
for w in small medium large mixed churn reuse mtseq frag; do
	check "list has $w" out_has "^  $w "
done

# --- the same operations over each allocator ---

is_all()	# key, value
{
	is_same "$1" && [ "$(value "$1" | head -n 1)" = "$2" ]
}

is_at_least()	# number, key
{
	value "$2" | awk -v least="$1" '$1 < least { bad = 1 }
		END { exit bad || !NR }'
}

# What is held for what is live is so by what is lost in objects and outside.
is_product()
{
	for key in frag_ratio internal_frag_ratio external_frag_ratio; do
		value $key >"$tmp/$key"
	done
	paste "$tmp/frag_ratio" "$tmp/internal_frag_ratio" \
		"$tmp/external_frag_ratio" | awk '
		{ off = $1 / ($2 * $3) - 1; bad += NF != 3 || off^2 > 1e-6 }
		END { exit bad || !NR }'
}

real=rn,rn-memcg,rn-exec,malloc,freelist
for t in 1 3; do
	run_over $real,null 6 small -n 20000 --count 5000 -t $t
	check "small: phases" has_keys fill_ns_per_op replace_ns_per_op
	check "small: fill and replace" is_all ops $((t * 25000))
	run_over $real,null 6 medium -n 2000 --count 200 -t $t
	run_over $real 5 large -n 20 --count 5 -t $t
	run_over $real,null 6 mixed -n 20000 --count 3000 -t $t
	run_over $real,null 6 churn -n 20 --count 3001 -t $t
	check "churn: a half each time" is_all ops $((t * (3001 + 20 * 1501)))
	run_over $real,null 6 reuse -n 100 -t $t
	check "reuse: rounds of 500" is_all ops $((t * 50000))
	run_over $real,null 6 mtseq --bytes 12M -t $t
	check "mtseq: nothing is left out" is_same live_bytes
	run_over $real 5 frag --count 20000 -t $t
	check "frag: phases" has_keys punch_ns_per_op refill_ns_per_op
	check "frag: the same is live" is_same live_bytes
	check "frag: memory was held for it" is_positive frag_ratio
	check "frag: objects are no smaller than asked for" \
		is_at_least 1 internal_frag_ratio
	check "frag: the two together" is_product
	# An object of its own has no other to be freed.
	run_over $real,null 6 churn -n 3 --count 1 -t $t
	run_over $real 5 frag --count 1 -t $t
done
for w in large frag; do
	check "$w is not for null" refuses 2 "null cannot take part in $w" \
		run -w $w --count 10 -n 1 -a null
done

# --- what is charged ---

for a in rn-memcg rn-exec; do
	check "seq over $a" gives 0 run -a rn,$a -w seq --bytes 16M \
		--json "$tmp/json"
	check "$a: all of it is charged" \
		[ "$(value peak_charged_kb)" -ge 16384 ]
	check "$a: and little else" [ "$(value peak_charged_kb)" -lt 32768 ]
	check "of $a alone" [ "$(grep -c peak_charged_kb "$tmp/json")" -eq 1 ]
done

# --- the bytes that are live are counted ---

for w in small medium mixed churn; do
	check "run $w of one size" gives 0 run -w $w -s 100 --count 1000 \
		-n 50 -t 2 -a malloc,rn --json "$tmp/json"
	check "$w: the table is full" is_all live_bytes 200000
	check "$w: and its objects no smaller than asked for" \
		is_at_least 1 internal_frag_ratio
done

# 500 objects of 64 bytes are freed, larger ones up to 256 bytes come instead.
check "run frag of one size" gives 0 run -w frag -s 64 --count 1000 \
	-a malloc,rn --json "$tmp/json"
live=$(value live_bytes | head -n 1)
check "frag: no more is live than before" [ "$live" -le 64000 ]
check "frag: hardly less" [ "$live" -gt $((64000 - 256)) ]

# --- sizes from a file ---

printf '# bytes, how often\n40 3\n\n2000, 1\n' >"$tmp/sizes"
check "run mixed with sizes from a file" gives 0 run -w mixed -n 1000 \
	--dist "$tmp/sizes" --count 10000 -a malloc --json "$tmp/json"
check "they are in the result" grep -q '"sizes":\[40,2000\]' "$tmp/json"
mean=$(($(value live_bytes) / 10000))
check "and drawn as often as it says: the mean is 530 bytes" \
	[ $((mean > 500 && mean < 560)) -eq 1 ]
echo "40 many" >"$tmp/sizes"
check "no such number" refuses 2 "$tmp/sizes:1: not 'SIZE [WEIGHT]'" \
	run -w mixed --dist "$tmp/sizes"

# --- slabbench frag ---

check "help of frag" gives 0 frag --help
check "frag" gives 0 frag -p glibc,freelist,rn \
	--csv "$tmp/csv" --json "$tmp/json"
check "frag: a line for each run" lines "$tmp/json" 3
head -n 1 "$tmp/csv" >"$tmp/head"
check "frag: columns" grep -q '^allocator,ms,held_kb,live_kb,' "$tmp/head"

# The curve of an allocator: time goes on, something is held, and live.
is_curve()	# allocator
{
	awk -F, -v a="$1" '$1 == a {
		if ($2 <= ms)
			bad = 1
		ms = $2
		held += $3
		live += $4
		if ($4 > most)
			most = $4
	}
	END { exit bad || !held || !live || most > 80000 }' "$tmp/csv"
}

ratio_of()	# allocator
{
	sed -n "/\"allocator\":\"$1\"/s/.*\"frag_ratio\":\([^,}]*\).*/\1/p" \
		"$tmp/json"
}

holds_more()	# allocator, than another
{
	awk -v a="$(ratio_of "$1")" -v b="$(ratio_of "$2")" \
		'BEGIN { exit !(b > 0 && a > 1.2 * b) }'
}

for a in glibc freelist rn; do
	check "frag: the curve of $a" is_curve $a
	check "frag: the table has $a" out_has "^frag .* $a "
done
# Powers of two and a header for each object, against size classes. The
# shadow that a sanitizer keeps of each page drowns both.
if [ -n "$preloads" ]; then
	check "frag: the freelist holds more" holds_more freelist rn
else
	echo "SKIP frag, what is held: SAN=$SAN keeps a shadow of memory"
fi

check "frag with another workload" gives 0 frag -w churn --count 1000 -n 5 \
	-t 1,2 -r 2 -p rn --csv "$tmp/csv"
check "frag: a line for each run and thread count" \
	[ "$(grep -c '^churn ' "$tmp/out")" -eq 4 ]
check "frag: the curves on the standard output" gives 0 frag -p rn \
	--count 100000
check "frag: then nothing else is there" \
	[ "$(grep -vc '^\(rn\|allocator\),' "$tmp/out")" -eq 0 ]
check "frag: the table is on standard error" grep -q '^frag .* rn ' "$tmp/err"

# Stopped in its second run, by a real signal: the first is kept.
rm -f "$tmp/csv"
check "frag: interrupted" stopped_halfway frag -p freelist -r 100 \
	--csv "$tmp/csv"
check "frag: that is said" out_has '^# interrupted'
runs=$(wc -l <"$tmp/json")
check "frag: not all runs were made" [ $((runs > 0 && runs < 100)) -eq 1 ]
check "frag: the runs until then are in the table" \
	[ "$(grep -c '^frag .* freelist ' "$tmp/out")" -eq "$runs" ]
check "frag: and their curves in the file" \
	[ "$(sed 1d "$tmp/csv" | cut -d, -f8 | sort -u | wc -l)" -eq "$runs" ]

check "curves and JSON in one place" refuses 2 "--csv needs a file" \
	frag -p rn --json -
check "frag: a missing peer alone" refuses 2 "nowhere is missing" \
	frag -p "nowhere=$tmp/nowhere.so" --csv "$tmp/none"
check "frag: no file for nothing" [ ! -e "$tmp/none" ]
check "nobody to draw" refuses 2 "null cannot take part" frag -p null
check "unwritable curves" refuses 1 "cannot write $tmp/no/where" \
	frag --csv "$tmp/no/where"
check "curves on a full disk" refuses 1 "cannot write /dev/full: No space" \
	frag -p rn --count 1000 --csv /dev/full
check "an argument" refuses 2 "only options" frag pair

finish
