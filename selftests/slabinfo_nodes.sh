#!/bin/bash
# SPDX-License-Identifier: MIT
#
# slabinfo -n of a process that runs: what it says of nodes is what the process
# says itself; and of a process that is made up, with figures that are known,
# what follows from them.
# What stands in single quotes is for later.
# shellcheck disable=SC2016
set -u

# shellcheck source=selftests/live-helpers
. "${0%/*}/live-helpers"

# The figures of a text of rn_vmstat() that slabinfo -n -j has too.
nodes_said()	# FILE
{
	grep -E "^node[0-9]+_($figures) " "$1" | sort
}

nodes_seen()	# PID
{
	gives 0 -p "$1" -n -z -j || return
	sed -E 's/^\{"node":([0-9]+),(.*),"time_ms":[0-9]+\}$/\1 \2/' \
		"$tmp/out" | awk '{
			n = split($2, figure, ",")
			for (i = 1; i <= n; i++) {
				gsub(/"/, "", figure[i])
				sub(/:/, " ", figure[i])
				print "node" $1 "_" figure[i]
			}
		}' | sort
}
figures="objects|objects_active|slabs|slab_kbytes|pageblocks_hugetlb"
figures="$figures|pageblocks_thp|pageblocks_small|numa_hit|numa_miss"
figures="$figures|numa_foreign|interleave_hit|local_node|other_node"

# It says what slabinfo sees, and that is all of it.
nodes_agree()	# PID
{
	say vmstat && nodes_said "$tmp/said" >"$tmp/want" &&
		nodes_seen "$1" >"$tmp/seen" &&
		[ "$(wc -l <"$tmp/seen")" -ge 13 ] &&
		diff "$tmp/want" "$tmp/seen" >"$tmp/err"
}

# seen FIGURE: of node 0, as slabinfo saw it last
seen()
{
	sed -n "s/^node0_$1 //p" "$tmp/seen"
}

for mode in cpu cid fallback; do
	start RN_STATS_SHM=1 RN_PERCPU=$mode "$live"
	check "$mode: objects" say 1000 pages
	check "$mode: the same figures" nodes_agree "$pid"
	check "$mode: all objects" [ "$(seen objects_active)" -ge 1000 ]
	check "$mode: and runs, in the hits" [ "$(seen numa_hit)" -ge 1010 ]
	check "$mode: and pageblocks" [ "$(($(seen pageblocks_thp) +
		$(seen pageblocks_small)))" -ge 5 ]
	check "$mode: fewer, and more" say 77 3000 4000 thin pages
	check "$mode: likewise the same" nodes_agree "$pid"
	hits=$(seen numa_hit)
	check "$mode: a hundred more" say 200
	check "$mode: the same again" nodes_agree "$pid"
	check "$mode: they are hits" [ "$(seen numa_hit)" = $((hits + 100)) ]
	end
	check "$mode: no complaint" [ ! -s "$tmp/complaint" ]
done

if ! numactl --interleave=all true 2>/dev/null; then
	echo "SKIP interleaved: numactl cannot do that here"
else
	start RN_STATS_SHM=1 numactl --interleave=all "$live"
	check "interleaved: objects" say 3000 pages 10 2000
	check "interleaved: the same figures" nodes_agree "$pid"
	end
fi

# --- forms ---

start RN_STATS_SHM=1 "$live"
check "objects" say 1000 vmstat
nodes_said "$tmp/said" >"$tmp/want"
kbytes=$(sed -n 's/^node0_slab_kbytes //p' "$tmp/want")
check "two tables" gives 0 -p "$pid" -n
check "two tables: the titles" [ "$(grep -c '^Node ' "$tmp/out")" = 2 ]
check "in bytes" gives 0 -p "$pid" --numa -B
check "in bytes: the slabs" \
	grep -qE "^0 +1[0-9]{3} .* $((kbytes * 1024)) " "$tmp/out"
check "JSON: with the time" eval 'gives 0 -p "$pid" -n -j &&
	grep -qE "^\{\"node\":0,.*,\"time_ms\":1[0-9]{12}\}$" "$tmp/out"'
check "not with an order of caches" refuses 64 "--numa is about no cache" \
	-p "$pid" -n -S
"$slabinfo" -p "$pid" -n -j -w 0.05 >"$tmp/watched" 2>"$tmp/err" 5>&- &
watcher=$!
for _ in $(seq 100); do
	[ -s "$tmp/watched" ] && break
	sleep 0.1
done
check "more objects, watched" say 3000
sleep 0.5
end
check "the watcher ends with it" wait "$watcher"
check "it says so" grep -qx "slabinfo: process $pid has ended" "$tmp/err"
sed -E 's/.*"objects_active":([0-9]+).*/\1/' "$tmp/watched" >"$tmp/out"
check "it saw the figures change" eval \
	'[ "$(tail -n 1 "$tmp/out")" -ge $(($(head -n 1 "$tmp/out") + 2000)) ]'

# What is in use by the caches of all copies.
by_cache()
{
	"$slabinfo" -p "$pid" -z -j |
		sed -E 's/.*"active_objs":([0-9]+).*/\1/' |
		awk '{ sum += $1 } END { print sum }'
}

if [ -n "${SAN:-}" ]; then
	echo "SKIP two copies: SAN=$SAN is a malloc of its own"
else
	start RN_STATS_SHM=1 LD_PRELOAD="$slabmalloc" "$shared"
	check "two copies" say 1000 vmstat
	one=$(sed -n 's/^node0_objects_active //p' "$tmp/said")
	check "two copies: they are read" eval \
		'nodes_seen "$pid" >"$tmp/seen"'
	check "two copies: one is not all" \
		[ "$(seen objects_active)" -gt "$one" ]
	check "two copies: all is in the sum" \
		[ "$(seen objects_active)" = "$(by_cache)" ]
	end
fi

# --- a process that is made up ---

# Two nodes, and a cache of ten objects a slab with two CPUs; each field has a
# place of its own. Prints "done", and lives until its input ends.
two_nodes()
{
	start python3 -c '
import ctypes, itertools, mmap, os, struct, sys
fields = {
	"cache": "next node name refcount row size objects pages",
	"node": "slabs free barn_objects barn_allocs barn_frees alloc_slow "
		"free_slow miss foreign interleave other",
	"slot": "main spare active", "sheaf": "word held tag",
	"slab": "private fresh hollow", "zone": "hugetlb thp small",
	"runs": "allocs miss foreign interleave other",
}
fields = {name: text.split() for name, text in fields.items()}
order = ["cache", "node", "slot", "sheaf", "slab", "zone", "runs"]
room = ctypes.create_string_buffer(1 << 16)
base = ctypes.addressof(room)
free = itertools.count(4096, 256)

def put(what, at=None, **values):
	at = next(free) if at is None else at
	for name, value in values.items():
		struct.pack_into("<Q", room, at + 8 * fields[what].index(name),
				 value)
	return base + at

# Of the CPUs: 30 operations on a sheaf that had none and has 6, so 12 of them
# allocations; by CPU 1, those of another node and by threads that interleave.
mine = put("sheaf", word=30 << 16 | 6, held=0, tag=0)
others = put("sheaf", word=30 << 16 | 6, held=0, tag=3)
slab = put("slab", private=1, fresh=8, hollow=1)
nodes = [
	put("node", slabs=5, free=2, barn_objects=3, barn_allocs=100,
	    barn_frees=50, alloc_slow=7, free_slow=6, miss=4, foreign=3,
	    interleave=2, other=1),
	put("node", slabs=9, free=0, barn_objects=0, barn_allocs=200,
	    barn_frees=160, alloc_slow=0, free_slow=0, miss=0, foreign=4,
	    interleave=0, other=0),
]
array = next(free)
struct.pack_into("<2Q", room, array, *nodes)
cache = put("cache", next=0, node=base + array, name=0x61, refcount=1, row=1,
	    size=400, objects=10, pages=1)
# Slots: 1024 bytes a CPU, 64 a row, 2 rows a node: row 1 is row 3 on node 1.
slots = 32768
put("slot", slots + 1 * 64, main=mine, spare=0, active=slab)
put("slot", slots + 1024 + 1 * 64, main=0, spare=others, active=0)
put("slot", slots + 1024 + 3 * 64, main=others, spare=others, active=0)
zones = 40960
put("zone", zones, hugetlb=11, thp=22, small=33)
put("zone", zones + 512, hugetlb=1, thp=2, small=3)
runs = 45056
put("runs", runs, allocs=10, miss=1, foreign=2, interleave=3, other=4)
put("runs", runs + 40, allocs=20, miss=2, foreign=1, interleave=5, other=6)
struct.pack_into("<Q", room, 0, cache)

sizes = [8 * len(fields[name]) for name in order]
page = struct.pack("<16s9I7I5Q", b"libslab stats\n", 3, 2, 2, 6, 10, 1, 16,
		   512, 40, *sizes, base, base + slots, base + zones,
		   base + runs, base)
for name in order:
	for i in range(len(fields[name])):
		page += struct.pack("<2H", 8 * i, 8)
fd = os.memfd_create("libslab-stats")
os.write(fd, page.ljust(4096))
mapped = [mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
	  for _ in range(int(sys.argv[1]))]
print("done", flush=True)
sys.stdin.read()' "$@"
	until_said
}

# node N OBJECTS ACTIVE SLABS KB HUGETLB THP SMALL HIT MISS FOREIGN INTERLEAVE
# LOCAL OTHER: what slabinfo is to say
node()
{
	local node=$1 name

	shift
	for name in ${figures//|/ }; do
		echo "node${node}_$name $1"
		shift
	done
}

# They are as "node" said.
as_follows()
{
	sort "$tmp/want" | diff - <(nodes_seen "$pid") >"$tmp/err"
}

if ! command -v python3 >/dev/null; then
	echo "SKIP a process that is made up: python3 is not installed"
else
	# Node 0: 50 objects, of which 12 in sheaves, 4 in the active slab, 5
	# further down are free; 18 + 18 + 50 + 6 frees and 10 runs.
	two_nodes 1
	{
		node 0 50 29 5 20 11 22 33 126 5 5 17 114 17
		# 12 in sheaves; 18 + 18 + 160 frees, 78 in use and 20 runs.
		node 1 90 78 9 36 1 2 3 292 2 5 29 264 30
	} >"$tmp/want"
	check "two nodes" as_follows
	check "two nodes: their sum" gives 0 -p "$pid" -n
	check "two nodes: in the last line" \
		[ "$(grep -cE '^Total +107 +33 +14 ' "$tmp/out")" = 1 ]
	end
	two_nodes 2
	{
		node 0 100 58 10 40 22 44 66 252 10 10 34 228 34
		node 1 180 156 18 72 2 4 6 584 4 10 58 528 60
	} >"$tmp/want"
	check "two copies of two nodes" as_follows
	end
fi
finish
