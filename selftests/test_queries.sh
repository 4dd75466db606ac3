#!/bin/sh
# SPDX-License-Identifier: MIT
#
# samples/queries from outside: its queries have the right answers (which it
# checks itself), its counters say that pages were evicted for joins, and it
# leaves nothing behind.
set -u

queries=${SLAB_OBJ:-.}/samples/queries/queries
program=$queries
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
built "$queries"
mkdir "$tmp/dir"
TMPDIR=$tmp/dir
export TMPDIR

total=2097152
# Tables of 1.4 MiB; a join takes 0.5 MiB of the 2 MiB.
small="--rows=20000 --queries=200 --total=$total"

# runs ARGUMENT...: a small run, which succeeds
runs()
{
	# shellcheck disable=SC2086
	gives 0 $small "$@"
}

says()		# pattern: a line of what it prints
{
	grep -qE -- "$1" "$tmp/out"
}

# figure TOTAL|EXECUTION|STORAGE NAME: of what --json printed; they come so
figure()
{
	case $1 in
	TOTAL)		line=1 ;;
	EXECUTION)	line=2 ;;
	STORAGE)	line=3 ;;
	esac
	sed -n "${line}s/.*\"$2\":\([0-9]*\)[,}].*/\1/p" "$tmp/out"
}

# The three numbers of the summary's first line: scans, joins, declined.
summary()
{
	sed -nE 's/^([0-9]+) scans and ([0-9]+) joins by .*, ([0-9]+) queries declined$/\1 \2 \3/p' \
		"$tmp/out"
}

# all_done COUNT: no query is missing, and there are some of either kind
all_done()
{
	# shellcheck disable=SC2046
	set -- "$1" $(summary)
	[ $# = 4 ] && [ $(($2 + $3 + $4)) = "$1" ] && [ "$2" -gt 0 ] &&
		[ "$3" -gt 0 ]
}

no_files()
{
	[ -z "$(ls -A "$tmp/dir")" ]
}

# --- queries, and what they say of memory ---

for args in --victim=random --victim=lru --threads=1 --threads=8 \
		--exec-waits --storage-half; do
	# Where nothing is evicted for them, joins are held, and declined.
	check "$args" runs "$args" --timeout=20 -Q
	check "$args: all queries" all_done 200
	check "$args: quiet is the summary only" \
		[ "$(wc -l <"$tmp/out")" = 4 ]
	check "$args: figures" runs "$args" --timeout=20 --json
	check "$args: one line for each group" \
		[ "$(grep -c '^{"name":".*}$' "$tmp/out")" = 3 ]
	check "$args: and no more" [ "$(wc -l <"$tmp/out")" = 3 ]
	check "$args: the total is the limit" \
		[ "$(figure TOTAL max)" = $total ]
	check "$args: it is not exceeded" \
		[ "$(figure TOTAL peak)" -le $total ]
	check "$args: joins had memory" \
		[ "$(figure EXECUTION peak)" -gt 500000 ]
	check "$args: and gave it back" [ "$(figure EXECUTION current)" = 0 ]
	check "$args: no files are left" no_files
done
check "storage within its half" [ "$(figure STORAGE peak)" -le $((total / 2)) ]
RN_PERCPU=fallback
export RN_PERCPU
check "without restartable sequences" runs -Q
check "all queries without" all_done 200
unset RN_PERCPU

evicted()
{
	sed -n 's/.*misses; \([0-9]*\)\.[0-9]* MiB evicted$/\1/p' "$tmp/out"
}

# The tables would all but fit: what is evicted, is for joins. With one thread,
# none of them is left when there are scans again.
check "joins squeeze the cache" \
	runs --threads=1 --total=1536K --interval=1 --stat
check "pages are evicted" [ "$(evicted)" -gt 0 ]
check "it says who has what" says '^ +time +MiB: total +execution +storage '
check "lines of counters" \
	[ "$(grep -cE '^ +[0-9.]+s( +[0-9.]+%?){8}$' "$tmp/out")" -gt 1 ]
# What the last of them says, of twice 0.75 MiB.
borrows()
{
	awk '/^ +[0-9.]+s / { mib = $4 } END { exit !(mib > 1) }' "$tmp/out"
}

check "the cache has borrowed again" borrows
check "figures of three groups" \
	[ "$(grep -c '^events.evicted ' "$tmp/out")" = 3 ]
check "each below its name" \
	[ "$(grep -A 1 '^$' "$tmp/out" | grep -c '^[a-z]')" = 3 ]

# --- with less memory than it takes ---

check "joins that are too large" \
	gives 0 --rows=20000 --queries=100 --total=512K --timeout=5
check "all queries, or declined" \
	[ "$(summary | awk '{ print $1 + $2 + $3 }')" = 100 ]
check "all scans are done" [ "$(summary | cut -d' ' -f1)" -gt 50 ]
check "joins are declined" [ "$(summary | cut -d' ' -f3)" -gt 0 ]
check "each of them says so" [ "$(grep -cE '^query [0-9]+: .* declined: ' \
	"$tmp/out")" = "$(summary | cut -d' ' -f3)" ]
# In the turn of each, for the time that --timeout says.
check "all of these were held" [ "$(sed -n \
	's/^requests held: \([0-9]*\) for execution,.*/\1/p' "$tmp/out")" \
	-ge "$(summary | cut -d' ' -f3)" ]
check "a table of one row" gives 0 --rows=1 --queries=20 --total=1M -Q
check "all queries of it" [ "$(summary | awk '{ print $1 + $2 }')" = 20 ]

# --- what goes wrong is said ---

check "a total that is too small" refuses 1 "Invalid argument" --total=1
check "a folder that is not there" \
	refuses 1 "No such file" --dir="$tmp/none"
for option in total threads queries rows timeout interval; do
	for value in x -1 0 '' 5x 1KK 99999999999999999999 17179869184G; do
		check "--$option=$value" \
			refuses 64 "not a number from 1 to" "--$option=$value"
	done
done
check "no such victim" refuses 64 "neither random nor lru" --victim=me
check "an argument" refuses 64 "there are no arguments" tables
check "an unknown option" gives 64 --nonsense
check "version" gives 0 --version
check "the version is a number" says '^queries [0-9]+\.[0-9]'

full_disk()
{
	# shellcheck disable=SC2086
	${EMULATOR:-} "$queries" $small "$@" >/dev/full 2>"$tmp/err"
	[ $? = 1 ] && grep -qF "No space left" "$tmp/err"
}

for args in -Q --stat --json; do
	check "standard output on a full disk: $args" full_disk "$args"
done

# Files may have 100 blocks of 512 bytes, and too long a write is no signal.
no_room()
{
	(
		trap '' XFSZ
		ulimit -f 100
		# shellcheck disable=SC2086
		${EMULATOR:-} "$queries" $small -Q
	) >"$tmp/out" 2>"$tmp/err"
	[ $? = 1 ] && grep -qF "File too large" "$tmp/err"
}

check "no room for the tables" no_room
check "nothing is left of them" no_files

# interrupted SIGNAL CODE: while it runs, by "timeout", as the shell ignores an
# interrupt of what is in its background
interrupted()
{
	# shellcheck disable=SC2086
	timeout --preserve-status -s "$1" 1 ${EMULATOR:-} "$queries" $small \
		--queries=1000000000 >"$tmp/out" 2>"$tmp/err"
	got=$?
	[ "$got" = "$2" ] && [ -s "$tmp/out" ] && no_files
}

check "interrupted" interrupted INT 130
check "terminated" interrupted TERM 143
check "killed" interrupted KILL 137

finish
