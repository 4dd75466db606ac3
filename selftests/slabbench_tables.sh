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

# --- pools ---

check "help of pools" gives 0 pools --help
check "pools" gives 0 pools -n 20000 -r 1 --waits 50 --json "$tmp/json"

# figure WORKLOAD ALLOCATOR KEY: of its lines with two threads
figure()
{
	sed -n "/\"$1\".*\"$2\".*\"threads\":2,/p" "$tmp/json" |
		sed "s/.*\"$3\":\([^,}]*\).*/\1/"
}

# ratio WORKLOAD ALLOCATOR: of the only run with two threads, as the table has it
ratio()
{
	awk -v charged="$(figure "$1" "$2" ns_per_op)" \
		-v plain="$(figure "$1" rn ns_per_op)" \
		'BEGIN { printf "%.2f", charged / plain }'
}

# target WORKLOAD MOST: each row has it, and says who missed it
target()
{
	awk -v name="$1" -v most="$2" '
		function is_wrong(ratio, who) {
			# Rounded, it may be neither more nor less.
			return ratio != most &&
				(index(missed, who) > 0) != (ratio > most)
		}
		$1 != name { next }
		{
			missed = ""
			if (match($0, / above: .*/)) {
				missed = substr($0, RSTART)
				$0 = substr($0, 1, RSTART - 1)
			}
			bad += $NF != most
			bad += is_wrong($(NF - 6), "rn-memcg")
			bad += is_wrong($(NF - 2), "rn-exec")
			rows++
		}
		END { exit bad || !rows }' "$tmp/out"
}

check "pools: 4 sizes of pair, and rnbench, 4 times with 4 allocators; held" \
	lines "$tmp/json" $((5 * 4 * 4 + 4))
for w in pair rnbench; do
	check "pools: 1, 2, 4, 16 threads of $w" [ "$(awk -v w=$w '
		$1 == w { print $(w == "pair" ? 3 : 2) }' "$tmp/out" |
		sort -nu | tr '\n' ' ')" = "1 2 4 16 " ]
done
check "pools: what it costs to be charged" [ "$(awk '
	$1 == "rnbench" && $2 == 2 { print $7, $11 }' "$tmp/out")" = \
	"$(ratio rnbench rn-memcg) $(ratio rnbench rn-exec)" ]
check "pools: what is aimed at for pair" target pair 1.80
check "pools: and for rnbench" target rnbench 1.30
check "pools of another workload" gives 0 pools -w batch -s 64 -t 3 -n 20000 \
	-r 2 --waits 50 --json "$tmp/json"
check "pools: nothing is aimed at there" \
	[ "$(awk '$1 == "batch" { print NF }' "$tmp/out")" -eq 13 ]

# As many waits for each thread; the table has those of both runs.
held_figures()
{
	grep '"held"' "$tmp/json" >"$tmp/held" || return 1
	mv "$tmp/held" "$tmp/json"
	lines "$tmp/json" 2 && is_same ops && is_same threads &&
		[ "$(value ops | tail -n 1)" -eq 51 ] &&
		[ "$(value threads | tail -n 1)" -eq 3 ] &&
		[ "$(awk '$1 == "held" { print $4 }' "$tmp/out")" -eq 102 ]
}

# A thread is woken meanwhile: that is no matter of nanoseconds.
held_times()
{
	value min_ns >"$tmp/min"
	value p50_ns >"$tmp/p50"
	value max_ns | paste "$tmp/min" "$tmp/p50" - | awk '
		$1 < 500 || $2 < $1 || $3 < $2 || $3 > 5e9 { bad = 1 }
		END { exit bad || !NR }'
}

check "pools: requests that were held" held_figures
check "pools: how long they were" held_times
check "pools: served in their turn" [ "$(value out_of_order | sort -u)" = 0 ]
check "pools: says so" out_has '^held .* all$'
check "pools: no waits" refuses 2 "--waits: 0 is not within" pools --waits 0
check "pools: bad waits" refuses 2 "'x' is not a number" pools --waits x
check "pools: bad workload" refuses 2 "unknown workload 'nope'" pools -w nope
check "pools: no choice of peers" refuses 2 "invalid option" pools -p glibc
check "pools: an argument" refuses 2 "only options" pools pair
check "pools: full disk" refuses 1 "cannot write /dev/full" pools -w pair \
	-s 16 -n 1000 -t 1 -r 1 --json /dev/full

# --- within the noise ---

# Nine runs: two of the same library would lie apart one time in 24,310.
marks()
{
	check "make a malloc" library twin \
		'#include <stddef.h>
		extern void *__libc_malloc(size_t n);
		void *malloc(size_t n) { return __libc_malloc(n); }'
	check "a malloc against itself" gives 0 compare -w pair -s 64 \
		-n 20000 -r 9 -p "one=$tmp/twin.so,two=$tmp/twin.so"
	check "neither is the best" \
		[ "$(grep -c ' [12]\.[0-9]*~ ' "$tmp/out")" -eq 2 ]
	check "the mark is explained" out_has '~: within noise'

	check "make a slow malloc" bad slow
	check "a malloc against a slow one" gives 0 compare -w pair -s 64 \
		-n 20000 -r 5 -p "glibc,slow=$tmp/slow.so"
	check "the best is named" out_has 'glibc .* 1\.00\* '
	check "the slow one is told apart" \
		[ "$(grep -c '~ ' "$tmp/out")" -eq 0 ]
}

if [ -n "$preloads" ]; then
	marks
else
	echo "SKIP within the noise: SAN=$SAN allows no preload"
fi

# --- CSV ---

# The field of a column in the last line.
field()		# column
{
	awk -F, -v column="$1" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == column) at = i }
		END { print $at }' "$tmp/csv"
}

# Each key that is no list has a column, and each column is documented.
key_columns()
{
	head -n 1 "$tmp/csv" | tr ',' '\n' >"$tmp/columns"
	grep -o '"[a-z0-9_]*":[^[]' "$tmp/json" | cut -d'"' -f2 | sort -u |
		grep -vxFf "$tmp/columns"
}

undocumented()
{
	doc=${0%/*}/../Documentation/dev-tools/slabbench.rst
	grep -v '_ns_per_op$' "$tmp/columns" | while read -r column; do
		grep -Eq "^\`\`$column\`\`( |$)" "$doc" || echo "$column"
	done
}

check "CSV" gives 0 run -w pair,rnbench,seq -s 64 --bytes 16M -n 20000 -t 1 \
	--latency --json "$tmp/json" --csv "$tmp/csv"
check "CSV: a line for each run and one of names" lines "$tmp/csv" 4
check "CSV: a column for each key" [ -z "$(key_columns)" ]
check "CSV: each column is documented" [ -z "$(undocumented)" ]
for key in workload threads ops ns_per_op checksum pinned alloc_ns_per_op; do
	check "CSV: $key" [ "$(field $key)" = "$(value $key | tail -n 1)" ]
done
check "CSV: what a row does not have is empty" [ -z "$(field slots)" ]
# The header has what the figures have not, and nothing else.
uncounted()
{
	for key in instructions cache_misses dtlb_misses; do
		said=$(grep -c "^# not counted here:.* ${key}[ ,]" "$tmp/out")
		null=$(head -n 1 "$tmp/json" | grep -c "\"$key\":null")
		[ "$said" -eq "$null" ] || return 1
	done
}
check "what is not counted is said" uncounted
check "CSV of every workload" gives 0 run -n 20 --count 20 --bytes 1M -t 2 \
	--json "$tmp/json" --csv "$tmp/csv"
check "CSV: a column for each key of every workload" [ -z "$(key_columns)" ]
check "CSV of compare, on the standard output" gives 0 compare -w pair \
	-s 16 -n 1000 -p glibc -r 2 --csv -
check "CSV of compare: nothing else is there" lines "$tmp/out" 5
if [ -n "$preloads" ]; then
	check "CSV: a quote" gives 0 compare -w pair -s 16 -n 1000 -r 1 \
		-p "a\"b=$tmp/twin.so" --csv "$tmp/csv"
	check "CSV: a quote is doubled" grep -q '^pair,16,"a""b",' "$tmp/csv"
fi
check "one standard output for two" refuses 2 "cannot both" \
	run -w pair --json - --csv -
check "CSV: full disk" refuses 1 "cannot write /dev/full" \
	run -w pair -s 16 -n 1000 --csv /dev/full
check "CSV: unwritable file" refuses 1 "cannot write $tmp/no/where" \
	run -w pair -s 16 -n 1000 --csv "$tmp/no/where"
full_table()
{
	"$bench" run -w pair -s 16 -n 1000 >/dev/full 2>"$tmp/err"
	[ $? -eq 1 ] && grep -q "cannot write" "$tmp/err"
}
check "a table on a full disk" full_table

# --- against an earlier run ---

# Memory counts on hugetlb pages, too, of which others may take some meanwhile.
RN_LADDER=thp,small
export RN_LADDER
check "an earlier run" gives 0 run -w pair -s 64 -n 50000 --json "$tmp/before"

# as_if KEY VALUE...: the earlier run, with another value in each line
as_if()
{
	key=$1
	shift
	for new in "$@"; do
		sed "s/\"$key\":[0-9.e+]*/\"$key\":$new/" "$tmp/before"
	done >"$tmp/other"
}

since()		# code, what the table says, more arguments
{
	code=$1
	text=$2
	shift 2
	gives "$code" run -w pair -s 64 -n 50000 --baseline "$tmp/other" "$@" && out_has "$text"
}

as_if ns_per_op 0.001
check "slower" since 4 " slower$"
cp "$tmp/other" "$tmp/slow"
as_if ns_per_op 1e9
check "faster is nothing bad" since 0 " faster$"
# From here on it is faster whatever the machine does meanwhile.
cp "$tmp/other" "$tmp/before"
as_if peak_rss_kb 1
check "larger" since 4 " faster, larger$"
check "larger, and it was to be told from 1000% on" since 4 " larger$" \
	--threshold 1000
as_if peak_rss_kb 1000000
check "smaller" since 0 " faster, smaller$"
rss=$(sed -n 's/.*"peak_rss_kb":\([0-9]*\).*/\1/p' "$tmp/before")
as_if peak_rss_kb $((rss * 2 / 3))
check "larger than by the default" since 4 " faster, larger$"
check "but not by more than the threshold" since 0 " faster$" --threshold 80
as_if ns_per_op 0.001 1e9
check "within the spread of the earlier runs" since 0 "^# 0 of 1 rows changed"

check "another row" since 0 "^pair .* 128 .* not in $tmp/other$" -s 64,128
check "other settings" since 0 "only with other settings" --warmup 20
check "in compare" gives 4 compare -w pair -s 64 -n 50000 -p rn -r 3 \
	--baseline "$tmp/slow"
check "threshold without baseline" refuses 2 "means nothing" \
	run --threshold 5
check "bad threshold" refuses 2 "--threshold" \
	run --baseline "$tmp/other" --threshold x

# bad_baseline TEXT: refused before anything is measured
bad_baseline()
{
	refuses 2 "$1" run -w pair --baseline "$tmp/bad" \
		--json "$tmp/none" && [ ! -e "$tmp/none" ] && [ ! -s "$tmp/out" ]
}

check "no baseline" bad_baseline "cannot read $tmp/bad"
: >"$tmp/bad"
check "an empty baseline" bad_baseline "no run is in it"
{ cat "$tmp/before"; echo "nonsense"; } >"$tmp/bad"
check "a baseline that is not JSON" bad_baseline "$tmp/bad:2: not JSON"
echo '{"workload":"floor","allocator":"rn","threads":1}' >"$tmp/bad"
check "a baseline of other things" bad_baseline "$tmp/bad:1: no checksum"
echo '[1]' >"$tmp/bad"
check "a baseline of lists" bad_baseline "$tmp/bad:1: no workload"

unset RN_LADDER

# --- stopped half-way ---

# begin ARGUMENT...: in the background, where a shell has SIGINT ignored
begin()
{
	env --default-signal=INT,TERM "$bench" "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
}

# Until a command succeeds; not for ever.
await()
{
	for _ in $(seq 600); do
		"$@" && return
		kill -0 "$pid" || return 1
		sleep 0.05
	done
	return 1
}

# end SIGNAL: slabbench says so and ends
end()
{
	kill -s "$1" "$pid"
	wait "$pid"
	[ $? -eq 130 ] && out_has '^# interrupted' && [ ! -s "$tmp/err" ]
}

has_lines()	# least
{
	[ "$(wc -l <"$tmp/json")" -ge "$1" ]
}

is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

for sig in INT TERM; do
	for command in "run -a rn" "compare -p rn" "scale -t 1,2 -p rn"; do
		: >"$tmp/json"
		# shellcheck disable=SC2086 # several words
		begin $command -w batch -s 64 -n 300000 -r 1000 \
			--json "$tmp/json" --csv "$tmp/csv"
		check "$command: runs" await has_lines 4
		check "$command: SIG$sig" end $sig
		check "$command: what it had is printed" \
			grep -Eq '^batch|^ +1 +[0-9]' "$tmp/out"
		check "$command: lines are whole" has_keys
		check "$command: as many lines of CSV" lines "$tmp/csv" \
			$(($(wc -l <"$tmp/json") + 1))
	done
done

"$bench" floor -n 1 -r 1 >"$tmp/out" 2>"$tmp/err"
if [ $? -eq 3 ]; then
	echo "SKIP floor: $(cat "$tmp/err")"
else
	: >"$tmp/json"
	begin floor -n 1000000 -r 1000 --json "$tmp/json"
	check "floor: runs" await has_lines 8
	check "floor: SIGINT" end INT
	check "floor: what it had is printed" out_has '^rseq-inlined  *[0-9]'
fi

: >"$tmp/json"
begin pools -w pair -s 64 -t 1,2 -n 1000 -r 1000 --json "$tmp/json"
check "pools: runs" await has_lines 8
check "pools: SIGINT" end INT
check "pools: what it had is printed" out_has '^pair  *64  *1  *[0-9]'

: >"$tmp/json"
begin pools -w pair -s 64 -t 1,16 -n 1000 -r 1 --waits 50000 \
	--json "$tmp/json"
check "pools: some were held" await grep -q '"held"' "$tmp/json"
check "pools: SIGINT then" end INT
check "pools: what it had of them is printed" \
	out_has '^held  *[0-9]*  *1  *50000 '

# One run that would take hours.
worker()
{
	worker=$(pgrep -P "$pid")
}

begin run -w pair -s 64 -n 1000000000000
check "a long run" await worker
check "it is stopped" end TERM
check "the measured process is gone" is_gone "$worker"

finish
