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

/* @bytes of address space on a boundary of @align; the rest is given back. */
static uintptr_t reserve_aligned(size_t bytes, size_t align)
{
	char *p = mmap(NULL, bytes + align, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start;

	if (p == MAP_FAILED)
		return 0;
	start = ALIGN((uintptr_t)p, align);
	if (start > (uintptr_t)p)
		munmap(p, start - (uintptr_t)p);
	munmap((void *)(start + bytes), (uintptr_t)p + align - start);
	vma_name((void *)start, bytes, "libslab");
	return start;
}

/*
 * Tables may fail where the reservation did not; then all is given back, and
 * the caller tries half. Their length goes by that of the reservation.
 */
static int tables_init(size_t bytes)
{
	size_t pages = bytes >> PAGE_SHIFT;
	size_t blocks = bytes >> PAGEBLOCK_SHIFT;
	size_t sizes[] = {
		pages * sizeof(struct page),
		(pages >> SLAB_MIN_ORDER) * sizeof(u16),
		blocks * sizeof(struct pageblock), DIV_ROUND_UP(blocks, 8),
	};
	int prots[] = {
		PROT_NONE, PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE,
	};
	void *table[ARRAY_SIZE(sizes)];

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		table[i] = meta_reserve(sizes[i], prots[i]);
		if (table[i])
			continue;
		/* Of each the odd unit before it stays behind: address only. */
		while (i--)
			munmap(table[i], ALIGN(sizes[i], META_UNIT));
		return -ENOMEM;
	}
	mem.vmemmap = table[0];
	mem.row_map = table[1];
	mem.blocks = table[2];
	opened = table[3];
	return 0;
}

int sparse_init(void)
{
	unsigned int stripes = 1U << order_base_2(nr_node_ids());
	size_t bytes = reservation_allowed(reservation_wanted());

	for (; bytes / stripes >= STRIPE_MIN; bytes /= 2) {
		size_t align = bytes >= 4 * GIB ? GIB : PAGEBLOCK_BYTES;
		uintptr_t base = reserve_aligned(bytes, align);

		if (!base)
			continue;
		if (tables_init(bytes)) {
			munmap((void *)base, bytes);
			continue;
		}
		mem.base = base;
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
