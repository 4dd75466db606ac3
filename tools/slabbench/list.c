// SPDX-License-Identifier: MIT
/*
 * slabbench list: what there is to run, and over what.
 */
#include <argp.h>
#include "slabbench.h"

static void list_workload(const struct workload *w)
{
	printf("  %-18s %s\n", w->name, w->help);
	if (w->nr_sizes) {
		printf("  %-18s sizes", "");
		for (unsigned int i = 0; i < w->nr_sizes; i++)
			printf(" %zu", w->sizes[i]);
		putchar('\n');
	}
	if (w->mix) {
		printf("  %-18s sizes drawn from", "");
		for (const uint32_t *m = w->mix; *m; m++)
			printf(" %u", *m);
		putchar('\n');
	}
	if (w->most)
		printf("  %-18s sizes drawn from %zu to %zu%s\n", "", w->least,
		       w->most, w->median ? ", log-normal" : "");
	printf("  %-18s threads", "");
	for (const unsigned int *t = w->threads; *t; t++)
		printf(" %u", *t);
	if (w->count)
		printf("; count %zu", w->count);
	if (w->bytes)
		printf("; bytes %zuM", w->bytes >> 20);
	if (w->total > 1)
		printf("; %llu iterations over all threads",
		       (unsigned long long)w->total);
	putchar('\n');
}

static const struct argp list_argp = {
	.doc = "List workloads with their defaults, and allocators with where they are.",
};

int cmd_list(int argc, char **argv)
{
	argp_parse(&list_argp, argc, argv, 0, NULL, NULL);
	printf("workloads:\n");
	for (unsigned int i = 0; workload_get(i); i++)
		list_workload(workload_get(i));
	printf("scenarios of reclaim:\n");
	for (unsigned int i = SCENARIO; workload_get(i); i++)
		printf("  %-18s %s\n", workload_get(i)->name,
		       workload_get(i)->help);
	printf("allocators of compare -p:\n");
	peers_list(stdout);
	printf("allocators of run -a: rn, rn-memcg, rn-exec, malloc (whatever malloc the process has), null, freelist, dpdk (if built with it); in cache alone rn-cache, rn-bulk, dpdk-mempool\n");
	return EXIT_OK;
}
