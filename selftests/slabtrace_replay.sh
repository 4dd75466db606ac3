#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "slabbench replay" from outside: the traces that are kept, over the allocators
# that are here, and traces that are written by hand, of which all is known.
set -u

# shellcheck source=selftests/slabtrace-helpers
. "${0%/*}/slabtrace-helpers"

kept=${0%/*}/../tools/slabtrace/traces

# replayed ARGUMENT...: a run over two allocators
replayed()
{
	gives 0 replay -r 1 -p glibc,rn --json "$tmp/json" "$@"
}

# Of each line: as many bytes live at the peak as were recorded.
is_faithful()
{
	value peak_live_bytes >"$tmp/peaks"
	value recorded_peak_bytes | diff "$tmp/peaks" - && [ -s "$tmp/peaks" ]
}

check "help" gives 0 replay --help
check "no trace" refuses 2 "no trace to replay" replay
check "a trace that is not there" refuses 1 "cannot read $tmp/no" \
	replay "$tmp/no"
check "what is none" refuses 1 "this is no trace" replay "$0"
check "an unknown allocator" refuses 2 "unknown peer 'nope'" replay -p nope x
check "null" refuses 2 "null cannot take part" replay -p null \
	"$kept/jq.rnt.zst"
check "no runs" refuses 2 "-r: 0 is not within" replay -r 0 x
check "a bad trace is said before all else" refuses 1 "cannot read" \
	replay -p glibc "$kept/jq.rnt.zst" "$tmp/no"
check "and nothing is" [ ! -s "$tmp/out" ]

# --- the traces that are kept ---

for trace in "$kept"/*.rnt.zst; do
	name=${trace##*/}
	name=${name%.rnt.zst}
	check "$name" replayed "$trace"
	check "$name: a line for each run" lines "$tmp/json" 2
	check "$name: keys" has_keys trace peak_live_bytes series mean_held_kb
	check "$name: the peak is the recorded one" is_faithful
	check "$name: of some KiB" is_positive peak_live_bytes
	check "$name: all that was called" \
		[ "$(value ops | sort -u)" = "$("$bench" trace "$trace" |
			awk '$1 == "calls" { print $2 }')" ]
	check "$name: time passed" is_positive ns_per_op
	check "$name: and was taken of single calls" is_positive max_ns
done
check "six programs at least" \
	[ "$(find "$kept" -name '*.rnt.zst' | wc -l)" -ge 6 ]
check "of a few MiB" [ "$(du -sk "$kept" | cut -f 1)" -le 3072 ]

every_allocator()
{
	"$bench" replay -r 1 -p glibc,jemalloc,tcmalloc,mimalloc,rn,rn-malloc \
		--json "$tmp/json" "$kept/git.rnt.zst" >"$tmp/out" \
		2>"$tmp/err" || grep -q "is missing" "$tmp/err"
}

if [ -n "$preloads" ]; then
	check "every allocator" every_allocator
	check "every allocator: the same peak" is_same peak_live_bytes
	check "every allocator: the recorded one" is_faithful
else
	echo "SKIP every allocator: SAN=$SAN allows no preload"
fi

# --- what is known ---

# imported LINE...: a trace of them, in $tmp/t.rnt
imported()
{
	printf '%s\n' "$@" >"$tmp/ltrace"
	gives 0 trace --from-ltrace "$tmp/ltrace" "$tmp/t.rnt"
}

# figures "NAME NUMBER"...: each is what the trace has
figures()
{
	for figure; do
		[ "$(figure "${figure% *}")" = "${figure#* }" ] && continue
		echo "${figure% *} is $(figure "${figure% *}"), not ${figure#* }"
		return 1
	done
}

# refused MESSAGE LINE...
refused()
{
	text=$1
	shift
	printf '%s\n' "$@" >"$tmp/ltrace"
	refuses 1 "$text" trace --from-ltrace "$tmp/ltrace" "$tmp/t.rnt"
}

check "import" imported 'prog->malloc(24)            = 0x1000' \
	'malloc(100)                                 = 0x2000' \
	'12.000001 prog->calloc(2, 50)               = 0x3000' \
	'prog->realloc(0x1000, 48)                   = 0x4000' \
	'--- SIGCHLD (Child exited) ---' \
	'libc.so.6->strlen("a")                      = 1' \
	'prog->free(0x2000)                          = <void>' \
	'prog->free(nil)                             = <void>' \
	'prog->malloc(1000)                          = nil' \
	'+++ exited (status 0) +++'
check "import: what it is" figures "calls 6" "malloc 3" "calloc 1" \
	"realloc 1" "free 1" "live 248" "left 148" "failed 1" "foreign 0"
check "import: what is left out is said" grep -q "1 calls of other functions" \
	"$tmp/err"
check "import: replayed" replayed "$tmp/t.rnt"
check "import: the peak" [ "$(value peak_live_bytes | sort -u)" = 248 ]
check "import: what is live at the end" \
	[ "$(value live_bytes | sort -u)" = 148 ]
check "import: what failed is no operation" \
	[ "$(value ops | sort -u)" = 5 ]

# Two threads, each freeing what the other has, all at about the same time.
check "import: threads" imported '7 1.000001 a->malloc(100 <unfinished ...>' \
	'8 1.000002 a->malloc(200)                  = 0x8000' \
	'7 1.000003 <... malloc resumed> )          = 0x7000' \
	'8 1.000004 a->free(0x7000 <unfinished ...>' \
	'7 1.000004 a->malloc(50)                   = 0x7000' \
	'7 1.000005 a->free(0x8000)                 = <void>' \
	'8 1.000005 <... free resumed> )            = <void>' \
	'8 1.000005 a->realloc(0x7000, 30)          = 0x7100'
check "import: threads are told apart" figures "threads 2" "calls 6" \
	"live 300" "left 30" "foreign 0" "lost 0"
check "import: threads: replayed" replayed "$tmp/t.rnt"
check "import: threads: the peak" is_faithful
check "import: threads: which is 300" \
	[ "$(value peak_live_bytes | sort -u)" = 300 ]

check "import: another process" imported '[pid 7] malloc(1) = 0x10' \
	'[pid 9] free(0x20) = <void>' 'malloc(5) = 0x10'
check "import: foreign and lost" figures "foreign 1" "lost 1" "left 5"
rm "$tmp/t.rnt"
check "import: not to be read" refused "ltrace:2: this is no line of ltrace" \
	'malloc(1) = 0x10' 'hello'
check "import: arguments" refused "not the arguments" 'malloc(x) = 0x10'
check "import: no result" refused "not how a call ends" 'malloc(1)'
check "import: an end without a begin" refused "begin of this call is missing" \
	'<... malloc resumed> ) = 0x10'
check "import: no file is left of what fails" [ ! -e "$tmp/t.rnt" ]
check "import: nothing" refused "has no events" '+++ exited (status 0) +++'
check "import: no text" refuses 1 "cannot read $tmp/no" trace \
	--from-ltrace "$tmp/no" "$tmp/t.rnt"

stays()		# command...
{
	cp "$tmp/t.rnt" "$tmp/before"
	"$@" && cmp "$tmp/t.rnt" "$tmp/before" && [ ! -e "$tmp/t.rnt.part" ]
}

# As root it would be removed.
stays_device()
{
	ln -sf /dev/null "$tmp/null"
	refuses 1 "not a file to write anew" trace --from-ltrace "$tmp/ltrace" \
		"$tmp/null" && [ -L "$tmp/null" ]
}

check "import: a trace" imported 'malloc(1) = 0x10'
check "import: stays where another one fails" stays refused "no line" 'hello'
check "import: over its own text" stays refuses 1 "is to be read" \
	trace --from-ltrace "$tmp/t.rnt" "$tmp/t.rnt"
check "import: a device" stays_device
check "a CSV over its trace" stays refuses 1 "is to be read" \
	trace "$tmp/t.rnt" --csv "$tmp/t.rnt"
ln "$tmp/t.rnt" "$tmp/other.rnt"
check "a CSV over its trace, by another name" stays refuses 1 "is to be read" \
	trace "$tmp/t.rnt" --csv "$tmp/other.rnt"
check "JSON over a trace" stays refuses 1 "is to be read" \
	replay -r 1 -p glibc --json "$tmp/t.rnt" "$tmp/t.rnt"
check "a folder is no trace" refuses 1 "no plain file" trace "$tmp"
check "nor is a device" refuses 1 "no plain file" trace /dev/null

# What ltrace itself says of a program is what the program did.
by_ltrace()
{
	check "ltrace" ltrace -f -ttt -e malloc+free+realloc+calloc \
		-o "$tmp/ltrace" "$recorded" mark1234
	check "ltrace: imported" gives 0 trace --from-ltrace "$tmp/ltrace" \
		"$tmp/t.rnt"
	check "ltrace: all calls" [ "$(calls 1234)" -eq 1000 ]
	check "ltrace: nothing is left" figures "left 0" "foreign 0" "lost 0"
}

if [ -z "$preloads" ]; then
	echo "SKIP ltrace: SAN=$SAN builds no program for it"
elif command -v ltrace >/dev/null; then
	by_ltrace
else
	echo "SKIP ltrace: it is not among the programs here"
fi

# --- what an allocator does wrong ---

# bad_malloc NAME BODY: an allocator with another way to do one thing
bad_malloc()
{
	check "make a malloc: $1" library "$1" '
		#include <stddef.h>
		#include <string.h>
		extern void *__libc_malloc(size_t n);
		extern void *__libc_calloc(size_t n, size_t m);
		extern void *__libc_realloc(void *p, size_t n);
		'"$2"
}

wrong()		# name, message
{
	check "$1 is found out" refuses 1 "$2" replay -r 1 \
		-p "bad=$tmp/$1.so" "$tmp/t.rnt"
}

if [ -n "$preloads" ]; then
	check "a trace of all calls" imported 'malloc(5000) = 0x10000' \
		'malloc(5000) = 0x20000' 'calloc(1, 7000) = 0x30000' \
		'realloc(0x10000, 90000) = 0x40000' 'free(0x40000) = <void>' \
		'free(0x20000) = <void>'
	bad_malloc none 'void *malloc(size_t n)
		{
			return n == 5000 ? NULL : __libc_malloc(n);
		}'
	wrong none "the allocator has no 5000 bytes"
	bad_malloc dirty 'void *calloc(size_t n, size_t m)
		{
			void *p = __libc_calloc(n, m);
			if (n * m == 7000)
				((char *)p)[6999] = 1;
			return p;
		}'
	wrong dirty "calloc() gave memory that is not zeroed"
	bad_malloc forgets 'void *realloc(void *p, size_t n)
		{
			return n == 90000 ? __libc_calloc(1, n) :
				__libc_realloc(p, n);
		}'
	wrong forgets "an object was changed by somebody else"
	check "a trace of two objects" imported 'malloc(5000) = 0x10000' \
		'malloc(5000) = 0x20000' 'free(0x10000) = <void>'
	bad_malloc twice 'static char one[9000] __attribute__((aligned(16)));
		void *malloc(size_t n)
		{
			return n == 5000 ? one : __libc_malloc(n);
		}'
	wrong twice "an object was changed by somebody else"
else
	echo "SKIP what is found out: SAN=$SAN allows no preload"
fi

# --- stopped half-way ---

check "interrupted" stopped_halfway replay -p rn -r 1000 "$kept/redis.rnt.zst"
check "that is said" out_has '^# interrupted'
check "the runs until then are in the table" out_has '^rn .*%'

finish
