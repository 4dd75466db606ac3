/* SPDX-License-Identifier: MIT */
/*
 * vfork() around its system call, x86-64; compat/vfork.c says why.
 *
 * Parent and child return through the same place on the same stack, the child
 * first, and what it calls then overwrites that place. So across the system
 * call the return address is in %r8 and the signal mask in %r9, which the
 * kernel keeps for each of the two; nothing of this is on the stack or in
 * memory, and a child may call vfork() itself.
 */
#ifndef ASM_VFORK_H
#define ASM_VFORK_H

#define VFORK_NR	"58"

__asm__(
	".pushsection .text, \"ax\", @progbits\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n\t"
	".cfi_startproc\n\t"
	"subq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	"call vfork_begin\n\t"
	"addq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	"testq %rax, %rax\n\t"
	"jnz vfork_by_fork\n\t"
	"movq %rdx, %r9\n\t"
	"popq %r8\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	".cfi_register %rip, %r8\n\t"
	"movl $" VFORK_NR ", %eax\n\t"
	"syscall\n\t"
	"pushq %r8\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	".cfi_offset %rip, -8\n\t"
	"subq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	"movq %rax, %rdi\n\t"
	"movq %r9, %rsi\n\t"
	"call vfork_end\n\t"
	"addq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size vfork, . - vfork\n"
	".popsection\n");

#endif /* ASM_VFORK_H */
