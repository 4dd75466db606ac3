/* SPDX-License-Identifier: MIT */
/*
 * slabinfo: what its files offer one another.
 */
#ifndef SLABINFO_H
#define SLABINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rn/pages.h>

/**
 * struct cache - a line of the text
 * @name: of the cache
 * @active: objects in users' hands
 * @objects: in all slabs
 * @size: bytes from one object to the next
 * @per_slab: objects in a slab
 * @pages_per_slab: of RN_PAGE_SIZE bytes
 * @slabs: number of slabs
 * @space: bytes of all slabs
 * @used: bytes of the active objects
 *
 * used <= space; what lies between is the loss.
 */
struct cache {
	char *name;
	uint64_t active, objects, size;
	uint64_t per_slab, pages_per_slab, slabs;
	uint64_t space, used;
};

struct caches {
	struct cache *cache;
	size_t nr;
};

/* What is known of a node, in the order of the tables. */
enum figure {
	FIGURE_OBJECTS, FIGURE_ACTIVE, FIGURE_SLABS, FIGURE_SLAB_KB,
	FIGURE_HUGETLB, FIGURE_THP, FIGURE_SMALL,
	FIGURE_HIT, FIGURE_MISS, FIGURE_FOREIGN, FIGURE_INTERLEAVE,
	FIGURE_LOCAL, FIGURE_OTHER, NR_FIGURES
};

/* More than any kernel has. */
#define MAX_NODES	1024

/**
 * struct nodes - a text of rn_vmstat(), by node
 * @nr: the highest node that it names, and one
 * @figure: by node; 0 of what it does not name
 */
struct nodes {
	unsigned int nr;
	uint64_t figure[MAX_NODES][NR_FIGURES];
};

/**
 * struct text - what a command left
 * @file: to be read and closed, or NULL: nothing
 * @name: of the file
 */
struct text {
	FILE *file;
	const char *name;
};

enum sort { SORT_NAME, SORT_SIZE, SORT_LOSS };

/**
 * struct choice - which caches to show, and how
 * @sort: by what
 * @inverted: the other way round
 * @lines: so many at most; 0: all
 * @zero: those without slabs too; nodes without anything
 * @empty: only those without objects in use
 * @pattern: regular expression that the name must match, or NULL
 * @bytes: sizes in bytes, not in K, M or G
 */
struct choice {
	enum sort sort;
	bool inverted;
	size_t lines;
	bool zero;
	bool empty;
	const char *pattern;
	bool bytes;
};

/* The exit status of everything that goes wrong here. */
#define EXIT_TROUBLE	1

/* --- main.c --- */

/* "slabinfo: ..." on stderr, and the end with EXIT_TROUBLE. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- text.c --- */

/* Reads all of @f; dies, naming @name and the line, where it is no slabinfo. */
void read_caches(FILE *f, const char *name, struct caches *all);
/* A file to be read, or for "-" the standard input. */
struct text open_text(const char *name);
void free_caches(struct caches *all);

/* --- list.c --- */

/* Keeps what was chosen, in the order that was chosen. */
void choose_caches(struct caches *all, const struct choice *choice);
void print_list(const struct caches *all, const struct choice *choice);
void print_report(const struct caches *all, const struct choice *choice);
const char *size_text(uint64_t bytes, const struct choice *choice,
		      char buf[24]);
double percent(uint64_t part, uint64_t whole);

/* --- totals.c --- */

void print_totals(const struct caches *all, const struct choice *choice);

/* --- nodes.c --- */

/* The name of a figure, in rn_vmstat() behind "nodeN_" and in JSON. */
const char *figure_name(enum figure figure);
/* Dies, naming @name and the line, where @f is no text of rn_vmstat(). */
void read_nodes(FILE *f, const char *name, struct nodes *all);
/* Is it shown? */
bool node_is_chosen(const struct nodes *all, unsigned int node,
		    const struct choice *choice);
void print_nodes(const struct nodes *all, const struct choice *choice);

/* --- json.c --- */

void print_json(const struct caches *all);
void print_nodes_json(const struct nodes *all, const struct choice *choice);

/* --- command.c --- */

/*
 * Runs @argv to its end; its exit status. *@left is what it was asked for by
 * @variable; that there is nothing has been said.
 */
int run_command(char **argv, const char *variable, struct text *left);
/* Becomes @argv, with @file in the place of /proc/slabinfo. */
void run_as_proc(const char *file, char **argv) __attribute__((noreturn));

#endif /* SLABINFO_H */
