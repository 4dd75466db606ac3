// SPDX-License-Identifier: MIT
/*
 * Which places have failed: a file of hashes that the processes of a sweep
 * share, also those that run at the same time.
 *
 * A place has to be the same in all of them, wherever things are mapped. Where
 * the program or library is that has this code, offsets tell; so of a stack
 * only the innermost frames count that lie in there, without a gap.
 */
#define _GNU_SOURCE
#include "fault_inject.h"
#include "internal.h"
#include "syscalls.h"

#include <sys/mman.h>

#define NR_PLACES	(1U << 16)
#define BYTES		(NR_PLACES * sizeof(u64))

/* Of what has this code; by the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

/* Not by vm_map(), which may be what is to fail. */
int fault_places_open(struct fault_attr *attr)
{
	void *p = MAP_FAILED;
	int fd, error;

	if (!*attr->once)
		return 0;
	fd = sys_open(attr->once, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, BYTES))
		p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 0);
	error = errno;
	sys_close(fd);
	if (p == MAP_FAILED)
		return -error;
	attr->places = p;
	return 0;
}

void fault_places_close(const struct fault_attr *attr)
{
	if (attr->places)
		munmap(attr->places, BYTES);
}

static bool is_ours(const char *at)
{
	return at > __ehdr_start && at <= etext;
}

static u64 place_of(enum fault_kind kind, const void *const *frames,
		    unsigned int nr)
{
	u64 hash = kind + 1;
	unsigned int i = 0;

	/* A sanitizer has an unwinder of its own. */
	while (i < nr && !is_ours(frames[i]))
		i++;
	for (; i < nr && is_ours(frames[i]); i++)
		hash = fault_hash(hash ^ ((const char *)frames[i] -
					  __ehdr_start));
	return hash ? hash : 1;
}

bool fault_place_add(const struct fault_attr *attr, enum fault_kind kind,
		     const void *const *frames, unsigned int nr)
{
	u64 place = place_of(kind, frames, nr);

	for (u32 i = 0; i < NR_PLACES; i++) {
		u64 *at = &attr->places[(place + i) % NR_PLACES], has = 0;

		if (__atomic_compare_exchange_n(at, &has, place, false,
						__ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (has == place)
			return false;
	}
	bug("FAULT_INJECTION: %s is full", attr->once);
}
