// SPDX-License-Identifier: MIT
/*
 * slabbench: measures libslab and the allocators that a user would take
 * instead.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <rn/vmstat.h>
#include "slabbench.h"

static const struct command {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "list", "what there is to run", cmd_list },
	{ "run", "run workloads over one allocator", cmd_run },
	{ "compare", "compare allocators, runs interleaved", cmd_compare },
	{ "scale", "throughput by number of threads", cmd_scale },
	{ "frag", "memory held and memory asked for, over time", cmd_frag },
	{ "reclaim", "how much is held after most of it was freed", cmd_reclaim },
	{ "steady", "what reclaim costs where nothing is to be had", cmd_steady },
	{ "floor", "the least that an alloc+free pair can cost here", cmd_floor },
	{ "pools", "what groups and pools cost, and how long they hold", cmd_pools },
	{ "report", "one page of what the others have measured", cmd_report },
	{ "record", "run a program and write down what it allocates", cmd_record },
	{ "replay", "the same over other allocators", cmd_replay },
	{ "trace", "what was written down", cmd_trace },
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: slabbench COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name,
			commands[i].help);
	fprintf(out, "\nslabbench COMMAND --help says more; slabbench --version prints the version.\n"
		"Exit codes: 0 done, 1 a run or an output failed, 2 a bad option or a missing\n"
		"peer that was asked for, 3 not possible on this machine, 4 slower or larger\n"
		"than the baseline, 130 interrupted.\n");
}

/* argp names the program by argv[0] in its messages. */
static int run_command(const struct command *c, int argc, char **argv)
{
	static char name[64];

	snprintf(name, sizeof(name), "slabbench %s", c->name);
	argv[0] = name;
	argp_err_exit_status = EXIT_USAGE;
	return c->run(argc, argv);
}

static int finish(int ret)
{
	if (fflush(stdout) || ferror(stdout)) {
		perror("slabbench: cannot write to the standard output");
		return ret ? ret : EXIT_FAILED;
	}
	return ret;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "row-worker"))
		return row_worker(argc - 1, argv + 1);
	json_command(argc, argv);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?")) {
		usage(stdout);
		return finish(EXIT_OK);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("slabbench %s\n", rn_version());
		return finish(EXIT_OK);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(run_command(&commands[i], argc - 1,
						  argv + 1));
	fprintf(stderr, "slabbench: unknown command '%s'\n", argv[1]);
	usage(stderr);
	return EXIT_USAGE;
}
