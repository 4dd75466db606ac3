// SPDX-License-Identifier: MIT
/*
 * Memory of the C library's own malloc, as from before it was replaced: it is
 * freed, made larger, and asked for its size by the replacement's functions.
 */
#include "preload.h"

#include <errno.h>
#include <malloc.h>

void *__libc_malloc(size_t size);
void *__libc_memalign(size_t align, size_t size);

int main(void)
{
	must_be_slabmalloc();
	for (size_t size = 1; size < 1 << 20; size = size * 3 / 2 + 1) {
		char *p = __libc_malloc(size), *q = __libc_malloc(size);
		char *aligned = __libc_memalign(4096, size);

		must(p && q && aligned);
		memset(p, 5, size);
		memset(q, 6, size);
		must(malloc_usable_size(p) >= size);
		must(p = realloc(p, 2 * size));
		must(p[0] == 5 && p[size - 1] == 5);
		must(p = realloc(p, size));
		must(p[0] == 5 && p[size - 1] == 5);
		errno = 4711;
		free(p);
		free(aligned);
		must(errno == 4711);
		must(!realloc(q, 0));
	}
	use_memory(1000);
	return 0;
}
