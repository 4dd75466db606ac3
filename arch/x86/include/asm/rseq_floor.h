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
 * sequence; 4: where the kernel sends an abort, after the signature, which
 * sits in an undefined instruction so that it is never run.
 */
#define RSEQ_FLOOR_BEGIN						\
	".pushsection __rseq_cs, \"aw\"\n\t"				\
	".balign 32\n"							\
	"3:\t.long 0, 0\n\t"						\
	".quad 1f, 2f - 1f, 4f\n\t"					\
	".popsection\n\t"						\
	".pushsection .text.unlikely, \"ax\"\n\t"			\
	".byte 0x0f, 0xb9, 0x3d\n\t"					\
	".long %c[sig]\n"						\
	"4:\tjmp 5f\n\t"						\
	".popsection\n"							\
	"5:\tleaq 3b(%%rip), %[slot]\n\t"				\
	"movq %[slot], %%fs:%c[cs](%[rseq])\n"				\
	"1:\tmovl %%fs:%c[cpu](%[rseq]), %k[slot]\n\t"			\
	"shlq %[shift], %[slot]\n\t"					\
	"addq %[slots], %[slot]\n\t"

#define RSEQ_FLOOR_INPUTS(base)						\
	[rseq] "r"(__rseq_offset), [slots] "r"(base),			\
	[sig] "i"(RSEQ_SIG), [shift] "i"(RSEQ_FLOOR_SHIFT),		\
	[cs] "i"(offsetof(struct rseq, rseq_cs)),			\
	[cpu] "i"(offsetof(struct rseq, cpu_id))

/* glibc may not have registered: an old kernel, a sandbox, a tunable. */
static inline bool rseq_floor_usable(void)
{
	int32_t cpu = -1;

	if (__rseq_size)
		asm volatile("movl %%fs:%c[cpu](%[rseq]), %[id]"
			: [id] "=r"(cpu)
			: [rseq] "r"(__rseq_offset),
			  [cpu] "i"(offsetof(struct rseq, cpu_id)));
	return cpu >= 0;
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
		"movq (%[slot]), %[word]\n\t"
		"testq %[word], %[word]\n\t"
		"jz 2f\n\t"
		"movq $0, (%[slot])\n"
		"2:\n"
		: [slot] "=&r"(slot), [word] "=&r"(word)
		: RSEQ_FLOOR_INPUTS(slots)
		: "memory", "cc");
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
		"movq (%[slot]), %[old]\n\t"
		"testq %[old], %[old]\n\t"
		"jnz 2f\n\t"
		"movq %[word], (%[slot])\n"
		"2:\n"
		: [slot] "=&r"(slot), [old] "=&r"(old)
		: RSEQ_FLOOR_INPUTS(slots), [word] "r"(word)
		: "memory", "cc");
	return old;
}

#endif /* ASM_RSEQ_FLOOR_H */
