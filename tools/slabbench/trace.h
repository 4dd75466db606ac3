/* SPDX-License-Identifier: MIT */
/*
 * A row once more, with another program watching: where its time goes, and
 * what it waits for. What is watched is slower, so it gives no other figures.
 */
#ifndef SLABBENCH_TRACE_H
#define SLABBENCH_TRACE_H

#include "slabbench.h"

/**
 * struct flamegraph - stacks of all rows of a command
 * @svg: the file to draw
 * @folded: the file of stacks, beside it; @f is open on it
 * @data: what perf writes
 */
struct flamegraph {
	const char *svg;
	char folded[4096], data[4096];
	FILE *f;
};

/* Each returns what main() does, after a message if not EXIT_OK. */
int futexes_possible(void);
int futexes_count(const struct row *row, struct result *futexes);
int flamegraph_open(struct flamegraph *g);
int flamegraph_add(struct flamegraph *g, const struct row *row);
int flamegraph_draw(struct flamegraph *g);

#endif /* SLABBENCH_TRACE_H */
