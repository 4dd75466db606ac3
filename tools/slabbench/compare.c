// SPDX-License-Identifier: MIT
/*
 * slabbench compare: a line for each row and allocator.
 */
#include "compare.h"

#define BENCH_BYTES	((size_t)1 << 30)
#define QUICK_BYTES	((size_t)256 << 20)

static const struct argp_child compare_children[] = {
	{ &comparison_argp, 0, NULL, 0 },
	{ 0 }
};

static const struct argp compare_argp = {
	.doc = "Compare allocators: a fresh process for each run, runs "
	       "interleaved.\v"
	       "Without -w, all workloads run, which takes long, and seq asks "
	       "for 1 GiB; --quick or --limit ends it sooner.",
	.children = compare_children,
};

static void apply_defaults(struct comparison *args)
{
	static const unsigned int quick_threads[] = { 1, 4, 16, 0 };
	struct selection *sel = &args->sel;

	if (!sel->bytes && args->quick)
		sel->bytes = QUICK_BYTES;
	else if (!sel->bytes && !sel->nr_workloads)
		sel->bytes = BENCH_BYTES;
	if (args->quick) {
		sel->divide = 10;
		sel->quick_threads = quick_threads;
	}
	if (!sel->runs)
		sel->runs = args->quick ? 3 : 5;
}

int cmd_compare(int argc, char **argv)
{
	static struct comparison args = { .sel = SELECTION_DEFAULTS };

	args.sel.runs = 0;
	argp_parse(&compare_argp, argc, argv, 0, NULL, &args);
	apply_defaults(&args);
	return compare_rows(&args, table_print);
}
