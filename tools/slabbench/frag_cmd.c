// SPDX-License-Identifier: MIT
/*
 * slabbench frag: what is held and what is live over the time of a run, one
 * allocator after the other. A curve shows what a peak does not: whether memory
 * goes back to the system, and when.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "compare.h"

/* Often enough for what is over in half a second. */
#define SERIES_MS	10

enum { OPT_CSV = 0x300 };

struct csv {
	const char *name;		/* NULL or "-": the standard output */
	FILE *f;
};

struct frag_args {
	struct comparison cmp;
	struct csv csv;
};

/* The ends of a curve, without the harness. */
struct summary {
	const struct row *row;
	const struct peer *peer;
	unsigned int run;
	uint64_t peak_kb, live_kb, final_kb;
	double frag;
};

static error_t parse_frag(int key, char *arg, struct argp_state *state)
{
	struct frag_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->cmp.sel;
		return 0;
	case 'p':
		return split_list(state, arg, "-p", add_peer, &args->cmp);
	case OPT_CSV:
		args->csv.name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option frag_options[] = {
	{ "peers", 'p', "LIST", 0, "Allocators, as in compare", 0 },
	{ "csv", OPT_CSV, "FILE", 0,
	  "Where the curves go (default: the standard output, and the table "
	  "to standard error)", 0 },
	{ 0 }
};

static const struct argp_child frag_children[] = {
	{ &selection_argp, 0, NULL, 1 },
	{ 0 }
};

static const struct argp frag_argp = {
	.options = frag_options,
	.parser = parse_frag,
	.doc = "Memory held and memory asked for, each 10 ms of a run.\v"
	       "Without -w, the workload is frag.",
	.children = frag_children,
};

static void apply_defaults(struct comparison *cmp)
{
	struct selection *sel = &cmp->sel;

	if (!sel->nr_workloads)
		sel->workloads[sel->nr_workloads++] = workload_find("frag");
	if (!sel->runs)
		sel->runs = 1;
	if (!cmp->nr_peers)
		default_peers(cmp);
}

/*
 * The harness's own memory. What a warm-up has left to the allocator is not:
 * there it cannot be told apart, and all is counted.
 */
static uint64_t harness_kb(const struct row *row, const struct result *res)
{
	return workload_get(row->workload)->cold ? res->base_kb : 0;
}

static uint64_t without(uint64_t kb, uint64_t base_kb)
{
	return kb > base_kb ? kb - base_kb : 0;
}

/*
 * At once, as it would be lost with the reason where fork() has all flushed.
 * 0, or -1 after a message; main() looks after the standard output.
 */
static int csv_flush(const struct csv *csv)
{
	if (csv->f == stdout || (!fflush(csv->f) && !ferror(csv->f)))
		return 0;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", csv->name,
		strerror(errno));
	return -1;
}

static int csv_head(const struct csv *csv)
{
	fprintf(csv->f, "allocator,ms,held_kb,live_kb,workload,size,threads,run\n");
	return csv_flush(csv);
}

static int csv_series(const struct csv *csv, const struct summary *s,
		      const struct series *series, uint64_t base_kb)
{
	for (size_t i = 0; i < series->n; i++) {
		const struct point *p = &series->point[i];

		fprintf(csv->f, "%s,%.1f,%llu,%llu,%s,%zu,%u,%u\n",
			s->peer->name, p->ms,
			(unsigned long long)without(p->held_kb, base_kb),
			(unsigned long long)p->live_kb,
			workload_get(s->row->workload)->name, s->row->size,
			s->row->threads, s->run);
	}
	return csv_flush(csv);
}

static void summarize(struct summary *s, const struct series *series,
		      const struct result *res)
{
	uint64_t base_kb = harness_kb(s->row, res);

	s->peak_kb = without(res->peak_rss_kb + res->peak_hugetlb_kb, base_kb);
	s->final_kb = without(res->final_rss_kb + res->final_hugetlb_kb,
			      base_kb);
	s->frag = result_frag(res);
	s->live_kb = res->live_bytes / 1024;
	for (size_t i = 0; i < series->n; i++)
		if (series->point[i].live_kb > s->live_kb)
			s->live_kb = series->point[i].live_kb;
}

static void print_summary(const struct summary *s, FILE *out)
{
	fprintf(out, "%-15s %7u %3u  %-16s %10.1f %10.1f %10.3f %10.1f\n",
		workload_get(s->row->workload)->name, s->row->threads, s->run,
		s->peer->name, s->live_kb / 1024.0, s->peak_kb / 1024.0,
		s->frag, s->final_kb / 1024.0);
}

static void print_table(const struct summary *s, size_t n, FILE *out)
{
	print_where(out);
	fprintf(out, "# MiB without the harness; held: RSS + HugetlbPages; held/live: before the last\n");
	fprintf(out, "# phase, 0 where the workload does not count; final: held when all was freed\n");
	fprintf(out, "%-15s %7s %3s  %-16s %10s %10s %10s %10s\n", "workload",
		"threads", "run", "allocator", "peak live", "peak held",
		"held/live", "final held");
	for (size_t i = 0; i < n; i++)
		print_summary(&s[i], out);
}

/* 0, or -1 after a message. */
static int run_one(struct summary *s, const struct csv *csv,
		   struct results *results)
{
	struct series series = { .ms = SERIES_MS };
	struct result res = { .ops = 0 };
	struct row row = *s->row;
	int ret;

	row.allocator = s->peer->allocator;
	progress_step("%s, %u threads, %s, run %u",
		      workload_get(row.workload)->name, row.threads,
		      s->peer->name, s->run);
	ret = spawn_row(&row, s->peer, &series, &res);
	progress_clear();
	if (!ret) {
		if (csv_series(csv, s, &series, harness_kb(&row, &res)))
			exit(EXIT_FAILED);
		summarize(s, &series, &res);
		ret = results_row(results, &row, s->peer, s->run, &res);
	}
	free(series.point);
	return ret;
}

static bool takes_part(const struct summary *s)
{
	return !s->peer->missing &&
		workload_takes(s->row->workload, s->peer->allocator);
}

/* The curves as they come; what is to be printed of them goes to @s. */
static int run_rows(struct comparison *cmp, const struct row *rows,
		    size_t nr_rows, struct summary *s, size_t *n,
		    const struct csv *csv)
{
	unsigned int peers = cmp->nr_peers, runs = cmp->sel.runs;
	size_t most = nr_rows * peers * runs;
	int ret = EXIT_OK;

	for (size_t i = 0; i < most && !interrupted(); i++) {
		s[*n].row = &rows[i / runs / peers];
		s[*n].peer = &cmp->peers[i / runs % peers];
		s[*n].run = i % runs + 1;
		if (!takes_part(&s[*n]))
			continue;
		if (run_one(&s[*n], csv, &cmp->results))
			ret = EXIT_FAILED;
		else
			++*n;
	}
	return ret;
}

static int run_and_print(struct comparison *cmp, const struct csv *csv)
{
	size_t nr_rows, n = 0, most;
	struct row *rows = selection_rows(&cmp->sel, &nr_rows);
	struct summary *s;
	int ret;

	most = nr_rows * cmp->nr_peers * cmp->sel.runs;
	s = calloc(most, sizeof(*s));
	if (!s) {
		fprintf(stderr, "slabbench: out of memory\n");
		exit(EXIT_FAILED);
	}
	interrupt_catch();
	say_left_out(cmp, rows, nr_rows);
	where_start();
	progress_start(most);
	ret = run_rows(cmp, rows, nr_rows, s, &n, csv);
	progress_end();
	if (interrupted())
		fprintf(cmp->results.out, "# interrupted: these are the runs until then\n");
	print_table(s, n, cmp->results.out);
	free(s);
	free(rows);
	if (interrupted())
		return EXIT_INTERRUPTED;
	return ret == EXIT_OK && one_missing(cmp) ? EXIT_USAGE : ret;
}

/* As with --json, "-" is the standard output; 0, or -1 after a message. */
static int open_csv(struct csv *csv)
{
	csv->f = stdout;
	if (csv->name && strcmp(csv->name, "-"))
		csv->f = fopen(csv->name, "we");
	if (csv->f)
		return 0;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", csv->name,
		strerror(errno));
	return -1;
}

int cmd_frag(int argc, char **argv)
{
	static struct frag_args args = { .cmp.sel = SELECTION_DEFAULTS };
	struct comparison *cmp = &args.cmp;
	int ret;

	cmp->sel.runs = 0;
	argp_parse(&frag_argp, argc, argv, 0, NULL, &args);
	apply_defaults(cmp);
	if (nothing_to_compare(cmp))
		return EXIT_USAGE;
	if (open_csv(&args.csv))
		return EXIT_FAILED;
	ret = results_open(&cmp->results, cmp->sel.json);
	if (ret)
		return ret;
	if (args.csv.f == stdout && cmp->results.out == stderr) {
		fprintf(stderr, "slabbench: with --json=-, --csv needs a file\n");
		return EXIT_USAGE;
	}
	if (args.csv.f == stdout)
		cmp->results.out = stderr;
	if (csv_head(&args.csv))
		return EXIT_FAILED;
	ret = run_and_print(cmp, &args.csv);
	return results_end(&cmp->results, ret);
}
