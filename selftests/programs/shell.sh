#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What a shell does with memory: subshells, here-documents, arrays, loops that
# read, substitutions, traps and coprocesses.
set -euo pipefail

numbers=()
declare -A squares words

for ((i = 0; i < 4000; i++)); do
	numbers+=("$((i * 7919 % 4001))")
	squares[$i]=$((i * i))
done
echo "${#numbers[@]} ${numbers[*]:100:20} ${squares[3999]}"
numbers=("${numbers[@]/7/seven}")
unset 'numbers[5]' 'squares[77]'
echo "${#numbers[@]} ${#squares[@]} ${numbers[*]: -5}"

while read -r word count; do
	words[$word]=$((${words[$word]:-0} + count))
done < <(for i in {1..3000}; do echo "word$((i % 97)) $i"; done)
for word in "${!words[@]}"; do
	echo "$word ${words[$word]}"
done | sort | head -n 20

total=0
while IFS=, read -r -a fields; do
	total=$((total + fields[1] + ${#fields[@]}))
done <<END
$(for i in {1..1500}; do echo "row,$i,$(printf '%*s' $((i % 60)) x),end"; done)
END
echo "total $total"

nested()
{
	local depth=$1

	[ "$depth" -gt 0 ] || { echo "bottom"; return; }
	(nested $((depth - 1)); echo "up $depth $(printf %s "$depth" | tr 0-9 a-j)")
}
nested 25

text=$(printf 'some text %d;' {1..4000})
echo "${#text} ${text//text/other} ${text^^}" | cksum
[[ $text =~ (text\ 39[0-9]+;)+ ]] && echo "${BASH_REMATCH[0]}"
mapfile -t lines < <(tr ';' '\n' <<<"$text")
echo "${#lines[@]} ${lines[3000]}"

coproc upper { while read -r line; do echo "${line^^}"; done; }
for i in {1..200}; do
	echo "line $i" >&"${upper[1]}"
	read -r answer <&"${upper[0]}"
done
echo "$answer"

trap 'seen=$((seen + 1))' USR1
seen=0
for i in {1..50}; do
	kill -USR1 $$
done
echo "signals $seen"

for i in {1..40}; do
	(exit $((i % 3))) &
	wait $! || echo -n "$? "
done
echo
eval "f() { cat <<-END
	$(printf 'a line in a function %d\n' {1..300})
	END
}"
f | tail -n 3
declare -f f | cksum
