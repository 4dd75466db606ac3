#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/slabinfo from outside: what it makes of a text, of a command, and of
# things that are neither.
# What stands in single quotes is for the shells that are slabinfo's commands.
# shellcheck disable=SC2016
set -u

obj=${SLAB_OBJ:-.}
slabinfo=$obj/tools/slabinfo/slabinfo
wordfreq=$obj/samples/wordfreq/wordfreq
program=$slabinfo
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
built "$slabinfo" "$wordfreq"
# What it makes for a command must be gone when it ends.
mkdir "$tmp/tmpdir"
TMPDIR=$tmp/tmpdir
export TMPDIR

# says CODE TEXT ARGUMENT...: likewise, and nothing else
says()
{
	refuses "$@" && [ ! -s "$tmp/out" ]
}

# prints [LINE...]: the output, blanks squeezed, is these lines
prints()
{
	printf '%s\n' "$@" >"$tmp/want"
	sed -E 's/[[:blank:]]+/ /g; s/^ //; s/ $//' "$tmp/out" |
		diff "$tmp/want" - >"$tmp/err"
}

# The names in a list, on one line.
names()
{
	sed 1d "$tmp/out" | awk '{ printf "%s%s", sep, $1; sep = " " }'
}

# --- a text with known figures ---

cat >"$tmp/text" <<END
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
kmalloc-8              0      0      8  512    1 : tunables    0    0    0 : slabdata      0      0      0
kmalloc-16           100    256     16  256    1 : tunables    0    0    0 : slabdata      1      1      0
kmalloc-512            0     64    512   64    8 : tunables    0    0    0 : slabdata      1      1      0
node                1000   1020     40  102    1 : tunables    0    0    0 : slabdata     10     10      0
page                 700    700   4096    1    1 : tunables    0    0    0 : slabdata    700    700      0
END
head="Name Objects Objsize Space Free Slabs O/S O %Ef"
k16="kmalloc-16 100 16 4.0K 156 1 256 0 39.1"
k512="kmalloc-512 0 512 32.0K 64 1 64 3 0.0"
node="node 1000 40 40.0K 20 10 102 0 97.7"
page="page 700 4096 2.7M 0 700 1 0 100.0"

check "a file" gives 0 "$tmp/text"
check "a line each, by name, those with slabs" \
	prints "$head" "$k16" "$k512" "$node" "$page"
check "-l is the default" gives 0 -l "$tmp/text"
check "-l: likewise" prints "$head" "$k16" "$k512" "$node" "$page"
check "standard input" gives 0 <"$tmp/text"
check "standard input: likewise" \
	prints "$head" "$k16" "$k512" "$node" "$page"
check "a minus" gives 0 - <"$tmp/text"
check "a minus: likewise" prints "$head" "$k16" "$k512" "$node" "$page"

check "by size" gives 0 -S "$tmp/text"
check "by size: order" [ "$(names)" = "page node kmalloc-512 kmalloc-16" ]
check "by size, inverted" gives 0 --Size --inverted "$tmp/text"
check "inverted: order" [ "$(names)" = "kmalloc-16 kmalloc-512 node page" ]
check "the first two" gives 0 -S -N 2 "$tmp/text"
check "the first two: which" [ "$(names)" = "page node" ]
check "by loss" gives 0 -L "$tmp/text"
check "by loss: order" [ "$(names)" = "kmalloc-512 kmalloc-16 node page" ]
check "by loss: the column" grep -q '^Name .* Loss ' "$tmp/out"
check "by loss: the figure" grep -qE '^node .* 960 ' "$tmp/out"
check "numbers in names" gives 0 -z -c '^k' "$tmp/text"
check "numbers in names: order" \
	[ "$(names)" = "kmalloc-8 kmalloc-16 kmalloc-512" ]
check "empty ones" gives 0 -e "$tmp/text"
check "empty ones: which" [ "$(names)" = "kmalloc-512" ]
check "by expression" gives 0 --cache='^(node|page)$' "$tmp/text"
check "by expression: which" [ "$(names)" = "node page" ]
check "none at all" gives 0 -c nothing "$tmp/text"
check "none at all: the title" prints "$head"
check "bytes" gives 0 -B -c page "$tmp/text"
check "bytes: the figure" grep -q ' 2867200 ' "$tmp/out"

check "report" gives 0 -r -c node "$tmp/text"
check "report: all of it" prints "Slabcache: node" "Object size 40" \
	"Slab size 4.0K" "Objects in a slab 102" \
	"Unused at the end of a slab 16" "Slabs 10" "Objects in use 1000" \
	"Objects free 20" "Space 40.0K" "Used 39.1K" "Loss 960" \
	"Efficiency, % 97.7"

check "totals" gives 0 -T -B "$tmp/text"
check "totals: caches" \
	grep -qE '^Slabcaches : +4 +Active : +3$' "$tmp/out"
check "totals: memory, loss and their ratio" grep -qE \
	'^Memory used: +2945024 +# Loss : +36224 +MRatio: +1\.2%$' "$tmp/out"
check "totals: objects" grep -qE \
	'^# Objects  : +1800 +# Free : +240 +ORatio: +13\.3%$' "$tmp/out"
check "totals: spread" \
	grep -qE '^#Slabs +178 +1 +700 +712$' "$tmp/out"
check "totals: spread of bytes" \
	grep -qE '^Loss +9056 +0 +32768 +36224$' "$tmp/out"
check "totals of nothing" gives 0 -T -c nothing "$tmp/text"
check "totals of nothing: no ratio" grep -q 'MRatio:   0.0%' "$tmp/out"

check "JSON" gives 0 -j -c node "$tmp/text"
line='{"name":"node","active_objs":1000,"num_objs":1020,"objsize":40,'
line=$line'"objperslab":102,"pagesperslab":1,"num_slabs":10,'
line=$line'"space_bytes":40960,"used_bytes":40000}'
check "JSON: an object" prints "$line"
check "JSON: all" gives 0 --json -z "$tmp/text"
check "JSON: a line each" [ "$(wc -l <"$tmp/out")" -eq 5 ]

# --- nodes ---

cat >"$tmp/nodes" <<END
percpu_rseq 1
# no rseq: a line for people
nr_slabs 5
node0_objects 1000
node0_objects_active 900
node0_slabs 4
node0_slab_kbytes 64
node0_numa_hit 5000
node0_numa_miss 20
node0_numa_foreign 7
node0_interleave_hit 3
node0_local_node 4000
node0_other_node 1020
node1_objects 0
node1_slabs 0
node3_objects 50
node3_objects_active 0
node3_slabs 1
node3_slab_kbytes 16
node3_numa_hit 40
node3_numa_miss 7
node3_numa_foreign 20
node3_interleave_hit 0
node3_local_node 47
node3_other_node 0
node0_pageblocks_hugetlb 2
node0_pageblocks_thp 1
node0_pageblocks_small 0
node3_pageblocks_small 6
node3_ladder_hugetlb_pool_empty 9
hugetlb_2048kB_node3_free 0
END
nodes="Node Objects Free Slabs Space Hugetlb THP Small"
hits="Node Hit Miss Foreign Interleave Local Other"
check "nodes" gives 0 -n "$tmp/nodes"
check "nodes: memory, then hits; none without anything" prints "$nodes" \
	"0 900 100 4 64.0K 2 1 0" "3 0 50 1 16.0K 0 0 6" \
	"Total 900 150 5 80.0K 2 1 6" "" "$hits" \
	"0 5000 20 7 3 4000 1020" "3 40 7 20 0 47 0" \
	"Total 5040 27 27 3 4047 1020"
check "nodes: with those that have nothing" gives 0 --numa -z -B "$tmp/nodes"
check "nodes: those, too" grep -qE '^1( +0){7}$' "$tmp/out"
check "nodes: one that no line names" grep -qE '^2( +0){7}$' "$tmp/out"
check "nodes: bytes" grep -qE '^Total .* 81920 ' "$tmp/out"
check "nodes in JSON" gives 0 -n -j "$tmp/nodes"
check "nodes in JSON: a line each" [ "$(wc -l <"$tmp/out")" -eq 2 ]
line='{"node":3,"objects":50,"objects_active":0,"slabs":1,"slab_kbytes":16,'
line=$line'"pageblocks_hugetlb":0,"pageblocks_thp":0,"pageblocks_small":6,'
line=$line'"numa_hit":40,"numa_miss":7,"numa_foreign":20,"interleave_hit":0,'
line=$line'"local_node":47,"other_node":0}'
check "nodes in JSON: an object" [ "$(sed -n 2p "$tmp/out")" = "$line" ]
sed 's/^nr_slabs 5/nr_slabs five/' "$tmp/nodes" >"$tmp/bad"
check "nodes: no figure" says 1 "bad:3: this is no line of vmstat" \
	-n "$tmp/bad"
sed 's/^node0_objects 1000/node0_objects 10/' "$tmp/nodes" >"$tmp/bad"
check "nodes: more in use than there are" says 1 \
	"bad: node 0: more objects are in use" -n "$tmp/bad"
check "nodes: of another text" says 1 "text:1: this is no line of vmstat" \
	-n "$tmp/text"
echo "nr_slabs 5" >"$tmp/bad"
check "nodes: of none" says 1 "bad: nothing of nodes is in it" -n "$tmp/bad"
check "nodes and an order of caches" says 64 "--numa is about no cache" \
	-n -S "$tmp/nodes"
check "nodes and a report" says 64 "--numa is about no cache" \
	-n -r "$tmp/nodes"

# --- texts that are none ---

bad()		# name, message, sed script that spoils the text
{
	sed "$3" "$tmp/text" >"$tmp/bad"
	check "$1" says 1 "$2" "$tmp/bad"
}

bad "another version" "bad:1: this is no slabinfo version 2.1" 1s/2.1/1.1/
bad "no first line" "bad:1: this is no slabinfo version 2.1" 1d
bad "a line cut short" "bad:4: the line is cut short" '4s/slabdata.*//'
bad "another word" "bad:4: this is no line of slabinfo" 4s/tunables/x/
bad "no number" "bad:5: a figure is not a number" 5s/512/51x/2
bad "a negative number" "bad:4: a figure is not a number" '4s/ 256/-256/'
bad "a number too large" "bad:6: a figure is not a number" \
	6s/1000/99999999999999999999/
bad "more bytes than there are" "bad:7: the figures are beyond all memory" \
	'7s/700      0$/9999999999999999999 0/'
bad "more in use than there are" "bad:4: more objects are in use" 4s/100/300/
bad "objects larger than their slab" "bad:6: the objects do not fit" \
	'6s/  102 /  103 /'
bad "an empty file" "bad: nothing is in it" d
check "no file" says 1 "none: No such file" "$tmp/none"
check "a directory" says 1 "Is a directory" "$tmp"

# --- a command ---

export WORDFREQ="${EMULATOR:-} $wordfreq"
check "a command" gives 0 -N 1 -- sh -c '$WORDFREQ -q README.rst'
check "a command: its output is there" grep -qE '^ +[0-9]+ the$' "$tmp/out"
# What it holds at its end is nothing; slabs are kept.
check "a command: then the list" grep -qE '^Name +Objects +Objsize' "$tmp/out"
check "a command: has caches" gives 0 -z -j -- sh -c \
	'$WORDFREQ -q README.rst >/dev/null'
check "a command: all its caches" [ "$(wc -l <"$tmp/out")" -ge 60 ]
check "a command: nothing in use at the end" \
	[ "$(grep -vc '"active_objs":0,' "$tmp/out")" -eq 0 ]

check "nodes of a command" gives 0 -n -j -- sh -c \
	'$WORDFREQ -q README.rst >/dev/null'
check "nodes of a command: it hit" grep -qE '"numa_hit":[1-9]' "$tmp/out"
check "nodes of a command: nothing in use at the end" \
	[ "$(grep -vc '"objects_active":0,' "$tmp/out")" -eq 0 ]

# Of a live heap: slabinfo must show the same as the library's own text.
# shellcheck disable=SC2086
$WORDFREQ mm/*.c | sed -n '/^slabinfo - version/,$p' >"$tmp/live"
awk '/ : tunables +[0-9]/ { print $1, $2, $3, $4, $5, $6, $15 }' "$tmp/live" |
	sort >"$tmp/want"
check "the library's text" gives 0 -j -z "$tmp/live"
sed -E 's/.*"name":"([^"]*)"/\1/; s/,"space_bytes.*//; s/,"[a-z_]*":/ /g' \
	"$tmp/out" | sort >"$tmp/got"
check "the library's text: has objects in use" grep -q ' [1-9]' "$tmp/live"
check "the library's text: the same figures" cmp "$tmp/want" "$tmp/got"

check "options behind -- are the command's" gives 0 -- sh -c \
	'cp "$0" "$RN_SLABINFO"; echo "got $1"' "$tmp/text" -S
check "options behind --: they came" grep -qx 'got -S' "$tmp/out"
check "options behind --: order by name" \
	[ "$(sed -n '3s/ .*//p' "$tmp/out")" = kmalloc-16 ]
check "the status of a command" gives 7 -- sh -c \
	'cp "$0" "$RN_SLABINFO"; exit 7' "$tmp/text"
check "the status: with the list" grep -q '^node' "$tmp/out"
check "a command that a signal ends" gives 137 -- sh -c 'kill -KILL $$'
check "a signal is said" grep -q 'Killed' "$tmp/err"
check "a command without the library" \
	says 1 "it does not use libslab" -- true
check "a command that fails without it" \
	says 5 "it does not use libslab" -- sh -c 'exit 5'
if [ -n "${EMULATOR:-}" ]; then
	echo "SKIP a command that is not there: the emulator has no vfork()"
else
	check "a command that is not there" \
		says 1 "nonesuch: No such file" -- "$tmp/nonesuch"
fi
TMPDIR=$tmp/none
check "no place for the temporary file" \
	says 1 "no temporary file in $tmp/none" -- true
TMPDIR=$tmp/tmpdir
check "Ctrl-C is for the command" gives 3 -- sh -c \
	'cp "$0" "$RN_SLABINFO"; trap "exit 3" INT; kill -INT $PPID; kill -INT $$;
	exit 4' "$tmp/text"
check "nothing is left behind" [ -z "$(ls -A "$TMPDIR")" ]

# --- in the place of /proc/slabinfo ---

# as_proc [COMMAND...]: puts COMMAND before slabinfo
as_proc()
{
	# shellcheck disable=SC2086
	"$@" ${EMULATOR:-} "$slabinfo" --as-proc="$tmp/text" -- \
		sh -c 'cat /proc/slabinfo; exit 9' >"$tmp/out" 2>"$tmp/err"
	[ $? = 9 ] && cmp -s "$tmp/text" "$tmp/out"
}

proc_line()	# of /proc/slabinfo outside, where it can be read
{
	sed -n 3p /proc/slabinfo 2>/dev/null
}

if [ ! -e /proc/slabinfo ]; then
	echo "SKIP --as-proc: the kernel has no /proc/slabinfo"
elif ! unshare -m true 2>/dev/null && ! unshare -U -m true 2>/dev/null; then
	echo "SKIP --as-proc: neither root nor user namespaces here"
elif [ -n "${EMULATOR:-}" ]; then
	echo "SKIP --as-proc: the emulator has no mount namespaces"
else
	check "as /proc/slabinfo" as_proc
	check "as /proc/slabinfo: not outside" \
		[ "$(proc_line)" != "$(sed -n 3p "$tmp/text")" ]
	check "slabtop" gives 0 --as-proc "$tmp/text" -- slabtop -o
	check "slabtop: totals" grep -qE \
		'Active / Total Objects .*: 1800 / 2040 \(88\.2%\)' "$tmp/out"
	check "slabtop: a cache" \
		grep -qE '^ *1020 +1000 +98% .* node *$' "$tmp/out"
	check "vmstat" gives 0 --as-proc "$tmp/text" -- vmstat -m
	check "vmstat: a cache" \
		grep -qE '^node +1000 +1020 +40 +102$' "$tmp/out"
	check "the library's own text in slabtop" \
		gives 0 --as-proc "$tmp/live" -- slabtop -o
	check "as proc: a command that is not there" says 1 \
		"nonesuch: No such file" --as-proc "$tmp/text" -- \
		"$tmp/nonesuch"
fi

if [ "$(id -u)" != 0 ] || [ -n "${EMULATOR:-}" ] ||
   [ ! -e /proc/slabinfo ]; then
	echo "SKIP --as-proc without privilege: only as root it can be dropped"
elif ! setpriv --reuid 1234 --regid 1234 --clear-groups \
     unshare -U -m true 2>/dev/null; then
	echo "SKIP --as-proc without privilege: no user namespaces for users"
elif [ -n "${SAN:-}" ]; then
	echo "SKIP --as-proc without privilege: SAN=$SAN keeps a thread"
else
	# It must get at the program and the text.
	mkdir "$tmp/public"
	cp "$slabinfo" "$tmp/text" "$tmp/public"
	chmod 755 "$tmp" "$tmp/public"
	slabinfo=$tmp/public/slabinfo
	check "as /proc/slabinfo, in a user namespace" as_proc \
		setpriv --reuid 1234 --regid 1234 --clear-groups
	slabinfo=$obj/tools/slabinfo/slabinfo
fi
check "as proc: a text that is none" says 1 \
	"this is no slabinfo version 2.1" --as-proc README.rst -- true
check "as proc: no file" says 1 "No such file" --as-proc "$tmp/none" -- true
check "as proc: a device" \
	says 1 "not a regular file" --as-proc /dev/null -- true

# --- options that are none ---

check "a file and a command" says 64 "either FILE or COMMAND" \
	"$tmp/text" -- true
check "two files" says 64 "one FILE only" "$tmp/text" "$tmp/text"
check "no command" says 64 "a COMMAND is missing" --
check "as proc: no command" says 64 "--as-proc needs a COMMAND" \
	--as-proc "$tmp/text"
check "as proc: an option that goes to waste" says 64 \
	"--as-proc shows nothing itself" -S --as-proc "$tmp/text" -- true
check "JSON and a list" says 64 "goes with no other form" -j -l "$tmp/text"
check "a bad expression" says 1 "(: " -c '(' "$tmp/text"
for n in 0 -1 x 1x 99999999999999999999; do
	check "-N $n" says 64 "not a number of lines" -N "$n" "$tmp/text"
done
check "an option of the kernel's that needs more than text" \
	says 64 "-- 'v'" -v "$tmp/text"
# shellcheck disable=SC2086
${EMULATOR:-} "$slabinfo" "$tmp/text" >/dev/full 2>"$tmp/err"
check "a full disk" [ $? = 1 ]
check "a full disk is said" grep -q 'No space left' "$tmp/err"
check "help" gives 0 --help
check "version" gives 0 --version
check "the version is a number" grep -qE '^slabinfo [0-9]+\.[0-9]' "$tmp/out"

finish
