// SPDX-License-Identifier: MIT
/*
 * The slow paths, between a CPU's slot, the barn and the slabs of a node.
 *
 * An allocation finds its slot's main sheaf empty:
 *   spare has objects?            swap main and spare
 *   the barn has a full sheaf?    it becomes main, main becomes spare, the
 *                                 spare (empty) goes to the barn
 *   otherwise                     an empty sheaf is filled from the active
 *                                 slab, from partial slabs, from a new slab
 * A free finds main full: the same with full and empty exchanged; what the
 * barn does not keep is emptied into the slabs.
 *
 * Every step may find the slot changed, since the thread may have migrated or
 * another one run; then it looks again. What a slow path has in its hands is
 * nobody else's. It takes one object for itself before it offers a sheaf, so
 * it ends whatever others do. All of it is inside the fork gate.
 */
#include "debug/kfence.h"
#include "pressure.h"

#include <rn/pages.h>
#include <sched.h>

/*
 * So often a slot is looked at again. Each time somebody else got on, but
 * without rseq in a signal handler: its slot may be locked by what it
 * interrupted, and stays as it is.
 */
#define TRIES	16

static bool is_tight(const struct rn_cache *c)
{
	return unlikely(c->counter) && counter_is_tight(c->counter);
}

/* How many objects may leave their slabs, of @want. */
static unsigned int charge(const struct rn_cache *c, unsigned int want)
{
	if (likely(!c->counter))
		return want;
	return counter_charge_objects(c->counter, c->size, want);
}

static void to_slab(struct rn_cache *c, struct cache_node *n, const void *object)
{
	slab_free_objects(c, n, (void *const *)&object, 1);
	cache_uncharge(c, 1);
}

/* Hands a sheaf over to the barn, or its objects to the slabs. */
static void give_back(struct rn_cache *c, struct cache_node *n,
		      struct sheaf *s)
{
	unsigned int objects;

	if (is_tight(c))
		sheaf_flush(c, n, s);
	objects = sheaf_count(s);
	if (barn_put(&n->barn, s))
		count_excess(c, n, objects);
}

/* The spare sheaf of this CPU, now the caller's; or NULL. */
static struct sheaf *detach_spare(struct cache_node *n, unsigned int row,
				  struct slot_view *v)
{
	if (!v->spare || !percpu_set_spare(row, v, NULL))
		return NULL;
	sheaf_left_slot(n, v->spare);
	return v->spare;
}

/* The active slab of this CPU, now the caller's; or NULL. */
static struct page *detach_active(unsigned int row)
{
	struct slot_view v;

	for (int i = 0; i < TRIES; i++) {
		percpu_view(row, &v);
		if (v.main == &closed_sheaf || !v.active)
			break;
		if (percpu_set_active(row, &v, NULL))
			return v.active;
	}
	return NULL;
}

/* @slab becomes the active one of this CPU, if it has none and may. */
static void attach_active(struct rn_cache *c, unsigned int row,
			  struct page *slab)
{
	struct slot_view v;

	percpu_view(row, &v);
	if (v.active || percpu_open(row, v.index) ||
	    !slot_may_have_slab(c, row, v.index) ||
	    !percpu_set_active(row, &v, slab))
		slab_put(c, slab);
}

/*
 * Does the thread's policy want the next slab from another node? Then *@node is
 * that one, unless @s has something to go on with.
 */
static bool policy_moved(int *node, const struct sheaf *s)
{
	int now = numa_policy_node();

	if (now == *node)
		return false;
	if (!sheaf_count(s))
		*node = now;
	return true;
}

/*
 * Fills @s up to @want objects. *@node changes when memory had to come from
 * another node, where the slab waits then, or when it is to come from there by
 * the policy; @s has what it had.
 */
static void refill(struct rn_cache *c, struct cache_node *n, struct sheaf *s,
		   unsigned int want, int *node, rn_gfp_t flags)
{
	unsigned int row = row_on(c, *node);
	struct page *slab = detach_active(row);
	bool by_policy = flags & GFP_POLICY;
	int from = *node;

	flags &= ~GFP_POLICY;
	for (;;) {
		if (slab)
			slab_fill(c, slab, s, want);
		if (sheaf_count(s) >= want)
			break;
		if (slab && slab_reload(c, n, slab))
			continue;
		if (by_policy && policy_moved(node, s))
			return;
		/* One object is enough to go on; do not bring up more. */
		if (sheaf_count(s))
			flags |= RN_NOWAIT | RN_THISNODE;
		slab = slab_get(c, &from, flags);
		if (!slab)
			return;
		if (by_policy)
			numa_turn_over();
		by_policy = false;
		if (from != *node) {
			slab_put(c, slab);
			if (!sheaf_count(s))
				*node = from;
			return;
		}
	}
	attach_active(c, row, slab);
}

/* Objects that a sheaf may have in the slot of a view. */
static unsigned int capacity_of(const struct rn_cache *c, unsigned int row,
				const struct slot_view *v)
{
	return percpu_open(row, v->index) ? 0 : slot_capacity(c, row, v->index);
}

/* @s takes the place of the spare, if the slot may hold what it has. */
static bool set_spare(struct rn_cache *c, unsigned int row,
		      struct slot_view *v, struct sheaf *s,
		      unsigned int capacity)
{
	if (!capacity || capacity < sheaf_count(s))
		return false;
	WRITE_ONCE(s->capacity, min(capacity, sheaf_room(s)));
	if (!percpu_set_spare(row, v, s))
		return false;
	/* Drained in between, the slot has returned what it was granted. */
	slot_capacity(c, row, v->index);
	return true;
}

/*
 * Of a sheaf with more than this slot may hold, so many objects in one of their
 * own; the rest goes to the barn. Or else the slot would stay empty, and its
 * CPU would come here for each object.
 */
static struct sheaf *cut_to_fit(struct rn_cache *c, struct cache_node *n,
				struct sheaf *s, unsigned int capacity)
{
	struct sheaf *part;

	if (likely(sheaf_count(s) <= capacity) || !capacity)
		return s;
	part = sheaf_alloc(capacity);
	if (!part)
		return s;
	sheaf_move(part, s, capacity);
	WRITE_ONCE(s->held, sheaf_count(s));
	give_back(c, n, s);
	return part;
}

/*
 * Who makes a counter tight flushes the slots after that; if that was before
 * this sheaf came, it is seen here. Pairs with the fence in memcg_tighten().
 */
static void flush_if_tight(struct rn_cache *c)
{
	smp_mb();
	if (counter_is_tight(c->counter))
		cache_flush(c);
}

/*
 * Makes @s the main sheaf of this CPU; main becomes the spare, and the spare,
 * if there is one, goes to the barn. Or @s does, when the slot is closed, has
 * changed underneath, or may hold nothing.
 */
static void install(struct rn_cache *c, struct cache_node *n,
		    unsigned int row, struct sheaf *s)
{
	unsigned int capacity;
	struct slot_view v;
	struct sheaf *out;

	percpu_view(row, &v);
	capacity = capacity_of(c, row, &v);
	s = cut_to_fit(c, n, s, capacity);
	out = s;
	WRITE_ONCE(s->held, sheaf_count(s));
	WRITE_ONCE(s->next, numa_tag(row_to_node(row)));
	if (set_spare(c, row, &v, s, capacity)) {
		out = v.spare;
		if (out)
			sheaf_left_slot(n, out);
		v.spare = s;
		percpu_swap(row, &v);
	}
	if (out)
		give_back(c, n, out);
	if (unlikely(c->counter))
		flush_if_tight(c);
}

/* @s, or a new sheaf, with objects of *@node; NULL as get_full(). */
static struct sheaf *fill_from_slabs(struct rn_cache *c, struct cache_node *n,
				     struct sheaf *s, int *node,
				     rn_gfp_t flags)
{
	unsigned int want;

	s = sheaf_or_new(c, n, s);
	if (!s)
		return NULL;
	want = charge(c, min(refill_size(c, n), sheaf_room(s)));
	if (want)
		refill(c, n, s, want, node, flags);
	else
		errno = EDQUOT;
	cache_uncharge(c, want - sheaf_count(s));
	stat_inc(&n->refills);
	if (sheaf_count(s))
		return s;
	barn_put(&n->barn, s);
	return NULL;
}

/*
 * A sheaf with objects that lie on *@node: @s itself if another thread has
 * filled it, one from the barn, or @s (or a new one) refilled. NULL if there
 * is no memory, and then perhaps another *@node.
 */
static struct sheaf *get_full(struct rn_cache *c, struct cache_node *n,
			      struct sheaf *s, int *node, rn_gfp_t flags)
{
	struct sheaf *full;

	if (s && sheaf_count(s)) {
		barn_count(&n->barn, s);
		return s;
	}
	sheaves_grow(c, n);
	full = barn_exchange_empty(&n->barn, s);
	if (likely(full))
		return full;
	count_waste(c, n);
	__atomic_fetch_add(&n->refilling, 1, __ATOMIC_RELAXED);
	full = fill_from_slabs(c, n, s, node, flags);
	__atomic_fetch_sub(&n->refilling, 1, __ATOMIC_RELAXED);
	return full;
}

/*
 * More threads fill sheaves than there are CPUs, so some of them wait for one.
 * A thousand threads that begin at once need not have a sheaf each: who comes
 * now does better to let these go on, and to look at its slot again.
 */
static bool is_crowded(const struct cache_node *n)
{
	return unlikely(READ_ONCE(n->refilling) >= nr_cpu_ids()) &&
	       !READ_ONCE(n->barn.objects);
}

/*
 * The first object of a new slab, which is everybody's then. It is taken before:
 * a slab that is empty might go back at once (slab_put()).
 */
static void *take_from_new(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	bool by_policy = flags & GFP_POLICY;
	struct page *slab;
	void *object;

	if (by_policy)
		*node = numa_policy_node();
	slab = slab_new(c, node, flags & ~GFP_POLICY);
	if (!slab)
		return NULL;
	object = debug_take_first(c, slab);
	slab_put(c, slab);
	if (by_policy)
		numa_turn_over();
	return object;
}

/* An object of a debugged cache, charged by the caller; NULL as refill(). */
static void *take_debugged(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	struct cache_node *n = cache_node_get(c, *node);
	void *object;

	thread_self.deep = true;
	if (!n)
		return NULL;
	object = debug_alloc(c, n);
	return object ? object : take_from_new(c, node, flags);
}

/* A single object, charged by the caller; NULL as refill(). */
static void *take_charged(struct rn_cache *c, struct cache_node *n, int *node,
			  rn_gfp_t flags)
{
	union {
		struct sheaf sheaf;
		char room[SHEAF_UNIT];
	} one = { .room = "" };

	flags &= ~GFP_CHARGED;
	if (unlikely(c->debug))
		return take_debugged(c, node, flags);
	refill(c, n, &one.sheaf, 1, node, flags);
	return sheaf_count(&one.sheaf) ? sheaf_take(&one.sheaf) : NULL;
}

/* Likewise, and charged. */
static void *alloc_debugged(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	void *object;

	if (!charge(c, 1)) {
		errno = EDQUOT;
		return NULL;
	}
	object = take_debugged(c, node, flags);
	if (!object)
		cache_uncharge(c, 1);
	return object;
}

/* From the slot, the barn or the slabs of *@node; NULL as get_full(). */
static void *alloc_on(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	struct cache_node *n = cache_node_get(c, *node);
	unsigned int row = row_on(c, *node);
	struct slot_view v;
	struct sheaf *s;
	void *object;

	if (!n)
		return NULL;
	if (unlikely(flags & GFP_CHARGED))
		return take_charged(c, n, node, flags);
	if (is_tight(c)) {
		errno = EDQUOT;
		return NULL;
	}
	if (unlikely(c->debug))
		return alloc_debugged(c, node, flags);
	for (int i = 0; i < TRIES; i++) {
		percpu_view(row, &v);
		if (v.spare && sheaf_count(v.spare))
			percpu_swap(row, &v);
		else if (v.main && sheaf_count(v.main))
			;
		else if (is_crowded(n))
			sched_yield();
		else
			break;
		object = percpu_pop(row);
		if (object)
			return object;
	}
	thread_self.deep = true;
	s = get_full(c, n, detach_spare(n, row, &v), node, flags);
	if (!s)
		return NULL;
	object = sheaf_take(s);
	count_tagged(n, numa_tag(row_to_node(row)), 1);
	tsan_acquire(object);
	install(c, n, row, s);
	return object;
}

/*
 * The fast paths of this CPU take from @node from here on. A thread that has
 * migrated meanwhile says it of another CPU, until that one's next slow path.
 */
static void follow(int node)
{
	unsigned int row = (unsigned int)node << row_node_shift;
	u16 *rows = hot.node_rows;

	if (!rows)
		return;
	rows += rseq_read(hot.pc.rseq + 4);
	if (READ_ONCE(*rows) != row)
		WRITE_ONCE(*rows, row);
}

/* @object, which was wanted on one node and is on another, perhaps. */
static void *counted(struct rn_cache *c, void *object, int wanted, int node)
{
	struct cache_node *n;

	if (likely(wanted == node))
		return object;
	stat_inc(&cache_node_get(c, node)->miss);
	n = cache_node_get(c, wanted);
	if (n)
		stat_inc(&n->foreign);
	return object;
}

static void *alloc_any(struct rn_cache *c, rn_gfp_t flags, int node)
{
	bool by_policy = node == RN_NO_NODE;
	void *object;
	int wanted;

	if (by_policy) {
		node = numa_local_node();
		flags |= GFP_POLICY;
	} else if (!node_has_memory(node)) {
		/* Where no slab can ever be, there is no need to look. */
		if (flags & RN_THISNODE)
			return NULL;
		node = node_fallback(node, 0);
	}
	wanted = node;
	/* A few rounds: a slab that was brought up elsewhere may be snatched. */
	for (int round = 0; round < 4; round++) {
		int before = node;

		object = alloc_on(c, &node, flags);
		if (object && by_policy && node == wanted)
			follow(node);
		if (object)
			return counted(c, object, wanted, node);
		/* It was asked, and need not be again. */
		if (flags & GFP_POLICY)
			wanted = numa_local_node();
		flags &= ~GFP_POLICY;
		if (node == before)
			break;
	}
	if (flags & RN_THISNODE)
		return NULL;
	/* Nothing can be brought up: what other nodes still hold. */
	for (unsigned int i = 0; (node = node_fallback(wanted, i)) >= 0; i++) {
		object = alloc_on(c, &node, flags | RN_NOWAIT | RN_THISNODE);
		if (object)
			return counted(c, object, wanted, node);
	}
	return NULL;
}

noinline void *slab_alloc_slow(struct rn_cache *c, rn_gfp_t flags, int node)
{
	void *object = NULL;
	unsigned int ticket;

	for (unsigned int round = 0; ; round++) {
		ticket = gate_enter();
		object = alloc_any(c, flags, node);
		gate_exit(ticket);
		if (likely(object) || (c->counter && errno == EDQUOT) ||
		    !reclaim(flags, round))
			break;
	}
	pressure_check(flags);
	if (!object)
		errno = c->counter && errno == EDQUOT ? EDQUOT : ENOMEM;
	age_poll();
	return object;
}

/* --- free --- */

static bool has_room(const struct sheaf *s)
{
	return sheaf_count(s) < READ_ONCE(s->capacity);
}

/* An empty sheaf, against a full one; NULL if there is no memory for one. */
static struct sheaf *get_empty(struct rn_cache *c, struct cache_node *n,
			       struct sheaf *s)
{
	unsigned int objects = s ? sheaf_count(s) : 0;
	struct sheaf *empty;
	bool excess;

	sheaves_grow(c, n);
	empty = barn_exchange_full(&n->barn, s, &excess);
	if (excess)
		count_excess(c, n, objects);
	return likely(empty) ? empty : sheaf_or_new(c, n, NULL);
}

static void free_on(struct rn_cache *c, struct cache_node *n,
		    unsigned int row, const void *object)
{
	struct slot_view v;
	struct sheaf *s;

	if (is_tight(c) ||
	    (kfence_wants(c->row) && kfence_leave_empty(c->row))) {
		to_slab(c, n, object);
		return;
	}
	for (int i = 0; i < TRIES; i++) {
		percpu_view(row, &v);
		if (v.spare && has_room(v.spare))
			percpu_swap(row, &v);
		else if (!v.main || !has_room(v.main))
			break;
		if (percpu_push(row, object))
			return;
	}
	thread_self.deep = true;
	s = get_empty(c, n, detach_spare(n, row, &v));
	if (s) {
		sheaf_add(s, object);
		install(c, n, row, s);
	} else {
		/* No memory even for a sheaf: straight into the slab. */
		to_slab(c, n, object);
	}
}

noinline void slab_free_slow(unsigned int row, const void *object,
			     const void *caller)
{
	struct cache_node *n = row_to_cache_node(row);
	struct rn_cache *c = row_to_cache(row);
	int saved = errno;
	unsigned int ticket;

	tsan_release(object);
	if (unlikely(c->debug)) {
		debug_free(c, n, (void *)object, caller);
	} else {
		ticket = gate_enter();
		free_on(c, n, row, object);
		give_if_excessive();
		gate_exit(ticket);
	}
	age_poll();
	errno = saved;
}
