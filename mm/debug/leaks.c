// SPDX-License-Identifier: MIT
/*
 * What was never freed, by who allocated it: at exit (RN_LEAKS) of all, and of
 * a cache that is to be destroyed with objects in use.
 *
 * Lock: leaks_lock, over a report; the gate, list_lock and depot_lock are taken
 * within. Its names are asked for outside of the gate, while the loader's lock
 * may be another's: so who ends a cache only tries it.
 */
#include "profile.h"
#include "sanitizer.h"
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- what is out --- */

/**
 * struct leak_sums - objects that are out
 * @objects: how many
 * @bytes: that were asked for
 */
struct leak_sums {
	u64 objects, bytes;
};

static struct lock leaks_lock;
static struct leak_sums *sites;		/* by number of the stack, or 0 */
static u32 order[DEPOT_MAX];

static bool sites_clear(void)
{
	size_t bytes = (DEPOT_MAX + 1) * sizeof(*sites);

	if (!sites)
		sites = meta_alloc(bytes);
	if (sites)
		memset(sites, 0, bytes);
	else
		report("leaks: no memory for a report");
	return sites;
}

static void leak_add(struct leak_sums *s, u64 objects, u64 bytes)
{
	s->objects += objects;
	s->bytes += bytes;
}

/* Under list_lock. */
static void look_at_object(const struct rn_cache *c, const void *object)
{
	const struct object_meta *m = meta_of(c, object);
	const struct track *t = &m->tracks[TRACK_ALLOC];

	if (m->state == OBJECT_USED)
		leak_add(&sites[depot_save(t->frames, track_frames(t))], 1,
			 debug_size(c, object));
}

static void look_at_slab(void *arg, unsigned int row, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);

	(void)arg;
	if (!(c->debug & RN_STORE_USER))
		return;
	lock(&n->list_lock);
	for (unsigned int i = 0; i < c->objects; i++)
		if (slab->type == PAGE_SLAB && slab->row == row &&
		    slab->state != SLAB_ACTIVE)
			look_at_object(c, slab_object(c, slab, i));
	unlock(&n->list_lock);
}

/* Of samples it is known who allocated them. */
static __no_tsan void look_at_run(const struct page *page)
{
	if (page->type != PAGE_LARGE)
		return;
	if (page->mark)
		leak_add(&sites[profile_site_of(page->mark)], 1, page->asked);
	else
		leak_add(&sites[0], 1, large_size(page));
}

static void look_at_runs(void)
{
	for (u32 block = block_next_used(0); block != NO_BLOCK;
	     block = block_next_used(block + 1))
		for (u32 i = 0; i < PAGEBLOCK_PAGES; i++)
			look_at_run(pfn_to_page(block * PAGEBLOCK_PAGES + i));
}

/* The runtime is asked for stacks, outside of the gate. */
static void look_at_heap(const struct rn_cache *c)
{
	const void *frames[STACK_DEPTH_MOST];
	struct asan_object o;

	for (u32 i = 0; asan_heap_on && asan_heap_next(&i, &o);) {
		unsigned int nr, ticket;

		if (c && o.c != c)
			continue;
		nr = asan_heap_stack(&o, frames, STACK_DEPTH);
		ticket = gate_enter();
		leak_add(&sites[depot_save(frames, nr)], 1, o.size);
		gate_exit(ticket);
	}
}

/* All, or those of a cache. */
static void look_at(struct rn_cache *c)
{
	unsigned int ticket = gate_enter();

	if (!c)
		look_at_runs();
	slab_for_each(c, look_at_slab, NULL);
	gate_exit(ticket);
	look_at_heap(c);
}

/* --- by site, the one with the most bytes first --- */

static bool comes_before(u32 a, u32 b)
{
	return sites[a].bytes > sites[b].bytes;
}

/* Shell's sort, whose gaps are Knuth's: qsort() may allocate. */
static void sort(u32 nr)
{
	u32 gap = 1;

	while (gap < nr / 3)
		gap = 3 * gap + 1;
	for (; gap; gap /= 3) {
		for (u32 i = gap; i < nr; i++) {
			u32 id = order[i], at = i;

			for (; at >= gap && comes_before(id, order[at - gap]);
			     at -= gap)
				order[at] = order[at - gap];
			order[at] = id;
		}
	}
}

static u32 sort_sites(void)
{
	u32 nr = 0;

	for (u32 id = 1; id <= depot_last(); id++)
		if (sites[id].objects)
			order[nr++] = id;
	sort(nr);
	return nr;
}

static bool is_listed(const char *list, const char *name)
{
	while (name && *list) {
		size_t len = strcspn(list, ",");

		if (len && slab_name_matches(list, len, name))
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

/* Does RN_LEAKS_IGNORE name one of its functions, or their files? */
static bool is_ignored(const struct depot_stack *s)
{
	const char *function, *file, *slash;

	for (u32 i = 0; options.leaks_ignore && i < s->nr; i++) {
		stack_lookup(s->frames[i], &function, &file);
		slash = file ? strrchr(file, '/') : NULL;
		if (is_listed(options.leaks_ignore, function) ||
		    is_listed(options.leaks_ignore, slash ? slash + 1 : file))
			return true;
	}
	return false;
}

static void print_site(struct seq *s, const char *name, u32 id)
{
	const struct depot_stack *stack = depot_fetch(id);
	char buf[SYMBOL_LEN];
	struct symbol symbol;

	seq_printf(s, "%s: %lu bytes in %lu objects, allocated in\n", name,
		   (unsigned long)sites[id].bytes,
		   (unsigned long)sites[id].objects);
	for (u32 i = 0; i < stack->nr; i++) {
		symbol = stack_symbol(stack->frames[i]);
		seq_printf(s, "\t%s\n", symbol_text(buf, &symbol));
	}
}

/* Adds up what is printed, and what is not. */
static void print_sites(struct seq *s, const char *name, struct leak_sums *sum,
			struct leak_sums *ignored)
{
	for (u32 i = 0, nr = sort_sites(); i < nr; i++) {
		u32 id = order[i];
		bool skip = is_ignored(depot_fetch(id));

		leak_add(skip ? ignored : sum, sites[id].objects,
			 sites[id].bytes);
		if (!skip)
			print_site(s, name, id);
	}
}

/* --- at exit --- */

static void print_no_stacks(struct seq *s, const char *what, u64 objects,
			    u64 bytes, struct leak_sums *sum)
{
	if (!objects)
		return;
	leak_add(sum, objects, bytes);
	seq_printf(s, "leak: %lu bytes in %lu %s, of which no stack is known\n",
		   (unsigned long)bytes, (unsigned long)objects, what);
}

/* Less its samples, which are counted with the runs. */
static void print_cache(struct seq *s, struct rn_cache *c,
			struct leak_sums *sum)
{
	struct cache_usage u;
	char what[96];

	if (c->debug & RN_STORE_USER)
		return;
	cache_usage(c, &u);
	snprintf(what, sizeof(what), "objects of %s", c->name);
	print_no_stacks(s, what, u.active - u.samples,
			(u.active - u.samples) * c->object_size, sum);
}

static void print_caches(struct seq *s, struct leak_sums *sum)
{
	unsigned int ticket = gate_enter();

	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next))
		print_cache(s, c, sum);
	gate_exit(ticket);
}

static void print_leaks(struct seq *s, struct leak_sums *sum)
{
	struct leak_sums ignored = { 0 };
	u64 unknown;

	look_at(NULL);
	print_sites(s, "leak", sum, &ignored);
	unknown = sum->objects;
	print_caches(s, sum);
	unknown = sum->objects - unknown;
	print_no_stacks(s, "large or debugged objects", sites[0].objects,
			sites[0].bytes, sum);
	seq_printf(s, "leaks: %lu bytes in %lu objects",
		   (unsigned long)sum->bytes, (unsigned long)sum->objects);
	if (ignored.objects)
		seq_printf(s, "; ignored: %lu bytes in %lu objects",
			   (unsigned long)ignored.bytes,
			   (unsigned long)ignored.objects);
	seq_printf(s, unknown ? "; RN_SLAB_DEBUG=U has stacks\n" : "\n");
}

/* What is held back for a sanitizer was freed, but is in use to its cache. */
static void free_held(void)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	quarantine_empty(NULL);
	unlock(&slab_mutex);
	gate_exit(ticket);
}

static u64 report_leaks(void)
{
	struct leak_sums sum = { 0 };
	struct seq s;

	if (unlikely(sanitizer))
		free_held();
	lock(&leaks_lock);
	seq_open(&s, STDERR_FILENO);
	if (sites_clear())
		print_leaks(&s, &sum);
	seq_close(&s);
	unlock(&leaks_lock);
	return sum.objects;
}

static void leaks_at_exit(void)
{
	if (!report_leaks() || !options.leaks_exitcode)
		return;
	fflush(NULL);
	_exit(options.leaks_exitcode);
}

void leaks_init(void)
{
	if (options.leaks && atexit(leaks_at_exit))
		report("RN_LEAKS: no report at exit: out of memory");
}

/* --- of one cache --- */

void leaks_of_cache(struct rn_cache *c)
{
	struct leak_sums sum = { 0 };
	struct seq s;

	if (!(c->debug & RN_STORE_USER))
		return;
	if (!trylock(&leaks_lock)) {
		report("%s: leaks of another are being reported", c->name);
		return;
	}
	seq_open(&s, STDERR_FILENO);
	if (sites_clear()) {
		look_at(c);
		print_sites(&s, c->name, &sum, &sum);
	}
	seq_close(&s);
	unlock(&leaks_lock);
}
