#!/bin/sh
# SPDX-License-Identifier: MIT
#
# slabbench's look at a run from outside: what its threads wait for, and where
# its time goes.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

# Without tracefs, or with it, where root may have mounts of its own.
apart=$(unshare -m true 2>/dev/null && echo 1)

without_tracefs()	# command...
{
	# shellcheck disable=SC2016 # for the shell that this starts
	unshare -m sh -c '
		for d in tracing debug; do
			[ ! -d /sys/kernel/$d ] ||
				mount -t tmpfs none /sys/kernel/$d || exit 1
		done
		exec "$@"' sh "$@"
}

with_tracefs()		# command...
{
	unshare -m sh -c '
		[ -e /sys/kernel/tracing/events ] ||
			mount -t tracefs nodev /sys/kernel/tracing 2>/dev/null
		exec "$@"' sh "$@"
}

# The exit code 3, if the system does not let it watch.
watch()		# command...
{
	"$@" >"$tmp/out" 2>"$tmp/err"
	code=$?
}

missing()	# program, command...
{
	needed=$1
	shift
	watch "$@"
	[ $code -eq 3 ] && grep -q "needs $needed" "$tmp/err" &&
		[ ! -s "$tmp/out" ]
}

nothing="env PATH=$tmp/nowhere $bench run -w pair -s 64 -n 1000"

# --- by strace ---

two_wait()
{
	check "contention: keys" has_keys futex_calls futex_s futexes_by
	# A sanitizer has locks of its own.
	[ -z "$preloads" ] || check "contention: one thread waits for nobody" \
		[ "$(value futex_calls | head -n 1)" -eq 0 ]
	check "contention: two wait for each other" \
		[ "$(value futex_calls | tail -n 1)" -gt 0 ]
	check "contention: printed" out_has 'futex [1-9][0-9]* calls 0\.[0-9]* s'
}

by_strace()
{
	# shellcheck disable=SC2086 # several words
	check "neither tracefs nor strace" missing strace without_tracefs \
		$nothing --contention
	check "and why no tracepoint" grep -q "as tracefs is not mounted" \
		"$tmp/err"
	watch without_tracefs "$bench" run -a freelist -w pair -s 64 -n 2000 \
		-t 1,2 --contention --json "$tmp/json" --csv "$tmp/csv"
	if [ $code -eq 3 ]; then
		echo "SKIP contention by strace: $(tail -n 1 "$tmp/err")"
		return
	fi
	check "contention by strace" [ $code -eq 0 ]
	check "it says that, and why" \
		out_has '^# futex calls: by strace, as tracefs is not mounted'
	check "by strace: said" [ "$(value futexes_by | sort -u)" = strace ]
	check "by strace: not which of them wait" [ -z "$(value futex_waits)" ]
	two_wait
}

if [ -n "$apart" ]; then
	by_strace
else
	echo "SKIP contention by strace, for sure: only root can hide tracefs"
fi

# --- by the tracepoint ---

is_between()	# least, key, most
{
	value "$2" | awk -v least="$1" -v most="$3" '
		$1 < least || $1 > most { bad = 1 } END { exit bad || !NR }'
}

# Ten waits of 2 ms each and as many calls that wait for nothing.
known_waits()
{
	check "make a malloc that waits" bad waiting
	watch ${apart:+with_tracefs} env LD_PRELOAD="$tmp/waiting.so" "$bench" \
		run -a malloc -w pair -s 54321 -n 10 --warmup 0 --contention \
		--json "$tmp/json"
	check "a malloc that waits" [ $code -eq 0 ]
	check "known: calls" is_between 20 futex_calls 20
	check "known: waits" is_between 10 futex_waits 10
	check "known: blocked as long as it waited" \
		is_between 0.02 blocked_s 2
	blocked=$(value blocked_s)
	check "known: which is a part of all calls" \
		is_between "$blocked" futex_s 2
}

by_tracepoint()
{
	check "by the tracepoint: printed" \
		out_has 'calls 0\.[0-9]* s, [1-9][0-9]* waits 0\.[0-9]* s'
	check "by the tracepoint: keys" has_keys futex_waits blocked_s
	two_wait
	if [ -n "$preloads" ]; then
		known_waits
	else
		echo "SKIP known waits: SAN=$SAN allows no preload"
	fi
}

watch ${apart:+with_tracefs} "$bench" run -a freelist -w pair -s 64 -n 20000 \
	-t 1,2 --contention --json "$tmp/json"
if [ "$(value futexes_by | sort -u)" = tracepoint ]; then
	check "contention by the tracepoint" [ $code -eq 0 ]
	by_tracepoint
else
	echo "SKIP contention by the tracepoint: $(cat "$tmp/err")$(
		sed -n 's/^# futex calls: by strace, as //p' "$tmp/out")"
	[ $code -eq 3 ] || two_wait
fi

# --- stacks ---

# shellcheck disable=SC2086 # several words
check "no perf" missing perf $nothing --flamegraph "$tmp/graph.svg"

# A program of that name draws what it is given.
mkdir "$tmp/bin"
cat >"$tmp/bin/inferno-flamegraph" <<-EOF
	#!/bin/sh
	echo "<svg>"
	cat "\$1"
EOF
chmod +x "$tmp/bin/inferno-flamegraph"
old_path=$PATH
PATH=$tmp/bin:$PATH
watch "$bench" run -a rn,malloc -w pair -s 64 -n 20000000 --flamegraph "$tmp/graph.svg"
PATH=$old_path
if [ $code -eq 3 ]; then
	echo "SKIP flame graph: $(tail -n 1 "$tmp/err")"
else
	check "flame graph" [ $code -eq 0 ]
	for a in rn malloc; do
		check "flame graph: stacks of $a" grep -q \
			"^pair 64 bytes 1 threads $a;.* [1-9][0-9]*\$" \
			"$tmp/graph.folded"
	done
	check "flame graph: no stack is there twice" [ -z "$(sed \
		's/ [0-9]*$//' "$tmp/graph.folded" | uniq -d)" ]
	check "flame graph: drawn" [ "$(head -n 1 "$tmp/graph.svg")" = "<svg>" ]
	check "flame graph: from the stacks" \
		[ "$(sed 1d "$tmp/graph.svg")" = "$(cat "$tmp/graph.folded")" ]
	check "flame graph: nothing else is left" \
		[ "$(find "$tmp" -name 'graph*' | wc -l)" -eq 2 ]
fi

finish
