// SPDX-License-Identifier: MIT
/*
 * queries: a query engine in which joins and a page cache share one memory.
 *
 * A stream of queries over three tables: at first scans, which live on the page
 * cache; then with joins among them, whose hash tables squeeze it; and so on by
 * turns. The counters show how pages are evicted for the joins, and how the
 * cache has its memory back when they are over.
 */
#include <argp.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rn/memcg.h>
#include <rn/pools.h>
#include <rn/slab.h>
#include <rn/vmstat.h>

#include "queries.h"

/* Without joins, with them, and so on; the last one is as the first. */
#define NR_STRETCHES	5

struct counts counts;

static struct arguments {
	struct rn_pools_options pools;
	uint64_t total, threads, queries, rows, interval;
	const char *dir;
	bool quiet, stat, json;
} args = {
	.pools = {
		.sz = sizeof(args.pools), .timeout = 200, .evict = page_evict,
	},
	.total = 40UL << 20, .threads = 4, .queries = 1000, .rows = 400000,
	.interval = 250,
};

/* The first thread that calls it ends them all; files have no names. */
void die(const char *fmt, ...)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	va_list ap;

	pthread_mutex_lock(&once);
	fflush(stdout);
	fputs("queries: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

/* --- the stream of queries --- */

static struct query nth_query(uint64_t n)
{
	bool joins = n * NR_STRETCHES / args.queries % 2;
	uint64_t r = scramble(n + 1);
	struct query q = {
		.id = n, .kind = r % NR_KINDS, .join = joins && r >> 8 & 1,
	};

	/* Nobody owns customers. */
	if (q.join)
		q.table = &tables[1 + (r >> 16) % (NR_TABLES - 1)];
	else
		q.table = &tables[(r >> 16) % NR_TABLES];
	return q;
}

static void check_answer(const struct query *q, const struct answer *a)
{
	const struct answer *right = q->join ? &q->table->join[q->kind] :
					       &q->table->scan[q->kind];

	if (a->rows != right->rows || a->sum != right->sum)
		die("query %llu: %llu rows and a sum of %llu, not %llu and %llu",
		    (unsigned long long)q->id, (unsigned long long)a->rows,
		    (unsigned long long)a->sum,
		    (unsigned long long)right->rows,
		    (unsigned long long)right->sum);
}

static void *run_queries(void *arg)
{
	uint64_t *next = arg, n;

	while ((n = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) <
	       args.queries) {
		struct query q = nth_query(n);
		struct answer answer = { 0 };

		if (run_query(&q, &answer)) {
			check_answer(&q, &answer);
			count(q.join ? &counts.joins : &counts.scans, 1);
		} else if (errno == ENOMEM || errno == ETIMEDOUT) {
			show_declined(&q, errno);
			count(&counts.declined, 1);
		} else {
			die("query %llu: %s", (unsigned long long)q.id,
			    strerror(errno));
		}
	}
	return NULL;
}

/* --- a run --- */

/* Until it ends, a line of counters in each interval. */
static void join_thread(pthread_t thread)
{
	struct timespec until;
	int err;

	do {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += args.interval % 1000 * 1000000;
		until.tv_sec += args.interval / 1000 +
				until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		err = pthread_timedjoin_np(thread, NULL, &until);
		if (err == ETIMEDOUT)
			show_counters();
	} while (err == ETIMEDOUT);
}

static void run_threads(void)
{
	pthread_t *threads = rn_alloc_array(args.threads, sizeof(*threads),
					    RN_KERNEL);
	uint64_t next = 0;
	int err = threads ? 0 : ENOMEM;

	for (uint64_t i = 0; i < args.threads && !err; i++)
		err = pthread_create(&threads[i], NULL, run_queries, &next);
	if (err)
		die("%llu threads: %s", (unsigned long long)args.threads,
		    strerror(err));
	for (uint64_t i = 0; i < args.threads; i++)
		join_thread(threads[i]);
	show_counters();
	rn_free(threads);
}

/* What the pools promise, and what queries have to give back. */
static void check_memory(void)
{
	size_t left = rn_memcg_usage(rn_pools_memcg(RN_POOLS_EXEC));
	size_t peak = rn_memcg_peak(rn_pools_memcg(RN_POOLS_TOTAL));

	if (left)
		die("%zu bytes of execution memory are left", left);
	if (peak > args.total)
		die("%zu bytes were in use, of %llu", peak,
		    (unsigned long long)args.total);
}

static void run(void)
{
	int err = rn_pools_init_options(args.total, &args.pools);

	if (err)
		die("--total=%llu: %s", (unsigned long long)args.total,
		    strerror(-err));
	show_start(args.quiet);
	run_threads();
	if (!args.json)
		show_summary(args.threads);
	if (args.json || args.stat)
		show_groups(args.json);
	check_memory();
	err = rn_pools_destroy();
	if (err)
		die("the end of the pools: %s", strerror(-err));
}

/* --- options --- */

enum { OPT_TOTAL = 0x100, OPT_VICTIM, OPT_WAITS, OPT_HALF, OPT_TIMEOUT,
       OPT_INTERVAL, OPT_STAT };

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What is run:", 1 },
	{ "rows", 'r', "N", 0, "Rows of orders and of payments, four times "
	  "those of customers (default: 400000)", 1 },
	{ "queries", 'q', "N", 0, "Queries (default: 1000)", 1 },
	{ "threads", 't', "N", 0, "Threads that run them (default: 4)", 1 },
	{ "dir", 'd', "DIR", 0, "Where the files of the tables are, without "
	  "names (default: $TMPDIR, or /tmp)", 1 },
	{ NULL, 0, NULL, 0, "Memory:", 2 },
	{ "total", OPT_TOTAL, "SIZE", 0,
	  "Of both pools, as 64M (default: 40M)", 2 },
	{ "victim", OPT_VICTIM, "random|lru", 0,
	  "Which page is evicted (default: random)", 2 },
	{ "exec-waits", OPT_WAITS, NULL, 0,
	  "No page is evicted for a join", 2 },
	{ "storage-half", OPT_HALF, NULL, 0,
	  "The cache stays within half of the total", 2 },
	{ "timeout", OPT_TIMEOUT, "MS", 0, "How long a request is held before "
	  "it is declined (default: 200)", 2 },
	{ NULL, 0, NULL, 0, "What is shown:", 3 },
	{ "interval", OPT_INTERVAL, "MS", 0,
	  "Time between lines of counters (default: 250)", 3 },
	{ "quiet", 'Q', NULL, 0, "Only the summary", 3 },
	{ "stat", OPT_STAT, NULL, 0,
	  "The figures of the pools as well, when all is done", 3 },
	{ "json", 'j', NULL, 0,
	  "Nothing but these figures, as JSON, a line for each group", 3 },
	{ 0 }
};

/* Decimal, with K, M or G for a power of 1,024. */
static uint64_t number(struct argp_state *state, const char *name,
		       const char *text, uint64_t most)
{
	static const char suffix[] = "KMG";
	unsigned long long n;
	const char *s;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	s = *end ? strchr(suffix, *end) : NULL;
	if (s && !__builtin_mul_overflow(n, 1ULL << 10 * (s - suffix + 1), &n))
		end++;
	if (*text < '0' || *text > '9' || *end || errno || !n || n > most)
		argp_error(state, "--%s=%s: not a number from 1 to %llu", name,
			   text, (unsigned long long)most);
	return n;
}

static void set_victim(struct argp_state *state, const char *text)
{
	if (!strcmp(text, "random"))
		args.pools.victim = RN_POOLS_RANDOM;
	else if (!strcmp(text, "lru"))
		args.pools.victim = RN_POOLS_LRU;
	else
		argp_error(state, "--victim=%s: neither random nor lru", text);
}

static error_t parse_memory(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_TOTAL:
		args.total = number(state, "total", arg, SIZE_MAX / 2);
		return 0;
	case OPT_VICTIM:
		set_victim(state, arg);
		return 0;
	case OPT_WAITS:
		args.pools.flags |= RN_POOLS_EXEC_WAITS;
		return 0;
	case OPT_HALF:
		args.pools.flags |= RN_POOLS_STORAGE_HALF;
		return 0;
	case OPT_TIMEOUT:
		args.pools.timeout = number(state, "timeout", arg, 3600000);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'r':
		args.rows = number(state, "rows", arg, 1UL << 30);
		return 0;
	case 'q':
		args.queries = number(state, "queries", arg, 1UL << 30);
		return 0;
	case 't':
		args.threads = number(state, "threads", arg, 1024);
		return 0;
	case 'd':
		args.dir = arg;
		return 0;
	case OPT_INTERVAL:
		args.interval = number(state, "interval", arg, 3600000);
		return 0;
	case 'Q':
		args.quiet = true;
		return 0;
	case OPT_STAT:
		args.stat = true;
		return 0;
	case 'j':
		args.json = args.quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: there are no arguments", arg);
		return 0;
	default:
		return parse_memory(key, arg, state);
	}
}

static void print_version(FILE *out, struct argp_state *state)
{
	fprintf(out, "queries %s\n", rn_version());
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse,
		.doc = "Run queries whose hash joins and page cache share the "
		       "memory of two pools, and show who has how much of it.",
	};

	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (!args.dir)
		args.dir = getenv("TMPDIR") ?: "/tmp";
	tables_make(args.dir, args.rows);
	run();
	tables_close();
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
	return EXIT_SUCCESS;
}
