#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Programs that end by themselves, over libslabmalloc.so: a database, two
# interpreters, the compiler, git, and one that does nothing but stress.
set -u

# shellcheck source=selftests/malloc-helpers
. "${0%/*}/malloc-helpers"

# --- sqlite3 ---

do_sqlite()
{
	run sqlite3 shop.db <"$programs/shop.sql"
	sum sqlite3 shop.db .dump
	run sqlite3 copy.db '.restore shop.db'
	sum sqlite3 copy.db .dump
}
needs sqlite sqlite3 && both sqlite do_sqlite sqlite3

# --- a part of Python's own tests ---

python=/usr/bin/python3
modules="test_gc test_re test_dict test_list test_ordered_dict test_collections
	test_thread test_mmap test_threading.ThreadTests
	test_threading.ThreadJoinOnShutdown test_subprocess.RunFuncTestCase
	test_multiprocessing_fork.WithProcessesTestPool"

do_python()
{
	# shellcheck disable=SC2046,SC2086 # a list of words
	run env PYTHONMALLOC=malloc $python "$programs/suite.py" outcomes \
		$(printf 'test.%s ' $modules) >log 2>&1 || {
		grep -A 30 failed outcomes || tail -n 30 log
		return 1
	}
	cat outcomes
}

has_python_tests()
{
	$python -c 'import test.test_re' 2>/dev/null &&
		return
	echo "SKIP python: its own tests are not among the programs here"
	return 1
}
needs python $python && has_python_tests &&
	both python do_python python3 env

# --- node ---

do_node()
{
	run node "$programs/work.js"
}
needs node node && both node do_node node

# --- the compilers ---

# The whole of mm/ as one unit, which is a large one, and templates of templates.
do_gcc()
(
	cd "$tmp/source"
	run gcc -std=gnu11 -O1 -flto=2 -frandom-seed=1 -shared -fPIC \
		-Iinclude -Iarch/x86/include -Iarch/arm64/include -Imm \
		-DRN_VERSION='"0"' -o "$tmp/work/mm.so" mm/*.c mm/debug/*.c
	sum cat "$tmp/work/mm.so"
)

templates()
{
	cat <<-END
	#include <map>
	#include <variant>
	#include <vector>
	template <int N> struct deep {
		std::map<int, std::variant<int, std::vector<deep<N - 1>>>> m;
	};
	template <> struct deep<0> { int x; };
	void f(deep<8> &d)
	{
		d.m[1] = 2;
	}
	END
}

do_cxx()
{
	templates >templates.cc
	run g++ -std=c++17 -O1 -g -c -o templates.o templates.cc
	sum cat templates.o
}
needs gcc gcc && copy_source && both gcc do_gcc gcc cc1 lto1 as
needs g++ g++ && both g++ do_cxx g++ cc1plus as

# --- git, on this repository ---

packs()
{
	sum cat .git/objects/pack/*.pack
	sum git cat-file --batch-all-objects --batch-check
}

do_git()
{
	run git clone -q --no-local "$tmp/repository" clone
	cd clone
	run git fsck --full --strict
	run git log --stat -M -n 30 >history
	run git log -p --no-color -n 40 >>history
	sum cat history
	run git grep -n 'return' HEAD -- '*.[ch]' >found
	sum cat found
	sum git blame --line-porcelain HEAD -- Makefile
	sum git archive --format=tar HEAD
	# By one thread the packs are the same to the byte; by two, what is in
	# them.
	run git repack -q -a -d -f --depth=20 --window=5 --threads=1
	packs
	run git repack -q -a -d -f --depth=20 --window=5 --threads=2
	sum git cat-file --batch-all-objects --batch-check
	run git -c gc.auto=1 -c pack.threads=2 gc -q --prune=now
	run git fsck --full
	sum git rev-list --all --objects
}

# Others may be at work here: both runs start from one copy.
has_repository()
{
	git config --global safe.directory '*'
	git clone -q --bare --no-local . \
		"$tmp/repository" 2>"$tmp/err" && return
	echo "SKIP git: no repository here for one of the programs to work on"
	return 1
}
needs git git && has_repository && both git do_git git

# --- stress-ng ---

# How often each did it is asked for, and must be so.
do_stress()
{
	run stress-ng --seed 3 --timeout 40 --metrics-brief --verify \
		--yaml done.yaml \
		--malloc 2 --malloc-ops 8000 --malloc-bytes 256K \
		--malloc-pthreads 2 --malloc-touch \
		--bigheap 1 --bigheap-ops 1000 \
		--fork 2 --fork-ops 600 --vfork 2 --vfork-ops 600 \
		--pthread 2 --pthread-ops 600 >log 2>&1 || { cat log; return 1; }
	grep -E 'stressor:|bogo-ops:' done.yaml
}
needs stress-ng stress-ng && both stress-ng do_stress stress-ng

finish_parts
