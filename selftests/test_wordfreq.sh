#!/bin/sh
# SPDX-License-Identifier: MIT
#
# samples/wordfreq from outside: what it counts is what coreutils count, and
# what it allocates it frees.
set -u

wordfreq=${SLAB_OBJ:-.}/samples/wordfreq/wordfreq
program=$wordfreq
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
built "$wordfreq"

# to FILE ARGUMENT...: its standard output goes there, not into $tmp/out
to()
{
	where=$1
	shift
	# shellcheck disable=SC2086
	${EMULATOR:-} "$wordfreq" "$@" >"$where" 2>"$tmp/err"
}

# The same by coreutils. A file that ends in a letter ends its last word.
# shellcheck disable=SC2018,SC2019 # these letters it is, and no others
count()		# file...
{
	for file; do
		cat "$file"
		echo
	done | tr -cs A-Za-z '\n' | tr A-Z a-z | grep . | sort | uniq -c |
		sort -k1,1nr -k2,2 >"$tmp/want"
}

same()
{
	diff "$tmp/want" "$tmp/out" >"$tmp/err"
}

says()		# text
{
	grep -qF -- "$1" "$tmp/err"
}

# The sum of active_objs in a file with slabinfo in it.
active()	# file
{
	awk '/ : tunables +[0-9]/ { sum += $2; n++ } END { print n ? sum : "none" }' \
		"$1"
}

# --- the project's own sources; copies, since somebody may be editing ---

mkdir "$tmp/src"
find mm include arch tools selftests samples scripts Documentation -type f \
	\( -name '*.[ch]' -o -name '*.rst' -o -name 'Makefile*' \) |
	while read -r file; do
		cp "$file" "$tmp/src/$(echo "$file" | tr / _)"
	done
cat "$tmp"/src/* >"$tmp/whole"
different=0

check "sources: there are some" [ "$(wc -c <"$tmp/whole")" -gt 300000 ]
count "$tmp"/src/*
different=$(wc -l <"$tmp/want")
check "sources: all words" gives 0 -q -n 0 "$tmp"/src/*
check "sources: as coreutils count them" same
cp "$tmp/want" "$tmp/all"
check "sources: 20 words by default" gives 0 -q "$tmp"/src/*
head -n 20 "$tmp/all" >"$tmp/want"
check "sources: the commonest 20" same
check "sources: 3 words" gives 0 --quiet --lines=3 "$tmp"/src/*
head -n 3 "$tmp/all" >"$tmp/want"
check "sources: the commonest 3" same
RN_PERCPU=fallback
export RN_PERCPU
check "sources: without restartable sequences" gives 0 -q -n 0 "$tmp"/src/*
unset RN_PERCPU
cp "$tmp/all" "$tmp/want"
check "sources: the same without" same

count "$tmp/whole"
check "one file longer than the buffer" gives 0 -q -n 0 "$tmp/whole"
check "it has the same words" same

# --- slabinfo: of what is held, and when all is freed ---

RN_SLABINFO=$tmp/end
export RN_SLABINFO
check "with slabinfo" gives 0 -n 5 "$tmp"/src/*
unset RN_SLABINFO
check "slabinfo has its first line" \
	grep -qx 'slabinfo - version: 2.1' "$tmp/out"
check "the words come before it" [ "$(sed 5q "$tmp/out")" = \
	"$(sed 5q "$tmp/all")" ]
# A node and a string for each word; the table of the five is freed by then.
check "two objects in use for each word" \
	[ "$(active "$tmp/out")" = $((2 * different)) ]
check "slabinfo at the end was written" [ -s "$tmp/end" ]
check "nothing is in use at the end" [ "$(active "$tmp/end")" = 0 ]

# --- input of all kinds ---

printf 'one two' >"$tmp/a"
printf 'three Two\n' >"$tmp/b"
count "$tmp/a" "$tmp/b"
check "no newline at the end" gives 0 -q "$tmp/a" "$tmp/b"
check "the next file begins a word" same
check "a minus is the standard input" gives 0 -q "$tmp/a" - <"$tmp/b"
check "read like a file" same
count "$tmp/b"
check "no file is the standard input" gives 0 -q <"$tmp/b"
check "read likewise" same

printf 'a\0b\351\377c-d_e1f@[`{zZ' >"$tmp/bytes"
count "$tmp/bytes"
check "bytes of all kinds" gives 0 -q -n 0 "$tmp/bytes"
check "only letters are letters" same

head -c 1000000 /dev/zero | tr '\0' Q >"$tmp/long"
count "$tmp/long" "$tmp/a"
check "a word of a million letters" gives 0 -q "$tmp/long" "$tmp/a"
check "is one word" same

: >"$tmp/want"
check "nothing at all" gives 0 -q /dev/null
check "has no words" same

# --- what goes wrong is said ---

count "$tmp/a"
check "a file that is not there" gives 1 -q "$tmp/none" "$tmp/a"
check "is named" says "$tmp/none: No such file"
check "the others are counted" same
check "a directory" gives 1 -q "$tmp"
check "is named, too" says "$tmp: Is a directory"
for n in x -1 '' 5x 99999999999999999999; do
	check "-n '$n'" gives 64 "-n$n" -n "$n"
	check "-n '$n' is refused" says "not a number of lines"
done
check "an unknown option" gives 64 --nonsense
to /dev/full -q "$tmp/a"
check "a full disk" [ $? = 1 ]
check "a full disk is said" says "No space left"
check "version" gives 0 --version
check "the version is a number" grep -qE '^wordfreq [0-9]+\.[0-9]' "$tmp/out"

finish
