/* SPDX-License-Identifier: MIT */
/*
 * What a signal's context says of the access that faulted, x86-64.
 */
#ifndef ASM_FAULT_H
#define ASM_FAULT_H

#include <ucontext.h>

/* Bit 1 of a page fault's error code. */
static inline enum fault_access fault_access(const ucontext_t *context)
{
	return context->uc_mcontext.gregs[REG_ERR] & 2 ? FAULT_WRITE
						       : FAULT_READ;
}

static inline const char *fault_pc(const ucontext_t *context)
{
	return (const char *)context->uc_mcontext.gregs[REG_RIP];
}

#endif /* ASM_FAULT_H */
