// SPDX-License-Identifier: MIT
/*
 * slabinfo top: the caches of a process as slabtop shows the kernel's, with its
 * options and keys.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "top.h"

/* --- orders, by slabtop's keys --- */

static double utilization(const struct cache *c)
{
	return percent(c->active, c->objects);
}

static double rank(const struct cache *c, int order)
{
	switch (order) {
	case 'a':
		return (double)c->active;
	case 'b':
		return (double)c->per_slab;
	case 'c':
		return (double)c->space;
	case 'l':
	case 'v':
		/* A slab that nothing is active in is none of these two's. */
		return (double)c->slabs;
	case 'o':
		return (double)c->objects;
	case 'p':
		return (double)c->pages_per_slab;
	case 's':
		return (double)c->size;
	case 'u':
		return utilization(c);
	default:
		return 0;	/* n: by name alone */
	}
}

bool top_is_order(int key)
{
	return key > 0 && key < 0x80 && strchr("abclnopsuv", key);
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct cache *x = a, *y = b;
	double m = rank(x, *(int *)arg), n = rank(y, *(int *)arg);

	if (m < n || m > n)
		return m < n ? 1 : -1;
	return strverscmp(x->name, y->name);
}

/* --- the table --- */

struct sums {
	uint64_t active, objects, slabs, used, total;
	uint64_t caches;
	uint64_t least, most;
};

static void sum_up(const struct caches *all, struct sums *s)
{
	*s = (struct sums){ 0 };
	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];

		s->active += c->active;
		s->objects += c->objects;
		s->slabs += c->slabs;
		s->used += c->used;
		s->total += c->objects * c->size;
		s->caches += c->slabs > 0;
		if (!i || c->size < s->least)
			s->least = c->size;
		if (c->size > s->most)
			s->most = c->size;
	}
}

static void print_share(FILE *out, const char *what, uint64_t part,
			uint64_t whole)
{
	fprintf(out, " %-34s : %" PRIu64 " / %" PRIu64 " (%.1f%%)\n", what,
		part, whole, percent(part, whole));
}

static double kib(uint64_t bytes)
{
	return (double)bytes / 1024;
}

static void print_head(FILE *out, const struct caches *all)
{
	struct sums s;

	sum_up(all, &s);
	print_share(out, "Active / Total Objects (% used)", s.active,
		    s.objects);
	print_share(out, "Active / Total Slabs (% used)", s.slabs, s.slabs);
	print_share(out, "Active / Total Caches (% used)", s.caches, all->nr);
	fprintf(out, " %-34s : %.2fK / %.2fK (%.1f%%)\n",
		"Active / Total Size (% used)", kib(s.used), kib(s.total),
		percent(s.used, s.total));
	fprintf(out, " %-34s : %.2fK / %.2fK / %.2fK\n\n",
		"Minimum / Average / Maximum Object", kib(s.least),
		s.objects ? kib(s.total / s.objects) : 0, kib(s.most));
	fprintf(out, "%8s %8s %4s %8s %7s %8s %10s %s\n", "OBJS", "ACTIVE",
		"USE", "OBJ SIZE", "SLABS", "OBJ/SLAB", "CACHE SIZE", "NAME");
}

void top_print(FILE *out, struct caches *all, int order)
{
	print_head(out, all);
	if (all->nr)
		qsort_r(all->cache, all->nr, sizeof(*all->cache), compare,
			&order);
	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];

		fprintf(out, "%8" PRIu64 " %8" PRIu64 " %3.0f%% %7.2fK %7"
			PRIu64 " %8" PRIu64 " %9.0fK %s\n", c->objects,
			c->active, utilization(c), kib(c->size), c->slabs,
			c->per_slab, kib(c->space), c->name);
	}
}

/* --- the command --- */

struct arguments {
	const char *pid;
	struct timespec interval;
	int order;
	bool once;
};

static const struct argp_option options[] = {
	{ "pid", 'p', "PID", 0, "The process; or as an argument", 1 },
	{ "delay", 'd', "SECONDS", 0, "From one look to the next (3)", 1 },
	{ "once", 'o', NULL, 0, "Print it once", 1 },
	{ "sort", 's', "KEY", 0, "The order to begin with (o)", 1 },
	{ 0 }
};

static const char doc[] =
	"Show the caches of a process that was started with RN_STATS_SHM=1, "
	"as slabtop does."
	"\v"
	"Keys sort it: a by active objects, b by objects in a slab, c by size "
	"of the cache, l by slabs, n by name, o by objects, p by pages in a "
	"slab, s by size of an object, u by the share of the objects that is "
	"active, v by active slabs, which all are. A blank looks at once, q "
	"ends it.";

static void take_pid(struct arguments *args, const char *arg,
		     struct argp_state *state)
{
	if (args->pid)
		argp_error(state, "%s: one PID only", arg);
	if (!is_pid(arg))
		argp_error(state, "%s: not the number of a process", arg);
	args->pid = arg;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'p':
	case ARGP_KEY_ARG:
		take_pid(args, arg, state);
		return 0;
	case 'd':
		if (!parse_interval(arg, &args->interval))
			argp_error(state, "-d %s: not a number of seconds",
				   arg);
		return 0;
	case 'o':
		args->once = true;
		return 0;
	case 's':
		if (!top_is_order(*arg) || arg[1])
			argp_error(state, "-s %s: not the key of an order",
				   arg);
		args->order = *arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->pid)
			argp_error(state, "a PID is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_once(const struct process *p, const struct arguments *args)
{
	struct caches all;

	if (!read_process(p, &all))
		die("process %s: it has ended", args->pid);
	top_print(stdout, &all, args->order);
	free_caches(&all);
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
}

static void show_screen(const struct process *p, const struct arguments *args)
{
#ifdef RN_NCURSES
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		die("no terminal is here; --once prints it once");
	if (!top_screen(p, &args->interval, args->order))
		fprintf(stderr, "slabinfo: process %s has ended\n", args->pid);
#else
	(void)p;
	(void)args;
	die("this was built without ncurses; --once prints it once");
#endif
}

int top(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .doc = doc,
		.args_doc = "PID",
	};
	struct arguments args = {
		.interval = { .tv_sec = 3 },	/* slabtop's */
		.order = 'o',
	};
	static char name[] = "slabinfo top";
	struct process *p;

	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	p = open_process(args.pid, false);
	if (args.once)
		print_once(p, &args);
	else
		show_screen(p, &args);
	close_process(p);
	return 0;
}
