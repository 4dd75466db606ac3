// SPDX-License-Identifier: MIT
/*
 * Contention: the futex calls of a run, counted by strace. An allocator whose
 * locks are contended waits there; one without locks calls it only where the
 * harness's own threads wait for one another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trace.h"

int futexes_possible(void)
{
	if (!system("command -v strace >/dev/null 2>&1"))
		return EXIT_OK;
	fprintf(stderr, "slabbench: --contention needs strace (Debian package strace)\n");
	return EXIT_UNAVAILABLE;
}

/*
 * The line of the table that says futex: percent, seconds, microseconds a
 * call, calls. There is none where there was no call.
 */
static int read_table(const char *path, struct result *futexes)
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
	futexes->futexes_counted = true;
	futexes->futex_calls = 0;
	futexes->futex_s = 0;
	while (fgets(line, sizeof(line), f)) {
		char *last = strrchr(line, ' ');

		if (!last || sscanf(last, "%31s", name) != 1 ||
		    strcmp(name, "futex") ||
		    sscanf(line, "%*f %lf %*u %llu", &seconds, &calls) != 2)
			continue;
		futexes->futex_calls = calls;
		futexes->futex_s = seconds;
	}
	fclose(f);
	return EXIT_OK;
}

int futexes_count(const struct row *row, struct result *futexes)
{
	char path[] = "/tmp/slabbench-futexes-XXXXXX";
	const char *const strace[] = {
		"strace", "-f", "-c", "-w", "--seccomp-bpf", "-e",
		"trace=futex", "-o", path, "--", NULL
	};
	struct result res = { .ops = 0 };
	struct row timed = *row;
	int ret, fd = mkstemp(path);

	if (fd < 0) {
		fprintf(stderr, "slabbench: cannot write %s: %s\n", path,
			strerror(errno));
		return EXIT_FAILED;
	}
	close(fd);
	timed.warmup = 0;
	if (!spawn_row_under(&timed, strace, &res)) {
		ret = read_table(path, futexes);
	} else {
		ret = EXIT_UNAVAILABLE;
		if (!interrupted())
			fprintf(stderr, "slabbench: strace could not follow the run\n");
	}
	unlink(path);
	return ret;
}
