/* SPDX-License-Identifier: MIT */
/*
 * What selftests/unit_rseq.c puts between the steps of the sequences; see the
 * same file of x86. "udf #0" raises SIGILL.
 */
#ifndef ASM_RSEQ_INJECT_H
#define ASM_RSEQ_INJECT_H

#define INJECT_AT(name)							\
	"adrp x16, " #name "\n\tadd x16, x16, :lo12:" #name "\n\t"

#define RSEQ_INJECT(step)						\
	INJECT_AT(inject_passed)					\
	"ldr w17, [x16, #4 * " #step "]\n\tadd w17, w17, #1\n\t"	\
	"str w17, [x16, #4 * " #step "]\n\t"				\
	INJECT_AT(inject_delay)						\
	"ldr w17, [x16]\n"						\
	"77:\tcbz w17, 78f\n\tyield\n\tsub w17, w17, #1\n\tb 77b\n"	\
	"78:\t" INJECT_AT(inject_spin)					\
	"ldr w17, [x16]\n\tsub w17, w17, #" #step "\n\tcbnz w17, 80f\n\t" \
	"mov w17, #" #step "\n\t"					\
	INJECT_AT(inject_reached)					\
	"str w17, [x16]\n\t"						\
	INJECT_AT(inject_spin)						\
	"79:\tyield\n\tldr w17, [x16]\n\tsub w17, w17, #" #step "\n\t"	\
	"cbz w17, 79b\n"						\
	"80:\t" INJECT_AT(inject_trap)					\
	"ldr w17, [x16]\n\tsub w17, w17, #" #step "\n\tcbnz w17, 81f\n\t" \
	".inst 0x00000000\n"						\
	"81:\n\t"

#define RSEQ_INJECT_INPUT
#define RSEQ_INJECT_CLOBBER	, "x16", "x17", "cc"

#endif /* ASM_RSEQ_INJECT_H */
