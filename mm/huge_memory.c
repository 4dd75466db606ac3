// SPDX-License-Identifier: MIT
/*
 * Transparent huge pages: whether they are switched on, and whether what was
 * asked for is there. Populating succeeds without giving a huge page, so only
 * the page tables are believed: by the PAGEMAP_SCAN ioctl (Linux 6.7), or else
 * by smaps, where a mapping must be huge as a whole to count.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As <linux/fs.h> has them from 6.7 on; older headers do not. */
struct scan_region {
	u64 start, end, categories;
};

struct scan_arg {
	u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL	_IOWR('f', 16, struct scan_arg)
#define SCAN_IS_HUGE	(1ULL << 6)
#define SCAN_REGIONS	64

bool thp_enabled(void)
{
	char buf[64];

	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1)
		return false;
	if (!read_small_file("/sys/kernel/mm/transparent_hugepage/enabled",
			     buf, sizeof(buf)))
		return false;
	return !strstr(buf, "[never]");
}

/*
 * Calls @fn for each range of [start, end) that is mapped by huge pages, in
 * order. 0, or -1 where the kernel has no such call.
 */
static int scan_huge(uintptr_t start, uintptr_t end,
		     void (*fn)(uintptr_t, uintptr_t, void *), void *arg)
{
	struct scan_region regions[SCAN_REGIONS];
	struct scan_arg scan = {
		.size = sizeof(scan), .start = start, .end = end,
		.vec = (uintptr_t)regions, .vec_len = SCAN_REGIONS,
		.category_mask = SCAN_IS_HUGE, .return_mask = SCAN_IS_HUGE,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int n = -1;

	if (fd < 0)
		return -1;
	while (scan.start < end) {
		n = ioctl(fd, SCAN_IOCTL, &scan);
		if (n < 0)
			break;
		for (int i = 0; i < n; i++)
			fn(regions[i].start, regions[i].end, arg);
		if (scan.walk_end <= scan.start)
			break;
		scan.start = scan.walk_end;
	}
	close(fd);
	return n < 0 ? -1 : 0;
}

/* The ranges that are huge arrive in order; what lies between is not. */
struct verify {
	u32 next;		/* first block not yet accounted for */
	void (*not_huge)(u32 block);
};

static void verify_range(uintptr_t start, uintptr_t end, void *arg)
{
	struct verify *v = arg;
	u32 from = (ALIGN(start, PAGEBLOCK_BYTES) - mem.base) >> PAGEBLOCK_SHIFT;
	u32 to = (end - mem.base) >> PAGEBLOCK_SHIFT;

	while (v->next < from)
		v->not_huge(v->next++);
	v->next = max(v->next, to);
}

/*
 * Without the ioctl: [start, end) is huge if every mapping that it touches has
 * all its resident pages huge. Cautious: a neighbour's small page denies it.
 */
static bool smaps_huge(uintptr_t start, uintptr_t end)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to, kb, rss = 0;
	bool inside = false, seen = false, huge = true;
	char line[512];

	if (!f)
		return false;
	while (huge && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from < end && to > start;
		else if (!inside)
			continue;
		else if (sscanf(line, "Rss: %lu kB", &kb) == 1)
			rss = kb;
		else if (sscanf(line, "AnonHugePages: %lu kB", &kb) == 1) {
			seen = true;
			huge = rss && kb == rss;
		}
	}
	fclose(f);
	return seen && huge;
}

void thp_verify(u32 block, u32 nr, void (*not_huge)(u32 block))
{
	uintptr_t start = (uintptr_t)pfn_to_ptr(block << PAGEBLOCK_ORDER);
	uintptr_t end = start + ((uintptr_t)nr << PAGEBLOCK_SHIFT);
	struct verify v = { .next = block, .not_huge = not_huge };

	if (scan_huge(start, end, verify_range, &v) && smaps_huge(start, end))
		return;
	while (v.next < block + nr)
		not_huge(v.next++);
}

static void add_range(uintptr_t start, uintptr_t end, void *arg)
{
	*(u64 *)arg += end - start;
}

u64 thp_bytes_in(u32 block, u32 nr)
{
	uintptr_t start = (uintptr_t)pfn_to_ptr(block << PAGEBLOCK_ORDER);
	u64 bytes = 0;

	scan_huge(start, start + ((uintptr_t)nr << PAGEBLOCK_SHIFT), add_range,
		  &bytes);
	return bytes;
}
