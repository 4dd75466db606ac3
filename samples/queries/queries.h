/* SPDX-License-Identifier: MIT */
/*
 * A small query engine over the pools of <rn/pools.h>. What to read first:
 *
 *	cache.c		pages of tables, in storage memory
 *	join.c		what queries do, with execution memory
 *	table.c		the tables, and which answers are right
 *	show.c		the counters
 *	queries.c	options, threads, the stream of queries
 */
#ifndef QUERIES_H
#define QUERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_TABLES	3
#define NR_KINDS	8

/* What a table is read and cached by; an entry of storage. */
#define PAGE_BYTES	(64UL << 10)
#define PAGE_ROWS	(PAGE_BYTES / sizeof(struct row))

/**
 * struct row - of any table
 * @id: 1 and up
 * @owner: a row of the parent table, by its id; there may be none that has it
 * @kind: what queries choose by, below NR_KINDS
 * @value: what they add up
 */
struct row {
	uint64_t id, owner, kind, value;
};

/* Of a scan the sum of values; of a join that of value times owner's value. */
struct answer {
	uint64_t rows, sum;
};

/**
 * struct table - rows in a file
 * @parent: the table that owners are in, or NULL
 * @nr: its index in tables[]
 * @ready: of each page, whether the cache has read it
 * @scan, @join: the right answers, by kind
 */
struct table {
	const char *name;
	const struct table *parent;
	unsigned int nr;
	int fd;
	uint64_t nr_rows;
	size_t nr_pages;
	bool *ready;
	struct answer scan[NR_KINDS], join[NR_KINDS];
};

/**
 * struct query - what is asked
 * @id: its execution memory has the same
 * @join: a join of @table with its parent, else a scan
 */
struct query {
	uint64_t id;
	const struct table *table;
	uint64_t kind;
	bool join;
};

/* Since the start, of all threads; @evicted are bytes. */
struct counts {
	uint64_t hits, misses, evicted, scans, joins, declined;
};

extern struct table tables[NR_TABLES];
extern struct counts counts;

static inline void count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* A number that looks random, and is the same each time. */
static inline uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9d39247e33776d41;
	x = (x ^ x >> 29) * 0x2af7398005aaa5c7;
	return x ^ x >> 32;
}

/* queries.c: a message, and the end. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);

/* table.c */
void tables_make(const char *dir, uint64_t rows);
void tables_close(void);
void table_read(const struct table *t, size_t page, void *to);
size_t table_rows(const struct table *t, size_t page);

/* cache.c: NULL when there is no memory for the page, with errno. */
const struct row *page_get(const struct table *t, size_t page);
void page_put(const struct table *t, size_t page);
/* For struct rn_pools_options. */
bool page_evict(uint64_t id, void *p, size_t bytes, void *arg);

/* join.c: false when it was declined, with errno. */
bool run_query(const struct query *q, struct answer *answer);

/* show.c */
void show_start(bool quiet);
void show_counters(void);
void show_declined(const struct query *q, int error);
void show_summary(unsigned int threads);
void show_groups(bool json);

#endif /* QUERIES_H */
