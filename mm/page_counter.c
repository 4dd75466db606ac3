// SPDX-License-Identifier: MIT
/*
 * Counters of memory with limits. A charge goes to a counter and to all above
 * it, or to none of them: each compares before it adds, so that no limit is
 * exceeded at any moment.
 *
 * Lock: counter_lock covers all queues; charges take none. It is a leaf. Who is
 * at the head of a queue is charged by the thread that makes room, under the
 * lock, and woken: nobody comes in between.
 */
#define _GNU_SOURCE
#include "fork.h"
#include "page_counter.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A counter is loose again when this part of its max is free, or so much. */
#define LOOSE_SHIFT	4
#define LOOSE_MOST	(1UL << 20)

/* A refill takes at most this part of the room that is left. */
#define STOCK_SHARE	8

/* Who waits looks so often whether there is something to be given up. */
#define LOOK_MS		100

/* Of a waiter: asleep; to look, and not to sleep; charged, and to go. */
enum { WAITING, LOOK, GRANTED };

/**
 * struct waiter - a thread that is held, on its own stack
 * @request: what it asked for
 * @turn: when it came
 * @state: a futex
 * @gave: it had something given up
 * @tag: of the thread
 * @next: behind it in the queue, or in the list of those that were granted
 */
struct waiter {
	const struct charge_request *request;
	u64 turn;
	u32 state;
	bool gave;
	u32 tag;
	struct waiter *next;
};

struct page_counter *counters[MAX_COUNTERS];

static struct lock counter_lock;
static struct page_counter *waiting;	/* counters with waiters */
static struct waiter *on_their_way;	/* granted, and still asleep */
static u32 nr_waiting;			/* in queues, read without the lock */
static u32 nr_asking;			/* threads that have shrinkers run */
static __thread u32 asking;		/* this one does */
static u64 turns;

/*
 * Of one that was another group's, nothing is charged and nobody waits; but a
 * thread that has just freed the last object may still look at it.
 */
void counter_init(struct page_counter *c, struct page_counter *parent)
{
	WRITE_ONCE(c->max, RN_MEMCG_NO_LIMIT);
	WRITE_ONCE(c->high, RN_MEMCG_NO_LIMIT);
	WRITE_ONCE(c->low, 0);
	WRITE_ONCE(c->min, 0);
	WRITE_ONCE(c->peak, 0);
	WRITE_ONCE(c->failcnt, 0);
	for (int i = 0; i < RN_MEMCG_NR_EVENTS; i++)
		WRITE_ONCE(c->events[i], 0);
	WRITE_ONCE(c->tight, 0);
	WRITE_ONCE(c->stockless, false);
	WRITE_ONCE(c->parent, parent);
	WRITE_ONCE(c->queue, c);
	c->last = &c->first;
}

void counter_share_queue(struct page_counter *c)
{
	WRITE_ONCE(c->queue, c->parent->queue);
}

/* --- charges --- */

static bool charge_one(struct page_counter *c, u64 bytes)
{
	u64 usage = READ_ONCE(c->usage);

	do {
		u64 most = READ_ONCE(c->max);

		if (usage > most || bytes > most - usage)
			return false;
	} while (!__atomic_compare_exchange_n(&c->usage, &usage, usage + bytes,
					      false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return true;
}

static void note_peak(struct page_counter *c, u64 usage)
{
	u64 peak = READ_ONCE(c->peak);

	while (unlikely(usage > peak) &&
	       !__atomic_compare_exchange_n(&c->peak, &peak, usage, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The charge was made, on all levels. */
static void note_charge(struct page_counter *c, u64 bytes)
{
	for (; c; c = c->parent) {
		u64 usage = READ_ONCE(c->usage), min = READ_ONCE(c->min);

		note_peak(c, usage);
		if (unlikely(min) && usage > min && usage - bytes <= min)
			stat_inc(&c->events[RN_MEMCG_EVENT_BORROWED]);
	}
}

u64 counter_margin(const struct page_counter *c)
{
	return min(READ_ONCE(c->max) >> LOOSE_SHIFT, LOOSE_MOST);
}

/* With enough room, and nobody who waits for some or has others make it. */
static void loosen(struct page_counter *c, u64 usage)
{
	if (READ_ONCE(c->tight) && !READ_ONCE(nr_waiting) &&
	    !READ_ONCE(nr_asking) &&
	    usage <= READ_ONCE(c->max) - counter_margin(c))
		WRITE_ONCE(c->tight, 0);
}

/*
 * The last byte of a group that was reparented is what holds it: it may be
 * another's from then on, but its parent has these bytes still.
 */
static void uncharge_up_to(struct page_counter *c,
			   const struct page_counter *end, u64 bytes)
{
	while (c != end) {
		struct page_counter *parent = c->parent;

		loosen(c, __atomic_sub_fetch(&c->usage, bytes,
					     __ATOMIC_ACQ_REL));
		c = parent;
	}
}

static struct page_counter *charge_all(struct page_counter *c, u64 bytes)
{
	for (struct page_counter *at = c; at; at = at->parent) {
		if (charge_one(at, bytes))
			continue;
		stat_inc(&at->failcnt);
		uncharge_up_to(c, at, bytes);
		return at;
	}
	note_charge(c, bytes);
	return NULL;
}

/* Pairs with join_queue(): who waits is in the queue, or sees the room. */
static void wake_waiters(void)
{
	smp_mb();
	if (unlikely(READ_ONCE(nr_waiting)))
		counter_wake();
}

struct page_counter *counter_try_charge(struct page_counter *c, u64 bytes)
{
	struct page_counter *full = charge_all(c, bytes);

	/* What was charged below it for a moment may have been in the way. */
	if (unlikely(full && full != c))
		wake_waiters();
	return full;
}

/* The least room up to the root. */
static u64 room(const struct page_counter *c)
{
	u64 least = RN_MEMCG_NO_LIMIT;

	for (; c; c = c->parent) {
		u64 most = READ_ONCE(c->max), usage = READ_ONCE(c->usage);

		if (most != RN_MEMCG_NO_LIMIT)
			least = min(least, most > usage ? most - usage : 0);
	}
	return least;
}

unsigned int counter_charge_objects(struct page_counter *c, size_t size,
				    unsigned int want)
{
	u64 fair = room(c) / STOCK_SHARE / size;
	unsigned int nr = min((u64)want, max(fair, (u64)1));

	if (!counter_try_charge(c, nr * size))
		return nr;
	return nr > 1 && !counter_try_charge(c, size);
}

void counter_uncharge(struct page_counter *c, u64 bytes)
{
	uncharge_up_to(c, NULL, bytes);
	wake_waiters();
}

void counter_ask(bool begin)
{
	u32 one = begin ? 1 : -1;

	asking += one;
	__atomic_fetch_add(&nr_asking, one, __ATOMIC_RELAXED);
}

struct page_counter *counter_full(struct page_counter *c, u64 bytes)
{
	while (c && !counter_excess(c, READ_ONCE(c->max), bytes))
		c = c->parent;
	return c;
}

bool counter_fits_ever(const struct page_counter *c, u64 bytes)
{
	for (; c; c = c->parent)
		if (bytes > READ_ONCE(c->max))
			return false;
	return true;
}

bool counter_is_tight(const struct page_counter *c)
{
	for (; c; c = READ_ONCE(c->parent))
		if (READ_ONCE(c->tight) || READ_ONCE(c->stockless))
			return true;
	return false;
}

bool counter_is_below(const struct page_counter *c,
		      const struct page_counter *above)
{
	while (c && c != above)
		c = c->parent;
	return c;
}

/* --- queues, under counter_lock --- */

static struct page_counter *queue_of(const struct waiter *w)
{
	return w->request->counter->queue;
}

static void enqueue(struct waiter *w)
{
	struct page_counter *c = queue_of(w);

	if (!c->first) {
		c->next_waiting = waiting;
		waiting = c;
	}
	w->turn = turns++;
	WRITE_ONCE(*c->last, w);
	c->last = &w->next;
	WRITE_ONCE(nr_waiting, nr_waiting + 1);
}

static void unlink_waiter(struct waiter **list, struct waiter *w)
{
	while (*list != w)
		list = &(*list)->next;
	WRITE_ONCE(*list, w->next);
}

static void dequeue(struct waiter *w)
{
	struct page_counter *c = queue_of(w), **list = &waiting;

	unlink_waiter(&c->first, w);
	c->last = &c->first;
	while (*c->last)
		c->last = &(*c->last)->next;
	WRITE_ONCE(nr_waiting, nr_waiting - 1);
	if (c->first)
		return;
	while (*list != c)
		list = &(*list)->next_waiting;
	*list = c->next_waiting;
}

static bool is_owed(const struct page_counter *c)
{
	return READ_ONCE(c->usage) < READ_ONCE(c->min);
}

/* Is the head of @a to be served before that of @b? */
static bool comes_before(const struct page_counter *a,
			 const struct page_counter *b)
{
	if (is_owed(a) != is_owed(b))
		return is_owed(a);
	return a->first->turn < b->first->turn;
}

/* The best of those that come after @after, or of all. */
static struct page_counter *next_served(const struct page_counter *after)
{
	struct page_counter *best = NULL;

	for (struct page_counter *c = waiting; c; c = c->next_waiting) {
		if (after && !comes_before(after, c))
			continue;
		if (!best || comes_before(c, best))
			best = c;
	}
	return best;
}

static u32 state_of(const struct waiter *w)
{
	return __atomic_load_n(&w->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct waiter *w, u32 state)
{
	__atomic_store_n(&w->state, state, __ATOMIC_RELEASE);
	syscall(SYS_futex, &w->state, FUTEX_WAKE_PRIVATE, 1);
}

/* The head of the queue gets what it asked for, if there is room. */
static bool grant_first(struct page_counter *c)
{
	struct waiter *w = c->first;

	if (charge_all(w->request->counter, w->request->bytes))
		return false;
	dequeue(w);
	w->next = on_their_way;
	on_their_way = w;
	set_state(w, GRANTED);
	return true;
}

static void grant_all(void)
{
	struct page_counter *c = next_served(NULL);

	while (c)
		c = next_served(grant_first(c) ? NULL : c);
}

void counter_wake(void)
{
	unsigned int ticket = gate_enter();
	int saved = errno;

	lock(&counter_lock);
	grant_all();
	unlock(&counter_lock);
	errno = saved;
	gate_exit(ticket);
}

static void kick_first(struct page_counter *queue)
{
	struct waiter *w = queue->first;

	if (w && state_of(w) == WAITING)
		set_state(w, LOOK);
}

/* Pairs with join_queue(): who waits is in the queue, or looks after this. */
void counter_kick(struct page_counter *c)
{
	unsigned int ticket;
	int saved = errno;

	smp_mb();
	if (likely(!counter_has_waiters(c)))
		return;
	ticket = gate_enter();
	lock(&counter_lock);
	kick_first(c->queue);
	unlock(&counter_lock);
	errno = saved;
	gate_exit(ticket);
}

bool counter_has_waiters(const struct page_counter *c)
{
	return READ_ONCE(READ_ONCE(c->queue)->first);
}

/* --- waiting --- */

static void join_queue(struct waiter *w)
{
	unsigned int ticket = gate_enter();

	lock(&counter_lock);
	enqueue(w);
	/* What was uncharged before this was seen by nobody who is in it. */
	smp_mb();
	grant_all();
	unlock(&counter_lock);
	gate_exit(ticket);
}

/* True if it was granted what it asked for. Inside of the gate. */
static bool leave_queue(struct waiter *w)
{
	lock(&counter_lock);
	if (w->state == GRANTED) {
		unlink_waiter(&on_their_way, w);
	} else {
		dequeue(w);
		/* Who was behind it may fit, or has not looked yet. */
		grant_all();
		kick_first(queue_of(w));
	}
	unlock(&counter_lock);
	return w->state == GRANTED;
}

/* The thread is cancelled while it waits. */
static void abandon(void *arg)
{
	unsigned int ticket = gate_enter();
	struct waiter *w = arg;

	if (leave_queue(w))
		counter_uncharge(w->request->counter, w->request->bytes);
	gate_exit(ticket);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool is_past(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return !is_before(&now, until);
}

static const struct timespec *after_ms(struct timespec *until, unsigned int ms)
{
	if (ms == RN_MEMCG_FOREVER)
		return NULL;
	clock_gettime(CLOCK_MONOTONIC, until);
	until->tv_sec += ms / 1000;
	until->tv_nsec += ms % 1000 * 1000000L;
	if (until->tv_nsec >= 1000000000L) {
		until->tv_sec++;
		until->tv_nsec -= 1000000000L;
	}
	return until;
}

/* Behind somebody it would be for him, who looks himself. */
static void look(struct waiter *w)
{
	u32 old = LOOK;

	__atomic_compare_exchange_n(&w->state, &old, WAITING, false,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	while (state_of(w) != GRANTED &&
	       READ_ONCE(queue_of(w)->first) == w &&
	       w->request->look(w->request))
		w->gave = true;
}

/* Until it is to look again, @until at the latest; NULL: for ever. */
static void nap(struct waiter *w, const struct timespec *until)
{
	struct timespec next;
	int type;

	after_ms(&next, LOOK_MS);
	if (until && is_before(until, &next))
		next = *until;
	/* Cancelled here and nowhere else: nothing is half done. */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	syscall(SYS_futex, &w->state, FUTEX_WAIT_BITSET_PRIVATE, WAITING,
		&next, NULL, FUTEX_BITSET_MATCH_ANY);
	pthread_setcanceltype(type, NULL);
}

/* @until is of the monotonic clock. */
static void sleep_in_queue(struct waiter *w, const struct timespec *until)
{
	pthread_cleanup_push(abandon, w);
	while (state_of(w) != GRANTED && !(until && is_past(until))) {
		look(w);
		if (state_of(w) == WAITING)
			nap(w, until);
	}
	pthread_cleanup_pop(0);
}

int counter_wait(const struct charge_request *request, unsigned int *ticket)
{
	struct waiter w = { .request = request, .tag = thread_tag() };
	struct timespec time;
	bool granted;

	counter_event(request->counter, RN_MEMCG_EVENT_HELD);
	join_queue(&w);
	sleep_in_queue(&w, after_ms(&time, request->ms));
	*ticket = gate_enter();
	granted = leave_queue(&w);
	/* Whoever is first now may find more. */
	if (w.gave)
		counter_kick(request->counter);
	if (granted)
		return 0;
	gate_exit(*ticket);
	return -ETIMEDOUT;
}

/* --- fork() --- */

/* The first from @w on whose thread is not in this process, or NULL. */
static struct waiter *find_gone(struct waiter *w)
{
	while (w && !thread_is_gone(w->tag))
		w = w->next;
	return w;
}

/* A handler may have forked while its thread was held: that one stays. */
void counter_after_fork(void)
{
	struct page_counter *c = waiting, *next;
	struct waiter *w;

	nr_asking = asking;
	for (; c; c = next) {
		next = c->next_waiting;
		while ((w = find_gone(c->first)))
			dequeue(w);
	}
	/* Nobody is there to take what it was granted. */
	while ((w = find_gone(on_their_way))) {
		unlink_waiter(&on_their_way, w);
		uncharge_up_to(w->request->counter, NULL, w->request->bytes);
	}
}
