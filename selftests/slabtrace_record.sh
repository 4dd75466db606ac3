#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "slabbench record" from outside: programs that are known are written down
# whole, however they end, and real ones in few bytes and without much delay.
set -u

# shellcheck source=selftests/slabtrace-helpers
. "${0%/*}/slabtrace-helpers"

# What needs no recorder.
check "record: help" gives 0 record --help
check "trace: help" gives 0 trace --help
check "record: no command" refuses 2 "no command" record -o "$tmp/t.rnt"
check "record: no file" refuses 2 "-o FILE is missing" record -- true
check "trace: no file" refuses 2 "no file" trace
check "trace: two files" refuses 2 "one file" trace a b
check "trace: a file that is not there" refuses 1 "cannot read $tmp/no" \
	trace "$tmp/no"
check "trace: what is none" refuses 1 "this is no trace" trace "$0"
needs_recorder
built "$recorded"

in_fixed_folder()
{
	# shellcheck disable=SC2086 # several words
	! $as_user "$bench" record -o "$tmp/fixed/t.rnt" -- true \
		>"$tmp/out" 2>"$tmp/err" && grep -q "cannot write" "$tmp/err"
}

check "record: an unwritable file" refuses 1 "cannot write $tmp/no/t.rnt" \
	record -o "$tmp/no/t.rnt" -- true
check "record: no file, a device" refuses 1 "not a file to write" \
	record -o /dev/full -- true
check "record: a command that is not there" refuses 1 "cannot start" \
	record -o "$tmp/t.rnt" -- "$tmp/no"
keeps()
{
	[ "$(cat "$tmp/t.rnt")" = earlier ] &&
		[ -z "$(find "$tmp" -name '*.former')" ]
}

echo earlier >"$tmp/t.rnt"
check "record: a command that is not there, again" refuses 1 "cannot start" \
	record -o "$tmp/t.rnt" -- "$tmp/no"
check "record: what was there before stays" keeps
mkdir "$tmp/fixed" && echo earlier >"$tmp/fixed/t.rnt"
chmod a+rx "$tmp" && chmod a+w "$tmp/fixed/t.rnt" && chmod 555 "$tmp/fixed"
# For root no folder is read-only.
as_user=
[ "$(id -u)" -ne 0 ] ||
	as_user="setpriv --reuid=65534 --regid=65534 --clear-groups"
check "record: a folder that is read-only" in_fixed_folder
check "record: what is there stays" grep -q earlier "$tmp/fixed/t.rnt"
chmod u+w "$tmp/fixed"
check "record: its exit code" refuses 1 "ended with exit code 7" \
	record -o "$tmp/t.rnt" -- sh -c 'exit 7'

# --- each call ---

family="malloc,70001 calloc,70002 realloc,70003 realloc,70004 realloc,70005
	aligned,70006 aligned,70016 aligned,70008 aligned,70009 malloc,70011"

# Once each, of the size that was asked for.
whole_family()
{
	"$bench" trace "$tmp/t.rnt" --csv "$tmp/csv" >"$tmp/out" || return 1
	for one in $family aligned,73728; do
		n=$(awk -F, -v one="$one" '$4 "," $5 == one { n++ }
			END { print n + 0 }' "$tmp/csv")
		[ "$n" -eq 1 ] || { echo "$one: $n times"; return 1; }
	done
}

# In the order of the table of the format.
check "each call" record 0 "$recorded" each
check "each call: all are there" whole_family
check "each call: the CSV has as many" \
	[ $(($(wc -l <"$tmp/csv") - 1)) -eq "$(figure calls)" ]
check "each call: alignments" grep -q ",aligned,70006,64,0x" "$tmp/csv"
check "each call: an address before and one after" \
	grep -q ",realloc,70004,,0x[0-9a-f]*,0x[0-9a-f]*,[0-9a-f]\{8\},[0-9]" \
	"$tmp/csv"
check "each call: the one that failed" [ "$(figure failed)" -eq 1 ]
check "each call: nothing is left" [ "$(figure left)" -le 1024 ]
check "each call: nothing is foreign" [ "$(figure foreign)" -eq 0 ]

# --- memory ---

check "a million calls in little memory" record 0 "$recorded" little
check "a million calls: all are there" [ "$(calls 4951)" -eq 500000 ]

# --- where it is ---

moved()
{
	mkdir -p "$tmp/a b/slabbench" "$tmp/a b/slabtrace"
	cp "$bench" "$tmp/a b/slabbench/slabbench"
	cp "${bench%/*}/../slabtrace/libslabtrace.so" "$tmp/a b/slabtrace"
	"$tmp/a b/slabbench/slabbench" record -o "$tmp/t.rnt" -- true \
		>"$tmp/out" 2>"$tmp/err"
	[ $? -eq 3 ] && grep -q "there is a blank or a colon" "$tmp/err"
}

check "a blank in the recorder's name" moved
mkdir "$tmp/c d"
check "a blank in the trace's name" gives 0 record -o "$tmp/c d/e f.rnt" -- \
	"$recorded" mark5000
check "a blank in the trace's name: it is there" \
	[ "$(calls 5000 "$tmp/c d/e f.rnt")" -eq 1000 ]

# --- threads ---

all_threads()
{
	for t in 0 1 2 3; do
		[ "$(calls 410$t)" -eq 1000 ] || return 1
	done
}

check "threads" record 0 "$recorded" threads
check "threads: each has its own" [ "$(figure threads)" -eq 5 ]
check "threads: all they did" all_threads
check "threads: what others freed was allocated before" \
	[ "$(figure foreign)" -eq 0 ]
check "threads: and freed before it was reused" [ "$(figure lost)" -eq 0 ]
check "threads: replayed, with the peak that was recorded" gives 0 replay -r 1 \
	-p glibc,rn --json "$tmp/json" "$tmp/t.rnt"
check "threads: which is that of the trace" \
	[ "$(value peak_live_bytes | sort -u)" = "$(figure live)" ]
check "destructors" record 0 "$recorded" destructors
check "destructors: what threads had" [ "$(calls 4200)" -eq 4 ]
check "destructors: and what these did at last" [ "$(calls 4201)" -ge 4 ]
check "destructors: nothing is foreign" [ "$(figure foreign)" -eq 0 ]

# --- processes ---

only_in()	# size, file
{
	[ "$(calls "$1" "$2")" -eq 1000 ] || return 1
	for f in "$tmp"/t*.rnt; do
		[ "$f" = "$2" ] || [ "$(calls "$1" "$f")" -eq 0 ] || return 1
	done
}

check "fork" record 0 "$recorded" fork
check "fork: two files" [ "$(others | wc -l)" -eq 1 ]
child=$(others)
check "fork: before it" only_in 4301 "$tmp/t.rnt"
check "fork: the child" only_in 4302 "$child"
check "fork: the parent, after it" only_in 4303 "$tmp/t.rnt"
check "fork: what the child inherited is foreign" \
	[ "$(figure foreign "$child")" -eq 1 ]
check "fork: not to its parent" [ "$(figure foreign)" -eq 0 ]
check "vfork" record 0 "$recorded" vfork
check "vfork: one file" [ -z "$(others)" ]
check "vfork: the parent goes on" [ "$(calls 4400)" -eq 1000 ]
check "vfork: and on tape" [ "$(awk -v b="$(figure size)" \
	'BEGIN { print (b < 12) }')" -eq 1 ]
check "exec" record 0 "$recorded" exec
check "exec: before it" only_in 4500 "$tmp/t.rnt"
check "exec: after it" only_in 4501 "$(others)"

check "daemon" record 0 "$recorded" daemon
check "daemon: before it" only_in 4530 "$tmp/t.rnt"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	child=$(others)
	[ -n "$child" ] && [ "$(calls 4531 "$child")" -gt 0 ] && break
	sleep 0.5
done
check "daemon: after it" only_in 4531 "$child"
if [ "$(id -u)" -eq 0 ]; then
	check "chroot" record 0 "$recorded" chroot
	check "chroot: before it" only_in 4510 "$tmp/t.rnt"
	check "chroot: after it" only_in 4511 "$tmp/t.rnt"
	check "chroot: its child" only_in 4512 "$(others)"
	check "setuid" record 0 "$recorded" setuid
	check "setuid: before it" only_in 4520 "$tmp/t.rnt"
	check "setuid: after it" only_in 4521 "$tmp/t.rnt"
else
	echo "SKIP chroot and setuid: only root may"
fi

# --- the end ---

check "exit within free()" record 0 "$recorded" exit_inside
check "exit within free(): nothing is lost" [ "$(calls 4610)" -eq 1000 ]
for way in _exit quick_exit pthread_exit; do
	check "$way" record 0 "$recorded" mark4900 $way
	check "$way: nothing is lost" [ "$(calls 4900)" -eq 1000 ]
done
check "exit" record 0 "$recorded" exit
check "exit: nothing of the main thread is lost" [ "$(calls 4801)" -eq 1000 ]
check "exit: the others may be cut, not mixed up" \
	[ "$(figure foreign)" -eq 0 ]
# Of slabbench, and no process is left.
terminated()
{
	rm -f "$tmp"/*.rnt
	"$bench" record -o "$tmp/t.rnt" -- sh -c "echo \$\$ >$tmp/pid
		trap 'exit 5' TERM; while :; do sleep 0.1; done" \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	until [ -s "$tmp/pid" ]; do
		sleep 0.05
	done
	sleep 0.2
	kill $pid
	wait $pid
	! kill -0 "$(cat "$tmp/pid")" 2>/dev/null &&
		grep -q "exit code 5" "$tmp/err"
}

check "SIGTERM is for the program" terminated
check "SIGTERM: all is recorded" [ "$(figure calls)" -gt 10 ]
check "killed" record 1 "$recorded" threads kill
check "killed: that is said" grep -q "killed by signal 9" "$tmp/err"
check "killed: threads that had ended are there" all_threads

# --- what programs do ---

check "descriptors closed" record 0 "$recorded" close
check "descriptors closed: all is recorded" [ "$(calls 4701)" -eq 20000 ]
check "descriptors closed: before, too" [ "$(calls 4700)" -eq 1000 ]

# Over an allocator that signal handlers may call.
over()		# library, argument...
{
	library=$1
	shift
	rm -f "$tmp"/*.rnt
	LD_PRELOAD=$library timeout 60 "$bench" record -o "$tmp/t.rnt" -- "$@" \
		>"$tmp/out" 2>"$tmp/err"
}

lockless()
{
	check "make a malloc without locks" library lockless '
		#include <stddef.h>
		#include <string.h>
		#include <sys/mman.h>
		#define ROOM (1UL << 36)
		static size_t used;
		static char *all;
		void *aligned_alloc(size_t align, size_t n)
		{
			size_t at, room = (n + 2 * align + 31) & -16UL;
			if (!all)
				all = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS |
					MAP_NORESERVE, -1, 0);
			at = __atomic_fetch_add(&used, room, __ATOMIC_RELAXED);
			at = (at + 16 + align - 1) & -align;
			*(size_t *)(all + at - 8) = n;
			return all + at;
		}
		void *malloc(size_t n) { return aligned_alloc(16, n); }
		void *memalign(size_t a, size_t n) { return aligned_alloc(a, n); }
		int posix_memalign(void **p, size_t a, size_t n)
		{
			*p = aligned_alloc(a, n);
			return 0;
		}
		void *calloc(size_t n, size_t m) { return malloc(n * m); }
		void free(void *p) { (void)p; }
		void *realloc(void *p, size_t n)
		{
			void *q = malloc(n);
			size_t had = p ? ((size_t *)p)[-1] : 0;
			return memcpy(q, p ? p : q, had < n ? had : n);
		}'
}

ours=$(cd "${SLAB_OBJ:-.}" && pwd)/libslabmalloc.so
lockless
check "signals" over "$tmp/lockless.so" "$recorded" signals
check "signals: all of their calls are recorded or counted" \
	[ $((2 * $(calls 4600) + $(figure nested))) -ge 400 ]
for soname in libslabmalloc.so libjemalloc.so.2 libtcmalloc_minimal.so.4 \
    libmimalloc.so.2; do
	library=$ours
	[ $soname = libslabmalloc.so ] ||
		library=$("$bench" list | grep -o "/[^ ]*/$soname" | head -n 1)
	if [ -z "$library" ]; then
		echo "SKIP recording over $soname: it is not installed"
		continue
	fi
	check "over $soname" over "$library" "$recorded" each threads
	check "over $soname: each call" whole_family
	check "over $soname: all threads" all_threads
	check "over $soname: in an order that could be" \
		[ "$(figure lost)" -eq 0 ]
done

# --- full disks, and files cut short ---

cut()		# bytes, command...
{
	head -c "$1" "$tmp/t.rnt" >"$tmp/cut.rnt"
	shift
	"$@" trace "$tmp/cut.rnt" >"$tmp/out" 2>"$tmp/err"
}

check "a long trace" record 0 "$recorded" threads close
bytes=$(stat -c %s "$tmp/t.rnt")
check "cut short" cut $((bytes - 1)) "$bench"
check "cut short: that is said" grep -q "ends within a block" "$tmp/err"
check "cut short: the rest is there" [ "$(figure calls "$tmp/cut.rnt")" -gt \
	$(($(figure calls) - 20000)) ]

# As many bytes as a limit allows, and then no more.
limited()
{
	rm -f "$tmp"/*.rnt
	(ulimit -f 200 && trap '' XFSZ && "$bench" record -o "$tmp/t.rnt" -- \
		"$recorded" close) >"$tmp/out" 2>"$tmp/err"
}

check "a full disk: the program goes on" limited
check "a full disk: that is said" \
	grep -q "t.rnt: cannot be written: .* recorded up to here" "$tmp/err"
check "a full disk: what was written is read" [ "$(figure calls)" -gt 1000 ]

# --- a real program ---

largest()
{
	# shellcheck disable=SC2012 # names that slabbench has made
	ls -S "$tmp"/t*.rnt | head -n 1
}

# A tenth of a second or two of a compiler.
awk 'BEGIN {
	print "#include <stdlib.h>\n#include <math.h>"
	for (i = 0; i < 40; i++)
		printf "double f%d(double *p, int n)\n{\n\tdouble s = %d;\n" \
			"\twhile (n--)\n\t\ts += sqrt(p[n] * %d);\n" \
			"\treturn s > 9 ? s : atoi(\"%d\");\n}\n", i, i, i, i
	}' >"$tmp/many.c"
compile="${CC:-cc} -O2 -c -o $tmp/many.o $tmp/many.c"

# Of a shell, since some compilers are one process.
check "a compiler" record 0 sh -c "$compile; exit"
big=$(largest)
echo "$(figure calls "$big") calls, $(figure size "$big") bytes each"
check "a compiler: a file for each of its processes" \
	[ "$(others | wc -l)" -ge 1 ]
check "a compiler: thousands of calls" [ "$(figure calls "$big")" -gt 5000 ]
check "a compiler: below 12 bytes a call" [ "$(awk \
	-v b="$(figure size "$big")" 'BEGIN { print (b > 0 && b < 12) }')" -eq 1 ]
check "a compiler: nothing is foreign" [ "$(figure foreign "$big")" -eq 0 ]

# The least of three times, as others are at work here, too.
cpu_ms()	# command...
{
	for _ in 1 2 3; do
		rm -f "$tmp"/*.rnt
		bash -c 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1' sh \
			"$@" 2>&1
	done | awk '{ ms = 1000 * ($1 + $2) } NR == 1 || ms < least { least = ms }
		END { print int(least) + 1 }'
}

cc1=$(${CC:-cc} -print-prog-name=cc1)
compile="$cc1 -quiet -fpreprocessed -O2 $tmp/many.i -o $tmp/many.s"
if command -v "$cc1" >/dev/null; then
	# shellcheck disable=SC2086 # may be several words
	check "a file to compile" ${CC:-cc} -E -o "$tmp/many.i" "$tmp/many.c"
	# shellcheck disable=SC2086 # several words
	{
		plain=$(cpu_ms $compile)
		slow=$(cpu_ms "$bench" record -o "$tmp/t.rnt" -- $compile)
	}
	echo "$plain ms without a recorder, $slow ms with it"
	check "a compiler: not twice as slow" [ "$slow" -lt $((2 * plain + 10)) ]
else
	echo "SKIP how slow a compiler is: ${CC:-cc} has no cc1"
fi

finish
