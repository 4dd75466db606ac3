// SPDX-License-Identifier: MIT
/*
 * Valgrind's client requests; nowhere else are its macros.
 */
#include "memcheck.h"

#ifdef RN_MEMCHECK

#include <valgrind/memcheck.h>

/* Other tools of valgrind's do not know the request. */
bool memcheck_runs(void)
{
	char byte = 0;

	return VALGRIND_MAKE_MEM_DEFINED(&byte, sizeof(byte));
}

void memcheck_forbid(const void *p, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(p, size);
}

void memcheck_allow(const void *p, size_t size, bool written)
{
	if (written)
		VALGRIND_MAKE_MEM_DEFINED(p, size);
	else
		VALGRIND_MAKE_MEM_UNDEFINED(p, size);
}

void memcheck_alloc(const void *p, size_t size, bool written)
{
	VALGRIND_MALLOCLIKE_BLOCK(p, size, 0, written);
}

void memcheck_resize(const void *p, size_t old, size_t size)
{
	VALGRIND_RESIZEINPLACE_BLOCK(p, old, size, 0);
}

void memcheck_free(const void *p)
{
	VALGRIND_FREELIKE_BLOCK(p, 0);
}

void memcheck_quiet(bool quiet)
{
	if (quiet)
		VALGRIND_DISABLE_ERROR_REPORTING;
	else
		VALGRIND_ENABLE_ERROR_REPORTING;
}

/* Memcheck takes no words, but says what data a forbidden byte is in. */
void memcheck_count(void)
{
	static char libslab_fault_above;

	memcheck_forbid(&libslab_fault_above, 1);
	VALGRIND_CHECK_MEM_IS_ADDRESSABLE(&libslab_fault_above, 1);
}

#endif /* RN_MEMCHECK */
