// SPDX-License-Identifier: MIT
/*
 * slabinfo: shows the slabinfo text of a program that uses libslab, with the
 * options of the kernel's tools/mm/slabinfo, or what its vmstat text says of
 * nodes. Options that need more than the texts have (activity, shrinking,
 * validation, tracking) are not here.
 */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

const char *argp_program_version = "slabinfo " RN_VERSION;

enum {
	SHOW_LIST = 1, SHOW_TOTALS = 2, SHOW_REPORT = 4, SHOW_JSON = 8,
	SHOW_NODES = 16
};
enum { OPT_AS_PROC = 0x100 };

struct arguments {
	struct choice choice;
	unsigned int show;
	const char *file;
	const char *as_proc;
	char **command;
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "What to show:", 1 },
	{ "slabs", 'l', NULL, 0, "A line for each cache (the default)", 1 },
	{ "report", 'r', NULL, 0, "A report on each cache", 1 },
	{ "Totals", 'T', NULL, 0, "A summary of all caches", 1 },
	{ "numa", 'N', NULL, 0, "A line for each node, of vmstat text", 1 },
	{ "json", 'j', NULL, 0, "A line of JSON for each cache or node", 1 },
	{ NULL, 0, NULL, 0, "Which caches, and how:", 2 },
	{ "cache", 'c', "REGEX", 0,
	  "Those whose name matches the extended regular expression", 2 },
	{ "empty", 'e', NULL, 0, "Those without an object in use", 2 },
	{ "zero", 'z', NULL, 0, "Those without a slab too", 2 },
	{ "lines", 'n', "K", 0, "The first K", 2 },
	{ "Size", 'S', NULL, 0, "Sort by size, largest first", 2 },
	{ "Loss", 'L', NULL, 0,
	  "Sort by loss (bytes not in use), largest first", 2 },
	{ "inverted", 'i', NULL, 0, "The other way round", 2 },
	{ "Bytes", 'B', NULL, 0, "Sizes in bytes", 2 },
	{ NULL, 0, NULL, 0, "Instead of all that:", 3 },
	{ "as-proc", OPT_AS_PROC, "FILE", 0,
	  "Run COMMAND with FILE in the place of /proc/slabinfo", 3 },
	{ 0 }
};

static const char doc[] =
	"Show the memory of a program that uses libslab, by cache: from a FILE "
	"(or the standard input) that holds its slabinfo text, or by running "
	"COMMAND and showing what it leaves when it exits."
	"\v"
	"Objects are those in use, Free those that are not, O/S the objects "
	"in a slab, O its order (of pages of 4 KiB), %Ef the share of the "
	"space that is in use.\n\n"
	"With --numa the text is that of rn_vmstat(), which RN_VMSTAT makes a "
	"program write: pageblocks of 2 MiB by what they are backed by, and "
	"allocations counted as numastat counts pages.\n\n"
	"The exit status is that of COMMAND, or 1 when something went wrong "
	"here.\n\n"
	"Examples:\n"
	"  slabinfo -S -- wordfreq README.rst\n"
	"  slabinfo -N -- numactl --interleave=all wordfreq README.rst\n"
	"  RN_SLABINFO=out wordfreq README.rst; slabinfo -T out\n"
	"  slabinfo --as-proc=out -- slabtop -o";

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
		argp_error(state, "-n %s: not a number of lines", arg);
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
	return c->sort || c->inverted || c->lines || c->empty || c->pattern;
}

/* Is anything of it not as it was at the start? */
static bool is_chosen(const struct choice *c)
{
	return is_about_caches(c) || c->zero || c->bytes;
}

static void check(const struct arguments *args, struct argp_state *state)
{
	if (args->command && args->file)
		argp_error(state, "either FILE or COMMAND");
	if (state->quoted && !args->command)
		argp_error(state, "a COMMAND is missing behind \"--\"");
	if (args->as_proc && !args->command)
		argp_error(state, "--as-proc needs a COMMAND behind \"--\"");
	if (args->as_proc && (args->show || is_chosen(&args->choice)))
		argp_error(state, "--as-proc shows nothing itself, and takes "
			   "no other option");
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
	case 'N':
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
	case 'n':
		choice->lines = number_of_lines(arg, state);
		return 0;
	case 'S':
		choice->sort = SORT_SIZE;
		return 0;
	case 'L':
		choice->sort = SORT_LOSS;
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

static void show_nodes(const struct arguments *args, const struct text *text)
{
	static struct nodes all;

	read_nodes(text->file, text->name, &all);
	if (args->show & SHOW_JSON)
		print_nodes_json(&all, &args->choice);
	else
		print_nodes(&all, &args->choice);
}

static void show_caches(const struct arguments *args, const struct text *text)
{
	struct caches all;

	read_caches(text->file, text->name, &all);
	choose_caches(&all, &args->choice);
	if (args->show & SHOW_JSON)
		print_json(&all);
	if (args->show & SHOW_LIST)
		print_list(&all, &args->choice);
	if (args->show & SHOW_REPORT)
		print_report(&all, &args->choice);
	if (args->show & SHOW_TOTALS)
		print_totals(&all, &args->choice);
	free_caches(&all);
}

static void show(const struct arguments *args, const struct text *text)
{
	if (args->show & SHOW_NODES)
		show_nodes(args, text);
	else
		show_caches(args, text);
	fclose(text->file);
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .doc = doc,
		.args_doc = "[FILE]\n-- COMMAND [ARGUMENT...]",
	};
	struct arguments args = { 0 };
	struct text text;
	int status = 0;

	/* In order, or "FILE -- COMMAND" would be taken for a command FILE. */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args);
	if (args.as_proc)
		run_as_proc(args.as_proc, args.command);
	if (!args.show)
		args.show = SHOW_LIST;
	if (args.command)
		status = run_command(args.command, args.show & SHOW_NODES ?
				     "RN_VMSTAT" : "RN_SLABINFO", &text);
	else
		text = open_text(args.file ? args.file : "-");
	if (text.file)
		show(&args, &text);
	return status;
}
