// SPDX-License-Identifier: MIT
/*
 * getrusage() for all, perf_event_open() where the machine has a PMU and the
 * user may read it; most virtual machines have none.
 */
#define _GNU_SOURCE
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "counters.h"

const char *const event_names[NR_EVENTS] = {
	[EVENT_INSTRUCTIONS] = "instructions",
	[EVENT_CACHE_MISSES] = "cache_misses",
	[EVENT_DTLB_MISSES] = "dtlb_misses",
};

static const struct {
	uint32_t type;
	uint64_t config;
} events[NR_EVENTS] = {
	[EVENT_INSTRUCTIONS] = {
		PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS
	},
	[EVENT_CACHE_MISSES] = {
		PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES
	},
	[EVENT_DTLB_MISSES] = {
		PERF_TYPE_HW_CACHE, PERF_COUNT_HW_CACHE_DTLB |
		PERF_COUNT_HW_CACHE_OP_READ << 8 |
		PERF_COUNT_HW_CACHE_RESULT_MISS << 16
	},
};

static int fds[NR_EVENTS] = { -1, -1, -1 };
static struct rusage started;

/* Inherited by threads that are started later, which are counted with it. */
static int event_open(enum event e)
{
	struct perf_event_attr attr = {
		.type = events[e].type,
		.size = sizeof(attr),
		.config = events[e].config,
		.disabled = 1,
		.inherit = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

/* Whether this machine counts it, and lets this user see it. */
bool counters_have(enum event e)
{
	int fd = event_open(e);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void counters_open(void)
{
	for (int e = 0; e < NR_EVENTS; e++)
		fds[e] = event_open(e);
}

void counters_start(void)
{
	getrusage(RUSAGE_SELF, &started);
	for (int e = 0; e < NR_EVENTS; e++)
		if (fds[e] >= 0)
			ioctl(fds[e], PERF_EVENT_IOC_ENABLE, 0);
}

static uint64_t cpu_ns(const struct rusage *r)
{
	return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * 1000000000ULL +
	       (r->ru_utime.tv_usec + r->ru_stime.tv_usec) * 1000ULL;
}

void counters_stop(struct counters *c)
{
	struct rusage now;

	memset(c, 0, sizeof(*c));
	for (int e = 0; e < NR_EVENTS; e++) {
		if (fds[e] < 0)
			continue;
		ioctl(fds[e], PERF_EVENT_IOC_DISABLE, 0);
		c->have[e] = read(fds[e], &c->event[e], sizeof(*c->event)) ==
			sizeof(*c->event);
	}
	getrusage(RUSAGE_SELF, &now);
	c->page_faults = now.ru_minflt - started.ru_minflt +
		now.ru_majflt - started.ru_majflt;
	c->ctx_switches = now.ru_nvcsw - started.ru_nvcsw +
		now.ru_nivcsw - started.ru_nivcsw;
	c->cpu_ns = cpu_ns(&now) - cpu_ns(&started);
}
