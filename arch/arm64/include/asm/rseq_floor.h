/* SPDX-License-Identifier: MIT */
/*
 * The least that a per-CPU allocator can do: pop and push one word of this
 * CPU, each a restartable sequence with one committing store. For slabbench
 * floor only. rseq must be registered by glibc.
 */
#ifndef ASM_RSEQ_FLOOR_H
#define ASM_RSEQ_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/rseq.h>

/* A cache line for each CPU. */
#define RSEQ_FLOOR_SHIFT	6

struct rseq_floor_slot {
	void *word;
} __attribute__((aligned(1 << RSEQ_FLOOR_SHIFT)));

/*
 * 3: the descriptor; 5: where an aborted sequence starts anew; 1 to 2: the
 * sequence; 4: where the kernel sends an abort, after the signature, which is
 * a breakpoint that is never run.
 */
#define RSEQ_FLOOR_BEGIN						\
	".pushsection __rseq_cs, \"aw\"\n\t"				\
	".balign 32\n"							\
	"3:\t.long 0, 0\n\t"						\
	".quad 1f, 2f - 1f, 4f\n\t"					\
	".popsection\n\t"						\
	".pushsection .text.unlikely, \"ax\"\n\t"			\
	".inst %c[sig]\n"						\
	"4:\tb 5f\n\t"							\
	".popsection\n"							\
	"5:\tadrp %[slot], 3b\n\t"					\
	"add %[slot], %[slot], :lo12:3b\n\t"				\
	"str %[slot], [%[rseq], %[cs]]\n"				\
	"1:\tldr %w[slot], [%[rseq], %[cpu]]\n\t"			\
	"add %[slot], %[slots], %[slot], lsl %[shift]\n\t"

#define RSEQ_FLOOR_INPUTS(base)						\
	[rseq] "r"((char *)__builtin_thread_pointer() + __rseq_offset),	\
	[slots] "r"(base), [sig] "i"(RSEQ_SIG),				\
	[shift] "i"(RSEQ_FLOOR_SHIFT),					\
	[cs] "i"(offsetof(struct rseq, rseq_cs)),			\
	[cpu] "i"(offsetof(struct rseq, cpu_id))

/* glibc may not have registered: an old kernel, a sandbox, a tunable. */
static inline bool rseq_floor_usable(void)
{
	const volatile struct rseq *rseq = (const volatile void *)
		((char *)__builtin_thread_pointer() + __rseq_offset);

	return __rseq_size && (int32_t)rseq->cpu_id >= 0;
}

/*
 * slot = &slots[cpu_id]; load word; beq word, NULL: return NULL;
 * store slot->word = NULL (commit); return word
 */
static inline __attribute__((always_inline)) void *
rseq_floor_pop(struct rseq_floor_slot *slots)
{
	void *slot, *word;

	asm volatile(RSEQ_FLOOR_BEGIN
		"ldr %[word], [%[slot]]\n\t"
		"cbz %[word], 2f\n\t"
		"str xzr, [%[slot]]\n"
		"2:\n"
		: [slot] "=&r"(slot), [word] "=&r"(word)
		: RSEQ_FLOOR_INPUTS(slots)
		: "memory");
	return word;
}

/*
 * slot = &slots[cpu_id]; load old; bne old, NULL: return old;
 * store slot->word = word (commit); return NULL
 */
static inline __attribute__((always_inline)) void *
rseq_floor_push(struct rseq_floor_slot *slots, void *word)
{
	void *slot, *old;

	asm volatile(RSEQ_FLOOR_BEGIN
		"ldr %[old], [%[slot]]\n\t"
		"cbnz %[old], 2f\n\t"
		"str %[word], [%[slot]]\n"
		"2:\n"
		: [slot] "=&r"(slot), [old] "=&r"(old)
		: RSEQ_FLOOR_INPUTS(slots), [word] "r"(word)
		: "memory");
	return old;
}

#endif /* ASM_RSEQ_FLOOR_H */
