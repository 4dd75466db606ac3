// SPDX-License-Identifier: MIT
/*
 * Execution and storage memory: the groups that the two are made of, and their
 * beginning and end. Documentation/mm/pools.rst is the design.
 */
#include "pools.h"

struct pools pools;

/* Two pages for each half, and what the margin of so small a total needs. */
#define LEAST_TOTAL	(64UL << 10)

#define EXEC_MOST	(8UL << 20)
#define STORAGE_MOST	(64UL << 20)

/* Of a total, a bucket for so many bytes. */
#define ENTRY_BYTES	(16UL << 10)
#define OBJECT_BYTES	512UL
#define ID_BYTES	(4UL << 10)

/* --- options --- */

static bool options_ok(const struct rn_pools_options *o)
{
	const unsigned int known = RN_POOLS_EXEC_WAITS | RN_POOLS_STORAGE_HALF;

	return o->sz == sizeof(*o) && !(o->flags & ~known) &&
	       (unsigned int)o->victim <= RN_POOLS_PICK &&
	       (o->victim == RN_POOLS_PICK) == !!o->pick;
}

static void fill_in(struct rn_pools_options *o)
{
	if (!o->exec_least)
		o->exec_least = 1;
	if (!o->exec_most)
		o->exec_most = EXEC_MOST;
	if (!o->storage_least)
		o->storage_least = PAGE_BYTES;
	if (!o->storage_most)
		o->storage_most = STORAGE_MOST;
	if (!o->timeout)
		o->timeout = HOLD_MS;
}

static bool limits_ok(const struct rn_pools_options *o)
{
	return o->exec_least <= o->exec_most && o->exec_most <= RN_MAX_SIZE &&
	       o->storage_least <= o->storage_most &&
	       o->storage_most <= RN_MAX_SIZE;
}

/* --- groups --- */

static struct rn_memcg *group(struct rn_memcg *parent, const char *name,
			      bool in_pages)
{
	struct rn_memcg *m = memcg_create(parent, name, in_pages);

	if (m)
		rn_memcg_set_timeout(m, pools.options.timeout);
	return m;
}

/*
 * Above its high, which leaves twice as much free as makes a tight counter
 * loose again, nobody borrows: execution finds room without each time asking
 * for it.
 */
static void set_limits(size_t total)
{
	u64 half = ALIGN_DOWN(total / 2, PAGE_BYTES);
	unsigned int flags = pools.options.flags;
	u64 most = flags & RN_POOLS_STORAGE_HALF ? half : total;

	rn_memcg_set(pools.total, RN_MEMCG_MAX, total);
	rn_memcg_set(pools.total, RN_MEMCG_HIGH,
		     total - 2 * counter_margin(&pools.total->counter));
	rn_memcg_set(pools.exec, RN_MEMCG_MIN, half);
	rn_memcg_set(pools.exec, RN_MEMCG_MAX, total);
	/* What execution may not make storage evict storage is protected for. */
	rn_memcg_set(pools.storage, RN_MEMCG_MIN,
		     flags & RN_POOLS_EXEC_WAITS ? most : half);
	rn_memcg_set(pools.storage, RN_MEMCG_MAX, most);
	rn_memcg_set(pools.kept, RN_MEMCG_MAX, half);
	/* What is evicted is to be had at once, not when a sheaf is full. */
	WRITE_ONCE(pools.storage->counter.stockless, true);
	/* First come first served in each of the two, with an id or without. */
	counter_share_queue(&pools.exec_ids->counter);
	counter_share_queue(&pools.kept->counter);
}

static int make_groups(size_t total)
{
	pools.total = group(NULL, "pools", false);
	if (pools.total)
		pools.exec = group(pools.total, "execution", true);
	if (pools.exec)
		pools.exec_ids = group(pools.exec, "execution.ids", true);
	if (pools.exec_ids)
		pools.storage = group(pools.total, "storage", false);
	if (pools.storage)
		pools.kept = group(pools.storage, "storage.kept", false);
	if (!pools.kept)
		return -errno;
	set_limits(total);
	return 0;
}

/* 0, or -EBUSY where somebody waits in it; then it is as it was. */
static int end_group(struct rn_memcg **m)
{
	int ret = rn_memcg_destroy(*m, RN_MEMCG_FREE);

	if (!ret)
		*m = NULL;
	return ret;
}

static int end_groups(void)
{
	struct rn_memcg **const all[] = {
		&pools.exec_ids, &pools.exec, &pools.kept, &pools.storage,
		&pools.total,
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(all); i++)
		ret = end_group(all[i]);
	return ret;
}

/* --- beginning and end --- */

static int make_tables(size_t total)
{
	int ret = id_table_init(&pools.entries, total / ENTRY_BYTES);

	if (!ret)
		ret = id_table_init(&pools.objects, total / OBJECT_BYTES);
	if (!ret)
		ret = id_table_init(&pools.ids, total / ID_BYTES);
	if (!ret)
		ret = victims_init(total / PAGE_BYTES);
	return ret;
}

static int ask_for_entries(void)
{
	int ret;

	pools.shrinker = (struct rn_shrinker){
		.sz = sizeof(pools.shrinker), .name = "storage",
		.count = storage_count, .scan = storage_scan,
		.seeks = RN_DEFAULT_SEEKS, .flags = RN_SHRINKER_EXACT,
		.memcg = pools.storage,
	};
	ret = rn_shrinker_register(&pools.shrinker);
	pools.is_asked = !ret;
	return ret;
}

static int end(void)
{
	int ret = 0;

	if (pools.is_asked)
		ret = rn_shrinker_unregister(&pools.shrinker);
	if (ret)
		return ret;
	pools.is_asked = false;
	ret = end_groups();
	if (ret)
		return ret;
	id_table_end(&pools.objects);
	id_table_end(&pools.ids);
	id_table_end(&pools.entries);
	victims_end();
	pools.options = (struct rn_pools_options){ .sz = 0 };
	return 0;
}

static int begin(size_t total)
{
	int ret = make_groups(total);

	if (!ret)
		ret = make_tables(total);
	if (!ret)
		ret = ask_for_entries();
	if (ret)
		end();
	return ret;
}

/**
 * rn_pools_init_options() - make the pools
 * @total_bytes: of both together, at least 64 KiB
 * @options: how they are to be, NULL for the defaults; copied
 *
 * Context: once, before anybody uses them. May map memory.
 * Return: 0; -EINVAL for a small total, an unknown flag or policy, a least
 * above its most, RN_POOLS_PICK without @pick or the other way round; -EBUSY if
 * there are pools; -ENOMEM, -ENOSPC when there are too many groups.
 */
RN_API int rn_pools_init_options(size_t total_bytes,
				 const struct rn_pools_options *options)
{
	struct rn_pools_options o = { .sz = sizeof(o) };

	if (options && !options_ok(options))
		return -EINVAL;
	if (options)
		o = *options;
	fill_in(&o);
	if (!limits_ok(&o) || total_bytes < LEAST_TOTAL)
		return -EINVAL;
	if (pools.total)
		return -EBUSY;
	pools.options = o;
	return begin(total_bytes);
}

/**
 * rn_pools_init() - make the pools
 * @total_bytes: of both together, at least 64 KiB
 *
 * Context: as rn_pools_init_options().
 * Return: as rn_pools_init_options().
 */
RN_API int rn_pools_init(size_t total_bytes)
{
	return rn_pools_init_options(total_bytes, NULL);
}

static bool is_waited_for(void)
{
	return counter_has_waiters(&pools.exec->counter) ||
	       counter_has_waiters(&pools.storage->counter);
}

/**
 * rn_pools_destroy() - the end of the pools
 *
 * All that is left in them is freed, without a word to anybody. Nobody may use
 * any of it, or them, any more.
 *
 * Context: once, when all others are done; fences other CPUs.
 * Return: 0; -EINVAL if there are none; -EBUSY while a request is held, or when
 * other CPUs could not be fenced; -EDEADLK in a callback.
 */
RN_API int rn_pools_destroy(void)
{
	if (!pools.total)
		return -EINVAL;
	if (pools.exec && pools.storage && is_waited_for())
		return -EBUSY;
	return end();
}

/**
 * rn_pools_memcg() - a group of the pools
 * @part: which one
 *
 * To read its figures. Its limits are the pools' business.
 *
 * Context: any thread.
 * Return: the group; NULL if there are no pools, or for another @part.
 */
RN_API struct rn_memcg *rn_pools_memcg(enum rn_pools_part part)
{
	switch (part) {
	case RN_POOLS_TOTAL:
		return pools.total;
	case RN_POOLS_EXEC:
		return pools.exec;
	case RN_POOLS_STORAGE:
		return pools.storage;
	}
	return NULL;
}
