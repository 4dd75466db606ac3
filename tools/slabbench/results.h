/* SPDX-License-Identifier: MIT */
/*
 * Where the result of each run goes besides the table: JSON lines, CSV, and
 * what an earlier run is held against.
 */
#ifndef SLABBENCH_RESULTS_H
#define SLABBENCH_RESULTS_H

#include <argp.h>
#include <jansson.h>
#include "slabbench.h"

struct csv_out {
	FILE *f;
	const char *name;
};

struct baseline;

/**
 * struct results - the outputs of a command
 * @csv_name: as given, or NULL
 * @baseline_name: likewise
 * @threshold: percent by which a figure must differ to be told
 * @baseline: NULL without one
 * @out: for tables: what neither JSON nor CSV took
 */
struct results {
	const char *csv_name, *baseline_name;
	unsigned int threshold;
	bool threshold_given;
	struct json_out json;
	struct csv_out csv;
	struct baseline *baseline;
	FILE *out;
};

/* A child parser; its input is a struct results. */
extern const struct argp results_argp;

int results_open(struct results *r, const char *json);
int results_row(struct results *r, const struct row *row,
		const struct peer *peer, unsigned int run,
		const struct result *res);
int results_end(struct results *r, int ret);

/* json.c */
json_t *json_of_row(const struct row *row, const struct peer *peer,
		    unsigned int run, const struct result *res);
int json_line(struct json_out *out, json_t *obj);

/* csv.c */
int csv_open(struct csv_out *out, const char *name);
int csv_line(struct csv_out *out, json_t *obj);
int csv_close(struct csv_out *out);

/* baseline.c */
struct baseline *baseline_read(const char *name);
void baseline_add(struct baseline *b, json_t *obj);
bool baseline_print(const struct baseline *b, unsigned int threshold,
		    FILE *out);
void baseline_free(struct baseline *b);

#endif /* SLABBENCH_RESULTS_H */
