/* SPDX-License-Identifier: MIT */
#ifndef ASM_BARRIER_H
#define ASM_BARRIER_H

#include <linux/compiler.h>

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

#ifndef RN_TSAN
/* In one instruction, of which compilers make two; each load is an acquire. */
#define below_acquire below_acquire
static __always_inline bool below_acquire(size_t value, const size_t *word)
{
	bool below;

	__asm__ __volatile__("cmpq %[value], %[word]"
			     : "=@cca"(below)
			     : [value] "re"(value), [word] "m"(*word)
			     : "memory");
	return below;
}
#endif

#endif /* ASM_BARRIER_H */
