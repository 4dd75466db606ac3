// SPDX-License-Identifier: MIT
/*
 * slabbench steady: what it costs to look for memory that could go back, where
 * there is none: the instructions of a load that never changes, as callgrind
 * counts them, with decay switched off and as it is.
 *
 * Each is counted twice, with all operations and with none, so that neither the
 * start of the process nor the filling of the heap is in the figure. The thread
 * is pinned: on another CPU it would begin with an empty sheaf.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "options.h"
#include "results.h"

#define STEADY_WORKLOAD		"mixed"
#define DEFAULT_OBJECTS		20000
#define DEFAULT_OPERATIONS	1000000
#define MOST_OPERATIONS		100000000

enum { OPT_COUNT = 0x800, OPT_SEED, OPT_JSON };

/**
 * struct setting - how the library is told to give memory back
 * @name: as in the table
 * @env: arguments of env(1)
 *
 * The first one is what the others are held against.
 */
static const struct setting {
	const char *name;
	const char *env[2];
} settings[] = {
	{ "off", { "RN_BACKGROUND=0", "RN_DECAY_MS=-1" } },
	{ "default", { "--unset=RN_BACKGROUND", "--unset=RN_DECAY_MS" } },
	{ "background", { "--unset=RN_DECAY_MS", "RN_BACKGROUND=1" } },
};

struct steady {
	uint64_t operations, seed;
	size_t objects;
	const char *json;
};

static error_t parse_steady(int key, char *arg, struct argp_state *state)
{
	struct steady *args = state->input;

	switch (key) {
	case 'n':
		args->operations = parse_number(state, "-n", arg, 1,
						MOST_OPERATIONS);
		return 0;
	case OPT_COUNT:
		args->objects = parse_number(state, "--count", arg, 1,
					     MOST_OPERATIONS);
		return 0;
	case OPT_SEED:
		args->seed = parse_number(state, "--seed", arg, 0, UINT64_MAX);
		return 0;
	case OPT_JSON:
		args->json = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s': there are only options here", arg);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option steady_options[] = {
	{ "iterations", 'n', "N", 0,
	  "Objects replaced, one at random at a time (default: 1000000)", 0 },
	{ "count", OPT_COUNT, "N", 0,
	  "Objects that are there at a time (default: 20000)", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of the sequence of operations", 0 },
	{ "json", OPT_JSON, "FILE", 0,
	  "Write an object a line for each setting to FILE; - is the standard "
	  "output, and moves the table to standard error", 0 },
	{ 0 }
};

static const struct argp steady_argp = {
	.options = steady_options,
	.parser = parse_steady,
	.doc = "The instructions of a load that never changes, with reclaim "
	       "switched off and on.\v"
	       "Needs valgrind, whose callgrind counts them; takes a minute or "
	       "two.",
};

/* --- counting --- */

/* What callgrind has written into its file; 0 where it has not. */
static uint64_t read_total(const char *path)
{
	static const char key[] = "totals: ";
	FILE *f = fopen(path, "re");
	uint64_t total = 0;
	char *line = NULL;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0)
		if (!strncmp(line, key, strlen(key)))
			total = strtoull(line + strlen(key), NULL, 10);
	free(line);
	if (f)
		fclose(f);
	return total;
}

/* Instructions of the whole process, or 0 after a message. */
static uint64_t count(const struct row *row, const struct setting *s,
		      const char *path)
{
	char out[128];
	const char *const tool[] = {
		"env", s->env[0], s->env[1], "valgrind", "-q",
		"--tool=callgrind", out, NULL
	};
	struct result res = { .ops = 0 };
	uint64_t total;

	snprintf(out, sizeof(out), "--callgrind-out-file=%s", path);
	if (spawn_row_under(row, NULL, tool, &res))
		return 0;
	total = read_total(path);
	if (!total)
		fprintf(stderr, "slabbench: callgrind has counted nothing\n");
	return total;
}

/* Of the operations alone; 0 after a message, or without one if interrupted. */
static uint64_t count_operations(const struct row *row,
				 const struct setting *s, const char *path)
{
	struct row none = *row;
	uint64_t all, few;

	none.iterations = 0;
	progress_step("%s", s->name);
	few = count(&none, s, path);
	progress_step("%s", s->name);
	all = few ? count(row, s, path) : 0;
	progress_clear();
	if (!all || all > few)
		return all ? all - few : 0;
	fprintf(stderr, "slabbench: callgrind has counted %" PRIu64 " instructions with operations, and %" PRIu64 " without\n",
		all, few);
	return 0;
}

static bool count_all(const struct row *row, uint64_t *counted)
{
	char path[] = "/tmp/slabbench-steady-XXXXXX";
	bool good = true;
	int fd = mkstemp(path);

	if (fd < 0) {
		fprintf(stderr, "slabbench: cannot write below /tmp: %s\n",
			strerror(errno));
		return false;
	}
	close(fd);
	progress_start(2 * ARRAY_SIZE(settings));
	for (size_t i = 0; i < ARRAY_SIZE(settings) && good; i++) {
		counted[i] = count_operations(row, &settings[i], path);
		good = counted[i];
	}
	progress_end();
	unlink(path);
	return good;
}

/* --- telling --- */

static double ratio(const uint64_t *counted, size_t i)
{
	return (double)counted[i] / counted[0];
}

static void print(const struct row *row, const uint64_t *counted, FILE *out)
{
	fprintf(out, "# instructions of one thread that replaces %" PRIu64 " objects of mixed sizes at random,\n"
		"# %zu being there at a time; more: per operation, than with decay switched off;\n"
		"# x off: the ratio to those\n",
		row->iterations, row->count);
	fprintf(out, "%-12s %16s %14s %10s %8s\n", "reclaim",
		"instructions", "per operation", "more", "x off");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		fprintf(out, "%-12s %16" PRIu64 " %14.1f %10.2f %8.4f\n",
			settings[i].name, counted[i],
			(double)counted[i] / row->iterations,
			((double)counted[i] - counted[0]) / row->iterations,
			ratio(counted, i));
}

/* 0, or -1 after a message. */
static int put_json(struct json_out *json, const struct row *row,
		    const uint64_t *counted)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(settings) && !ret; i++) {
		json_t *obj = json_pack("{ss ss sI sI sI sf sI}",
			"workload", "steady", "reclaim", settings[i].name,
			"ops", (json_int_t)row->iterations,
			"count", (json_int_t)row->count,
			"instructions", (json_int_t)counted[i],
			"ratio", ratio(counted, i),
			"seed", (json_int_t)row->seed);

		ret = json_line(json, obj);
		json_decref(obj);
	}
	return ret;
}

static struct row make_row(const struct steady *args)
{
	int index = workload_find(STEADY_WORKLOAD);
	const struct workload *w = workload_get((unsigned int)index);
	struct row row = {
		.workload = (unsigned int)index,
		.allocator = ALLOC_RN,
		.threads = 1,
		.iterations = args->operations,
		.count = args->objects,
		.seed = args->seed,
		.pin = true,
	};

	dist_lognormal(&row, w->median, w->least, w->most);
	return row;
}

int cmd_steady(int argc, char **argv)
{
	struct steady args = {
		.operations = DEFAULT_OPERATIONS,
		.objects = DEFAULT_OBJECTS,
		.seed = DEFAULT_SEED,
	};
	uint64_t counted[ARRAY_SIZE(settings)];
	struct results results = { .json.f = NULL };
	struct row row;
	int ret;

	argp_parse(&steady_argp, argc, argv, 0, NULL, &args);
	if (!have_program("valgrind")) {
		fprintf(stderr, "slabbench: steady needs valgrind (Debian package valgrind)\n");
		return EXIT_UNAVAILABLE;
	}
	ret = results_open(&results, args.json);
	if (ret)
		return ret;
	row = make_row(&args);
	interrupt_catch();
	if (!count_all(&row, counted))
		ret = interrupted() ? EXIT_INTERRUPTED : EXIT_FAILED;
	else if (put_json(&results.json, &row, counted))
		ret = EXIT_FAILED;
	else
		print(&row, counted, results.out);
	return results_end(&results, ret);
}
