/* SPDX-License-Identifier: MIT */
/*
 * The restartable sequences, arm64. What each one does, and the rules, are
 * written in arch/x86/include/asm/rseq.h; here are only the instructions.
 *
 * The signature is "brk #0x45e0" (RSEQ_SIG), the same word as data and as code.
 */
#ifndef ASM_RSEQ_H
#define ASM_RSEQ_H

#include <linux/compiler.h>

#ifndef RSEQ_INJECT
#define RSEQ_INJECT(step)
#define RSEQ_INJECT_INPUT
#define RSEQ_INJECT_CLOBBER
#endif

/* @none: the register of the result, which an abort leaves at 0. */
#define RSEQ_BEGIN(none)						\
	".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n"		\
	"3:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"	\
	".pushsection .text.unlikely, \"ax\"\n\t"			\
	".inst 0xd428bc00\n"						\
	"4:\tldxr %[t], [%[aborts]]\n\tadd %[t], %[t], #1\n\t"		\
	"stxr %w[m], %[t], [%[aborts]]\n\tcbnz %w[m], 4b\n\t"		\
	"mov %[" none "], #0\n\tb 6f\n\t.popsection\n\t"			\
	"adrp %[t], 3b\n\tadd %[t], %[t], :lo12:3b\n\t"			\
	"add %[m], %[tp], %[rseq]\n\tstr %[t], [%[m], #8]\n"		\
	"1:\n\t" RSEQ_INJECT(1)						\
	"ldr %w[t], [%[tp], %[index]]\n\t"

#define RSEQ_SLOT							\
	"lsl %[t], %[t], %[shift]\n\tadd %[t], %[t], %[slots]\n\t"	\
	RSEQ_INJECT(2)

#define RSEQ_INPUT(pc, at)						\
	[tp] "r"(__builtin_thread_pointer()),				\
	[rseq] "r"((pc)->rseq), [index] "r"((pc)->index),		\
	[shift] "i"(SLOTS_SHIFT), [slots] "r"((pc)->slots + (at)),	\
	[aborts] "r"(&rseq_aborts)					\
	RSEQ_INJECT_INPUT

/* Linux 6.19 and 7.0 lose aborts on arm64. */
static inline bool rseq_kernel_broken(const char *release)
{
	/* By hand: no header of the C library belongs in here. */
	if (release[0] == '6')
		return release[1] == '.' && release[2] == '1' &&
		       release[3] == '9';
	return release[0] == '7' && release[1] == '.' && release[2] == '0';
}

static __always_inline u32 rseq_read(ptrdiff_t offset)
{
	const char *tp = __builtin_thread_pointer();

	return *(const volatile u32 *)(tp + offset);
}

static __always_inline void *rseq_pop(const struct percpu *pc, size_t at)
{
	void *t, *object;
	u64 m, word;

	__asm__ __volatile__(
		RSEQ_BEGIN("o") RSEQ_SLOT
		"mov %[o], #0\n\t"
		"ldr %[m], [%[t]]\n\t"
		"cbz %[m], 6f\n\t" RSEQ_INJECT(3)
		"ldr %[w], [%[m]]\n\t"
		"ands %[t], %[w], #0xffff\n\tb.eq 6f\n\t"
		"add %[t], %[m], %[t], lsl #3\n\t"
		"ldr %[o], [%[t], #8]\n\t" RSEQ_INJECT(4)
		"add %[w], %[w], #16, lsl #12\n\tsub %[w], %[w], #1\n\t"
		"str %[w], [%[m]]\n"
		"2:\n6:\n\t"
		: [t] "=&r"(t), [m] "=&r"(m), [w] "=&r"(word), [o] "=&r"(object)
		: RSEQ_INPUT(pc, at)
		: "memory", "cc" RSEQ_INJECT_CLOBBER);
	return object;
}

static __always_inline bool rseq_push(const struct percpu *pc, size_t at,
				      const void *object)
{
	u64 m, word, n, done;
	void *t;

	__asm__ __volatile__(
		RSEQ_BEGIN("d") RSEQ_SLOT
		"mov %[d], #0\n\t"
		"ldr %[m], [%[t]]\n\t"
		"cbz %[m], 6f\n\t" RSEQ_INJECT(3)
		"ldr %[w], [%[m]]\n\tldrh %w[n], [%[m], #8]\n\t"
		"and %[t], %[w], #0xffff\n\t"
		"cmp %[t], %[n]\n\tb.hs 6f\n\t"
		"add %[t], %[m], %[t], lsl #3\n\t"
		"str %[o], [%[t], #16]\n\t" RSEQ_INJECT(4)
		"add %[w], %[w], #16, lsl #12\n\tadd %[w], %[w], #1\n\t"
		"str %[w], [%[m]]\n"
		"2:\tmov %[d], #1\n"
		"6:\n\t"
		: [t] "=&r"(t), [m] "=&r"(m), [w] "=&r"(word), [n] "=&r"(n),
		  [d] "=&r"(done)
		: RSEQ_INPUT(pc, at), [o] "r"(object)
		: "memory", "cc" RSEQ_INJECT_CLOBBER);
	return done;
}

static __always_inline bool rseq_update(const struct percpu *pc, size_t at,
					u32 index, size_t i, u64 a,
					size_t j, u64 b, size_t k, u64 new)
{
	u64 m, done;
	void *t;

	__asm__ __volatile__(
		RSEQ_BEGIN("d") RSEQ_SLOT
		"mov %[d], #0\n\t"
		"ldr %w[m], [%[tp], %[index]]\n\t"
		"cmp %w[m], %w[expect]\n\tb.ne 6f\n\t"
		"ldr %[m], [%[t], %[i]]\n\t"
		"cmp %[m], %[a]\n\tb.ne 6f\n\t" RSEQ_INJECT(3)
		"ldr %[m], [%[t], %[j]]\n\t"
		"cmp %[m], %[b]\n\tb.ne 6f\n\t" RSEQ_INJECT(4)
		"str %[new], [%[t], %[k]]\n"
		"2:\tmov %[d], #1\n"
		"6:\n\t"
		: [t] "=&r"(t), [m] "=&r"(m), [d] "=&r"(done)
		: RSEQ_INPUT(pc, at), [expect] "r"(index),
		  [a] "r"(a), [i] "r"(i), [b] "r"(b), [j] "r"(j),
		  [new] "r"(new), [k] "r"(k)
		: "memory", "cc" RSEQ_INJECT_CLOBBER);
	return done;
}

#endif /* ASM_RSEQ_H */
