/* SPDX-License-Identifier: MIT */
/*
 * System calls that make memory, or a part of it accessible. Each may be made
 * to fail (mm/debug/fault_inject.h).
 */
#ifndef MM_VM_CALLS_H
#define MM_VM_CALLS_H

#include "debug/fault_inject.h"

#include <sys/mman.h>

static inline void *vm_map(void *p, size_t bytes, int prot, int flags, int fd)
{
	if (fault_inject(FAULT_MMAP, bytes))
		return MAP_FAILED;
	return mmap(p, bytes, prot, flags, fd, 0);
}

static inline int vm_protect(void *p, size_t bytes, int prot)
{
	if (fault_inject(FAULT_MMAP, bytes))
		return -1;
	return mprotect(p, bytes, prot);
}

/* Over what is at @to. It may be gone though the call fails. */
static inline bool vm_move(void *p, size_t bytes, void *to)
{
	if (fault_inject(FAULT_MMAP, bytes)) {
		munmap(to, bytes);
		return false;
	}
	return mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) !=
		MAP_FAILED;
}

#endif /* MM_VM_CALLS_H */
