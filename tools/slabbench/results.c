// SPDX-License-Identifier: MIT
/*
 * The options that say where results go, and sending them there. A run is made
 * a JSON object once; CSV and the comparison with an earlier run read it from
 * that, so that they cannot say anything else.
 */
#include <string.h>
#include "options.h"
#include "results.h"

#define DEFAULT_THRESHOLD	10

enum { OPT_CSV = 0x400, OPT_BASELINE, OPT_THRESHOLD };

static const struct argp_option results_options[] = {
	{ "csv", OPT_CSV, "FILE", 0,
	  "Write a line for each run to FILE as comma-separated values, the "
	  "names of the columns first; - is the standard output, as with "
	  "--json", 5 },
	{ "baseline", OPT_BASELINE, "FILE", 0,
	  "Compare with an earlier run, which --json wrote to FILE; the exit "
	  "code is 4 if anything got slower or larger", 5 },
	{ "threshold", OPT_THRESHOLD, "PERCENT", 0,
	  "By how much, at least (default: 10)", 5 },
	{ 0 }
};

static void check(struct argp_state *state, const struct results *r)
{
	if (r->threshold_given && !r->baseline_name)
		argp_error(state, "--threshold means nothing without --baseline");
}

static error_t parse_results(int key, char *arg, struct argp_state *state)
{
	struct results *r = state->input;

	switch (key) {
	case OPT_CSV:
		r->csv_name = arg;
		return 0;
	case OPT_BASELINE:
		r->baseline_name = arg;
		return 0;
	case OPT_THRESHOLD:
		r->threshold = parse_number(state, "--threshold", arg, 0, 1000);
		r->threshold_given = true;
		return 0;
	case ARGP_KEY_END:
		check(state, r);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp results_argp = {
	.options = results_options,
	.parser = parse_results,
};

/* The baseline first: its file may be the one that is written anew. */
int results_open(struct results *r, const char *json)
{
	if (!r->threshold_given)
		r->threshold = DEFAULT_THRESHOLD;
	r->out = stdout;
	if (json && r->csv_name && !strcmp(json, "-") &&
	    !strcmp(r->csv_name, "-")) {
		fprintf(stderr, "slabbench: --json and --csv cannot both have the standard output\n");
		return EXIT_USAGE;
	}
	if (r->baseline_name) {
		r->baseline = baseline_read(r->baseline_name);
		if (!r->baseline)
			return EXIT_USAGE;
	}
	if (json_open(&r->json, json) || csv_open(&r->csv, r->csv_name))
		return EXIT_FAILED;
	if (r->json.f == stdout || r->csv.f == stdout)
		r->out = stderr;
	return EXIT_OK;
}

/* 0, or -1 after a message. */
int results_row(struct results *r, const struct row *row,
		const struct peer *peer, unsigned int run,
		const struct result *res)
{
	json_t *obj;
	int ret;

	if (!r->json.f && !r->csv.f && !r->baseline)
		return 0;
	obj = json_of_row(row, peer, run, res);
	if (!obj) {
		fprintf(stderr, "slabbench: out of memory\n");
		return -1;
	}
	if (r->baseline)
		baseline_add(r->baseline, obj);
	ret = json_line(&r->json, obj) || csv_line(&r->csv, obj) ? -1 : 0;
	json_decref(obj);
	return ret;
}

/* Closes all; @ret, or what is worse than that. */
int results_end(struct results *r, int ret)
{
	if (r->baseline) {
		if (baseline_print(r->baseline, r->threshold, r->out) &&
		    ret == EXIT_OK)
			ret = EXIT_WORSE;
		baseline_free(r->baseline);
	}
	if (json_close(&r->json))
		ret = EXIT_FAILED;
	if (csv_close(&r->csv))
		ret = EXIT_FAILED;
	return ret;
}
