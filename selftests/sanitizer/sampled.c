// SPDX-License-Identifier: MIT
/*
 * Of what lies in slabs there are no samples, of large objects there are, with
 * the size that they have now.
 *
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#define _GNU_SOURCE
#include "fault.h"

#include <rn/profile.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void expect(long objects, long bytes)
{
	int fd = memfd_create("profile", 0);
	char line[100] = "";
	long nr, sum;

	if (fd < 0 || rn_profile_write_text(fd) ||
	    pread(fd, line, sizeof(line) - 1, 0) < 0 ||
	    sscanf(line, "heap profile: %ld: %ld", &nr, &sum) != 2 ||
	    nr != objects || sum != bytes)
		abort();
	close(fd);
}

int main(void)
{
	char *p, *q, *small;

	if (rn_profile_start(1))
		abort();
	small = must_alloc(24);
	p = must_alloc(200000);
	expect(1, 200000);
	q = rn_realloc(p, 150000, 0);
	if (p != q || rn_size(q) != 150000)
		abort();
	expect(1, 150000);
	q = rn_realloc(q, 160000, 0);
	if (p == q)
		abort();
	expect(1, 160000);
	store(q, 159999);
	rn_free(q);
	rn_free(small);
	expect(0, 0);
	return 0;
}
