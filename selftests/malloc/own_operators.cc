// SPDX-License-Identifier: MIT
/*
 * A program that replaces the two operators that the standard lets all others
 * be made of: each form must go through them.
 */
#include "preload.h"

#include <new>

/* That the sized forms are not defined here is what is tested. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wsized-deallocation"
#endif

static unsigned int news, deletes;

void *operator new(std::size_t size)
{
	news++;
	return malloc(size);
}

void operator delete(void *p) noexcept
{
	deletes++;
	free(p);
}

static void went_through(unsigned int n)
{
	must(news == n && deletes == n);
}

int main()
{
	void *p;

	must_be_slabmalloc();
	p = ::operator new(5);
	::operator delete(p);
	went_through(1);
	p = ::operator new[](5);
	::operator delete[](p);
	went_through(2);
	p = ::operator new(5, std::nothrow);
	::operator delete(p, std::nothrow);
	went_through(3);
	p = ::operator new[](5, std::nothrow);
	::operator delete[](p, std::nothrow);
	went_through(4);
	p = ::operator new(5);
	::operator delete(p, static_cast<std::size_t>(5));
	went_through(5);
	p = ::operator new[](5);
	::operator delete[](p, static_cast<std::size_t>(5));
	went_through(6);
	return 0;
}
