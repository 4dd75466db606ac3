// SPDX-License-Identifier: MIT
/*
 * Reading "slabinfo - version: 2.1". Nothing is taken on trust: a figure that
 * is none, or a line that is cut short, ends the program with its number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

#define HEADER	"slabinfo - version: 2.1"

/* What a line has: name, figures, and the words between them. */
enum field {
	NAME, ACTIVE, OBJECTS, SIZE, PER_SLAB, PAGES_PER_SLAB, COLON,
	TUNABLES, LIMIT, BATCHCOUNT, SHAREDFACTOR, COLON2,
	SLABDATA, ACTIVE_SLABS, SLABS, SHAREDAVAIL, NR_FIELDS
};

struct source {
	const char *name;
	size_t line;
};

static void bad_line(const struct source *at, const char *why)
{
	die("%s:%zu: %s", at->name, at->line, why);
}

/* Into fields; more of them, as a kernel's debugging adds, are left alone. */
static void split_line(const struct source *at, char *line,
		       char *field[NR_FIELDS])
{
	char *rest = line;

	for (int i = 0; i < NR_FIELDS; i++) {
		field[i] = strtok_r(i ? NULL : line, " \t", &rest);
		if (!field[i])
			bad_line(at, "the line is cut short");
	}
	if (strcmp(field[COLON], ":") || strcmp(field[COLON2], ":") ||
	    strcmp(field[TUNABLES], "tunables") ||
	    strcmp(field[SLABDATA], "slabdata"))
		bad_line(at, "this is no line of slabinfo version 2.1");
}

static uint64_t number(const struct source *at, const char *field)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(field, &end, 10);
	if (*field < '0' || *field > '9' || *end || errno)
		bad_line(at, "a figure is not a number");
	return n;
}

static uint64_t product(const struct source *at, uint64_t a, uint64_t b)
{
	uint64_t result;

	if (__builtin_mul_overflow(a, b, &result))
		bad_line(at, "the figures are beyond all memory");
	return result;
}

static void parse_line(const struct source *at, char *line, struct cache *c)
{
	char *field[NR_FIELDS];
	uint64_t slab;

	split_line(at, line, field);
	*c = (struct cache){
		.active = number(at, field[ACTIVE]),
		.objects = number(at, field[OBJECTS]),
		.size = number(at, field[SIZE]),
		.per_slab = number(at, field[PER_SLAB]),
		.pages_per_slab = number(at, field[PAGES_PER_SLAB]),
		.slabs = number(at, field[SLABS]),
	};
	slab = product(at, c->pages_per_slab, RN_PAGE_SIZE);
	if (product(at, c->per_slab, c->size) > slab)
		bad_line(at, "the objects do not fit into a slab");
	c->space = product(at, c->slabs, slab);
	c->used = product(at, c->active, c->size);
	if (c->active > c->objects || c->used > c->space)
		bad_line(at, "more objects are in use than there are");
	c->name = strdup(field[NAME]);
	if (!c->name)
		die("out of memory");
}

struct cache *add_to(struct caches *all)
{
	if (all->nr == all->room) {
		all->room = all->room ? 2 * all->room : 128;
		all->cache = reallocarray(all->cache, all->room,
					  sizeof(*all->cache));
		if (!all->cache)
			die("out of memory");
	}
	all->cache[all->nr] = (struct cache){ 0 };
	return &all->cache[all->nr++];
}

void read_caches(FILE *f, const char *name, struct caches *all)
{
	struct source at = { .name = name };
	size_t size = 0;
	char *line = NULL;

	*all = (struct caches){ 0 };
	while (getline(&line, &size, f) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		/* The kernel's may say " (statistics)" behind it. */
		if (!at.line++ && strncmp(line, HEADER, strlen(HEADER)))
			bad_line(&at, "this is no slabinfo version 2.1");
		if (at.line > 1 && *line && *line != '#')
			parse_line(&at, line, add_to(all));
	}
	free(line);
	if (ferror(f))
		die("%s: %s", name, strerror(errno));
	if (!at.line)
		die("%s: nothing is in it", name);
}

struct text open_text(const char *name)
{
	struct text text = { stdin, "standard input" };

	if (!strcmp(name, "-"))
		return text;
	text = (struct text){ fopen(name, "re"), name };
	if (!text.file)
		die("%s: %s", name, strerror(errno));
	return text;
}

void free_caches(struct caches *all)
{
	for (size_t i = 0; i < all->nr; i++)
		free(all->cache[i].name);
	free(all->cache);
	*all = (struct caches){ 0 };
}
