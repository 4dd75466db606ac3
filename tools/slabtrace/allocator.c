// SPDX-License-Identifier: MIT
/*
 * The allocator that is recorded: whatever comes behind this library, another
 * one that is preloaded or the C library's.
 *
 * Looking for it may itself ask for memory. What it gets then comes from a few
 * pages here, and is never given back.
 */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#include "recorder.h"

#define EARLY_BYTES	(64UL << 10)	/* the loader asks for some hundred */
#define EARLY_ALIGN	16UL

struct functions next;
static _Alignas(EARLY_ALIGN) char early[EARLY_BYTES];
static size_t early_used;

/* NULL where there is no room left. Only the first thread is there yet. */
void *early_alloc(size_t size)
{
	size_t room = (size + EARLY_ALIGN - 1) & -EARLY_ALIGN;
	char *p = early + early_used;

	if (room < size || room > EARLY_BYTES - early_used)
		return NULL;
	early_used += room;
	return p;
}

bool is_early(const void *p)
{
	return (uintptr_t)p - (uintptr_t)early < EARLY_BYTES;
}

/* At least as many bytes as the object has; what is behind may be read. */
size_t early_room(const void *p)
{
	return early + EARLY_BYTES - (const char *)p;
}

void *next_symbol(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* False, after a message, where a program cannot be helped. */
bool next_find(void)
{
	static const char missing[] =
		"libslabtrace: there is no malloc() behind this library\n";

	next.malloc = next_symbol("malloc");
	next.calloc = next_symbol("calloc");
	next.realloc = next_symbol("realloc");
	next.free = next_symbol("free");
	next.posix_memalign = next_symbol("posix_memalign");
	next.aligned_alloc = next_symbol("aligned_alloc");
	next.memalign = next_symbol("memalign");
	if (next.malloc && next.calloc && next.realloc && next.free &&
	    next.posix_memalign && next.aligned_alloc && next.memalign)
		return true;
	if (write(STDERR_FILENO, missing, sizeof(missing) - 1) < 0)
		_exit(126);
	_exit(127);
}
