// SPDX-License-Identifier: MIT
/*
 * How long requests are held: a group at its max, and threads that each ask for
 * one object more. The owner of what is there frees one object at a time, waits
 * for whoever got it to return, and has it again for the next round.
 *
 * The threads come one after the other: the next one is let go when the one
 * before is held and asleep. So it is known in which order they came, and that
 * each free wakes a thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <rn/memcg.h>
#include <rn/slab.h>
#include "held.h"
#include "slabbench.h"

#define HELD_BYTES	256

struct stage;

/**
 * struct waiter - a thread that asks when it is told to
 * @go: posted for each request
 * @tid: of the thread
 * @object: what it got, or NULL with
 * @error: why not, else 0
 * @back_ns: when
 */
struct waiter {
	struct stage *stage;
	pthread_t thread;
	sem_t go;
	pid_t tid;
	void *object;
	int error;
	uint64_t back_ns;
};

/**
 * struct stage - a group at its max, and who waits for what is in it
 * @max: waiters that there are to be, and objects that fit
 * @waiter: @nr of them are running
 * @object: all that is in the group
 * @back: posted by each thread that is ready, and after each request
 * @served: how many requests have returned in this round
 * @order: whose they were
 * @over: the threads are to end
 */
struct stage {
	struct rn_memcg *group;
	size_t size;
	unsigned int max, nr;
	struct waiter *waiter;
	void **object;
	sem_t back;
	unsigned int served;
	struct waiter **order;
	bool over;
};

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) && errno == EINTR)
		;
}

/* --- who waits --- */

static void ask(struct waiter *w)
{
	struct stage *s = w->stage;
	unsigned int place;

	w->object = rn_memcg_alloc(s->group, s->size, RN_KERNEL);
	w->back_ns = now_ns();
	w->error = w->object ? 0 : errno;
	place = __atomic_fetch_add(&s->served, 1, __ATOMIC_RELAXED);
	s->order[place] = w;
	sem_post(&s->back);
}

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;
	struct stage *s = w->stage;

	w->tid = gettid();
	sem_post(&s->back);
	for (;;) {
		wait_for(&w->go);
		if (__atomic_load_n(&s->over, __ATOMIC_ACQUIRE))
			return NULL;
		ask(w);
	}
}

/* --- the stage --- */

static int say(const char *what, int error)
{
	fprintf(stderr, "slabbench: held requests: %s%s%s\n", what,
		error ? ": " : "", error ? strerror(error) : "");
	return -1;
}

/* As many objects as there are to be waiters, and no room for another. */
static int fill(struct stage *s)
{
	void *one = rn_alloc(HELD_BYTES, RN_KERNEL);

	if (!one)
		return say("no memory", errno);
	s->size = rn_size(one);
	rn_free(one);
	s->group = rn_memcg_create(NULL, "held");
	if (!s->group)
		return say("cannot make a group", errno);
	rn_memcg_set(s->group, RN_MEMCG_MAX, s->max * s->size);
	for (unsigned int i = 0; i < s->max; i++) {
		s->object[i] = rn_memcg_alloc(s->group, s->size, RN_KERNEL);
		if (!s->object[i])
			return say("a group has no room up to its max", errno);
	}
	return 0;
}

static int start_waiter(struct stage *s)
{
	struct waiter *w = &s->waiter[s->nr];
	int err;

	w->stage = s;
	sem_init(&w->go, 0, 0);
	err = pthread_create(&w->thread, NULL, waiter_main, w);
	if (err)
		return say("cannot start a thread", err);
	s->nr++;
	wait_for(&s->back);
	return 0;
}

static int set_up(struct stage *s)
{
	sem_init(&s->back, 0, 0);
	s->waiter = calloc(s->max, sizeof(*s->waiter));
	s->object = calloc(s->max, sizeof(*s->object));
	s->order = calloc(s->max, sizeof(*s->order));
	if (!s->waiter || !s->object || !s->order)
		return say("no memory", errno);
	if (fill(s))
		return -1;
	while (s->nr < s->max)
		if (start_waiter(s))
			return -1;
	return 0;
}

/* After a failure some still wait: without a max, all get what they want. */
static void take_down(struct stage *s)
{
	if (s->group)
		rn_memcg_set(s->group, RN_MEMCG_MAX, RN_MEMCG_NO_LIMIT);
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < s->nr; i++)
		sem_post(&s->waiter[i].go);
	for (unsigned int i = 0; i < s->nr; i++)
		pthread_join(s->waiter[i].thread, NULL);
	rn_memcg_destroy(s->group, RN_MEMCG_FREE);
	free(s->waiter);
	free(s->object);
	free(s->order);
}

/* --- a round --- */

static bool is_asleep(pid_t tid)
{
	char path[64], text[128] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/*
 * Lets one ask, and waits until it is held: counted as such, and asleep. Then it
 * is in the queue, since there is nothing but its turn that it would sleep for.
 */
static int let_ask(struct stage *s, struct waiter *w)
{
	unsigned long before = rn_memcg_event(s->group, RN_MEMCG_EVENT_HELD);

	sem_post(&w->go);
	while (rn_memcg_event(s->group, RN_MEMCG_EVENT_HELD) == before ||
	       !is_asleep(w->tid)) {
		if (!sem_trywait(&s->back))
			return say("one was not held", w->error);
		sched_yield();
	}
	return 0;
}

/* Frees the @i-th object, which is that of the @i-th who came. */
static int serve(struct stage *s, unsigned int i, struct held *held)
{
	uint64_t start = now_ns();
	struct waiter *w;

	rn_free(s->object[i]);
	wait_for(&s->back);
	w = s->order[i];
	s->object[i] = w->object;
	if (!w->object)
		return say("one was declined", w->error);
	latency_add(LATENCY_ALLOC, w->back_ns - start);
	held->out_of_order += w != &s->waiter[i];
	return 0;
}

static int run_round(struct stage *s, struct held *held)
{
	s->served = 0;
	for (unsigned int i = 0; i < s->nr; i++)
		if (let_ask(s, &s->waiter[i]))
			return -1;
	for (unsigned int i = 0; i < s->nr; i++)
		if (serve(s, i, held))
			return -1;
	return 0;
}

/**
 * held_measure() - how long requests are held
 * @held: what was seen
 * @waiters: threads that wait at a time
 * @waits: requests, at least; each thread has as many of them
 *
 * Return: 0, or -1 after a message on stderr, or without one if interrupted().
 */
int held_measure(struct held *held, unsigned int waiters, uint64_t waits)
{
	uint64_t rounds = (waits + waiters - 1) / waiters;
	struct stage s = { .max = waiters };
	int ret = set_up(&s);

	held->waiters = waiters;
	held->size = s.size;
	held->out_of_order = 0;
	latency_start(&held->latency);
	while (!ret && rounds--)
		ret = interrupted() ? -1 : run_round(&s, held);
	latency_stop();
	take_down(&s);
	return ret;
}

/* Another run with as many waiters; into one that was none yet, too. */
void held_merge(struct held *to, const struct held *from)
{
	if (!to->waiters) {
		*to = *from;
		return;
	}
	to->out_of_order += from->out_of_order;
	latency_merge(&to->latency, &from->latency);
}
