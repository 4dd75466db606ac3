// SPDX-License-Identifier: MIT
/*
 * Contention: the futex calls of a run. An allocator whose locks are contended
 * waits there; one without locks calls it only where the harness's own threads
 * wait for one another. The kernel's tracepoints say which calls wait, and how
 * long; where they are not to be had strace counts all of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trace.h"

int contention_choose(struct contention *c)
{
	struct tracepoint *t = tracepoint_open(false, &c->why_not);

	if (t) {
		tracepoint_close(t);
		c->by = "tracepoint";
		return EXIT_OK;
	}
	c->by = "strace";
	if (!system("command -v strace >/dev/null 2>&1"))
		return EXIT_OK;
	fprintf(stderr, "slabbench: --contention needs strace (Debian package strace), as %s\n",
		c->why_not);
	return EXIT_UNAVAILABLE;
}

/*
 * The line of the table that says futex: percent, seconds, microseconds a
 * call, calls. There is none where there was no call.
 */
static int read_table(const char *path, struct futexes *sum)
{
	FILE *f = fopen(path, "re");
	char line[256], name[32];
	unsigned long long calls;
	double seconds;

	if (!f) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", path,
			strerror(errno));
		return EXIT_FAILED;
	}
	while (fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, ' ');

		if (!last || sscanf(last, "%31s", name) != 1 ||
		    strcmp(name, "futex") ||
		    sscanf(line, "%*f %lf %*u %llu", &seconds, &calls) != 2)
			continue;
		sum->calls = calls;
		sum->in_calls_ns = seconds * 1e9;
	}
	fclose(f);
	return EXIT_OK;
}

static int by_strace(const struct row *row, struct futexes *sum)
{
	char path[] = "/tmp/slabbench-futexes-XXXXXX";
	const char *const strace[] = {
		"strace", "-f", "-c", "-w", "--seccomp-bpf", "-e",
		"trace=futex", "-o", path, "--", NULL
	};
	struct result res = { .ops = 0 };
	int ret, fd = mkstemp(path);

	if (fd < 0) {
		fprintf(stderr, "slabbench: cannot write %s: %s\n", path,
			strerror(errno));
		return EXIT_FAILED;
	}
	close(fd);
	if (!spawn_row_under(row, NULL, strace, &res)) {
		ret = read_table(path, sum);
	} else {
		ret = EXIT_UNAVAILABLE;
		if (!interrupted())
			fprintf(stderr, "slabbench: strace could not follow the run\n");
	}
	unlink(path);
	return ret;
}

/* With one thread the main one is the only one; else it only joins them. */
static int by_tracepoint(const struct row *row, struct futexes *sum)
{
	struct result res = { .ops = 0 };
	const char *why;
	struct tracepoint *t = tracepoint_open(row->threads > 1, &why);
	int ret = EXIT_FAILED;

	if (!t) {
		fprintf(stderr, "slabbench: no tracepoint any more: %s\n", why);
		return EXIT_UNAVAILABLE;
	}
	if (!spawn_row_traced(row, t, &res)) {
		*sum = tracepoint_sum(t);
		sum->waits_known = true;
		ret = EXIT_OK;
	}
	tracepoint_close(t);
	if (sum->lost)
		fprintf(stderr, "slabbench: %llu records of futex calls were lost: there were more than counted\n",
			(unsigned long long)sum->lost);
	return ret;
}

int contention_count(const struct contention *c, const struct row *row,
		     struct futexes *sum)
{
	struct row timed = *row;
	int ret;

	timed.warmup = 0;
	ret = c->why_not ? by_strace(&timed, sum) : by_tracepoint(&timed, sum);
	sum->by = c->by;
	return ret;
}
