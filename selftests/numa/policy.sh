#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The policy that a program is started with: numactl's, a control group's. In a
# guest with four equal nodes; CPUs of each are 2 N and 2 N + 1.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/../shell-helpers"

where=${SLAB_OBJ:-.}/selftests/unit/numa/where
built "$where"
if ! numactl -H 2>/dev/null | grep -q '^available: 4 nodes (0-3)'; then
	echo "not four nodes"
	exit 77
fi

# puts LINE COMMAND...: the command ends with 0 and prints that line
puts()
{
	line=$1
	shift
	"$@" >"$tmp/out" 2>"$tmp/err" && [ "$(cat "$tmp/out")" = "$line" ]
}

# spreads LEAST NODES COMMAND...: there is as much as that on each of these
# nodes, and nothing elsewhere
spreads()
{
	least=$1
	spread_over=$2
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" && tr ' ' '\n' <"$tmp/out" |
		awk -F : -v least="$least" -v nodes="$spread_over" '
			{ seen = seen $1; if ($2 < least) few = 1 }
			END { exit few || seen != nodes }'
}

# --- numactl ---

for node in 0 1 2 3; do
	check "--membind=$node" puts "$node:4016" \
		numactl --membind=$node "$where" both
	check "--membind=$node, run on node 3" puts "$node:4016" \
		numactl --cpunodebind=3 --membind=$node "$where" both
	check "--preferred=$node" puts "$node:4016" \
		numactl --preferred=$node "$where" both
	check "--cpunodebind=$node" puts "$node:4016" \
		numactl --cpunodebind=$node "$where" both
done
check "--membind=1,2 from node 0: the nearest" puts "1:4016" \
	numactl --cpunodebind=0 --membind=1,2 "$where" both
check "--membind=1,2 from node 3" puts "2:4016" \
	numactl --cpunodebind=3 --membind=1,2 "$where" both
# Slabs take turns as well, so that runs need not come out even.
check "--interleave=all: runs go round" \
	spreads 3 0123 numactl --interleave=all "$where" runs
check "--interleave=1,3" spreads 7 13 numactl --interleave=1,3 "$where" runs
check "--interleave: objects go round, a slab at a time" \
	spreads 400 0123 numactl --cpunodebind=2 --interleave=all \
	"$where" objects

# --- control groups ---

cgroups=/sys/fs/cgroup
group=$cgroups/numa.$$
leave_group()
{
	echo $$ >$cgroups/cgroup.procs
	rmdir "$group" 2>/dev/null
	clean_up
}

# in_group COMMAND...: it is the group's from its start
in_group()
{
	# shellcheck disable=SC2016 # the inner shell's
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

# A program goes on while its group gets another node. It says where it has
# allocated, and does so again for each line that it reads.
nodes_change()
{
	mkfifo "$tmp/lines"
	echo 1 >"$group/cpuset.mems"
	in_group "$where" both again <"$tmp/lines" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	exec 3>"$tmp/lines"
	for node in 3 0 2; do
		wait_for_line || break
		echo $node >"$group/cpuset.mems"
		echo >&3
	done
	wait_for_line
	exec 3>&-
	wait $pid && [ "$(tr '\n' ' ' <"$tmp/out")" = \
		"1:4016 3:4016 0:4016 2:4016 " ]
}

# Until the program has said something that was not looked at yet.
said=0
wait_for_line()
{
	for _ in $(seq 300); do
		lines=$(wc -l <"$tmp/out")
		if [ "$lines" -gt "$said" ]; then
			said=$lines
			return
		fi
		sleep 0.1
	done
	return 1
}

if grep -qw cpuset $cgroups/cgroup.subtree_control 2>/dev/null &&
	mkdir "$group" 2>/dev/null; then
	trap leave_group EXIT
	for node in 0 2; do
		echo $node >"$group/cpuset.mems"
		check "a group with the memory of node $node" \
			puts "$node:4016" in_group "$where" both
		check "and the CPUs of node 3" puts "$node:4016" \
			in_group taskset 0xc0 "$where" both
	done
	echo 1,3 >"$group/cpuset.mems"
	echo 4-5 >"$group/cpuset.cpus"
	check "a group of nodes 1 and 3 with CPUs of node 2" \
		puts "1:4016" in_group "$where" both
	check "what the group may have changes" nodes_change
else
	echo "SKIP groups: no control group with cpuset can be made"
fi

finish
