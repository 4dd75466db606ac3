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
#include <sys/types.h>
#include <time.h>

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
 * @allocs: objects allocated so far; of a process alone, as what follows
 * @frees: objects freed
 * @slow_allocs: of the allocations, those that the fast path could not do
 * @slow_frees: of the frees
 *
 * used <= space; what lies between is the loss.
 */
struct cache {
	char *name;
	uint64_t active, objects, size;
	uint64_t per_slab, pages_per_slab, slabs;
	uint64_t space, used;
	uint64_t allocs, frees;
	uint64_t slow_allocs, slow_frees;
};

struct caches {
	struct cache *cache;
	size_t nr, room;
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
 * struct nodes - what rn_vmstat() says, by node
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

enum sort { SORT_NAME, SORT_SIZE, SORT_LOSS, SORT_ACTIVITY };

/**
 * struct choice - which caches to show, and how
 * @sort: by what
 * @inverted: the other way round
 * @lines: so many at most; 0: all
 * @zero: those without slabs too; nodes without anything
 * @empty: only those without objects in use
 * @pattern: regular expression that the name must match, or NULL
 * @bytes: sizes in bytes, not in K, M or G
 * @activity: lines of what was allocated and freed
 */
struct choice {
	enum sort sort;
	bool inverted;
	size_t lines;
	bool zero;
	bool empty;
	const char *pattern;
	bool bytes;
	bool activity;
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
/* One more, all zero; the others may have moved. */
struct cache *add_to(struct caches *all);

/* --- process.c --- */

/* A process whose statistics are read while it runs. */
struct process;

/*
 * Dies, saying why, where it publishes none or may not be read; or written to,
 * for shrink_process().
 */
struct process *open_process(const char *pid, bool to_write);
void close_process(struct process *p);

/* --- shrink.c --- */

/* It gives back what it does not need; dies, saying why, where it does not. */
void shrink_process(const struct process *p);

/* --- usage.c --- */

/* False: it has ended, or become another program; *@all holds nothing then. */
bool read_process(const struct process *p, struct caches *all);
/* The same of what rn_vmstat() would say of nodes. */
bool read_process_nodes(const struct process *p, struct nodes *all);

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

/* With @moment, of a process: when it was, and what it allocated and freed. */
void print_json(const struct caches *all, const struct timespec *moment);
void print_nodes_json(const struct nodes *all, const struct timespec *moment,
		      const struct choice *choice);

/* --- command.c --- */

/*
 * Runs @argv to its end; its exit status. *@left is what it was asked for by
 * @variable; that there is nothing has been said.
 */
int run_command(char **argv, const char *variable, struct text *left);
/* Empty, and removed at the end; *@name is what it is called. */
FILE *make_temporary(const char **name);
/* Its exit status, as a shell gives it; a signal that ended it is said. */
int wait_for(pid_t pid, const char *name);

/* --- as_proc.c --- */

/* Becomes @argv, with @file in the place of /proc/slabinfo. */
void run_as_proc(const char *file, char **argv) __attribute__((noreturn));
/*
 * Runs @argv to its end, its exit status, with the figures of a process there,
 * which are written anew after each @interval.
 */
int run_as_proc_of(const char *pid, const struct timespec *interval,
		   char **argv);

/* --- show.c --- */

enum {
	SHOW_LIST = 1, SHOW_TOTALS = 2, SHOW_REPORT = 4, SHOW_JSON = 8,
	SHOW_NODES = 16
};

/* Reads and closes it, and prints what @show has of the above. */
void show_text(const struct text *text, unsigned int show,
	       const struct choice *choice);
/*
 * With @shrink, after it has given back what it does not need. With @interval
 * again and again, until the process has ended.
 */
void show_process(const char *pid, bool shrink, const struct timespec *interval,
		  unsigned int show, const struct choice *choice);
/* Seconds, above 0, as 0.5; false: they are none. */
bool parse_interval(const char *text, struct timespec *interval);
/* Nothing but digits. */
bool is_pid(const char *text);

/* --- top.c --- */

/* "slabinfo top ...", from these two words on. */
int top(int argc, char **argv);

#endif /* SLABINFO_H */
