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

/**
 * struct contention - how the futex calls are counted
 * @by: "tracepoint" or "strace"
 * @why_not: why not by the tracepoint, or NULL
 */
struct contention {
	const char *by, *why_not;
};

/* Each returns what main() does, after a message if not EXIT_OK. */
int contention_choose(struct contention *c);
int contention_count(const struct contention *c, const struct row *row,
		     struct futexes *sum);
int flamegraph_open(struct flamegraph *g);
int flamegraph_add(struct flamegraph *g, const struct row *row);
int flamegraph_draw(struct flamegraph *g);

/* tracepoint.c */
struct tracepoint;
struct tracepoint *tracepoint_open(bool skip_main, const char **why);
void tracepoint_read(struct tracepoint *t, uint64_t until_ns);
struct futexes tracepoint_sum(struct tracepoint *t);
void tracepoint_close(struct tracepoint *t);

#endif /* SLABBENCH_TRACE_H */
