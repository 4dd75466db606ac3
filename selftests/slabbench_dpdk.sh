#!/bin/sh
# SPDX-License-Identifier: MIT
#
# DPDK's allocators in slabbench: the same operations as over the others, if
# slabbench was built with them; and what it says where they are not there or
# do not start.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

# --- a folder without the shared object, or with one that is no good ---

dpdk_is()	# name, what the list says of it
{
	grep -q "^  $1 *$2" "$tmp/out"
}

mkdir "$tmp/alone" && cp "$bench" "$tmp/alone/" || exit 1
program=$tmp/alone/slabbench
missing="missing: Debian package libdpdk-dev, then build again"
for a in dpdk dpdk-mempool; do
	check "the list without DPDK" gives 0 list
	check "$a is missing" dpdk_is $a "$missing"
	check "run says that $a is missing" refuses 2 "$a is $missing" \
		run -w cache -n 1 -a $a
	check "compare says that $a is missing" refuses 2 \
		"peer $a is $missing" \
		compare -w cache -n 1 -r 1 -p rn,$a
done

printf 'no shared object\n' >"$tmp/alone/slabbench-dpdk.so"
check "no shared object" refuses 1 "DPDK does not start: $tmp/alone" \
	run -w cache -n 1 -a dpdk
check "make a shared object" library other "int slabbench_other;"
cp "$tmp/other.so" "$tmp/alone/slabbench-dpdk.so"
check "another shared object" refuses 1 "undefined symbol: slabbench_dpdk" \
	run -w cache -n 1 -a dpdk
check "rows of others do not load it" gives 0 run -w cache -n 1 -a rn
program=$bench

check "list" gives 0 list
if dpdk_is dpdk missing; then
	echo "SKIP DPDK's allocators: slabbench was built without libdpdk"
	finish
	exit
fi

# --- the same operations over each allocator ---

check "dpdk-mempool is listed" dpdk_is dpdk-mempool "DPDK's"
for t in 1 3; do
	run_over malloc,dpdk 2 pair -s 24 -n 20000 -t $t
	run_over malloc,dpdk 2 batch -s 500 -n 20000 -t $t
	run_over malloc,dpdk 2 mtseq --bytes 8M -t $t
	run_over malloc,dpdk 2 threadchurn -n 20 --count 100 -t $t
	run_over malloc,dpdk 2 list -n 2 --count 3000 -t $t
	run_over malloc,dpdk 2 vector -n 3000 --count 5 -t $t
	run_over malloc,dpdk 2 web -n 300 -t $t
	run_over malloc,dpdk 2 kv -n 20000 --count 3000 -t $t
	run_over malloc,dpdk,dpdk-mempool 3 cache -n 1000 -t $t
	# Fewer objects than are replaced at a time.
	run_over malloc,dpdk,dpdk-mempool 3 cache -n 100 --count 3 -t $t
done
run_over malloc,dpdk 2 frag -n 1 --count 2000

check "latency" gives 0 run --latency -n 100 -w cache \
	-a dpdk,dpdk-mempool --json "$tmp/json"
check "latency: keys" has_keys alloc_p50_ns free_p50_ns
check "linkage" is_same linkage
check "calls go through a pointer" [ "$(value linkage | sort -u)" = pointer ]

# --- who takes part, and in what ---

check "dpdk-mempool is for cache" refuses 2 \
	"dpdk-mempool cannot take part in pair" \
	run -w pair -n 1 -a dpdk-mempool
check "all of them" gives 0 compare -w cache -n 10 -r 1 -p all \
	--json "$tmp/json"
check "all has dpdk-mempool" grep -q '"dpdk-mempool"' "$tmp/json"
check "all does not have dpdk" [ "$(grep -c '"dpdk"' "$tmp/json")" = 0 ]

# --- on hugetlb pages ---

pages=$(awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo)
if [ "${pages:-0}" -ge 64 ]; then
	check "hugetlb" gives 0 compare -w cache -n 100 -r 1 \
		-p glibc,dpdk-hugetlb,mempool-hugetlb --json "$tmp/json"
	check "hugetlb: the same operations" is_same checksum
	sed -i '/"glibc"/d' "$tmp/json"
	check "hugetlb: a line each" lines "$tmp/json" 2
	check "hugetlb: they have such pages" is_positive peak_hugetlb_kb
else
	echo "SKIP DPDK on hugetlb pages: fewer than 64 are free"
fi

# --- it cannot start ---

check "more threads than DPDK takes" refuses 1 "DPDK does not take thread" \
	run -w cache -n 1 --count 1 -t 200 -a dpdk-mempool
cat >"$tmp/confined" <<SCRIPT
#!/bin/sh
exec prlimit --as=300000000 "$bench" "\$@"
SCRIPT
chmod +x "$tmp/confined"
program=$tmp/confined
check "no room for DPDK" refuses 1 \
	"DPDK does not start: Cannot allocate memory" \
	run -w cache -n 1 -a dpdk
check "room for the others" gives 0 run -w cache -n 1 -a malloc

finish
