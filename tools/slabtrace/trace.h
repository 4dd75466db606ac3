/* SPDX-License-Identifier: MIT */
/*
 * Traces as they are read: the blocks of a file, the events of all threads in
 * one order, and the objects that they are about.
 */
#ifndef SLABTRACE_TRACE_H
#define SLABTRACE_TRACE_H

#include <stdio.h>
#include "format.h"

/**
 * struct trace_thread - the blocks of a thread, as offsets into the file
 * @tid: of which there may be several, one after the other
 */
struct trace_thread {
	uint32_t tid;
	size_t nr_blocks, max_blocks;
	size_t *block;
};

/**
 * struct trace - a file in memory
 * @bytes: up to the end of the last whole block
 * @cut: bytes behind that
 * @nested: calls that were made within others, and not recorded
 * @text: of the process, lines of key=value
 */
struct trace {
	const char *name;
	unsigned char *data;
	size_t bytes, cut;
	bool mapped;
	size_t mapped_bytes;
	uint32_t pid;
	uint64_t events, nested, first_ns;
	size_t nr_threads;
	struct trace_thread *thread;
	char *text;
};

/* load.c: each returns 0, or -1 after a message on stderr. */
int trace_load(struct trace *t, const char *name);
void trace_free(struct trace *t);
bool refuses_output(const char *name);
bool is_input(const char *to, const char *from);
/* zst.c */
int zst_read(const char *name, unsigned char **data, size_t *bytes);

/**
 * struct object - what is live
 * @size: bytes asked for
 * @slot: where a replay keeps it
 * @thread: who changed it last, with
 * @op: its operation of that number, and in
 * @epoch: this one
 */
struct object {
	uint64_t address, size;
	uint32_t slot, thread;
	uint64_t op, epoch;
};

/* objects.c: live objects by address; pointers are valid until the next add. */
struct objects {
	size_t n, len;			/* @len is a power of two */
	struct object *table;
};
struct object *objects_find(const struct objects *o, uint64_t address);
struct object *objects_add(struct objects *o, uint64_t address);
void objects_remove(struct objects *o, struct object *obj);
void objects_free(struct objects *o);

/* What an event does to the objects. */
enum effect {
	EFFECT_NONE,		/* it failed, or freed what nobody allocated */
	EFFECT_NEW,
	EFFECT_RESIZE,
	EFFECT_FREE,
};

/**
 * struct step - the next event in the order of all threads
 * @thread: an index
 * @event: as recorded
 * @effect: what of it is done
 * @before: of EFFECT_RESIZE and EFFECT_FREE: the object's size until then
 * @implied: nobody made this call: the object's memory was handed out again,
 *	so it must have been freed
 */
struct step {
	unsigned int thread;
	struct rnt_event event;
	enum effect effect;
	uint64_t before;
	bool implied;
};

/*
 * What is told of each step. @obj is what EFFECT_NEW has just made, what
 * EFFECT_RESIZE and EFFECT_FREE are about to change, or NULL; slot, thread, op
 * and epoch are the caller's. Anything but 0 ends it.
 */
typedef int (*step_fn)(void *arg, const struct step *s, struct object *obj);

/**
 * struct order - the events of all threads, merged
 * @foreign: frees and reallocs of what was allocated before or elsewhere
 * @lost: objects whose memory was handed out again without a free
 * @failed: allocations that did not succeed
 * @waited: events that came before what they depend on, and were put behind it
 */
struct order {
	const struct trace *trace;
	struct cursor *cursor;		/* of each thread */
	struct cursor **heap;		/* of those that have events left */
	size_t nr_heap;
	step_fn fn;
	void *arg;
	struct objects objects;
	uint64_t foreign, lost, failed, waited;
};

/* order.c: 0, what the function returned, or -1 after a message on stderr. */
int order_run(struct order *o, const struct trace *t, step_fn fn, void *arg);

/**
 * struct totals - what a trace comes to
 * @calls: by enum rnt_kind
 * @allocated: bytes, over all allocations and growth
 * @peak: the most that was live at a time; bytes
 * @peak_at: the step that first reached it, from 1
 * @end: live at the end; bytes
 * @most_objects: at a time
 */
struct totals {
	uint64_t calls[NR_RNT_KINDS];
	uint64_t allocated, live, peak, end;
	uint64_t step, peak_at;
	uint64_t objects, most_objects;
	uint64_t foreign, lost, failed, waited;
	uint64_t first_ns, last_ns;
};

/* totals.c */
int totals_of(struct totals *sum, const struct trace *t);

/* ltrace.c, export.c */
extern const char *const call_names[NR_RNT_KINDS];
int ltrace_import(const char *from, const char *to);
int trace_csv(const struct trace *t, FILE *f);

#endif /* SLABTRACE_TRACE_H */
