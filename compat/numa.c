// SPDX-License-Identifier: MIT
/*
 * What mm/ asks of libnuma and libhugetlbfs, by system calls and sysfs: both
 * allocate in their constructors and double the start of an empty program, and
 * loading one inside of malloc() would wait for the loader's lock. The functions
 * bear the libraries' names and keep their contracts as far as mm/ relies on
 * them; they are seen in this library alone.
 *
 * Called at initialisation, by one thread, but for the last one.
 */
#include "compat.h"
#include "syscalls.h"
#include "zone.h"

#include <fcntl.h>
#include <hugetlbfs.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long get_mempolicy(int *mode, unsigned long *mask, unsigned long bits,
		   void *addr, unsigned int flags)
{
	return syscall(SYS_get_mempolicy, mode, mask, bits, addr, flags);
}

long mbind(void *p, unsigned long bytes, int mode, const unsigned long *mask,
	   unsigned long bits, unsigned int flags)
{
	return syscall(SYS_mbind, p, bytes, mode, mask, bits, flags);
}

long move_pages(int pid, unsigned long n, void **pages, const int *nodes,
		int *status, int flags)
{
	return syscall(SYS_move_pages, pid, n, pages, nodes, status, flags);
}

int numa_available(void)
{
	return get_mempolicy(NULL, NULL, 0, NULL, 0) ? -1 : 0;
}

/* Is @n in a list such as "0-3,8"? */
static bool list_has(const char *list, long n)
{
	char *end;

	for (const char *p = list; ; p = end + 1) {
		long from = strtol(p, &end, 10), to = from;

		if (end == p)
			return false;
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (from <= n && n <= to)
			return true;
		if (*end != ',')
			return false;
	}
}

static void node_file(int node, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/%s",
		 node, name);
	read_small_file(path, buf, size);
}

/*
 * The file has a distance for each node that is online, in their order. It is
 * asked for one node after the other.
 */
int numa_distance(int from, int to)
{
	static char buf[1024], online[512];
	static int last = -1;
	char *p = buf;
	long d = 0;

	if (from != last) {
		last = from;
		node_file(from, "distance", buf, sizeof(buf));
		read_small_file("/sys/devices/system/node/online", online,
				sizeof(online));
	}
	if (!*buf || !list_has(online, to))
		return 0;
	for (int n = 0; n <= to; n++)
		if (list_has(online, n))
			d = strtol(p, &p, 10);
	return (int)d;
}

/* --- hugetlb --- */

struct dirent64 {
	u64 ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/* Sizes in bytes, as many as fit; their number. */
int gethugepagesizes(long sizes[], int most)
{
	char buf[2048] __aligned(8);
	int fd = sys_open("/sys/kernel/mm/hugepages", O_RDONLY | O_DIRECTORY,
			  0);
	const size_t prefix = strlen("hugepages-");
	long bytes, n = 0;

	if (fd < 0)
		return 0;
	while ((bytes = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < bytes && n < most; ) {
			struct dirent64 *d = (struct dirent64 *)(buf + at);

			if (!strncmp(d->name, "hugepages-", prefix))
				sizes[n++] = strtol(d->name + prefix, NULL,
						    10) << 10;
			at += d->len;
		}
	}
	sys_close(fd);
	return (int)n;
}

/* Is @line of /proc/self/mounts one of a hugetlbfs with pages of that size? */
static bool mounts_size(const char *line, long size)
{
	const char *p = strstr(line, " hugetlbfs ");
	char *unit;
	long n;

	p = p ? strstr(p, "pagesize=") : NULL;
	if (!p)
		return false;
	n = strtol(p + strlen("pagesize="), &unit, 10);
	switch (*unit) {
	case 'G': n <<= 10;	/* fall through */
	case 'M': n <<= 10;	/* fall through */
	case 'K': n <<= 10;
	}
	return n == size;
}

/* Not the path, which mm/ never opens: whether there is one, for the stats. */
const char *hugetlbfs_find_path_for_size(long size)
{
	int fd = sys_open("/proc/self/mounts", O_RDONLY, 0);
	char line[512], c;
	bool found = false;
	size_t n = 0;

	if (fd < 0)
		return NULL;
	while (!found && sys_read(fd, &c, 1) == 1) {
		if (c != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = c;
			continue;
		}
		line[n] = '\0';
		found = mounts_size(line, size);
		n = 0;
	}
	sys_close(fd);
	return found ? "" : NULL;
}
