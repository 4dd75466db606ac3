#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The malloc replacement and what a system can do to a program: limits, filters,
# other CPUs, other users, tools that want malloc for themselves.
#
# MALLOC_PARTS chooses parts, of: limits overcommit group cpus filter hugetlb
# user tools.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

# under COMMAND... -- PROGRAM ARGUMENT...: as over, started by that command
under()
{
	under=
	while [ "$1" != -- ]; do
		under="$under $1"
		shift
	done
	shift
	over "$@"
	status=$?
	under=
	return $status
}

err_has()	# text
{
	grep -qF -- "$1" "$tmp/err"
}

# What is changed for the whole system is put back whatever happens.
overcommit=/proc/sys/vm/overcommit_memory
before=$(cat $overcommit)
cpu=/sys/devices/system/cpu/cpu1/online
group=
put_back()
{
	[ "$(cat $overcommit)" = "$before" ] || echo "$before" >$overcommit
	if [ -w $cpu ] && [ "$(cat $cpu)" = 0 ]; then
		echo 1 >$cpu
	fi
	[ -z "$group" ] || rmdir "$group"
	[ -z "${pool_was:-}" ] || echo "$pool_was" >"$pool"
	clean_up
}
trap put_back EXIT
trap 'exit 143' HUP INT TERM

# --- limits ---

part_limits()
{
	for mib in 64 256 300 1024; do
		in_both "$mib MiB of address space" \
			under prlimit --as=$((mib << 20)) -- limits as
	done
	in_both "64 MiB by RN_LIMIT" under env RN_LIMIT=64M -- limits held
	in_both "64 KiB of stack" under prlimit --stack=65536 -- early
}

# What the kernel does where memory is not promised twice: the same as for the
# C library's, within its setting.
part_overcommit()
{
	if [ -n "${MALLOC_OVERCOMMIT:-}" ] &&
		echo 2 2>/dev/null >$overcommit; then
		in_both "memory is not promised twice" over plain
		in_both "not promised twice: 100 MiB" over limits fill 100
		echo "$before" >$overcommit
	else
		echo "SKIP overcommit_memory=2: MALLOC_OVERCOMMIT=1 allows to" \
			"set it for the whole system, as root"
	fi
}

# --- a memory limit of a control group ---

make_group()
{
	for root in /sys/fs/cgroup /sys/fs/cgroup/unified; do
		grep -qw memory "$root/cgroup.subtree_control" 2>/dev/null ||
			continue
		mkdir "$root/slabmalloc.$$" 2>/dev/null || continue
		group=$root/slabmalloc.$$
		echo $((64 << 20)) >"$group/memory.max" &&
			echo 0 >"$group/memory.oom.group" && return
	done
	return 1
}

# How a program that takes so many MiB ends in the group, over either malloc.
in_group()	# preload, MiB
{
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo $$ >"$0/cgroup.procs" && ANY_MALLOC=1 exec \
		env LD_PRELOAD="$1" timeout 60 "$2" limits fill "$3"' \
		"$group" "$1" "$programs/limits" "$2" \
		>"$tmp/out" 2>"$tmp/err"
	status=$?
}

same_in_group()	# MiB
{
	in_group "" "$1"
	expected=$status
	in_group "$slabmalloc" "$1"
	[ "$status" = "$expected" ]
}

part_group()
{
	if make_group; then
		check "a group's limit: what fits" same_in_group 40
		check "a group's limit: what does not" same_in_group 100
		rmdir "$group"
		group=
	else
		echo "SKIP memory limit of a control group: no group can be made"
	fi
}

# --- CPUs ---

# To be run while threads allocate on all of them.
one_off_and_on()
{
	over limits while 3 &
	pid=$!
	for _ in 1 2 3; do
		echo 0 >$cpu || break
		sleep 0.2
		echo 1 >$cpu
		sleep 0.2
	done
	wait $pid
}

part_cpus()
{
	in_both "threads go from CPU to CPU" over limits affinity 2

	if [ -w $cpu ] && [ "$(cat $cpu)" = 1 ] &&
		[ -n "${MALLOC_HOTPLUG:-}" ]; then
		in_both "a CPU goes and comes back" one_off_and_on
	else
		echo "SKIP a CPU goes: MALLOC_HOTPLUG=1 allows to take it" \
			"from the whole system, as root"
	fi
}

# --- a filter ---

forbidden()	# program, argument...
{
	first=$programs/$1
	shift
	over forbid "$first" "$@"
}

part_filter()
{
	forbidden plain
	if [ "$status" = 77 ]; then
		echo "SKIP no rseq and no membarrier: no filter can be installed"
	else
		check "no rseq and no membarrier" [ "$status" = 0 ]
		check "threads without them" forbidden threads churn
	fi
}

# --- hugetlb pages are for who asks for them ---

pool=/proc/sys/vm/nr_hugepages
pool_was=
free_pages()
{
	[ "$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)" = 2048 ] &&
		[ "$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)" \
			-ge "$1" ]
}

part_hugetlb()
{
	in_both "no hugetlb pages unasked" over hugetlb no
	if ! free_pages 24 && [ -w "$pool" ]; then
		pool_was=$(cat "$pool")
		echo $((pool_was + 24)) >"$pool"
	fi
	if free_pages 24; then
		RN_HUGETLB=1
		export RN_HUGETLB
		in_both "hugetlb pages, and forks" over hugetlb yes
		unset RN_HUGETLB
	else
		echo "SKIP hugetlb pages: no 24 free ones of 2 MiB"
	fi
	[ -z "$pool_was" ] || echo "$pool_was" >"$pool"
	pool_was=
}

# --- another user's program ---

secure=$tmp/secure
as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		env RN_SLABINFO="$tmp/open/info" RN_NONSENSE=1 RN_RESERVE=1 \
		timeout 60 "$secure" >"$tmp/out" 2>"$tmp/err"
}

part_user()
{
	if [ "$(id -u)" != 0 ]; then
		echo "SKIP a setuid program: only root can make one of" \
			"another user's"
		return
	fi
	chmod 755 "$tmp"
	mkdir -m 777 "$tmp/open"
	cp "$programs/secure" "$secure"
	chmod 755 "$secure"
	check "options count in an ordinary program" as_nobody
	check "it is one" out_is ordinary
	check "one that is not known is said" err_has RN_NONSENSE
	check "slabinfo is written" [ -s "$tmp/open/info" ]
	rm "$tmp/open/info"
	chmod u+s "$secure"
	check "a setuid program runs" as_nobody
	if ! out_is secure; then
		echo "SKIP options of a setuid program: setuid has no effect in" \
			"$tmp"
		return
	fi
	check "its options do not count" [ ! -e "$tmp/open/info" ]
	check "nor are they spoken of" [ ! -s "$tmp/err" ]
}

# --- tools with a malloc of their own ---

refuses_sanitizer()	# program
{
	LD_PRELOAD=$slabmalloc timeout "$limit" "$1" >"$tmp/out" 2>"$tmp/err"
	status=$?
	[ "$status" != 0 ] && [ "$status" != 124 ] && [ -s "$tmp/err" ]
}

memcheck()
{
	LD_PRELOAD=$slabmalloc timeout "$limit" valgrind --leak-check=full \
		"$programs/faulty" >"$tmp/out" 2>"$tmp/err"
}

part_tools()
{
	cp "${0%/*}/malloc/faulty.c" "$tmp/"
	for compiler in gcc clang; do
		if ! command -v $compiler >/dev/null ||
			! $compiler -fsanitize=address -o "$tmp/with-$compiler" \
				"$tmp/faulty.c" 2>"$tmp/err"; then
			echo "SKIP AddressSanitizer by $compiler:" \
				"it cannot be linked"
			continue
		fi
		check "AddressSanitizer by $compiler: refused, and said" \
			refuses_sanitizer "$tmp/with-$compiler"
	done

	if command -v valgrind >/dev/null; then
		check "memcheck runs a program" memcheck
		check "memcheck: to its end" grep -q '^to the end' "$tmp/out"
		check "memcheck: the wrong read" err_has "Invalid read of size 1"
		check "memcheck: the leak" err_has "1,234 bytes in 1 blocks are"
	else
		echo "SKIP memcheck: valgrind is not there"
	fi
}

parts="limits overcommit group cpus filter hugetlb user tools"
for part in ${MALLOC_PARTS:-$parts}; do
	"part_$part"
done
finish
