// SPDX-License-Identifier: MIT
/*
 * fork() of a heap that lies in hugetlb pages. After fork() a write by either
 * process copies a whole page, and where the pool is empty the kernel takes
 * the page away from the child, which dies at its next touch. So fork()
 * prepares:
 *   the pool has a page for each of ours: they are shared, and so many are
 *   left in the pool from then on (hugetlb_pool.fork_kept). Other programs may
 *   still empty it: RN_FORK=copy takes no such risk;
 *   it has not, or RN_FORK=copy: the contents go to a memfd, the pages stay out
 *   of the child (MADV_DONTFORK), and the child maps the memfd, private, in
 *   their place.
 *
 * What earlier children may still copy counts too, until no page of ours is
 * shared any more.
 *
 * Locks: none. All this runs while the gate is shut, so that no zone changes;
 * threads of the parent may write to their objects meanwhile, which of a child
 * is never theirs to see.
 */
#define _GNU_SOURCE
#include "debug/memcheck.h"
#include "internal.h"
#include "syscalls.h"
#include "zone.h"

#include <string.h>
#include <sys/mman.h>

#define PM_EXCLUSIVE	(1ULL << 56)	/* of a pagemap entry: mapped once */

static struct {
	int fd;			/* of the copy, -1 for none */
	u64 shared, copied, failed;	/* forks, for the stats */
	u64 bytes;		/* copied in all */
} snap = { .fd = -1 };

static void *block_ptr(u32 block)
{
	return pfn_to_ptr(block << PAGEBLOCK_ORDER);
}

static bool is_hugetlb(const struct zone *z, u32 block)
{
	return block_is_used(z, block) &&
		mem.blocks[block].backing == BACKING_HUGETLB;
}

typedef int (*run_fn)(struct zone *z, u32 block, u32 nr, void *arg);

/* Each longest run of hugetlb blocks; stops at the first @fn that fails. */
static int each_run_in(struct zone *z, run_fn fn, void *arg)
{
	u32 end = z->first + z->high, nr;
	int err = 0;

	if (!z->nr_up[BACKING_HUGETLB])
		return 0;
	for (u32 at = z->first; !err && at < end; at += nr) {
		for (nr = 0; at + nr < end && is_hugetlb(z, at + nr); nr++)
			;
		if (nr)
			err = fn(z, at, nr, arg);
		else
			nr = 1;
	}
	return err;
}

static int each_run(run_fn fn, void *arg)
{
	int err = 0;

	for (int n = 0; !err && n < nr_node_ids(); n++)
		err = each_run_in(&zones[n], fn, arg);
	return err;
}

/* Idle blocks hold nothing: a child needs the address only. */
static u32 same_idle(const struct zone *z, u32 block, u32 most)
{
	bool idle = block_is_idle(z, block);
	u32 nr = 1;

	while (nr < most && block_is_idle(z, block + nr) == idle)
		nr++;
	return nr;
}

/* --- sharing --- */

/* Of each pool: bytes that we hold, and pages of them that others map too. */
struct need {
	int pagemap;
	u64 bytes[MAX_HUGE_SIZES];
	u64 shared[MAX_HUGE_SIZES];
};

static bool is_shared(int pagemap, const void *p)
{
	uintptr_t index = (uintptr_t)p / (uintptr_t)sysconf(_SC_PAGESIZE);
	u64 entry;

	/* What cannot be known is taken for shared. */
	return sys_pread(pagemap, &entry, sizeof(entry), index * sizeof(entry)) !=
		sizeof(entry) || !(entry & PM_EXCLUSIVE);
}

static int count_block(struct zone *z, u32 block, u32 nr, void *arg)
{
	struct need *need = arg;

	(void)z;
	for (u32 i = block; i < block + nr; i++) {
		struct hugetlb_pool *pool =
			hugetlb_pool(mem.blocks[i].huge_shift);
		size_t n = pool - hugetlb_pools;

		need->bytes[n] += PAGEBLOCK_BYTES;
		if (is_shared(need->pagemap, block_ptr(i)))
			need->shared[n]++;
	}
	return 0;
}

static void count_need(struct need *need)
{
	memset(need, 0, sizeof(*need));
	need->pagemap = sys_open("/proc/self/pagemap", O_RDONLY, 0);
	each_run(count_block, need);
	if (need->pagemap >= 0)
		sys_close(need->pagemap);
}

/* True if the pools can give a copy of every page, to this child too. */
static bool pools_suffice(const struct need *need)
{
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++) {
		struct hugetlb_pool *pool = &hugetlb_pools[i];
		u64 pages = need->bytes[i] >> pool->shift;

		if (!need->shared[i])
			WRITE_ONCE(pool->fork_kept, 0);
		if (pages && hugetlb_unclaimed(pool->shift) <
		    pages + READ_ONCE(pool->fork_kept))
			return false;
	}
	return true;
}

static void keep_pages(const struct need *need)
{
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		stat_add(&hugetlb_pools[i].fork_kept,
			 need->bytes[i] >> hugetlb_pools[i].shift);
}

/* --- copying --- */

/* Past every interposer: threads write to these pages right now. */
static int write_all(int fd, const char *p, size_t bytes, off_t at)
{
	while (bytes) {
		long n = syscall(SYS_pwrite64, fd, p, bytes, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENOSPC;
		p += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

static int copy_run(struct zone *z, u32 block, u32 nr, void *arg)
{
	off_t *at = arg;
	int err = 0;
	u32 n;

	for (u32 i = block; !err && i < block + nr; i += n) {
		size_t bytes;

		n = same_idle(z, i, block + nr - i);
		if (block_is_idle(z, i))
			continue;
		bytes = (size_t)n << PAGEBLOCK_SHIFT;
		/* With what is around objects, and what nobody wrote yet. */
		memcheck_quiet(true);
		err = write_all(snap.fd, block_ptr(i), bytes, *at);
		memcheck_quiet(false);
		*at += bytes;
	}
	return err;
}

static int set_fork(u32 block, u32 nr, int advice)
{
	if (madvise(block_ptr(block), (size_t)nr << PAGEBLOCK_SHIFT, advice))
		return -errno;
	return 0;
}

static int keep_out(struct zone *z, u32 block, u32 nr, void *arg)
{
	(void)z;
	(void)arg;
	return set_fork(block, nr, MADV_DONTFORK);
}

static int let_in(struct zone *z, u32 block, u32 nr, void *arg)
{
	(void)z;
	(void)arg;
	set_fork(block, nr, MADV_DOFORK);
	return 0;
}

static void drop_copy(void)
{
	sys_close(snap.fd);
	snap.fd = -1;
}

static int make_copy(void)
{
	off_t at = 0;
	int err;

	snap.fd = memfd_create("libslab-fork", MFD_CLOEXEC);
	if (snap.fd < 0)
		return -errno;
	err = each_run(copy_run, &at);
	if (!err)
		err = each_run(keep_out, NULL);
	if (err) {
		each_run(let_in, NULL);
		drop_copy();
	} else {
		stat_add(&snap.bytes, at);
	}
	return err;
}

static bool any_hugetlb(void)
{
	for (int n = 0; n < nr_node_ids(); n++)
		if (zones[n].nr_up[BACKING_HUGETLB])
			return true;
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		WRITE_ONCE(hugetlb_pools[i].fork_kept, 0);
	return false;
}

void hugetlb_fork_prepare(void)
{
	struct need need;
	u64 bytes = 0;
	int err;

	if (!any_hugetlb())
		return;
	count_need(&need);
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		bytes += need.bytes[i];
	if (!options.fork_copy && pools_suffice(&need)) {
		keep_pages(&need);
		stat_inc(&snap.shared);
		return;
	}
	err = make_copy();
	if (!err) {
		stat_inc(&snap.copied);
		return;
	}
	stat_inc(&snap.failed);
	report("fork: the hugetlb pool cannot give %llu KiB more and no copy "
	       "can be made (%s): the child may be killed when it writes",
	       (unsigned long long)bytes >> 10, error_text(-err));
}

void hugetlb_fork_parent(void)
{
	if (snap.fd < 0)
		return;
	each_run(let_in, NULL);
	drop_copy();
}

/* Nothing is mapped there now, and no other thread could take it. */
static int map_run(struct zone *z, u32 block, u32 nr, void *arg)
{
	off_t *at = arg;
	u32 n;

	for (u32 i = block; i < block + nr; i += n) {
		size_t bytes;
		bool idle = block_is_idle(z, i);
		int flags = MAP_PRIVATE | MAP_FIXED;

		n = same_idle(z, i, block + nr - i);
		bytes = (size_t)n << PAGEBLOCK_SHIFT;
		flags |= idle ? MAP_ANONYMOUS : 0;
		if (mmap(block_ptr(i), bytes, PROT_READ | PROT_WRITE, flags,
			 idle ? -1 : snap.fd, idle ? 0 : *at) == MAP_FAILED)
			bug("fork: the child cannot map its heap: %s",
			    error_text(errno));
		/* What the child writes is to lie where its address says. */
		mempolicy_bind(block_ptr(i), bytes, z->node, false);
		*at += idle ? 0 : bytes;
		mem.blocks[i].first = 1;
	}
	return 0;
}

/* It was mapped anew. */
static void idle_is_untouched(struct zone *z, u32 block)
{
	block_set_whole(z, block, comes_whole());
	block_set_released(z, block, 0, PAGEBLOCK_PAGES);
}

static int now_small(struct zone *z, u32 block, u32 nr, void *arg)
{
	(void)arg;
	/*
	 * Single pages of the copy are there again whatever is discarded. Of a
	 * larger page the first block, which counts for the others, is the last.
	 */
	for (u32 i = block + nr; i-- > block; ) {
		block_set_backing(z, i, BACKING_SMALL);
		if (block_is_idle(z, i))
			idle_is_untouched(z, i);
	}
	return 0;
}

void hugetlb_fork_child(void)
{
	off_t at = 0;

	if (snap.fd < 0)
		return;
	each_run(map_run, &at);
	each_run(now_small, NULL);
	for (unsigned int i = 0; i < nr_hugetlb_pools; i++)
		hugetlb_pools[i].fork_kept = 0;
	drop_copy();
}

void vmstat_fork(struct seq *s)
{
	seq_printf(s, "fork_hugetlb_shared %llu\n",
		   (unsigned long long)READ_ONCE(snap.shared));
	seq_printf(s, "fork_hugetlb_copied %llu\n",
		   (unsigned long long)READ_ONCE(snap.copied));
	seq_printf(s, "fork_hugetlb_copied_bytes %llu\n",
		   (unsigned long long)READ_ONCE(snap.bytes));
	seq_printf(s, "fork_hugetlb_unprepared %llu\n",
		   (unsigned long long)READ_ONCE(snap.failed));
}
