// SPDX-License-Identifier: MIT
/*
 * The one reservation and the tables beside it. Nothing is mapped in it but
 * by memory_hotplug.c; a table is made writable, 64 KiB at a time, when the
 * first pageblock that it describes comes up.
 *
 * Locks: open_lock, a leaf, covers the bitmap of opened pageblocks. It is read
 * without the lock: a set bit is stored last, with release.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "vm_calls.h"
#include "zone.h"

#include <sys/resource.h>
#include <sys/sysinfo.h>

#define GIB		(1UL << 30)
#define TIB		(1UL << 40)
#define RAM_FACTOR	64
#ifdef RN_TSAN
/* ThreadSanitizer's shadow leaves an application little room. */
#define RESERVATION_MIN	(GIB * 256)
#define RESERVATION_MAX	(GIB * 256)
#else
#define RESERVATION_MIN	TIB
#define RESERVATION_MAX	(1UL << MEM_SHIFT_MAX)
#endif
/* A stripe with fewer pageblocks than this serves nobody. */
#define STRIPE_MIN	(4 * PAGEBLOCK_BYTES)

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
/* What nobody may touch, before and behind each table and the pages. */
#define GUARD	META_UNIT

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

struct mem mem;

/*
 * Under a limit on address space, what is reserved counts, too. There only the
 * range is chosen, and each stripe is reserved from its start on as it is used.
 */
#define GROW_MIN	(2 * PAGEBLOCK_BYTES)
#define GROW_SHIFT	6

static bool grows;
static size_t reserved[MAX_NODES];	/* bytes of each stripe, if so */

static struct lock open_lock;
static u64 *opened;		/* bit i: the tables of pageblock i are open */

static size_t reservation_wanted(void)
{
	size_t bytes = options.reservation, ram;
	struct sysinfo system = { .mem_unit = 0 };

	if (!bytes) {
		/* Not sysconf(), which may read files by stdio. */
		sysinfo(&system);
		ram = system.totalram * system.mem_unit;
		if (__builtin_mul_overflow(ram, RAM_FACTOR, &bytes))
			bytes = RESERVATION_MAX;
		bytes = max(bytes, RESERVATION_MIN);
	}
	bytes = min(bytes, RESERVATION_MAX);
	return 1UL << order_base_2(bytes);
}

/* RLIMIT_AS, where it does not leave as much to others; else 0. */
static size_t limit_for(size_t bytes)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_AS, &rl) || rl.rlim_cur / 2 >= bytes)
		return 0;
	return max(rl.rlim_cur, STRIPE_MIN);
}

/* Address space that @nr entries of a table take, in units that are opened. */
static size_t table_bytes(size_t nr, size_t entry)
{
	return ALIGN(nr * entry, META_UNIT);
}

/*
 * One mapping for the pages and, behind them, their tables: what the boundary
 * costs is not given back, so that a small program is spared the calls. The
 * pages begin @apart bytes below the tables; if that is less than all of them,
 * they lie somewhere else.
 */
static int reserve(size_t bytes, size_t apart, size_t align)
{
	size_t pages = bytes >> PAGE_SHIFT, blocks = bytes >> PAGEBLOCK_SHIFT;
	size_t vmemmap = table_bytes(pages, sizeof(struct page));
	size_t row_map = table_bytes(pages >> SLAB_MIN_ORDER, sizeof(u16));
	size_t all = apart + align + vmemmap + row_map +
		     table_bytes(blocks, sizeof(struct pageblock)) +
		     5 * GUARD;
	char *p = vm_map(NULL, all, PROT_NONE, RESERVED, -1);
	char *tables;

	if (p == MAP_FAILED)
		return -ENOMEM;
	mem.base = ALIGN((uintptr_t)p + GUARD, align);
	tables = (char *)mem.base + apart + GUARD;
	mem.vmemmap = (struct page *)tables;
	tables += vmemmap + GUARD;
	mem.row_map = (u16 *)tables;
	tables += row_map + GUARD;
	mem.blocks = (struct pageblock *)tables;
	opened = meta_alloc(DIV_ROUND_UP(blocks, 8));
	if (!opened || vm_protect(mem.row_map, row_map, PROT_READ)) {
		munmap(p, all);
		return -ENOMEM;
	}
	vma_reserved(p, all, "libslab");
	return 0;
}

/* All of it at once; of a limit at most half, which is for the program, too. */
static int reserve_whole(size_t bytes, size_t limit)
{
	if (limit && bytes > limit / 2)
		return -ENOMEM;
	return reserve(bytes, bytes,
		       bytes >= 4 * GIB ? GIB : PAGEBLOCK_BYTES);
}

/*
 * The range is far below the tables, from where the kernel goes downwards with
 * what others map: under the limit that is not as far.
 */
static int reserve_range(size_t bytes, size_t limit)
{
	uintptr_t top = (uintptr_t)__builtin_frame_address(0);

	if (top / 2 < bytes + 2 * limit || reserve(bytes, 0, PAGEBLOCK_BYTES))
		return -ENOMEM;
	top = (uintptr_t)mem.vmemmap;
	mem.base = ALIGN_DOWN(top - 2 * limit - bytes, PAGEBLOCK_BYTES);
	grows = true;
	return 0;
}

static bool reserve_at(uintptr_t at, size_t bytes)
{
	void *p = vm_map((void *)at, bytes, PROT_NONE,
			 RESERVED | MAP_FIXED_NOREPLACE, -1);

	if (p == (void *)at) {
		vma_reserved(p, bytes, "libslab");
		return true;
	}
	/* A kernel before 4.17 takes the address for a hint. */
	if (p != MAP_FAILED)
		munmap(p, bytes);
	return false;
}

/*
 * Under open_lock. Reserves the stripe of @block up to block @end, or a little
 * more, so that small steps are few.
 */
static bool reserve_up_to(u32 block, u32 end)
{
	u32 pfn = block << PAGEBLOCK_ORDER;
	int node = pfn_to_node(pfn);
	size_t stripe = PAGE_BYTES << mem.stripe_order;
	size_t had = reserved[node], need, step;
	uintptr_t start = mem.base + node * stripe;

	need = ((size_t)end << PAGEBLOCK_SHIFT) - node * stripe;
	if (need <= had)
		return true;
	step = max(ALIGN(had >> GROW_SHIFT, PAGEBLOCK_BYTES), GROW_MIN);
	step = min(max(step, need - had), stripe - had);
	if (!reserve_at(start + had, step)) {
		step = need - had;
		if (!reserve_at(start + had, step))
			return false;
	}
	reserved[node] = had + step;
	return true;
}

bool sparse_grows(void)
{
	return grows;
}

/* Where there is a limit, what is worth choosing: the tables count as well. */
static size_t range_for(size_t limit)
{
	return 1UL << order_base_2(limit - limit / 8);
}

int sparse_init(void)
{
	unsigned int stripes = 1U << order_base_2(nr_node_ids());
	size_t bytes = reservation_wanted(), limit = limit_for(bytes);

	if (limit)
		bytes = min(bytes, range_for(limit));
	for (; bytes / stripes >= STRIPE_MIN; bytes /= 2) {
		if ((!limit || reserve_range(bytes, limit)) &&
		    reserve_whole(bytes, limit))
			continue;
		mem.bytes = bytes;
		mem.nr_stripes = stripes;
		mem.stripe_order = ilog2(bytes / stripes) - PAGE_SHIFT;
		return 0;
	}
	return -ENOMEM;
}

static bool is_open(u32 block)
{
	u64 word = __atomic_load_n(&opened[block / 64], __ATOMIC_ACQUIRE);

	return word >> block % 64 & 1;
}

u32 sparse_next_open(u32 block)
{
	u32 nr = mem.bytes >> PAGEBLOCK_SHIFT;
	u64 word;

	for (; block < nr; block = ALIGN(block + 1, 64U)) {
		word = __atomic_load_n(&opened[block / 64], __ATOMIC_ACQUIRE) >>
		       block % 64;
		if (word)
			return block + __builtin_ctzll(word);
	}
	return NO_PFN;
}

struct page *ptr_to_page(const void *p)
{
	u32 pfn;

	if (!mem_has(p))
		return NULL;
	pfn = ptr_to_pfn(p);
	return is_open(pfn >> PAGEBLOCK_ORDER) ? pfn_to_page(pfn) : NULL;
}

static int open_tables(u32 block, u32 nr)
{
	size_t pfn = (size_t)block << PAGEBLOCK_ORDER;
	size_t pages = (size_t)nr << PAGEBLOCK_ORDER;
	int err;

	err = meta_open(&mem.vmemmap[pfn], pages * sizeof(struct page));
	if (!err)
		err = meta_open(&mem.row_map[pfn >> SLAB_MIN_ORDER],
				(pages >> SLAB_MIN_ORDER) * sizeof(u16));
	if (!err)
		err = meta_open(&mem.blocks[block],
				nr * sizeof(struct pageblock));
	return err;
}

/*
 * What shares a unit with an opened pageblock is writable too, but only what
 * was asked for is marked: three calls for 2 MiB that cost a hundred times as
 * much to populate are not worth a bitmap for each table.
 */
int sparse_open(u32 block, u32 nr)
{
	u32 i, end;
	int err;

	while (nr && is_open(block)) {
		block++;
		nr--;
	}
	while (nr && is_open(block + nr - 1))
		nr--;
	if (!nr)
		return 0;
	lock(&open_lock);
	if (grows && !reserve_up_to(block, block + nr))
		err = -ENOMEM;
	else
		err = open_tables(block, nr);
	end = block + nr;
	for (i = block; !err && i < end; i++)
		__atomic_fetch_or(&opened[i / 64], 1ULL << i % 64,
				  __ATOMIC_RELEASE);
	unlock(&open_lock);
	return err;
}
