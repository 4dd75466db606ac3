#!/bin/sh
# SPDX-License-Identifier: MIT
#
# slabbench on one node of a guest, pinned there by numactl: where its memory
# came from by the counts of pages that the kernel has for each node, and by
# those of objects and pageblocks that the library has.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/../shell-helpers"

slabbench=${SLAB_OBJ:-.}/tools/slabbench/slabbench
nodes=/sys/devices/system/node
built "$slabbench"
if [ ! -d $nodes/node3 ]; then
	echo "not four nodes"
	exit 77
fi

# Pages that a node has given since the start, but hugetlb pages.
pages_of()	# node
{
	awk '$1 == "numa_hit" { hit = $2 } $1 == "numa_miss" { miss = $2 }
		END { print hit + miss }' $nodes/node"$1"/vmstat
}

all_pages()
{
	for n in 0 1 2 3; do
		pages_of $n
	done >"$tmp/$1"
}

# At most one page in 20 is another node's: those of files, and the kernel's.
keeps_to()	# node
{
	paste "$tmp/before" "$tmp/after" | awk -v node="$1" '
		{ pages = $2 - $1; if (NR - 1 == node) here = pages
		  else away += pages
		  printf "node %d: %d pages\n", NR - 1, pages }
		END { exit !(here > 5000 && away * 20 < here) }' >"$tmp/out"
}

# No object and no pageblock of another node, and a million of this one.
counted_on()	# node
{
	awk -v node="$1" '
		/^node[0-9]+_(numa_hit|numa_miss|pageblocks_small) / {
			split(substr($1, 5), part, "_")
			if (part[1] == node) here += $2
			else away += $2
		}
		END { exit !(here > 1000000 && !away) }' "$tmp/vmstat"
}

# pinned NODE OPTION...: numactl's
pinned()
{
	node=$1
	shift
	all_pages before
	RN_VMSTAT=$tmp/vmstat RN_LADDER=small numactl "$@" "$slabbench" run \
		-w small -n 300000 >"$tmp/log" 2>"$tmp/err" || return
	all_pages after
	keeps_to "$node" && counted_on "$node"
}

for node in 0 2; do
	check "its CPUs are node $node's" pinned $node --cpunodebind=$node
	check "its memory is node $node's" pinned $node --membind=$node
done
check "CPUs of one, memory of another" \
	pinned 3 --cpunodebind=1 --membind=3

finish
