// SPDX-License-Identifier: MIT
/*
 * The table that compare prints.
 */
#include <stdlib.h>
#include <string.h>
#include "compare.h"

/* Figures of a cell: ns, the phases, peak_kb, p50, p999, frag. */
#define FIGURES	(5 + MAX_PHASES)

void table_alloc(struct table *t, unsigned int runs)
{
	size_t n = t->nr_rows * t->nr_peers;
	double *f;

	t->cells = calloc(n, sizeof(*t->cells));
	t->figures = f = calloc(n * FIGURES * runs, sizeof(*f));
	if (!t->cells || !t->figures) {
		fprintf(stderr, "slabbench: out of memory\n");
		exit(EXIT_FAILED);
	}
	for (size_t i = 0; i < n; i++, f += FIGURES * runs) {
		t->cells[i].ns = f;
		t->cells[i].peak_kb = f + runs;
		t->cells[i].p50 = f + 2 * runs;
		t->cells[i].p999 = f + 3 * runs;
		t->cells[i].frag = f + 4 * runs;
		for (int p = 0; p < MAX_PHASES; p++)
			t->cells[i].phase_ns[p] = f + (5 + p) * runs;
	}
}

void table_free(struct table *t)
{
	free(t->cells);
	free(t->figures);
	free(t->rows);
}

struct cell *table_cell(const struct table *t, size_t row, unsigned int peer)
{
	return &t->cells[row * t->nr_peers + peer];
}

void cell_add(struct cell *cell, const struct result *res)
{
	double ops = res->ops ? (double)res->ops : 1;
	unsigned int i = cell->n++;

	cell->ns[i] = res->wall_ns / ops;
	for (int p = 0; p < MAX_PHASES; p++)
		cell->phase_ns[p][i] = res->phase_ns[p] / ops;
	cell->p50[i] = res->latency[NR_LATENCIES].p50;
	cell->p999[i] = res->latency[NR_LATENCIES].p999;
	cell->frag[i] = result_frag(res);
	cell->peak_kb[i] = (double)(res->peak_rss_kb + res->peak_hugetlb_kb);
	cell->checksum = i ? cell->checksum : res->checksum;
	/* Same seed, same operations: else the figures compare nothing. */
	if (cell->checksum != res->checksum)
		cell->failed = true;
}

/* Cells that will have figures: not every allocator can run every row. */
size_t table_measured(const struct table *t)
{
	size_t n = 0;

	for (size_t r = 0; r < t->nr_rows; r++)
		for (unsigned int p = 0; p < t->nr_peers; p++)
			n += !t->peers[p].missing &&
			     workload_takes(t->rows[r].workload,
					    t->peers[p].allocator);
	return n;
}

/* Also where two allocators of a row did not do the same operations. */
bool table_failed(const struct table *t)
{
	bool failed = false;

	for (size_t r = 0; r < t->nr_rows; r++) {
		const struct cell *first = NULL;

		for (unsigned int p = 0; p < t->nr_peers; p++) {
			const struct cell *c = table_cell(t, r, p);

			failed |= c->failed;
			if (!c->n)
				continue;
			first = first ? first : c;
			if (c->checksum == first->checksum)
				continue;
			fprintf(stderr, "slabbench: %s did other operations than the rest in %s\n",
				t->peers[p].name,
				workload_get(t->rows[r].workload)->name);
			failed = true;
		}
	}
	return failed;
}

/* A peer is what a user would take instead: not rn, and not null. */
static bool is_peer(const struct peer *p)
{
	return p->allocator == ALLOC_MALLOC || dpdk_needed(p->allocator);
}

/* The peer with the least median in a row, or NULL. */
static const struct cell *best_peer(const struct table *t, size_t row)
{
	const struct cell *best = NULL;

	for (unsigned int p = 0; p < t->nr_peers; p++) {
		const struct cell *c = table_cell(t, row, p);

		if (!is_peer(&t->peers[p]) || !c->n || c->failed)
			continue;
		if (!best || median(c->ns, c->n) < median(best->ns, best->n))
			best = c;
	}
	return best;
}

/* One run has no spread that would tell how much a difference is worth. */
static bool within_noise(const struct cell *a, const struct cell *b)
{
	return a->n < 2 || b->n < 2 || spreads_meet(a->ns, a->n, b->ns, b->n);
}

/* Whether another allocator of the row may be as fast as its best peer. */
static bool is_tied(const struct table *t, size_t row, const struct cell *best)
{
	for (unsigned int p = 0; p < t->nr_peers; p++) {
		const struct cell *c = table_cell(t, row, p);

		if (c != best && c->n && !c->failed &&
		    t->peers[p].allocator != ALLOC_NULL &&
		    within_noise(c, best))
			return true;
	}
	return false;
}

static const struct cell *null_cell(const struct table *t, size_t row)
{
	for (unsigned int p = 0; p < t->nr_peers; p++)
		if (t->peers[p].allocator == ALLOC_NULL &&
		    table_cell(t, row, p)->n)
			return table_cell(t, row, p);
	return NULL;
}

static void print_label(const struct row *row, const char *peer, FILE *out)
{
	char size[24] = "";

	if (row->size)
		snprintf(size, sizeof(size), "%zu", row->size);
	fprintf(out, "%-18s %6s %7u  %-16s", workload_get(row->workload)->name,
		size, row->threads, peer);
}

/* What only some rows have. */
static void print_more(const struct row *row, const struct cell *c, FILE *out)
{
	const struct workload *w = workload_get(row->workload);

	for (unsigned int p = 0; p < MAX_PHASES && w->phases[p]; p++)
		fprintf(out, "  %s %.2f", w->phases[p],
			median(c->phase_ns[p], c->n));
	if (c->frag[0] > 0)
		fprintf(out, "  held/live %.3f", median(c->frag, c->n));
	if (row->latency)
		fprintf(out, "  p50 %.0f p99.9 %.0f", median(c->p50, c->n),
			median(c->p999, c->n));
}

static void print_ratio(const struct cell *c, const struct cell *best,
			bool tied, FILE *out)
{
	char mark = c == best && !tied ? '*' : ' ';

	if (c == best ? tied : within_noise(c, best))
		mark = '~';
	fprintf(out, " %6.2f%c", median(c->ns, c->n) / median(best->ns, best->n),
		mark);
}

static void print_cell(const struct row *row, const struct cell *c,
		       const struct cell *null, const struct cell *best,
		       bool tied, FILE *out)
{
	double ns = median(c->ns, c->n);

	fprintf(out, " %9.2f %6.1f%%", ns, spread_percent(c->ns, c->n));
	if (null && null != c)
		fprintf(out, " %9.2f", ns - median(null->ns, null->n));
	else
		fprintf(out, " %9s", "");
	if (best && null != c)
		print_ratio(c, best, tied, out);
	else
		fprintf(out, " %6s ", "");
	fprintf(out, " %10.1f", median(c->peak_kb, c->n) / 1024);
	print_more(row, c, out);
	fputc('\n', out);
}

static void print_row(const struct table *t, size_t r, FILE *out)
{
	const struct cell *null = null_cell(t, r), *best = best_peer(t, r);
	bool tied = best && is_tied(t, r, best);

	for (unsigned int p = 0; p < t->nr_peers; p++) {
		const struct cell *c = table_cell(t, r, p);

		if (!c->n && !c->failed && !t->peers[p].missing)
			continue;
		print_label(&t->rows[r], t->peers[p].name, out);
		if (t->peers[p].missing)
			fprintf(out, " %9s\n", "missing");
		else if (c->failed)
			fprintf(out, " %9s\n", "failed");
		else
			print_cell(&t->rows[r], c, null, best, tied, out);
	}
}

void table_print(const struct table *t, FILE *out)
{
	fprintf(out, "# ns/op: median; spread: least to most; net: without what null costs;\n");
	fprintf(out, "# x best: to the best peer of the row; *: that one; ~: within noise of it\n");
	fprintf(out, "# peak: RSS + HugetlbPages, harness included\n");
	fprintf(out, "%-18s %6s %7s  %-16s %9s %7s %9s %6s  %10s\n", "workload",
		"size", "threads", "allocator", "ns/op", "spread", "net",
		"x best", "peak MiB");
	for (size_t r = 0; r < t->nr_rows; r++)
		print_row(t, r, out);
}
