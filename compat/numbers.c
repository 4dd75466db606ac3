// SPDX-License-Identifier: MIT
/*
 * strtol() and its relatives, as mm/ uses them. The C library's ask for the
 * locale in a thread variable that is not there yet when the loader calls the
 * first resolver of an indirect function, which may allocate. As in numa.c,
 * they are seen in this library alone.
 */
#include "compat.h"

#include <limits.h>
#include <stdlib.h>

static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'z' ? (unsigned int)(c - 'a') + 10 : UINT_MAX;
}

/* Base 0 goes by the prefix; 16 may have its own. */
static const char *skip_prefix(const char *s, unsigned int *base)
{
	bool hex = s[0] == '0' && (s[1] | 0x20) == 'x' && digit(s[2]) < 16;

	if (!*base)
		*base = hex ? 16 : *s == '0' ? 8 : 10;
	return hex && *base == 16 ? s + 2 : s;
}

/* @end: behind the last digit; where there is none, the start. */
static u64 parse(const char *s, char **end, unsigned int base, bool *minus)
{
	const char *start = s, *first;
	bool over = false;
	u64 n = 0;

	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	*minus = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	s = first = skip_prefix(s, &base);
	for (; digit(*s) < base; s++)
		over |= __builtin_mul_overflow(n, base, &n) ||
			__builtin_add_overflow(n, digit(*s), &n);
	if (end)
		*end = (char *)(s == first ? start : s);
	if (!over)
		return n;
	errno = ERANGE;
	*minus = false;
	return UINT64_MAX;
}

unsigned long long strtoull(const char *s, char **end, int base)
{
	bool minus;
	u64 n = parse(s, end, (unsigned int)base, &minus);

	return minus ? -n : n;
}

unsigned long strtoul(const char *s, char **end, int base)
{
	return strtoull(s, end, base);
}

long strtol(const char *s, char **end, int base)
{
	bool minus;
	u64 n = parse(s, end, (unsigned int)base, &minus);

	if (n <= LONG_MAX)
		return minus ? -(long)n : (long)n;
	errno = ERANGE;
	return minus ? LONG_MIN : LONG_MAX;
}
