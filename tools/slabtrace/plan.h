/* SPDX-License-Identifier: MIT */
/*
 * What the threads of a replay do, made from a trace once and read by each
 * measured process.
 *
 * A thread has its own operations in their order. Between threads there are
 * epochs: stretches of the recorded order that are short enough to be left to
 * the threads. In an epoch an operation waits only where it needs an object
 * that another thread has had in the same epoch. The next epoch begins when all
 * have done what they had in this one.
 *
 * So that no more bytes are live in a replay than were, an epoch ends before
 * all its allocations together, without its frees, could exceed the recorded
 * peak; and so that as many are, it ends where the peak was reached.
 */
#ifndef SLABTRACE_PLAN_H
#define SLABTRACE_PLAN_H

#include <stddef.h>
#include <stdint.h>

/* How far one thread may get ahead of another; events. */
#define EPOCH_EVENTS	4096

enum plan_kind {
	PLAN_ALLOC,
	PLAN_CALLOC,
	PLAN_ALIGNED,
	PLAN_RESIZE,
	PLAN_FREE,
	PLAN_BEGIN,		/* epoch: wait until the one before is over */
	PLAN_END,		/* epoch: this thread has no more in it */
	PLAN_WAIT,		/* thread: wait until it is beyond an operation */
	PLAN_START,		/* thread */
};

/**
 * struct plan_op - an operation
 * @kind: enum plan_kind
 * @shift: of PLAN_ALIGNED: the power of two
 * @slot: the object's; or a thread
 * @size: bytes; or an epoch, or the operation's index
 */
struct plan_op {
	uint8_t kind, shift;
	uint32_t slot;
	uint64_t size;
};

/* Of a thread: operations [first, first + nr) of all. */
struct plan_thread {
	uint64_t first, nr;
};

/**
 * struct plan_head - what the file begins with
 * @nr_epochs: each with a number of threads, which follow as uint32_t
 * @first: the thread that starts the others
 * @calls: of the allocator
 * @peak: bytes, as recorded
 * @end: bytes live at the end
 *
 * Behind it: the threads, the operations, and the epochs.
 */
struct plan_head {
	uint64_t nr_threads, nr_ops, nr_epochs, nr_slots;
	uint64_t first, calls, peak, end;
};

/* The same, in memory. */
struct plan {
	const struct plan_head *head;
	const struct plan_thread *thread;
	const struct plan_op *op;
	const uint32_t *epoch;
};

struct trace;
struct totals;

int plan_make(const struct trace *t, struct totals *sum,
	      struct plan_head *head);
int plan_map(struct plan *p, int fd);

#endif /* SLABTRACE_PLAN_H */
