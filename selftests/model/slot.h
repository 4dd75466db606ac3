/* SPDX-License-Identifier: MIT */
/*
 * A row's slots, and what threads do with them: the fast paths, and the slow
 * ones as far as the barn. Beyond that are one barn, one pool of sheaves and
 * one slab, each under a lock, a set each.
 *
 * A sheaf has room for one object. Its word is operations << 1 | objects.
 */

#define NR_OBJECTS	2
#define CLOSED		7		/* closed_sheaf: no objects, no room */

/* struct slot and struct sheaf: places in memory */
#define MAIN(index)	(1 + (index))
#define SHEAF(index, i)	(3 + 2 * (index) + (i))
#define WORD(sheaf)	(6 + (sheaf))
#define OBJECT(sheaf)	(6 + NR_SHEAVES + (sheaf))
#define NR_PLACES	(7 + 2 * NR_SHEAVES)
#define NR_CPUS		3
#define DRAINS_ON	2		/* who drains runs here */

#include "cpu.h"

#define COUNT(word)	((word) & 1)
#define BIT(i)		(1 << (i))
#define ANY(set)	((set) & 2 -> 1 : ((set) & 4 -> 2 : 3))

byte filled, unused;			/* sheaves in the barn or the pool */
byte slab;				/* objects in it */
byte out;				/* objects that a program has */
byte held[NR_SHEAVES + 1];		/* objects, when it went into a slot */
byte uncounted_pops, uncounted_pushes;
byte runs_on[3];			/* threads: the CPU */

/* What must never be. */
bool twice, lost, miscounted, shut;

/* mm/sheaf.c harvest(): of a sheaf in hand */
inline harvest(c, s)
{
	word = LOAD(c, WORD(s));
	uncounted_pops = uncounted_pops -
		((word >> 1) + held[s] - COUNT(word)) / 2;
	uncounted_pushes = uncounted_pushes -
		((word >> 1) + COUNT(word) - held[s]) / 2;
	word = COUNT(word);
	held[s] = word;
	store(c, WORD(s), word)
}

/* The end of a critical section. mm/internal.h unlock() */
inline unlock(c)
{
#ifndef UNLOCK_RELAXED
	fence(c)
#else
	skip
#endif
}

/* mm/sheaf.c put(), barn_put() */
inline barn_put(c, s)
{
	harvest(c, s);
	if
	:: word -> filled = filled | BIT(s)
	:: else -> unused = unused | BIT(s)
	fi;
	unlock(c)
}

/* The program gets an object, or gives it back. */
inline hand_out(o)
{
	twice = out & BIT(o);
	assert(!twice);
	out = out | BIT(o)
}

inline hand_in(o)
{
	out = out & ~BIT(o)
}

/* --- sequences: arch/x86/include/asm/rseq.h, and arm64's --- */

#ifdef NO_ABORT
#define ABORTED		false
#else
#define ABORTED		(in_sequence[cpu] != me)
#endif

#define cpu		runs_on[me]

#ifndef BY_CID
#define INDEX		cpu
#define renumber()	skip
#else
/* mm_cid: any number, as there is one thread; the kernel orders its CPUs. */
byte cid;
#define INDEX		cid
inline renumber()
{
	if
	:: true
	:: fence(0); fence(1); cid = 1 - cid
	fi
}
#endif

/* The thread may be moved: to where its stores are seen, then. */
inline migrate()
{
	if
	:: true
	:: IS_UP(1 - cpu) -> fence(cpu); cpu = 1 - cpu
	fi;
	renumber()
}

/* RSEQ_BEGIN: rseq_cs = descriptor; index = cpu_id. Or it is interrupted. */
inline begin()
{
#ifndef INDEX_EARLY
	migrate();
#endif
	index = INDEX;
#ifdef INDEX_EARLY
	migrate();
#endif
	if
	:: in_sequence[cpu] = me
	:: in_sequence[cpu] = 0
	fi
}

/* The main sheaf; 0 where there is none to use. RSEQ_MAIN */
inline find_main()
{
	m = LOAD(cpu, MAIN(index));
	m = (m == CLOSED -> 0 : m)
}

/* rseq_pop(): *object*, or 0 */
inline pop()
{
	atomic { begin(); find_main() };
	{
		atomic {
			word = (m -> LOAD(cpu, WORD(m)) : 0);
			object = (COUNT(word) -> LOAD(cpu, OBJECT(m)) : 0)
		};
		atomic {
			if
			:: object ->
				store(cpu, WORD(m), word + 2 - 1);
				uncounted_pops++;
				hand_out(object)
			:: else
			fi;
			m = 0; word = 0; index = 0
		}
	} unless { atomic { ABORTED -> object = 0; m = 0; word = 0; index = 0 } }
}

/* rseq_push(): of *object*, which is 0 afterwards if that was done */
inline push()
{
	atomic { begin(); find_main() };
	{
		atomic {
			word = (m -> LOAD(cpu, WORD(m)) : 1);
#ifndef OBJECT_LATE
			if
			:: !COUNT(word) -> store(cpu, OBJECT(m), object)
			:: else
			fi
#endif
		};
		atomic {
			if
			:: !COUNT(word) ->
				store(cpu, WORD(m), word + 2 + 1);
				uncounted_pushes++;
				hand_in(object);
#ifdef OBJECT_LATE
				late = m; late_object = object;
#endif
				object = 0
			:: else
			fi;
			m = 0; word = 0; index = 0
		}
	} unless { atomic { ABORTED -> m = 0; word = 0; index = 0 } };
#ifdef OBJECT_LATE
	atomic {
		if
		:: late -> store(cpu, OBJECT(late), late_object); late = 0
		:: else
		fi
	}
#endif
}

/*
 * rseq_update(), with update() of mm/percpu.c in front: if main is that of the
 * view, and the word at *place* is *old*, the one *at* is *new*. Is it *done*?
 */
inline update(place, old, at, new)
{
	atomic {
		begin();
		done = v_main != CLOSED && index == v_index;
#ifndef MAIN_UNCOMPARED
		done = done && LOAD(cpu, MAIN(index)) == v_main;
#endif
		index = 0
	};
	{
		done = done && LOAD(cpu, place) == (old);
		atomic {
			if
			:: done -> store(cpu, at, new)
			:: else
			fi
		}
	} unless { atomic { ABORTED -> done = false } }
}

/* --- mm/percpu.c --- */

/* percpu_view() */
inline view()
{
	atomic {
		migrate();
		v_index = INDEX;
		v_main = LOAD(cpu, MAIN(v_index))
	};
	atomic {
		v_where = SHEAF(v_index, v_main &&
				v_main == LOAD(cpu, SHEAF(v_index, 0)));
		v_spare = (v_main == CLOSED -> 0 : LOAD(cpu, v_where));
		v_spare = (v_spare == v_main -> 0 : v_spare)
	}
}

/* percpu_swap() */
inline swap()
{
	update(v_where, v_spare, MAIN(v_index), v_spare)
}

/* percpu_set_spare() */
inline set_spare(new)
{
	update(v_where, v_spare, v_where, new)
}

/* --- mm/slub.c --- */

/* Objects in a sheaf that the view names; sheaf_count() */
#define COUNT_IN(sheaf)	COUNT(LOAD(cpu, WORD(sheaf)))
#define HAS_OBJECT(sheaf) \
	((sheaf) && (sheaf) != CLOSED && COUNT_IN(sheaf))
#define HAS_ROOM(sheaf) \
	((sheaf) && (sheaf) != CLOSED && !COUNT_IN(sheaf))

/* detach_spare(): into *s* */
inline detach_spare()
{
	if
	:: v_spare -> set_spare(0); atomic { s = (done -> v_spare : 0) }
	:: else -> s = 0
	fi
}

/* get_full(), with barn_exchange_empty() and fill_from_slabs() */
inline get_full()
{
	atomic {
		if
		:: s -> harvest(cpu, s)
		:: else -> word = 0
		fi;
		if
		:: word
		:: !word && filled ->
			unused = (s -> unused | BIT(s) : unused);
			s = ANY(filled);
			filled = filled & ~BIT(s)
		:: !word && !filled && slab && (s || unused) ->
			if
			:: s
			:: !s -> s = ANY(unused); unused = unused & ~BIT(s)
			fi;
			store(cpu, OBJECT(s), ANY(slab));
			store(cpu, WORD(s), 1);
			slab = slab & ~BIT(ANY(slab))
		:: else ->
			unused = (s -> unused | BIT(s) : unused);
			s = 0
		fi;
		unlock(cpu);
		word = 0
	}
}

/* get_empty(), with barn_exchange_full() */
inline get_empty()
{
	atomic {
		if
		:: s -> barn_put(cpu, s)
		:: else
		fi;
		s = (unused -> ANY(unused) : 0);
		unused = (s -> unused & ~BIT(s) : unused);
		unlock(cpu);
		word = 0
	}
}

/* install(): of *s*, which is 0 afterwards */
inline install()
{
	view();
	atomic { held[s] = COUNT_IN(s) };
	set_spare(s);
	if
	:: done ->
		atomic { word = v_spare; v_spare = s; s = word; word = 0 };
		swap()
	:: else
	fi;
	atomic {
		if
		:: s -> barn_put(cpu, s)
		:: else
		fi;
		s = 0; word = 0
	}
}

/* alloc_on(), but one try instead of TRIES */
inline alloc_slow()
{
	view();
	if
	:: HAS_OBJECT(v_spare) -> swap()
	:: else
	fi;
	pop();
	if
	:: !object ->
		detach_spare();
		get_full();
		if
		:: s ->
			/* sheaf_take() */
			atomic {
				object = LOAD(cpu, OBJECT(s));
				store(cpu, WORD(s), 0);
				hand_out(object)
			};
			install()
		:: else
		fi
	:: else
	fi
}

/* free_on(), likewise */
inline free_slow()
{
	view();
	if
	:: HAS_ROOM(v_spare) -> swap()
	:: else
	fi;
	push();
	if
	:: object ->
		detach_spare();
		get_empty();
		if
		:: s ->
			/* sheaf_add() */
			atomic {
				store(cpu, OBJECT(s), object);
				store(cpu, WORD(s), 1);
				hand_in(object);
				object = 0
			};
			install()
		:: else ->
			/* to_slab() */
			atomic {
				hand_in(object);
				slab = slab | BIT(object);
				object = 0
			}
		fi
	:: else
	fi
}

/* mm/kmalloc.c: so many allocations and frees, in any order that can be */
proctype thread(byte me; byte steps; byte mine)
{
#ifdef OBJECT_LATE
	byte late, late_object;
#endif
	byte index, m, word, object, s;
	byte v_index, v_main, v_spare, v_where;
	bool done;

	do
	:: steps ->
		steps--;
		object = mine;
		if
		:: !object ->
			pop();
			if
			:: !object -> alloc_slow()
			:: else
			fi;
			mine = object
		:: else ->
			push();
			if
			:: object -> free_slow()
			:: else
			fi;
			mine = 0
		fi;
		atomic {
			object = 0; done = false;
			v_index = 0; v_main = 0; v_spare = 0; v_where = 0
		}
	:: else -> break
	od
}
