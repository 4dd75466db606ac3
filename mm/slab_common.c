// SPDX-License-Identifier: MIT
/*
 * Caches: making them, merging those of one shape, and their end.
 *
 * slab_mutex covers the list of caches and the table of rows. A cache and its
 * cache_nodes are never unmapped: a destroyed cache waits for the next one, so
 * that whoever still reads its figures reads memory.
 */
#include "debug/harden.h"
#include "debug/kfence.h"
#include "debug/sanitizer.h"
#include "pressure.h"
#include "shrinker.h"

#include <rn/pages.h>
#include <rn/slab-inline.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

struct lock slab_mutex;
struct rn_cache *slab_caches;
struct rn_cache **cache_of_row;

static struct rn_cache **list_end = &slab_caches;
static struct rn_cache *spare_caches;	/* destroyed, by ->next_spare */

/* Row 0 is nobody's, always empty; then come the classes. */
static unsigned int rows_used = RN_NR_CLASSES + 1;

#define CACHE_ALIGN	64
#define MAX_SLAB_ORDER	3
#define MAX_BIG_ORDER	6

int slab_init(void)
{
	cache_of_row = meta_alloc(sizeof(*cache_of_row) << row_node_shift);
	/* Not by the C library's function: a thread may be cancelled there. */
	if (syscall(SYS_getrandom, &slab_secret, sizeof(slab_secret),
		    GRND_NONBLOCK) < 0)
		slab_secret = (u64)&slab_secret * 0x9e3779b97f4a7c15;
	return cache_of_row ? 0 : -ENOMEM;
}

unsigned int nr_rows(void)
{
	return READ_ONCE(rows_used);
}

/* --- the shape of a cache --- */

static bool wastes_at_most(size_t size, unsigned int order, size_t fraction)
{
	size_t bytes = PAGE_BYTES << order;

	return bytes % size <= bytes / fraction;
}

/*
 * The smallest order that wastes at most a 16th of the slab, or an 8th, a
 * quarter, half, as calculate_order() of SLUB does; here from as many objects
 * as fill a sheaf, so that a refill seldom needs two slabs. Above 4 KiB four
 * objects have to do, in slabs of up to 256 KiB, and two of those of which a
 * slab with one object would keep the most.
 */
static unsigned int choose_order(size_t size, unsigned int sheaf_capacity)
{
	unsigned int top = size > PAGE_BYTES ? MAX_BIG_ORDER : MAX_SLAB_ORDER;
	size_t objects = size <= PAGE_BYTES ? sheaf_capacity :
			 size <= BIG_OBJECT ? 4 : 2;
	unsigned int low = order_base_2(DIV_ROUND_UP(objects * size,
						     PAGE_BYTES));

	low = min(max(low, (unsigned int)SLAB_MIN_ORDER), top);
	for (size_t fraction = 16; fraction > 1; fraction /= 2)
		for (unsigned int order = low; order <= top; order++)
			if (wastes_at_most(size, order, fraction))
				return order;
	return top;
}

/* How many objects a slab has, and in how many pages. */
static void set_layout(struct rn_cache *c, bool in_pages)
{
	c->per_page = 0;
	c->page_rest = 0;
	c->objects = (PAGE_BYTES << c->order) / c->size;
	c->pages = ALIGN(DIV_ROUND_UP(c->objects * c->size, PAGE_BYTES),
			 1UL << SLAB_MIN_ORDER);
	if (!in_pages)
		return;
	c->per_page = PAGE_BYTES / c->size;
	c->page_rest = PAGE_BYTES % c->size;
	c->objects = c->per_page << c->order;
	c->pages = 1U << c->order;
}

static void set_shape(struct rn_cache *c, const struct rn_cache_args *args,
		      unsigned int debug)
{
	size_t align = max(args->align, sizeof(void *));
	size_t size = ALIGN(max(args->size, sizeof(void *)), sizeof(void *));
	const unsigned int without = CACHE_IN_PAGES | CACHE_NO_CANARY;
	size_t canary = debug || args->flags & without ? 0 : canary_bytes();

	/* The least class has no room: nobody asks for its objects. */
	if (args->flags & CACHE_CANARY_IN && size <= canary)
		canary = 0;
	if (args->flags & RN_HWCACHE_ALIGN) {
		size_t line = CACHE_ALIGN;

		/* Small ones may share a line, but none lies across two. */
		while (args->size <= line / 2)
			line /= 2;
		align = max(align, line);
	}
	c->debug = debug;
	c->red_left = 0;
	/* A constructed object keeps its contents: the link goes behind. */
	c->free_offset = args->ctor ? size + canary : 0;
	c->canary = canary && args->ctor ? size : 0;
	if (!(args->flags & CACHE_CANARY_IN))
		size += canary;
	size = unlikely(debug) ? slab_debug_layout(c, size, align) :
		ALIGN(size + (args->ctor ? sizeof(void *) : 0), align);
	if (canary && !args->ctor)
		c->canary = size - canary;
	c->size = size;
	c->reciprocal = DIV_ROUND_UP(1UL << 40, size);
	c->usable = args->ctor || debug ? args->size : size - canary;
	/* Not even who shares it has more: who asks for less is no cache. */
	c->object_size = max(args->size, canary ? (size_t)c->usable : 0);
	c->align = align;
	c->sheaf_capacity = sheaf_capacity(size);
	c->order = choose_order(size, c->sheaf_capacity);
	set_layout(c, args->flags & CACHE_IN_PAGES);
	c->gfp = args->flags & RN_CACHE_HUGETLB ? RN_HUGETLB : 0;
	c->flags = args->flags;
	c->ctor = args->ctor;
	c->useroffset = args->useroffset;
	c->usersize = args->useroffset || args->usersize ? args->usersize
							 : c->usable;
}

/* With what is to be debugged, or without if that takes too much. */
static void set_debugged_shape(struct rn_cache *c, const char *name,
			       const struct rn_cache_args *args)
{
	unsigned int flags = slab_debug_flags(name, args->flags);
	unsigned int debug = flags & ~RN_FAILSLAB;

	set_shape(c, args, debug);
	if (unlikely(debug) && slab_debug_avoids(c)) {
		report("%s is not debugged: its objects would take more pages",
		       name);
		set_shape(c, args, 0);
	}
	/* What is marked is a cache, not who shares it. */
	if (unlikely(flags & RN_FAILSLAB))
		c->flags |= RN_FAILSLAB | RN_NOMERGE;
	if (unlikely(c->debug))
		WRITE_ONCE(slab_debug_on, true);
}

/* "struct node" is "node". */
static const char *plain_name(const char *name)
{
	static const char *const tags[] = { "struct ", "union ", "class " };

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (!strncmp(name, tags[i], strlen(tags[i])))
			name += strlen(tags[i]);
	return name;
}

static bool args_ok(const char *name, const struct rn_cache_args *args)
{
	const unsigned int known = RN_NOMERGE | RN_HWCACHE_ALIGN |
				   RN_CACHE_HUGETLB | RN_PANIC | RN_FAILSLAB |
				   RN_DEBUG_FLAGS;
	size_t end;

	return name && *plain_name(name) && args && args->sz == sizeof(*args) &&
	       args->size && args->size <= KMALLOC_MAX &&
	       (!args->align || (is_power_of_2(args->align) &&
				 args->align <= PAGE_BYTES)) &&
	       !(args->flags & ~known) &&
	       !__builtin_add_overflow(args->useroffset, args->usersize,
				       &end) &&
	       end <= args->size;
}

/* --- making one --- */

/* One word for slabinfo: "struct node" is "node", other blanks become '_'. */
void cache_name_of(char to[CACHE_NAME_LEN], const char *name)
{
	size_t n;

	name = plain_name(name);
	n = min(strlen(name), (size_t)CACHE_NAME_LEN - 1);
	memset(to, 0, CACHE_NAME_LEN);
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)name[i] <= ' ' ? '_' : name[i];
}

void cache_set_name(struct rn_cache *c, const char *name)
{
	cache_name_of(c->name, name);
}

/* Who lists caches without the lock may stand on it: @node stays. */
static struct rn_cache *take_spare(void)
{
	struct rn_cache *c = spare_caches;

	if (!c)
		return NULL;
	spare_caches = c->next_spare;
	smp_store_release(&c->next, NULL);
	return c;
}

/* A cache with @row, or any row if that is 0, and nothing else. */
static struct rn_cache *cache_struct(unsigned int row)
{
	struct rn_cache *c = row ? NULL : take_spare();

	if (c)
		return c;
	if (!row && rows_used >= 1U << row_node_shift)
		return NULL;
	/* In one piece: what was had of two would be lost with the other. */
	c = meta_alloc(sizeof(*c) + nr_node_ids() * sizeof(*c->node));
	if (!c)
		return NULL;
	c->node = (struct cache_node **)(c + 1);
	c->row = row ? row : rows_used;
	cache_of_row[c->row] = c;
	if (!row)
		WRITE_ONCE(rows_used, rows_used + 1);
	return c;
}

/* In the list, classes come first, by size. */
static struct rn_cache **class_place(unsigned int row)
{
	struct rn_cache **p = &slab_caches;

	while (*p && (*p)->row < row)
		p = &(*p)->next;
	return p;
}

static void list_insert(struct rn_cache *c, struct rn_cache **where)
{
	/* Who lists caches without the lock may stand on it, too. */
	WRITE_ONCE(c->next, *where);
	/* Pairs with their loads. */
	smp_store_release(where, c);
	if (list_end == where)
		list_end = &c->next;
}

struct rn_cache *cache_new(const char *name, const struct rn_cache_args *args,
			   unsigned int row)
{
	struct rn_cache *c = cache_struct(row);

	if (!c)
		return NULL;
	set_debugged_shape(c, name, args);
	c->refcount = 1;
	c->counter = NULL;
	cache_set_name(c, name);
	cache_set_fast_path(c);
	list_insert(c, row ? class_place(row) : list_end);
	return c;
}

static void cache_node_reset(struct cache_node *n)
{
	memset(n, 0, sizeof(*n));
	for (int i = 0; i < NR_BUCKETS; i++)
		n->partial[i] = NO_PFN;
	n->empty = NO_PFN;
	n->fill = FILL_LEAST;
}

struct cache_node *cache_node_get(struct rn_cache *c, int node)
{
	struct cache_node *n = smp_load_acquire(&c->node[node]), *new;

	if (likely(n))
		return n;
	new = meta_alloc(sizeof(*new));
	if (!new)
		return NULL;
	cache_node_reset(new);
	/* Whoever was first; the loser's few bytes wait for nobody. */
	if (__atomic_compare_exchange_n(&c->node[node], &n, new, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return new;
	return n;
}

static struct rn_cache *find_mergeable(const char *name,
				       const struct rn_cache_args *args)
{
	struct rn_cache shape, *c;

	if ((args->flags & RN_NOMERGE) || args->ctor || args->useroffset ||
	    args->usersize || slab_debug_flags(name, args->flags))
		return NULL;
	set_shape(&shape, args, 0);
	for (c = slab_caches; c; c = c->next)
		if (!c->debug && c->size == shape.size &&
		    c->size % shape.align == 0 && c->gfp == shape.gfp && !c->ctor &&
		    c->usersize == c->usable && !(c->flags & RN_NOMERGE))
			return c;
	return NULL;
}

/**
 * rn_cache_create() - make a cache of objects of one size
 * @name: shown in slabinfo; the first 63 bytes are copied
 * @args: its shape, see struct rn_cache_args
 *
 * Caches of the same shape share their slabs, and the name of the first one,
 * unless RN_NOMERGE is set or they have a constructor or a user region.
 *
 * Context: takes slab_mutex; may map memory.
 * Return: the cache, or NULL with errno: EINVAL for a bad name, size,
 * alignment, flag or user region, ENOMEM.
 */
RN_API struct rn_cache *rn_cache_create(const char *name,
					const struct rn_cache_args *args)
{
	struct rn_cache *c;
	unsigned int ticket;

	if (!args_ok(name, args)) {
		if (args && args->flags & RN_PANIC)
			bug("rn_cache_create(%s): invalid argument",
			    name ? name : "NULL");
		errno = EINVAL;
		return NULL;
	}
	mm_init();
	/* One of the classes may have that shape. */
	if (mm_init_error() || kmalloc_complete()) {
		if (args->flags & RN_PANIC)
			bug("rn_cache_create(%s): out of memory", name);
		errno = ENOMEM;
		return NULL;
	}
	if (args->flags & RN_STORE_USER)
		stack_prepare();
	ticket = gate_enter();
	lock(&slab_mutex);
	c = find_mergeable(name, args);
	if (c) {
		WRITE_ONCE(c->refcount, c->refcount + 1);
		WRITE_ONCE(c->object_size,
			   max(c->object_size, (u32)args->size));
	} else {
		c = cache_new(name, args, 0);
	}
	unlock(&slab_mutex);
	gate_exit(ticket);
	if (!c) {
		if (args->flags & RN_PANIC)
			bug("rn_cache_create(%s): out of memory", name);
		errno = ENOMEM;
	}
	return c;
}

/**
 * rn_cache_of_type() - what RN_CACHE() calls the first time
 * @where: where the cache is remembered
 * @name: the type, as written
 * @size: its size in bytes
 * @align: its alignment in bytes
 *
 * Context: as rn_cache_create(). Threads may race here.
 * Return: the cache, or NULL with errno as rn_cache_create().
 */
RN_API struct rn_cache *rn_cache_of_type(struct rn_cache **where,
					 const char *name, size_t size,
					 size_t align)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .align = align,
	};
	struct rn_cache *c = rn_cache_create(name, &args), *other = NULL;

	if (!c)
		return NULL;
	if (__atomic_compare_exchange_n(where, &other, c, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return c;
	rn_cache_destroy(c);
	return other;
}

/* --- its end --- */

static void unlink_cache(struct rn_cache *c)
{
	struct rn_cache **p = &slab_caches;

	kfence_forget(c);
	while (*p != c)
		p = &(*p)->next;
	smp_store_release(p, c->next);
	if (list_end == &c->next)
		list_end = p;
	for (int node = 0; node < nr_node_ids(); node++) {
		if (!c->node[node])
			continue;
		forget_waste(c->node[node]);
		cache_node_reset(c->node[node]);
	}
	WRITE_ONCE(c->refcount, 0);
	c->next_spare = spare_caches;
	spare_caches = c;
}

/* The last user is gone: 0, or -EBUSY with objects still out. */
static int destroy_last(struct rn_cache *c)
{
	unsigned long guarded = kfence_left(c) + asan_heap_left(c), left;
	struct cache_usage u;

	/* What the slots still have would be found by the next cache here. */
	if (!cache_flush(c))
		return -EBUSY;
	cache_usage(c, &u);
	/* Those in quarantine are nobody's. */
	left = guarded + (u.active && c->debug ? debug_left(c) : u.active);
	if (left) {
		report("rn_cache_destroy(%s): %lu of %lu objects are still "
		       "allocated", c->name, left,
		       (unsigned long)u.objects + guarded);
		return -EBUSY;
	}
	if (u.active)
		slab_discard_all(c);
	unlink_cache(c);
	return 0;
}

/**
 * rn_cache_destroy() - give up a cache
 * @cache: from rn_cache_create(), or NULL
 *
 * Its memory goes back with its last user. No object may be in use; if some
 * are, a line on stderr says how many, and the cache stays as it was. Of a
 * cache that is debugged each of them is listed.
 *
 * Context: takes slab_mutex, fences other CPUs.
 * Return: 0, or -EBUSY.
 */
RN_API int rn_cache_destroy(struct rn_cache *cache)
{
	unsigned int ticket;
	int ret = 0;

	if (!cache)
		return 0;
	if (!READ_ONCE(cache->refcount))
		bug("BUG %s: rn_cache_destroy() of a destroyed cache",
		    cache->name);
	ticket = gate_enter();
	lock(&slab_mutex);
	if (cache->refcount > 1)
		WRITE_ONCE(cache->refcount, cache->refcount - 1);
	else
		ret = destroy_last(cache);
	unlock(&slab_mutex);
	gate_exit(ticket);
	if (ret && cache->debug) {
		debug_report_left(cache);
		asan_heap_report_left(cache);
		leaks_of_cache(cache);
	}
	return ret;
}

/**
 * rn_cache_shrink() - give back the memory that a cache does not use
 * @cache: from rn_cache_create()
 *
 * Empties what is cached on every CPU into the slabs, and gives empty slabs to
 * the page allocator.
 *
 * Context: takes slab_mutex, fences other CPUs; others allocate on.
 * Return: 0.
 */
RN_API int rn_cache_shrink(struct rn_cache *cache)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	cache_flush(cache);
	unlock(&slab_mutex);
	gate_exit(ticket);
	return 0;
}

/**
 * rn_shrink_all() - give all unused memory back to the system
 *
 * Shrinkers (<rn/shrinker.h>) are asked for all they have. Then every cache is
 * shrunk, and idle pageblocks are unmapped; reserved ones (rn_reserve()) stay.
 *
 * Context: takes slab_mutex, fences other CPUs; others allocate on. Shrinkers
 * are called, but not out of one of them or a constructor.
 * Return: bytes given back.
 */
RN_API size_t rn_shrink_all(void)
{
	mm_init();
	if (mm_init_error())
		return 0;
	numa_forget();
	/* Others may fill them meanwhile: not until they have nothing. */
	for (int i = 0; i < RN_DEF_PRIORITY; i++)
		if (!shrink_until_freed(RN_KERNEL, 0))
			break;
	return reclaim_all(WHY_TRIM) + pages_shrink();
}

/*
 * What shrinkers, sheaves and idle slabs hold may do, for as many rounds as were
 * asked for; and while shrinkers give something, until they have been asked for
 * everything: each round begins at a lower priority than the one before.
 * RN_NOFAIL goes on for ever, in longer and longer steps.
 */
bool reclaim(rn_gfp_t flags, unsigned int round)
{
	static __thread bool gave;	/* somebody, in the round before */
	const unsigned int top = RN_DEF_PRIORITY;
	unsigned int rounds = max(gfp_retries(flags), 1U);
	bool nofail = flags & RN_NOFAIL, freed;

	/* A shrinker is there to give memory, not to have others give it. */
	if (!nofail && (flags & (RN_NOWAIT | RN_NORETRY) || is_shrinking() ||
			(round >= rounds && !gave) || round >= rounds + top))
		return false;
	freed = shrink_until_freed(flags, top - min(round, top));
	gave = freed;
	if (!freed && !nofail && round >= rounds)
		return false;
	if (!freed && round)
		nofail_pause(round - 1);
	numa_forget();
	reclaim_all(limit_is_hit() ? WHY_LIMIT : WHY_PRESSURE);
	return true;
}

/**
 * rn_cache_size() - usable bytes of an object of a cache
 * @cache: from rn_cache_create()
 *
 * Context: any.
 * Return: bytes, at least the size that the cache was made with.
 */
RN_API size_t rn_cache_size(const struct rn_cache *cache)
{
	return cache->usable;
}

/**
 * rn_cache_name() - the name of a cache, as in slabinfo
 * @cache: from rn_cache_create()
 *
 * Context: any.
 * Return: the name; of a merged cache, that of the first one.
 */
RN_API const char *rn_cache_name(const struct rn_cache *cache)
{
	return cache->name;
}
