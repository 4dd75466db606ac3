// SPDX-License-Identifier: MIT
/*
 * Memory before main() and after it: in a resolver of an indirect function, in
 * .preinit_array, in constructors, at exit, in destructors.
 */
#include "preload.h"

static char *from_resolver, *from_preinit, *from_constructor, *from_main;

static int answer(void)
{
	return 42;
}

static __attribute__((used)) int (*choose(void))(void)
{
	from_resolver = malloc(100);
	if (from_resolver)
		memset(from_resolver, 1, 100);
	return answer;
}

int chosen(void) __attribute__((ifunc("choose")));

static void preinit(void)
{
	from_preinit = calloc(1, 100000);
	use_memory(100);
}

__attribute__((used, section(".preinit_array")))
static void (*const at_preinit)(void) = preinit;

static __attribute__((constructor(101))) void constructor(void)
{
	from_constructor = strdup("from the constructor");
	use_memory(100);
}

static void at_exit(void)
{
	char *p = malloc(1000);

	must(p);
	memset(p, 2, 1000);
	free(from_main);
	from_main = p;
	use_memory(1000);
}

static __attribute__((destructor(101))) void destructor(void)
{
	free(from_main);
	free(from_constructor);
	use_memory(1000);
	/* By a system call: stdio is no more. */
	if (!getenv("EARLY_SILENT"))
		dprintf(1, "destroyed\n");
}

int main(void)
{
	must_be_slabmalloc();
	must(chosen() == 42);
	must(from_resolver && from_preinit && from_constructor);
	must(from_resolver[99] == 1 && from_preinit[99999] == 0);
	must(!strcmp(from_constructor, "from the constructor"));
	free(from_resolver);
	free(from_preinit);
	from_main = malloc(10);
	must(!atexit(at_exit));
	return 0;
}
