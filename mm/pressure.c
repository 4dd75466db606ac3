// SPDX-License-Identifier: MIT
/*
 * The system is short of memory: what it says of that, and what is done.
 *
 * The kernel counts how long tasks wait for memory (PSI, "some ... total=" in
 * microseconds) and how often a control group came to its limits
 * (memory.events). At ticks both are compared with what they were. The files
 * are opened anew each time: a library that kept descriptors would have a
 * program's file under their numbers once that has closed all it does not know,
 * and a child of fork() may be in another group.
 *
 * The files are those of the process's group in cgroup v2, or else of the
 * system:
 *   /proc/self/cgroup           "0::PATH"
 *   /sys/fs/cgroup/PATH/        memory.pressure, memory.events
 *   /proc/pressure/memory
 *
 * A tick may be inside of the gate, where no callback may run. So it only notes
 * what is to be done; who is outside does it (pressure_run()).
 *
 * Locks: pressure.lock is only ever tried, by who holds no other but
 * vmscan.lock; nobody waits for it, and its owner for nothing.
 */
#include "pressure.h"
#include "shrinker.h"
#include "syscalls.h"
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Waiting for memory takes 150 ms of a second: the threshold in the kernel's
 * description of PSI (Documentation/accounting/psi.rst), a share that nobody
 * mistakes for a passing moment.
 */
#define STALL_PERMILLE	150U

/*
 * The trigger asks for the same share of 2 s: who has no CAP_SYS_RESOURCE may
 * have windows of a multiple of these only (Linux 6.6).
 */
#define TRIGGER		"some 300000 2000000"

/*
 * A group that reads files comes to its limits all the time, with page cache
 * that costs nothing to drop. It is short of memory if somebody also waits, a
 * hundredth of the time.
 */
#define EVENT_PERMILLE	10U

/* What is read sooner than this says more of the clock than of the system. */
#define POLL_MS		100U

/* Longer paths of groups, or lists of hierarchies, count as unreadable. */
#define PATH_BYTES	768
#define TEXT_BYTES	1024

const char *pressure_root = "";	/* tests put the files elsewhere */

u32 pressure_noted;

/**
 * struct figures - what the files say
 * @ms: when they were read
 * @stalled: microseconds that somebody waited for memory
 * @events: how often the group's "high" or "max" was in the way
 * @ooms: how often it had no memory left
 * @has_stalled: @stalled could be read
 * @has_events: @events and @ooms could
 */
struct figures {
	u64 ms;
	u64 stalled;
	u64 events;
	u64 ooms;
	bool has_stalled;
	bool has_events;
};

static struct {
	struct lock lock;
	struct figures last;
	u32 streak;		/* looks in a row that found it */
	u64 looks, found, runs;
} pressure;

/* --- reading --- */

/* The number behind @name at the start of a line of @text, if there is one. */
static bool line_value(const char *text, const char *name, u64 *value)
{
	size_t len = strlen(name);

	while (*text) {
		if (!strncmp(text, name, len)) {
			*value = strtoull(text + len, NULL, 10);
			return true;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return false;
}

/* The folder of the process's group, without a slash at its end. */
static bool find_group(char *path)
{
	char text[TEXT_BYTES], *at = text;
	int n;

	snprintf(path, PATH_BYTES, "%s/proc/self/cgroup", pressure_root);
	if (!read_small_file(path, text, sizeof(text)))
		return false;
	while (strncmp(at, "0::", 3)) {
		at += strcspn(at, "\n");
		if (!*at++)
			return false;
	}
	at += 3;
	at[strcspn(at, "\n")] = '\0';
	n = snprintf(path, PATH_BYTES, "%s/sys/fs/cgroup%s", pressure_root,
		     strcmp(at, "/") ? at : "");
	return n < PATH_BYTES;
}

/* Appends a name; false where it does not fit. */
static bool enter(char *path, const char *name)
{
	size_t len = strlen(path);

	return snprintf(path + len, PATH_BYTES - len, "/%s", name) <
		(int)(PATH_BYTES - len);
}

/* @path is as it was afterwards. */
static bool read_in(char *path, const char *name, char *text)
{
	size_t len = strlen(path);
	bool done = enter(path, name) &&
		read_small_file(path, text, TEXT_BYTES);

	path[len] = '\0';
	return done;
}

static void system_file(char *path)
{
	snprintf(path, PATH_BYTES, "%s/proc/pressure/memory", pressure_root);
}

static void parse_stalls(const char *text, struct figures *f)
{
	const char *total;

	if (strncmp(text, "some ", 5))
		return;
	total = strstr(text, "total=");
	if (!total)
		return;
	f->stalled = strtoull(total + strlen("total="), NULL, 10);
	f->has_stalled = true;
}

static void parse_events(const char *text, struct figures *f)
{
	u64 high, most;

	f->has_events = line_value(text, "high ", &high) &&
		line_value(text, "max ", &most) &&
		line_value(text, "oom ", &f->ooms);
	if (f->has_events)
		f->events = high + most;
}

static void read_figures(struct figures *f)
{
	char path[PATH_BYTES], text[TEXT_BYTES];
	bool group = find_group(path);

	*f = (struct figures){ .ms = clock_ms() };
	if (group && read_in(path, "memory.events", text))
		parse_events(text, f);
	if (group && read_in(path, "memory.pressure", text))
		parse_stalls(text, f);
	if (f->has_stalled)
		return;
	system_file(path);
	if (read_small_file(path, text, sizeof(text)))
		parse_stalls(text, f);
}

/* --- judging --- */

/* Of the time since the last look, what somebody waited. */
static u32 stall_share(const struct figures *then, const struct figures *now)
{
	u64 us = (now->ms - then->ms) * 1000;

	/* Another group's, perhaps. */
	if (!then->has_stalled || !now->has_stalled || !us ||
	    now->stalled < then->stalled)
		return 0;
	return min((now->stalled - then->stalled) * 1000 / us, (u64)1000);
}

static bool came_to_limits(const struct figures *then,
			   const struct figures *now, u32 share)
{
	return then->has_events && now->has_events &&
		now->events > then->events &&
		(!now->has_stalled || share >= EVENT_PERMILLE);
}

static bool had_none_left(const struct figures *then,
			  const struct figures *now)
{
	return then->has_events && now->has_events && now->ooms > then->ooms;
}

/*
 * How hard to press, from 0, not at all, to RN_DEF_PRIORITY + 1. A stall of all
 * the time, or a group that had no memory left, is worth everything.
 */
static u32 severity(const struct figures *then, const struct figures *now)
{
	const u32 most = RN_DEF_PRIORITY + 1;
	u32 share = stall_share(then, now);

	if (had_none_left(then, now))
		return most;
	if (share >= STALL_PERMILLE)
		return 1 + (share - STALL_PERMILLE) * RN_DEF_PRIORITY /
			(1000 - STALL_PERMILLE);
	return came_to_limits(then, now, share);
}

/* The longer it lasts, the harder. Under the lock. */
static void judge(const struct figures *now)
{
	u32 hard = severity(&pressure.last, now);

	pressure.last = *now;
	if (!hard) {
		WRITE_ONCE(pressure.streak, 0);
		return;
	}
	stat_inc(&pressure.found);
	hard = min(hard + pressure.streak, RN_DEF_PRIORITY + 1U);
	WRITE_ONCE(pressure.streak, pressure.streak + 1);
	WRITE_ONCE(pressure_noted, max(READ_ONCE(pressure_noted), hard));
}

static bool look(void)
{
	struct figures now;
	u32 had = pressure.streak;

	if (clock_ms() - pressure.last.ms < POLL_MS)
		return false;
	read_figures(&now);
	stat_inc(&pressure.looks);
	judge(&now);
	return pressure.streak > had;
}

void pressure_poll(void)
{
	int saved = errno;
	bool found = false;

	if (trylock(&pressure.lock)) {
		found = look();
		unlock(&pressure.lock);
	}
	/* Callbacks have to wait, this has not. */
	if (found)
		pages_release(0, WHY_PRESSURE);
	errno = saved;
}

bool pressure_is_on(void)
{
	return READ_ONCE(pressure.streak) != 0;
}

void pressure_run(void)
{
	struct rn_shrink_control sc = { .bytes = SIZE_MAX };
	int saved = errno;
	u32 hard;

	if (thread_self.depth || is_shrinking())
		return;
	if (unlikely(shrink_is_asked()))
		shrink_answer();
	hard = __atomic_exchange_n(&pressure_noted, 0, __ATOMIC_RELAXED);
	if (!hard) {
		errno = saved;
		return;
	}
	stat_inc(&pressure.runs);
	sc.priority = RN_DEF_PRIORITY + 1 - hard;
	shrink_all(&sc);
	reclaim_all(WHY_PRESSURE);
	errno = saved;
}

/* --- waiting for it --- */

static int open_trigger(const char *path)
{
	static const char trigger[] = TRIGGER;
	int fd = sys_open(path, O_RDWR | O_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* With its 0: the kernel takes the last byte for one. */
	if (sys_write(fd, trigger, sizeof(trigger)) == sizeof(trigger))
		return fd;
	sys_close(fd);
	return -1;
}

int pressure_fd(void)
{
	char path[PATH_BYTES];
	int saved = errno, fd = -1;

	if (find_group(path) && enter(path, "memory.pressure"))
		fd = open_trigger(path);
	if (fd < 0) {
		system_file(path);
		fd = open_trigger(path);
	}
	errno = saved;
	return fd;
}

/* --- figures --- */

void vmstat_pressure(struct seq *s)
{
	struct figures now;

	read_figures(&now);
	if (!now.has_stalled)
		seq_printf(s, "# no memory.pressure can be read: the system's "
			   "pressure is not known\n");
	if (!now.has_events)
		seq_printf(s, "# no memory.events can be read: limits of a "
			   "control group are not known\n");
	seq_printf(s, "pressure_looks %lu\n",
		   (unsigned long)READ_ONCE(pressure.looks));
	seq_printf(s, "pressure_found %lu\n",
		   (unsigned long)READ_ONCE(pressure.found));
	seq_printf(s, "pressure_runs %lu\n",
		   (unsigned long)READ_ONCE(pressure.runs));
	seq_printf(s, "pressure_streak %u\n", READ_ONCE(pressure.streak));
}
