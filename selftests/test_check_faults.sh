#!/bin/sh
# SPDX-License-Identifier: MIT
#
# scripts/check-faults: which ends of a program it takes for a fault of the
# library, and when it has tried all calls. Its programs are scripts.
set -u

program=scripts/check-faults
# shellcheck source=selftests/shell-helpers
. "${0%/*}/shell-helpers"
mkdir -p "$tmp/selftests/static" "$tmp/samples/wordfreq" "$tmp/samples/queries"
export FAULTS_SECONDS=0 KINDS=failslab TIMEOUT=2 TEST_PROGS=test_it

# Three calls; what the program does when one of them fails.
makes()		# file, command
{
	cat >"$1" <<END
#!/bin/bash
n=\${RN_FAILSLAB#nth=}
if [ "\$n" -gt 3 ]; then
	echo "libslab: FAULT_INJECTION: failslab: 2 calls, 0 failed" >&2
	echo "libslab: FAULT_INJECTION: failslab: 3 calls, 0 failed" >&2
	exit 0
fi
$2
END
	chmod +x "$1"
}

# judges VERDICT COMMAND: of a test that does that
judges()
{
	makes "$tmp/selftests/static/test_it" "$2"
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

check "it is told" judges "^ok     test_it, failslab: 3 of 3 calls, up to 3$" \
	"exit 0"
check "a test may fail" judges "^ok " "echo 'Assertion failed'; exit 1"
check "a signal" judges "n=1: signal 6;" 'kill -ABRT $$'
check "all calls are tried" judges "n=3: signal 11;" 'kill -SEGV $$'
# shellcheck disable=SC2016 # the program's
check "a hang" judges "n=1: stopped after 2 seconds;" \
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
	"$asan; echo '    #0 0x1 in rn_free mm/kmalloc.c:1'; $own; exit 1"
check "no start, and RN_NOFAIL" judges "^ok " \
	"echo 'libslab: cannot start: no'; echo 'ERROR: AddressSanitizer: ABRT'
	echo '    #4 0x1 in alloc_fail mm/kmalloc.c:1'; exit 1"
check "another fault of its own" judges "heap-use-after-free" \
	"echo 'ERROR: AddressSanitizer: heap-use-after-free'; $own; exit 1"
check "the second report" judges "ERROR: AddressSanitizer: SEGV" \
	"$asan; $own; echo; $asan; $frame; exit 1"
check "undefined behaviour" judges "runtime error: shift" \
	"echo 'mm/slub.c:1:1: runtime error: shift'; exit 1"
check "a sample may fail" sample "^ok     wordfreq" "exit 1"
check "but not like that" sample "n=1: exit 2;" "exit 2"
check "nor use a NULL" sample "ERROR: AddressSanitizer" "$asan; $own; exit 1"
makes "$tmp/selftests/static/test_it" "exit 0"
check "it counts" sh -c "$program $tmp it | grep -qx \
	'4 runs, 3 failures, [0-9]* seconds'"
check "nothing ran" sh -c "! $program $tmp nothing >/dev/null"
makes "$tmp/selftests/static/test_it" "exit 0"
echo 'kill -SEGV $$' >>"$tmp/selftests/static/test_it"
sed -i '/exit 0/d' "$tmp/selftests/static/test_it"
check "what fails by itself" sh -c "$program $tmp it | grep -qx \
	'skip   test_it: fails by itself: signal 11'"
check "no folder" gives 2 "$tmp/nowhere"
finish
