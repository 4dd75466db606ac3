// SPDX-License-Identifier: MIT
/*
 * The RN_* environment variables. Read once, at initialisation; ignored in
 * setuid programs (secure_getenv). What cannot be understood is said in a line
 * on stderr that names the variable, and the default stays.
 */
#define _GNU_SOURCE
#include "internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* "2G", "512M", "64k", "4096": bytes, or 0 when it is no size. */
static size_t parse_size(const char *s)
{
	unsigned int shift = 0;
	char *end;
	unsigned long long n;
	size_t bytes;

	if (*s < '0' || *s > '9')
		return 0;
	errno = 0;
	n = strtoull(s, &end, 0);
	switch (*end) {
	case 'T': case 't': shift += 10;	/* fall through */
	case 'G': case 'g': shift += 10;	/* fall through */
	case 'M': case 'm': shift += 10;	/* fall through */
	case 'K': case 'k': shift += 10;
		end++;
		break;
	default:
		break;
	}
	if (errno || *end || __builtin_mul_overflow(n, 1ULL << shift, &bytes))
		return 0;
	return bytes;
}

void read_size(const char *name, size_t *where)
{
	const char *value = secure_getenv(name);
	size_t bytes;

	if (!value)
		return;
	bytes = parse_size(value);
	if (bytes)
		*where = bytes;
	else
		report("%s=%s is not a size such as 512M or 2G; ignored",
		       name, value);
}

/* "HARD" or "SOFT,HARD". */
static bool parse_limits(const char *value, size_t *soft, size_t *hard)
{
	size_t len = strcspn(value, ",");
	char first[32];

	*soft = 0;
	if (value[len]) {
		if (len >= sizeof(first))
			return false;
		memcpy(first, value, len);
		first[len] = '\0';
		*soft = parse_size(first);
		if (!*soft)
			return false;
		value += len + 1;
	}
	*hard = parse_size(value);
	return *hard && *soft <= *hard;
}

static void read_limit(void)
{
	const char *value = secure_getenv("RN_LIMIT");
	size_t soft, hard;

	if (!value)
		return;
	if (!parse_limits(value, &soft, &hard)) {
		report("RN_LIMIT=%s is not HARD or SOFT,HARD, sizes such as "
		       "512M, SOFT not above HARD; ignored", value);
		return;
	}
	if (hard < PAGEBLOCK_BYTES) {
		report("RN_LIMIT=%s leaves no room for a single pageblock of "
		       "2M; ignored", value);
		return;
	}
	options.limit_soft = soft;
	options.limit_hard = hard;
}

static void read_huge_size(void)
{
	size_t bytes = 0;

	read_size("RN_HUGEPAGESIZE", &bytes);
	if (!bytes)
		return;
	if (is_power_of_2(bytes))
		options.huge_shift = ilog2(bytes);
	else
		report("RN_HUGEPAGESIZE is not a power of two; ignored");
}

static const struct {
	const char *name;
	enum rung rung;
} rung_names[] = {
	{ "hugetlb", RUNG_HUGETLB },
	{ "thp", RUNG_THP },
	{ "other", RUNG_OTHER_NODE },
	{ "small", RUNG_SMALL },
};

static enum rung rung_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(rung_names); i++)
		if (strlen(rung_names[i].name) == len &&
		    !strncmp(rung_names[i].name, name, len))
			return rung_names[i].rung;
	return RUNG_END;
}

static void read_ladder(void)
{
	const char *value = secure_getenv("RN_LADDER"), *p = value;
	enum rung ladder[MAX_RUNGS + 1] = { RUNG_END };
	size_t n = 0;

	if (!value)
		return;
	while (n < MAX_RUNGS) {
		size_t len = strcspn(p, ",");

		ladder[n] = rung_by_name(p, len);
		if (ladder[n++] == RUNG_END)
			break;
		p += len;
		if (!*p) {
			ladder[n] = RUNG_END;
			memcpy(options.ladder, ladder, sizeof(ladder));
			options.small_first = 0;
			return;
		}
		p++;
	}
	report("RN_LADDER=%s is not a list of hugetlb, thp, other and small; "
	       "ignored", value);
}

static void ladder_without(enum rung rung)
{
	enum rung *to = options.ladder;

	for (enum rung *r = options.ladder; *r != RUNG_END; r++)
		if (*r != rung)
			*to++ = *r;
	*to = RUNG_END;
}

/* 0 and 1: hugetlb is taken off the ladder, or is the first rung of it. */
static void read_hugetlb(void)
{
	const char *value = secure_getenv("RN_HUGETLB");

	if (!value)
		return;
	if (strcmp(value, "0") && strcmp(value, "1")) {
		report("RN_HUGETLB=%s is not 0 or 1; ignored", value);
		return;
	}
	ladder_without(RUNG_HUGETLB);
	if (*value == '0')
		return;
	memmove(options.ladder + 1, options.ladder,
		sizeof(options.ladder) - sizeof(options.ladder[0]));
	options.ladder[0] = RUNG_HUGETLB;
	options.small_first = 0;
}

static void read_percpu(void)
{
	const char *value = secure_getenv("RN_PERCPU");

	if (!value || !strcmp(value, "cpu"))
		return;
	if (!strcmp(value, "cid"))
		options.percpu = PERCPU_CID;
	else if (!strcmp(value, "fallback"))
		options.percpu = PERCPU_FALLBACK;
	else
		report("RN_PERCPU=%s is not cpu, cid or fallback; ignored",
		       value);
}

static void read_fork(void)
{
	const char *value = secure_getenv("RN_FORK");

	if (!value || !strcmp(value, "share"))
		return;
	if (!strcmp(value, "copy"))
		options.fork_copy = true;
	else
		report("RN_FORK=%s is not share or copy; ignored", value);
}

/* By number or as "USR2" or "SIGUSR2". */
static int parse_signal(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (!*end)
		return n > 0 && n < NSIG ? (int)n : 0;
	if (!strncmp(s, "SIG", 3))
		s += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && !strcmp(name, s))
			return i;
	}
	return 0;
}

void read_signal(const char *name, int *where)
{
	const char *value = secure_getenv(name);
	int signal = value ? parse_signal(value) : 0;

	if (signal)
		*where = signal;
	else if (value)
		report("%s=%s is not a signal; ignored", name, value);
}

/* Texts, as they were: programs write over their environment. */
static char texts[16 << 10];
static size_t texts_len;

void read_text(const char *name, const char **where)
{
	const char *value = secure_getenv(name);
	size_t size = value ? strlen(value) + 1 : 0;

	if (size > sizeof(texts) - texts_len) {
		report("%s: too long; ignored", name);
		return;
	}
	if (value)
		*where = memcpy(texts + texts_len, value, size);
	texts_len += size;
}

static void read_slabinfo(void)
{
	read_text("RN_SLABINFO", &options.slabinfo);
	read_text("RN_VMSTAT", &options.vmstat);
	read_text("RN_MEMMAP", &options.memmap);
	read_signal("RN_SLABINFO_SIGNAL", &options.slabinfo_signal);
	if (secure_getenv("RN_SLABINFO_SIGNAL") && !options.slabinfo)
		options.slabinfo = "stderr";
}

static void read_decay(void)
{
	const char *value = secure_getenv("RN_DECAY_MS");
	char *end;
	long ms;

	if (!value)
		return;
	errno = 0;
	ms = strtol(value, &end, 10);
	if (errno || end == value || *end || ms < -1 || ms > INT32_MAX)
		report("RN_DECAY_MS=%s is not a number of milliseconds, or -1 "
		       "for never; ignored", value);
	else
		options.decay_ms = (int)ms;
}

void read_switch(const char *name, bool *where)
{
	const char *value = secure_getenv(name);

	if (!value)
		return;
	if (strcmp(value, "0") && strcmp(value, "1"))
		report("%s=%s is not 0 or 1; ignored", name, value);
	else
		*where = *value == '1';
}

static const char *const known[] = {
	"RN_BACKGROUND", "RN_DECAY_MS", "RN_FAILSLAB", "RN_FAIL_MBIND",
	"RN_FAIL_META", "RN_FAIL_MMAP", "RN_FAIL_PAGE_ALLOC", "RN_FAIL_POPULATE",
	"RN_FAIL_THREAD", "RN_FAULT_CHECK", "RN_FORK", "RN_HUGEPAGESIZE",
	"RN_HUGETLB", "RN_KFENCE", "RN_KFENCE_INTERVAL", "RN_KFENCE_OBJECTS",
	"RN_LADDER", "RN_LEAKS", "RN_LEAKS_EXITCODE", "RN_LEAKS_IGNORE",
	"RN_LIMIT", "RN_MEMMAP", "RN_PERCPU", "RN_PERCPU_BUDGET",
	"RN_PROFILE", "RN_PROFILE_INTERVAL", "RN_PROFILE_SIGNAL",
	"RN_QUARANTINE", "RN_RESERVATION", "RN_RESERVE", "RN_SANITIZER",
	"RN_SLABINFO",
	"RN_SLABINFO_SIGNAL", "RN_SLAB_DEBUG", "RN_SLAB_DEBUG_ACTION",
	"RN_STATS_SHM", "RN_VMSTAT",
	"RN_HARDENED", "RN_FREELIST_RANDOM", "RN_INIT_ON_ALLOC",
	"RN_INIT_ON_FREE", "RN_RANDOM_KMALLOC_CACHES",
};

/* A misspelt option must not be dropped in silence. */
static void report_unknown(void)
{
	if (getauxval(AT_SECURE))
		return;
	for (char **e = environ; e && *e; e++) {
		size_t len = strcspn(*e, "="), i;

		if (strncmp(*e, "RN_", 3))
			continue;
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (strlen(known[i]) == len &&
			    !strncmp(*e, known[i], len))
				break;
		if (i == ARRAY_SIZE(known))
			report("%.*s is not an option; ignored", (int)len, *e);
	}
}

void options_read(void)
{
	texts_len = 0;
	read_size("RN_RESERVE", &options.reserve);
	read_size("RN_RESERVATION", &options.reservation);
	read_huge_size();
	read_hugetlb();
	read_ladder();
	read_percpu();
	read_size("RN_PERCPU_BUDGET", &options.percpu_budget);
	read_fork();
	read_limit();
	read_slabinfo();
	read_decay();
	read_debug_options();
	read_switch("RN_BACKGROUND", &options.background);
	read_switch("RN_STATS_SHM", &options.stats_shm);
	report_unknown();
}
