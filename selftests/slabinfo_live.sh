#!/bin/bash
# SPDX-License-Identifier: MIT
#
# slabinfo -p, top and --as-proc of a process that runs: what they say of it is
# what it says itself, and of one that they cannot read, why.
# What stands in single quotes is for other shells, or for later.
# shellcheck disable=SC2016
set -u

# shellcheck source=selftests/live-helpers
. "${0%/*}/live-helpers"

# The fields of a text that slabinfo -j has too, by name.
figures_said()
{
	awk '/ : tunables +[0-9]/ { print $1, $2, $3, $4, $5, $6, $15 }' \
		"$tmp/said" | sort
}

figures_seen()	# PID
{
	gives 0 -p "$1" -z -j || return
	sed -E 's/.*"name":"([^"]*)"/\1/; s/,"space_bytes.*//
		s/,"[a-z_]*":/ /g' "$tmp/out" | sort
}

# It says what slabinfo sees.
agree()		# PID
{
	say slabinfo && figures_said >"$tmp/want" &&
		figures_seen "$1" >"$tmp/seen" &&
		[ "$(wc -l <"$tmp/seen")" -ge 60 ] &&
		diff "$tmp/want" "$tmp/seen" >"$tmp/err"
}

# count NAME FIGURE: of a cache, as slabinfo sees it
count()
{
	"$slabinfo" -p "$pid" -z -j -c "^$1\$" |
		sed -E "s/.*\"$2\":([0-9]+).*/\1/"
}

for mode in cpu cid fallback; do
	start RN_STATS_SHM=1 RN_PERCPU=$mode "$live"
	check "$mode: a thousand objects" say 1000
	check "$mode: they are seen" [ "$(count known active_objs)" = 1000 ]
	check "$mode: the same figures" agree "$pid"
	check "$mode: allocations are counted" \
		[ "$(count known allocs)" = 1000 ]
	check "$mode: fewer" say 3000 77
	check "$mode: fewer are seen" [ "$(count known active_objs)" = 77 ]
	check "$mode: likewise the same" agree "$pid"
	check "$mode: frees are counted" [ "$(count known frees)" = 2923 ]
	check "$mode: none" say 0
	check "$mode: none are seen" [ "$(count known active_objs)" = 0 ]
	check "$mode: nor by itself" agree "$pid"
	end
	check "$mode: no complaint" [ ! -s "$tmp/complaint" ]
done

# With free pages that the system has.
start RN_STATS_SHM=1 RN_VMSTAT="$tmp/vmstat" "$live"
check "few of many objects" say 4000 thin
check "few: they are seen" [ "$(count known active_objs)" = 100 ]
check "slabs with hollow pages" agree "$pid"
end
check "hollow pages: there were some" \
	grep -qE '^reclaim_[a-z]+_hollow_kbytes [1-9]' "$tmp/vmstat"

# --- forms ---

start RN_STATS_SHM=1 "$live"
check "objects" say 1000
check "a list" gives 0 -p "$pid"
check "a list: the cache" grep -qE '^known +1000 +800 ' "$tmp/out"
check "totals" gives 0 --pid="$pid" -T
check "totals: objects" grep -qE '^# Objects  : +1000 ' "$tmp/out"
check "a report" gives 0 -p "$pid" -r -c known
check "a report: objects" grep -qE 'Objects in use +1000$' "$tmp/out"
check "by activity" gives 0 -p "$pid" -A -z -N 1
check "by activity: the busiest" grep -q '^known ' "$tmp/out"
check "activity" gives 0 -p "$pid" -D
check "activity: the title" \
	grep -qE '^Name +Objects +Alloc +Free +%FastA +%FastF$' "$tmp/out"
check "activity: the figures" \
	grep -qE '^known +1000 +1000 +0 +9[0-9]\.[0-9] +0\.0$' "$tmp/out"
check "JSON" gives 0 -p "$pid" -j -c known
check "JSON: with the time" \
	grep -qE '"name":"known".*,"time_ms":1[0-9]{12},"allocs":1000,' \
	"$tmp/out"
check "it is not stopped, nor traced" \
	grep -qx "TracerPid:	0" "/proc/$pid/status"
end

# --- again and again ---

# grew NUMBER...: these were seen, and perhaps some in between
grew()
{
	for n; do
		grep -qx "$n" "$tmp/out" || return
	done
	sort -nc "$tmp/out" && [ "$(tail -n 1 "$tmp/out")" = "$n" ]
}

start RN_STATS_SHM=1 "$live"
check "objects, to be watched" say 10
"$slabinfo" -p "$pid" -j -c known -w 0.05 \
	>"$tmp/watched" 2>"$tmp/err" 5>&- &
watcher=$!
for _ in $(seq 100); do
	[ -s "$tmp/watched" ] && break
	sleep 0.1
done
for n in 20 30 40; do
	check "$n objects" say $n
	sleep 0.5
done
end
check "the watcher ends with it" wait "$watcher"
check "it says so" grep -qx "slabinfo: process $pid has ended" "$tmp/err"
# Which figures there were, in the order in which they were seen.
sed -E 's/.*"active_objs":([0-9]+).*/\1/' "$tmp/watched" >"$tmp/out"
check "all were seen" grew 10 20 30 40
check "it is gone" refuses 1 "process $pid: there is none" -p "$pid"

start RN_STATS_SHM=1 "$live"
check "a process that changes" say 1000
echo churn >&5
busy()
{
	for _ in $(seq 200); do
		gives 0 -p "$pid" -z -j || return
	done
	! grep -qvE '"active_objs":[0-9]{1,5},"num_objs":[0-9]{1,6},' \
		"$tmp/out"
}
check "is read all the same" busy
echo "$(("$(count known allocs)"))" >"$tmp/first"
sleep 0.2
check "and goes on" [ "$(count known allocs)" -gt "$(cat "$tmp/first")" ]
kill "$pid"
end 2>/dev/null

# --- a child, another program ---

start RN_STATS_SHM=1 "$live"
check "a child" say 100 fork pid 300
child=$(sed -n 's/^pid //p' "$tmp/said")
check "a child: it has what the parent had, and more" agree "$child"
check "the parent: as it was" [ "$(count known active_objs)" = 100 ]
"$slabinfo" -p "$child" -w 0.05 >"$tmp/out" 2>"$tmp/err" 5>&- &
watcher=$!
sleep 0.3
echo exec >&5
check "it becomes another program: the watcher ends" wait "$watcher"
check "it says so, too" grep -qx "slabinfo: process $child has ended" \
	"$tmp/err"
check "of that nothing is published" refuses 1 "publishes no statistics" \
	-p "$child"
end

# --- off, and on ---

start "$live"
check "without the option" say 5
check "off" refuses 1 "process $pid publishes no statistics" -p "$pid"
check "off: no such mapping" \
	[ "$(grep -c libslab-stats "/proc/$pid/maps")" = 0 ]
check "the program asks, twice" say publish publish
check "both times it works" [ "$(grep -cx 'publish 0' "$tmp/said")" = 2 ]
check "one page" [ "$(grep -c libslab-stats "/proc/$pid/maps")" = 1 ]
check "which nobody writes to" \
	grep -qE ' r--s .*libslab-stats' "/proc/$pid/maps"
check "on" [ "$(count known active_objs)" = 5 ]
end
start RN_STATS_SHM=0 "$live"
check "0" say 5
check "0: off" refuses 1 "publishes no statistics" -p "$pid"
end
start RN_STATS_SHM=yes "$live"
check "yes" say 5
check "yes: off" refuses 1 "publishes no statistics" -p "$pid"
check "yes: is said" grep -qx \
	'libslab: RN_STATS_SHM=yes is not 0 or 1; ignored' "$tmp/complaint"
end
if [ "${SAN:-}" = thread ]; then
	echo "SKIP no file may be written: SAN=$SAN has its own"
else
	# What it says goes through a pipe, which is no file.
	echo 5 | RN_STATS_SHM=1 prlimit --fsize=0 "$live" 2>&1 |
		cat >"$tmp/out"
	check "no file may be written: is said" grep -qx \
		'libslab: RN_STATS_SHM: File too large' "$tmp/out"
	check "no file may be written: it runs" grep -qx "done" "$tmp/out"
fi

# --- as a shared library, and two copies at once ---

start RN_STATS_SHM=1 "$shared"
check "shared" say 1000
check "shared: the same figures" agree "$pid"
end
if [ -n "${SAN:-}" ]; then
	echo "SKIP two copies: SAN=$SAN is a malloc of its own"
else
	start RN_STATS_SHM=1 LD_PRELOAD="$slabmalloc" "$shared"
	check "two copies" say 1000
	check "two copies: both are seen" \
		[ "$(count kmalloc-1024 name | wc -l)" = 2 ]
	check "two copies: the cache of one" \
		[ "$(count known active_objs)" = 1000 ]
	end
	start RN_STATS_SHM=1 LD_PRELOAD="$slabmalloc" sed p
	sleep 0.5
	check "a program as it is" gives 0 -p "$pid"
	check "a program as it is: has objects" \
		grep -qE '^kmalloc-[0-9]+ +[1-9]' "$tmp/out"
	end
fi

# --- what cannot be read ---

for bad in 0 4194305 99999999999999999999; do
	check "process $bad" refuses 1 "process $bad: there is none" -p "$bad"
done
for bad in "" x 1x -1 ../1; do
	check "process '$bad'" refuses 64 "not the number of a process" \
		-p "$bad"
done
check "one without the library" refuses 1 "publishes no statistics" -p $$
start RN_STATS_SHM=1 "$live"
check "mine" say 5
if [ "$(id -u)" != 0 ]; then
	echo "SKIP another user's: only root can be another user"
elif [ -n "${SAN:-}" ]; then
	echo "SKIP another user's: SAN=$SAN"
else
	mkdir "$tmp/public"
	cp "$slabinfo" "$tmp/public"
	chmod 755 "$tmp" "$tmp/public"
	program="setpriv"
	check "another user's" refuses 1 "process $pid: Permission denied" \
		--reuid 1234 --regid 1234 --clear-groups \
		"$tmp/public/slabinfo" -p "$pid"
	program=$slabinfo
	check "mine: it is there" gives 0 -p "$pid"
	end
	start RN_STATS_SHM=1 setpriv --reuid 1234 --regid 1234 --clear-groups \
		"$live"
	# As root sees all.
	check "a user's" say 5
	check "a user's: root sees it" [ "$(count known active_objs)" = 5 ]
fi
end

# --- processes that publish nonsense: slabinfo may be root's ---

# forge VERSION BYTES CACHES SHRINK: a page with these, until its input ends
forge()
{
	start python3 -c '
import ctypes, mmap, os, struct, sys
version, size, caches, shrink = (int(arg) for arg in sys.argv[1:])
room = ctypes.create_string_buffer(4096)
at = ctypes.addressof(room)
# A cache whose next one is itself, and the pointer to it.
struct.pack_into("<QQ", room, 0, at, at)
page = struct.pack("<16s9I7I5Q", b"libslab stats\n", version, 1, 1, 6, 21, 9,
                   16, 64, 64, *[size] * 7, at + 8 if caches else 8, at, at, at,
                   shrink or at)
page += struct.pack("<2H", 0, 8) + struct.pack("<2H", 16, 8) * 35
fd = os.memfd_create("libslab-stats")
os.write(fd, page.ljust(4096))
mapped = mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ)
print("done", flush=True)
sys.stdin.read()' "$@"
	until_said
}

if ! command -v python3 >/dev/null; then
	echo "SKIP nonsense: python3 is not installed"
else
	forge 2 64 1 0
	check "of another version" refuses 1 "publishes version 2" -p "$pid"
	end
	forge 3 99999999 1 0
	check "too large" refuses 1 "what it publishes makes no sense" \
		-p "$pid"
	end
	forge 3 64 0 0
	check "of nowhere" refuses 1 "its statistics lead nowhere" -p "$pid"
	end
	forge 3 64 1 0
	check "in a circle" refuses 1 "its statistics lead nowhere" -p "$pid"
	check "in a circle: it does not answer" refuses 1 "has not shrunk" \
		-p "$pid" -s
	end
	forge 3 64 1 8
	check "to be asked nowhere" refuses 1 \
		"what it publishes makes no sense" -p "$pid" -s
	end
fi

# --- top ---

start RN_STATS_SHM=1 "$live"
check "objects for top" say 1000
check "top once" gives 0 top -o "$pid"
check "top: objects" grep -qE \
	'^ Active / Total Objects \(% used\) +: 1000 / [0-9]+ ' "$tmp/out"
check "top: the first cache is the largest" \
	[ "$(sed -n '8s/.* //p' "$tmp/out")" = known ]
check "top by name" gives 0 top -p "$pid" -o -s n
check "top by name: the first one" \
	[ "$(sed -n '8s/.* //p' "$tmp/out")" = kmalloc-8 ]
check "top by size" gives 0 top -o -s s "$pid"
check "top by size: the first one" \
	[ "$(sed -n '8s/.* //p' "$tmp/out")" = kmalloc-65536 ]
TERM=dumb
export TERM
check "top on any terminal" gives 0 top -o "$pid"
check "top without a process" refuses 64 "a PID is missing" top
check "top of two" refuses 64 "one PID only" top 1 2
check "top: no order" refuses 64 "-s x: not the key" top -s x 1
check "top: no time" refuses 64 "-d 0: not a number of seconds" top -d 0 1

# What the screen has shown, without what places and colours it.
shown()
{
	sed -E 's/\x1b\[[0-9;?]*[a-zA-Z]/ /g; s/\x1b[()][A-Z0-9]//g' \
		"$tmp/screen"
}

# on_terminal KEYS TERM COMMAND...: KEYS are pressed one a second
on_terminal()
{
	keys=$1
	kind=$2
	shift 2
	for key in $keys; do
		sleep 1
		printf '%s' "$key"
	done | TERM=$kind timeout -k 5 60 script -qec "$*" "$tmp/screen" \
		>"$tmp/out" 2>"$tmp/err"
}

if ! ldd "$slabinfo" | grep -q ncurses; then
	check "top without ncurses" refuses 1 "built without ncurses" \
		top "$pid"
	echo "SKIP top on a terminal: slabinfo was built without ncurses"
elif ! command -v script >/dev/null; then
	echo "SKIP top on a terminal: script is not installed"
else
	check "top without a terminal" refuses 1 "no terminal is here" \
		top "$pid"
	few="stty rows 24 cols 100; exec $slabinfo top -d 60 $pid"
	check "q ends top" on_terminal q xterm "$few"
	check "top shows the cache" eval 'shown | grep -q "% .* known"'
	check "top by name" on_terminal q xterm "$few -s n"
	check "by name the cache is below the screen" \
		eval '! shown | grep -q "known"'
	check "by name another is on it" eval 'shown | grep -q "kmalloc-8"'
	for key in a c l o u v; do
		check "the key $key" on_terminal "${key}q" xterm "$few -s n"
		check "the key $key: it comes up" eval \
			'shown | grep -q "known"'
	done
	check "the key n" on_terminal nq xterm "$few"
	check "another size" on_terminal "x x q" xterm \
		"tty=\$(tty); (sleep 0.5; stty -F \$tty rows 90) & $few -s n"
	check "another size: more is shown" eval 'shown | grep -q "known"'
	check "dumb" eval '! on_terminal q dumb "$few"'
	check "dumb: is said" grep -q "TERM=dumb: nothing can be placed" \
		"$tmp/screen"
	check "no terminal that is known" eval \
		'! on_terminal q no-such-kind "$few"'
	check "not known: is said" grep -q "this terminal is not known" \
		"$tmp/screen"
	check "no kind of terminal" eval '! on_terminal q "" "$few"'
	check "no kind: is said" grep -q "TERM is not set" "$tmp/screen"
	(sleep 1.5; echo end >&5) &
	check "the process ends under top" on_terminal "x x x" xterm \
		"exec $slabinfo top -d 0.2 $pid"
	check "that is said" grep -q "slabinfo: process $pid has ended" \
		"$tmp/screen"
	end
	start RN_STATS_SHM=1 "$live"
	check "objects, again" say 1000
fi

# --- as /proc/slabinfo ---

if [ ! -e /proc/slabinfo ]; then
	echo "SKIP --as-proc: the kernel has no /proc/slabinfo"
elif ! unshare -m true 2>/dev/null && ! unshare -U -m true 2>/dev/null; then
	echo "SKIP --as-proc: neither root nor user namespaces here"
else
	mkdir "$tmp/tmpdir"
	export TMPDIR=$tmp/tmpdir
	check "slabtop" gives 0 --as-proc "$pid" -- slabtop -o
	check "slabtop: the cache" \
		grep -qE '^ *[0-9]+ +1000 +[0-9]+% .* known *$' "$tmp/out"
	check "the status of the command" \
		gives 7 --as-proc "$pid" -- sh -c 'exit 7'
	check "the command is not there" refuses 1 "nonesuch: No such file" \
		--as-proc "$pid" -- "$tmp/nonesuch"
	"$slabinfo" --as-proc "$pid" -w 0.05 -- sh -c '
		for _ in $(seq 100); do
			awk "\$1 == \"known\" { print \$2 }" /proc/slabinfo
			[ -e "$0" ] && exit
			sleep 0.05
		done' "$tmp/stop" >"$tmp/out" 2>"$tmp/err" 5>&- &
	viewer=$!
	sleep 0.5
	check "more objects" say 2000
	sleep 0.5
	check "the process ends" end
	sleep 0.2
	: >"$tmp/stop"
	check "the command ends well" wait "$viewer"
	check "it was live" grew 1000 2000
	check "that the process ended is said" \
		grep -q "process $pid has ended: what sh showed" "$tmp/err"
	check "nothing is left behind" [ -z "$(ls -A "$TMPDIR")" ]
	check "as proc: no process" refuses 1 "there is none" \
		--as-proc 4194305 -- true
	start true
fi
end

# --- options that go to waste ---

check "a process and a file" refuses 64 "neither FILE nor COMMAND" \
	-p 1 README.rst
check "a process and a command" refuses 64 "neither FILE nor COMMAND" \
	-p 1 -- true
check "watching a file" refuses 64 "--watch is of a process" -w 1 README.rst
check "activity of a file" refuses 64 "are of a process" -A README.rst
check "activity of a command" refuses 64 "are of a process" -D -- true
for bad in 0 0.0001 -1 x 1x nan inf 1e9 ""; do
	check "-w '$bad'" refuses 64 "not a number of seconds" -p 1 -w "$bad"
done
finish
