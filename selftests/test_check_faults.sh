#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts/check-faults: which ends of a program it takes for a fault of the
# library, and when it has tried all calls. Its programs are scripts.
set -u

program=scripts/check-faults
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
mkdir -p "$tmp/selftests/shared" "$tmp/selftests/static" \
	"$tmp/samples/wordfreq" "$tmp/samples/queries"
export KINDS=failslab TIMEOUT=2 TEST_PROGS=test_it JOBS=1

# Three places; what the program does when one of them fails, by its number.
makes()		# file, command
{
	cat >"$1" <<END
#!/bin/bash
if [[ \${RN_FAILSLAB:-} == nth=* ]]; then
	n=\${RN_FAILSLAB#nth=}
	[ "\$n" -gt 3 ] && exit 0
elif [ -n "\${RN_FAILSLAB:-}" ]; then
	file=\${RN_FAILSLAB#once=}
	n=\$((\$(wc -c <"\$file") / 8 + 1))
	[ "\$n" -gt 3 ] && exit 0
	printf %08d "\$n" >>"\$file"
else
	exit 0
fi
echo "libslab: FAULT_INJECTION: forcing a failure: name failslab"
$2
END
	chmod +x "$1"
}

# judges VERDICT COMMAND: of a test that does that
judges()
{
	makes "$tmp/selftests/shared/test_it" "$2"
	"$program" "$tmp" it >"$tmp/out" 2>"$tmp/err"
	code=$?
	grep -qE -- "$1" "$tmp/out" || return
	case $1 in
	^ok*)	[ $code = 0 ] ;;
	*)	[ $code = 1 ] ;;
	esac
}

# sample VERDICT COMMAND
sample()
{
	makes "$tmp/samples/wordfreq/wordfreq" "$2"
	"$program" "$tmp" wordfreq >"$tmp/out" 2>"$tmp/err"
	grep -qE -- "$1" "$tmp/out"
}

asan='echo "ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000"'
frame='echo "    #0 0x1 in f mm/slub.c:1"'
own='echo "    #0 0x1 in f selftests/test_it.c:1"'

# in_library FUNCTION: a NULL pointer, in what the test called
in_library()
{
	echo "$asan; echo '    #0 0x1 in $1 mm/kmalloc.c:1'; $own; exit 1"
}

check "it is told" judges "^ok     test_it: 3 places, [0-9]+ s$" "exit 0"
check "a test may fail" judges "^ok " "echo 'Assertion failed'; exit 1"
# shellcheck disable=SC2016 # the program's
check "a signal" judges "test_it, 1: signal 6;" 'kill -ABRT $$'
# shellcheck disable=SC2016
check "all places are tried" judges "test_it, 3: signal 11;" 'kill -SEGV $$'
# shellcheck disable=SC2016
check "a hang" judges "test_it, 1: stopped after 2 seconds;" \
	'[ "$n" = 1 ] && sleep 60; exit 0'
check "a signal in a test" judges "Received signal 6" \
	'echo "x.c:1:E: Received signal 6 (Aborted)"; exit 1'
check "a test that hangs" judges "Test timeout expired" \
	'echo "x.c:1:E: Test timeout expired"; exit 1'
check "the library's own check" judges "RN_FAULT_CHECK: pages" \
	'echo "libslab: RN_FAULT_CHECK: pages"; exit 1'
check "a sanitizer" judges "ERROR: AddressSanitizer" "$asan; $frame; exit 1"
check "below a test's own" judges "ERROR: AddressSanitizer" \
	"$asan; $own; $frame; exit 1"
check "a test's own NULL" judges "^ok " "$asan; $own; exit 1"
check "a NULL that it hands over" judges "^ok " \
	"$(in_library rn_cache_alloc)"
check "likewise, by a tail call" judges "^ok " \
	"$(in_library cache_alloc_slow)"
for name_ in rn_free free_slow rn_free_sized rn_cache_destroy; do
	check "$name_(NULL) is allowed" judges "ERROR: AddressSanitizer" \
		"$(in_library $name_)"
done
check "a function of no name" judges "ERROR: AddressSanitizer" \
	"$(in_library slab_free)"
check "no start, and RN_NOFAIL" judges "^ok " \
	"echo 'libslab: cannot start: no'
	echo 'libslab: RN_NOFAIL: a request of 8 bytes can never be met'
	echo 'ERROR: AddressSanitizer: ABRT'
	echo '    #4 0x1 in alloc_fail mm/kmalloc.c:1'; exit 1"
check "RN_NOFAIL alone" judges "ERROR: AddressSanitizer: ABRT" \
	"echo 'libslab: RN_NOFAIL: a request of 8 bytes can never be met'
	echo 'ERROR: AddressSanitizer: ABRT'
	echo '    #4 0x1 in alloc_fail mm/kmalloc.c:1'; exit 1"
check "another fault of its own" judges "heap-use-after-free" \
	"echo 'ERROR: AddressSanitizer: heap-use-after-free'; $own; exit 1"
check "the second report" judges "ERROR: AddressSanitizer: SEGV" \
	"$asan; $own; echo; $asan; $frame; exit 1"
check "undefined behaviour" judges "runtime error: shift" \
	"echo 'mm/slub.c:1:1: runtime error: shift'; exit 1"
check "a sample may fail" sample "^ok     wordfreq" "exit 1"
check "but not like that" sample "wordfreq, 1: exit 2;" "exit 2"
check "nor use a NULL" sample "ERROR: AddressSanitizer" "$asan; $own; exit 1"
makes "$tmp/selftests/shared/test_it" "exit 0"
check "it counts" sh -c "$program $tmp it | grep -qx \
	'4 runs, 3 places, [0-9]* seconds'"
check "the first calls" sh -c "FAULTS_FIRST=2 $program $tmp it | grep -qx \
	'6 runs, 3 places, [0-9]* seconds'"
check "no more than there are" sh -c "FAULTS_FIRST=9 $program $tmp it |
	grep -qx '8 runs, 3 places, [0-9]* seconds'"
check "nothing ran" sh -c "! $program $tmp nothing >/dev/null"
makes "$tmp/selftests/static/test_it" "exit 0"
check "all of it" sh -c "FAULTS_FULL=1 $program $tmp it | grep -qx \
	'8 runs, 3 places, [0-9]* seconds'"
# shellcheck disable=SC2016
makes "$tmp/selftests/shared/test_it" '[ "$n" = 1 ] && sleep 1.1; exit 0'
check "a limit is told" sh -c "FAULTS_SECONDS=1 $program $tmp it |
	grep -qx 'ok     test_it: 1 places, [0-9]* s, cut short'"
sed -i 's/exit 0/exit 1/' "$tmp/selftests/shared/test_it"
check "what fails by itself" sh -c "$program $tmp it |
	grep -q 'test_it, itself: fails with nothing injected: exit 1;'"
check "no folder" gives 2 "$tmp/nowhere"
finish
