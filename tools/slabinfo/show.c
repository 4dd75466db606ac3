// SPDX-License-Identifier: MIT
/*
 * What was asked for, of a text or of a process.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "slabinfo.h"

/* --- what stands for a process, and for a time --- */

bool is_pid(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/*
 * Seconds that can be waited on a terminal: whole milliseconds, whose number is
 * an int.
 */
#define LEAST	1e-3
#define LONGEST	1e6

bool parse_interval(const char *text, struct timespec *interval)
{
	char *end;
	double s;

	errno = 0;
	s = strtod(text, &end);
	if (end == text || *end || errno || !(s >= LEAST && s <= LONGEST))
		return false;
	interval->tv_sec = (time_t)s;
	interval->tv_nsec = (long)((s - (double)interval->tv_sec) * 1e9);
	return true;
}

/* --- showing --- */

static void finish_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
}

static void show_nodes(const struct nodes *all, const struct timespec *moment,
		       unsigned int show, const struct choice *choice)
{
	if (show & SHOW_JSON)
		print_nodes_json(all, moment, choice);
	else
		print_nodes(all, choice);
}

/* What there is of all nodes; too much for a stack. */
static struct nodes nodes;

/* And frees them. */
static void show_caches(struct caches *all, const struct timespec *moment,
			unsigned int show, const struct choice *choice)
{
	choose_caches(all, choice);
	if (show & SHOW_JSON)
		print_json(all, moment);
	if (show & SHOW_LIST)
		print_list(all, choice);
	if (show & SHOW_REPORT)
		print_report(all, choice);
	if (show & SHOW_TOTALS)
		print_totals(all, choice);
	free_caches(all);
}

void show_text(const struct text *text, unsigned int show,
	       const struct choice *choice)
{
	struct caches all;

	if (show & SHOW_NODES) {
		read_nodes(text->file, text->name, &nodes);
		show_nodes(&nodes, NULL, show, choice);
	} else {
		read_caches(text->file, text->name, &all);
		show_caches(&all, NULL, show, choice);
	}
	fclose(text->file);
	finish_output();
}

/* False: it has ended. */
static bool show_moment(const struct process *p, unsigned int show,
			const struct choice *choice)
{
	struct timespec moment;
	struct caches all;

	if (!(show & SHOW_NODES ? read_process_nodes(p, &nodes) :
				  read_process(p, &all)))
		return false;
	clock_gettime(CLOCK_REALTIME, &moment);
	if (show & SHOW_NODES)
		show_nodes(&nodes, &moment, show, choice);
	else
		show_caches(&all, &moment, show, choice);
	finish_output();
	return true;
}

void show_process(const char *pid, bool shrink, const struct timespec *interval,
		  unsigned int show, const struct choice *choice)
{
	struct process *p = open_process(pid, shrink);

	if (shrink)
		shrink_process(p);
	if (!show_moment(p, show, choice))
		die("process %s: it has ended", pid);
	while (interval) {
		nanosleep(interval, NULL);
		if (!(show & SHOW_JSON))
			putchar('\n');
		if (!show_moment(p, show, choice)) {
			fprintf(stderr, "slabinfo: process %s has ended\n",
				pid);
			break;
		}
	}
	close_process(p);
	finish_output();
}
