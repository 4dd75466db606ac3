// SPDX-License-Identifier: MIT
/*
 * The curves of slabbench reclaim as a picture, by gnuplot: a panel for each
 * scenario, with a line for each allocator and what is live behind them.
 */
#include <errno.h>
#include <string.h>
#include "reclaim.h"

#define PANEL_WIDTH	900
#define PANEL_HEIGHT	420
#define MAX_COLUMNS	2

/* Told apart by who cannot tell all colours (M. Okabe, K. Ito). */
static const char *const colours[] = {
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
	"#999999", "#f0e442",
};

static bool has_curve(const struct reclaim *r, unsigned int row,
		      unsigned int peer)
{
	return reclaim_outcome(r, row, peer)->curve.series.n;
}

/* Lines of seconds, MiB held, MiB live. */
static void put_data(const struct curve *c, unsigned int row, unsigned int peer,
		     FILE *f)
{
	fprintf(f, "$data_%u_%u << end\n", row, peer);
	for (size_t i = 0; i < c->series.n; i++) {
		const struct point *p = &c->series.point[i];

		if (p->ms > c->end_ms)
			break;
		fprintf(f, "%.3f %.2f %.2f\n", (p->ms - c->zero_ms) / 1e3,
			point_held_kb(p, c->base_kb) / 1024,
			p->live_kb / 1024.0);
	}
	fprintf(f, "end\n");
}

/* In gnuplot's quotes, within which a quote is two. */
static void put_quoted(const char *text, FILE *f)
{
	putc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			putc('\'', f);
		putc(*text, f);
	}
	putc('\'', f);
}

/* A line of the library is thicker; dashed where the colours begin anew. */
static void put_line(const struct reclaim *r, unsigned int row,
		     unsigned int peer, FILE *f)
{
	const char *name = r->peers[peer].name;

	fprintf(f, ", $data_%u_%u using 1:2 with lines lc rgb '%s' dt %u lw %s title ",
		row, peer, colours[peer % ARRAY_SIZE(colours)],
		1 + peer / (unsigned int)ARRAY_SIZE(colours),
		strncmp(name, "rn", 2) ? "1.2" : "2.2");
	put_quoted(name, f);
}

/* What is live is the same over all of them: it is taken from the first. */
static void put_panel(const struct reclaim *r, unsigned int row, FILE *f)
{
	unsigned int first = 0;

	while (first < r->nr_peers && !has_curve(r, row, first))
		first++;
	if (first == r->nr_peers)
		return;
	for (unsigned int p = first; p < r->nr_peers; p++)
		if (has_curve(r, row, p))
			put_data(&reclaim_outcome(r, row, p)->curve, row, p, f);
	fprintf(f, "set title ");
	put_quoted(workload_get(r->row[row].workload)->name, f);
	fprintf(f, "\nplot $data_%u_%u using 1:3 with filledcurves x1 lc rgb '#dddddd' title 'live'",
		row, first);
	for (unsigned int p = first; p < r->nr_peers; p++)
		if (has_curve(r, row, p))
			put_line(r, row, p, f);
	putc('\n', f);
}

static void put_all(const struct reclaim *r, const char *svg, FILE *f)
{
	unsigned int columns = r->nr_rows < MAX_COLUMNS ? r->nr_rows :
		MAX_COLUMNS;
	unsigned int lines = (r->nr_rows + columns - 1) / columns;

	fprintf(f, "set terminal svg size %u,%u dynamic noenhanced background rgb 'white'\nset output ",
		columns * PANEL_WIDTH, lines * PANEL_HEIGHT);
	put_quoted(svg, f);
	fprintf(f, "\nset xlabel 'seconds'\nset ylabel 'MiB held'\n"
		"set yrange [0:*]\nset key outside right\nset grid\n"
		"set multiplot layout %u,%u\n", lines, columns);
	for (unsigned int row = 0; row < r->nr_rows; row++)
		put_panel(r, row, f);
	fprintf(f, "unset multiplot\n");
}

static bool has_any(const struct reclaim *r)
{
	for (unsigned int row = 0; row < r->nr_rows; row++)
		for (unsigned int p = 0; p < r->nr_peers; p++)
			if (has_curve(r, row, p))
				return true;
	return false;
}

/* gnuplot does not tell that the disk was full. */
static bool is_whole(const char *svg)
{
	static const char end[] = "</svg>";
	char tail[32] = "";
	FILE *f = fopen(svg, "re");
	bool whole = f && !fseek(f, 1 - (long)sizeof(tail), SEEK_END) &&
		fread(tail, sizeof(tail) - 1, 1, f) && strstr(tail, end);

	if (f)
		fclose(f);
	return whole;
}

/**
 * reclaim_plot() - draw what was held
 * @r: what was measured
 * @svg: the file
 *
 * Return: 0, or -1 after a message.
 */
int reclaim_plot(const struct reclaim *r, const char *svg)
{
	FILE *f;
	int err;

	if (!has_any(r)) {
		fprintf(stderr, "slabbench: nothing was measured that could be drawn\n");
		return -1;
	}
	f = popen("gnuplot", "we");
	if (!f) {
		fprintf(stderr, "slabbench: cannot start gnuplot: %s\n",
			strerror(errno));
		return -1;
	}
	put_all(r, svg, f);
	err = ferror(f);
	if (pclose(f) || err || !is_whole(svg)) {
		fprintf(stderr, "slabbench: gnuplot could not draw %s\n", svg);
		return -1;
	}
	return 0;
}
