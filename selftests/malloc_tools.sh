#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Ordinary tools over libslabmalloc.so, one a line, and the build of this
# library, with everything it starts.
set -u

# shellcheck source=selftests/malloc-helpers
. "${0%/*}/malloc-helpers"

# --- what they work on ---

copy_source
awk 'BEGIN {
	for (i = 0; i < 120000; i++)
		print i * 7919 % 120011, "word" i % 613, i * 31 % 977 / 8, \
			substr("abcdefghijklmnopqrstuvwxyz", i % 26 + 1, i % 9)
}' >"$tmp/lines"
# A tree with the same times in each run.
find "$tmp/source" -exec touch -h -d 2020-01-01 {} +

# --- a shell ---

do_shell()
{
	run bash "$programs/shell.sh"
}
needs bash bash && both bash do_shell bash

# --- a line each: the tools that it takes, and what is run, by a bash whose
# children are all over the same malloc. $L is a file of lines, $S a tree ---

do_line()
{
	(L=$tmp/lines S=$tmp/source; export L S
	run bash -euo pipefail -c "$line")
}

table()
{
	cat <<'END'
tar gzip: tar -C $S -cf - . | gzip -n | tee t.gz | cksum; tar -tzvf t.gz
tar xz: tar -C $S -cJf t.xz mm include; mkdir x; tar -C x -xJf t.xz; diff -r $S/mm x/mm; cksum t.xz
xz: xz -T2 -2 --block-size=300KiB -c $L | tee l.xz | cksum; xz -T2 -dc l.xz | cmp - $L; xz -l l.xz
grep: grep -nE '(word1[0-9]{2}).*[x-z]$' $L | cksum; grep -rc return $S/mm | sort; grep -oP '(?<=word)\d+(?= 1)' $L | cksum
sed: sed -nE 's/^([0-9]+) (word[0-9]*) (.*)$/\3 \2 \1/p; $=' $L | cksum; sed -n 'H; ${x; s/\n/,/g; p}' $L | cksum
awk: awk '{ n[$2]++; s[$2, $4] += $3; t = t substr($1, 1, 1) } END { for (k in n) print k, n[k]; for (k in s) print k, s[k]; print length(t) }' $L | sort | cksum
sort: sort --parallel=2 -S 1M -T . -k2,2 -k1,1n $L | cksum; sort --parallel=2 -S 40M -u -k4 $L | cksum
join: sort -k1,1 $L >a; sort -k2,2 $L >b; join -1 1 -2 1 a a | cksum; head -n 9000 a >c; comm -13 c a | cksum; paste a b | tac | cksum
find xargs: find $S -name '*.[ch]' -size +2k -print0 | sort -z | xargs -0 -n 5 -P 1 wc -c; find $S -type f | xargs -P 2 -n 10 cksum | sort | cksum
diff: cp $L c; sed -i '77d; 5000s/$/ x/; 90000i new' c; diff -u $L c | tail -n +3 || :; diff3 $L c $L | cksum
perl: perl -e 'for (1..60000) { $h{$_ * 7919 % 60013} = "v$_" x ($_ % 5); push @{$l[$_ % 50]}, $_ } print join(",", map { "$_=$h{$_}" } sort { $a <=> $b } keys %h), scalar(map { @$_ } @l), "\n"' | cksum; perl -ne '$n{$1}++ while /(\w+?)\d/g; END { print "$_ $n{$_}\n" for sort keys %n }' $L
vfork: for i in $(seq 60); do env true; (: $i); printf %s "$(echo $i)"; done; timeout 5 nice setsid -w echo done
END
}

# Each name before the colon is a tool that must be there, and must have run.
table >"$tmp/table"
while IFS= read -r entry <&3; do
	tools=${entry%%: *}
	line=${entry#*: }
	[ "$tools" != vfork ] || tools="env timeout"
	# shellcheck disable=SC2086 # a list of words
	needs "$tools" $tools && both "$tools" do_line bash $tools
done 3<"$tmp/table"

# --- this library, by a make of two jobs ---

do_make()
{
	run make -s -C "$tmp/source" -j2 O="$PWD/out" CC="${CC:-cc}" \
		CFLAGS=-O0 libs
	sum cat out/libslab.a
	sum cat out/libslab.so
}
needs make make ar ld "${CC:-cc}" && both make do_make make ar ld

finish
