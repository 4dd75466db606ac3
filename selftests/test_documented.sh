#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the admin guide lists is what there is: the lines of rn_vmstat()
# (vmstat.rst) and the RN_* variables (options.rst), each way. And C on any page
# compiles, if it has an #include and so wants to be whole.
#
# A name in a table of vmstat.rst is a line, where RUNG and the like stand for
# words and N and SIZE for numbers. What a table has without quotes are those
# words. What is printed is taken from the sources, where the names are parts of
# formats, and from programs that run.
# shellcheck disable=SC2016 # backquotes are those of the pages
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

top=$(cd "${0%/*}/.." && pwd)
obj=$(cd "${SLAB_OBJ:-.}" && pwd)
guide=$top/Documentation/admin-guide
wordfreq=$obj/samples/wordfreq/wordfreq
queries=$obj/samples/queries/queries
built "$wordfreq" "$queries"

# nothing FILE: it is empty, or shown
nothing()
{
	cp "$1" "$tmp/out"
	! grep -q . "$1"
}

# --- rn_vmstat() ---

# Formats of a line, as FILE:FORMAT with nodeN and SIZE as the page has them.
formats()
{
	grep -oE '"[a-z][a-zA-Z0-9_%]* %(lu|llu|zu|u|d)\\n"' "$top"/mm/*.c \
		"$top"/mm/debug/*.c |
		sed -E 's/"([^ ]*) .*/\1/; s/node%d/nodeN/; s/%lukB/SIZE/'
}

# is_printed NAME: a format is that, with its %s from words of the same file
is_printed()
{
	local file format pattern word

	while IFS=: read -r file format; do
		pattern="^${format//%s/([a-zA-Z_]+)}\$"
		[[ $1 =~ $pattern ]] || continue
		for word in "${BASH_REMATCH[@]:1}"; do
			[[ $word =~ ^[A-Z]+$ ]] || grep -qF "\"$word\"" \
				"$file" || continue 2
		done
		return
	done <"$tmp/formats"
	return 1
}

# Names of lines, and the words that those in capitals stand for.
formats >"$tmp/formats"
sed -nE 's/^``([a-z][a-zA-Z_]+)``(  .*)?$/\1/p' "$guide/vmstat.rst" \
	>"$tmp/names"
sed -nE 's/^([a-z_]+)   .*/\1/p' "$guide/vmstat.rst" | sort -u >"$tmp/words"
sed -nE 's/^\t\[(STEP|WHY|PLACE|BACKING)_[A-Z_]+\] = "([a-z_]+)",/\2/p' \
	"$top/mm/ladder.c" "$top/mm/vmscan.c" | sort -u >"$tmp/said"
check "the page has names" [ "$(wc -l <"$tmp/names")" -gt 50 ]
check "the sources have formats" [ "$(wc -l <"$tmp/formats")" -gt 50 ]
check "the sources have words" [ "$(wc -l <"$tmp/said")" -gt 15 ]
check "each name is there once" [ -z "$(sort "$tmp/names" | uniq -d)" ]
check "RUNG, REASON and PLACE" diff "$tmp/said" "$tmp/words"

while read -r word; do
	is_printed "$word" || echo "no source prints $word"
done <"$tmp/names" >"$tmp/unprinted"
check "what is documented is printed" nothing "$tmp/unprinted"

# A word in capitals is any.
sed -E 's/RUNG|REASON|PLACE|NAME/[^ ]+/g' "$tmp/names" >"$tmp/patterns"
grep -v % "$tmp/formats" | cut -d : -f 2 | grep -vxEf "$tmp/patterns" \
	>"$tmp/unknown"
check "what sources print is documented" nothing "$tmp/unknown"

# prints WHAT [VARIABLE=VALUE...] PROGRAM [ARGUMENT...]: all of it documented
prints()
{
	echo "prints: $*" >"$tmp/err"
	env RN_VMSTAT="$tmp/vmstat" "$@" >"$tmp/out" 2>>"$tmp/err" || return
	sed -E '/^#/d; s/ .*//; s/(^|_)node[0-9]+_/\1nodeN_/
		s/_[0-9]+kB_/_SIZE_/' "$tmp/vmstat" >"$tmp/printed"
	[ "$(wc -l <"$tmp/printed")" -gt 50 ] &&
		! grep -vxEf "$tmp/patterns" "$tmp/printed" >"$tmp/out"
}

# shellcheck disable=SC2206 # an emulator may be several words
emulator=(${EMULATOR:-})
words=("${emulator[@]}" "$wordfreq" -q "$top/README.rst")
check "by default" prints "${words[@]}"
check "the first line names the page" \
	grep -qx '# .*admin-guide/vmstat.rst .*' <(head -n 1 "$tmp/vmstat")
check "without sequences" prints RN_PERCPU=fallback "${words[@]}"
check "KFENCE" prints RN_KFENCE=1 RN_KFENCE_INTERVAL=1 "${words[@]}"
# A size of page that no system has.
check "a rung that is not there" \
	prints RN_LADDER=hugetlb,small RN_HUGEPAGESIZE=128K "${words[@]}"
check "its reason" grep -q '^ladder_step_down_hugetlb_' "$tmp/vmstat"
check "a shrinker" prints "${emulator[@]}" "$queries" --rows=20000 \
	--queries=50 --total=16M

rm -f "$tmp/out" "$tmp/err"

# --- RN_* variables ---

# What may be set, and what some file reads: by a function, or from an array.
sed -n '/^static const char \*const known\[\]/,/^};/p' "$top/mm/options.c" |
	grep -oE 'RN_[A-Z_]+' | sort -u >"$tmp/known"
{
	cat "$top"/mm/*.c "$top"/mm/debug/*.c "$top"/compat/*.c |
		grep -oE '(getenv|read_[a-z]+)\("RN_[A-Z_]+"'
	sed -n '/^const char \*const fault_options/,/^};/p' \
		"$top/mm/debug/fault_inject.c"
} | grep -oE 'RN_[A-Z_]+' | sort -u >"$tmp/read"
# RN_FAIL_* is one entry, and has the rest of the names in its text.
sed -nE 's/^``(RN_[A-Z_*]+)``$/\1/p' "$guide/options.rst" >"$tmp/entries"
{
	grep -v '[*]' "$tmp/entries"
	sed -n '/^``RN_FAIL_\*``$/,/^``RN_FAULT/p' "$guide/options.rst" |
		sed '1d;$d' | grep -oE '``[A-Z_]+``' | tr -d '`' |
		sed 's/^/RN_FAIL_/'
} | sort >"$tmp/listed"
check "the sources read variables" [ "$(wc -l <"$tmp/read")" -gt 30 ]
check "what is read may be set" diff "$tmp/known" "$tmp/read"
check "what is read is documented" diff "$tmp/read" "$tmp/listed"

awk '/^``RN_/ { if (name) print name; name = $1 }
	/[Dd]efault|^    Likewise/ { name = "" }
	/^A limit$/ { exit }
	END { if (name) print name }' "$guide/options.rst" >"$tmp/without"
check "each has its default" nothing "$tmp/without"

# --- programs ---

# Each block of C of a page, in a file of its own: PAGE.1.c and so on.
mkdir "$tmp/c"
pages=("$top/README.rst" "$top"/Documentation/*.rst
	"$top"/Documentation/*/*.rst)
awk -v dir="$tmp/c/" '
	FNR == 1 { n = block = 0; page = FILENAME; gsub(".*/", "", page) }
	/^[^ ]/ { block = 0 }
	block { print >block }
	/^\.\. code-block:: c$/ { block = dir page "." ++n ".c" }' "${pages[@]}"
programs=0
for file in "$tmp"/c/*.c; do
	grep -q '#include' "$file" || continue
	programs=$((programs + 1))
	check "${file##*/} compiles" "${CC:-cc}" -std=gnu11 -Wall -Wextra \
		-Werror -fsyntax-only -I "$top/include" "$file"
done
check "there are programs" [ "$programs" -gt 5 ]

finish
