// SPDX-License-Identifier: MIT
/*
 * Caches as lines, and one at a time as a report.
 */
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* "1.5M", four characters or so; or the bytes. */
const char *size_text(uint64_t bytes, const struct choice *choice,
		      char buf[24])
{
	static const char units[] = "KMGTPE";
	double n = (double)bytes / 1024;
	int unit = 0;

	if (choice->bytes || bytes < 1024) {
		snprintf(buf, 24, "%" PRIu64, bytes);
		return buf;
	}
	/* What would round to 1024 is one of the next. */
	for (; n >= 1023.95; n /= 1024)
		unit++;
	snprintf(buf, 24, "%.1f%c", n, units[unit]);
	return buf;
}

/* --- which, and in what order --- */

static bool is_chosen(const struct cache *c, const struct choice *choice,
		      const regex_t *pattern)
{
	if (!c->slabs && !choice->zero)
		return false;
	if (c->active && choice->empty)
		return false;
	return !choice->pattern || !regexec(pattern, c->name, 0, NULL, 0);
}

static void compile(const char *pattern, regex_t *into)
{
	char why[128];
	int err = regcomp(into, pattern, REG_EXTENDED | REG_NOSUB);

	if (!err)
		return;
	regerror(err, into, why, sizeof(why));
	die("%s: %s", pattern, why);
}

/* The higher, the earlier; alike, they go by name. */
static uint64_t rank(const struct cache *c, enum sort sort)
{
	switch (sort) {
	case SORT_SIZE:
		return c->space;
	case SORT_LOSS:
		return c->space - c->used;
	case SORT_ACTIVITY:
		return c->allocs + c->frees;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct cache *x = a, *y = b;
	const struct choice *choice = arg;
	uint64_t m = rank(x, choice->sort), n = rank(y, choice->sort);
	int order;

	order = m != n ? (m < n ? 1 : -1) : strverscmp(x->name, y->name);
	return choice->inverted ? -order : order;
}

void choose_caches(struct caches *all, const struct choice *choice)
{
	size_t kept = 0;
	regex_t pattern;

	if (choice->pattern)
		compile(choice->pattern, &pattern);
	for (size_t i = 0; i < all->nr; i++) {
		if (is_chosen(&all->cache[i], choice, &pattern))
			all->cache[kept++] = all->cache[i];
		else
			free(all->cache[i].name);
	}
	if (choice->pattern)
		regfree(&pattern);
	all->nr = kept;
	if (kept)
		qsort_r(all->cache, kept, sizeof(*all->cache), compare,
			(void *)choice);
	while (choice->lines && all->nr > choice->lines)
		free(all->cache[--all->nr].name);
}

/* --- a line each --- */

/* Size of a slab in bytes as log2 of its pages, rounded up. */
static unsigned int slab_order(const struct cache *c)
{
	unsigned int order = 0;

	while (order < 63 && 1ULL << order < c->pages_per_slab)
		order++;
	return order;
}

/* As the kernel's with -D; its fallbacks have no match here. */
static void print_activity(const struct caches *all)
{
	printf("%-24s %10s %12s %12s %6s %6s\n", "Name", "Objects", "Alloc",
	       "Free", "%FastA", "%FastF");
	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];

		printf("%-24s %10" PRIu64 " %12" PRIu64 " %12" PRIu64
		       " %6.1f %6.1f\n", c->name, c->active, c->allocs,
		       c->frees, percent(c->allocs - c->slow_allocs, c->allocs),
		       percent(c->frees - c->slow_frees, c->frees));
	}
}

/* The kernel's tool has these columns, and those of what is not in the text. */
void print_list(const struct caches *all, const struct choice *choice)
{
	const char *title = choice->sort == SORT_LOSS ? "Loss" : "Space";
	char text[24];

	if (choice->activity) {
		print_activity(all);
		return;
	}
	printf("%-24s %10s %8s %11s %10s %7s %3s %2s %5s\n", "Name", "Objects",
	       "Objsize", title, "Free", "Slabs", "O/S", "O", "%Ef");
	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];
		uint64_t bytes = choice->sort == SORT_LOSS ?
				 c->space - c->used : c->space;

		printf("%-24s %10" PRIu64 " %8" PRIu64 " %11s %10" PRIu64
		       " %7" PRIu64 " %3" PRIu64 " %2u %5.1f\n",
		       c->name, c->active, c->size,
		       size_text(bytes, choice, text), c->objects - c->active,
		       c->slabs, c->per_slab, slab_order(c),
		       percent(c->used, c->space));
	}
}

/* --- a report each --- */

static void report_size(const char *what, uint64_t bytes,
			const struct choice *choice)
{
	char text[24];

	printf("  %-28s %12s\n", what, size_text(bytes, choice, text));
}

static void report_count(const char *what, uint64_t n)
{
	printf("  %-28s %12" PRIu64 "\n", what, n);
}

static void report(const struct cache *c, const struct choice *choice)
{
	uint64_t slab = c->pages_per_slab * RN_PAGE_SIZE;
	uint64_t tail = slab - c->per_slab * c->size;

	printf("Slabcache: %s\n", c->name);
	report_size("Object size", c->size, choice);
	report_size("Slab size", slab, choice);
	report_count("Objects in a slab", c->per_slab);
	report_size("Unused at the end of a slab", tail, choice);
	report_count("Slabs", c->slabs);
	report_count("Objects in use", c->active);
	report_count("Objects free", c->objects - c->active);
	report_size("Space", c->space, choice);
	report_size("Used", c->used, choice);
	report_size("Loss", c->space - c->used, choice);
	printf("  %-28s %12.1f\n", "Efficiency, %",
	       percent(c->used, c->space));
}

void print_report(const struct caches *all, const struct choice *choice)
{
	for (size_t i = 0; i < all->nr; i++) {
		if (i)
			putchar('\n');
		report(&all->cache[i], choice);
	}
}
