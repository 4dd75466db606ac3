// SPDX-License-Identifier: MIT
/*
 * What the C library's malloc says of itself, of this heap: mallinfo(),
 * malloc_info(), malloc_stats(), and the calls that tune it.
 */
#include "compat.h"
#include "zone.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rn/reclaim.h>
#include <rn/vmstat.h>

/**
 * struct heap - the figures of the heap, in bytes
 * @up: in pageblocks that are up
 * @slabs: in slabs, of that
 * @objects: in objects of slabs that are out
 * @idle: in pages that nobody has
 * @resident: in those of them of which the system has not the memory
 */
struct heap {
	size_t up, slabs, objects, idle, resident;
};

static void count_zone(struct zone *z, struct heap *h)
{
	unsigned int ticket = gate_enter();
	size_t idle = 0, released;

	lock(&z->lock);
	for (u32 i = 0; i < z->high; i++) {
		struct pageblock *b = &mem.blocks[z->first + i];

		if (block_is_used(z, z->first + i))
			idle += b->nr_free;
	}
	/* What is warm may be there as a whole. */
	idle += (u64)z->nr_warm << PAGEBLOCK_ORDER;
	released = zone_nr_released(z);
	h->up += (size_t)(zone_nr_up(z) + z->nr_warm) << PAGEBLOCK_SHIFT;
	unlock(&z->lock);
	gate_exit(ticket);
	h->idle += idle << PAGE_SHIFT;
	h->resident += (idle - released) << PAGE_SHIFT;
}

static void count_heap(struct heap *h)
{
	struct cache_usage u;

	memset(h, 0, sizeof(*h));
	mm_init();
	if (mm_init_error())
		return;
	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next)) {
		cache_usage(c, &u);
		h->slabs += u.slabs * c->pages * PAGE_BYTES;
		h->objects += u.active * c->size;
	}
	for (int n = 0; n < nr_node_ids(); n++)
		count_zone(&zones[n], h);
}

/* What is out as runs of pages: the rest of what is up and has an owner. */
static size_t large_bytes(const struct heap *h)
{
	size_t small = h->slabs + h->idle;

	return h->up > small ? h->up - small : 0;
}

/**
 * mallinfo2() - figures of the heap
 *
 * Context: MT-safe; of others' calls at the same time it may see a part.
 * Return: arena, bytes that are mapped but for large objects; hblkhd, bytes of
 * large objects (above 64 KiB); uordblks, bytes in use, those among them;
 * fordblks, bytes that are mapped and free; keepcost, bytes of pages among
 * those that have memory, which malloc_trim() may give back. The other members
 * are 0.
 */
RN_API struct mallinfo2 mallinfo2(void)
{
	struct mallinfo2 info = { 0 };
	struct heap h;

	count_heap(&h);
	info.hblkhd = large_bytes(&h);
	info.arena = h.up - info.hblkhd;
	info.uordblks = h.objects + info.hblkhd;
	info.fordblks = h.up - info.uordblks;
	info.keepcost = h.resident;
	return info;
}

static int clip(size_t bytes)
{
	return bytes > INT32_MAX ? INT32_MAX : (int)bytes;
}

/**
 * mallinfo() - figures of the heap, in a type that is too narrow for them
 *
 * Context: as mallinfo2().
 * Return: as mallinfo2(), each figure at most INT_MAX.
 */
RN_API struct mallinfo mallinfo(void)
{
	struct mallinfo2 info = mallinfo2();

	return (struct mallinfo) {
		.arena = clip(info.arena), .hblkhd = clip(info.hblkhd),
		.uordblks = clip(info.uordblks),
		.fordblks = clip(info.fordblks),
		.keepcost = clip(info.keepcost),
	};
}

/**
 * malloc_info() - figures of the heap as XML
 * @options: 0
 * @f: where they go
 *
 * An element <heap> with a <size> for each cache, in the manner of the GNU C
 * library's; the names are those of the caches.
 *
 * Context: as mallinfo2().
 * Return: 0, or -1 with errno: EINVAL for other @options, or as fprintf().
 */
RN_API int malloc_info(int options, FILE *f)
{
	struct cache_usage u;
	struct heap h;

	if (options) {
		errno = EINVAL;
		return -1;
	}
	count_heap(&h);
	fprintf(f, "<malloc version=\"libslab-%s\">\n<heap nr=\"0\">\n<sizes>\n",
		rn_version());
	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next)) {
		cache_usage(c, &u);
		if (u.slabs)
			fprintf(f, "  <size name=\"%s\" bytes=\"%u\" "
				"total=\"%lu\" used=\"%lu\"/>\n", c->name,
				c->size, (unsigned long)u.objects,
				(unsigned long)u.active);
	}
	fprintf(f, "</sizes>\n<total type=\"large\" size=\"%zu\"/>\n"
		"<total type=\"rest\" size=\"%zu\"/>\n"
		"<system type=\"current\" size=\"%zu\"/>\n</heap>\n</malloc>\n",
		large_bytes(&h), h.idle, h.up);
	return ferror(f) ? -1 : 0;
}

/**
 * malloc_stats() - figures of the heap on stderr
 *
 * The caches as in /proc/slabinfo, then the counters (Documentation/admin-guide
 * explains both).
 *
 * Context: as mallinfo2().
 */
RN_API void malloc_stats(void)
{
	rn_slabinfo(STDERR_FILENO);
	rn_vmstat(STDERR_FILENO);
}

/**
 * malloc_trim() - give memory back to the system
 * @pad: bytes of free memory that may be kept
 *
 * As rn_trim().
 *
 * Context: as rn_trim().
 * Return: 1 if there was something to give back, else 0.
 */
RN_API int malloc_trim(size_t pad)
{
	return rn_trim(pad) != 0;
}

/**
 * mallopt() - tune the GNU C library's malloc
 * @param: M_MMAP_THRESHOLD and others
 * @value: for it
 *
 * None of what they tune is there. Options are environment variables.
 *
 * Context: any.
 * Return: 0: not set.
 */
RN_API int mallopt(int param, int value)
{
	(void)param;
	(void)value;
	return 0;
}
