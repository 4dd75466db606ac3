// SPDX-License-Identifier: MIT
/*
 * Pageblocks up and down: the only file that maps anything into the
 * reservation.
 *
 * But for how much of it is reserved (mm/sparse.c): no step may leave a hole in
 * the reservation, because a mapping of a stranger could land in it, and none
 * may publish a page that can still fail to come.
 *   up    map elsewhere -> bind -> (hugetlb: populate, verify) -> mremap in ->
 *         (others: bind, advise, name, populate, verify) -> caller publishes
 *         early blocks, or under RLIMIT_AS: the same, but mprotect in place
 *         long runs: mprotect in place -> bind, name -> caller publishes
 *   down  one mmap(PROT_NONE, MAP_FIXED), which replaces atomically
 *   blank madvise(MADV_DONTNEED): still mapped, and zero
 * What is reserved is not for core files, what is accessible is.
 *
 * Hugetlb pages are populated before they are moved in, since that is where
 * they fail. Others are populated after it: a mapping that was populated
 * elsewhere keeps its old page offsets and never merges with its neighbours,
 * one that moves in empty does, so that a heap of THP is one mapping.
 *
 * mremap() unmaps its target before it can still fail. blocks_restore() fills
 * the hole again, unless a stranger was faster: then the address is lost for
 * good (STEP_LOST) and never touched. Near vm.max_map_count it fails before.
 *
 * Locks: none. The caller owns the blocks: their bits in zone.used are set and
 * they are on no list.
 */
#define _GNU_SOURCE
#include "maps.h"
#include "syscalls.h"
#include "vm_calls.h"
#include "zone.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static void *block_ptr(u32 block)
{
	return pfn_to_ptr(block << PAGEBLOCK_ORDER);
}

static size_t blocks_bytes(u32 nr)
{
	return (size_t)nr << PAGEBLOCK_SHIFT;
}

/* For /proc/PID/maps; kernels without CONFIG_ANON_VMA_NAME refuse. */
void vma_name(void *p, size_t bytes, const char *name)
{
	static bool refused;
	int saved = errno;

	if (!READ_ONCE(refused) && prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p,
					 bytes, name) && errno == EINVAL)
		WRITE_ONCE(refused, true);
	errno = saved;
}

/*
 * Where the kernel refuses, a core file has zeroes too many or lacks something:
 * not worth a failure.
 */
static void advise_dump(void *p, size_t bytes, int advice)
{
	int saved = errno;

	madvise(p, bytes, advice);
	errno = saved;
}

void vma_reserved(void *p, size_t bytes, const char *name)
{
	vma_name(p, bytes, name);
	advise_dump(p, bytes, MADV_DONTDUMP);
}

void vma_opened(void *p, size_t bytes)
{
	advise_dump(p, bytes, MADV_DODUMP);
}

bool blocks_rereserve(u32 block, u32 nr)
{
	void *p = block_ptr(block);
	size_t bytes = blocks_bytes(nr);
	void *got = vm_map(p, bytes, PROT_NONE, RESERVED | MAP_FIXED_NOREPLACE,
			   -1);

	if (got == p) {
		vma_reserved(p, bytes, "libslab");
		return true;
	}
	/* A kernel before 4.17 takes the address for a hint. */
	if (got != MAP_FAILED)
		munmap(got, bytes);
	return false;
}

static bool looks_reserved(const struct mapping *m)
{
	return !m->readable && !m->executable && !m->inode &&
		(!*m->path || !strcmp(m->path, "[anon:libslab]"));
}

static bool is_reserved(const void *p, size_t bytes)
{
	uintptr_t at = (uintptr_t)p, end = at + bytes;
	struct mapping line;
	struct maps maps;

	if (maps_open(&maps))
		return false;
	while (maps_next(&maps, &line))
		if (line.start <= at && at < line.end && looks_reserved(&line))
			at = line.end;
	return at >= end;
}

/* Of a mapping over it that failed: it is unmapped, or as it was. */
static bool blocks_restore(u32 block, u32 nr)
{
	return blocks_rereserve(block, nr) ||
		is_reserved(block_ptr(block), blocks_bytes(nr));
}

/*
 * Before Linux 5.14. read() reports what a touch would make a signal of; what
 * it writes are zeroes over zeroes.
 */
static int populate_by_read(char *p, size_t bytes)
{
	int fd = sys_open("/dev/zero", O_RDONLY, 0);
	size_t at = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (at < bytes) {
		n = sys_read(fd, p + at, min(bytes - at, PAGEBLOCK_BYTES));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += n;
	}
	n = n < 0 ? -errno : -EFAULT;
	sys_close(fd);
	return at == bytes ? 0 : n;
}

int populate(void *p, size_t bytes)
{
	if (fault_inject(FAULT_POPULATE, bytes))
		return -errno;
	while (madvise(p, bytes, MADV_POPULATE_WRITE)) {
		if (errno == EINVAL)
			return populate_by_read(p, bytes);
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

/*
 * Moves [@p, @p + bytes) over the reserved blocks. On failure @p is unmapped
 * and the blocks are reserved as before, or STEP_LOST.
 */
static enum step move_in(void *p, u32 block, u32 nr)
{
	size_t bytes = blocks_bytes(nr);

	if (vm_move(p, bytes, block_ptr(block)))
		return STEP_OK;
	munmap(p, bytes);
	return blocks_restore(block, nr) ? STEP_NO_MEMORY : STEP_LOST;
}

/*
 * Kernels before 5.16 do not move hugetlb mappings. There it is mapped in its
 * place, once it is known that as many pages can be had.
 */
static enum step hugetlb_in_place(u32 block, u32 nr, unsigned int shift,
				  int node)
{
	size_t bytes = blocks_bytes(nr);
	void *p = block_ptr(block);

	if (vm_map(p, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB |
		   (int)(shift << 26), -1) == MAP_FAILED)
		return blocks_restore(block, nr) ? STEP_POOL_EMPTY : STEP_LOST;
	if (!mempolicy_bind(p, bytes, node, true) && !populate(p, bytes) &&
	    (!numa_several() || pages_on_node(p, bytes, 1UL << shift, node)))
		return STEP_OK;
	return blocks_offline(block, nr) ? STEP_POPULATE : STEP_LOST;
}

static enum step online_hugetlb(u32 block, u32 nr, int node, unsigned int shift)
{
	size_t bytes = blocks_bytes(nr);
	enum step step;
	void *p;

	/* The reservation may start on a boundary of 2 MiB only. */
	if (mem.base & ((1UL << shift) - 1))
		return STEP_UNSUPPORTED;
	step = hugetlb_map(bytes, shift, &p);
	if (step)
		return step;
	if (mempolicy_bind(p, bytes, node, true) || populate(p, bytes))
		step = STEP_POPULATE;
	else if (numa_several() &&
		 !pages_on_node(p, bytes, 1UL << shift, node))
		step = STEP_WRONG_NODE;
	if (step) {
		munmap(p, bytes);
		return step;
	}
	if (vm_move(p, bytes, block_ptr(block)))
		return STEP_OK;
	step = errno == EINVAL ? STEP_UNSUPPORTED : STEP_NO_MEMORY;
	munmap(p, bytes);
	/* EINVAL comes before anything is unmapped: the blocks are ours. */
	if (step == STEP_UNSUPPORTED)
		return hugetlb_in_place(block, nr, shift, node);
	return blocks_restore(block, nr) ? step : STEP_LOST;
}

static void came_small(u32 block)
{
	mem.blocks[block].backing = BACKING_SMALL;
	step_count(pfn_zone(block << PAGEBLOCK_ORDER), BACKING_THP,
		   STEP_NOT_HUGE);
}

/* Advice before the name and both before the first touch, so that it merges. */
static void advise(void *p, size_t bytes, const struct bringup *how)
{
	if (how->backing == BACKING_THP)
		madvise(p, bytes, MADV_HUGEPAGE);
	else if (!rung_in_ladder(RUNG_THP) || how->early)
		madvise(p, bytes, MADV_NOHUGEPAGE);
	vma_name(p, bytes, how->backing == BACKING_THP ? "libslab-thp" :
		 "libslab-small");
}

/* Nothing of it is touched before it is used. */
static bool comes_untouched(const struct bringup *how)
{
	return how->lazy || (how->backing == BACKING_SMALL && !how->populate &&
			     !verify_nodes);
}

/* In its place, but not published. */
static enum step fill(void *p, size_t bytes, int node,
		      const struct bringup *how)
{
	size_t step = sysconf(_SC_PAGESIZE);

	if (mempolicy_bind(p, bytes, node, false))
		return STEP_WRONG_NODE;
	advise(p, bytes, how);
	/* Untouched memory would lie wherever there is room on that day. */
	if (comes_untouched(how))
		return STEP_OK;
	if (populate(p, bytes))
		return STEP_POPULATE;
	if (numa_several() && !pages_on_node(p, bytes, step, node))
		return STEP_WRONG_NODE;
	return STEP_OK;
}

/*
 * In its place, in one call. What a small heap may hold is so little that the
 * kernel need not be asked whether it accounts for it; and what was reserved
 * under a limit on address space would count twice on its way.
 */
static bool opens_in_place(const struct bringup *how)
{
	return how->early || sparse_grows();
}

static enum step open_in_place(u32 block, u32 nr)
{
	void *p = block_ptr(block);
	size_t bytes = blocks_bytes(nr);

	if (vm_protect(p, bytes, PROT_READ | PROT_WRITE))
		return STEP_NO_MEMORY;
	vma_opened(p, bytes);
	return STEP_OK;
}

/*
 * New memory at an address that is a multiple of 2 MiB, or MAP_FAILED. mremap()
 * moves the page table of what is not: then there is one in the new place too,
 * and no huge page is put where a table is. Kernels before 6.7 do not align by
 * themselves.
 */
static void *map_aligned(size_t bytes)
{
	char *start = vm_map(NULL, bytes + PAGEBLOCK_BYTES,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *p = (char *)ALIGN((uintptr_t)start, PAGEBLOCK_BYTES);

	if (start == MAP_FAILED)
		return MAP_FAILED;
	if (p != start)
		munmap(start, p - start);
	munmap(p + bytes, start + PAGEBLOCK_BYTES - p);
	return p;
}

static enum step map_in(u32 block, u32 nr)
{
	void *p = map_aligned(blocks_bytes(nr));

	return p == MAP_FAILED ? STEP_NO_MEMORY : move_in(p, block, nr);
}

static enum step online_plain(u32 block, u32 nr, int node,
			      const struct bringup *how)
{
	size_t bytes = blocks_bytes(nr);
	enum step step;

	if (how->backing == BACKING_THP && !thp_enabled())
		return STEP_UNSUPPORTED;
	if (how->mapped)
		step = STEP_OK;
	else if (opens_in_place(how))
		step = open_in_place(block, nr);
	else
		step = map_in(block, nr);
	if (step)
		return step;
	step = fill(block_ptr(block), bytes, node, how);
	if (step && !blocks_offline(block, nr))
		return STEP_LOST;
	return step;
}

/*
 * The kernel does not account for what came from a reservation, unless it
 * accounts for everything. What it would refuse elsewhere is refused here.
 */
static bool more_than_there_is(size_t bytes)
{
	struct sysinfo info;
	char policy[16];

	if (bytes < blocks_bytes(HUGE_RUN_BLOCKS) || sysinfo(&info))
		return false;
	if (bytes / info.mem_unit <= info.totalram + info.totalswap)
		return false;
	return !read_small_file("/proc/sys/vm/overcommit_memory", policy,
				sizeof(policy)) || policy[0] != '1';
}

/*
 * Where mprotect() fails, some may be writable already: nobody is told, and
 * whoever comes next maps over it.
 */
static enum step online_lazy(u32 block, u32 nr, int node,
			     const struct bringup *how)
{
	size_t bytes = blocks_bytes(nr);
	void *p = block_ptr(block);

	if (how->backing == BACKING_THP && !thp_enabled())
		return STEP_UNSUPPORTED;
	if (more_than_there_is(bytes) || open_in_place(block, nr))
		return STEP_NO_MEMORY;
	vma_name(p, bytes, "libslab-run");
	if (!mempolicy_bind(p, bytes, node, false))
		return STEP_OK;
	return blocks_offline(block, nr) ? STEP_WRONG_NODE : STEP_LOST;
}

bool pages_discard(u32 pfn, u32 nr)
{
	int saved = errno;
	bool done = !madvise(pfn_to_ptr(pfn), (size_t)nr << PAGE_SHIFT,
			     MADV_DONTNEED);

	errno = saved;
	return done;
}

/* What was blank keeps what the kernel was told of it, unless it is told now. */
static enum advice advice_of(const struct pageblock *b,
			     const struct bringup *how)
{
	if (how->backing == BACKING_THP && !how->lazy)
		return ADVICE_HUGE;
	if (!how->lazy && (!rung_in_ladder(RUNG_THP) || how->early))
		return ADVICE_SMALL;
	return how->mapped ? b->advice : ADVICE_NONE;
}

static void block_init(struct pageblock *b, bool first, enum backing backing,
		       const struct bringup *how)
{
	enum advice advice = advice_of(b, how);

	memset(b, 0, sizeof(*b));
	b->next = b->prev = NO_BLOCK;
	b->list = b->report = -1;
	b->backing = backing;
	b->huge_shift = how->huge_shift;
	b->first = first || how->mapped;
	b->lazy = how->lazy;
	b->early = how->early;
	b->advice = advice;
	b->whole = backing == BACKING_HUGETLB || comes_whole();
	if (comes_untouched(how))
		pageblock_set_released(b, 0, PAGEBLOCK_PAGES);
}

bool comes_whole(void)
{
	return sysconf(_SC_PAGESIZE) != PAGE_BYTES;
}

static enum step bring_online(u32 block, u32 nr, int node,
			      const struct bringup *how)
{
	enum backing backing = how->lazy ? BACKING_SMALL : how->backing;
	enum step step;

	if (sparse_open(block, nr))
		return STEP_NO_MEMORY;
	if (how->backing == BACKING_HUGETLB)
		step = online_hugetlb(block, nr, node, how->huge_shift);
	else if (how->lazy)
		step = online_lazy(block, nr, node, how);
	else
		step = online_plain(block, nr, node, how);
	if (step)
		return step;
	/*
	 * A strict policy has done its work. Copies after fork() would be bound
	 * by it to a node that may have no page left, and the child killed.
	 */
	if (backing == BACKING_HUGETLB)
		mempolicy_bind(block_ptr(block), blocks_bytes(nr), node, false);
	for (u32 i = block; i < block + nr; i++)
		block_init(&mem.blocks[i], i == block, backing, how);
	if (backing == BACKING_THP)
		thp_verify(block, nr, came_small);
	return STEP_OK;
}

enum step blocks_online(u32 block, u32 nr, int node,
			const struct bringup *how)
{
	enum step step;

	if (!limit_charge_blocks(nr))
		return STEP_LIMIT;
	step = bring_online(block, nr, node, how);
	if (step)
		limit_uncharge_blocks(nr);
	return step;
}

/* Only whole base pages of descriptors: 64 KiB hold those of four blocks. */
static void drop_descriptors(u32 block, u32 nr)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)pfn_to_page(block << PAGEBLOCK_ORDER);
	uintptr_t end = start + (sizeof(struct page) << PAGEBLOCK_ORDER) * nr;

	start = ALIGN(start, page);
	end = ALIGN_DOWN(end, page);
	if (start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

bool blocks_offline(u32 block, u32 nr)
{
	void *p = block_ptr(block);
	size_t bytes = blocks_bytes(nr);

	if (vm_map(p, bytes, PROT_NONE, RESERVED | MAP_FIXED, -1) == MAP_FAILED)
		return false;
	vma_reserved(p, bytes, "libslab");
	drop_descriptors(block, nr);
	return true;
}

/*
 * A piece of one mapping. It leaves a hole behind, which must be reserved
 * again; where a stranger was faster the old address is lost, not the move.
 */
static bool move_piece(u32 from, u32 to, u32 nr, bool *lost)
{
	size_t bytes = blocks_bytes(nr);

	if (!vm_move(block_ptr(from), bytes, block_ptr(to)))
		return false;
	if (!blocks_rereserve(from, nr))
		*lost = true;
	return true;
}

/* Blocks at @block that came up together and so are one mapping. */
static u32 piece_length(u32 block, u32 most)
{
	u32 nr = 1;

	while (nr < most && !mem.blocks[block + nr].first &&
	       mem.blocks[block + nr].advice == mem.blocks[block].advice &&
	       mem.blocks[block + nr].backing == mem.blocks[block].backing)
		nr++;
	return nr;
}

/* Pieces [0, @nr) are at @to; brings them home, where nothing is mapped. */
static void move_back(u32 from, u32 to, u32 nr, bool *lost)
{
	u32 n;

	for (u32 at = 0; at < nr; at += n) {
		n = piece_length(from + at, nr - at);
		if (!move_piece(to + at, from + at, n, lost))
			bug("a large object is torn in two: mremap: %s",
			    error_text(errno));
	}
}

bool blocks_move(u32 from, u32 to, u32 nr, bool *lost)
{
	u32 at, n;

	*lost = false;
	for (at = 0; at < nr; at += n) {
		n = piece_length(from + at, nr - at);
		if (!move_piece(from + at, to + at, n, lost))
			break;
	}
	if (at == nr)
		return true;
	/* The user may have split it, by mlock() of a part of it say. */
	if (*lost)
		bug("a large object is torn in two: its old address was taken");
	if (!blocks_restore(to + at, n))
		*lost = true;
	move_back(from, to, at, lost);
	return false;
}
