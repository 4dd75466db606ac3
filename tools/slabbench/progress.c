// SPDX-License-Identifier: MIT
/*
 * A progress bar on stderr, where that is a terminal.
 */
#include <stdarg.h>
#include <unistd.h>
#include "slabbench.h"

#define BAR	24

static unsigned int total, done;
static uint64_t started_ns;
static bool shown;

void progress_start(unsigned int steps)
{
	total = steps;
	done = 0;
	started_ns = now_ns();
	shown = isatty(STDERR_FILENO) && steps > 1;
}

/* Before each step; the time left is reckoned from the steps so far. */
void progress_step(const char *fmt, ...)
{
	char bar[BAR + 1], what[64], left[32] = "-:--";
	unsigned int i;
	va_list ap;

	if (!shown)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	for (i = 0; i < BAR; i++)
		bar[i] = i < done * BAR / total ? '#' : '.';
	bar[BAR] = '\0';
	if (done) {
		unsigned int s = (now_ns() - started_ns) * 1e-9 / done *
			(total - done) + 0.5;

		snprintf(left, sizeof(left), "%u:%02u", s / 60, s % 60);
	}
	fprintf(stderr, "\r[%s] %u/%u  %s left  %s\033[K", bar, done, total,
		left, what);
	done++;
}

/* Before anything else is printed. */
void progress_clear(void)
{
	if (shown)
		fprintf(stderr, "\r\033[K");
}

void progress_end(void)
{
	progress_clear();
	shown = false;
}
