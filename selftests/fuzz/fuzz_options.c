// SPDX-License-Identifier: MIT
/*
 * The RN_* variables with any values: what is read is something that the
 * library can start with, and what is not understood is said, in a line of its
 * own, and leaves the default.
 *
 * The input is an environment, its strings ended by 0. The first byte of a
 * string stands for a name, if there is one of that number.
 */
#include "fuzz.h"
#include "../helpers.h"
#include "../../mm/internal.h"

#include <errno.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MOST_STRINGS	32
#define MOST_BYTES	4096

static const char *const names[] = {
	"RN_BACKGROUND=", "RN_DECAY_MS=", "RN_FORK=", "RN_HUGEPAGESIZE=",
	"RN_HUGETLB=", "RN_LADDER=", "RN_LIMIT=", "RN_PERCPU=",
	"RN_PERCPU_BUDGET=", "RN_MEMMAP=", "RN_RESERVATION=", "RN_RESERVE=",
	"RN_SLABINFO=", "RN_SLABINFO_SIGNAL=", "RN_STATS_SHM=", "RN_VMSTAT=",
};

static struct environment {
	char text[MOST_BYTES + MOST_STRINGS * 32];
	char *string[MOST_STRINGS + 1];
} env;

/* Where reports of the sanitizers go while stderr is kept. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	__sanitizer_set_report_fd((void *)(intptr_t)dup(STDERR_FILENO));
	return 0;
}

static void make_environment(const char *at, const char *end)
{
	char *to = env.text;
	size_t n = 0;

	while (at < end && n < MOST_STRINGS) {
		const char *name = "";
		size_t len;

		if ((uint8_t)*at < ARRAY_LEN(names))
			name = names[(uint8_t)*at++];
		len = strnlen(at, (size_t)(end - at));
		env.string[n++] = to;
		to = mempcpy(stpcpy(to, name), at, len);
		*to++ = '\0';
		at += len + (at + len < end);
	}
	env.string[n] = NULL;
	environ = env.string;
}

/* --- what was said --- */

/* Lines that begin "libslab: NAME", followed by = or a blank. */
static size_t told(const char *text, const char *name)
{
	size_t len = strcspn(name, "="), n = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		const char *word = line + strlen("libslab: ");

		sure(!strncmp(line, "libslab: ", strlen("libslab: ")));
		n += !strncmp(word, name, len) &&
			(word[len] == '=' || word[len] == ' ');
	}
	return n;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* --- what was read --- */

static void ladder_is_one(void)
{
	int n = 0;

	while (n <= MAX_RUNGS && options.ladder[n] != RUNG_END) {
		sure(options.ladder[n] >= RUNG_HUGETLB &&
		     options.ladder[n] <= RUNG_SMALL);
		n++;
	}
	sure(n <= MAX_RUNGS);
}

static void options_are_sane(void)
{
	ladder_is_one();
	sure(options.huge_shift < 64);
	sure(options.percpu <= PERCPU_FALLBACK);
	sure(options.decay_ms >= -1);
	sure(options.slabinfo_signal >= 0 && options.slabinfo_signal < NSIG);
	sure(options.limit_soft <= options.limit_hard);
	sure(!options.limit_hard || options.limit_hard >= PAGEBLOCK_BYTES);
	sure(*(uint8_t *)&options.fork_copy <= 1);
	sure(*(uint8_t *)&options.background <= 1);
	sure(*(uint8_t *)&options.stats_shm <= 1);
}

/* Either it was said, or it was taken; @is_default: it has not been. */
static void one_of(const char *text, const char *name, bool is_default)
{
	if (told(text, name))
		sure(is_default);
}

static void told_is_not_taken(const char *text, const struct options *d)
{
	one_of(text, "RN_BACKGROUND", options.background == d->background);
	one_of(text, "RN_DECAY_MS", options.decay_ms == d->decay_ms);
	one_of(text, "RN_FORK", options.fork_copy == d->fork_copy);
	one_of(text, "RN_HUGEPAGESIZE", options.huge_shift == d->huge_shift);
	one_of(text, "RN_LIMIT", options.limit_hard == d->limit_hard);
	one_of(text, "RN_PERCPU", options.percpu == d->percpu);
	one_of(text, "RN_PERCPU_BUDGET",
	       options.percpu_budget == d->percpu_budget);
	one_of(text, "RN_RESERVATION", options.reservation == d->reservation);
	one_of(text, "RN_RESERVE", options.reserve == d->reserve);
	one_of(text, "RN_SLABINFO_SIGNAL", !options.slabinfo_signal);
	one_of(text, "RN_STATS_SHM", options.stats_shm == d->stats_shm);
}

/* Sizes: 0 is none, so who was set and is 0 must have been told. */
static void untold_is_taken(const char *text)
{
	sure(!getenv("RN_RESERVE") || options.reserve ||
	     told(text, "RN_RESERVE"));
	sure(!getenv("RN_RESERVATION") || options.reservation ||
	     told(text, "RN_RESERVATION"));
	sure(!getenv("RN_PERCPU_BUDGET") || options.percpu_budget ||
	     told(text, "RN_PERCPU_BUDGET"));
	sure(!getenv("RN_LIMIT") || options.limit_hard ||
	     told(text, "RN_LIMIT"));
	sure(!getenv("RN_SLABINFO_SIGNAL") || options.slabinfo_signal ||
	     told(text, "RN_SLABINFO_SIGNAL"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct options defaults = options;
	char **before = environ, *text;

	if (size > MOST_BYTES)
		return -1;
	make_environment((const char *)data, (const char *)data + size);
	stderr_catch();
	errno = 4321;
	options_read();
	text = stderr_caught();
	sure(lines(text) <= MOST_STRINGS);
	options_are_sane();
	told_is_not_taken(text, &defaults);
	untold_is_taken(text);
	free(text);
	environ = before;
	options = defaults;
	return 0;
}
