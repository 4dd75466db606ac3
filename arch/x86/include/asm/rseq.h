/* SPDX-License-Identifier: MIT */
/*
 * The restartable sequences, x86-64.
 *
 * Each one is: name the descriptor in rseq_cs; read the index (cpu_id or
 * mm_cid); find the slot; look; end in one committing store. When the kernel
 * preempts, migrates or signals the thread before that store, it continues at
 * the abort handler, which counts and gives up, as if the slot had not what is
 * asked for; the slow path tries again. (To start again here would never end
 * under a debugger that steps through it: each step is an abort.) Nothing
 * before the commit is visible to anyone but a store into a place of the sheaf
 * that is free.
 *
 * The signature in front of the abort handler is the one glibc registers
 * (RSEQ_SIG); "ud1 sig(%rip), %edi" makes it an instruction that traps.
 *
 * The word is loaded, added to in a register and stored: one add to memory is
 * two instructions less and was 15 % slower, since the next operation's load
 * is then not forwarded from the store at once.
 *
 * The objects are stored and loaded through a register alone, not an index. A
 * pop that follows its push then gets the object without waiting for the
 * address of the store, which took a walk through row map, slot and sheaf: 4 ns
 * a pair instead of 10 on Golden Cove, whose renaming of memory knows no index.
 *
 * The result is in the flags, where the last instruction that sets them leaves
 * them: "above" after the adds of pop and push (their sums are neither zero nor
 * carry) and not after a test or comparison that ends early; "equal" after the
 * comparisons of update; after an abort the carry is set and it is neither. Not
 * asm goto: with outputs that is miscompiled by gcc before 12.4 (PR 113921; seen
 * with 12.2).
 *
 * RSEQ_INJECT(step) puts code of a test between the steps; empty otherwise.
 */
#ifndef ASM_RSEQ_H
#define ASM_RSEQ_H

#include <linux/compiler.h>

#ifndef RSEQ_INJECT
#define RSEQ_INJECT(step)
#define RSEQ_INJECT_INPUT
#define RSEQ_INJECT_CLOBBER
#endif

/* t = slots + (index << SLOTS_SHIFT); the slot of the CPU that runs this. */
#define RSEQ_BEGIN							\
	".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n"		\
	"3:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"	\
	".pushsection .text.unlikely, \"ax\"\n\t"			\
	".byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"			\
	"4:\tlock incq %[aborts]\n\tstc\n\tjmp 6f\n\t.popsection\n\t"	\
	"leaq 3b(%%rip), %[t]\n\tmovq %[t], %%fs:8(%[rseq])\n"		\
	"1:\n\t" RSEQ_INJECT(1)						\
	"movl %%fs:(%[index]), %k[t]\n\t"

#define RSEQ_SLOT							\
	"shlq %[shift], %[t]\n\taddq %[slots], %[t]\n\t" RSEQ_INJECT(2)

/* m = t->main, where t is needed for nothing else: 5 % of rnbench. */
#define RSEQ_MAIN							\
	"shlq %[shift], %[t]\n\t" RSEQ_INJECT(2)			\
	"movq (%[slots], %[t]), %[m]\n\t"

#define RSEQ_INPUT(pc, at)						\
	[rseq] "r"((pc)->rseq), [index] "r"((pc)->index),		\
	[shift] "i"(SLOTS_SHIFT), [slots] "r"((pc)->slots + (at)),	\
	[aborts] "m"(rseq_aborts)					\
	RSEQ_INJECT_INPUT

/* Linux releases whose sequences do not abort; none here. */
static inline bool rseq_kernel_broken(const char *release)
{
	(void)release;
	return false;
}

/* The thread's word at @offset from the thread pointer. */
static __always_inline u32 rseq_read(ptrdiff_t offset)
{
	u32 value;

	__asm__ __volatile__("movl %%fs:(%1), %0" : "=r"(value) : "r"(offset));
	return value;
}

/*
 * m = t->main; if (!m || !m->n) return NULL;
 * object = m->objects[m->n - 1];
 * m->word += one operation - one object;			(commit)
 */
static __always_inline void *rseq_pop(const struct percpu *pc, size_t at)
{
	void *t, *object;
	u64 m, word;
	bool done;

	__asm__ __volatile__(
		RSEQ_BEGIN RSEQ_MAIN
		"testq %[m], %[m]\n\tjz 6f\n\t" RSEQ_INJECT(3)
		"movq (%[m]), %[w]\n\tmovzwl %w[w], %k[t]\n\t"
		"testl %k[t], %k[t]\n\tjz 6f\n\t"
		"leaq 8(%[m], %[t], 8), %[t]\n\tmovq (%[t]), %[o]\n\t"
		RSEQ_INJECT(4)
		"addq $0xffff, %[w]\n\tmovq %[w], (%[m])\n"
		"2:\n6:\n\t"
		: [t] "=&r"(t), [m] "=&r"(m), [w] "=&r"(word), [o] "=&a"(object),
		  "=@cca"(done)
		: RSEQ_INPUT(pc, at)
		: "memory" RSEQ_INJECT_CLOBBER);
	if (likely(done)) {
		if (!object)
			__builtin_unreachable();
		return object;
	}
	return NULL;
}

/*
 * m = t->main; if (!m || m->n >= m->capacity) return false;
 * m->objects[m->n] = object;
 * m->word += one operation + one object;			(commit)
 */
static __always_inline bool rseq_push(const struct percpu *pc, size_t at,
				      const void *object)
{
	u64 m, word;
	bool done;
	void *t;

	__asm__ __volatile__(
		RSEQ_BEGIN RSEQ_MAIN
		"testq %[m], %[m]\n\tjz 6f\n\t" RSEQ_INJECT(3)
		"movq (%[m]), %[w]\n\tmovzwl %w[w], %k[t]\n\t"
		"cmpw %w[t], 8(%[m])\n\tjbe 6f\n\t"
		"leaq 16(%[m], %[t], 8), %[t]\n\tmovq %[o], (%[t])\n\t"
		RSEQ_INJECT(4)
		"addq $0x10001, %[w]\n\tmovq %[w], (%[m])\n"
		"2:\n6:\n\t"
		: [t] "=&r"(t), [m] "=&r"(m), [w] "=&r"(word), "=@cca"(done)
		: RSEQ_INPUT(pc, at), [o] "r"(object)
		: "memory" RSEQ_INJECT_CLOBBER);
	return done;
}

/*
 * if (index != @index || word[@i] != @a || word[@j] != @b) return false;
 * word[@k] = @new;						(commit)
 *
 * The words are those of the slot, by byte offset.
 */
static __always_inline bool rseq_update(const struct percpu *pc, size_t at,
					u32 index, size_t i, u64 a,
					size_t j, u64 b, size_t k, u64 new)
{
	bool done;
	void *t;

	__asm__ __volatile__(
		RSEQ_BEGIN RSEQ_SLOT
		"cmpl %%fs:(%[index]), %[expect]\n\tjne 6f\n\t"
		"cmpq %[a], (%[t], %[i])\n\tjne 6f\n\t"
		RSEQ_INJECT(3) RSEQ_INJECT(4)
		"cmpq %[b], (%[t], %[j])\n\tjne 6f\n\t"
		"movq %[new], (%[t], %[k])\n"
		"2:\n6:\n\t"
		: [t] "=&r"(t), "=@cce"(done)
		: RSEQ_INPUT(pc, at), [expect] "r"(index),
		  [a] "r"(a), [i] "r"(i), [b] "r"(b), [j] "r"(j),
		  [new] "r"(new), [k] "r"(k)
		: "memory" RSEQ_INJECT_CLOBBER);
	return done;
}

#endif /* ASM_RSEQ_H */
