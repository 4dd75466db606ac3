// SPDX-License-Identifier: MIT
/*
 * slabbench list: what there is to run, and over what.
 */
#include <argp.h>
#include "slabbench.h"

static void list_workload(const struct workload *w)
{
	printf("  %-10s %s\n", w->name, w->help);
	if (w->nr_sizes) {
		printf("  %-10s sizes", "");
		for (unsigned int i = 0; i < w->nr_sizes; i++)
			printf(" %zu", w->sizes[i]);
		putchar('\n');
	}
	printf("  %-10s threads", "");
	for (const unsigned int *t = w->threads; *t; t++)
		printf(" %u", *t);
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
	printf("allocators of compare -p:\n");
	peers_list(stdout);
	printf("allocators of run -a: rn, malloc (whatever malloc the process has), null\n");
	return EXIT_OK;
}
