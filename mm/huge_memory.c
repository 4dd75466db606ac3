// SPDX-License-Identifier: MIT
/*
 * Transparent huge pages: whether they are switched on, and whether what was
 * asked for is there. Populating succeeds without giving a huge page, so only
 * the page tables are believed: by the PAGEMAP_SCAN ioctl (Linux 6.7), or else
 * by smaps, where a mapping must be huge as a whole to count.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "syscalls.h"
#include "zone.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

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
#define SCAN_REGIONS	32

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
	/* Written by the kernel, which memcheck does not know. */
	struct scan_region regions[SCAN_REGIONS] = { 0 };
	struct scan_arg scan = {
		.size = sizeof(scan), .start = start, .end = end,
		.vec = (uintptr_t)regions, .vec_len = SCAN_REGIONS,
		.category_mask = SCAN_IS_HUGE, .return_mask = SCAN_IS_HUGE,
	};
	int fd = sys_open("/proc/self/pagemap", O_RDONLY, 0);
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
	sys_close(fd);
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

/* --- without the ioctl --- */

/* Lines of a file, through a buffer in the reader; no longer than that. */
struct lines {
	int fd;
	size_t from, to;	/* of buf: what has not been returned yet */
	char buf[512];
};

/* Moves what is left to the start and reads more; false at the end. */
static bool lines_fill(struct lines *l)
{
	ssize_t n;

	l->to -= l->from;
	memmove(l->buf, l->buf + l->from, l->to);
	l->from = 0;
	do
		n = sys_read(l->fd, l->buf + l->to, sizeof(l->buf) - l->to);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	l->to += n;
	return true;
}

/* The next line without its end, or NULL. A longer one comes in pieces. */
static char *next_line(struct lines *l)
{
	char *start, *end;

	for (;;) {
		start = l->buf + l->from;
		end = memchr(start, '\n', l->to - l->from);
		if (!end && l->to - l->from == sizeof(l->buf))
			end = l->buf + l->to - 1;
		if (end)
			break;
		if (!lines_fill(l))
			return NULL;
	}
	*end = '\0';
	l->from = end + 1 - l->buf;
	return start;
}

/* "from-to " in hexadecimal digits, as the first line of a mapping has it. */
static bool parse_range(const char *line, uintptr_t *from, uintptr_t *to)
{
	char *end;

	*from = strtoul(line, &end, 16);
	if (end == line || *end != '-')
		return false;
	line = end + 1;
	*to = strtoul(line, &end, 16);
	return end != line && *end == ' ';
}

/* The number of a "Name:   123 kB" line, if that is its name. */
static bool parse_kb(const char *line, const char *name, u64 *kb)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len))
		return false;
	*kb = strtoull(line + len, NULL, 10);
	return true;
}

/*
 * [start, end) is huge if every mapping that it touches has all its resident
 * pages huge. Cautious: a neighbour's small page denies it.
 */
static bool lines_say_huge(struct lines *l, uintptr_t start, uintptr_t end)
{
	bool inside = false, seen = false, huge = true;
	uintptr_t from, to;
	u64 kb, rss = 0;
	char *line;

	while (huge && (line = next_line(l))) {
		if (parse_range(line, &from, &to)) {
			inside = from < end && to > start;
		} else if (inside && parse_kb(line, "Rss:", &kb)) {
			rss = kb;
		} else if (inside && parse_kb(line, "AnonHugePages:", &kb)) {
			seen = true;
			huge = rss && kb == rss;
		}
	}
	return seen && huge;
}

static bool smaps_huge(uintptr_t start, uintptr_t end)
{
	struct lines l = {
		.fd = sys_open("/proc/self/smaps", O_RDONLY, 0),
	};
	bool huge;

	if (l.fd < 0)
		return false;
	huge = lines_say_huge(&l, start, end);
	sys_close(l.fd);
	return huge;
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
