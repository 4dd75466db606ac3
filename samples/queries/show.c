// SPDX-License-Identifier: MIT
/*
 * The counters: a line now and then while queries run, and a summary. What is
 * about memory, the groups behind the pools know.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rn/memcg.h>
#include <rn/pools.h>

#include "queries.h"

#define MIB	(1024.0 * 1024)

static struct timespec start;
static bool silent, in_place;

void show_start(bool quiet)
{
	clock_gettime(CLOCK_MONOTONIC, &start);
	silent = quiet;
	in_place = isatty(STDOUT_FILENO);
	if (!silent)
		puts("    time   MiB: total  execution    storage  evicted"
		     "    hits   held  declined  queries");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9;
}

static double usage(enum rn_pools_part part)
{
	return rn_memcg_usage(rn_pools_memcg(part)) / MIB;
}

static double peak(enum rn_pools_part part)
{
	return rn_memcg_peak(rn_pools_memcg(part)) / MIB;
}

static unsigned long held(enum rn_pools_part part)
{
	return rn_memcg_event(rn_pools_memcg(part), RN_MEMCG_EVENT_HELD);
}

static struct counts get_counts(void)
{
	struct counts c;

	__atomic_load(&counts.hits, &c.hits, __ATOMIC_RELAXED);
	__atomic_load(&counts.misses, &c.misses, __ATOMIC_RELAXED);
	__atomic_load(&counts.evicted, &c.evicted, __ATOMIC_RELAXED);
	__atomic_load(&counts.scans, &c.scans, __ATOMIC_RELAXED);
	__atomic_load(&counts.joins, &c.joins, __ATOMIC_RELAXED);
	__atomic_load(&counts.declined, &c.declined, __ATOMIC_RELAXED);
	return c;
}

static double hit_rate(uint64_t hits, uint64_t misses)
{
	return hits + misses ? 100.0 * hits / (hits + misses) : 0;
}

/* The rate of hits is that since the last line, so that it shows a change. */
void show_counters(void)
{
	static struct counts last;
	struct counts c = get_counts();

	if (silent)
		return;
	printf("%s%7.2fs %12.1f %10.1f %10.1f %8.0f %6.1f%% %6lu %9llu %8llu%s",
	       in_place ? "\r" : "", seconds(), usage(RN_POOLS_TOTAL),
	       usage(RN_POOLS_EXEC), usage(RN_POOLS_STORAGE), c.evicted / MIB,
	       hit_rate(c.hits - last.hits, c.misses - last.misses),
	       held(RN_POOLS_EXEC) + held(RN_POOLS_STORAGE),
	       (unsigned long long)c.declined,
	       (unsigned long long)(c.scans + c.joins), in_place ? "" : "\n");
	fflush(stdout);
	last = c;
}

/* Called by any thread. On a terminal the counters go on below it. */
void show_declined(const struct query *q, int error)
{
	if (silent)
		return;
	printf("%squery %llu: %s of %s declined: %s\n",
	       in_place ? "\r\033[K" : "", (unsigned long long)q->id,
	       q->join ? "join" : "scan", q->table->name, error == ETIMEDOUT ?
	       "held for memory too long" : strerror(error));
}

void show_summary(unsigned int threads)
{
	struct counts c = get_counts();

	printf("%s%llu scans and %llu joins by %u thread%s in %.2f s, %llu queries declined\n",
	       in_place && !silent ? "\n" : "", (unsigned long long)c.scans,
	       (unsigned long long)c.joins, threads, threads == 1 ? "" : "s",
	       seconds(), (unsigned long long)c.declined);
	printf("pages: %.1f%% hits, %llu misses; %.1f MiB evicted\n",
	       hit_rate(c.hits, c.misses), (unsigned long long)c.misses,
	       c.evicted / MIB);
	printf("requests held: %lu for execution, %lu for storage\n",
	       held(RN_POOLS_EXEC), held(RN_POOLS_STORAGE));
	printf("at most: %.1f MiB in all, %.1f execution, %.1f storage\n",
	       peak(RN_POOLS_TOTAL), peak(RN_POOLS_EXEC),
	       peak(RN_POOLS_STORAGE));
}

/* As text below its name, or as JSON, which has the name in it. */
void show_groups(bool json)
{
	for (int part = RN_POOLS_TOTAL; part <= RN_POOLS_STORAGE; part++) {
		struct rn_memcg *group = rn_pools_memcg(part);
		int err;

		if (!json)
			printf("\n%s\n", rn_memcg_name(group));
		/* They write past stdio. */
		fflush(stdout);
		err = json ? rn_memcg_json(group, STDOUT_FILENO) :
			     rn_memcg_stat(group, STDOUT_FILENO);
		if (err)
			die("standard output: %s", strerror(-err));
	}
}
