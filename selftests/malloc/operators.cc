// SPDX-License-Identifier: MIT
/*
 * Every form of operator new and delete, with memory and without.
 */
#include "preload.h"

#include <cstddef>
#include <cstdint>
#include <malloc.h>
#include <new>

using std::align_val_t;
using std::nothrow;
using std::size_t;

static const align_val_t on_256 = align_val_t(256);
static volatile size_t too_much = static_cast<size_t>(1) << 46;

/* The least object of the C library is larger. */
static void from_here(void *p)
{
	must(p && malloc_usable_size(p) == 8);
}

static void on_boundary(void *p)
{
	must(p && reinterpret_cast<uintptr_t>(p) % 256 == 0);
	must(malloc_usable_size(p) >= 300);
	memset(p, 1, 300);
}

static void plain_forms()
{
	void *p;

	from_here(p = ::operator new(5));
	::operator delete(p);
	from_here(p = ::operator new(5));
	::operator delete(p, static_cast<size_t>(5));
	from_here(p = ::operator new(5, nothrow));
	::operator delete(p, nothrow);
	from_here(p = ::operator new[](5));
	::operator delete[](p);
	from_here(p = ::operator new[](5));
	::operator delete[](p, static_cast<size_t>(5));
	from_here(p = ::operator new[](5, nothrow));
	::operator delete[](p, nothrow);
	::operator delete(nullptr);
	::operator delete[](nullptr);
}

static void aligned_forms()
{
	const size_t n = 300;
	void *p;

	on_boundary(p = ::operator new(n, on_256));
	::operator delete(p, on_256);
	on_boundary(p = ::operator new(n, on_256));
	::operator delete(p, n, on_256);
	on_boundary(p = ::operator new(n, on_256, nothrow));
	::operator delete(p, on_256, nothrow);
	on_boundary(p = ::operator new[](n, on_256));
	::operator delete[](p, on_256);
	on_boundary(p = ::operator new[](n, on_256));
	::operator delete[](p, n, on_256);
	on_boundary(p = ::operator new[](n, on_256, nothrow));
	::operator delete[](p, on_256, nothrow);
}

static void size_0()
{
	void *p = ::operator new(0), *q = ::operator new(0);

	must(p && q && p != q);
	::operator delete(p);
	::operator delete(q);
}

template <typename New> static bool throws(New take)
{
	try {
		take();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void without_memory()
{
	must(throws([] { return ::operator new(too_much); }));
	must(throws([] { return ::operator new[](too_much); }));
	must(throws([] { return ::operator new(too_much, on_256); }));
	must(throws([] { return ::operator new[](too_much, on_256); }));
	must(!::operator new(too_much, nothrow));
	must(!::operator new[](too_much, nothrow));
	must(!::operator new(too_much, on_256, nothrow));
	must(!::operator new[](too_much, on_256, nothrow));
}

/* --- the handler --- */

static int calls;

static void give_up()
{
	calls++;
	std::set_new_handler(nullptr);
}

/* What is held back is what there is not enough of without it. */
static void *held_back;

static void free_it()
{
	calls++;
	free(held_back);
	held_back = nullptr;
	std::set_new_handler(nullptr);
}

/* Run with RLIMIT_AS of 1 GiB or so. */
static void handler_that_frees(size_t bytes)
{
	void *p;

	calls = 0;
	held_back = malloc(bytes);
	must(held_back);
	std::set_new_handler(free_it);
	must(p = ::operator new(bytes));
	must(calls == 1 && !held_back);
	::operator delete(p);

	held_back = malloc(bytes);
	must(held_back);
	std::set_new_handler(free_it);
	must(p = ::operator new(bytes, on_256));
	must(calls == 2 && !held_back);
	::operator delete(p, on_256);
}

static void handler_that_gives_up()
{
	calls = 0;
	std::set_new_handler(give_up);
	must(throws([] { return ::operator new(too_much); }));
	must(calls == 1);
	std::set_new_handler(give_up);
	must(!::operator new(too_much, nothrow));
	must(calls == 2);
}

int main(int argc, char **argv)
{
	must_be_slabmalloc();
	if (argc == 2) {
		handler_that_frees(strtoul(argv[1], nullptr, 0) << 20);
		return 0;
	}
	plain_forms();
	aligned_forms();
	size_0();
	without_memory();
	handler_that_gives_up();
	return 0;
}
