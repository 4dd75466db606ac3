/* SPDX-License-Identifier: MIT */
#ifndef ASM_BARRIER_H
#define ASM_BARRIER_H

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif /* ASM_BARRIER_H */
