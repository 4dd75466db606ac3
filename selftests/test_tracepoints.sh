#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The trace points: what is in the files, what gdb and bpftrace see of them, and
# that the fast paths are the same instructions with and without.
# shellcheck disable=SC2016 # the variables are gdb's
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

obj=$(cd "${SLAB_OBJ:-.}" && pwd)
program=$obj/selftests/static/crash/stopped
shared=$obj/libslab.so
slabmalloc=$obj/libslabmalloc.so
events="kfree kmalloc kmem_cache_alloc kmem_cache_free mm_page_alloc
	mm_page_free"

if [ -n "${SAN:-}${EMULATOR:-}" ]; then
	echo "neither a sanitizer nor an emulator is for tracers"
	exit 77
fi
built "$program" "$shared" "$slabmalloc"
if ! readelf -SW "$shared" | grep -q '\.note\.stapsdt'; then
	echo "the library was built without sys/sdt.h, and has no probes"
	exit 77
fi
RN_LADDER=thp,small
RN_DECAY_MS=-1
RN_BACKGROUND=0
export RN_LADDER RN_DECAY_MS RN_BACKGROUND
prlimit --core=0 --pid $$

# --- in the files ---

# Name, number of arguments and semaphore of each probe of ours.
probes()	# file
{
	readelf -nW "$1" | awk '
		/Provider:/ { ours = /Provider: libslab$/ }
		/Name:/ { name = $2 }
		/Semaphore:/ { semaphore = $NF }
		/Arguments:/ { if (ours) print name, NF - 1, semaphore }' |
		sort
}

all_there()	# file
{
	probes "$1" >"$tmp/out"
	[ "$(cut -d ' ' -f 1,2 "$tmp/out")" = "kfree 2
kmalloc 6
kmem_cache_alloc 7
kmem_cache_free 3
mm_page_alloc 5
mm_page_free 3" ]
}

# Those of objects have one semaphore, each one of pages another.
semaphores()	# file
{
	[ "$(probes "$1" | grep '^k' | cut -d ' ' -f 3 | uniq | wc -l)" = 1 ] &&
	[ "$(probes "$1" | cut -d ' ' -f 3 | sort -u | wc -l)" = 3 ] &&
	! probes "$1" | grep -q ' 0x0*$'
}

for file in "$program" "$shared" "$slabmalloc"; do
	check "${file##*/}: all probes" all_there "$file"
	check "${file##*/}: semaphores" semaphores "$file"
done

# --- the fast paths, with and without ---

# The instructions of a function, without where things are.
code()		# file, function
{
	objdump -d --no-show-raw-insn --disassemble="$2" "$1" |
		sed -nE '/^[0-9a-f]+ <.*>:$/,$p' | sed -E '/^$/d; 1d
			s/^ *[0-9a-f]+:\t//; s/[0-9a-f]+ <([^>+]*)[^>]*>/\1/g
			s/#.*//; s/(0x)?[0-9a-f]+\(%rip\)/(%rip)/g
			s/<[^>]*>//g; s/ +$//'
}

same_code()	# object, function
{
	code "$obj/$1" "$2" >"$tmp/with"
	code "$tmp/plain/$1" "$2" >"$tmp/without"
	[ "$(wc -l <"$tmp/with")" -gt 20 ] && cmp "$tmp/with" "$tmp/without"
}

make -s O="$tmp/plain" CFLAGS="${CFLAGS:-} -URN_USDT" mm/kmalloc.o \
	mm/cache_alloc.o compat/malloc.o >"$tmp/out" 2>"$tmp/err"
check "the library is made without" [ -s "$tmp/plain/mm/kmalloc.o" ]
for function in rn_alloc rn_free rn_alloc_class_v3 rn_zalloc; do
	check "$function: the same instructions" same_code mm/kmalloc.o \
		$function
done
for function in rn_cache_alloc rn_cache_free; do
	check "$function: the same instructions" same_code mm/cache_alloc.o \
		$function
done
for function in malloc free calloc; do
	check "$function: the same instructions" same_code compat/malloc.o \
		$function
done

# --- in gdb ---

# at EVENT CONDITION COMMAND...: in gdb, where a probe fires
at()
{
	event=$1
	condition=$2
	shift 2
	timeout -k 5 100 gdb -nx -q -batch -ex "set debuginfod enabled off" \
		-ex "break -probe-stap libslab:$event" \
		-ex "condition 1 $condition" -ex "run >$tmp/said" "$@" \
		"$program" >"$tmp/out" 2>"$tmp/err" </dev/null
}

got()		# pattern: a line of what gdb said
{
	grep -qE "^$1\$" "$tmp/out"
}

show='printf "%d: %lu %lu %d %d\n", $_probe_argc'
if ! gdb --version >/dev/null 2>&1; then
	echo "SKIP probes in gdb: it is not installed"
else
	check "kmalloc" at kmalloc '$_probe_arg2 == 200000' \
		-ex "$show, \$_probe_arg2, \$_probe_arg3, \$_probe_arg4, \
			\$_probe_arg5" \
		-ex 'info symbol $_probe_arg0'
	check "kmalloc: its fields" got "6: 200000 200704 0 -1"
	check "kmalloc: called by main()" got '(main|in_pages).* in section .*'
	check "kmem_cache_alloc" at kmem_cache_alloc '$_probe_arg1 != 0' \
		-ex "$show, \$_probe_arg2, \$_probe_arg3, \$_probe_arg4, \
			\$_probe_arg6"
	check "kmem_cache_alloc: its fields" got "7: 72 72 0 0"
	check "kmem_cache_free" at kmem_cache_free 1 \
		-ex 'printf "%d: %s\n", $_probe_argc, (char *)$_probe_arg2' \
		-ex 'print $_probe_arg1 == (unsigned long)cached'
	check "kmem_cache_free: its fields" got "3: others"
	check "kmem_cache_free: the object" got '\$1 = 1'
	check "kfree" at kfree 1 \
		-ex 'print $_probe_arg1 == (unsigned long)many[1]'
	check "kfree: the object" got '\$1 = 1'
	check "mm_page_alloc" at mm_page_alloc '$_probe_arg4 == 49' \
		-ex 'printf "%d: order %d\n", $_probe_argc, $_probe_arg1'
	check "mm_page_alloc: its fields" got "5: order 6"
	check "mm_page_free" at mm_page_free 1 \
		-ex 'printf "%d: order %d, %d\n", $_probe_argc, $_probe_arg1,
			$_probe_arg2'
	check "mm_page_free: its fields" got "3: order 3, 8"
fi

# --- in bpftrace ---

trace()		# seconds, argument...
{
	limit=$1
	shift
	timeout -k 5 "$limit" bpftrace "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
}

listed()	# file
{
	trace 60 -l "usdt:$1:libslab:*" || return
	for event in $events; do
		grep -qxF "usdt:$1:libslab:$event" "$tmp/out" || return
	done
}

counted()	# name, number
{
	grep -qE "^@$1: $2\$" "$tmp/out"
}

if ! command -v bpftrace >/dev/null; then
	echo "SKIP bpftrace: it is not installed"
	finish
	exit
fi
for file in "$program" "$shared" "$slabmalloc"; do
	check "bpftrace lists ${file##*/}" listed "$file"
done
if ! trace 30 -e 'BEGIN { printf("it works\n"); exit(); }' ||
   ! grep -q 'it works' "$tmp/out"; then
	echo "SKIP events in bpftrace: no BPF for us here"
	finish
	exit
fi

# From its start on, none is missed.
p=usdt:$program:libslab
trace 120 -c "$program" -e "
	$p:kmalloc /arg2 == 4096/ { @asked = count(); }
	$p:kmalloc /arg2 == 200000/ { @large = sum(arg3); }
	$p:kfree { @freed = count(); }
	$p:kmem_cache_alloc { @taken = sum(arg2); }
	$p:kmem_cache_free { @returned[str(arg2)] = count(); }
	$p:mm_page_alloc /arg4 == 49/ { @pages = sum(arg4); }"
check "bpftrace: rn_alloc()" counted asked 16384
check "bpftrace: rn_free()" counted freed 14337
check "bpftrace: large ones" counted large $((2 * 200704))
check "bpftrace: rn_cache_alloc()" counted taken $((60 * 72))
check "bpftrace: rn_cache_free()" counted 'returned\[things\]' 3
check "bpftrace: rn_cache_free() of others" counted 'returned\[others\]' 1
check "bpftrace: pages" counted pages $((2 * 49))

# The samples, on a program that goes on: attached, and let go again.

LD_PRELOAD=$slabmalloc sh -c 'while :; do i=$((${i:-0} + 1)); done' &
goes_on=$!
trap 'kill $goes_on; clean_up' EXIT
sample()	# name; it ends by itself then
{
	cp "samples/bpftrace/$1" "$tmp/sample.bt"
	echo 'interval:s:4 { exit(); }' >>"$tmp/sample.bt"
	trace 60 -p $goes_on "$tmp/sample.bt"
}
check "sizes.bt" sample sizes.bt
check "sizes.bt: what was asked for" grep -qE '^\[.*@+\|' "$tmp/out"
check "sizes.bt: in bytes" got '@requested_bytes: [1-9][0-9]+'
check "outstanding.bt" sample outstanding.bt
check "outstanding.bt: bytes" got '@bytes\[.*\]: [0-9]+'
check "outstanding.bt: objects" got '@objects\[.*\]: [0-9]+'

finish
