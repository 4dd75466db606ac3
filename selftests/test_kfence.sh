#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Objects between guard pages in programs that know nothing of them, with a
# sample each millisecond; and what it takes with one each 100.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

wordfreq=$obj/samples/wordfreq/wordfreq
built "$wordfreq"
RN_LADDER=thp,small
RN_KFENCE=1
RN_KFENCE_INTERVAL=1
export RN_LADDER RN_KFENCE RN_KFENCE_INTERVAL

# --- programs ---

figure()	# name
{
	awk -v name="$1" '$1 == name { print $2 }' "$tmp/vmstat"
}

# sampled COMMAND...: it ends well and silently, and not without samples
sampled()
{
	timeout -k 5 "$limit" env RN_VMSTAT="$tmp/vmstat" \
		LD_PRELOAD="$slabmalloc" "$@" >"$tmp/out" 2>"$tmp/err" || return
	[ ! -s "$tmp/err" ] && [ "$(figure kfence_allocs)" -gt 0 ] &&
		[ "$(figure kfence_bugs)" = 0 ]
}

sampled_if()	# program, argument...
{
	if command -v "$1" >/dev/null; then
		check "$1" sampled "$@"
	else
		echo "SKIP $1: it is not installed"
	fi
}

sampled_if ls -lR "$obj/mm"
# The driver alone would be through before a sample is due.
for i in $(seq 300); do
	echo "int f$i(int a, int b) { return a % $i ? b * a : a - b; }"
done >"$tmp/many.c"
if command -v gcc >/dev/null; then
	check gcc sampled "$(gcc -print-prog-name=cc1)" -quiet -O2 \
		-o "$tmp/many.s" "$tmp/many.c"
else
	echo "SKIP gcc: it is not installed"
fi
sampled_if python3 -c 'import json, os, subprocess, threading
d = [{str(i): list(range(i % 50))} for i in range(2000)]
def work():
    for i in range(5):
        assert json.loads(json.dumps(d)) == d
t = [threading.Thread(target=work) for i in range(4)]
[x.start() for x in t]
for i in range(5):
    subprocess.run(["true"], check=True)
    pid = os.fork()
    if not pid:
        assert json.loads(json.dumps(d)) == d
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
[x.join() for x in t]'
sampled_if sqlite3 :memory: 'create table t(a primary key, b);
insert into t select value, hex(randomblob(40)) from generate_series(1, 5000);
delete from t where a % 3; select count(*), max(length(b)) from t;'
in_both "plain" over plain
in_both "threads come and go" over threads churn
in_both "threads with 16 KiB of stack" over threads stacks
in_both "children of vfork()" over background vfork
in_both "500 forks under load" over forks loop 500
[ ! -x "$programs/containers" ] || in_both "C++" over containers

# --- a report of free() ---

cat >"$tmp/twice.c" <<'END'
#include <malloc.h>
#include <stdlib.h>
int main(void)
{
	for (;;) {
		char *volatile p = malloc(60);
		size_t size = malloc_usable_size(p);

		free(p);
		/* Only of what is guarded. */
		if (size == 60)
			free(p);
	}
}
END
${CC:-cc} -w -o "$tmp/twice" "$tmp/twice.c" || exit 1
reported()
{
	timeout -k 5 "$limit" env LD_PRELOAD="$slabmalloc" "$tmp/twice" \
		>"$tmp/out" 2>"$tmp/err"
	[ $? = 134 ] && grep -q '^BUG: KFENCE: invalid free in ' "$tmp/err" &&
		grep -q '^freed by task ' "$tmp/err"
}

check "a double free is reported with both stacks" reported

# --- what it costs ---

# Instructions that a program takes.
instructions()	# program...
{
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" \
		2>&1 >/dev/null | awk '/Collected :/ { print $NF }'
}

# Under 1 % more; valgrind takes 50 times as long, and so are samples denser.
is_cheap()	# program...
{
	off=$(RN_KFENCE=0 instructions "$@")
	on=$(RN_KFENCE_INTERVAL=100 instructions "$@")
	echo "$off instructions, $on with samples" >"$tmp/out"
	[ -n "$off" ] && [ -n "$on" ] && [ "$on" -gt "$off" ] &&
		[ $(((on - off) * 100)) -lt "$off" ]
}

if command -v valgrind >/dev/null; then
	for _ in 1 2 3 4 5 6 7 8; do
		cat mm/*.c mm/debug/*.c selftests/*.c
	done >"$tmp/text"
	check "under 1 % of instructions" is_cheap "$wordfreq" -q "$tmp/text"
else
	echo "SKIP instructions: valgrind is not installed"
fi

finish
