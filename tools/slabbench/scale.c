// SPDX-License-Identifier: MIT
/*
 * slabbench scale: throughput by number of threads, a column for each
 * allocator.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compare.h"

/* Each count up to here, then powers of two. */
#define EACH_UP_TO	8

static const struct argp_child scale_children[] = {
	{ &comparison_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp scale_argp = {
	.doc = "Measure throughput at 1 to twice as many threads as there are "
	       "CPUs.\v"
	       "Without -w it is rnbench that runs, without -t 1 to 8 threads "
	       "and then powers of two, up to twice the CPUs, without -r each "
	       "5 times, or 3 with --quick.",
	.children = scale_children,
};

static unsigned int cpus(void)
{
	int max = (int)sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t *set = CPU_ALLOC(max);
	size_t len = CPU_ALLOC_SIZE(max);
	unsigned int n = 0;

	if (set && !sched_getaffinity(0, len, set))
		n = CPU_COUNT_S(len, set);
	CPU_FREE(set);
	return n ? n : 1;
}

static unsigned int next_count(unsigned int n)
{
	return n < EACH_UP_TO ? n + 1 : 2 * n;
}

static void apply_defaults(struct comparison *args)
{
	struct selection *sel = &args->sel;
	unsigned int most = 2 * cpus();

	if (most > MAX_THREADS)
		most = MAX_THREADS;
	if (!sel->nr_workloads)
		sel->workloads[sel->nr_workloads++] = workload_find("rnbench");
	if (!sel->nr_threads) {
		for (unsigned int n = 1; n < most; n = next_count(n))
			sel->threads[sel->nr_threads++] = n;
		sel->threads[sel->nr_threads++] = most;
	}
	if (args->quick)
		sel->divide = 10;
	if (!sel->runs)
		sel->runs = args->quick ? 3 : 5;
}

/* --- the table --- */

/* Rows of one table differ in nothing but their threads. */
static bool same_table(const struct row *a, const struct row *b)
{
	return a->workload == b->workload && a->size == b->size;
}

static double million_per_s(const struct cell *c)
{
	return 1000 / median(c->ns, c->n);
}

/* The row of one thread that belongs to @row, or NULL. */
static const struct cell *one_thread_cell(const struct table *t,
					  const struct row *row,
					  unsigned int peer)
{
	for (size_t r = 0; r < t->nr_rows; r++)
		if (t->rows[r].threads == 1 && same_table(&t->rows[r], row))
			return table_cell(t, r, peer);
	return NULL;
}

static void print_cell(const struct table *t, size_t r, unsigned int peer,
		       FILE *out)
{
	const struct cell *c = table_cell(t, r, peer);
	const struct cell *one = one_thread_cell(t, &t->rows[r], peer);

	if (c->failed)
		fprintf(out, "  %8s %6s", "failed", "");
	else if (!c->n)
		fprintf(out, "  %8s %6s", "-", "");
	else if (!one || !one->n || one->failed)
		fprintf(out, "  %8.2f %6s", million_per_s(c), "");
	else
		fprintf(out, "  %8.2f %5.2fx", million_per_s(c),
			million_per_s(c) / million_per_s(one));
}

static void print_title(const struct table *t, size_t r, FILE *out)
{
	const struct row *row = &t->rows[r];

	fprintf(out, "%s", workload_get(row->workload)->name);
	if (row->size)
		fprintf(out, ", %zu bytes", row->size);
	fprintf(out, "\n%7s", "threads");
	for (unsigned int p = 0; p < t->nr_peers; p++)
		if (!t->peers[p].missing)
			fprintf(out, "  %15s", t->peers[p].name);
	fputc('\n', out);
}

/* All rows that belong to @first, if it is the first of them. */
static void print_table(const struct table *t, size_t first, FILE *out)
{
	for (size_t r = 0; r < first; r++)
		if (same_table(&t->rows[r], &t->rows[first]))
			return;
	print_title(t, first, out);
	for (size_t r = first; r < t->nr_rows; r++) {
		if (!same_table(&t->rows[r], &t->rows[first]))
			continue;
		fprintf(out, "%7u", t->rows[r].threads);
		for (unsigned int p = 0; p < t->nr_peers; p++)
			if (!t->peers[p].missing)
				print_cell(t, r, p, out);
		fputc('\n', out);
	}
}

static void scale_print(const struct table *t, FILE *out)
{
	fprintf(out, "# million operations a second, median of the runs, and how many times that of one thread\n");
	for (size_t r = 0; r < t->nr_rows; r++)
		print_table(t, r, out);
}

int cmd_scale(int argc, char **argv)
{
	static struct comparison args = { .sel = SELECTION_DEFAULTS };

	args.sel.runs = 0;
	argp_parse(&scale_argp, argc, argv, 0, NULL, &args);
	apply_defaults(&args);
	return compare_rows(&args, scale_print);
}
