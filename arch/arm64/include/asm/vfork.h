/* SPDX-License-Identifier: MIT */
/*
 * vfork() around its system call, arm64; what is where, and why, is written in
 * arch/x86/include/asm/vfork.h. The return address is in x30 and the signal
 * mask in x9. There is no vfork(2): it is clone(CLONE_VFORK | CLONE_VM |
 * SIGCHLD).
 */
#ifndef ASM_VFORK_H
#define ASM_VFORK_H

__asm__(
	".pushsection .text, \"ax\", @progbits\n"
	".balign 4\n"
	".globl vfork\n"
	".type vfork, @function\n"
	"vfork:\n\t"
	".cfi_startproc\n\t"
	"stp x29, x30, [sp, #-16]!\n\t"
	".cfi_def_cfa_offset 16\n\t"
	".cfi_offset x29, -16\n\t"
	".cfi_offset x30, -8\n\t"
	"bl vfork_begin\n\t"
	"ldp x29, x30, [sp], #16\n\t"
	".cfi_def_cfa_offset 0\n\t"
	".cfi_restore x29\n\t"
	".cfi_restore x30\n\t"
	"cbnz x0, 1f\n\t"
	"mov x9, x1\n\t"
	"mov x0, #0x4111\n\t"
	"mov x1, #0\n\t"
	"mov x2, #0\n\t"
	"mov x3, #0\n\t"
	"mov x4, #0\n\t"
	"mov x8, #220\n\t"
	"svc #0\n\t"
	"stp x29, x30, [sp, #-16]!\n\t"
	".cfi_def_cfa_offset 16\n\t"
	".cfi_offset x29, -16\n\t"
	".cfi_offset x30, -8\n\t"
	"mov x1, x9\n\t"
	"bl vfork_end\n\t"
	"ldp x29, x30, [sp], #16\n\t"
	".cfi_def_cfa_offset 0\n\t"
	".cfi_restore x29\n\t"
	".cfi_restore x30\n\t"
	"ret\n"
	"1:\tb vfork_by_fork\n\t"
	".cfi_endproc\n\t"
	".size vfork, . - vfork\n"
	".popsection\n");

#endif /* ASM_VFORK_H */
