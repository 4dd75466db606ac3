#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The malloc replacement with a background thread, and with memory that goes back
# at once, in programs that know nothing of either.
set -u

# shellcheck source=selftests/preload-helpers
. "${0%/*}/preload-helpers"

RN_BACKGROUND=1
RN_DECAY_MS=80
export RN_BACKGROUND RN_DECAY_MS

in_both "the thread comes" over background comes
in_both "memory falls while the program does nothing" over background falls
in_both "the main thread leaves" over background leaves
in_both "children of vfork()" over background vfork
RN_BACKGROUND=0 RN_DECAY_MS=-1 in_both "malloc_trim()" over background trim

# --- beside what programs do ---

same()	# text, command...
{
	want=$1
	shift
	LD_PRELOAD=$slabmalloc timeout -k 5 "$limit" "$@" \
		>"$tmp/out" 2>"$tmp/err" || {
		echo "$*: exit code $?"
		return 1
	}
	[ "$(cat "$tmp/out")" = "$want" ] && ! [ -s "$tmp/err" ]
}

# shellcheck disable=SC2016 # the inner shell's
pipes='for i in 1 2 3 4 5; do (echo $i; sleep 0.1) | cat; done | wc -l'
python='
import os, subprocess, threading, time
def work():
    for i in range(20):
        x = [str(k) * 10 for k in range(20000)]
        time.sleep(0.01)
threads = [threading.Thread(target=work) for i in range(3)]
[t.start() for t in threads]
for i in range(10):
    subprocess.run(["true"], check=True)
    pid = os.fork()
    if not pid:
        x = [str(k) for k in range(100000)]
        time.sleep(0.05)
        x = [str(k) for k in range(100000)]
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
[t.join() for t in threads]
print("done")
'
for ms in 8 0; do
	RN_DECAY_MS=$ms
	check "ls, $ms ms" same / ls -d /
	check "a shell with pipes, $ms ms" same 5 sh -c "$pipes"
	if command -v bash >/dev/null; then
		check "bash, $ms ms" same 5 bash -c "$pipes"
	fi
	if command -v python3 >/dev/null; then
		check "python3, $ms ms" same "done" python3 -c "$python"
	else
		echo "SKIP python3: it is not installed"
	fi
	check "it comes early, $ms ms" over early
	check "threads come and go, $ms ms" over threads churn
	check "threads with 16 KiB of stack, $ms ms" over threads stacks
	check "threads are cancelled, $ms ms" over threads cancel
	check "handlers interrupt fast paths only, $ms ms" over signals fast 2
	check "posix_spawn, $ms ms" over forks spawn 50
	check "double forks, $ms ms" over forks double 100
	check "500 forks under load, $ms ms" over forks loop 500
done

finish
