// SPDX-License-Identifier: MIT
/*
 * slabbench report: a page of what the other commands have measured. What makes
 * it is a program in Python, in the folder report/.
 */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "slabbench.h"

struct report_args {
	const char *folder, *output;
};

static error_t parse_report(int key, char *arg, struct argp_state *state)
{
	struct report_args *args = state->input;

	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->folder)
			argp_error(state, "'%s': one folder is enough", arg);
		args->folder = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->folder)
			argp_error(state, "of which folder?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option report_options[] = {
	{ "output", 'o', "FILE", 0, "The page (default: report.html)", 0 },
	{ 0 }
};

static const struct argp report_argp = {
	.options = report_options,
	.parser = parse_report,
	.args_doc = "DIR",
	.doc = "One page of HTML, which needs nothing else, of what is in DIR: "
	       "JSON of any command (*.json), memory maps (*.memmap), calls of "
	       "strace (*.strace), allocators' own figures (*.stats).\v"
	       "Needs python3 and gnuplot.",
};

/* Where the sources are, by a link where O= is another folder; or installed. */
static bool find_generator(char *path, size_t len)
{
	static const char *const from_here[] = {
		"report", "../share/slabbench/report",
	};
	char at[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(from_here); i++) {
		if (!path_from_self(path, len, from_here[i]))
			continue;
		if ((size_t)snprintf(at, sizeof(at), "%s/__main__.py", path) <
		    sizeof(at) && !access(at, R_OK))
			return true;
	}
	return false;
}

int cmd_report(int argc, char **argv)
{
	struct report_args args = { .output = "report.html" };
	char path[PATH_MAX];

	argp_parse(&report_argp, argc, argv, 0, NULL, &args);
	if (!find_generator(path, sizeof(path))) {
		fprintf(stderr, "slabbench: the folder report/ is neither beside slabbench nor installed\n");
		return EXIT_UNAVAILABLE;
	}
	/* Without .pyc files in a folder that may be the sources. */
	execlp("python3", "python3", "-B", path, args.output, args.folder,
	       (char *)NULL);
	fprintf(stderr, "slabbench: the report needs python3 (Debian package python3): %s\n",
		strerror(errno));
	return EXIT_UNAVAILABLE;
}
