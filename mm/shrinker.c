// SPDX-License-Identifier: MIT
/*
 * Shrinkers: sources of memory in the program, asked when memory is short.
 * Documentation/mm/shrinker.rst says who may be called when.
 *
 * A thread that is in a callback, or is about to call one, has a struct
 * shrink_run on its stack that is in the list of that shrinker. While there is
 * one the shrinker stays in the list of all: so a thread finds its way on from
 * there, and rn_shrinker_unregister() knows what it waits for.
 *
 * Locks: shrinkers.lock for all lists. A leaf; not held over a callback.
 */
#include "fork.h"
#include "shrinker.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <rn/slab.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Less than this is not worth a call, as long as there is another way. */
#define BATCH	128UL

/**
 * struct shrink_run - a thread that uses a shrinker
 * @next: in the list of that shrinker
 * @tag: the thread's
 * @on: the shrinker
 */
struct shrink_run {
	struct shrink_run *next;
	u32 tag;
	struct shrinker *on;
};

/**
 * struct shrinker - a shrinker that is registered
 * @user: what the program knows of it
 * @next: in the list of all, in the order of registration
 * @runs: who uses it
 * @leaver: the thread that unregisters it, or 0; nobody new may use it then
 * @carried: what was too little for a call so far
 * @calls: of its scan function
 * @scanned: what it looked at
 * @freed: what it freed
 */
struct shrinker {
	struct rn_shrinker *user;
	struct shrinker *next;
	struct shrink_run *runs;
	u32 leaver;
	unsigned long carried;
	u64 calls, scanned, freed;
};

static struct {
	struct lock lock;
	struct shrinker *first;
	u32 ended;		/* runs on leaving ones; a futex */
	u64 calls, scanned, freed;
} shrinkers;

/* Not NULL: this thread is in a callback. */
static __thread struct shrink_run *my_run;

static unsigned int list_lock(void)
{
	unsigned int ticket = gate_enter();

	lock(&shrinkers.lock);
	return ticket;
}

static void list_unlock(unsigned int ticket)
{
	unlock(&shrinkers.lock);
	gate_exit(ticket);
}

/* --- walking the list --- */

static void run_begin(struct shrink_run *run, struct shrinker *s)
{
	run->on = s;
	run->next = s->runs;
	WRITE_ONCE(s->runs, run);
}

static void run_end(struct shrink_run *run)
{
	struct shrinker *s = run->on;
	struct shrink_run **at = &s->runs;

	while (*at != run)
		at = &(*at)->next;
	WRITE_ONCE(*at, run->next);
	if (s->leaver && !s->runs) {
		stat_inc(&shrinkers.ended);
		syscall(SYS_futex, &shrinkers.ended, FUTEX_WAKE_PRIVATE,
			INT_MAX);
	}
}

/* From one shrinker to the next that stays, at first to the first; or NULL. */
static struct shrinker *run_next(struct shrink_run *run)
{
	unsigned int ticket = list_lock();
	struct shrinker *s = run->on ? run->on->next : shrinkers.first;

	while (s && s->leaver)
		s = s->next;
	if (run->on)
		run_end(run);
	if (s)
		run_begin(run, s);
	list_unlock(ticket);
	return s;
}

/* --- how much each is asked for --- */

/*
 * The idea is that of do_shrink_slab() in the kernel: all give up the same
 * share, less of what is dearer to make again. Whoever has something is asked
 * for something.
 */
static unsigned long fair_share(const struct rn_shrinker *user,
				unsigned long count, unsigned int priority)
{
	unsigned long some = min(count >> priority, ULONG_MAX / 8);

	if (!user->seeks)
		return count / 2 + count % 2;
	return DIV_ROUND_UP(some * 4, (unsigned long)user->seeks);
}

static unsigned long add_capped(unsigned long a, unsigned long b,
				unsigned long most)
{
	unsigned long sum;

	return __builtin_add_overflow(a, b, &sum) ? most : min(sum, most);
}

static unsigned long scan(struct shrinker *s, struct rn_shrink_control *sc,
			  unsigned long batch)
{
	unsigned long freed;

	sc->nr_to_scan = batch;
	sc->nr_scanned = batch;
	freed = s->user->scan(s->user, sc);
	stat_inc(&s->calls);
	stat_inc(&shrinkers.calls);
	if (freed == RN_SHRINK_STOP)
		return freed;
	stat_add(&s->scanned, sc->nr_scanned);
	stat_add(&shrinkers.scanned, sc->nr_scanned);
	stat_add(&s->freed, freed);
	stat_add(&shrinkers.freed, freed);
	return freed;
}

/* For a limit, one that knows when to stop may be asked for all, but once. */
static bool is_exact(const struct shrinker *s,
		     const struct rn_shrink_control *sc)
{
	return sc->memcg && s->user->flags & RN_SHRINKER_EXACT;
}

/* What there is to do of @count, with what was carried over. */
static unsigned long todo_of(struct shrinker *s,
			     const struct rn_shrink_control *sc,
			     unsigned long count)
{
	unsigned long most = count > ULONG_MAX / 2 ? ULONG_MAX : 2 * count;

	if (is_exact(s, sc))
		return sc->priority == RN_DEF_PRIORITY ? count : 0;
	return add_capped(fair_share(s->user, count, sc->priority),
			  __atomic_exchange_n(&s->carried, 0, __ATOMIC_RELAXED),
			  most);
}

/* Other threads may do the same, on the same shrinker. */
static unsigned long shrink_one(struct shrinker *s,
				struct rn_shrink_control *sc)
{
	unsigned long count, todo, least, freed = 0;

	sc->nr_to_scan = 0;
	sc->nr_scanned = 0;
	count = s->user->count(s->user, sc);
	if (!count || count >= RN_SHRINK_EMPTY)
		return 0;
	todo = todo_of(s, sc, count);
	/* Nothing is put off when there is no other time. */
	least = sc->priority && !is_exact(s, sc) ? min(count, BATCH) : 1;
	while (todo >= least && sc->bytes) {
		unsigned long got = scan(s, sc, min(todo, BATCH));

		if (got == RN_SHRINK_STOP || !sc->nr_scanned)
			break;
		freed = add_capped(freed, got, ULONG_MAX);
		todo -= min(todo, sc->nr_scanned);
	}
	if (!is_exact(s, sc))
		stat_add(&s->carried, todo);
	return freed;
}

static bool is_asked(const struct shrinker *s, const struct rn_memcg *memcg)
{
	return !memcg || s->user->memcg == memcg;
}

static unsigned long shrink_each(const struct rn_shrink_control *asked)
{
	struct shrink_run run = { .tag = thread_tag() };
	unsigned long freed = 0;
	size_t bytes = asked->bytes;
	struct shrinker *s;

	my_run = &run;
	while ((s = run_next(&run))) {
		struct rn_shrink_control sc = *asked;

		if (!is_asked(s, sc.memcg))
			continue;
		sc.flags &= RN_GFP_MASK;
		sc.bytes = bytes;
		freed = add_capped(freed, shrink_one(s, &sc), ULONG_MAX);
		bytes = min(bytes, sc.bytes);
	}
	my_run = NULL;
	return freed;
}

static bool may_shrink(rn_gfp_t flags)
{
	return !(flags & RN_NOWAIT) && !my_run && !thread_self.depth &&
		smp_load_acquire(&shrinkers.first);
}

bool is_shrinking(void)
{
	return my_run != NULL;
}

/* An allocation is no place where a thread is cancelled, whatever is in it. */
unsigned long shrink_all(const struct rn_shrink_control *sc)
{
	int saved = errno, state;
	unsigned long freed;

	if (!may_shrink(sc->flags))
		return 0;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	freed = shrink_each(sc);
	pthread_setcancelstate(state, NULL);
	errno = saved;
	return freed;
}

unsigned long shrink_until_freed(rn_gfp_t flags, unsigned int priority)
{
	struct rn_shrink_control sc = {
		.flags = flags, .bytes = SIZE_MAX, .priority = priority,
	};
	unsigned long freed = shrink_all(&sc);

	while (!freed && sc.priority) {
		sc.priority--;
		freed = shrink_all(&sc);
	}
	return freed;
}

/* --- registration --- */

static struct shrinker **find(const struct rn_shrinker *user)
{
	struct shrinker **at = &shrinkers.first;

	while (*at && (*at)->user != user)
		at = &(*at)->next;
	return at;
}

static bool is_valid(const struct rn_shrinker *user)
{
	return user && user->sz == sizeof(*user) && user->name &&
		*user->name && user->count && user->scan &&
		!(user->flags & ~RN_SHRINKER_EXACT);
}

/**
 * rn_shrinker_register() - from now on ask this when memory is short
 * @shrinker: stays the program's; not to be changed or to go away before it is
 *	unregistered
 *
 * Context: any thread, callbacks too; calls no callback itself, others may at
 * once. Not from a signal handler.
 * Return: 0, -EINVAL where a field is missing or @sz is wrong, -EBUSY if it is
 * registered, -ENOMEM.
 */
RN_API int rn_shrinker_register(struct rn_shrinker *shrinker)
{
	struct shrinker *s, **at;
	unsigned int ticket;
	bool taken;

	if (!is_valid(shrinker))
		return -EINVAL;
	s = rn_zalloc(sizeof(*s), RN_KERNEL);
	if (!s)
		return -ENOMEM;
	s->user = shrinker;
	ticket = list_lock();
	at = find(shrinker);
	taken = *at;
	if (!taken)
		smp_store_release(at, s);
	list_unlock(ticket);
	if (taken)
		rn_free(s);
	return taken ? -EBUSY : 0;
}

/* Under the lock, which is let go of meanwhile. */
static unsigned int wait_for_runs(struct shrinker *s, unsigned int ticket)
{
	while (s->runs) {
		u32 seen = READ_ONCE(shrinkers.ended);

		list_unlock(ticket);
		syscall(SYS_futex, &shrinkers.ended, FUTEX_WAIT_PRIVATE, seen,
			NULL);
		ticket = list_lock();
	}
	return ticket;
}

/**
 * rn_shrinker_unregister() - do not ask this any more
 * @shrinker: that is registered
 *
 * Waits for the callbacks of @shrinker that other threads are in. Afterwards it
 * is the program's alone.
 *
 * Context: any thread, with no lock held that its callbacks take.
 * Return: 0; -EINVAL if it is not registered, or another thread unregisters it
 * already; -EDEADLK in a callback of any shrinker, or in a constructor.
 */
RN_API int rn_shrinker_unregister(struct rn_shrinker *shrinker)
{
	struct shrinker *s;
	unsigned int ticket;
	int saved = errno;

	/* Two that wait for each other's callbacks would wait for ever. */
	if (my_run || thread_self.depth)
		return -EDEADLK;
	ticket = list_lock();
	s = *find(shrinker);
	if (!s || s->leaver) {
		list_unlock(ticket);
		return -EINVAL;
	}
	s->leaver = thread_tag();
	ticket = wait_for_runs(s, ticket);
	smp_store_release(find(shrinker), s->next);
	list_unlock(ticket);
	rn_free(s);
	errno = saved;
	return 0;
}

/* --- figures --- */

static void one_line(struct seq *out, const char *name, const char *what,
		     u64 n)
{
	seq_printf(out, "shrinker_%s_%s %lu\n", name, what, (unsigned long)n);
}

/* One word of the name, so that lines stay pairs. */
static void vmstat_one(struct seq *out, const struct shrinker *s)
{
	char name[32];
	size_t n = min(strlen(s->user->name), sizeof(name) - 1);

	for (size_t i = 0; i < n; i++)
		name[i] = (unsigned char)s->user->name[i] <= ' ' ?
			  '_' : s->user->name[i];
	name[n] = '\0';
	one_line(out, name, "calls", READ_ONCE(s->calls));
	one_line(out, name, "scanned", READ_ONCE(s->scanned));
	one_line(out, name, "freed", READ_ONCE(s->freed));
}

void vmstat_shrinkers(struct seq *out)
{
	struct shrink_run run = { .tag = thread_tag() };
	struct shrinker *s;

	seq_printf(out, "shrinker_calls %lu\n",
		   (unsigned long)READ_ONCE(shrinkers.calls));
	seq_printf(out, "shrinker_scanned %lu\n",
		   (unsigned long)READ_ONCE(shrinkers.scanned));
	seq_printf(out, "shrinker_freed %lu\n",
		   (unsigned long)READ_ONCE(shrinkers.freed));
	while ((s = run_next(&run)))
		vmstat_one(out, s);
}

/* --- after fork(), in the child --- */

/* Their stacks are still what they were; no other thread has begun yet. */
void shrinker_after_fork(void)
{
	for (struct shrinker *s = shrinkers.first; s; s = s->next) {
		struct shrink_run **at = &s->runs;

		while (*at)
			if (thread_is_gone((*at)->tag))
				*at = (*at)->next;
			else
				at = &(*at)->next;
		if (s->leaver && thread_is_gone(s->leaver))
			s->leaver = 0;
	}
	/* A handler that forked may have interrupted who waits for these. */
	stat_inc(&shrinkers.ended);
}
