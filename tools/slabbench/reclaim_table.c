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
	case FRAG:
		return COLUMN_OWN + 2 + rest_seconds(row, at);
	default:
		return COLUMN_OWN + 1 + rest_seconds(row, at);
	}
}

/* --- from a run to figures --- */

double mark_ms(const struct series *series, const struct mark *mark)
{
	return (mark->at_ns - series->start_ns) / 1e6;
}

/* Without the harness, which may itself have become smaller. */
double point_held_kb(const struct point *p, uint64_t base_kb)
{
	return p->held_kb > base_kb ? p->held_kb - base_kb : 0;
}

/**
 * reclaim_excess_kb() - how much more was held than live over a day
 * @series: of the run
 * @res: and its marks
 *
 * Return: the mean from the first mark to the last.
 */
double reclaim_excess_kb(const struct series *series, const struct result *res)
{
	double from = mark_ms(series, &res->mark[MARK_MORNING]);
	double to = mark_ms(series, &res->mark[MARK_NIGHT]);
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

/* The first mark that has a column. */
static unsigned int first_mark(enum scenario s)
{
	switch (s) {
	case PHASES:
		return 0;
	case DIURNAL:
		return MARK_NIGHT;
	default:
		return MARK_FREED;
	}
}

static void figures_of(const struct row *row, const struct series *series,
		       const struct result *res, double *kb)
{
	unsigned int c = COLUMN_OWN;
	double sum = 0;

	kb[COLUMN_LIVE] = res->live_bytes / KB;
	kb[COLUMN_PEAK] = peak_kb(res);
	for (unsigned int i = first_mark(row_scenario(row));
	     i < res->nr_marks; i++) {
		kb[c++] = res->mark[i].held_kb;
		sum += res->mark[i].held_kb;
	}
	if (row_scenario(row) == PHASES)
		kb[c] = sum / res->nr_marks;
	if (row_scenario(row) == DIURNAL)
		kb[c] = reclaim_excess_kb(series, res);
}

/* The rest begins when as much is live again; phases when the process does. */
static double zero_ms(enum scenario s, const struct series *series,
		      const struct result *res)
{
	switch (s) {
	case PHASES:
		return 0;
	case DIURNAL:
		return mark_ms(series, &res->mark[MARK_MORNING]);
	case FRAG:
		return mark_ms(series, &res->mark[MARK_REFILLED]);
	default:
		return mark_ms(series, &res->mark[MARK_FREED]);
	}
}

static void keep_curve(struct curve *curve, enum scenario s,
		       struct series *series, const struct result *res)
{
	curve->base_kb = res->base_kb;
	curve->zero_ms = zero_ms(s, series, res);
	curve->end_ms = mark_ms(series, &res->mark[res->nr_marks - 1]);
	curve->series = *series;
	series->point = NULL;
}

/**
 * reclaim_add() - take what a run has found
 * @r: what is measured
 * @row: its number
 * @peer: likewise
 * @series: taken over if it is the first
 * @res: the rest of it
 */
void reclaim_add(const struct reclaim *r, unsigned int row, unsigned int peer,
		 struct series *series, const struct result *res)
{
	struct outcome *o = reclaim_outcome(r, row, peer);
	double kb[MAX_COLUMNS] = { 0 };

	figures_of(&r->row[row], series, res, kb);
	for (unsigned int c = 0; c < reclaim_columns(&r->row[row]); c++)
		column(r, o, c)[o->n] = kb[c] / KB;
	o->free_ns[o->n] = res->latency[LATENCY_FREE].p999;
	if (!o->n)
		keep_curve(&o->curve, row_scenario(&r->row[row]), series, res);
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
	case FRAG:
		fprintf(out, "# frag: %.0f MiB of small sizes, every second object freed (punched), larger ones\n"
			"# until as much is live (refilled); held then, and after seconds of rest\n",
			peak);
		break;
	case REDIS:
		fprintf(out, "# redis: a server with %.0f MiB of values, 90 %% of its keys deleted at random; held\n"
			"# then, and after seconds of rest; p99.9 is of DEL as the client sees it\n",
			peak);
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

/* Of the columns that a scenario has for itself, the first being 0. */
static void own_name(const struct row *row, unsigned int own, char *buf,
		     size_t len)
{
	enum scenario s = row_scenario(row);
	unsigned int at[MAX_RESTS], rests = reclaim_columns(row) - COLUMN_OWN;

	if (s == PHASES && own < NR_SHIFTS)
		snprintf(buf, len, "%u B", shift_sizes[own]);
	else if (s == PHASES)
		snprintf(buf, len, "mean");
	else if (s == DIURNAL)
		snprintf(buf, len, own ? "over" : "end");
	else if (s == FRAG && own < MARK_REFILLED)
		snprintf(buf, len, own ? "refilled" : "punched");
	else if (!own)
		snprintf(buf, len, "freed");
	else {
		rests -= rest_seconds(row, at);
		snprintf(buf, len, "%u s", at[own - rests]);
	}
}

static void column_name(const struct row *row, unsigned int c, char *buf,
			size_t len)
{
	if (c < COLUMN_OWN)
		snprintf(buf, len, c == COLUMN_LIVE ? "live" : "peak");
	else
		own_name(row, c - COLUMN_OWN, buf, len);
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
	fprintf(out, " %7s %10s %9s\n", "spread", "x leanest", "p99.9 ns");
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
	fprintf(out, " %9.0f\n", median(o->free_ns, o->n));
}

void reclaim_print(const struct reclaim *r, FILE *out)
{
	print_where(out);
	fprintf(out, "# MiB of RSS and HugetlbPages together, without the harness, medians of the runs;\n"
		"# spread and ratio are of the last figure; ~: within noise; p99.9: of single frees\n"
		"# while memory is given back\n");
	for (unsigned int row = 0; row < r->nr_rows; row++) {
		unsigned int best = leanest(r, row);

		print_names(&r->row[row], out);
		for (unsigned int p = 0; p < r->nr_peers; p++)
			print_peer(r, row, p, best, out);
	}
}
