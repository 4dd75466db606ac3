// SPDX-License-Identifier: MIT
/*
 * What each allocator asks of the kernel: a run under strace, beside those that
 * are measured, since each call takes many times as long there.
 */
#include <limits.h>
#include <stdlib.h>
#include "reclaim.h"

#define CALLS	"trace=%memory,process_madvise"

/* Before hours of measuring: EXIT_OK, or after a message another exit code. */
int reclaim_syscalls_check(void)
{
	if (!have_program("strace")) {
		fprintf(stderr, "slabbench: --syscalls needs strace (Debian package strace)\n");
		return EXIT_UNAVAILABLE;
	}
	/* It says why not itself. */
	if (!system("strace -o /dev/null true"))
		return EXIT_OK;
	fprintf(stderr, "slabbench: --syscalls: strace cannot follow a process here\n");
	return EXIT_UNAVAILABLE;
}

/* SCENARIO-PEER.strace: 0, or -1 after a message, or if interrupted(). */
static int record(const struct row *row, const struct peer *peer,
		  const char *dir)
{
	const char *scenario = workload_get(row->workload)->name;
	struct result res = { .ops = 0 };
	char path[PATH_MAX];
	const char *const strace[] = {
		"strace", "-f", "-q", "-ttt", "--seccomp-bpf", "-e", CALLS,
		"-o", path, "--", NULL
	};
	int ret;

	snprintf(path, sizeof(path), "%s/%s-%s.strace", dir, scenario,
		 peer->name);
	progress_step("calls: %s, %s", scenario, peer->name);
	ret = spawn_row_under(row, peer, strace, &res);
	progress_clear();
	if (ret && !interrupted())
		fprintf(stderr, "slabbench: %s over %s failed under strace\n",
			scenario, peer->name);
	return ret;
}

/* Of all that took part, but those that failed: whether there is a file. */
bool reclaim_syscalls(const struct reclaim *r)
{
	bool good = true;

	for (unsigned int nr = 0; nr < r->nr_rows; nr++)
		for (unsigned int p = 0; p < r->nr_peers; p++) {
			struct row row = r->row[nr];

			row.allocator = r->peers[p].allocator;
			if (!interrupted() && reclaim_takes_part(r, nr, p) &&
			    record(&row, &r->peers[p], r->syscalls))
				good = false;
		}
	return good;
}
