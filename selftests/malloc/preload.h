/* SPDX-License-Identifier: MIT */
/*
 * What the programs that run with libslabmalloc.so preloaded share.
 */
#ifndef SELFTESTS_MALLOC_PRELOAD_H
#define SELFTESTS_MALLOC_PRELOAD_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define must(condition)							\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,	\
				__LINE__, #condition);			\
			exit(EXIT_FAILURE);				\
		}							\
	} while (0)

/* Nothing is tested by a program that runs on another malloc. */
static inline void must_be_slabmalloc(void)
{
	void *function = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;

	must(function && dladdr(function, &info));
	must(strstr(info.dli_fname, "libslabmalloc"));
}

/* Takes @n objects of many sizes, and gives them back. */
static inline void use_memory(unsigned int n)
{
	enum { HELD = 64 };
	unsigned char *held[HELD] = { NULL };

	for (unsigned int i = 0; i < n + HELD; i++) {
		unsigned char **at = &held[i % HELD];
		unsigned char mark = (unsigned char)(i % HELD);
		size_t size = i * 2654435761U >> 7 & 2047;

		if (*at)
			must((*at)[0] == mark);
		free(*at);
		*at = NULL;
		if (i >= n)
			continue;
		if (i % 512 == 511)
			size = 50000;
		*at = (unsigned char *)malloc(size + 1);
		must(*at);
		memset(*at, mark, size + 1);
	}
}

static inline long resident_kb(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "r");

	must(f && fscanf(f, "%ld %ld", &all, &pages) == 2);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

#endif /* SELFTESTS_MALLOC_PRELOAD_H */
