#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Heap profiles as pprof reads them, written at exit, at a signal and on request;
# and what is said of leaks. The program is crash/profiled, which has 40 MB by
# hoard(), 10 MiB by lump(), and had 30 MB by churn().
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

if [ -n "${EMULATOR:-}" ]; then
	echo "an emulator has a stack of its own, and other addresses"
	exit 77
fi
here=$(cd "${0%/*}" && pwd)
obj=$(cd "${SLAB_OBJ:-.}" && pwd)
slabmalloc=$obj/libslabmalloc.so
profiled=$obj/selftests/shared/crash/profiled
static=$obj/selftests/static/crash/profiled
interval=64k
built "$profiled" "$static"

quiet()		# command...: it ends with 0, and says nothing
{
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null && ! [ -s "$tmp/err" ]
}

# --- what is in it ---

is_near()	# number, what it should be, percent
{
	awk -v n="$1" -v to="$2" -v percent="$3" 'BEGIN {
		exit !(n >= to * (1 - percent / 100) &&
		       n <= to * (1 + percent / 100)) }'
}

decoded()	# file, arguments of profile.py...
{
	profile=$1
	shift
	protoc -I "$here" --decode=Profile "$here/profile.proto" \
		<"$profile" >"$tmp/decoded" 2>"$tmp/err" &&
		python3 "$here/profile.py" "$@" <"$tmp/decoded" \
		>"$tmp/out" 2>"$tmp/err"
}

# 610 samples of hoard(), 460 of churn(): four deviations.
sums_are_right()	# file
{
	decoded "$1" sum || return
	read -r alloc_objects alloc_bytes objects bytes <"$tmp/out"
	is_near "$objects" 40010 17 && is_near "$bytes" 50485760 14 &&
		is_near "$alloc_objects" 100010 16 &&
		is_near "$alloc_bytes" 80485760 13
}

has_build_id()	# file
{
	want=$(readelf -n "$profiled" | sed -n 's/.*Build ID: //p')
	decoded "$1" build-id "$profiled" && [ "$(cat "$tmp/out")" = "$want" ]
}

# Of the text, as google-pprof has it: percent of a function and its callees.
share()		# function, option..., file
{
	function=$1
	shift
	google-pprof --text --cum "$@" 2>"$tmp/err" |
		awk -v f="$function" '$6 ~ "^" f "($|[(])" { print $5 + 0 }' \
		>"$tmp/out"
	[ -s "$tmp/out" ]
}

shares_are_right()	# program, file
{
	share hoard --inuse_space "$1" "$2" &&
		is_near "$(cat "$tmp/out")" 79.2 4 &&
		share lump --inuse_space "$1" "$2" &&
		is_near "$(cat "$tmp/out")" 20.8 15 &&
		share churn --alloc_space "$1" "$2" &&
		is_near "$(cat "$tmp/out")" 37.3 14 &&
		share main --alloc_space "$1" "$2" &&
		is_near "$(cat "$tmp/out")" 100 1
}

proto_is_right()	# file
{
	check "the parts of ${1##*/}" decoded "$1" whole
	check "the sums of ${1##*/}" sums_are_right "$1"
	if readelf -n "$profiled" 2>/dev/null | grep -q 'Build ID'; then
		check "the build id in ${1##*/}" has_build_id "$1"
	fi
}

# --- how it is written ---

has_protoc=
if command -v protoc >/dev/null; then
	has_protoc=yes
else
	echo "SKIP profile.proto: there is no protoc"
fi
has_pprof=
if command -v google-pprof >/dev/null; then
	has_pprof=yes
else
	echo "SKIP heap_v2: there is no google-pprof"
fi

for mode in cpu fallback; do
	RN_PERCPU=$mode
	export RN_PERCPU
	check "on request, $mode" quiet "$profiled" call "$tmp/call.pb" \
		"$tmp/call.heap"
	check "at exit, $mode" quiet env RN_PROFILE="$tmp/exit.pb" \
		RN_PROFILE_INTERVAL=$interval "$profiled"
	check "at exit, as text, $mode" quiet env \
		RN_PROFILE="$tmp/exit.heap" RN_PROFILE_INTERVAL=$interval \
		"$static"
	check "at a signal, $mode" quiet env RN_PROFILE="$tmp/signal.pb" \
		RN_PROFILE_INTERVAL=$interval RN_PROFILE_SIGNAL=USR2 \
		"$profiled" signal
	[ -z "$has_protoc" ] || for name in call exit signal; do
		proto_is_right "$tmp/$name.pb"
	done
	[ -z "$has_pprof" ] || {
		check "shares on request, $mode" shares_are_right \
			"$profiled" "$tmp/call.heap"
		check "shares at exit, $mode" shares_are_right "$static" \
			"$tmp/exit.heap"
	}
done
unset RN_PERCPU

numbered()
{
	quiet env RN_PROFILE="$tmp/%p-%.pb" "$profiled" || return
	set -- "$tmp"/[0-9]*-%.pb
	[ -s "$1" ]
}
check "the number of the process" numbered

says()		# text, NAME=VALUE...: on stderr, and the program goes on
{
	text=$1
	shift
	env "$@" "$profiled" >"$tmp/out" 2>"$tmp/err" &&
		grep -qF "libslab: $text" "$tmp/err" &&
		[ "$(wc -l <"$tmp/err")" = 1 ]
}

check "no folder" says \
	"RN_PROFILE=/nowhere/x: No such file or directory" \
	RN_PROFILE=/nowhere/x
check "no name" says "RN_PROFILE= is not the name of a file; ignored" \
	RN_PROFILE=
check "no interval" says "RN_PROFILE_INTERVAL=x is not a size" \
	RN_PROFILE="$tmp/x" RN_PROFILE_INTERVAL=x
check "no signal" says "RN_PROFILE_SIGNAL=NO is not a signal; ignored" \
	RN_PROFILE="$tmp/x" RN_PROFILE_SIGNAL=NO
check "no profile" says "RN_PROFILE is not set: no profile is made" \
	RN_PROFILE_INTERVAL=1M
check "debugged" says "RN_PROFILE: debugged objects are not in the profile" \
	RN_PROFILE="$tmp/x" RN_SLAB_DEBUG=Z

# A sanitizer's build keeps frames of our own, which tell sites apart.
if [ -n "${SAN:-}" ]; then
	finish
	exit
fi

# --- leaks ---

# leaks_are LINES NAME=VALUE...: of stderr, less addresses and stacks
leaks_are()
{
	want=$1
	shift
	env RN_LEAKS=1 "$@" "$profiled" >"$tmp/out" 2>"$tmp/err"
	code=$?
	grep -v '^	' "$tmp/err" >"$tmp/out"
	[ "$(cat "$tmp/out")" = "$want" ]
}

ends_with()	# code, arguments of leaks_are
{
	want_code=$1
	shift
	leaks_are "$@" && [ "$code" = "$want_code" ]
}

hoarded="leak: 40000000 bytes in 40000 objects, allocated in"
lumps="leak: 10485760 bytes in 10 large or debugged objects, of which no \
stack is known"
sum="leaks: 50485760 bytes in 40010 objects"
check "leaks by stack" leaks_are "$hoarded
$lumps
$sum" RN_SLAB_DEBUG=U
names_hoard()
{
	frame=$(sed -n 's/.*\[profiled+\(0x[0-9a-f]*\)\]$/\1/p' "$tmp/err" |
		head -n 2)
	# shellcheck disable=SC2086 # two addresses
	addr2line -f -e "$profiled" $frame >"$tmp/out" 2>&1 &&
		grep -q '^hoard$' "$tmp/out"
}
check "the stack is hoard()'s" names_hoard
check "leaks of large objects" leaks_are "$hoarded
leak: 10485760 bytes in 10 objects, allocated in
$sum" RN_PROFILE="$tmp/x" RN_PROFILE_INTERVAL=1
check "leaks without stacks" leaks_are \
"leak: 40960000 bytes in 40000 objects of kmalloc-1024, of which no stack is \
known
$lumps
leaks: 51445760 bytes in 40010 objects; RN_SLAB_DEBUG=U has stacks"
check "leaks that are ignored" leaks_are "$lumps
leaks: 10485760 bytes in 10 objects; ignored: 40000000 bytes in 40000 objects" \
	RN_SLAB_DEBUG=U RN_LEAKS_IGNORE='nobody,prof*'
check "the exit code" ends_with 23 "$hoarded
$lumps
$sum" RN_SLAB_DEBUG=U RN_LEAKS_EXITCODE=23
check "the program's exit code" ends_with 0 "$hoarded
$lumps
$sum" RN_SLAB_DEBUG=U
check "no exit code" says "RN_LEAKS_EXITCODE=256 is not a number of 0 to 255" \
	RN_LEAKS_EXITCODE=256

left()
{
	"$profiled" cache >"$tmp/out" 2>"$tmp/err" &&
		grep '^left:' "$tmp/err" >"$tmp/out"
	[ "$(cat "$tmp/out")" = "left: 300 bytes in 3 objects, allocated in
left: 100 bytes in 1 objects, allocated in" ]
}
check "a cache that is not empty" left

# --- the malloc replacement ---

python='
import os
def hoard(n):
    return [bytearray(5000) for i in range(n)]
x = hoard(10000)
if os.fork():
    os.wait()
print(os.getpid())
'
over_python()	# at its end it has freed them, but either process had 50 MB
{
	LD_PRELOAD=$slabmalloc RN_PROFILE="$tmp/py-%p.pb" \
		RN_PROFILE_INTERVAL=$interval python3 -c "$python" \
		>"$tmp/pids" 2>"$tmp/err" || return
	[ "$(wc -l <"$tmp/pids")" = 2 ] || return
	while read -r pid; do
		decoded "$tmp/py-$pid.pb" whole || return
		decoded "$tmp/py-$pid.pb" sum || return
		read -r _ bytes _ _ <"$tmp/out"
		is_near "$bytes" 57000000 25 || return
	done <"$tmp/pids"
}
has_name()	# function
{
	decoded "$tmp/py-$(head -n 1 "$tmp/pids").pb" has "$1"
}
if [ -n "$has_protoc" ]; then
	built "$slabmalloc"
	check "python3" over_python
	check "functions of python3 have names" has_name __libc_start_main
fi

finish
