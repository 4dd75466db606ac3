// SPDX-License-Identifier: MIT
/*
 * Storage memory: without an id, and entries, which have one. An entry is
 * pinned, or among the victims, or some thread asks whether it may go.
 */
#include "pools.h"

static bool size_ok(size_t bytes)
{
	return pools.storage && bytes >= pools.options.storage_least &&
	       bytes <= pools.options.storage_most;
}

/**
 * rn_storage_alloc() - allocate storage memory that is never evicted
 * @bytes: within the limits of the options (4 KiB to 64 MiB)
 * @flags: as for rn_memcg_alloc()
 *
 * All of it together is at most storage's half.
 *
 * Context: MT-safe, not async-signal-safe; may evict entries; a cancellation
 * point while it is held.
 * Return: page-aligned memory, or NULL with errno: EINVAL for a size out of
 * range, a bad flag or no pools, ENOMEM when declined, ETIMEDOUT when held for
 * nothing.
 */
RN_API void *rn_storage_alloc(size_t bytes, rn_gfp_t flags)
{
	if (!size_ok(bytes))
		return pools_error(EINVAL);
	return rn_memcg_alloc(pools.kept, ALIGN(bytes, PAGE_BYTES), flags);
}

/**
 * rn_storage_free() - free storage memory
 * @p: from rn_storage_alloc(), or NULL
 *
 * Anything else is reported and the program aborted, entries too.
 *
 * Context: as rn_free(), but not async-signal-safe.
 */
RN_API void rn_storage_free(void *p)
{
	struct rn_memcg *m;

	if (!p)
		return;
	m = rn_memcg_of(p);
	if (unlikely(!m || m != pools.kept))
		bug("BUG pools: invalid free of %p: no storage memory without "
		    "an id", p);
	rn_free(p);
}

/* --- entries --- */

struct entry *entry_find(u64 id)
{
	return (struct entry *)id_find(&pools.entries, id);
}

void entry_free(struct entry *e)
{
	rn_free(e->p);
	rn_free(e);
}

/*
 * Under the lock: the entry, of which it is known that it stays for now; or
 * NULL with errno.
 */
static struct entry *entry_settled(u64 id, unsigned int *ticket)
{
	struct entry *e;

	while ((e = entry_find(id)) && e->evictor)
		if (!eviction_wait(e, ticket))
			return pools_error(EBUSY);
	return e ? e : pools_error(ENOENT);
}

/* 0 if there is no such entry, -EEXIST, -EBUSY. */
static int check_absent(u64 id)
{
	unsigned int ticket = pools_lock();
	int ret = entry_settled(id, &ticket) ? -EEXIST :
		  errno == EBUSY ? -EBUSY : 0;

	pools_unlock(ticket);
	return ret;
}

/* 0 if @e is the entry of its id from now on; or -EEXIST. */
static int publish(struct entry *e)
{
	unsigned int ticket = pools_lock();
	bool taken = entry_find(e->node.id);

	if (!taken)
		id_insert(&pools.entries, &e->node);
	pools_unlock(ticket);
	return taken ? -EEXIST : 0;
}

/**
 * rn_storage_acquire() - make an entry
 * @page_id: its id; any number
 * @bytes: as for rn_storage_alloc()
 *
 * It is pinned, once, until rn_storage_unpin(); from then on it may be evicted.
 * It goes by that or by rn_storage_release(), not by rn_storage_free() or
 * rn_free(). It may be larger than storage's half, unless
 * RN_POOLS_STORAGE_HALF.
 *
 * Context: as rn_storage_alloc(). Waits if the entry of that id is being
 * evicted.
 * Return: as rn_storage_alloc() with RN_KERNEL; or NULL with EEXIST if there is
 * one, EBUSY in a callback while that one is being evicted.
 */
RN_API void *rn_storage_acquire(uint64_t page_id, size_t bytes)
{
	struct entry *e;
	void *p;
	int err;

	if (!size_ok(bytes))
		return pools_error(EINVAL);
	err = check_absent(page_id);
	if (err)
		return pools_error(-err);
	p = rn_memcg_alloc(pools.storage, ALIGN(bytes, PAGE_BYTES), RN_KERNEL);
	if (!p)
		return NULL;
	e = rn_alloc(sizeof(*e), RN_KERNEL);
	if (!e) {
		rn_free(p);
		return pools_error(ENOMEM);
	}
	*e = (struct entry){
		.node.id = page_id, .p = p, .bytes = bytes,
		.charged = rn_size(p), .pins = 1,
	};
	err = publish(e);
	if (!err)
		return p;
	entry_free(e);
	return pools_error(-err);
}

/* The entry and its memory, pinned or not; NULL with errno. */
static void *look_up(u64 page_id, size_t *bytes, bool pin)
{
	unsigned int ticket;
	struct entry *e;
	void *p = NULL;

	if (!pools.storage)
		return pools_error(EINVAL);
	ticket = pools_lock();
	e = entry_settled(page_id, &ticket);
	if (e) {
		p = e->p;
		if (bytes)
			*bytes = e->bytes;
		if (pin && !e->pins++)
			victim_remove(e);
	}
	pools_unlock(ticket);
	return p;
}

/**
 * rn_storage_pin() - look an entry up, and keep it from being evicted
 * @page_id: its id
 * @bytes: gets its size, as asked for; or NULL
 *
 * Context: any thread. Waits while the entry is being evicted.
 * Return: its memory; or NULL with errno: ENOENT if there is none, EBUSY in a
 * callback while it is being evicted, EINVAL without pools.
 */
RN_API void *rn_storage_pin(uint64_t page_id, size_t *bytes)
{
	return look_up(page_id, bytes, true);
}

/**
 * rn_storage_lookup() - look an entry up
 * @page_id: its id
 * @bytes: gets its size, as asked for; or NULL
 *
 * Unless the caller knows that it is pinned, it may be gone by the time this
 * returns: then the address is good for nothing.
 *
 * Context: as rn_storage_pin().
 * Return: as rn_storage_pin().
 */
RN_API void *rn_storage_lookup(uint64_t page_id, size_t *bytes)
{
	return look_up(page_id, bytes, false);
}

/* There is one more victim; for execution only of what is above its min. */
static void kick_waiters(void)
{
	struct page_counter *storage = &pools.storage->counter;

	counter_kick(storage);
	if (READ_ONCE(storage->usage) > READ_ONCE(storage->min))
		counter_kick(&pools.exec->counter);
}

/**
 * rn_storage_unpin() - give a pin back
 * @page_id: id of an entry that rn_storage_acquire() or rn_storage_pin() pinned
 *
 * With the last one it may be evicted, at once if somebody waits for memory.
 *
 * Context: any thread.
 * Return: 0; -ENOENT if there is no such entry, -EINVAL if it is not pinned.
 */
RN_API int rn_storage_unpin(uint64_t page_id)
{
	unsigned int ticket;
	struct entry *e;
	bool last;
	int ret;

	if (!pools.storage)
		return -EINVAL;
	ticket = pools_lock();
	e = entry_find(page_id);
	ret = !e ? -ENOENT : e->pins ? 0 : -EINVAL;
	last = !ret && !--e->pins;
	if (last)
		victim_add(e);
	pools_unlock(ticket);
	if (last)
		kick_waiters();
	return ret;
}

/**
 * rn_storage_release() - free an entry
 * @page_id: its id
 *
 * One pin may be left, which goes with it. An entry that some thread is about
 * to evict goes when that thread is done with it, which this does not wait for.
 *
 * Context: any thread.
 * Return: 0; -ENOENT if there is no such entry, -EBUSY if it is pinned more
 * than once, -EINVAL without pools.
 */
RN_API int rn_storage_release(uint64_t page_id)
{
	unsigned int ticket;
	struct entry *e;
	int ret = 0;

	if (!pools.storage)
		return -EINVAL;
	ticket = pools_lock();
	e = entry_find(page_id);
	if (!e)
		ret = -ENOENT;
	else if (e->pins > 1)
		ret = -EBUSY;
	if (!ret) {
		id_remove(&pools.entries, &e->node);
		if (e->evictor)
			e->released = true;
		else if (!e->pins)
			victim_remove(e);
		/* The evictor frees it. */
		if (e->evictor)
			e = NULL;
	}
	pools_unlock(ticket);
	if (!ret && e)
		entry_free(e);
	return ret;
}
