#!/bin/bash
# SPDX-License-Identifier: MIT
#
# slabinfo -s: a process that runs gives back what it does not need, as if it
# had called rn_shrink_all(); and one that does not come by is not asked later.
# What stands in single quotes is for later.
# shellcheck disable=SC2016
set -u

# shellcheck source=selftests/live-helpers
. "${0%/*}/live-helpers"

slabs()		# PID
{
	"$slabinfo" -p "$1" -z -j -c '^known$' |
		sed -E 's/.*"num_slabs":([0-9]+).*/\1/'
}

held()		# PID
{
	"$slabinfo" -p "$1" -z -j -c '^known$' |
		sed -E 's/.*"active_objs":([0-9]+).*/\1/'
}

# A process whose slabs are all empty, and that says so.
start_empty()	# WORD..., VARIABLE=VALUE
{
	start RN_STATS_SHM=1 "$@" "$live"
	say 4000 0 && [ "$(slabs "$pid")" -ge 2 ]
}

has_no_slabs()	# PID
{
	[ "$(slabs "$1")" = 0 ]
}

end_busy()
{
	kill "$pid"
	end 2>/dev/null
}

# --- it does ---

for mode in cpu cid fallback; do
	check "$mode: a process with empty slabs" start_empty RN_PERCPU=$mode
	check "$mode: looking leaves them" [ "$(slabs "$pid")" -ge 2 ]
	check "$mode: it takes slow paths" say busy
	check "$mode: which leave them" [ "$(slabs "$pid")" -ge 2 ]
	check "$mode: it is asked" gives 0 -p "$pid" -s -z -j -c '^known$'
	check "$mode: what is shown is how it was then" \
		grep -q '"num_slabs":0,' "$tmp/out"
	check "$mode: it is asked again" gives 0 -p "$pid" --shrink -n
	check "$mode: and shown by node" grep -q "^Node" "$tmp/out"
	end_busy
	check "$mode: no complaint" [ ! -s "$tmp/complaint" ]
done

# Objects that a shrinker has, which frees them.
start RN_STATS_SHM=1 "$live"
check "objects of a shrinker" say 3000 give busy
check "they are held" [ "$(held "$pid")" = 3000 ]
check "it is asked for them" gives 0 -p "$pid" -s
check "and gives them" [ "$(held "$pid")" = 0 ]
check "with their slabs" has_no_slabs "$pid"
end_busy

# Each of them is answered.
check "empty slabs" start_empty
check "slow paths" say busy
for _ in 1 2 3 4 5 6; do
	"$slabinfo" -p "$pid" -s -T >/dev/null 2>>"$tmp/err" 5>&- &
	askers="${askers:-} $!"
done
all_answered()
{
	for asker in $askers; do
		wait "$asker" || return
	done
}
check "six at once" all_answered
timeout 2 "$slabinfo" -p "$pid" -s -w 0.1 -j -z -c '^known$' \
	>"$tmp/out" 2>"$tmp/err"
check "with -w: once, and then it looks on" \
	[ "$(grep -c '"num_slabs":0,' "$tmp/out")" -ge 3 ]
end_busy

# --- the background thread ---

# Ticks of 12 ms: after six it sleeps, for good but for this.
start RN_STATS_SHM=1 RN_DECAY_MS=100 "$live"
check "a background thread" say background 3000 give
check "it has one" grep -qx "background 0" "$tmp/said"
check "it is asked while it ticks" gives 0 -p "$pid" -s
check "and has shrunk" [ "$(held "$pid")" = 0 ]
check "it has objects again" say 2000
sleep 1
check "it is asked while it sleeps" gives 0 -p "$pid" -s
check "and has shrunk then" [ "$(held "$pid")" = 0 ]
check "nobody asks: nothing goes" eval \
	'say 500 && sleep 2 && [ "$(held "$pid")" = 500 ]'
end
start RN_DECAY_MS=100 "$live"
check "a thread that sleeps already" say background 3000 give
sleep 1
check "publishes only then" say publish
check "is asked" gives 0 -p "$pid" -s
check "and has given" [ "$(held "$pid")" = 0 ]
end

# --- it does not come by ---

check "an idle one" start_empty
check "has not shrunk" refuses 1 "process $pid has not shrunk" -p "$pid" -s
check "nothing is shown" [ ! -s "$tmp/out" ]
check "its slabs stay" [ "$(slabs "$pid")" -ge 2 ]
check "it comes by later" say busy
sleep 0.5
check "and is not asked any more" [ "$(slabs "$pid")" -ge 2 ]
check "but can be" gives 0 -p "$pid" -s
check "and shrinks" has_no_slabs "$pid"
end_busy

check "one that does not wait" start_empty
check "its slow paths" say nowait
check "are none to shrink in" refuses 1 "process $pid has not shrunk" \
	-p "$pid" -s
check "they leave the slabs" [ "$(slabs "$pid")" -ge 2 ]
end_busy

check "one that ends" start_empty
"$slabinfo" -p "$pid" -s >"$tmp/out" 2>"$tmp/err" 5>&- &
asker=$!
sleep 0.5
end
check "is waited for in vain" eval '! wait "$asker"'
check "that is said" grep -q "process $pid: it has ended" "$tmp/err"

# --- a child ---

check "a parent" start_empty
"$slabinfo" -p "$pid" -s >"$tmp/out" 2>"$tmp/err" 5>&- &
asker=$!
sleep 0.5
check "it forks while it is asked" say fork pid busy
child=$(sed -n 's/^pid //p' "$tmp/said")
check "the parent waits for its child" eval '! wait "$asker"'
check "and has not shrunk" grep -q "process $pid has not shrunk" "$tmp/err"
check "nor has the child" [ "$(slabs "$child")" -ge 2 ]
check "it is asked itself" gives 0 -p "$child" -s
check "and shrinks" has_no_slabs "$child"
check "its parent has its slabs" [ "$(slabs "$pid")" -ge 2 ]
kill "$child"
end

# --- two copies of the library ---

if [ -n "${SAN:-}" ]; then
	echo "SKIP two copies: SAN=$SAN is a malloc of its own"
else
	start RN_STATS_SHM=1 LD_PRELOAD="$slabmalloc" "$shared"
	check "two copies: one comes by" say 4000 0 busy
	check "two copies: the other does not" \
		refuses 1 "process $pid has not shrunk" -p "$pid" -s
	check "two copies: the first has shrunk" has_no_slabs "$pid"
	end_busy
fi

# --- who may, and what goes to waste ---

check "one of mine" start_empty
if [ "$(id -u)" != 0 ] || [ -n "${SAN:-}" ]; then
	echo "SKIP another user's: only root can be another user; or SAN"
else
	mkdir "$tmp/public"
	cp "$slabinfo" "$tmp/public"
	chmod 755 "$tmp" "$tmp/public"
	program="setpriv"
	check "another user's" refuses 1 "process $pid: Permission denied" \
		--reuid 1234 --regid 1234 --clear-groups \
		"$tmp/public/slabinfo" -p "$pid" -s
	program=$slabinfo
fi
end
check "no process" refuses 64 "--shrink needs --pid" -s
check "a file" refuses 64 "--shrink needs --pid" -s README.rst
check "a command" refuses 64 "--shrink needs --pid" -s -- true
check "of another's figures" refuses 64 "--shrink needs --pid" \
	-s --as-proc 1 -- true
finish
