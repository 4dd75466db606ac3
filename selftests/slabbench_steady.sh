#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "slabbench steady": to look for memory that could go back costs next to
# nothing where there is none, and the command says what it costs.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

most=1.02	# times the instructions without

# row NAME COLUMN: of the table
row()
{
	awk -v name="$1" -v column="$2" '$1 == name { print $column }' \
		"$tmp/table"
}

at_most()	# number, most
{
	awk -v x="$1" -v most="$2" 'BEGIN { exit !(x != "" && x <= most) }'
}

# What callgrind is to count is told; with operations it is as much more.
fake_valgrind()
{
	cat <<-'END'
	#!/bin/sh
	for word; do
		case $word in
		--callgrind-out-file=*) file=${word#*=} ;;
		esac
	done
	n=$(cat "$COUNT")
	echo $((n + 1)) >"$COUNT"
	echo "totals: $(sed -n "$((n + 1))p" "$TOTALS")" >"$file"
	while [ "${1#-}" != "$1" ]; do
		shift
	done
	echo "${RN_DECAY_MS-unset} ${RN_BACKGROUND-unset}" >>"$SETTINGS"
	exec "$@"
	END
}

# fake TOTAL...: in the order of the runs
fake()
{
	printf '%s\n' "$@" >"$tmp/totals"
	echo 0 >"$tmp/count"
	: >"$tmp/settings"
	env PATH="$tmp/bin:$PATH" RN_DECAY_MS=5 COUNT="$tmp/count" \
		TOTALS="$tmp/totals" SETTINGS="$tmp/settings" \
		"$bench" steady -n 1000 --count 10 --json "$tmp/json" \
		>"$tmp/table" 2>"$tmp/err"
}

says_so()
{
	fake "$@"
	[ $? -eq 1 ] && grep -q "$text" "$tmp/err"
}

check "help" gives 0 steady --help
check "no operations" refuses 2 "-n: 0 is not within" steady -n 0
check "no objects" refuses 2 "--count: 0 is not within" steady --count 0
check "an argument" refuses 2 "only options" steady mixed
env PATH="$tmp/none" "$bench" steady >"$tmp/out" 2>"$tmp/err"
check "without valgrind" [ $? -eq 3 ]
check "that is said" grep -q "steady needs valgrind" "$tmp/err"

mkdir "$tmp/bin"
fake_valgrind >"$tmp/bin/valgrind"
chmod +x "$tmp/bin/valgrind"
check "counted" fake 100 10100 200 11200 100 10000
cp "$tmp/err" "$tmp/out"
check "with decay switched off: the difference" [ "$(row off 2)" = 10000 ]
check "and as it is" [ "$(row default 2)" = 11000 ]
check "per operation" [ "$(row default 3)" = 11.0 ]
check "more of them" [ "$(row default 4)" = 1.00 ]
check "the ratio" [ "$(row default 5)" = 1.1000 ]
check "with the thread" [ "$(row background 5)" = 0.9900 ]
check "a line for each" lines "$tmp/json" 3
check "the ratio in them" [ "$(value ratio | tr '\n' ' ')" = "1.0 1.1 0.99 " ]
check "each with its settings, whatever the user's" [ "$(uniq "$tmp/settings" |
	tr '\n' ,)" = "-1 0,unset unset,unset 1," ]
text="has counted nothing"
check "a count that is missing" says_so 0
text="1000 instructions with operations, and 1000 without"
check "a count that cannot be" says_so 1000 1000

if [ -n "${SAN:-}" ]; then
	echo "SKIP callgrind: valgrind does not take SAN=$SAN"
	finish
	exit
fi
if ! command -v valgrind >/dev/null; then
	echo "SKIP callgrind: valgrind is not among the programs here"
	finish
	exit
fi
check "counted by callgrind" gives 0 steady -n 600000
cp "$tmp/out" "$tmp/table"
for setting in default background; do
	check "reclaim, $setting: instructions" \
		at_most "$(row $setting 5)" $most
done
finish
