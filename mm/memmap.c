// SPDX-License-Identifier: MIT
/*
 * What lies where: a line for each pageblock, slab, run and stretch of free
 * pages, and what CPUs and barns hold of each cache
 * (Documentation/admin-guide/memmap.rst).
 *
 * Locks: zone.lock while a pageblock is copied. Descriptors of pages are read
 * without one: a run may have become another meanwhile.
 */
#include "debug/fault_inject.h"
#include "slab.h"
#include "syscalls.h"
#include "zone.h"

#include <rn/vmstat.h>

/**
 * struct walk - on the way through the pages of a node
 * @s: where lines go
 * @b: the block, as it was
 * @pfn: the next page
 * @end: of the block
 * @unowned: pages in use so far that are of no slab and no run
 */
struct walk {
	struct seq *s;
	struct pageblock b;
	u32 pfn, end, unowned;
};

static const char *backing_name(u8 backing)
{
	static const char *const names[NR_BACKINGS] = {
		"none", "hugetlb", "thp", "small",
	};

	return backing < NR_BACKINGS ? names[backing] : "?";
}

static const char *state_name(u8 state)
{
	static const char *const names[] = {
		[SLAB_FULL] = "full", [SLAB_PARTIAL] = "partial",
		[SLAB_EMPTY] = "empty", [SLAB_ACTIVE] = "active",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

/* --- pages --- */

static bool has_bit(const u64 *pages, u32 i)
{
	return pages[i / 64] >> i % 64 & 1;
}

/* Pages from the next one on that are alike: free, and released, or not. */
static __no_tsan u32 alike(const struct walk *w)
{
	u32 first = w->pfn % PAGEBLOCK_PAGES, i = first;
	bool is_free = has_bit(w->b.free, i);
	bool is_released = has_bit(w->b.released, i);

	while (i < PAGEBLOCK_PAGES && has_bit(w->b.free, i) == is_free &&
	       has_bit(w->b.released, i) == is_released &&
	       (is_free || i == first ||
		READ_ONCE(pfn_to_page(w->pfn + i - first)->type) ==
			PAGE_NONE))
		i++;
	return i - first;
}

static u32 walk_free(struct walk *w)
{
	u32 nr = alike(w);
	bool gone = has_bit(w->b.released, w->pfn % PAGEBLOCK_PAGES);

	seq_printf(w->s, "%s %u %u\n", gone ? "released" : "free", w->pfn, nr);
	return nr;
}

static __no_tsan u32 walk_slab(struct walk *w, const struct page *slab,
			       const struct rn_cache *c)
{
	const struct page *h = slab_hollow(slab);
	unsigned int nr_free = READ_ONCE(slab->nr_free);
	unsigned int spare = nr_free +
		READ_ONCE(slab->nr_private) + READ_ONCE(h->nr_hollow) +
		c->objects - min(READ_ONCE(slab->fresh), c->objects);
	u8 state = READ_ONCE(slab->state);

	seq_printf(w->s, "slab %u %u %s %s %u %u %d %u\n", w->pfn, c->pages,
		   c->name, state_name(state),
		   c->objects - min(spare, (unsigned int)c->objects),
		   c->objects, __builtin_popcountll(READ_ONCE(h->hollow)),
		   state == SLAB_ACTIVE ? nr_free : 0);
	return c->pages;
}

static bool is_run(u8 type)
{
	return type == PAGE_LARGE || type == PAGE_HELD;
}

/* What is in use: a slab, a long run, or pages of rn_alloc_pages(). */
static __no_tsan u32 walk_used(struct walk *w)
{
	const struct page *page = pfn_to_page(w->pfn);
	const struct rn_cache *c = NULL;
	u32 nr;

	if (READ_ONCE(page->type) == PAGE_SLAB && page->row)
		c = row_to_cache(READ_ONCE(page->row));
	if (c)
		return walk_slab(w, page, c);
	nr = alike(w);
	if (is_run(READ_ONCE(page->type))) {
		nr = max(READ_ONCE(page->nr_pages), 1U) + RUN_ZONE;
		seq_printf(w->s, "large %u %u\n", w->pfn, nr);
	} else {
		seq_printf(w->s, "pages %u %u\n", w->pfn, nr);
		w->unowned += nr;
	}
	return nr;
}

static void walk_block(struct walk *w, u32 block)
{
	seq_printf(w->s, "block %u %d %s %u %u %u%s%s%s\n", block,
		   pfn_to_node(block << PAGEBLOCK_ORDER),
		   backing_name(w->b.backing), w->b.nr_free, w->b.nr_released,
		   w->b.nr_hollow, w->b.broken ? " broken" : "",
		   w->b.whole ? " whole" : "", w->b.lazy ? " lazy" : "");
	w->end = (block + 1) << PAGEBLOCK_ORDER;
	w->pfn = max(w->pfn, block << PAGEBLOCK_ORDER);
	while (w->pfn < w->end)
		w->pfn += has_bit(w->b.free, w->pfn % PAGEBLOCK_PAGES) ?
			walk_free(w) : walk_used(w);
}

/* One on its way up is written without the lock: it may be torn. */
static __no_tsan void copy_block(struct pageblock *to,
				 const struct pageblock *from)
{
	const volatile char *byte = (const volatile char *)from;

	for (size_t i = 0; i < sizeof(*to); i++)
		((char *)to)[i] = byte[i];
}

/* The next one that is up, from @block on, into @b; NO_BLOCK if none is. */
static __no_tsan u32 copy_next(struct zone *z, u32 block, struct pageblock *b)
{
	unsigned int ticket = gate_enter();

	lock(&z->lock);
	while (block < z->high &&
	       (sparse_next_open(block) != block ||
		!block_is_used(z, block) || block_is_blank(z, block) ||
		READ_ONCE(mem.blocks[block].backing) == BACKING_NONE))
		block++;
	if (block < z->high)
		copy_block(b, &mem.blocks[block]);
	else
		block = NO_BLOCK;
	unlock(&z->lock);
	gate_exit(ticket);
	return block;
}

static u32 walk_zone(struct seq *s, struct zone *z)
{
	struct walk w = { .s = s };
	u32 block = copy_next(z, z->first, &w.b);

	for (; block != NO_BLOCK; block = copy_next(z, block + 1, &w.b))
		walk_block(&w, block);
	return w.unowned;
}

u32 pages_unowned(void)
{
	u32 nr = 0;
	struct seq s;

	seq_open(&s, -1);
	for (int n = 0; n < nr_node_ids(); n++)
		nr += walk_zone(&s, &zones[n]);
	return nr;
}

/* --- caches --- */

static void write_or_dash(struct seq *s, long n)
{
	if (n < 0)
		seq_printf(s, " -");
	else
		seq_printf(s, " %ld", n);
}

static __no_tsan void write_slot(struct seq *s, const struct rn_cache *c,
				 int node, u32 index)
{
	const struct slot *slot = slot_of(row_on(c, node), index);
	const struct page *active = READ_ONCE(slot->active);
	unsigned int have[2] = { 0 }, room[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		const struct sheaf *sheaf = READ_ONCE(slot->sheaf[i]);

		if (!sheaf)
			continue;
		have[i] = sheaf_count(sheaf);
		room[i] = READ_ONCE(sheaf->capacity);
	}
	if (!room[0] && !room[1] && !active)
		return;
	seq_printf(s, "slot %s %d %u %u %u %u %u", c->name, node, index,
		   have[0], room[0], have[1], room[1]);
	write_or_dash(s, active ? page_to_pfn(active) : -1L);
	write_or_dash(s, percpu_node(index));
	seq_printf(s, "\n");
}

static void write_cache_on(struct seq *s, struct rn_cache *c, int node)
{
	struct cache_node *n = smp_load_acquire(&c->node[node]);
	struct cache_usage u = { 0 };

	if (!n)
		return;
	cache_usage_on(c, node, &u);
	seq_printf(s, "cache %s %d %u %lu %lu %lu %lu %lu %lu %lu %lu\n",
		   c->name, node, c->size, (unsigned long)u.active,
		   (unsigned long)u.objects, (unsigned long)u.fast_allocs,
		   (unsigned long)u.slow_allocs, (unsigned long)u.fast_frees,
		   (unsigned long)u.slow_frees, (unsigned long)u.refills,
		   (unsigned long)u.flushes);
	seq_printf(s, "barn %s %d %u %u %lu\n", c->name, node,
		   READ_ONCE(n->barn.nr_full), READ_ONCE(n->barn.nr_empty),
		   (unsigned long)READ_ONCE(n->barn.objects));
	for (u32 index = 0; index < percpu_indices(); index++)
		write_slot(s, c, node, index);
}

/**
 * rn_memmap() - write what lies where in memory
 * @fd: file descriptor to write to
 *
 * Lines of words (Documentation/admin-guide/memmap.rst): pageblocks with the
 * slabs, runs and free pages in them, then caches with their barns and the
 * slots of CPUs. Some 40 bytes for each slab. Exact when nobody allocates; else
 * parts are from different moments, and a slab may be said to be what has come
 * in its place.
 *
 * Context: MT-safe; takes locks of the page allocator.
 * Return: 0, or -errno of write(2); -ENOMEM where the library cannot start.
 */
RN_API int rn_memmap(int fd)
{
	struct seq s;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	seq_open(&s, fd);
	seq_printf(&s, "memmap - version: 1.0\n");
	for (int node = 0; node < nr_node_ids(); node++)
		walk_zone(&s, &zones[node]);
	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next))
		for (int node = 0; node < nr_node_ids(); node++)
			write_cache_on(&s, c, node);
	return seq_close(&s);
}
