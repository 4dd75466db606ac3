#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_corruption.sh [mode ...]
#
# What each mistake ends in, in each mode: Documentation/admin-guide/
# corruption.csv has the programs and the words, "one or another", and none where
# it comes through; "by chance: words" is either.
#
# Without arguments all modes but those of a sanitizer, which are for "make
# check-valgrind": it has the programs of ASan in $CRASH.
set -u

# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"

top=$(cd "${0%/*}/.." && pwd)
table=$top/Documentation/admin-guide/corruption.csv
crash=${CRASH:-$(cd "${SLAB_OBJ:-.}" && pwd)/selftests/static/crash}
wanted=${*:-default hardened KFENCE debug}
ulimit -c 0

# What a column of the table stands for.
setting()	# mode
{
	case $1 in
	default) echo RN_SLAB_DEBUG=- ;;
	hardened) echo RN_HARDENED=1 RN_INIT_ON_FREE=1 ;;
	KFENCE) echo RN_KFENCE=1 RN_KFENCE_INTERVAL=1 ;;
	debug) echo RN_SLAB_DEBUG=FZPU ;;
	memcheck) echo valgrind -q --error-exitcode=134 ;;
	ASan) echo ASAN_OPTIONS="${ASAN_OPTIONS:-}:exitcode=134" ;;
	*) return 1 ;;
	esac
}

# ends_in SETTING WORDS PROGRAM [ARGUMENT...]
ends_in()
{
	with=$1
	words=$2
	program=$crash/$3
	shift 3
	built "$program"
	# shellcheck disable=SC2086 # both may be several words
	env $with ${EMULATOR:-} "$program" "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	if [ "$got" = 0 ]; then
		[[ $words == "" || $words == "by chance: "* ]] &&
			[ ! -s "$tmp/err" ]
	else
		words=${words#by chance: }
		[ "$got" = 134 ] && [ -n "$words" ] &&
			grep -qF -- "${words// or /$'\n'}" "$tmp/err"
	fi
}

# One line for each cell: mode|words|program.
python3 - "$table" >"$tmp/cells" <<'END'
import csv, sys

for row in csv.DictReader(open(sys.argv[1])):
    for mode in list(row)[2:]:
        print(mode, row[mode], row['program'], sep='|')
END
while IFS='|' read -r mode words program; do
	[[ " $wanted " == *" $mode "* ]] || continue
	with=$(setting "$mode") || { echo "mode $mode?"; exit 1; }
	# shellcheck disable=SC2086 # the program and its arguments
	check "$program, $mode" ends_in "$with" "$words" $program
done <"$tmp/cells"

finish
