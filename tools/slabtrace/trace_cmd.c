// SPDX-License-Identifier: MIT
/*
 * slabbench trace: what is in a trace, as text or as comma-separated values,
 * and a trace of what ltrace printed.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "slabbench.h"
#include "trace.h"

enum { OPT_CSV = 0x800, OPT_LTRACE };

struct trace_args {
	const char *file, *csv, *ltrace;
};

static error_t parse_trace(int key, char *arg, struct argp_state *state)
{
	struct trace_args *args = state->input;

	switch (key) {
	case OPT_CSV:
		args->csv = arg;
		return 0;
	case OPT_LTRACE:
		args->ltrace = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->file)
			argp_error(state, "'%s': one file at a time", arg);
		args->file = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "there is no file");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option trace_options[] = {
	{ "csv", OPT_CSV, "FILE", 0,
	  "Write a line for each call to FILE as comma-separated values, the "
	  "names of the columns first; - is the standard output, and moves "
	  "the rest to standard error", 0 },
	{ "from-ltrace", OPT_LTRACE, "TEXT", 0,
	  "First make the trace of TEXT, which ltrace -e "
	  "malloc+free+realloc+calloc has written", 0 },
	{ 0 }
};

static const struct argp trace_argp = {
	.options = trace_options,
	.parser = parse_trace,
	.args_doc = "FILE.rnt",
	.doc = "What is in a trace; FILE.rnt.zst is compressed.",
};

static void print_calls(const struct totals *sum, FILE *out)
{
	for (int k = 0; k < NR_RNT_KINDS; k++)
		fprintf(out, "%-10s %12" PRIu64 "\n", call_names[k],
			sum->calls[k]);
}

/* What a replay leaves out, or puts right. */
static void print_odd(const struct trace *t, const struct totals *sum,
		      FILE *out)
{
	const struct {
		const char *name, *what;
		uint64_t n;
	} odd[] = {
		{ "foreign", "of what was not allocated here", sum->foreign },
		{ "failed", "allocations", sum->failed },
		{ "lost", "objects whose free was not seen", sum->lost },
		{ "nested", "calls within calls, not recorded", t->nested },
		{ "waited", "put behind what they depend on", sum->waited },
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		if (odd[i].n)
			fprintf(out, "%-10s %12" PRIu64 "  %s\n", odd[i].name,
				odd[i].n, odd[i].what);
}

static void print_trace(const struct trace *t, const struct totals *sum,
			FILE *out)
{
	fprintf(out, "# %s, process %u\n", t->name, t->pid);
	for (const char *p = t->text; *p; p += *p == '\n') {
		size_t len = strcspn(p, "\n");

		fprintf(out, "# %.*s\n", (int)len, p);
		p += len;
	}
	fprintf(out, "%-10s %12" PRIu64 "\n", "calls", t->events);
	print_calls(sum, out);
	fprintf(out, "%-10s %12zu\n", "threads", t->nr_threads);
	fprintf(out, "%-10s %12.3f  s\n", "time",
		(sum->last_ns - sum->first_ns) / 1e9);
	fprintf(out, "%-10s %12" PRIu64 "  bytes asked for in all\n",
		"allocated", sum->allocated);
	fprintf(out, "%-10s %12" PRIu64 "  bytes at most\n", "live", sum->peak);
	fprintf(out, "%-10s %12" PRIu64 "  bytes at the end\n", "left",
		sum->end);
	fprintf(out, "%-10s %12" PRIu64 "  at most\n", "objects",
		sum->most_objects);
	fprintf(out, "%-10s %12.2f  bytes of the trace for a call\n", "size",
		(double)t->bytes / t->events);
	print_odd(t, sum, out);
}

static int unwritable(const char *name)
{
	fprintf(stderr, "slabbench: cannot write %s: %s\n", name,
		strerror(errno));
	return -1;
}

/* 0, or -1 after a message. */
static int write_csv(const struct trace *t, const char *name)
{
	bool is_stdout = !strcmp(name, "-");
	FILE *f = is_stdout ? stdout : fopen(name, "we");
	int ret;

	if (!f)
		return unwritable(name);
	ret = trace_csv(t, f);
	if (ret > 0 || (is_stdout ? fflush(f) : fclose(f)))
		ret = unwritable(name);
	return ret;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_args args = { .file = NULL };
	struct totals sum;
	struct trace t;
	FILE *out;
	int ret;

	argp_parse(&trace_argp, argc, argv, 0, NULL, &args);
	out = args.csv && !strcmp(args.csv, "-") ? stderr : stdout;
	if (is_input(args.csv, args.file))
		return EXIT_FAILED;
	if (args.ltrace && ltrace_import(args.ltrace, args.file))
		return EXIT_FAILED;
	ret = trace_load(&t, args.file);
	if (!ret)
		ret = totals_of(&sum, &t);
	if (!ret)
		print_trace(&t, &sum, out);
	if (!ret && args.csv)
		ret = write_csv(&t, args.csv);
	trace_free(&t);
	return ret ? EXIT_FAILED : EXIT_OK;
}
