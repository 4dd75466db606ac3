#!/bin/sh
# SPDX-License-Identifier: MIT
#
# With each option that hardens: tests that pass without pass with it, and
# ordinary programs run on the malloc replacement.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

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

for option in $options; do
	try "$option=1" static/test_alloc static/test_cache \
		static/test_realloc static/test_threads
done
try RN_HARDENED=1 static/test_fork static/test_memcg \
	static/test_memcg_threads static/test_mempool_threads \
	static/test_shrinker_threads static/test_pools unit/unit_slab \
	unit/unit_slab_age unit/unit_hollow_threads unit/unit_drain_beside
try RN_FREELIST_RANDOM=1 unit/unit_slab unit/unit_hollow
try "$all" static/test_alloc static/test_threads static/test_fork
# Each thread finds the same objects in other hands.
try "RN_PERCPU=fallback $all" static/test_alloc static/test_threads
try "RN_HARDENED=1 RN_SLAB_DEBUG=FZPU" static/test_threads
# One of them debugged, the others not.
try "$all RN_SLAB_DEBUG=Z,kmalloc-64" static/test_threads

if [ -n "${SAN:-}${EMULATOR:-}" ]; then
	finish
	exit
fi

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

# over_if PROGRAM ARGUMENT...: where it is installed
over_if()
{
	if ! command -v "$1" >/dev/null; then
		echo "SKIP $1, hardened: it is not installed"
		return
	fi
	for with in RN_HARDENED=1 RN_RANDOM_KMALLOC_CACHES=1 "$all"; do
		check "$1 over $with" over "$with" "$@"
	done
}

built "$slabmalloc"
for figure in hardened freelist_random init_on_alloc init_on_free \
    random_kmalloc_caches; do
	check "$figure is on" is_on "$figure"
	check "$figure is off" is_off "$figure"
done
echo 'int main(void) { return 0; }' >"$tmp/empty.c"
over_if python3 -c 'import json, threading
d = [{str(i): list(range(i % 50))} for i in range(2000)]
assert json.loads(json.dumps(d)) == d
t = [threading.Thread(target=lambda: json.dumps(d)) for i in range(4)]
[x.start() for x in t]
[x.join() for x in t]'
over_if gcc -O2 -c -o "$tmp/empty.o" "$tmp/empty.c"
over_if sqlite3 :memory: 'create table t(a primary key, b);
insert into t select value, hex(randomblob(40)) from generate_series(1, 5000);
delete from t where a % 3; select count(*), max(length(b)) from t;'
for test in test_malloc test_malloc_memory; do
	for option in $options; do
		try "$option=1" "preload/so/$test"
	done
done

finish
