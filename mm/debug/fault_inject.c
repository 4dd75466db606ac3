// SPDX-License-Identifier: MIT
/*
 * Which calls fail on purpose.
 *
 * Lock: fault_lock, a leaf, covers what is set and what is counted. The stack
 * is looked at without it.
 */
#define _GNU_SOURCE
#include "fault_inject.h"
#include "slab_debug.h"
#include "slab_hooks.h"

#include <rn/fault_inject.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const fault_names[NR_FAULT_KINDS] = {
	"failslab", "fail_page_alloc", "fail_meta", "fail_mmap", "fail_mbind",
	"fail_populate", "fail_thread",
};

const char *const fault_options[NR_FAULT_KINDS] = {
	"RN_FAILSLAB", "RN_FAIL_PAGE_ALLOC", "RN_FAIL_META", "RN_FAIL_MMAP",
	"RN_FAIL_MBIND", "RN_FAIL_POPULATE", "RN_FAIL_THREAD",
};

unsigned int faults_armed;

static struct lock fault_lock;
static struct fault_attr attrs[NR_FAULT_KINDS];
static __thread bool is_task;		/* rn_fault_task() */
static pid_t once_in;			/* the process that had its failure */

/**
 * struct fault_call - one that may fail
 * @kind: of what
 * @size: as the kind counts it
 * @c: the cache, or NULL
 * @caller: who called the library, or NULL where that is not known
 * @frames: the stack, where a filter or the report wants it
 * @nr: of @frames
 */
struct fault_call {
	enum fault_kind kind;
	size_t size;
	const struct rn_cache *c;
	const void *caller;
	const void *frames[STACK_MAX];
	unsigned int nr;
};

/* --- filters --- */

static bool is_below(const struct fault_call *call,
		     const struct fault_stack *stack)
{
	for (unsigned int i = 0; i < call->nr; i++) {
		uintptr_t at = (uintptr_t)call->frames[i];

		/* Behind the call, which may be the function's last. */
		if (at > stack->from && at <= stack->to)
			return true;
	}
	return false;
}

static bool is_of_cache(const struct fault_attr *a, const struct rn_cache *c)
{
	if (!*a->cache && !a->cache_filter)
		return true;
	if (!c || (a->cache_filter && !(c->flags & RN_FAILSLAB)))
		return false;
	return !*a->cache ||
		slab_name_matches(a->cache, strlen(a->cache), c->name);
}

static bool passes(const struct fault_attr *a, const struct fault_call *call)
{
	if (a->task_filter && !is_task)
		return false;
	if (!is_of_cache(a, call->c))
		return false;
	if (*a->require.name && !is_below(call, &a->require))
		return false;
	return !*a->reject.name || !is_below(call, &a->reject);
}

/* --- chance and numbers --- */

static bool by_chance(const struct fault_attr *a)
{
	u64 number = fault_hash(a->seed + a->calls * 0x9e3779b97f4a7c15);

	return number % 100 < (u64)a->probability;
}

/* Under fault_lock, of a call that is counted. */
static bool is_due(struct fault_attr *a, size_t size)
{
	if (a->nth)
		return a->calls == (u64)a->nth;
	if (a->times >= 0 && a->failed >= (u64)a->times)
		return false;
	if ((size_t)a->space > size) {
		a->space -= size;
		return false;
	}
	a->space = 0;
	a->tried++;
	return a->tried % a->interval == 0 && by_chance(a);
}

static bool had_its_once(void)
{
	return READ_ONCE(once_in) == syscall(SYS_getpid);
}

/* Under fault_lock. Without a stack one place is like the other. */
static bool is_new(const struct fault_attr *a, const struct fault_call *call)
{
	if (!a->places)
		return true;
	if (had_its_once() || !call->nr ||
	    !fault_place_add(a, call->kind, call->frames, call->nr))
		return false;
	WRITE_ONCE(once_in, syscall(SYS_getpid));
	return true;
}

/* --- the report --- */

static void fault_say(const struct fault_attr *a, const struct fault_call *call)
{
	report("FAULT_INJECTION: forcing a failure: name %s, interval %ld, "
	       "probability %ld, space %ld, times %ld, nth %ld, seed %ld, "
	       "call %lu, size %zu%s%s", fault_names[call->kind], a->interval,
	       a->probability, a->space, a->times, a->nth, a->seed,
	       (unsigned long)a->calls, call->size, call->c ? ", " : "",
	       call->c ? call->c->name : "");
	if (a->verbose > 1)
		report_trace(call->caller);
}

void fault_say_counts(void)
{
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++) {
		const struct fault_attr *a = &attrs[kind];

		if (READ_ONCE(faults_armed) & 1U << kind && a->verbose)
			report("FAULT_INJECTION: %s: %lu calls, %lu failed",
			       fault_names[kind],
			       (unsigned long)READ_ONCE(a->calls),
			       (unsigned long)READ_ONCE(a->failed));
	}
}

static bool wants_stack(enum fault_kind kind)
{
	const struct fault_attr *a = &attrs[kind];
	bool wants;

	lock(&fault_lock);
	wants = *a->require.name || *a->reject.name ||
		(a->places && !had_its_once());
	unlock(&fault_lock);
	return wants;
}

static noinline bool call_is_due(struct fault_call *call)
{
	struct fault_attr *a = &attrs[call->kind], as_it_was;
	unsigned int ticket = gate_enter();
	bool due = false;

	if (wants_stack(call->kind))
		call->nr = stack_unwind(call->frames);
	lock(&fault_lock);
	if (faults_armed & 1U << call->kind && passes(a, call)) {
		a->calls++;
		due = is_due(a, call->size) && is_new(a, call);
		a->failed += due;
		as_it_was = *a;
	}
	unlock(&fault_lock);
	gate_exit(ticket);
	if (due && as_it_was.verbose)
		fault_say(&as_it_was, call);
	if (due)
		errno = call->kind == FAULT_THREAD ? EAGAIN : ENOMEM;
	return due;
}

/* Its frames are left as they are: there are many. */
static void call_begin(struct fault_call *call, enum fault_kind kind,
		       size_t size)
{
	call->kind = kind;
	call->size = size;
	call->c = NULL;
	call->caller = NULL;
	call->nr = 0;
}

bool fault_is_due(enum fault_kind kind, size_t size)
{
	struct fault_call call;

	call_begin(&call, kind, size);
	return call_is_due(&call);
}

bool failslab_is_due(const struct rn_cache *c, size_t size, rn_gfp_t flags,
		     const void *caller)
{
	struct fault_call call;

	/* For what is charged, it was asked before, and may be tried again. */
	if (flags & (RN_NOFAIL | GFP_CHARGED))
		return false;
	call_begin(&call, FAULT_SLAB, size);
	call.c = c;
	call.caller = caller;
	return call_is_due(&call);
}

/* --- setting --- */

static int kind_of(const char *name)
{
	for (int i = 0; name && i < NR_FAULT_KINDS; i++)
		if (!strcmp(name, fault_names[i]))
			return i;
	return -ENOENT;
}

/* NULL: it is off. */
static void arm(enum fault_kind kind, const struct fault_attr *attr)
{
	unsigned int bit = 1U << kind, ticket = gate_enter();

	lock(&fault_lock);
	if (attr) {
		fault_places_close(&attrs[kind]);
		attrs[kind] = *attr;
	}
	WRITE_ONCE(faults_armed, attr ? faults_armed | bit :
			faults_armed & ~bit);
	unlock(&fault_lock);
	gate_exit(ticket);
	if (kind == FAULT_SLAB)
		slab_hook_set(HOOK_FAILSLAB, attr != NULL);
}

static void read_option(enum fault_kind kind)
{
	const char *value = secure_getenv(fault_options[kind]), *wrong;
	struct fault_attr attr;
	int ret;

	if (!value)
		return;
	wrong = fault_attr_parse(&attr, value);
	if (wrong) {
		report("%s=%s: not understood from \"%s\" on; ignored",
		       fault_options[kind], value, wrong);
		return;
	}
	ret = fault_places_open(&attr);
	if (ret)
		report("%s: %s: %s; ignored", fault_options[kind], attr.once,
		       error_text(-ret));
	else
		arm(kind, &attr);
}

void fault_inject_init(void)
{
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++)
		read_option(kind);
}

/* The first moment at which functions can be looked for, and before threads. */
static void find_stack(enum fault_kind kind, struct fault_stack *stack)
{
	if (!*stack->name)
		return;
	if (!fault_stack_find(stack))
		report("%s: there is no function %s", fault_options[kind],
		       stack->name);
}

static __attribute__((constructor)) void fault_constructor(void)
{
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++) {
		const char *value = secure_getenv(fault_options[kind]);

		if (!value)
			continue;
		/* The start has its places, too, whenever that will be. */
		stack_prepare();
		if (!strstr(value, "stack=") && !strstr(value, "reject="))
			continue;
		mm_init();
		find_stack(kind, &attrs[kind].require);
		find_stack(kind, &attrs[kind].reject);
	}
}

/* --- the public functions --- */

/**
 * rn_fault_set() - make calls fail, or no more
 * @name: "failslab", "fail_page_alloc", "fail_meta", "fail_mmap",
 *	"fail_mbind", "fail_populate" or "fail_thread"
 * @how: "key=value,..." or "interval,probability,space,times"; NULL: no more
 *
 * What was counted before is forgotten, unless @how is NULL. Before the first
 * other call of the library, how it starts can be tried, too.
 *
 * Context: MT-safe, not async-signal-safe.
 * Return: 0, or -EINVAL: no such name, or @how cannot be understood; then
 * nothing has changed. -ENOENT: a function that is named is not found, or no
 * folder for the file of once; others of open() and mmap() for that.
 */
RN_API int rn_fault_set(const char *name, const char *how)
{
	int kind = kind_of(name);
	struct fault_attr attr;
	int ret;

	if (kind < 0)
		return -EINVAL;
	if (!how) {
		arm(kind, NULL);
		return 0;
	}
	if (fault_attr_parse(&attr, how))
		return -EINVAL;
	stack_prepare();
	if (!fault_stack_find(&attr.require) ||
	    !fault_stack_find(&attr.reject))
		return -ENOENT;
	ret = fault_places_open(&attr);
	if (!ret)
		arm(kind, &attr);
	return ret;
}

/**
 * rn_fault_count() - how many calls failed since they were made to
 * @name: as for rn_fault_set()
 *
 * Context: MT-safe, not async-signal-safe.
 * Return: how many, also after they fail no more; -EINVAL: no such name.
 */
RN_API long rn_fault_count(const char *name)
{
	int kind = kind_of(name);
	unsigned int ticket;
	long failed;

	if (kind < 0)
		return -EINVAL;
	ticket = gate_enter();
	lock(&fault_lock);
	failed = attrs[kind].failed;
	unlock(&fault_lock);
	gate_exit(ticket);
	return failed;
}

/**
 * rn_fault_task() - is the calling thread one whose calls may fail?
 * @on: 0 for no, which every thread begins with
 *
 * It counts where task-filter=1 was said.
 *
 * Context: MT-safe, async-signal-safe.
 */
RN_API void rn_fault_task(int on)
{
	is_task = on;
}
