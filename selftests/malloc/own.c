// SPDX-License-Identifier: MIT
/*
 * A program with a malloc of its own: that is the one that all use, whatever
 * was preloaded.
 */
#include "preload.h"

static _Alignas(16) char memory[4 << 20];
static size_t used;

static char *take(size_t size)
{
	size_t at = __atomic_fetch_add(&used, (size + 31) & ~(size_t)15,
				       __ATOMIC_RELAXED);

	return at + size < sizeof(memory) ? memory + at : NULL;
}

void *malloc(size_t size)
{
	return take(size);
}

void free(void *p)
{
	char *c = p;

	if (c && (c < memory || c >= memory + sizeof(memory)))
		abort();
}

void *calloc(size_t n, size_t size)
{
	return take(n * size);
}

void *realloc(void *p, size_t size)
{
	char *q = take(size);

	/* May copy what is behind the object: it is all one array. */
	return p && q ? memmove(q, p, size) : q;
}

int main(void)
{
	char *p = strdup("by the C library"), *printed = NULL;

	must(dlsym(RTLD_DEFAULT, "malloc") == (void *)malloc);
	must(dlsym(RTLD_DEFAULT, "mallinfo2"));
	must(p >= memory && p < memory + sizeof(memory));
	must(asprintf(&printed, "%s", p) > 0);
	must(printed >= memory && printed < memory + sizeof(memory));
	free(printed);
	free(p);
	return 0;
}
