// SPDX-License-Identifier: MIT
/*
 * idle: many threads that once used objects of every size, have freed them, and
 * sleep. What is held now, with nothing live, is what the allocator keeps for
 * threads that may never come back: held_kb.
 */
#include "alloc.h"
#include "workloads.h"

#define IDLE_LEAST	8
#define IDLE_MOST	32768

static const unsigned int idle_threads[] = { 1000, 0 };

/* Four to each power of two, as size classes often are; 8 bytes at first. */
static size_t next_class(size_t size)
{
	size_t power = (size_t)1 << (63 - __builtin_clzl(size));

	return size + (power > 32 ? power / 4 : 8);
}

/* Every page of it: an object that is not written to takes no memory. */
__bench_inline void write_to(char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
}

__bench_inline void idle(struct worker *w, struct ops a)
{
	uint64_t n = 0;

	for (uint64_t i = w->iterations; i; i--)
		for (size_t size = IDLE_LEAST; size <= IDLE_MOST;
		     size = next_class(size)) {
			char *p = must(a.get(size), size);

			write_to(p, size);
			keep(p);
			a.put(p);
			n++;
		}
	phase_end(w);
	fold(&w->checksum, n);
	w->ops = n;
}

BENCH_INSTANCES(idle)

static size_t idle_live(const struct row *row)
{
	(void)row;
	return 1;
}

static size_t idle_size(const struct row *row, uint64_t *rng)
{
	(void)row;
	(void)rng;
	return IDLE_MOST;
}

const struct workload workload_idle = {
	.name = "idle",
	.help = "each thread uses an object of every size up to 32 KiB once, "
		"then sleeps: memory held; an operation is one object",
	.total = 1,
	.threads = idle_threads,
	.phases = { "use", "sleep" },
	.cold = true,
	.live = idle_live,
	.next_size = idle_size,
	.run = BENCH_RUN(idle),
};
