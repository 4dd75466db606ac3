/* SPDX-License-Identifier: MIT */
#ifndef ASM_BARRIER_H
#define ASM_BARRIER_H

static inline void cpu_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

#endif /* ASM_BARRIER_H */
