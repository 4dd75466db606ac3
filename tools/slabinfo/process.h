/* SPDX-License-Identifier: MIT */
/*
 * The memory of a process that runs, as the files read it that know what is
 * where.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "stats_shm.h"

/* A program has one, and libslabmalloc.so may be another. */
#define MOST_COPIES	16

/**
 * struct process - a process that publishes its statistics
 * @name: its PID
 * @mem: /proc/PID/mem
 * @nr: copies of the library that publish
 * @copy: what each of them does
 */
struct process {
	const char *name;
	int mem;
	unsigned int nr;
	struct stats_page copy[MOST_COPIES];
};

/**
 * struct reader - what is read, and whether it can be used
 * @process: of which
 * @page: of this copy of the library
 * @state: the first failure stays
 * @nr_caches: seen so far
 */
struct reader {
	const struct process *process;
	const struct stats_page *page;
	enum { FINE, TORN, ENDED } state;
	uint64_t nr_caches;
};

typedef unsigned char structure[STATS_STRUCT_MOST];

/* --- process.c --- */

/* All false where the memory is not there, or was not before. */
bool fetch(struct reader *r, uint64_t at, void *into, size_t bytes);
bool fetch_struct(struct reader *r, uint64_t at, enum stats_struct what,
		  structure into);
uint64_t get(const struct reader *r, const structure from,
	     enum stats_field what);

#endif /* PROCESS_H */
