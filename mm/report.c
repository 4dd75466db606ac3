// SPDX-License-Identifier: MIT
/*
 * Messages to the user: one line each, on stderr, by a single write(2) and
 * without allocating, since the heap may be what is broken.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "syscalls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE 512

/* What was handed in, a variable's value say, does not end the line. */
static void keep_in_line(char *p, const char *end)
{
	for (; p < end; p++)
		if ((unsigned char)*p < ' ' || *p == '\x7f')
			*p = '?';
}

static void say(const char *fmt, va_list ap)
{
	static const char prefix[] = "libslab: ";
	char line[LINE];
	size_t len = sizeof(prefix) - 1;
	int n;

	memcpy(line, prefix, len);
	n = vsnprintf(line + len, LINE - len - 1, fmt, ap);
	if (n > 0)
		len += min((size_t)n, LINE - len - 2);
	keep_in_line(line, line + len);
	line[len++] = '\n';
	/* Nowhere to complain to if stderr is gone. */
	if (sys_write(STDERR_FILENO, line, len) < 0)
		return;
}

void report(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	errno = saved;
}

/* strerror() translates, which may allocate. */
const char *error_text(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}

void bug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	abort();
}
