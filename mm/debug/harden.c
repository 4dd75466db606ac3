// SPDX-License-Identifier: MIT
/*
 * Hardening by option: what is seen of each object on its way to the program
 * and back, and the order of new ones.
 *
 *   object in use                 link word is the program's
 *   in a sheaf, or on its way     link_mark()
 *   on a freelist                 a link
 *
 * Locks: none. An object that comes or goes is in the caller's hands, unless
 * two free it at once: then the exchange of the word decides.
 */
#include "freelist.h"
#include "harden.h"
#include "slab_hooks.h"

#include <rn/slab-inline.h>
#include <string.h>

static_assert(NR_RANDOM_CACHES <= 100, "two digits of a name");

/* --- what is on --- */

/* With rows for the copies of all classes, and as many again for others. */
static bool has_rows_for_copies(void)
{
	return 1U << row_node_shift >= 4 * NR_RANDOM_CACHES * RN_NR_CLASSES;
}

void harden_init(void)
{
	slab_hook_set_locked(HOOK_HARDENED, options.hardened);
	slab_hook_set_locked(HOOK_INIT_ALLOC, options.init_on_alloc);
	slab_hook_set_locked(HOOK_INIT_FREE, options.init_on_free);
	if (options.random_caches && !has_rows_for_copies())
		report("RN_RANDOM_KMALLOC_CACHES: too many nodes; ignored");
	else
		slab_hook_set_locked(HOOK_RANDOM_CACHES,
				     options.random_caches);
}

void vmstat_harden(struct seq *s)
{
	unsigned int on = READ_ONCE(slab_hooks);

	seq_printf(s, "hardened %d\n", !!(on & HOOK_HARDENED));
	seq_printf(s, "freelist_random %d\n", options.freelist_random);
	seq_printf(s, "init_on_alloc %d\n", !!(on & HOOK_INIT_ALLOC));
	seq_printf(s, "init_on_free %d\n", !!(on & HOOK_INIT_FREE));
	seq_printf(s, "random_kmalloc_caches %d\n",
		   !!(on & HOOK_RANDOM_CACHES));
}

/* --- the order of new objects --- */

/* Below @n; the state, which is not 0, goes round all numbers but that. */
static unsigned int random_below(u64 *state, unsigned int n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 32) * n >> 32;
}

static void init_new(const struct rn_cache *c, const struct page *slab,
		     void *object)
{
	if (c->ctor)
		c->ctor(object);
	else if (options.hardened && options.init_on_free)
		memset(object, 0, c->usable);
	if (c->canary)
		canary_set(c, slab, object, 0);
}

/* Each object goes behind a random one of those before it, or to the front. */
void slab_shuffle(struct rn_cache *c, struct page *slab)
{
	u64 state = (slab->key ^ __builtin_bswap64(slab_secret)) | 1;
	unsigned int head = NO_OBJECT;

	for (unsigned int i = 0; i < c->objects; i++) {
		unsigned int behind = random_below(&state, i + 1);
		void *object = slab_object(c, slab, i);

		init_new(c, slab, object);
		if (behind == i) {
			link_set(c, slab, object, head);
			head = i;
			continue;
		}
		link_set(c, slab, object, link_next(c, slab, behind));
		link_set(c, slab, slab_object(c, slab, behind), i);
	}
	slab->private = head;
	slab->nr_private = c->objects;
	slab->fresh = c->objects;
}

/* --- objects that come and go --- */

static __noreturn void written_after_free(const struct rn_cache *c,
					  const void *object)
{
	bug("BUG %s: object %p was written to after it was freed", c->name,
	    object);
}

static void check_mark(const struct rn_cache *c, const struct page *slab,
		       const void *object)
{
	const u64 *where = link_of(c, object);

	if (unlikely(READ_ONCE(*where) != link_mark(slab, where)))
		written_after_free(c, object);
}

/* Behind the mark: it was cleared when it was freed. */
static void check_zero(const struct rn_cache *c, const void *object)
{
	const u64 *word = object, *end = word + c->usable / sizeof(u64);
	u64 any = 0;

	while (++word < end)
		any |= *word;
	if (unlikely(any))
		written_after_free(c, object);
}

static void check_free(const struct rn_cache *c, const void *object)
{
	const struct page *slab = ptr_to_slab(c, object);

	check_mark(c, slab, object);
	if (c->canary)
		canary_check(c, slab, object);
}

void harden_alloc(struct rn_cache *c, void *object)
{
	if (c->debug)
		return;
	check_free(c, object);
	if (slab_hooked(HOOK_INIT_FREE) && !c->ctor)
		check_zero(c, object);
	WRITE_ONCE(*link_of(c, object), 0);
}

/* Who has it from a cache may use all of it. */
void harden_account(struct rn_cache *c, void *object, size_t size)
{
	if (c->canary && size < READ_ONCE(c->object_size))
		canary_set(c, ptr_to_slab(c, object), object, size);
}

void harden_check(const struct rn_cache *c, const struct sheaf *s)
{
	for (unsigned int i = 0; i < sheaf_count(s); i++) {
		tsan_acquire(s->objects[i]);
		check_free(c, s->objects[i]);
	}
}

/* Of two who free it at once, one finds the mark of the other. */
static void set_mark(const struct rn_cache *c, const struct page *slab,
		     void *object)
{
	u64 *where = link_of(c, object), mark = link_mark(slab, where);

	if (unlikely(link_decode(c, slab, where) >= 0 ||
		     __atomic_exchange_n(where, mark, __ATOMIC_RELAXED) ==
		     mark))
		bug("BUG %s: double free of %p", c->name, object);
}

void harden_free(unsigned int row, void *object)
{
	struct rn_cache *c = row_to_cache(row);
	const struct page *slab = ptr_to_slab(c, object);
	unsigned int index;
	size_t marked = 0;

	if (c->debug)
		return;
	index = slab_check_object(c, slab, object);
	/* The mark may lie over what is behind a small request. */
	if (c->canary) {
		canary_check(c, slab, object);
		canary_check_before(c, slab, index);
	}
	if (slab_hooked(HOOK_HARDENED)) {
		set_mark(c, slab, object);
		marked = sizeof(u64);
	}
	if (c->canary)
		canary_set(c, slab, object, 0);
	/* Without a constructor the mark lies in front. */
	if (slab_hooked(HOOK_INIT_FREE) && !c->ctor)
		memset((char *)object + marked, 0, c->usable - marked);
}
