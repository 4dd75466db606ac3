// SPDX-License-Identifier: MIT
/*
 * What slabbench reclaim prints: a table for each scenario, a line for each
 * allocator. Its last column of MiB is the one that allocators are judged by.
 */
#include <stdlib.h>
#include <string.h>
#include "compare.h"
#include "reclaim.h"

#define MAX_COLUMNS	(3 + MAX_MARKS)
#define KB		1024.0

/* Those that all scenarios have, and the first of their own. */
enum { COLUMN_LIVE, COLUMN_PEAK, COLUMN_OWN };

static double *column(const struct reclaim *r, const struct outcome *o,
		      unsigned int c)
{
	return o->figure + (size_t)c * r->runs;
}

unsigned int reclaim_columns(const struct row *row)
{
	unsigned int at[MAX_RESTS];

	switch (row_scenario(row)) {
	case PHASES:
		return COLUMN_OWN + NR_SHIFTS + 1;
	case DIURNAL:
		return COLUMN_OWN + 2;
	default:
		return COLUMN_OWN + 1 + rest_seconds(row, at);
	}
}

/* --- from a run to figures --- */

/**
 * reclaim_excess_kb() - how much more was held than live over a day
 * @series: of the run
 * @res: and its marks
 *
 * Return: the mean from the first mark to the last.
 */
double reclaim_excess_kb(const struct series *series, const struct result *res)
{
	double from = (res->mark[MARK_MORNING].at_ns - series->start_ns) / 1e6;
	double to = (res->mark[MARK_NIGHT].at_ns - series->start_ns) / 1e6;
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < series->n; i++) {
		const struct point *p = &series->point[i];

		if (p->ms < from || p->ms > to)
			continue;
		sum += (double)p->held_kb - p->live_kb - res->base_kb;
		n++;
	}
	return n ? sum / n : 0;
}

static double peak_kb(const struct result *res)
{
	return (double)res->peak_rss_kb + res->peak_hugetlb_kb - res->base_kb;
}

static void figures_of(const struct row *row, const struct series *series,
		       const struct result *res, double *kb)
{
	unsigned int c = COLUMN_OWN, first = 0;
	double sum = 0;

	kb[COLUMN_LIVE] = res->live_bytes / KB;
	kb[COLUMN_PEAK] = peak_kb(res);
	if (row_scenario(row) == COLLAPSE || row_scenario(row) == IDLE)
		first = MARK_FREED;
	if (row_scenario(row) == DIURNAL)
		first = MARK_NIGHT;
	for (unsigned int i = first; i < res->nr_marks; i++) {
		kb[c++] = res->mark[i].held_kb;
		sum += res->mark[i].held_kb;
	}
	if (row_scenario(row) == PHASES)
		kb[c] = sum / res->nr_marks;
	if (row_scenario(row) == DIURNAL)
		kb[c] = reclaim_excess_kb(series, res);
}

void reclaim_add(const struct reclaim *r, unsigned int row, unsigned int peer,
		 const struct series *series, const struct result *res)
{
	struct outcome *o = reclaim_outcome(r, row, peer);
	double kb[MAX_COLUMNS] = { 0 };

	figures_of(&r->row[row], series, res, kb);
	for (unsigned int c = 0; c < reclaim_columns(&r->row[row]); c++)
		column(r, o, c)[o->n] = kb[c] / KB;
	o->n++;
}

/* --- from figures to a table --- */

static void say_scenario(const struct row *row, FILE *out)
{
	unsigned int s = row->seconds;
	double peak = row->bytes / KB / KB;

	switch (row_scenario(row)) {
	case COLLAPSE:
		fprintf(out, "# collapse: %.0f MiB of mixed sizes, 95 %% of it freed at random; held then, and after\n"
			"# seconds of rest\n", peak);
		break;
	case PHASES:
		fprintf(out, "# phases: %.0f MiB in objects of one size after the other; held %u s after the move to\n"
			"# objects of so many bytes, and the mean of these\n",
			peak, s);
		break;
	case IDLE:
		fprintf(out, "# idle: %u threads that allocated %zu KiB each, and freed it; held then, and after\n"
			"# seconds of rest\n", row->threads, BURST_BYTES >> 10);
		break;
	default:
		fprintf(out, "# diurnal: a day of %u s, its load from %.0f to %.0f MiB; held at its end, and the mean\n"
			"# of what was held over what was live\n", s,
			peak / 10, peak);
	}
}

static void column_name(const struct row *row, unsigned int c, char *buf,
			size_t len)
{
	unsigned int at[MAX_RESTS], own = c - COLUMN_OWN;

	if (c == COLUMN_LIVE)
		snprintf(buf, len, "live");
	else if (c == COLUMN_PEAK)
		snprintf(buf, len, "peak");
	else if (row_scenario(row) == PHASES && own < NR_SHIFTS)
		snprintf(buf, len, "%u B", shift_sizes[own]);
	else if (row_scenario(row) == PHASES)
		snprintf(buf, len, "mean");
	else if (row_scenario(row) == DIURNAL)
		snprintf(buf, len, own ? "over" : "end");
	else if (own) {
		rest_seconds(row, at);
		snprintf(buf, len, "%u s", at[own - 1]);
	} else {
		snprintf(buf, len, "freed");
	}
}

static void print_names(const struct row *row, FILE *out)
{
	unsigned int columns = reclaim_columns(row);
	char name[24];

	say_scenario(row, out);
	fprintf(out, "%-9s %-16s", "scenario", "allocator");
	for (unsigned int c = 0; c < columns; c++) {
		column_name(row, c, name, sizeof(name));
		fprintf(out, " %8s", name);
	}
	fprintf(out, " %7s %10s\n", "spread", "x leanest");
}

static const double *judged(const struct reclaim *r, unsigned int row,
			    unsigned int peer)
{
	return column(r, reclaim_outcome(r, row, peer),
		      reclaim_columns(&r->row[row]) - 1);
}

static bool has_figures(const struct outcome *o)
{
	return o->n && !o->failed;
}

/* The peer that holds least; nr_peers where none has figures. */
static unsigned int leanest(const struct reclaim *r, unsigned int row)
{
	unsigned int best = r->nr_peers;
	double least = 0;

	for (unsigned int p = 0; p < r->nr_peers; p++) {
		const struct outcome *o = reclaim_outcome(r, row, p);
		double m;

		if (!has_figures(o))
			continue;
		m = median(judged(r, row, p), o->n);
		if (best == r->nr_peers || m < least) {
			best = p;
			least = m;
		}
	}
	return best;
}

/* With a ~ where the spread drowns the difference, or one run has none. */
static void print_ratio(const struct reclaim *r, unsigned int row,
			unsigned int peer, unsigned int best, FILE *out)
{
	const struct outcome *o = reclaim_outcome(r, row, peer);
	const struct outcome *b = reclaim_outcome(r, row, best);
	const double *mine = judged(r, row, peer);
	const double *least = judged(r, row, best);
	bool tie = peer != best &&
		(o->n < 2 || b->n < 2 || spreads_meet(mine, o->n, least, b->n));

	/* Of almost nothing the multiples say nothing. */
	if (median(least, b->n) < 1 / KB)
		fprintf(out, " %9s ", "-");
	else
		fprintf(out, " %9.2f%c", median(mine, o->n) /
			median(least, b->n), tie ? '~' : ' ');
	fputc('\n', out);
}

static void print_peer(const struct reclaim *r, unsigned int row,
		       unsigned int peer, unsigned int best, FILE *out)
{
	const struct outcome *o = reclaim_outcome(r, row, peer);
	unsigned int columns = reclaim_columns(&r->row[row]);

	if (!o->n && !o->failed)
		return;
	fprintf(out, "%-9s %-16s", workload_get(r->row[row].workload)->name,
		r->peers[peer].name);
	if (o->failed) {
		fprintf(out, " %8s\n", "failed");
		return;
	}
	for (unsigned int c = 0; c < columns; c++)
		fprintf(out, " %8.1f", median(column(r, o, c), o->n));
	fprintf(out, " %6.1f%%", spread_percent(judged(r, row, peer), o->n));
	print_ratio(r, row, peer, best, out);
}

void reclaim_print(const struct reclaim *r, FILE *out)
{
	print_where(out);
	fprintf(out, "# MiB of RSS and HugetlbPages together, without the harness, medians of the runs;\n"
		"# spread and ratio are of the last figure; ~: within noise\n");
	for (unsigned int row = 0; row < r->nr_rows; row++) {
		unsigned int best = leanest(r, row);

		print_names(&r->row[row], out);
		for (unsigned int p = 0; p < r->nr_peers; p++)
			print_peer(r, row, p, best, out);
	}
}
