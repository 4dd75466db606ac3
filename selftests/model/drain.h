/* SPDX-License-Identifier: MIT */
/*
 * mm/drain.c, as it is on a machine with restartable sequences, and what has to
 * be true when all have ended.
 */

/* membarrier(PRIVATE_EXPEDITED_RSEQ): a CPU after the other */
inline membarrier()
{
	atomic { fence(DRAINS_ON); at = 0 };
	do
	:: at < 2 ->
		atomic {
#ifdef NO_FENCE
			skip;
#else
#ifndef FENCE_WITHOUT_ORDER
			fence(at);
#endif
#ifndef FENCE_WITHOUT_ABORT
			in_sequence[at] = 0;
#endif
#endif
			at++
		}
	:: else -> break
	od
}

/* close_slot(); *closed* of them */
inline close_slot()
{
	atomic {
		if
		:: LOAD(DRAINS_ON, MAIN(at)) != MARK ->
			store(DRAINS_ON, MAIN(at), MARK);
			closed++
		:: else
		fi
	}
}

/* flush_sheaf(): its objects to the slab, the sheaf to the pool */
inline flush_sheaf(s)
{
	if
	:: s ->
		harvest(DRAINS_ON, s);
		if
		:: word ->
			slab = slab | BIT(LOAD(DRAINS_ON, OBJECT(s)));
			store(DRAINS_ON, WORD(s), 0)
		:: else
		fi;
		unused = unused | BIT(s);
		unlock(DRAINS_ON);
		s = 0; word = 0
	:: else
	fi
}

inline look_into_slot()
{
	atomic {
		first = LOAD(DRAINS_ON, SHEAF(at, 0));
		second = LOAD(DRAINS_ON, SHEAF(at, 1))
	}
}

/* take_slot() */
inline take_slot()
{
#ifdef READ_EARLY
	first = seen[2 * at];
	second = seen[2 * at + 1];
#else
	look_into_slot();
#endif
	atomic { store(DRAINS_ON, SHEAF(at, 0), 0) };
	atomic { store(DRAINS_ON, SHEAF(at, 1), 0) };
	atomic {
#ifndef OPEN_RELAXED
		fence(DRAINS_ON);
#endif
		store(DRAINS_ON, MAIN(at), 0)
	};
	atomic { flush_sheaf(first); flush_sheaf(second) }
}

/* Objects and sheaves that the set @seen has, @i among them already? */
inline see(seen, i)
{
	twice = twice || (seen & BIT(i));
	seen = seen | BIT(i)
}

inline see_sheaf(i)
{
	if
	:: i ->
		see(sheaves, i);
		harvest(DRAINS_ON, i);
		fence(DRAINS_ON);
		if
		:: word -> see(objects, mem[OBJECT(i)])
		:: else
		fi
	:: else
	fi
}
