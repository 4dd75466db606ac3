/* SPDX-License-Identifier: MIT */
/*
 * What a signal's context says of the access that faulted, arm64.
 */
#ifndef ASM_FAULT_H
#define ASM_FAULT_H

#include <asm/sigcontext.h>
#include <stddef.h>
#include <ucontext.h>

/*
 * Bit 6 of the syndrome register, which is one of the records behind the
 * context; a record without a size ends them. An emulator may leave it out.
 */
static inline enum fault_access fault_access(const ucontext_t *context)
{
	const mcontext_t *m = &context->uc_mcontext;
	const unsigned char *at = (const unsigned char *)m->__reserved;
	const unsigned char *end = at + sizeof(m->__reserved);

	while (at + sizeof(struct esr_context) <= end) {
		const struct esr_context *record = (const void *)at;

		if (record->head.magic == ESR_MAGIC)
			return record->esr & 1 << 6 ? FAULT_WRITE : FAULT_READ;
		if (!record->head.size)
			break;
		at += record->head.size;
	}
	return FAULT_UNKNOWN;
}

static inline const char *fault_pc(const ucontext_t *context)
{
	return (const char *)context->uc_mcontext.pc;
}

#endif /* ASM_FAULT_H */
