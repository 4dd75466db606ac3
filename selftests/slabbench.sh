#!/bin/sh
# SPDX-License-Identifier: MIT
#
# slabbench from outside: what it lists, runs, writes and refuses. Needs a C
# compiler for the allocators that must fail.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"
pool=/proc/sys/vm/nr_hugepages
pool_was=

clean_up()
{
	rm -rf "$tmp"
	[ -z "$pool_was" ] || echo "$pool_was" >"$pool"
}

# --- list ---

check "list" gives 0 list
for w in pair batch rnbench seq; do
	check "list has $w" out_has "^  $w "
done
for a in rn rn-memcg rn-exec glibc jemalloc tcmalloc mimalloc null; do
	check "list has $a" out_has "^  $a "
done
for form in "rn-small *rn with RN_LADDER=" "rn+bg *rn with RN_BACKGROUND=1" \
	"rn-malloc+bg " "glibc-thp *glibc with GLIBC_" \
	"glibc-hugetlb *glibc with GLIBC_" "jemalloc-thp " \
	"tcmalloc-hugetlb " "mimalloc-large " "rn-lean " "rn-malloc-lean " \
	"jemalloc-lean " "tcmalloc-lean " "mimalloc-lean " "all " "huge "; do
	check "list has $form" out_has "^  $form"
done
check "version" gives 0 --version
bench_elsewhere()
{
	! sh "${0%/*}/../scripts/bench" "$tmp/no/" >"$tmp/out" 2>"$tmp/err" &&
		grep -q "build it first" "$tmp/err" && [ ! -e "$tmp/no" ]
}

check "the version is a number" out_has '^slabbench [0-9][0-9]*\.[0-9]'
check "scripts/bench: nothing is built there" bench_elsewhere
check "help" gives 0 --help
check "help of run" gives 0 run --help

# --- run: each workload over each allocator, JSON lines, equal sequences ---

run_all()	# what, number of lines, more arguments
{
	what=$1
	n=$2
	shift 2
	check "run $what" gives 0 run -a rn,rn-memcg,rn-exec,malloc,null \
		--json "$tmp/json" "$@"
	check "$what: a line for each run" lines "$tmp/json" "$n"
	check "$what: keys" has_keys
	check "$what: the same operations everywhere" is_same checksum
	check "$what: the same number of them" is_same ops
	check "$what: time passed" is_positive ns_per_op
	check "$what: memory was held" is_positive peak_rss_kb
}

for t in 1 3; do
	run_all "pair, $t threads" 5 -w pair -s 64 -n 20000 -t $t
	check "pair: size" has_keys size
	run_all "batch, $t threads" 10 -w batch -s 256 -n 20000 -t $t -r 2
	run_all "rnbench, $t threads" 5 -w rnbench -n 300000 -t $t
	run_all "rnbench random, $t threads" 5 -w rnbench -n 300000 \
		--ops random --sizes 8,100,3000 -t $t
	run_all "rnbench in order, $t threads" 5 -w rnbench -n 30000 \
		--pattern seq --slots 777 -t $t
	run_all "rnbench alloc-only, $t threads" 5 -w rnbench -n 30000 \
		--alloc-only -t $t
	run_all "seq, $t threads" 5 -w seq --bytes 16M -t $t
	check "seq: phases" has_keys alloc_ns_per_op free_ns_per_op bytes
done

# RSS alone would not do: hugetlb pages are not in it.
holds_kb()	# least
{
	value peak_rss_kb >"$tmp/rss"
	value peak_hugetlb_kb | paste -d' ' "$tmp/rss" - |
		awk -v least="$1" '$1 + $2 < least { bad = 1 }
			END { exit bad || !NR }'
}

check "run seq 64M" gives 0 run -a rn,malloc -w seq --bytes 64M \
	--json "$tmp/json"
check "seq: the memory asked for was seen" holds_kb 65536

# glibc can take its heap from hugetlb pages: 64 MiB are 32 of 2 MiB.
free_pages()
{
	[ "$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)" = 2048 ] &&
		[ "$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)" \
			-ge "$1" ]
}

if ! free_pages 48 && [ -w "$pool" ]; then
	pool_was=$(cat "$pool")
	echo $((pool_was + 48)) >"$pool"
fi
on_hugetlb()
{
	GLIBC_TUNABLES=glibc.malloc.hugetlb=2 "$bench" run -a malloc -w seq \
		--bytes 64M --json "$tmp/json" >"$tmp/out" 2>"$tmp/err"
}

hugetlb_seen()
{
	value peak_hugetlb_kb | awk '$1 < 65536 { bad = 1 }
		END { exit bad || !NR }'
}

of_peer()	# name, key
{
	sed -n "/\"allocator\":\"$1\"/s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" \
		"$tmp/json"
}

# is_times FACTOR MORE LESS: the one is at least so many times the other
is_times()
{
	awk -v f="$1" -v more="$2" -v less="$3" \
		'BEGIN { exit !(less > 0 && more >= f * less) }'
}

forms_on_hugetlb()
{
	check "compare glibc with its hugetlb form" gives 0 compare \
		-p glibc,glibc-hugetlb -w seq --bytes 64M -r 1 \
		--json "$tmp/json"
	check "the form takes hugetlb pages" \
		[ "$(of_peer glibc-hugetlb peak_hugetlb_kb)" -ge 65536 ]
	check "glibc itself does not" \
		[ "$(of_peer glibc peak_hugetlb_kb)" -eq 0 ]
	check "compare rn with rn-small" gives 0 compare -p rn,rn-small \
		-w seq --bytes 64M -r 1 --json "$tmp/json"
	check "rn takes hugetlb pages" \
		[ "$(of_peer rn peak_hugetlb_kb)" -ge 65536 ]
	check "rn-small does not" \
		[ "$(of_peer rn-small peak_hugetlb_kb)" -eq 0 ]
}
if [ -n "${SAN:-}" ]; then
	echo "SKIP hugetlb memory: SAN=$SAN has a malloc of its own"
elif free_pages 48; then
	check "run seq on hugetlb pages" on_hugetlb
	check "seq: hugetlb memory was seen" hugetlb_seen
	forms_on_hugetlb
else
	echo "SKIP hugetlb memory: no 48 free hugetlb pages of 2 MiB"
fi
[ -z "$pool_was" ] || echo "$pool_was" >"$pool"
pool_was=

# --- the seed decides the sequence, and nothing else does ---

sum_of()
{
	"$bench" run -a malloc -w rnbench -t 2 -n 50000 --json "$tmp/json" \
		"$@" >"$tmp/out" 2>"$tmp/err" && value checksum
}

a=$(sum_of --seed 7)
b=$(sum_of --seed 7)
c=$(sum_of --seed 8)
check "a seed gives a checksum" [ -n "$a" ]
check "a seed gives one checksum" [ "$a" = "$b" ]
check "another seed gives another" [ "$a" != "$c" ]

# --- where it runs ---

cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\([0-9]*\).*/\1/p' \
	/proc/self/status)
on_one_cpu()
{
	taskset -c "$cpu" "$bench" run -w pair -s 16 -n 1000 -t 2 \
		--json "$tmp/json" >"$tmp/out" 2>"$tmp/err"
}

check "run on one CPU" on_one_cpu
check "the CPU is in the result" [ "$(value cpus_allowed)" = "$cpu" ]
check "threads are pinned" [ "$(value pinned)" = true ]
check "run without pins" gives 0 run -w pair -s 16 -n 1000 --no-pin \
	--json "$tmp/json"
check "threads are not pinned" [ "$(value pinned)" = false ]
check "the kernel is in the result" [ "$(value kernel)" = "$(uname -r)" ]

aslr="^# shaky: addresses differ .*setarch -R"
check "run for its header" gives 0 run -w pair -s 16 -n 1000
if [ "$(cat /proc/sys/kernel/randomize_va_space)" != 0 ] &&
	setarch -R true 2>/dev/null; then
	[ -n "${SAN:-}" ] || check "the header says ASLR" out_has "$aslr"
	setarch -R "$bench" run -w pair -s 16 -n 1000 >"$tmp/out" 2>"$tmp/err"
	check "a run without ASLR" out_has "^pair "
	check "the header does not say ASLR" \
		[ "$(grep -c "$aslr" "$tmp/out")" -eq 0 ]
else
	echo "SKIP ASLR in the header: it cannot be switched here"
fi
virtual="^# shaky: virtual machine"
if grep -q '^flags.* hypervisor' /proc/cpuinfo; then
	gives 0 run -w pair -s 16 -n 1000
	check "the header says virtual machine" out_has "$virtual"
fi

# --- compare ---

check "compare" gives 0 compare -w pair,rnbench -s 16,64 -p glibc,rn -t 1,2 \
	-r 3 -n 20000 --json "$tmp/json"
check "compare: rows x (peers and null) x runs" lines "$tmp/json" 54
check "compare: keys" has_keys linkage
check "compare: a best peer in each row" \
	[ "$(grep -c 'glibc .* 1\.00[*~]' "$tmp/out")" -eq 6 ]
check "compare: JSON on the standard output" gives 0 compare -w pair -s 16 \
	-n 1000 -p glibc -r 1 --json -
check "compare: then nothing else is there" \
	[ "$(grep -vc '^{.*}$' "$tmp/out")" -eq 0 ]
check "compare: no progress bar off a terminal" \
	[ "$(grep -c '\[[#.]*\]' "$tmp/err")" -eq 0 ]
check "compare: a limit" gives 0 compare -w pair -s 16 -n 1000 -p glibc \
	-r 1000 --limit=1
check "compare: the limit is said" \
	grep -q '^# --limit=1: [0-9]* runs instead of 1000$' "$tmp/out"
check "bad limit" refuses 2 "--limit" compare --limit=0

# --- peers with a setting, and groups of them ---

has_peers()	# least
{
	[ "$(grep -c '^pair ' "$tmp/out")" -ge "$1" ]
}

quick="compare -w pair -s 16 -n 1000 -r 1"
# shellcheck disable=SC2086 # $quick is several words
settings()
{
	check "a form" gives 0 $quick -p rn,rn-small,glibc-thp \
		--json "$tmp/json"
	check "its setting is in the JSON" \
		[ "$(of_peer rn-small env)" = RN_LADDER=small ]
	check "that of another" [ "$(of_peer glibc-thp env)" = \
		GLIBC_TUNABLES=glibc.malloc.hugetlb=1 ]
	check "rn itself has none" [ -z "$(of_peer rn env)" ]
	# The heap is a gigabyte at once: that was the user's wish.
	GLIBC_TUNABLES=glibc.malloc.top_pad=1073741824
	export GLIBC_TUNABLES
	check "a form, and tunables of the user's" gives 0 $quick \
		-p glibc-thp --json "$tmp/json"
	unset GLIBC_TUNABLES
	[ -n "${SAN:-}" ] || check "the user's still count" \
		[ "$(of_peer glibc-thp peak_vsz_kb)" -ge 1048576 ]
	check "without them" gives 0 $quick -p glibc-thp --json "$tmp/json"
	[ -n "${SAN:-}" ] || check "which are not the form's" \
		[ "$(of_peer glibc-thp peak_vsz_kb)" -lt 1048576 ]
}

# shellcheck disable=SC2086
groups()
{
	check "compare -p all" gives 0 $quick -p all
	check "all: what is always there" has_peers 7
	check "all leaves out what is missing" \
		[ "$(grep -c missing "$tmp/out")" -eq 0 ]
	check "compare -p huge" gives 0 $quick -p huge --json "$tmp/json"
	check "huge: those of glibc" out_has "glibc-hugetlb "
	check "huge: with a setting each" [ "$(grep -c '"env":' "$tmp/json")" \
		-eq "$(grep -vc '"null"' "$tmp/json")" ]
	check "compare -p huge,rn" gives 0 $quick -p huge,rn
	check "a group adds no peer again" gives 0 $quick -p glibc,rn,all
	check "a peer again after a group" refuses 2 "named twice" \
		$quick -p all,rn
}

settings
if [ -n "$preloads" ]; then
	groups
else
	echo "SKIP groups of peers: SAN=$SAN allows no preload"
fi
for p in jemalloc tcmalloc mimalloc; do
	if [ -z "$preloads" ]; then
		echo "SKIP compare with $p: SAN=$SAN allows no preload"
		continue
	fi
	if "$bench" list | grep -q "^  $p *missing"; then
		echo "SKIP compare with $p: it is not installed"
		continue
	fi
	check "compare with $p" gives 0 compare -w batch -s 64 -n 20000 \
		-p "$p" -r 1 --json "$tmp/json"
	check "$p's malloc was measured" \
		grep -q "\"allocator\":\"$p\".*malloc_from\":\"[^\"]*$p" \
		"$tmp/json"
done

if [ -n "$preloads" ]; then
	check "list" gives 0 list
	check "list has rn-malloc" out_has "^  rn-malloc  *[^m]"
	check "compare with rn-malloc" gives 0 compare -w batch -s 64 -n 20000 \
		-p rn-malloc -r 1 --json "$tmp/json"
	check "the replacement was measured" \
		grep -q '"allocator":"rn-malloc".*"malloc_from":"[^"]*slabmalloc' \
		"$tmp/json"
fi

# --- peers that fail ---

one="compare -w pair -s 16 -n 1000 -r 1"
# shellcheck disable=SC2086 # $one is several words
preload_failures()
{
	check "make a crashing malloc" library crash \
		'#include <stdlib.h>
		void *malloc(size_t n) { (void)n; abort(); }'
	check "a crash is said" refuses 1 "killed by signal 6" \
		$one -p "glibc,crash=$tmp/crash.so"
	check "the others are still measured" out_has "glibc .* 1\.00\*"
	check "the row says failed" out_has "crash *failed"

	check "make a malloc without memory" library empty \
		'#include <errno.h>
		#include <stddef.h>
		extern void *__libc_malloc(size_t n);
		void *malloc(size_t n)
		{
			if (n != 12345)
				return __libc_malloc(n);
			errno = ENOMEM;
			return NULL;
		}'
	check "no memory is said" refuses 1 "has no 12345 bytes" \
		compare -w pair -s 12345 -n 1000 -r 1 -p "empty=$tmp/empty.so"

	check "make a library without malloc" library other 'int other;'
	check "a preload that did nothing is said" refuses 1 "malloc came from" \
		$one -p "other=$tmp/other.so"
}

# shellcheck disable=SC2086
missing_peers()
{
	check "a missing file is said" refuses 2 "nowhere is missing" \
		$one -p "nowhere=$tmp/nowhere.so,glibc"
	check "the row says missing" out_has "nowhere *missing"
	check "nothing is measured for a missing one alone" refuses 2 \
		"nowhere is missing" compare -p "nowhere=$tmp/nowhere.so"
	check "and nothing printed" [ ! -s "$tmp/out" ]
	echo text >"$tmp/text.so"
	check "a text is no library" refuses 2 "not a shared library" \
		$one -p "text=$tmp/text.so"
}

if [ -n "$preloads" ]; then
	preload_failures
else
	echo "SKIP peers that fail: SAN=$SAN allows no preload"
fi
missing_peers

# --- allocators that are bad on purpose: their figures must say so ---

bad_allocators()
{
	check "make a slow malloc" bad slow
	check "compare with a slow malloc" gives 0 compare -w pair -s 64 \
		-n 100000 -r 1 -p "glibc,slow=$tmp/slow.so" --json "$tmp/json"
	check "it is slow" is_times 20 "$(of_peer slow ns_per_op)" \
		"$(of_peer glibc ns_per_op)"

	check "make a leaking malloc" bad leaky
	check "compare with a leaking malloc" gives 0 compare -w batch -s 256 \
		-n 2000000 -t 1 -r 1 -p "glibc,leaky=$tmp/leaky.so" \
		--json "$tmp/json"
	check "its memory grows" is_times 20 "$(of_peer leaky peak_rss_kb)" \
		"$(of_peer glibc peak_rss_kb)"

	check "make a malloc with holes" bad holes
	for w in "seq --bytes 32M" "frag --count 100000"; do
		# shellcheck disable=SC2086 # $w is several words
		check "$w with a malloc with holes" gives 0 compare -w $w -t 1 \
			-r 1 -p "glibc,holes=$tmp/holes.so" --json "$tmp/json"
		check "$w: it holds more than is live" is_times 1.5 \
			"$(of_peer holes frag_ratio)" \
			"$(of_peer glibc frag_ratio)"
	done
}

if [ -n "$preloads" ]; then
	bad_allocators
else
	echo "SKIP bad allocators: SAN=$SAN allows no preload"
fi

# --- floor ---

"$bench" floor -n 100000 -r 3 --json "$tmp/json" >"$tmp/out" 2>"$tmp/err"
case $? in
0)
	check "floor: a line for each run" lines "$tmp/json" 21
	check "floor: time passed" is_positive ns_per_op
	check "floor: the floor is there" out_has '^rseq-called '
	;;
3)
	check "floor: says why not" grep -q "no restartable" "$tmp/err"
	echo "SKIP floor: no restartable sequences here"
	;;
*)
	check "floor" false
	;;
esac
GLIBC_TUNABLES=glibc.pthread.rseq=0
export GLIBC_TUNABLES
check "floor without rseq" refuses 3 "no restartable sequences" floor
unset GLIBC_TUNABLES

# --- what is refused ---

check "no command" gives 2
check "bad command" refuses 2 "unknown command 'nope'" nope
check "bad workload" refuses 2 "unknown workload 'nope'" run -w pair,nope
check "bad allocator" refuses 2 "unknown allocator 'nope'" run -a nope
check "bad peer" refuses 2 "unknown peer 'nope'" compare -p glibc,nope
check "peer twice" refuses 2 "named twice" compare -p glibc,rn,glibc
check "bad option" refuses 2 "nope" run --nope
check "an argument" refuses 2 "only options" run pair
check "no threads" refuses 2 "-t: 0 is not within" run -t 0
check "too many threads" refuses 2 "-t: 9999 is not within" run -t 9999
check "no number" refuses 2 "'1x' is not a number" run -n 1x
check "negative" refuses 2 "'-1' is not a number" run -n -1
check "overflow" refuses 2 "is not a number" run -n 99999999999999999999
check "overflow of a suffix" refuses 2 "is not a number" \
	run -w seq --bytes 99999999999G
check "an empty word" refuses 2 "empty" run -w pair,,seq
check "size 0" refuses 2 "-s: 0 is not within" run -s 0
check "bad ops" refuses 2 "neither toggle nor random" run --ops nope
check "bad pattern" refuses 2 "neither rand nor seq" run --pattern nope
check "ops twice" refuses 2 "exclude each other" run --alloc-only --ops random
check "slots without rnbench" refuses 2 "--count means nothing" \
	run -w pair --slots 10
check "bytes without seq" refuses 2 "--bytes means nothing" \
	run -w pair --bytes 1M
check "more memory than there is" refuses 1 "seq needs" \
	run -a malloc -w seq --bytes 16384G
check "unwritable file" refuses 1 "cannot write $tmp/no/where" \
	run -w pair -s 16 -n 1000 --json "$tmp/no/where"
check "full disk" refuses 1 "cannot write /dev/full" \
	run -w pair -s 16 -n 1000 --json /dev/full
check "worker by hand" refuses 1 "row-worker is what" row-worker

finish
