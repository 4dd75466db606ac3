// SPDX-License-Identifier: MIT
/*
 * What could lie between guard pages does not: it is seen anyway. Nor is there
 * a thread that would take samples.
 *
 * memcheck: RN_KFENCE: a sanitizer sees all objects; ignored
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 24 alloc'd
 * slab: RN_KFENCE: a sanitizer sees all objects; ignored
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 24 bytes, in use
 * asan: RN_KFENCE: a sanitizer sees all objects; ignored
 * asan: heap-buffer-overflow
 * asan: is located 0 bytes (to the right of|after) 24-byte region
 */
#define _GNU_SOURCE
#include "fault.h"

#include <dirent.h>
#include <unistd.h>

static int nr_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int n = 0;

	if (!tasks)
		abort();
	for (struct dirent *d; (d = readdir(tasks));)
		n += d->d_name[0] != '.';
	closedir(tasks);
	return n;
}

int main(void)
{
	char *p;

	setenv("RN_KFENCE", "1", 1);
	setenv("RN_KFENCE_INTERVAL", "1", 1);
	setenv("RN_DECAY_MS", "100", 1);
	p = must_alloc(24);
	/* A thread would be started by the next tick. */
	for (int i = 0; i < 30; i++) {
		rn_free(must_alloc(64));
		usleep(10000);
	}
	if (nr_threads() != 1)
		return 0;
	store(p, 24);
	rn_free(p);
	return 0;
}
