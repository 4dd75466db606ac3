// SPDX-License-Identifier: MIT
/*
 * A process that runs is asked to give back what it does not need: by a number
 * that is written into its memory, where it looks at the end of slow paths and
 * in its background thread (mm/stats_shm.c).
 *
 * Two that ask within microseconds may have the same number; what is done then
 * is done for both. Nothing is written but to memory of the process, wherever
 * it says that the number is.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "process.h"
#include "slabinfo.h"

/* From a request until it is begun with at the latest, and until it is done. */
#define BEGIN_MS	2000
#define DONE_MS		60000

#define LOOK_MS		5

static bool is_later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct stats_shrink look(const struct process *p, unsigned int copy)
{
	struct reader r = { .process = p };
	struct stats_shrink shrink;

	if (!fetch(&r, p->copy[copy].shrink, &shrink, sizeof(shrink)))
		die(r.state == ENDED ? "process %s: it has ended" :
		    "process %s: what it publishes makes no sense", p->name);
	return shrink;
}

static void write_asked(const struct process *p, unsigned int copy, uint32_t n)
{
	uint64_t at = p->copy[copy].shrink +
		      offsetof(struct stats_shrink, asked);

	errno = 0;
	if (pwrite(p->mem, &n, sizeof(n), (off_t)at) != sizeof(n))
		die("process %s: it cannot be asked: %s", p->name,
		    errno ? strerror(errno) : "it has ended");
}

/* The number of the request. */
static uint32_t ask(const struct process *p, unsigned int copy)
{
	struct stats_shrink now = look(p, copy);
	uint32_t n = 1 + (is_later(now.asked, now.begun) ? now.asked :
			  now.begun);

	write_asked(p, copy, n);
	return n;
}

/* What nobody has begun with, unless somebody else has asked since. */
static void withdraw(const struct process *p, unsigned int copy, uint32_t n)
{
	struct stats_shrink now = look(p, copy);

	if (now.asked == n && is_later(n, now.begun))
		write_asked(p, copy, now.begun);
}

/* False: that is not so by then. */
static bool wait_until(const struct process *p, unsigned int copy, uint32_t n,
		       bool done, uint64_t then)
{
	static const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };
	struct stats_shrink now = look(p, copy);

	while (is_later(n, done ? now.done : now.begun)) {
		if (now_ms() >= then)
			return false;
		nanosleep(&pause, NULL);
		now = look(p, copy);
	}
	return true;
}

static void give_up(const struct process *p, const uint32_t *asked)
{
	for (unsigned int copy = 0; copy < p->nr; copy++)
		withdraw(p, copy, asked[copy]);
	die("process %s has not shrunk: it allocated nothing by a slow path "
	    "within %d s, nor did a background thread of its library look; it "
	    "is not asked any more", p->name, BEGIN_MS / 1000);
}

void shrink_process(const struct process *p)
{
	uint64_t start = now_ms();
	uint32_t asked[MOST_COPIES];

	for (unsigned int copy = 0; copy < p->nr; copy++)
		asked[copy] = ask(p, copy);
	for (unsigned int copy = 0; copy < p->nr; copy++)
		if (!wait_until(p, copy, asked[copy], false, start + BEGIN_MS))
			give_up(p, asked);
	for (unsigned int copy = 0; copy < p->nr; copy++)
		if (!wait_until(p, copy, asked[copy], true, start + DONE_MS))
			die("process %s: it has begun to shrink, and is not "
			    "done within %d s", p->name, DONE_MS / 1000);
}
