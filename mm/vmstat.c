// SPDX-License-Identifier: MIT
/*
 * Figures as text: the writer that needs no heap, and rn_vmstat().
 */
#include "debug/harden.h"
#include "debug/kfence.h"
#include "debug/sanitizer.h"
#include "pressure.h"
#include "shrinker.h"
#include "syscalls.h"

#include <rn/vmstat.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void seq_open(struct seq *s, int fd)
{
	s->fd = fd;
	s->error = 0;
	s->len = 0;
}

static void seq_flush(struct seq *s)
{
	const char *p = s->buf;

	while (s->len && !s->error) {
		ssize_t n = sys_write(s->fd, p, s->len);

		if (n < 0 && errno != EINTR)
			s->error = -errno;
		if (n > 0) {
			p += n;
			s->len -= n;
		}
	}
	s->len = 0;
}

/* A line is shorter than the buffer. */
void seq_printf(struct seq *s, const char *fmt, ...)
{
	for (int try = 0; try < 2; try++) {
		size_t room = sizeof(s->buf) - s->len;
		va_list ap;
		int n;

		va_start(ap, fmt);
		n = vsnprintf(s->buf + s->len, room, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < room) {
			s->len += n;
			return;
		}
		seq_flush(s);
	}
}

void seq_write(struct seq *s, const void *p, size_t n)
{
	for (const char *at = p, *end = at + n; at < end;) {
		size_t part = min(sizeof(s->buf) - s->len, (size_t)(end - at));

		memcpy(s->buf + s->len, at, part);
		s->len += part;
		at += part;
		if (s->len == sizeof(s->buf))
			seq_flush(s);
	}
}

int seq_close(struct seq *s)
{
	seq_flush(s);
	return s->error;
}

static void node_line(struct seq *s, int node, const char *name, u64 n)
{
	seq_printf(s, "node%d_%s %lu\n", node, name, (unsigned long)n);
}

static void vmstat_slabs(struct seq *s)
{
	struct cache_usage sum = { 0 }, u;
	u64 bytes, free_bytes;
	unsigned int caches = 0, ticket;

	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next)) {
		cache_usage(c, &u);
		sum.slabs += u.slabs;
		sum.fast_allocs += u.fast_allocs;
		sum.fast_frees += u.fast_frees;
		sum.slow_allocs += u.slow_allocs;
		sum.slow_frees += u.slow_frees;
		sum.refills += u.refills;
		sum.flushes += u.flushes;
		caches += READ_ONCE(c->refcount) != 0;
	}
	ticket = gate_enter();
	sheaf_pool_stats(&bytes, &free_bytes);
	gate_exit(ticket);
	seq_printf(s, "nr_caches %u\n", caches);
	seq_printf(s, "nr_slabs %lu\n", (unsigned long)sum.slabs);
	seq_printf(s, "alloc_fastpath %lu\n", (unsigned long)sum.fast_allocs);
	seq_printf(s, "alloc_slowpath %lu\n", (unsigned long)sum.slow_allocs);
	seq_printf(s, "free_fastpath %lu\n", (unsigned long)sum.fast_frees);
	seq_printf(s, "free_slowpath %lu\n", (unsigned long)sum.slow_frees);
	seq_printf(s, "sheaf_refill %lu\n", (unsigned long)sum.refills);
	seq_printf(s, "sheaf_flush %lu\n", (unsigned long)sum.flushes);
	seq_printf(s, "sheaf_kbytes %lu\n", (unsigned long)(bytes >> 10));
	seq_printf(s, "sheaf_free_kbytes %lu\n",
		   (unsigned long)(free_bytes >> 10));
	seq_printf(s, "meta_kbytes %lu\n",
		   (unsigned long)(meta_bytes() >> 10));
}

/*
 * What was allocated on a node is what was freed there and what is still in
 * use; the fast paths count both, and the node of neither.
 */
static void vmstat_node(struct seq *s, int node)
{
	const struct numa_runs *runs = numa_runs_on(node);
	struct cache_usage sum = { 0 };
	u64 allocs, bytes = 0, miss, other;

	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next)) {
		u64 slabs = sum.slabs;

		cache_usage_on(c, node, &sum);
		bytes += (sum.slabs - slabs) * c->pages << PAGE_SHIFT;
	}
	allocs = sum.fast_frees + sum.slow_frees + sum.active +
		READ_ONCE(runs->allocs);
	miss = sum.miss + READ_ONCE(runs->miss);
	other = sum.other + READ_ONCE(runs->other);
	node_line(s, node, "objects", sum.objects);
	node_line(s, node, "objects_active", sum.active);
	node_line(s, node, "slabs", sum.slabs);
	node_line(s, node, "slab_kbytes", bytes >> 10);
	/* While others run, the parts are from different moments. */
	node_line(s, node, "numa_hit", allocs - min(allocs, miss));
	node_line(s, node, "numa_miss", miss);
	node_line(s, node, "numa_foreign",
		  sum.foreign + READ_ONCE(runs->foreign));
	node_line(s, node, "interleave_hit",
		  sum.interleave + READ_ONCE(runs->interleave));
	node_line(s, node, "local_node", allocs - min(allocs, other));
	node_line(s, node, "other_node", other);
}

/**
 * rn_vmstat() - write what the library counts
 * @fd: file descriptor to write to
 *
 * Lines of "name value", as /proc/vmstat; lines that start with '#' are for
 * people. Counts are exact when nobody allocates, and else a moment old.
 *
 * Context: MT-safe; takes locks of the page allocator.
 * Return: 0, or -errno of write(2); -ENOMEM where the library cannot start.
 */
RN_API int rn_vmstat(int fd)
{
	struct seq s;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	seq_open(&s, fd);
	seq_printf(&s, "# Documentation/admin-guide/vmstat.rst has each "
		   "line\n");
	vmstat_percpu(&s);
	vmstat_slabs(&s);
	for (int node = 0; node < nr_node_ids(); node++)
		vmstat_node(&s, node);
	vmstat_pages(&s);
	vmstat_reclaim(&s);
	vmstat_kswapd(&s);
	vmstat_khugepaged(&s);
	vmstat_limit(&s);
	vmstat_harden(&s);
	vmstat_pressure(&s);
	vmstat_shrinkers(&s);
	vmstat_kfence(&s);
	vmstat_asan_heap(&s);
	return seq_close(&s);
}
