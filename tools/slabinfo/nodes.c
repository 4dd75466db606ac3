// SPDX-License-Identifier: MIT
/*
 * Nodes: what a text of rn_vmstat() says of each, as two tables.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

static const struct {
	const char *name, *title;
} figures[NR_FIGURES] = {
	[FIGURE_OBJECTS] = { "objects", "Free" },
	[FIGURE_ACTIVE] = { "objects_active", "Objects" },
	[FIGURE_SLABS] = { "slabs", "Slabs" },
	[FIGURE_SLAB_KB] = { "slab_kbytes", "Space" },
	[FIGURE_HUGETLB] = { "pageblocks_hugetlb", "Hugetlb" },
	[FIGURE_THP] = { "pageblocks_thp", "THP" },
	[FIGURE_SMALL] = { "pageblocks_small", "Small" },
	[FIGURE_HIT] = { "numa_hit", "Hit" },
	[FIGURE_MISS] = { "numa_miss", "Miss" },
	[FIGURE_FOREIGN] = { "numa_foreign", "Foreign" },
	[FIGURE_INTERLEAVE] = { "interleave_hit", "Interleave" },
	[FIGURE_LOCAL] = { "local_node", "Local" },
	[FIGURE_OTHER] = { "other_node", "Other" },
};

static const enum figure memory[] = {
	FIGURE_ACTIVE, FIGURE_OBJECTS, FIGURE_SLABS, FIGURE_SLAB_KB,
	FIGURE_HUGETLB, FIGURE_THP, FIGURE_SMALL, NR_FIGURES
};

static const enum figure hits[] = {
	FIGURE_HIT, FIGURE_MISS, FIGURE_FOREIGN, FIGURE_INTERLEAVE,
	FIGURE_LOCAL, FIGURE_OTHER, NR_FIGURES
};

const char *figure_name(enum figure figure)
{
	return figures[figure].name;
}

/* --- reading --- */

/* "node3_slabs": true, and where the figure goes, if it is one of ours. */
static bool find_figure(const char *name, struct nodes *all, uint64_t **where)
{
	unsigned long node;
	char *end;

	*where = NULL;
	if (strncmp(name, "node", 4) || name[4] < '0' || name[4] > '9')
		return false;
	node = strtoul(name + 4, &end, 10);
	if (*end != '_' || node >= MAX_NODES)
		return false;
	for (int i = 0; i < NR_FIGURES; i++)
		if (!strcmp(end + 1, figures[i].name))
			*where = &all->figure[node][i];
	if (node >= all->nr)
		all->nr = node + 1;
	return true;
}

/* "name value"; what is not of a node is read all the same. */
static bool take_line(char *line, struct nodes *all)
{
	char *value = strchr(line, ' '), *end;
	uint64_t *where;
	uint64_t n;

	if (!value || value[1] < '0' || value[1] > '9')
		return false;
	*value++ = '\0';
	errno = 0;
	n = strtoull(value, &end, 10);
	if (*end || errno)
		return false;
	if (find_figure(line, all, &where) && where)
		*where = n;
	return true;
}

static void check(const struct nodes *all, const char *name)
{
	if (!all->nr)
		die("%s: nothing of nodes is in it; RN_VMSTAT or rn_vmstat() "
		    "writes that", name);
	for (unsigned int n = 0; n < all->nr; n++)
		if (all->figure[n][FIGURE_ACTIVE] >
		    all->figure[n][FIGURE_OBJECTS])
			die("%s: node %u: more objects are in use than there "
			    "are", name, n);
}

void read_nodes(FILE *f, const char *name, struct nodes *all)
{
	size_t size = 0, number = 0;
	char *line = NULL;

	memset(all, 0, sizeof(*all));
	while (getline(&line, &size, f) >= 0) {
		line[strcspn(line, "\n")] = '\0';
		number++;
		if (*line && *line != '#' && !take_line(line, all))
			die("%s:%zu: this is no line of vmstat", name, number);
	}
	free(line);
	if (ferror(f))
		die("%s: %s", name, strerror(errno));
	check(all, name);
}

/* --- the tables --- */

bool node_is_chosen(const struct nodes *all, unsigned int node,
		    const struct choice *choice)
{
	bool any = choice->zero;

	for (int i = 0; i < NR_FIGURES; i++)
		any |= all->figure[node][i] != 0;
	return any;
}

static void print_figure(const uint64_t *row, enum figure figure,
			 const struct choice *choice)
{
	char text[24];

	if (figure == FIGURE_SLAB_KB)
		printf(" %11s", size_text(row[figure] << 10, choice, text));
	else if (figure == FIGURE_OBJECTS)
		printf(" %11" PRIu64, row[figure] - row[FIGURE_ACTIVE]);
	else
		printf(" %11" PRIu64, row[figure]);
}

static void print_row(const char *title, const uint64_t *row,
		      const enum figure *columns, const struct choice *choice)
{
	printf("%-5s", title);
	for (const enum figure *c = columns; *c != NR_FIGURES; c++)
		print_figure(row, *c, choice);
	putchar('\n');
}

static void print_table(const struct nodes *all, const enum figure *columns,
			const struct choice *choice)
{
	uint64_t sum[NR_FIGURES] = { 0 };
	char title[16];

	printf("%-5s", "Node");
	for (const enum figure *c = columns; *c != NR_FIGURES; c++)
		printf(" %11s", figures[*c].title);
	putchar('\n');
	for (unsigned int n = 0; n < all->nr; n++) {
		if (!node_is_chosen(all, n, choice))
			continue;
		for (int i = 0; i < NR_FIGURES; i++)
			sum[i] += all->figure[n][i];
		snprintf(title, sizeof(title), "%u", n);
		print_row(title, all->figure[n], columns, choice);
	}
	print_row("Total", sum, columns, choice);
}

void print_nodes(const struct nodes *all, const struct choice *choice)
{
	print_table(all, memory, choice);
	putchar('\n');
	print_table(all, hits, choice);
}
