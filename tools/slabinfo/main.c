// SPDX-License-Identifier: MIT
/*
 * slabinfo: shows the caches of a program that uses libslab, from its slabinfo
 * text or while it runs, with the options of the kernel's tools/mm/slabinfo, or
 * its nodes, from its vmstat text or likewise. What needs what is not counted
 * (validation, tracking) is not here.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

const char *argp_program_version = "slabinfo " RN_VERSION;

enum { OPT_AS_PROC = 0x100 };

struct arguments {
	struct choice choice;
	unsigned int show;
	const char *file;
	const char *pid;
	const char *as_proc;
	bool again;
	bool shrink;
	struct timespec interval;
	char **command;
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to show:", 1 },
	{ "slabs", 'l', NULL, 0, "A line for each cache (the default)", 1 },
	{ "report", 'r', NULL, 0, "A report on each cache", 1 },
	{ "Totals", 'T', NULL, 0, "A summary of all caches", 1 },
	{ "numa", 'n', NULL, 0,
	  "A line for each node, of vmstat text or of a process", 1 },
	{ "json", 'j', NULL, 0, "A line of JSON for each cache or node", 1 },
	{ NULL, 0, NULL, 0, "Which caches, and how:", 2 },
	{ "cache", 'c', "REGEX", 0,
	  "Those whose name matches the extended regular expression", 2 },
	{ "empty", 'e', NULL, 0, "Those without an object in use", 2 },
	{ "zero", 'z', NULL, 0, "Those without a slab too", 2 },
	{ "lines", 'N', "K", 0, "The first K", 2 },
	{ "Size", 'S', NULL, 0, "Sort by size, largest first", 2 },
	{ "Loss", 'L', NULL, 0,
	  "Sort by loss (bytes not in use), largest first", 2 },
	{ "activity", 'A', NULL, 0,
	  "Sort by allocations and frees, most first (of a process)", 2 },
	{ "display-active", 'D', NULL, 0,
	  "List what was allocated and freed (of a process)", 2 },
	{ "inverted", 'i', NULL, 0, "The other way round", 2 },
	{ "Bytes", 'B', NULL, 0, "Sizes in bytes", 2 },
	{ NULL, 0, NULL, 0, "Of a process that runs:", 3 },
	{ "pid", 'p', "PID", 0,
	  "Show that one, which was started with RN_STATS_SHM=1", 3 },
	{ "shrink", 's', NULL, 0,
	  "Before that, have it give back what it does not need", 3 },
	{ "watch", 'w', "SECONDS", 0, "Again and again", 3 },
	{ NULL, 0, NULL, 0, "Instead of all that:", 4 },
	{ "as-proc", OPT_AS_PROC, "FILE|PID", 0,
	  "Run COMMAND with FILE, or the figures of a process, in the place of "
	  "/proc/slabinfo", 4 },
	{ 0 }
};

static const char doc[] =
	"Show the memory of a program that uses libslab, by cache: from a FILE "
	"(or the standard input) that holds its slabinfo text, or by running "
	"COMMAND and showing what it leaves when it exits; or while it runs, as "
	"process PID. \"slabinfo top PID\" shows that one as slabtop does."
	"\v"
	"Objects are those in use, Free those that are not, O/S the objects "
	"in a slab, O its order (of pages of 4 KiB), %Ef the share of the "
	"space that is in use.\n\n"
	"With --numa a text is that of rn_vmstat(), which RN_VMSTAT makes a "
	"program write: pageblocks of 2 MiB by what they are backed by, and "
	"allocations counted as numastat counts pages.\n\n"
	"The exit status is that of COMMAND, or 1 when something went wrong "
	"here.\n\n"
	"Examples:\n"
	"  slabinfo -S -- wordfreq README.rst\n"
	"  slabinfo -n -- numactl --interleave=all wordfreq README.rst\n"
	"  RN_SLABINFO=out wordfreq README.rst; slabinfo -T out\n"
	"  slabinfo --as-proc=out -- slabtop -o\n"
	"  RN_STATS_SHM=1 wordfreq - & slabinfo -p $! -w 1 -A -D -N 5";

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("slabinfo: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_TROUBLE);
}

static size_t number_of_lines(const char *arg, struct argp_state *state)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno || !n)
		argp_error(state, "-N %s: not a number of lines", arg);
	return n;
}

/* What stands behind "--" is the command, anything else the file. */
static void take_argument(struct arguments *args, char *arg,
			  struct argp_state *state)
{
	if (state->quoted && state->next > state->quoted) {
		args->command = &state->argv[state->next - 1];
		state->next = state->argc;
	} else if (args->file) {
		argp_error(state, "%s: one FILE only; a COMMAND goes behind "
			   "\"--\"", arg);
	} else {
		args->file = arg;
	}
}

static bool is_about_caches(const struct choice *c)
{
	return c->sort || c->inverted || c->lines || c->empty || c->pattern ||
		c->activity;
}

/* Is anything of it not as it was at the start? */
static bool is_chosen(const struct choice *c)
{
	return is_about_caches(c) || c->zero || c->bytes;
}

static void check_process(const struct arguments *args,
			  struct argp_state *state)
{
	bool live = args->pid || (args->as_proc && is_pid(args->as_proc));

	if (args->pid && (args->file || args->command))
		argp_error(state, "--pid goes with neither FILE nor COMMAND");
	if (args->shrink && !args->pid)
		argp_error(state, "--shrink needs --pid: only a process that "
			   "runs can give back anything");
	if (args->again && !live)
		argp_error(state, "--watch is of a process");
	if (!args->pid && (args->choice.sort == SORT_ACTIVITY ||
			   args->choice.activity))
		argp_error(state, "--activity and --display-active are of a "
			   "process: no text has these figures");
}

static void check(const struct arguments *args, struct argp_state *state)
{
	check_process(args, state);
	if (args->command && args->file)
		argp_error(state, "either FILE or COMMAND");
	if (state->quoted && !args->command)
		argp_error(state, "a COMMAND is missing behind \"--\"");
	if (args->as_proc && !args->command)
		argp_error(state, "--as-proc needs a COMMAND behind \"--\"");
	if (args->as_proc && (args->show || args->pid ||
			      is_chosen(&args->choice)))
		argp_error(state, "--as-proc shows nothing itself, and takes "
			   "no option but --watch");
	if (args->show & SHOW_JSON && args->show & ~(SHOW_JSON | SHOW_NODES))
		argp_error(state, "--json goes with no other form");
	if (args->show & SHOW_NODES && (args->show & ~(SHOW_JSON | SHOW_NODES) ||
					is_about_caches(&args->choice)))
		argp_error(state, "--numa is about no cache: it goes with "
			   "--json, --zero and --Bytes alone");
}

static error_t parse_show(int key, struct arguments *args)
{
	switch (key) {
	case 'l':
		args->show |= SHOW_LIST;
		return 0;
	case 'r':
		args->show |= SHOW_REPORT;
		return 0;
	case 'T':
		args->show |= SHOW_TOTALS;
		return 0;
	case 'j':
		args->show |= SHOW_JSON;
		return 0;
	case 'n':
		args->show |= SHOW_NODES;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_choice(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;
	struct choice *choice = &args->choice;

	switch (key) {
	case 'c':
		choice->pattern = arg;
		return 0;
	case 'e':
		choice->empty = true;
		return 0;
	case 'z':
		choice->zero = true;
		return 0;
	case 'N':
		choice->lines = number_of_lines(arg, state);
		return 0;
	case 'S':
		choice->sort = SORT_SIZE;
		return 0;
	case 'L':
		choice->sort = SORT_LOSS;
		return 0;
	case 'A':
		choice->sort = SORT_ACTIVITY;
		return 0;
	case 'D':
		choice->activity = true;
		return 0;
	case 'i':
		choice->inverted = true;
		return 0;
	case 'B':
		choice->bytes = true;
		return 0;
	default:
		return parse_show(key, args);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case 'p':
		if (!is_pid(arg))
			argp_error(state, "-p %s: not the number of a process",
				   arg);
		args->pid = arg;
		return 0;
	case 's':
		args->shrink = true;
		return 0;
	case 'w':
		if (!parse_interval(arg, &args->interval))
			argp_error(state, "-w %s: not a number of seconds",
				   arg);
		args->again = true;
		return 0;
	case OPT_AS_PROC:
		args->as_proc = arg;
		return 0;
	case ARGP_KEY_ARG:
		take_argument(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		check(args, state);
		return 0;
	default:
		return parse_choice(key, arg, state);
	}
}

/* Often enough for slabtop, which looks every three seconds. */
static const struct timespec every_second = { .tv_sec = 1 };

static int as_proc(const struct arguments *args)
{
	if (!is_pid(args->as_proc))
		run_as_proc(args->as_proc, args->command);
	return run_as_proc_of(args->as_proc, args->again ?
			      &args->interval : &every_second, args->command);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .doc = doc,
		.args_doc = "[FILE]\n-- COMMAND [ARGUMENT...]\n-p PID\n"
			    "top PID",
	};
	struct arguments args = { 0 };
	struct text text;
	int status = 0;

	if (argc > 1 && !strcmp(argv[1], "top"))
		return top(argc - 1, argv + 1);
	/* In order, or "FILE -- COMMAND" would be taken for a command FILE. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args);
	if (args.as_proc)
		return as_proc(&args);
	if (!args.show)
		args.show = SHOW_LIST;
	if (args.pid) {
		show_process(args.pid, args.shrink,
			     args.again ? &args.interval : NULL, args.show,
			     &args.choice);
		return 0;
	}
	if (args.command)
		status = run_command(args.command, args.show & SHOW_NODES ?
				     "RN_VMSTAT" : "RN_SLABINFO", &text);
	else
		text = open_text(args.file ? args.file : "-");
	if (text.file)
		show_text(&text, args.show, &args.choice);
	return status;
}
