/* SPDX-License-Identifier: MIT */
/*
 * Hugetlb pages for a test. They belong to the whole system, so who changes
 * their number holds a lock on the file that says it, and puts it back.
 */
#ifndef SELFTESTS_HUGEPAGES_H
#define SELFTESTS_HUGEPAGES_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static int huge_lock = -1;
static long huge_before;

static inline long huge_figure(const char *name)
{
	char path[128];
	long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), HUGE_POOL "%s", name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static inline int huge_write(long n)
{
	FILE *f = fopen(HUGE_POOL "nr_hugepages", "w");

	if (!f)
		return -1;
	fprintf(f, "%ld", n);
	return fclose(f);
}

static inline long huge_free(void)
{
	return huge_figure("free_hugepages") - huge_figure("resv_hugepages");
}

/* Bytes that this process has in hugetlb pages; -1 if that cannot be read. */
static inline long huge_mine(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "HugetlbPages: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb < 0 ? -1 : kb * 1024;
}

/* Makes exactly @n pages free; what others hold stays. 0 or -1. */
static inline int huge_set_free(long n)
{
	long held = huge_figure("nr_hugepages") - huge_free();

	if (huge_write(held + n))
		return -1;
	return huge_free() == n ? 0 : -1;
}

static inline void huge_end(void)
{
	if (huge_lock < 0)
		return;
	huge_write(huge_before);
	close(huge_lock);
	huge_lock = -1;
}

/* qemu-user gives a mapping whatever address it likes, aligned or not. */
static inline bool huge_can_map(void)
{
	size_t bytes = 2 << 20;
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB, -1, 0);

	return p != MAP_FAILED && !munmap(p, bytes);
}

/* NULL, or why there can be none: then the test is to be skipped. */
static inline const char *huge_begin(void)
{
	if (access(HUGE_POOL "nr_hugepages", W_OK))
		return "no permission to reserve 2 MiB hugetlb pages";
	if (huge_figure("nr_overcommit_hugepages") > 0)
		return "the hugetlb pool may overcommit";
	huge_lock = open(HUGE_POOL "nr_hugepages", O_RDONLY | O_CLOEXEC);
	if (huge_lock < 0 || flock(huge_lock, LOCK_EX))
		return "the hugetlb pool cannot be locked";
	/* Surplus pages are there only until who holds them lets go. */
	huge_before = huge_figure("nr_hugepages") -
		huge_figure("surplus_hugepages");
	if (huge_set_free(16)) {
		huge_end();
		return "the system has no 16 free hugetlb pages";
	}
	if (!huge_can_map()) {
		huge_end();
		return "the system does not map its hugetlb pages";
	}
	return NULL;
}

#endif /* SELFTESTS_HUGEPAGES_H */
