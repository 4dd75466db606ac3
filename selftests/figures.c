// SPDX-License-Identifier: MIT
/*
 * The figures that libslab has of itself. Apart from helpers.c, which is also
 * for programs that are linked with libslabmalloc: that has none of its API.
 */
#include "helpers.h"

#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

long vmstat(const char *name)
{
	char *text = dump_text(rn_vmstat);
	long value = number_after(text, name);

	free(text);
	return value;
}

long vmstat_nodes(const char *name)
{
	char *text = dump_text(rn_vmstat);
	long sum = -1;

	/* A node without memory has no lines. */
	for (int node = 0; node < 64; node++) {
		char line[64];
		long value;

		snprintf(line, sizeof(line), "node%d_%s", node, name);
		value = number_after(text, line);
		if (value >= 0)
			sum = (sum < 0 ? 0 : sum) + value;
	}
	free(text);
	return sum;
}

/* The kernel's format of a line, as it prints it. */
static const char line_format[] =
	"%-17s %6lu %6lu %6u %4u %4u : tunables %4u %4u %4u "
	": slabdata %6lu %6lu %6lu";

bool slabinfo_parse(const char *line, size_t len, struct slabinfo *s)
{
	char again[512];
	int n;

	if (sscanf(line, "%63s %lu %lu %u %u %u : tunables %u %u %u : slabdata "
		   "%lu %lu %lu", s->name, &s->active, &s->objects, &s->size,
		   &s->per_slab, &s->pages_per_slab, &s->limit, &s->batchcount,
		   &s->sharedfactor, &s->active_slabs, &s->slabs,
		   &s->sharedavail) != 12)
		return false;
	n = snprintf(again, sizeof(again), line_format, s->name, s->active,
		     s->objects, s->size, s->per_slab, s->pages_per_slab,
		     s->limit, s->batchcount, s->sharedfactor,
		     s->active_slabs, s->slabs, s->sharedavail);
	return (size_t)n == len && !memcmp(line, again, len);
}

/* Calls @look for each line of a cache, until it says true. */
static bool slabinfo_each(bool (*look)(const struct slabinfo *s, void *arg),
			  void *arg)
{
	char *text = dump_text(rn_slabinfo), *line = text;
	struct slabinfo s;
	bool found = false;

	for (int i = 0; !found && *line; i++) {
		size_t len = strcspn(line, "\n");

		if (i >= 2) {
			ck_assert_msg(slabinfo_parse(line, len, &s),
				      "not slabinfo: %.*s", (int)len, line);
			found = look(&s, arg);
		}
		line += len + (line[len] == '\n');
	}
	free(text);
	return found;
}

struct wanted {
	const char *name;
	struct slabinfo *where;
};

static bool is_wanted(const struct slabinfo *s, void *arg)
{
	struct wanted *w = arg;

	if (strcmp(s->name, w->name))
		return false;
	*w->where = *s;
	return true;
}

bool slabinfo_of(const char *cache, struct slabinfo *s)
{
	struct wanted w = { cache, s };

	return slabinfo_each(is_wanted, &w);
}

static bool add_active(const struct slabinfo *s, void *arg)
{
	*(unsigned long *)arg += s->active;
	return false;
}

unsigned long slabinfo_active(void)
{
	unsigned long sum = 0;

	slabinfo_each(add_active, &sum);
	return sum;
}
