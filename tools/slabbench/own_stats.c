// SPDX-License-Identifier: MIT
/*
 * What a malloc says of itself, as it says it. Which one there is shows in the
 * functions that it has; they are looked up, as none of them is linked.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "slabbench.h"

/* More than tcmalloc has to say, which cuts it off there. */
#define MOST_TEXT	(1 << 16)

static void write_text(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	while (len && (n = write(fd, text, len)) > 0) {
		text += n;
		len -= (size_t)n;
	}
}

static void jemalloc_says(void *fd, const char *text)
{
	write_text(*(int *)fd, text);
}

static void mimalloc_says(const char *text, void *fd)
{
	write_text(*(int *)fd, text);
}

static void of_jemalloc(void *print, int fd)
{
	void (*f)(void (*say)(void *, const char *), void *, const char *);

	memcpy(&f, &print, sizeof(f));
	f(jemalloc_says, &fd, NULL);
}

static void of_mimalloc(void *print, int fd)
{
	void (*f)(void (*say)(const char *, void *), void *);

	memcpy(&f, &print, sizeof(f));
	f(mimalloc_says, &fd);
}

static void of_tcmalloc(void *get, int fd)
{
	static char text[MOST_TEXT];
	void (*f)(char *, int);

	memcpy(&f, &get, sizeof(f));
	f(text, sizeof(text));
	write_text(fd, text);
}

/* A stream of its own, which is memory of the malloc that it tells of. */
static void of_libc(void *info, int fd)
{
	int (*f)(int, FILE *), own = dup(fd);
	FILE *out = own < 0 ? NULL : fdopen(own, "w");

	memcpy(&f, &info, sizeof(f));
	if (out) {
		f(0, out);
		fclose(out);
	}
}

/* Another's malloc_info() would tell of a heap that nobody uses. */
static bool is_of_malloc(void *function)
{
	void *sym = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info a, b;

	return sym && dladdr(sym, &a) && dladdr(function, &b) &&
		a.dli_fbase == b.dli_fbase;
}

/**
 * own_stats() - write what the malloc of this process says of itself
 * @fd: file descriptor to write to
 *
 * Return: true, or false where it says nothing.
 */
bool own_stats(int fd)
{
	static const struct {
		const char *name;
		void (*write)(void *function, int fd);
	} known[] = {
		{ "malloc_stats_print", of_jemalloc },
		{ "mi_stats_print_out", of_mimalloc },
		{ "MallocExtension_GetStats", of_tcmalloc },
		{ "malloc_info", of_libc },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		void *function = dlsym(RTLD_DEFAULT, known[i].name);

		if (!function || !is_of_malloc(function))
			continue;
		known[i].write(function, fd);
		return true;
	}
	return false;
}
