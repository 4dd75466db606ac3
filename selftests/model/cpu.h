/* SPDX-License-Identifier: MIT */
/*
 * CPUs as the models see them: store buffers and restartable sequences.
 *
 * Stores. A CPU has two stores under way, which reach the memory in any order,
 * as on arm64; it sees them itself. x86 keeps the order: fewer runs, none that
 * is not here. Stores to one place do not pass one another, so the later one
 * takes the earlier one's place. What the library does to read early is a hint
 * that a sequence compares again, or is said where it is done.
 *
 * Sequences (include/asm/rseq.h of arch/). A thread that begins one is the
 * last that did so on its CPU; when it is not any more it was preempted, and
 * its next step is the abort handler's. Migration and signals are chosen at the
 * beginning: until its commit a sequence changes nothing that others look at,
 * so it does not matter how far it came.
 *
 * A model that includes this defines NR_CPUS and NR_PLACES.
 */

byte mem[NR_PLACES];			/* by place, from 1 */
byte pending_at[2 * NR_CPUS];		/* the place of a store, 0: none */
byte pending_value[2 * NR_CPUS];
byte in_sequence[NR_CPUS];		/* the thread, 0: none */

#define FIRST(c)	(2 * (c))
#define SECOND(c)	(2 * (c) + 1)

#define LOAD(c, place) (						\
	pending_at[SECOND(c)] == (place) -> pending_value[SECOND(c)] : (\
	pending_at[FIRST(c)] == (place) -> pending_value[FIRST(c)] :	\
	mem[place]))

inline forget_second(c)
{
	pending_at[SECOND(c)] = 0;
	pending_value[SECOND(c)] = 0
}

/* The first of the two arrives, or the second before it. */
inline first_arrives(c)
{
	mem[pending_at[FIRST(c)]] = pending_value[FIRST(c)];
	pending_at[FIRST(c)] = pending_at[SECOND(c)];
	pending_value[FIRST(c)] = pending_value[SECOND(c)];
	forget_second(c)
}

inline second_arrives(c)
{
	mem[pending_at[SECOND(c)]] = pending_value[SECOND(c)];
	forget_second(c)
}

/* Part of an atomic step, as all that follow. */
inline store(c, place, value)
{
	if
	:: pending_at[FIRST(c)] == (place) ->
		pending_value[FIRST(c)] = value
	:: else ->
		if
		:: pending_at[SECOND(c)] && pending_at[SECOND(c)] != (place) ->
			first_arrives(c)
		:: else
		fi;
		if
		:: pending_at[FIRST(c)] ->
			pending_at[SECOND(c)] = place;
			pending_value[SECOND(c)] = value
		:: else ->
			pending_at[FIRST(c)] = place;
			pending_value[FIRST(c)] = value
		fi
	fi
}

/* All stores of the CPU are in memory: what a release waits for. */
inline fence(c)
{
	if
	:: pending_at[SECOND(c)] -> second_arrives(c)
	:: else
	fi;
	if
	:: pending_at[FIRST(c)] -> first_arrives(c)
	:: else
	fi
}

/* Stores arrive some time. */
active proctype memory()
{
	byte c;
end:
	do
	:: atomic { pending_at[FIRST(0)] -> first_arrives(0) }
	:: atomic { pending_at[SECOND(0)] -> second_arrives(0) }
	:: atomic { pending_at[FIRST(1)] -> first_arrives(1) }
	:: atomic { pending_at[SECOND(1)] -> second_arrives(1) }
#if NR_CPUS > 2
	:: atomic { pending_at[FIRST(2)] -> first_arrives(2) }
	:: atomic { pending_at[SECOND(2)] -> second_arrives(2) }
#endif
	od
}
