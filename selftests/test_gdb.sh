#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The commands of scripts/gdb: what they say of a process and of core files is
# what the program said itself.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

obj=$(cd "${SLAB_OBJ:-.}" && pwd)
preload=$obj/selftests/preload/stopped
commands=$PWD/scripts/gdb/libslab-gdb.py

if [ -n "${SAN:-}${EMULATOR:-}" ]; then
	echo "neither a sanitizer nor an emulator is for a debugger"
	exit 77
fi
if ! gdb -nx -batch -ex "python print(1)" 2>/dev/null | grep -q '^1'; then
	echo "gdb with python is not installed"
	exit 77
fi

# Pages of slabs can be given back one by one; nothing moves by itself. No core
# file may fill the disk.
RN_LADDER=thp,small
RN_DECAY_MS=-1
RN_BACKGROUND=0
export RN_LADDER RN_DECAY_MS RN_BACKGROUND
ulimit -f 2000000

# debug ARGUMENT...: gdb with our commands, into got and err
debug()
{
	timeout -k 5 100 gdb -nx -q -batch -ex "set debuginfod enabled off" \
		-x "$commands" "$@" >"$tmp/got" 2>"$tmp/err" </dev/null
}

# look ARGUMENT...: at all of it
look()
{
	debug "$@" -ex rn-slabinfo -ex rn-vmstat \
		-ex "rn-cache-of used" -ex "rn-cache-of unused" \
		-ex "rn-cache-of cached" -ex "rn-cache-of fresh" \
		-ex "rn-cache-of written" -ex "rn-cache-of hollow" \
		-ex "rn-cache-of kept" -ex "rn-cache-of large" \
		-ex "rn-cache-of (char *)used + 5" \
		-ex "rn-whatis large + 70000" -ex "rn-cache-of gone" \
		-ex "rn-cache-of large + 0x1000000000" \
		-ex "rn-cache-of &mem" -ex "rn-slab-objects used" \
		-ex "rn-slab-objects large" -ex "echo at the end\\n"
}

same_slabinfo()
{
	for file in said got; do
		grep -E '^slabinfo - version|^# name|^[^ ]+ .* : tunables ' \
			"$tmp/$file" >"$tmp/$file.slabinfo"
	done
	[ "$(wc -l <"$tmp/said.slabinfo")" -gt 2 ] &&
		cmp "$tmp/said.slabinfo" "$tmp/got.slabinfo"
}

# All that rn-vmstat says, rn_vmstat() says, too, which has more.
same_vmstat()
{
	grep -E '^[a-zA-Z0-9_]+ [0-9]+$' "$tmp/got" >"$tmp/vmstat"
	[ "$(wc -l <"$tmp/vmstat")" -gt 40 ] &&
		! grep -vxFf "$tmp/said" "$tmp/vmstat" >"$tmp/out"
}

got()		# pattern: a line of what gdb said
{
	grep -qE "^$1\$" "$tmp/got"
}

refused()	# pattern: likewise, as an error
{
	grep -qE "^$1" "$tmp/err"
}

lines()		# number, state: so many objects of the slab
{
	[ "$(grep -cE "^0x[0-9a-f]+ [0-9]+ $2\$" "$tmp/got")" = "$1" ]
}

compare()	# name of what was looked at
{
	read -r used large _ <"$tmp/said"
	hex="0x[0-9a-f]+"
	thing="$hex: things, object $hex \\+ 0 of the slab $hex,"
	page="$hex: kmalloc-4096, object $hex \\+ 0 of the slab $hex,"

	check "$1: slabinfo" same_slabinfo
	check "$1: vmstat" same_vmstat
	check "$1: an object" got \
		"$used: things, object $used \\+ 0 of the slab $used, in use"
	check "$1: a free one" got "$thing free"
	check "$1: one in a sheaf" got \
		"$hex: others, object .*, free, in a CPU's sheaf"
	check "$1: one never used" got "$thing never used"
	check "$1: one that was written to" got \
		"$thing free, and written to since"
	check "$1: one without memory" got \
		"$page free, and its memory given back"
	check "$1: one beside it" got "$page in use"
	check "$1: inside of an object" got \
		"$hex: things, object $used \\+ 5 of the slab $used, in use"
	check "$1: a run of pages" got \
		"$large: in a run of 49 pages, $large \\+ 0"
	check "$1: inside of a run" got \
		"$hex: in a run of 49 pages, $large \\+ 70000"
	check "$1: a free page" got "$hex: a free page.*"
	check "$1: no page" got "$hex: address space that was never used"
	check "$1: outside" refused "$hex: not memory of libslab"
	check "$1: a slab" got "slab $used of things, node 0, [a-z]*: $(
		)[0-9]+ of 455 objects of 72 bytes in use"
	check "$1: a free one behind that" got \
		"1 free objects cannot be found: .*; they are shown as in use"
	check "$1: objects that were never used" lines 435 "never used"
	check "$1: objects that are free" lines 2 "free.*"
	check "$1: all objects" lines 455 ".*"
	check "$1: a run has none" refused "$large: in no slab: in a run"
}

smaller_than()	# MiB, core file
{
	[ -n "$(find "$2" -size "-${1}M" -size +1M)" ]
}

look_at()	# name, argument...
{
	what=$1
	shift
	check "$what: gdb ends" look "$@"
	compare "$what"
}

# --- a process, and the core file that gdb writes of it ---

for link in static shared; do
	program=$obj/selftests/$link/crash/stopped
	built "$program"
	rm -f "$tmp/core"
	look_at "$link" -ex "run >$tmp/said" "$program"
	debug -ex "run >$tmp/said" -ex "rn-slab-objects absent" "$program"
	check "$link: all of a list" got "slab .* of absent, .*: $(
		)18 of 455 objects of 72 bytes in use"
	check "$link: a core file" debug -ex "run >$tmp/said" \
		-ex "generate-core-file $tmp/core" -ex "kill" "$program"
	check "$link: of what there is" smaller_than 200 "$tmp/core"
	look_at "$link, gdb's core file" "$program" "$tmp/core"
done

# --- what is held back for a sanitizer ---

program=$obj/selftests/static/crash/held
built "$program"
check "held: gdb ends" debug -ex run -ex "rn-cache-of used" \
	-ex "rn-cache-of held" -ex "rn-cache-of run" \
	-ex "rn-cache-of held_run + 9" -ex "rn-slab-objects held" "$program"
check "held: one in use" got "0x.*: kmalloc-40, object 0x.*, in use"
check "held: an object" got "0x.*: kmalloc-40, object 0x.*, free, held back"
check "held: a run in use" got "0x.*: in a run of 49 pages, 0x.* \\+ 0"
check "held: a run" got \
	"0x.*: in a run of 49 pages, 0x.* \\+ 9, freed and held back"
check "held: no object of the slab is in use but one" lines 1 "in use"
check "held: one of the slab is held" lines 1 "free, held back"

# --- a core file of the kernel's, with no debugger about ---

rm -f "$tmp"/core*
program=$obj/selftests/shared/crash/stopped
if ! grep -qE '^[^|/]' /proc/sys/kernel/core_pattern; then
	echo "SKIP a core file of the kernel's: it does not leave it here"
elif ! prlimit --core=unlimited true 2>/dev/null; then
	echo "SKIP a core file of the kernel's: its size is limited"
else
	# In a shell of its own, which may say of its end what it likes.
	# shellcheck disable=SC2016 # that one's
	prlimit --core=unlimited sh -c 'cd "$1" && "$2" >said || :' sh \
		"$tmp" "$program" 2>/dev/null
	core=$(find "$tmp" -maxdepth 1 -type f -size +1M | head -n 1)
	look_at "core file" "$program" "$core"
	debug "$program" "$core" -ex "rn-slab-objects absent"
	check "objects that are not in it" got "slab .* of absent, .*: $(
		)19 of 455 objects of 72 bytes in use"
	check "objects that are not in it: said so" \
		got "1 free objects cannot be found: .*"
fi

# --- the malloc replacement, which knows no vmstat before the end ---

built "$preload"
RN_SLABINFO=$tmp/said
RN_SLABINFO_SIGNAL=USR2
export RN_SLABINFO RN_SLABINFO_SIGNAL
over="set exec-wrapper env LD_PRELOAD=$obj/libslabmalloc.so"
check "malloc" debug -ex "$over" \
	-ex "handle SIGUSR2 nostop noprint" -ex run -ex rn-slabinfo -ex rn-vmstat \
	-ex "rn-cache-of used" "$preload"
check "malloc: slabinfo" same_slabinfo
check "malloc: an object" \
	got "0x[0-9a-f]+: kmalloc-16, object 0x[0-9a-f]+ \+ 0 .* in use"
check "malloc: pages" got "node0_objects_active [1-9][0-9]{3}"
unset RN_SLABINFO RN_SLABINFO_SIGNAL

check "two copies" debug -ex "$over" \
	-ex "run >$tmp/said" -ex rn-slabinfo -ex "rn-cache-of used" "$program"
check "two copies: of the library" got "# .*/libslab\.so.*"
check "two copies: of the replacement" got "# .*/libslabmalloc\.so.*"
check "two copies: an object" got "0x[0-9a-f]+: things, object .* in use"

# --- what cannot be ---

debug "$obj/selftests/static/crash/stopped" -ex rn-slabinfo
check "nothing runs yet" refused "the program has not used libslab yet"
debug -ex rn-slabinfo
check "no program" refused "no libslab with debugging information is here"
debug -ex "rn-slabinfo x"
check "an argument too many" refused "rn-slabinfo takes no argument"
debug -ex rn-whatis
check "an argument too few" refused "rn-whatis ADDR: an address is missing"
debug -ex "rn-cache-of 1 +" "$program"
check "no expression" refused "rn-cache-of: A syntax error"

finish
