// SPDX-License-Identifier: MIT
/*
 * Execution memory: objects of whoever asks, and objects of an id, which are
 * all released with it. Which of the two an object is its group says.
 */
#include "pools.h"

/**
 * struct exec_id - what an id holds; at least one object
 * @node: by the id
 * @first: of its objects
 * @bytes: of all
 */
struct exec_id {
	struct id_node node;
	struct exec_object *first;
	size_t bytes;
};

/**
 * struct exec_object - an object of an id
 * @node: by its address
 * @owner: the id
 * @next: of the same id
 * @at: what leads to it
 * @bytes: that are charged for it
 */
struct exec_object {
	struct id_node node;
	struct exec_id *owner;
	struct exec_object *next, **at;
	size_t bytes;
};

static void *object_ptr(const struct exec_object *o)
{
	return (void *)o->node.id;
}

/* --- under the lock --- */

static struct exec_id *owner_find(u64 id)
{
	return (struct exec_id *)id_find(&pools.ids, id);
}

static void link_object(struct exec_object *o, struct exec_id *owner)
{
	o->owner = owner;
	o->next = owner->first;
	o->at = &owner->first;
	if (o->next)
		o->next->at = &o->next;
	owner->first = o;
	owner->bytes += o->bytes;
	id_insert(&pools.objects, &o->node);
}

/* Returns the owner if that was its last one; it is in no table any more. */
static struct exec_id *unlink_object(struct exec_object *o)
{
	struct exec_id *owner = o->owner;

	*o->at = o->next;
	if (o->next)
		o->next->at = o->at;
	owner->bytes -= o->bytes;
	id_remove(&pools.objects, &o->node);
	if (owner->first)
		return NULL;
	id_remove(&pools.ids, &owner->node);
	return owner;
}

/* --- */

/* Without pools there is no group either, which is EINVAL, too. */
static bool size_ok(size_t bytes)
{
	const struct rn_pools_options *o = &pools.options;

	return likely(bytes - o->exec_least <= o->exec_most - o->exec_least);
}

/**
 * rn_exec_alloc() - allocate execution memory
 * @bytes: within the limits of the options (1 byte to 8 MiB)
 * @flags: as for rn_memcg_alloc()
 *
 * Context: MT-safe, not async-signal-safe; may evict storage; a cancellation
 * point while it is held.
 * Return: word-aligned memory, of at most a page within one page; or NULL with
 * errno: EINVAL for a size out of range, a bad flag or no pools, ENOMEM when
 * declined, ETIMEDOUT when held for nothing.
 */
RN_API void *rn_exec_alloc(size_t bytes, rn_gfp_t flags)
{
	struct rn_memcg *m = pools.exec;
	void *object = NULL;

	if (!size_ok(bytes))
		return pools_error(EINVAL);
	if (likely(m && !flags))
		object = memcg_pop(m, bytes);
	return likely(object) ? object : rn_memcg_alloc(m, bytes, flags);
}

static void forget_object(void *p)
{
	unsigned int ticket = pools_lock();
	struct exec_object *o = (struct exec_object *)id_find(&pools.objects,
							      (u64)p);
	struct exec_id *owner = o ? unlink_object(o) : NULL;

	pools_unlock(ticket);
	if (!o)
		bug("BUG pools: invalid free of %p: not the start of an object, "
		    "or released", p);
	rn_free(owner);
	rn_free(o);
}

static noinline void free_slow(void *p)
{
	struct rn_memcg *m;

	if (!p)
		return;
	m = rn_memcg_of(p);
	if (!m || (m != pools.exec && m != pools.exec_ids))
		bug("BUG pools: invalid free of %p: no execution memory", p);
	if (m == pools.exec_ids)
		forget_object(p);
	rn_free(p);
}

/**
 * rn_exec_free() - free execution memory
 * @p: from rn_exec_alloc() or rn_exec_acquire(), or NULL
 *
 * Anything else is reported and the program aborted.
 *
 * Context: as rn_free(), but not async-signal-safe.
 */
RN_API void rn_exec_free(void *p)
{
	unsigned int row;

	if (likely(fast_find(p, &row) && row && pools.exec &&
		   row_to_cache(row)->counter == &pools.exec->counter &&
		   fast_push(slot_at(row), p)))
		return;
	free_slow(p);
}

/* @o becomes the id's; its first one makes it. 0 or -ENOMEM. */
static int give_to(struct exec_object *o, u64 id)
{
	struct exec_id *owner, *new = NULL;
	unsigned int ticket = pools_lock();

	while (!(owner = owner_find(id)) && !new) {
		pools_unlock(ticket);
		new = rn_zalloc(sizeof(*new), RN_KERNEL);
		if (!new)
			return -ENOMEM;
		new->node.id = id;
		ticket = pools_lock();
	}
	if (!owner) {
		owner = new;
		new = NULL;
		id_insert(&pools.ids, &owner->node);
	}
	link_object(o, owner);
	pools_unlock(ticket);
	rn_free(new);
	return 0;
}

/**
 * rn_exec_acquire() - allocate execution memory for an id
 * @exec_id: of a piece of work; any number
 * @bytes: as for rn_exec_alloc()
 *
 * Any thread may acquire for an id. Each object may be freed by rn_exec_free(),
 * all by rn_exec_release(); not by rn_free() or rn_realloc().
 *
 * Context: as rn_exec_alloc().
 * Return: as rn_exec_alloc() with RN_KERNEL.
 */
RN_API void *rn_exec_acquire(uint64_t exec_id, size_t bytes)
{
	struct exec_object *o;
	void *p;

	if (!size_ok(bytes))
		return pools_error(EINVAL);
	p = rn_memcg_alloc(pools.exec_ids, bytes, RN_KERNEL);
	if (!p)
		return NULL;
	o = rn_alloc(sizeof(*o), RN_KERNEL);
	if (o) {
		o->node.id = (u64)p;
		o->bytes = rn_size(p);
	}
	if (o && !give_to(o, exec_id))
		return p;
	rn_free(o);
	rn_free(p);
	return pools_error(ENOMEM);
}

/* One that @exec_id has, which is the caller's then; NULL: there is none. */
static struct exec_object *take_object(u64 exec_id, struct exec_id **empty)
{
	unsigned int ticket = pools_lock();
	struct exec_id *owner = owner_find(exec_id);
	struct exec_object *o = owner ? owner->first : NULL;

	*empty = o ? unlink_object(o) : NULL;
	pools_unlock(ticket);
	return o;
}

/**
 * rn_exec_release() - free all that an id holds
 * @exec_id: the id
 *
 * What is acquired for it meanwhile may be among that or not.
 *
 * Context: any thread; not async-signal-safe.
 * Return: 0; -ENOENT if it holds nothing, -EINVAL without pools.
 */
RN_API int rn_exec_release(uint64_t exec_id)
{
	struct exec_object *o;
	struct exec_id *empty;
	int ret = -ENOENT;

	if (!pools.exec)
		return -EINVAL;
	do {
		o = take_object(exec_id, &empty);
		if (!o)
			break;
		ret = 0;
		rn_free(object_ptr(o));
		rn_free(o);
		rn_free(empty);
	} while (!empty);
	return ret;
}

/**
 * rn_exec_held() - what an id holds
 * @exec_id: the id
 *
 * Context: any thread.
 * Return: bytes that are charged for it, 0 for nothing.
 */
RN_API size_t rn_exec_held(uint64_t exec_id)
{
	struct exec_id *owner;
	unsigned int ticket;
	size_t bytes;

	if (!pools.exec)
		return 0;
	ticket = pools_lock();
	owner = owner_find(exec_id);
	bytes = owner ? owner->bytes : 0;
	pools_unlock(ticket);
	return bytes;
}
