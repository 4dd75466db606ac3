#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "slabbench reclaim" from outside: its scenarios do what they are said to do,
# and what it prints and writes is what was held.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

peak_kb=32768
ours=rn

# reclaim SCENARIO LINES ARGUMENT...: one scenario, over two allocators. Behind
# what was held at last the table has in some a mean, and then the spread, the
# ratio and the p99.9.
reclaim()
{
	scenario=$1
	n=$2
	shift 2
	case $scenario in
	phases | diurnal) behind=4 ;;
	*) behind=3 ;;
	esac
	check "$scenario" gives 0 reclaim -w "$scenario" -p glibc,$ours \
		--json "$tmp/json" "$@"
	cp "$tmp/out" "$tmp/table"
	check "$scenario: a line for each run" lines "$tmp/json" "$n"
	check "$scenario: it is in each" \
		[ "$(value scenario | sort -u)" = "$scenario" ]
	check "$scenario: the same operations everywhere" is_same checksum
	check "$scenario: and as many" is_same ops
	check "$scenario: all of it is JSON" is_json
	check "$scenario: its series" has_series
	check "$scenario: no less is held than live" is_held
	check "$scenario: the table has what was measured" table_is_right $behind
	check "$scenario: frees were timed" is_positive free_max_ns
}

# No baseline, having no times; but only what is JSON is told apart from one.
is_json()
{
	while read -r line; do
		echo "$line" >"$tmp/line"
		refuses 2 "$tmp/line:1: no ns_per_op" \
			run -w pair --baseline "$tmp/line" || return 1
	done <"$tmp/json"
}

# points KEY: "line ms live held" of each point of a list in each line
points()
{
	awk -v key="\"$1\":[[" '
		{
			at = index($0, key)
			if (!at)
				exit
			rest = substr($0, at + length(key))
			rest = substr(rest, 1, index(rest, "]]") - 1)
			n = split(rest, point, /\],\[/)
			for (i = 1; i <= n; i++) {
				gsub(",", " ", point[i])
				print NR, point[i]
			}
		}' "$tmp/json"
}

# A point each 100 ms, later where the machine is busy, up to the last mark.
has_series()
{
	points marks >"$tmp/marks"
	points series >"$tmp/points"
	[ "$(cut -d' ' -f1 "$tmp/points" | sort -u | wc -l)" -eq \
		"$(wc -l <"$tmp/json")" ] || return 1
	awk '
		NR == FNR { end[$1] = $2; next }
		$1 == line && $2 - last[$1] < 95 { bad = 1 }
		$2 > end[$1] { bad = 1 }
		{ line = $1; last[$1] = $2; n[$1]++ }
		END {
			for (i in end)
				if (n[i] < end[i] / 300 || n[i] > end[i] / 95)
					bad = 1
			exit bad
		}' "$tmp/marks" "$tmp/points"
}

# But for what an allocator had before: at most two hugepages.
is_held()
{
	cat "$tmp/marks" "$tmp/points" |
		awk '$4 + 4096 < $3 { bad = 1 } END { exit bad || !NR }'
}

# What is live and held at the end, where a line is of one run.
table_is_right()	# fields behind what was held
{
	[ "$(grep -c "^$scenario .* [0-9.]*%" "$tmp/table")" -eq 2 ] &&
		grep -q " 1\.00  *[0-9]*$\| -  *[0-9]*$" "$tmp/table" || return 1
	for a in glibc $ours; do
		grep "\"allocator\":\"$a\"" "$tmp/json" >"$tmp/of"
		[ "$(wc -l <"$tmp/of")" -eq 1 ] || continue
		live=$(sed 's/.*"live_bytes":\([0-9]*\).*/\1/' "$tmp/of")
		held=$(sed 's/.*"held_kb":\([0-9]*\).*/\1/' "$tmp/of")
		free=$(sed 's/.*"free_p999_ns":\([0-9]*\).*/\1/' "$tmp/of")
		awk -v a="$a" -v live="$live" -v held="$held" -v at="$1" \
			-v free="$free" '
			function is(field, mib) {
				return (field - mib) * (field - mib) < 0.01
			}
			$2 == a {
				found = is($3, live / 1048576) &&
					is($(NF - at), held / 1024) &&
					$NF == free
			}
			END { exit !found }' "$tmp/table" || return 1
	done
}

# mark N COLUMN: of each line its N-th mark: 2: ms, 3: live, 4: held
mark()
{
	awk -v n="$1" -v column="$2" '
		$1 != line { line = $1; i = 0 }
		++i == n { print $column }' "$tmp/marks"
}

# all_within LEAST MOST: the numbers on the standard input
all_within()
{
	awk -v least="$1" -v most="$2" '
		$1 < least || $1 > most { bad = 1 }
		END { exit bad || !NR }'
}

marks_are()	# least live, most live, number of mark
{
	mark "$3" 3 | all_within "$1" "$2"
}

table_has()
{
	grep -q -- "$1" "$tmp/table"
}

# How long after mark N the next one was.
after()		# number of mark, least ms
{
	mark "$1" 2 >"$tmp/from"
	mark $(($1 + 1)) 2 | paste "$tmp/from" - |
		awk -v least="$2" '$2 - $1 < least { bad = 1 }
			END { exit bad || !NR }'
}

# figure ALLOCATOR COLUMN: of the table, counted from the left
figure()
{
	awk -v a="$1" -v column="$2" '$2 == a { print $column }' "$tmp/table"
}

check "list" gives 0 list
for s in collapse frag phases idle redis diurnal; do
	check "list has $s" out_has "^  $s "
done
check "help" gives 0 reclaim --help

# --- collapse ---

reclaim collapse 4 --peak ${peak_kb}K --idle 1 -r 2
check "collapse: all is there" marks_are $peak_kb $peak_kb 1
check "collapse: 5 % is left" marks_are $((peak_kb / 25)) $((peak_kb / 20)) 2
check "collapse: and stays" marks_are $((peak_kb / 25)) $((peak_kb / 20)) 3
check "collapse: for a second" after 2 1000
check "collapse: nothing after that" [ -z "$(mark 4 2)" ]
check "collapse: columns" table_has "live *peak *freed *1 s *spread"
sum=$(value checksum | head -n 1)
reclaim collapse 2 --peak ${peak_kb}K --idle 2 -r 1 --poke
check "collapse: after one second and two" table_has "freed *1 s *2 s *spread"
check "collapse: poked" [ "$(value poke | sort -u)" = true ]
check "collapse: what is poked is no part of it" \
	[ "$(value checksum | head -n 1)" = "$sum" ]
check "collapse: another seed" gives 0 reclaim -w collapse -p rn -r 1 \
	--peak ${peak_kb}K --idle 1 --seed 9 --json "$tmp/json"
check "collapse: other operations" [ "$(value checksum)" != "$sum" ]

check "collapse: allocations were timed, too" is_positive alloc_max_ns

# What is given back at once is held no more, but for the ends of pages.
lean()
{
	check "make a lean malloc" library lean '
		#include <stddef.h>
		#include <string.h>
		#include <sys/mman.h>
		void *malloc(size_t n)
		{
			size_t *p = mmap(NULL, n + 16, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (p == MAP_FAILED)
				return NULL;
			*p = n + 16;
			return p + 2;
		}
		void free(void *p)
		{
			if (p)
				munmap((size_t *)p - 2, ((size_t *)p)[-2]);
		}
		void *calloc(size_t n, size_t size)
		{
			return malloc(n * size);
		}
		void *realloc(void *p, size_t n)
		{
			size_t had = p ? ((size_t *)p)[-2] - 16 : 0;
			void *q = malloc(n);
			if (q && p)
				memcpy(q, p, n < had ? n : had);
			free(p);
			return q;
		}
		size_t malloc_usable_size(void *p)
		{
			return p ? ((size_t *)p)[-2] - 16 : 0;
		}'
	# Few enough objects for as many maps as a process may have.
	check "a lean malloc" gives 0 reclaim -w collapse --peak 16M --idle 1 \
		-r 1 -p "glibc,lean=$tmp/lean.so"
	cp "$tmp/out" "$tmp/table"
	check "it is the leanest" [ "$(figure lean 8)" = 1.00 ]
	check "by far" [ "$(figure glibc 8 | tr -d '~' | cut -d. -f1)" -ge 2 ]
	check "it was not at its peak" [ "$(figure lean 4 | cut -d. -f1)" -ge 16 ]
}

if [ -n "$preloads" ]; then
	lean
else
	echo "SKIP a lean malloc: SAN=$SAN allows no preload"
fi

# One free in 500 takes two milliseconds; no allocation does.
slow()
{
	check "make a slow malloc" library slow '
		#include <stddef.h>
		#include <unistd.h>
		void *__libc_malloc(size_t n);
		void __libc_free(void *p);
		void *malloc(size_t n)
		{
			return __libc_malloc(n);
		}
		void free(void *p)
		{
			static unsigned int n;
			if (++n % 500 == 0)
				usleep(2000);
			__libc_free(p);
		}'
	for s in collapse frag phases diurnal; do
		check "$s over a slow malloc" gives 0 reclaim -w $s -r 1 \
			--peak 2M "--$(of_scenario $s)" 1 \
			-p "slow=$tmp/slow.so" --json "$tmp/json"
		check "$s: its p99.9" [ "$(value free_p999_ns)" -ge 1900000 ]
		check "$s: but not p50" [ "$(value free_p50_ns)" -lt 1900000 ]
		check "$s: nor its allocations" \
			[ "$(value alloc_p50_ns)" -lt 1900000 ]
	done
}

of_scenario()	# the option that says how long
{
	case $1 in
	phases) echo phase ;;
	diurnal) echo day ;;
	*) echo idle ;;
	esac
}

if [ -n "$preloads" ]; then
	slow
else
	echo "SKIP a slow malloc: SAN=$SAN allows no preload"
fi

# --- the others ---

reclaim frag 2 --peak ${peak_kb}K --idle 1 -r 1
check "frag: all is there" marks_are $peak_kb $peak_kb 1
check "frag: half of it is freed" \
	marks_are $((peak_kb * 9 / 20)) $((peak_kb * 11 / 20)) 2
check "frag: as much is live again" \
	marks_are $((peak_kb * 99 / 100)) $peak_kb 3
check "frag: and stays" marks_are $((peak_kb * 99 / 100)) $peak_kb 4
check "frag: for a second" after 3 1000
check "frag: columns" table_has "peak *punched *refilled *1 s *spread"
check "frag: allocations were timed, too" is_positive alloc_max_ns

reclaim phases 2 --peak ${peak_kb}K --phase 1 -r 1
for i in 1 2 3 4 5 6; do
	check "phases: as much is live in phase $i" \
		marks_are $peak_kb $peak_kb $i
done
check "phases: there are six" [ -z "$(mark 7 2)" ]
check "phases: each lasts" after 5 1000
check "phases: never more is live" [ "$(awk -v most=$peak_kb '
	$3 > most' "$tmp/points")" = "" ]

reclaim idle 4 -t 30 --idle 1 -r 2
check "idle: 100 KiB for each thread" marks_are 3000 3000 1
check "idle: nothing is live" marks_are 0 0 3
check "idle: for a second" after 2 1000
check "idle: the threads" [ "$(value threads | sort -u)" -eq 30 ]
reclaim idle 2 -t 1 --idle 1 -r 1 --poke

check "idle: no allocation was timed" [ -z "$(value alloc_max_ns)" ]

reclaim diurnal 2 --peak ${peak_kb}K --day 2 -r 1
check "diurnal: a tenth in the morning" \
	marks_are $((peak_kb / 10 - 1)) $((peak_kb / 10)) 1
check "diurnal: two seconds" after 1 2000
check "diurnal: no more at night" marks_are $((peak_kb / 12)) $((peak_kb / 3)) 2
check "diurnal: much more by day" [ "$(awk -v least=$((peak_kb / 2)) '
	$3 > least' "$tmp/points" | wc -l)" -ge 4 ]
over_of()	# allocator, in KiB as its series has it
{
	awk -v line="$(grep -n "\"$1\"" "$tmp/json" | cut -d: -f1)" '
		$1 != line { next }
		NR == FNR && !from { from = $2; next }
		NR == FNR { next }
		$2 >= from { sum += $4 - $3; n++ }
		END { printf "%.1f", sum / n / 1024 }' "$tmp/marks" "$tmp/points"
}
check "diurnal: what was held over what was live" \
	[ "$(figure rn 6)" = "$(over_of rn)" ]

# --- redis ---

# Whose malloc the server has shows in what it holds: a page or more for each
# object, until it is freed.
redis_over_lean()
{
	check "redis over a lean malloc" gives 0 reclaim -w redis --peak 2M \
		--idle 1 -r 1 -p "lean=$tmp/lean.so"
	cp "$tmp/out" "$tmp/table"
	check "redis runs on it" [ "$(figure lean 4 | cut -d. -f1)" -ge 20 ]
	check "and gives back at once" [ "$(figure lean 5 | cut -d. -f1)" -le \
		$(($(figure lean 4 | cut -d. -f1) / 3)) ]
}

# The server is a child of the worker, which is one of slabbench.
server_of()	# pid of slabbench
{
	for worker in $(pgrep -P "$1"); do
		pgrep -P "$worker" -x redis-server
	done
}

interrupt_redis()
{
	env --default-signal=INT "$bench" reclaim -w redis -p glibc -r 1 \
		--peak 1M --idle 60 >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	until [ -n "$(server_of $pid)" ]; do
		kill -0 $pid || return 1
		sleep 0.05
	done
	server=$(server_of $pid)
	kill -INT $pid
	wait $pid
	[ $? -eq 130 ] || return 1
	for _ in $(seq 100); do
		kill -0 "$server" 2>/dev/null || return 0
		sleep 0.05
	done
	return 1
}

redis()
{
	ours=rn-malloc
	reclaim redis 2 --peak ${peak_kb}K --idle 1 -r 1
	ours=rn
	check "redis: all is there" marks_are $peak_kb $peak_kb 1
	check "redis: a tenth is left" \
		marks_are $((peak_kb / 20)) $((peak_kb / 5)) 2
	check "redis: and stays" marks_are $((peak_kb / 20)) $((peak_kb / 5)) 3
	check "redis: for a second" after 2 1000
	check "redis: nothing of the client's" \
		[ -z "$(value page_faults)$(value cpu_s)" ]
	redis_over_lean
	check "only what can be preloaded" refuses 2 "rn cannot take part" \
		reclaim -w redis -p rn
	check "redis: interrupted" interrupt_redis
	check "redis: no folder is left" \
		[ -z "$(find /tmp -maxdepth 1 -name 'slabbench-redis-*')" ]
}

# without PROGRAM ARGUMENT...: none is in the path, which the end is to say
without()
{
	what=$1
	shift
	env PATH="$tmp/none" "$bench" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 3 ] && grep -q "$what" "$tmp/err"
}

if [ -z "$preloads" ]; then
	echo "SKIP redis: SAN=$SAN allows no preload"
elif ! command -v redis-server >/dev/null; then
	echo "SKIP redis: redis-server is not among the programs here"
else
	redis
fi
check "redis that is missing" without "there is no redis-server" \
	reclaim -w redis -p glibc
check "the others are measured" without "there is no redis-server" \
	reclaim -w redis,collapse -p glibc -r 1 --peak 1M --idle 1
check "and in the table" out_has "^collapse *glibc "

# --- pictures ---

plot()
{
	check "a picture" gives 0 reclaim -w collapse,diurnal -p glibc,rn -r 2 \
		--peak 1M --idle 1 --day 1 --plot "$tmp/it's.svg"
	cp "$tmp/it's.svg" "$tmp/svg"
	for word in collapse diurnal glibc rn live seconds "MiB held"; do
		check "the picture has $word" grep -q ">$word<" "$tmp/svg"
	done
	check "it ends" grep -q "</svg>" "$tmp/svg"
	check "nowhere to draw" refuses 1 "cannot write $tmp/no/where" \
		reclaim --plot "$tmp/no/where"
	check "a picture on a full disk" refuses 1 "gnuplot could not draw" \
		reclaim -r 1 -p rn -w collapse --peak 1M --idle 1 \
		--plot /dev/full
	printf '#!/bin/sh\nexit 1\n' >"$tmp/gnuplot"
	chmod +x "$tmp/gnuplot"
	check "gnuplot fails" gnuplot_fails
}

gnuplot_fails()
{
	env PATH="$tmp:$PATH" "$bench" reclaim -w collapse -p rn -r 1 \
		--peak 1M --idle 1 --plot "$tmp/svg" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] && grep -q "gnuplot could not draw" "$tmp/err"
}

if command -v gnuplot >/dev/null; then
	plot
else
	echo "SKIP pictures: gnuplot is not among the programs here"
fi
check "no gnuplot" without "plot needs gnuplot" reclaim -w collapse -p rn \
	--plot "$tmp/svg"

# --- what there is to choose ---

by_default()
{
	check "the default allocators" gives 0 reclaim -w collapse --peak 1M \
		--idle 1 -r 1
	cat "$tmp/out" "$tmp/err" >"$tmp/both"
	for a in glibc jemalloc tcmalloc mimalloc rn rn-malloc 'rn\+bg' \
	    'rn-malloc\+bg' rn-lean rn-malloc-lean jemalloc-lean \
	    tcmalloc-lean mimalloc-lean; do
		check "$a: measured, or said to be missing" \
			grep -Eq "^collapse +$a |peer $a is missing" "$tmp/both"
	done
}

if [ -n "$preloads" ]; then
	by_default
else
	echo "SKIP the default allocators: SAN=$SAN allows no preload"
fi
check "a missing peer is said" refuses 2 "nowhere is missing" reclaim \
	-w collapse --peak 1M --idle 1 -r 1 -p "rn,nowhere=$tmp/nowhere.so"
check "the others are measured" out_has "^collapse *rn "
check "a missing peer alone" refuses 2 "nowhere is missing" reclaim \
	-p "nowhere=$tmp/nowhere.so" --json "$tmp/none"
check "no file for nothing" [ ! -e "$tmp/none" ]
check "JSON on the standard output" gives 0 reclaim -w collapse --peak 1M \
	--idle 1 -r 1 -p rn --json -
check "the table is on standard error" grep -q "^collapse *rn " "$tmp/err"
check "nothing but JSON here" [ "$(grep -vc '^{' "$tmp/out")" -eq 0 ]

check "bad scenario" refuses 2 "unknown scenario 'nope'" reclaim -w nope
check "a scenario twice" refuses 2 "named twice" reclaim -w idle,idle
check "an empty scenario" refuses 2 "empty name" reclaim -w idle,
check "bad peer" refuses 2 "unknown peer 'nope'" reclaim -p nope
check "null" refuses 2 "null cannot take part" reclaim -p null
check "a small peak" refuses 2 "--peak: 1K is not within" reclaim --peak 1K
check "bad peak" refuses 2 "'x' is not a number" reclaim --peak x
check "no rest" refuses 2 "--idle: 0 is not within" reclaim --idle 0
check "bad rest" refuses 2 "'x' is not a number" reclaim --idle x
check "no day" refuses 2 "--day: 0 is not within" reclaim --day 0
check "no threads" refuses 2 "-t: 0 is not within" reclaim -t 0
check "no runs" refuses 2 "-r: 0 is not within" reclaim -r 0
check "threads of what has none" refuses 2 "-t means nothing" \
	reclaim -w collapse -t 2
check "a peak that nothing has" refuses 2 "--peak means nothing" \
	reclaim -w idle --peak 1M
check "rest that nothing has" refuses 2 "--idle means nothing" \
	reclaim -w phases --idle 1
check "a phase that nothing has" refuses 2 "--phase means nothing" \
	reclaim -w idle --phase 1
check "a day that nothing has" refuses 2 "--day means nothing" \
	reclaim -w idle --day 1
check "nor has redis" refuses 2 "--poke means nothing" reclaim -w redis --poke
check "nothing to poke" refuses 2 "--poke means nothing" \
	reclaim -w diurnal --poke
check "an argument" refuses 2 "only options" reclaim collapse
check "unwritable JSON" refuses 1 "cannot write $tmp/no/where" \
	reclaim --json "$tmp/no/where"
check "a full disk" refuses 1 "cannot write /dev/full" reclaim -w collapse \
	--peak 1M --idle 1 -r 1 -p rn --json /dev/full
check "more memory than there is" refuses 1 "collapse needs" reclaim \
	-w collapse -p rn -r 1 --peak 64G

# --- stopped half-way ---

check "interrupted" stopped_halfway reclaim -w collapse -p rn -r 100 \
	--peak 1M --idle 1
check "that is said" out_has '^# interrupted'
check "the runs until then are in the table" out_has '^collapse *rn .*%'

finish
