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
#include "zone.h"

#include <sys/mman.h>
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

struct mem mem;

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

/* What a limit on address space leaves us: half of it. */
static size_t reservation_allowed(size_t bytes)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_AS, &rl) || rl.rlim_cur == RLIM_INFINITY)
		return bytes;
	while (bytes > rl.rlim_cur / 2)
		bytes /= 2;
	return bytes;
}

/* Address space that @nr entries of a table take, in units that are opened. */
static size_t table_bytes(size_t nr, size_t entry)
{
	return ALIGN(nr * entry, META_UNIT);
}

/*
 * One mapping for the pages and, behind them, their tables: what the boundary
 * costs is not given back, so that a small program is spared the calls.
 */
static int reserve(size_t bytes, size_t align)
{
	size_t pages = bytes >> PAGE_SHIFT, blocks = bytes >> PAGEBLOCK_SHIFT;
	size_t vmemmap = table_bytes(pages, sizeof(struct page));
	size_t row_map = table_bytes(pages >> SLAB_MIN_ORDER, sizeof(u16));
	size_t all = bytes + align + vmemmap + row_map +
		     table_bytes(blocks, sizeof(struct pageblock));
	char *p = mmap(NULL, all, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *tables;

	if (p == MAP_FAILED)
		return -ENOMEM;
	mem.base = ALIGN((uintptr_t)p, align);
	tables = (char *)mem.base + bytes;
	mem.vmemmap = (struct page *)tables;
	mem.row_map = (u16 *)(tables + vmemmap);
	mem.blocks = (struct pageblock *)(tables + vmemmap + row_map);
	opened = meta_alloc(DIV_ROUND_UP(blocks, 8));
	if (!opened || mprotect(mem.row_map, row_map, PROT_READ)) {
		munmap(p, all);
		return -ENOMEM;
	}
	vma_name(p, all, "libslab");
	return 0;
}

int sparse_init(void)
{
	unsigned int stripes = 1U << order_base_2(nr_node_ids());
	size_t bytes = reservation_allowed(reservation_wanted());

	for (; bytes / stripes >= STRIPE_MIN; bytes /= 2) {
		if (reserve(bytes, bytes >= 4 * GIB ? GIB : PAGEBLOCK_BYTES))
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
	err = open_tables(block, nr);
	end = block + nr;
	for (i = block; !err && i < end; i++)
		__atomic_fetch_or(&opened[i / 64], 1ULL << i % 64,
				  __ATOMIC_RELEASE);
	unlock(&open_lock);
	return err;
}
