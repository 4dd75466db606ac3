// SPDX-License-Identifier: MIT
/*
 * The futex calls of a run by the kernel's tracepoints at their entry and
 * exit: which of them wait, and for how long.
 *
 * The events are opened, switched off, in this process, and inherited by the
 * measured one, where its exec() switches them on: no call is missed. A ring
 * that is inherited has to belong to a CPU, and a thread may wake up on
 * another one than it fell asleep on; so the rings are read side by side, in
 * the order of time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "trace.h"

/* Of a CPU; a user has no more than kernel.perf_event_mlock_kb for all. */
#define MOST_RING	(4U << 20)
#define LEAST_RING	(128U << 10)
#define MAX_RECORD	512

/* A futex call that has not come back. */
struct call {
	uint32_t tid;
	bool waits;
	uint64_t since_ns;
};

/* A sample is what PERF_SAMPLE_* below ask for. */
struct record {
	struct perf_event_header header;
	union {
		struct {
			uint32_t pid, tid;
			uint64_t time_ns;
			uint32_t raw_bytes;
			unsigned char raw[MAX_RECORD - 28];
		};
		struct {
			uint64_t id, lost;
		};
	};
};

struct ring {
	int enter, exit;		/* descriptors; both write to the one */
	struct perf_event_mmap_page *page;
	size_t bytes;			/* behind @page */
	uint64_t head, tail;
	struct record next;		/* the one at @tail, if that is not @head */
};

struct tracepoint {
	unsigned int enter_id, exit_id, op_offset;
	bool skip_main;
	unsigned int nr_rings;
	struct ring *ring;
	size_t nr_calls, max_calls;
	struct call *call;
	struct futexes sum;
};

static const char *const tracefs[] = {
	"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
};

/*
 * The number of an event and, if asked for, where its field "op" is. 0, or -1
 * with errno.
 */
static int read_format(const char *event, unsigned int *id, unsigned int *op)
{
	char path[128], line[256];
	int missing = 1 + !!op;
	FILE *f = NULL;

	for (size_t i = 0; !f && i < ARRAY_SIZE(tracefs); i++) {
		snprintf(path, sizeof(path), "%s/events/syscalls/%s/format",
			 tracefs[i], event);
		f = fopen(path, "re");
		if (!f && errno != ENOENT)
			return -1;
	}
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		missing -= sscanf(line, "ID: %u", id) == 1;
		if (op)
			missing -= sscanf(line, " field:int op; offset:%u;",
					  op) == 1;
	}
	fclose(f);
	if (!missing)
		return 0;
	errno = ENOENT;
	return -1;
}

static bool tracefs_mounted(void)
{
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(tracefs); i++) {
		snprintf(path, sizeof(path), "%s/events", tracefs[i]);
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

static int event_open(unsigned int id, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.config = id,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
			PERF_SAMPLE_RAW,
		.disabled = 1,
		.enable_on_exec = 1,
		.inherit = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

	return syscall(SYS_perf_event_open, &attr, 0, cpu, -1,
		       PERF_FLAG_FD_CLOEXEC);
}

static void ring_close(struct ring *r)
{
	if (r->page != MAP_FAILED)
		munmap(r->page, sysconf(_SC_PAGESIZE) + r->bytes);
	if (r->enter >= 0)
		close(r->enter);
	if (r->exit >= 0)
		close(r->exit);
}

/* The largest that there may be; 0, or -1 with errno. */
static int ring_map(struct ring *r)
{
	for (r->bytes = MOST_RING; r->bytes >= LEAST_RING; r->bytes /= 2) {
		r->page = mmap(NULL, sysconf(_SC_PAGESIZE) + r->bytes,
			       PROT_READ | PROT_WRITE, MAP_SHARED, r->enter, 0);
		if (r->page != MAP_FAILED)
			return 0;
	}
	return -1;
}

/* 0, or -1 with errno: ENODEV where the CPU is not online. */
static int ring_open(struct ring *r, const struct tracepoint *t, int cpu)
{
	int err;

	*r = (struct ring){ .exit = -1, .page = MAP_FAILED };
	r->enter = event_open(t->enter_id, cpu);
	if (r->enter >= 0)
		r->exit = event_open(t->exit_id, cpu);
	if (r->exit >= 0 && !ring_map(r) &&
	    !ioctl(r->exit, PERF_EVENT_IOC_SET_OUTPUT, r->enter))
		return 0;
	err = errno;
	ring_close(r);
	errno = err;
	return -1;
}

/* 0, or -1 with errno. */
static int open_rings(struct tracepoint *t)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	t->ring = calloc(cpus, sizeof(*t->ring));
	if (!t->ring)
		return -1;
	for (long cpu = 0; cpu < cpus; cpu++) {
		if (!ring_open(&t->ring[t->nr_rings], t, cpu))
			t->nr_rings++;
		else if (errno != ENODEV)
			return -1;
	}
	return t->nr_rings ? 0 : -1;
}

static const char *why_not(int err)
{
	if (!tracefs_mounted())
		return err == EACCES ? "tracefs is for root alone" :
			"tracefs is not mounted (mount -t tracefs nodev /sys/kernel/tracing)";
	if (err == ENOENT)
		return "the kernel has no tracepoints of system calls (CONFIG_FTRACE_SYSCALLS)";
	if (err == EACCES || err == EPERM)
		return "this user may not read tracepoints (root may, or kernel.perf_event_paranoid=-1 and a tracefs to read)";
	return strerror(err);
}

/**
 * tracepoint_open() - before the process that is to be traced is started
 * @skip_main: its main thread does nothing but wait for the others
 * @why: where it is not possible: the reason
 *
 * Return: for tracepoint_close(), or NULL.
 */
struct tracepoint *tracepoint_open(bool skip_main, const char **why)
{
	struct tracepoint *t = calloc(1, sizeof(*t));

	if (t && !read_format("sys_enter_futex", &t->enter_id, &t->op_offset) &&
	    !read_format("sys_exit_futex", &t->exit_id, NULL) &&
	    !open_rings(t)) {
		t->skip_main = skip_main;
		return t;
	}
	*why = why_not(errno);
	if (t)
		tracepoint_close(t);
	return NULL;
}

void tracepoint_close(struct tracepoint *t)
{
	for (unsigned int i = 0; i < t->nr_rings; i++)
		ring_close(&t->ring[i]);
	free(t->ring);
	free(t->call);
	free(t);
}

static bool op_waits(uint32_t op)
{
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return true;
	default:
		return false;
	}
}

static void enter(struct tracepoint *t, const struct record *r)
{
	struct call *more;
	uint32_t op;

	memcpy(&op, r->raw + t->op_offset, sizeof(op));
	t->sum.calls++;
	t->sum.waits += op_waits(op);
	if (t->nr_calls == t->max_calls) {
		more = realloc(t->call, (t->max_calls + 64) * sizeof(*more));
		if (!more) {
			t->sum.lost++;
			return;
		}
		t->call = more;
		t->max_calls += 64;
	}
	t->call[t->nr_calls++] = (struct call){
		.tid = r->tid, .waits = op_waits(op), .since_ns = r->time_ns,
	};
}

static void leave(struct tracepoint *t, const struct record *r)
{
	for (size_t i = 0; i < t->nr_calls; i++) {
		struct call *c = &t->call[i];

		if (c->tid != r->tid)
			continue;
		t->sum.in_calls_ns += r->time_ns - c->since_ns;
		if (c->waits)
			t->sum.blocked_ns += r->time_ns - c->since_ns;
		*c = t->call[--t->nr_calls];
		return;
	}
}

static void add(struct tracepoint *t, const struct record *r)
{
	uint16_t id;

	if (r->header.type == PERF_RECORD_LOST) {
		t->sum.lost += r->lost;
		return;
	}
	if (r->header.type != PERF_RECORD_SAMPLE ||
	    (t->skip_main && r->pid == r->tid))
		return;
	memcpy(&id, r->raw, sizeof(id));
	if (id == t->enter_id)
		enter(t, r);
	else if (id == t->exit_id)
		leave(t, r);
}

/* Copies the next record, which may go on at the start of the ring. */
static void peek(struct ring *r)
{
	const char *data = (const char *)r->page + r->page->data_offset;
	size_t at = r->tail % r->bytes, len, first;

	if (r->tail == r->head)
		return;
	memcpy(&r->next.header, data + at, sizeof(r->next.header));
	len = r->next.header.size;
	if (len > sizeof(r->next))
		len = sizeof(r->next);
	first = len < r->bytes - at ? len : r->bytes - at;
	memcpy(&r->next, data + at, first);
	memcpy((char *)&r->next + first, data, len - first);
}

/* That of records were lost has no time: it comes at once. */
static uint64_t time_of(const struct ring *r)
{
	return r->next.header.type == PERF_RECORD_SAMPLE ? r->next.time_ns : 0;
}

static struct ring *earliest(struct tracepoint *t)
{
	struct ring *first = NULL;

	for (unsigned int i = 0; i < t->nr_rings; i++) {
		struct ring *r = &t->ring[i];

		if (r->tail != r->head &&
		    (!first || time_of(r) < time_of(first)))
			first = r;
	}
	return first;
}

/**
 * tracepoint_read() - takes what the kernel has written; often, or it is full
 * @until_ns: CLOCK_MONOTONIC; what is later stays for the next time, as a
 *	ring that was looked at before could have got something earlier
 */
void tracepoint_read(struct tracepoint *t, uint64_t until_ns)
{
	struct ring *r;

	for (unsigned int i = 0; i < t->nr_rings; i++) {
		r = &t->ring[i];
		r->head = __atomic_load_n(&r->page->data_head,
					  __ATOMIC_ACQUIRE);
		peek(r);
	}
	while ((r = earliest(t)) && time_of(r) < until_ns) {
		add(t, &r->next);
		r->tail += r->next.header.size;
		__atomic_store_n(&r->page->data_tail, r->tail,
				 __ATOMIC_RELEASE);
		peek(r);
	}
}

/* When the process has ended. */
struct futexes tracepoint_sum(struct tracepoint *t)
{
	tracepoint_read(t, UINT64_MAX);
	return t->sum;
}
