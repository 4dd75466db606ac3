#!/bin/sh
# SPDX-License-Identifier: MIT
#
# With each option that hardens: tests that pass without pass with it, and
# ordinary programs run on the malloc replacement.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
# shellcheck source=selftests/program-helpers
. "${0%/*}/program-helpers"

obj=$(cd "${SLAB_OBJ:-.}" && pwd)
slabmalloc=$obj/libslabmalloc.so
CK_TIMEOUT_MULTIPLIER=$((5 * ${CK_TIMEOUT_MULTIPLIER:-1}))
RN_LADDER=thp,small
export CK_TIMEOUT_MULTIPLIER RN_LADDER
options="RN_HARDENED RN_FREELIST_RANDOM RN_INIT_ON_ALLOC RN_INIT_ON_FREE"
options="$options RN_RANDOM_KMALLOC_CACHES"
all=
for option in $options; do
	all="$all $option=1"
done

hardened()	# "NAME=VALUE ..." program argument...
{
	set_to=$1
	shift
	# shellcheck disable=SC2086 # several words, both
	env $set_to timeout -k 5 600 ${EMULATOR:-} "$@" \
		>"$tmp/out" 2>"$tmp/err" </dev/null
}

# --- the tests ---

# try "NAME=VALUE ..." test...
try()
{
	with=$1
	shift
	for tried; do
		built "$obj/selftests/$tried"
		check "$tried with $with" hardened "$with" \
			"$obj/selftests/$tried"
	done
}

# All at once is enough where each takes minutes.
if [ -n "${SAN:-}${EMULATOR:-}" ]; then
	try "$all" static/test_alloc static/test_threads static/test_cache
	finish
	exit
fi

for option in $options; do
	try "$option=1" static/test_alloc static/test_cache
done
try RN_HARDENED=1 static/test_threads static/test_fork static/test_memcg \
	static/test_memcg_threads static/test_mempool_threads \
	static/test_shrinker_threads static/test_pools unit/unit_slab \
	unit/unit_slab_age unit/unit_hollow_threads unit/unit_drain_beside
# What is free stays zero, and is looked at.
try "RN_HARDENED=1 RN_INIT_ON_FREE=1" static/test_alloc static/test_cache \
	static/test_threads static/test_fork unit/unit_hollow_threads
try RN_FREELIST_RANDOM=1 unit/unit_slab unit/unit_hollow
try "$all" static/test_alloc static/test_threads
# Each thread finds the same objects in other hands.
try "RN_PERCPU=fallback $all" static/test_alloc static/test_threads
try "RN_HARDENED=1 RN_SLAB_DEBUG=FZPU" static/test_threads
# One of them debugged, the others not.
try "$all RN_SLAB_DEBUG=Z,kmalloc-64" static/test_threads

# --- programs on the malloc replacement ---

over()		# "NAME=VALUE ..." program argument...
{
	set_over=$1
	shift
	hardened "LD_PRELOAD=$slabmalloc RN_VMSTAT=$tmp/vmstat $set_over" "$@"
}

# It is on in there: what is checked is not in vain.
is_on()		# name in rn_vmstat()
{
	over "$all" ls -lR "$obj/mm" && grep -qx "$1 1" "$tmp/vmstat"
}

is_off()
{
	over RN_BACKGROUND=0 ls -lR "$obj/mm" && grep -qx "$1 0" "$tmp/vmstat"
}

over_each()	# program argument...
{
	for with in RN_HARDENED=1 RN_RANDOM_KMALLOC_CACHES=1 \
	    "RN_HARDENED=1 RN_INIT_ON_FREE=1" "$all"; do
		check "$1 over $with" over "$with" "$@"
	done
}

built "$slabmalloc"
for figure in hardened freelist_random init_on_alloc init_on_free \
    random_kmalloc_caches; do
	check "$figure is on" is_on "$figure"
	check "$figure is off" is_off "$figure"
done
each_program over_each

# ends_over WORDS STATEMENT: of Python, with an object of 60 bytes
ends_over()
{
	words=$1
	over RN_HARDENED=1 python3 -c "import ctypes
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
p = ctypes.c_void_p(c.malloc(60))
$2
c.free(p)"
	[ $? = 134 ] && grep -qF "$words" "$tmp/err"
}

misuses()	# python3
{
	check "free_sized() of another size" ends_over \
		"freed with a size of 40, allocated with 60" \
		"c.free_sized(p, ctypes.c_size_t(40))"
	check "a byte behind malloc()'s" ends_over \
		"written beyond its end" "ctypes.memset(p.value + 60, 1, 1)"
	check "a byte behind realloc()'s" ends_over \
		"written beyond its end" \
		"c.realloc(p, ctypes.c_size_t(50))
ctypes.memset(p.value + 50, 1, 1)"
}
if_installed misuses python3
for test in test_malloc test_malloc_memory; do
	try "RN_HARDENED=1 RN_INIT_ON_FREE=1" "preload/so/$test"
	for option in $options; do
		try "$option=1" "preload/so/$test"
	done
done

finish
