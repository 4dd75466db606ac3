// SPDX-License-Identifier: MIT
/*
 * The tape of a thread: a block that it fills alone, and writes when it is
 * full. Another thread looks at it only when the process ends or is replaced;
 * its lock is for that, and otherwise nobody waits for it.
 *
 * A thread is busy while it is in here or in the allocator behind. Whatever
 * asks for memory meanwhile (the allocator itself, the C library on behalf of
 * this file, a signal handler) gets it unrecorded, and is counted: nothing in
 * here is entered twice by a thread, so that nothing waits for itself.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "recorder.h"

/* Some 8,000 events: a system call in a millisecond of a program in a hurry. */
#define TAPE_BYTES	(64UL << 10)

/**
 * struct tape - of a thread
 * @lock: of the thread for each event, of another one that flushes it
 * @tid: of the thread
 * @sequence: of the next block
 * @nested: calls since the last one
 */
struct tape {
	atomic_flag lock;
	struct tape *prev, *next;
	uint32_t tid, sequence, nested;
	struct rnt_writer writer;
	unsigned char *block;
};

#define THREAD	static __thread __attribute__((tls_model("initial-exec")))

THREAD struct tape *tape;
THREAD volatile bool busy;
/* How often the thread's end has been announced, and the tape kept. */
THREAD unsigned int announced;
/* The tape is gone: each event is a block of its own. This is its number. */
THREAD uint32_t sequence;

static struct tape *tapes;
static atomic_flag tapes_lock = ATOMIC_FLAG_INIT;
static pthread_key_t key;
static bool have_key, started, starting;
/* The process ends: whatever comes now is written at once. */
static atomic_bool closing;
/* In a page that is empty in the child of a fork(), however that was called. */
static volatile bool *same_process;

static bool try_lock(atomic_flag *flag)
{
	return !atomic_flag_test_and_set_explicit(flag, memory_order_acquire);
}

static void lock(atomic_flag *flag)
{
	while (!try_lock(flag))
		sched_yield();
}

static void unlock(atomic_flag *flag)
{
	atomic_flag_clear_explicit(flag, memory_order_release);
}

uint64_t tape_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* --- writing --- */

static void write_block(struct tape *t)
{
	struct rnt_header h = {
		.kind = RNT_EVENTS,
		.pid = file_pid(),
		.tid = t->tid,
		.sequence = t->sequence++,
		.nested = t->nested,
	};

	t->nested = 0;
	file_write(t->block, rnt_end(&t->writer, h));
}

static void flush(struct tape *t)
{
	if (t->writer.events)
		write_block(t);
	rnt_begin(&t->writer, t->block, TAPE_BYTES);
}

static void put(struct tape *t, const struct rnt_event *e)
{
	lock(&t->lock);
	rnt_put(&t->writer, e);
	if (!rnt_has_room(&t->writer) ||
	    atomic_load_explicit(&closing, memory_order_relaxed))
		flush(t);
	unlock(&t->lock);
}

/* Of a thread that has no tape any more, or never got one. */
static void put_alone(const struct rnt_event *e)
{
	unsigned char block[sizeof(struct rnt_header) + RNT_MOST_EVENT];
	struct tape t = {
		.tid = (uint32_t)gettid(),
		.sequence = sequence,
		.block = block,
	};

	rnt_begin(&t.writer, block, sizeof(block));
	rnt_put(&t.writer, e);
	write_block(&t);
	sequence = t.sequence;
}

/* --- tapes come and go with their threads --- */

static void announce_end(struct tape *t)
{
	if (have_key)
		pthread_setspecific(key, t);
}

static void link_tape(struct tape *t)
{
	lock(&tapes_lock);
	t->next = tapes;
	if (tapes)
		tapes->prev = t;
	tapes = t;
	unlock(&tapes_lock);
}

static void unlink_tape(struct tape *t)
{
	lock(&tapes_lock);
	if (t->next)
		t->next->prev = t->prev;
	if (t->prev)
		t->prev->next = t->next;
	else
		tapes = t->next;
	unlock(&tapes_lock);
}

static struct tape *new_tape(void)
{
	struct tape *t = map(sizeof(*t) + TAPE_BYTES);

	if (!t)
		return NULL;
	t->tid = (uint32_t)gettid();
	t->block = (unsigned char *)(t + 1);
	rnt_begin(&t->writer, t->block, TAPE_BYTES);
	link_tape(t);
	announce_end(t);
	return t;
}

static void renew_tape(struct tape *t)
{
	*t = (struct tape){ .tid = (uint32_t)gettid(), .block = t->block };
	rnt_begin(&t->writer, t->block, TAPE_BYTES);
	link_tape(t);
}

/* --- processes --- */

/*
 * In the child there is one thread, and what its parent's threads had on their
 * tapes is the parent's. Their locks may have been held.
 */
static void after_fork(void)
{
	atomic_flag_clear(&tapes_lock);
	tapes = NULL;
	atomic_store(&closing, false);
	file_after_fork();
	file_begin();
	sequence = 0;
	if (tape)
		renew_tape(tape);
	*same_process = true;
}

/*
 * Destructors of other keys may still free what they have: the tape stays until
 * the last round of them.
 */
static void thread_ends(void *arg)
{
	struct tape *t = arg;

	busy = true;
	if (!*same_process)
		after_fork();
	if (++announced < PTHREAD_DESTRUCTOR_ITERATIONS) {
		announce_end(t);
	} else {
		unlink_tape(t);
		lock(&t->lock);
		flush(t);
		sequence = t->sequence;
		tape = NULL;
		munmap(t, sizeof(*t) + TAPE_BYTES);
	}
	busy = false;
}

/* False where this is the child of a vfork() in its parent's memory. */
bool tape_is_own_process(void)
{
	return !tape || tape->tid == (uint32_t)gettid();
}

/*
 * Of a signal handler, which may have interrupted its own thread anywhere:
 * whether that was in the allocator, and not in here. @tapes_lock is held then.
 */
static bool is_outside(void)
{
	if (!tape || !try_lock(&tape->lock))
		return false;
	unlock(&tape->lock);
	return try_lock(&tapes_lock);
}

/* All that is on tape goes to the file, if it can. */
void tape_flush_all(void)
{
	bool was_busy = busy;
	int err = errno;

	if (!started || !*same_process || (was_busy && !is_outside()))
		return;
	busy = true;
	if (!was_busy)
		lock(&tapes_lock);
	for (struct tape *t = tapes; t; t = t->next) {
		lock(&t->lock);
		flush(t);
		unlock(&t->lock);
	}
	unlock(&tapes_lock);
	busy = was_busy;
	errno = err;
}

static void close_tapes(void)
{
	atomic_store(&closing, true);
	tape_flush_all();
}

/* Later than what the program has asked for at its exit(). */
static void __attribute__((destructor)) process_ends(void)
{
	close_tapes();
}

/* With the first call of all, when there is one thread. */
static void start(void)
{
	if (starting)
		return;
	starting = true;
	next_find();
	same_process = map(sizeof(*same_process));
	if (same_process) {
		madvise((void *)same_process, sizeof(*same_process),
			MADV_WIPEONFORK);
		*same_process = true;
		have_key = !pthread_key_create(&key, thread_ends);
		file_start();
		file_begin();
		at_quick_exit(close_tapes);
		started = true;
	}
}

/* Of a process, the first one or another. */
static bool first_call(void)
{
	int err = errno;

	if (started)
		after_fork();
	else
		start();
	errno = err;
	return started;
}

/* --- a call --- */

/**
 * tape_enter() - before a call of the allocator behind
 *
 * Return: true if it is to be recorded, and tape_leave() to be called; false
 * where it comes from within another one, or nothing can be recorded.
 */
bool tape_enter(void)
{
	if (busy) {
		if (tape)
			tape->nested++;
		return false;
	}
	busy = true;
	if (started && *same_process)
		return true;
	busy = first_call();
	return busy;
}

void tape_leave(void)
{
	busy = false;
}

/* Between the two. */
void tape_record(const struct rnt_event *e)
{
	int err = errno;

	if (!tape && announced < PTHREAD_DESTRUCTOR_ITERATIONS)
		tape = new_tape();
	if (tape)
		put(tape, e);
	else
		put_alone(e);
	errno = err;
}
