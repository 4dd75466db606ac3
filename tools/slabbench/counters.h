/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and the processor count while the clock runs.
 */
#ifndef SLABBENCH_COUNTERS_H
#define SLABBENCH_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

enum event {
	EVENT_INSTRUCTIONS, EVENT_CACHE_MISSES, EVENT_DTLB_MISSES, NR_EVENTS
};

extern const char *const event_names[NR_EVENTS];

/**
 * struct counters - of a process, all threads together
 * @page_faults: minor and major
 * @ctx_switches: voluntary and not
 * @cpu_ns: user and system time
 * @have: which of @event the machine counts
 */
struct counters {
	uint64_t page_faults, ctx_switches, cpu_ns;
	bool have[NR_EVENTS];
	uint64_t event[NR_EVENTS];
};

void counters_open(void);	/* before the threads are started */
void counters_start(void);
void counters_stop(struct counters *c);
bool counters_have(enum event e);

#endif /* SLABBENCH_COUNTERS_H */
