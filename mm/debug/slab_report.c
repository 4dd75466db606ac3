// SPDX-License-Identifier: MIT
/*
 * Reports of what is wrong in a debugged cache, in the format of the kernel's:
 * by write(2) alone, and one at a time.
 *
 * What is reported was copied (struct fault): nothing of it is locked any more,
 * and the slab may be gone. A report is made outside of the gate, since it asks
 * the loader for names (stack_symbol()). What is found inside waits for the end
 * of that; where too much waits it is reported at once, without names.
 *
 * Locks: report_lock over what is written, waiting_lock over what waits. Both
 * are leaves, and are taken outside of the gate as well: a child of fork() that
 * finds one held by a thread it does not have takes it, and may lose a report.
 */
#define _GNU_SOURCE
#include "slab_debug.h"
#include "syscalls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define PER_LINE	16
#define MOST_WAITING	4

/* A track whose addresses have been looked up. */
struct stack {
	const struct track *track;
	struct symbol frames[STACK_DEPTH];
};

static struct lock report_lock;
static bool tainted;		/* there was a report */

static struct lock waiting_lock;
static struct fault waiting[MOST_WAITING];	/* a ring */
static unsigned int first_waiting;
unsigned int faults_waiting;

static void print_rule(struct seq *s, char c)
{
	char line[78];

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		line[i] = c;
	line[sizeof(line) - 1] = '\0';
	seq_printf(s, "%s\n", line);
}

void report_look_up(struct symbol *names, const void *const *frames,
		    unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		names[i] = stack_symbol(frames[i]);
}

/* Under no lock; no more of @k than there are frames. */
static void look_up(struct stack *k, const struct track *t)
{
	k->track = t;
	report_look_up(k->frames, t->frames, t->nr);
}

void report_frames(struct seq *s, const void *const *frames,
		   const struct symbol *names, unsigned int nr)
{
	char buf[SYMBOL_LEN];

	for (unsigned int i = 0; i < nr; i++) {
		struct symbol raw = { .address = frames[i] };

		seq_printf(s, "\t%s\n",
			   symbol_text(buf, names ? &names[i] : &raw));
	}
}

static void print_frames(struct seq *s, const struct stack *k,
			 unsigned int first)
{
	if (first < k->track->nr)
		report_frames(s, k->track->frames + first, k->frames + first,
			      k->track->nr - first);
}

static void print_track(struct seq *s, const char *what,
			const struct stack *k)
{
	const struct track *t = k->track;
	char buf[SYMBOL_LEN];

	if (!t->when)
		return;
	seq_printf(s, "%s in %s age=%lu cpu=%u pid=%u\n", what,
		   t->nr ? symbol_text(buf, &k->frames[0]) : "?",
		   (unsigned long)(clock_ms() - t->when), t->cpu, t->tid);
	print_frames(s, k, 1);
}

static void print_tracks(struct seq *s, const struct stack k[NR_TRACKS])
{
	print_track(s, "Allocated", &k[TRACK_ALLOC]);
	print_track(s, "Freed", &k[TRACK_FREE]);
}

/* @bytes, as they were @at. */
static void print_line(struct seq *s, const char *name, const u8 *at,
		       const u8 *bytes, size_t nr)
{
	char hex[3 * PER_LINE + 1], text[PER_LINE + 1];

	for (size_t i = 0; i < PER_LINE; i++)
		snprintf(hex + 3 * i, 4, i < nr ? "%02x " : "   ",
			 bytes[i % nr]);
	for (size_t i = 0; i < nr; i++)
		text[i] = bytes[i] >= ' ' && bytes[i] < 0x7f ?
			(char)bytes[i] : '.';
	text[nr] = '\0';
	seq_printf(s, "%-8s %p: %s%s\n", name, at, hex, text);
}

/* [@at, @end), of which only what was seen; in lines that begin with @at. */
static void print_bytes(struct seq *s, const struct fault *f,
			const char *name, const void *at, const void *end)
{
	const u8 *from = at, *to = min((const u8 *)end, f->at + f->nr);

	if (from < f->at)
		from += ALIGN((size_t)(f->at - from), PER_LINE);
	for (; from < to; from += PER_LINE)
		print_line(s, name, from, f->seen + (from - f->at),
			   min((size_t)(to - from), (size_t)PER_LINE));
}

static unsigned long offset_in(const struct page *slab, const void *p)
{
	return (const char *)p - slab_address(slab);
}

static void print_slab(struct seq *s, const struct fault *f)
{
	static const char letters[] = "FZPUT";
	char flags[sizeof(letters)];
	size_t nr = 0;

	for (size_t i = 0; i < sizeof(letters) - 1; i++)
		if (f->c->debug & RN_CONSISTENCY_CHECKS << i)
			flags[nr++] = letters[i];
	flags[nr] = '\0';
	seq_printf(s, "Slab %p objects=%u used=%u fp=%p flags=%s\n",
		   slab_address(f->slab), f->c->objects, f->used, f->free,
		   nr ? flags : "-");
}

static void print_object(struct seq *s, const struct fault *f)
{
	const struct rn_cache *c = f->c;
	const char *object = f->object, *red = object + c->object_size;
	const char *before = object - c->red_left;
	const char *end = before + c->size, *pad = object + slab_debug_end(c);

	if (c->debug & RN_RED_ZONE && f->state == OBJECT_USED)
		red = object + min(f->size, c->object_size);
	seq_printf(s, "Object %p @offset=%lu size=%u\n\n", object,
		   offset_in(f->slab, object), f->size);
	print_bytes(s, f, "Bytes b4", before - BYTES_BEFORE, before);
	print_bytes(s, f, "Redzone", before, object);
	print_bytes(s, f, "Object", object, red);
	if (c->debug & RN_RED_ZONE)
		print_bytes(s, f, "Redzone", red, object + c->free_offset);
	print_bytes(s, f, "Padding", pad, end);
}

static void print_finder(struct seq *s, const struct fault *f,
			 const struct stack *k)
{
	seq_printf(s, "CPU: %u PID: %u Comm: %.15s\n", f->finder.cpu,
		   f->finder.tid, f->comm);
	if (f->finder.nr)
		seq_printf(s, "Call Trace:\n");
	print_frames(s, k, 0);
}

static void print_fix(struct seq *s, const struct fault *f)
{
	if (f->from && f->mend)
		seq_printf(s, "FIX %s: Restoring %s %p-%p=%#x\n", f->c->name,
			   f->zone, f->from, f->to - 1, f->wanted);
	if (f->fix)
		seq_printf(s, "FIX %s: %s\n", f->c->name, f->fix);
}

static void print_fault(struct seq *s, const struct fault *f,
			const struct stack tracks[NR_TRACKS],
			const struct stack *finder)
{
	print_rule(s, '=');
	seq_printf(s, "BUG %s (%s): %s\n", f->c->name,
		   tainted ? "Tainted" : "Not tainted", f->what);
	tainted = true;
	print_rule(s, '-');
	seq_printf(s, "\n");
	if (f->from)
		seq_printf(s, "%p-%p @offset=%lu. First byte %#x instead of "
			   "%#x\n", f->from, f->to - 1,
			   offset_in(f->slab, f->from), f->first, f->wanted);
	print_tracks(s, tracks);
	if (f->slab)
		print_slab(s, f);
	if (f->object)
		print_object(s, f);
	else
		print_bytes(s, f, "Padding", f->from, f->to);
	print_finder(s, f, finder);
	if (!f->fatal)
		print_fix(s, f);
}

void report_begin(struct seq *s)
{
	lock(&report_lock);
	seq_open(s, STDERR_FILENO);
}

void report_end(struct seq *s)
{
	seq_close(s);
	unlock(&report_lock);
}

static void fault_report(const struct fault *f)
{
	struct stack tracks[NR_TRACKS], finder;
	int saved = errno;
	struct seq s;

	for (int i = 0; i < NR_TRACKS; i++)
		look_up(&tracks[i], &f->tracks[i]);
	look_up(&finder, &f->finder);
	report_begin(&s);
	print_fault(&s, f, tracks, &finder);
	report_end(&s);
	errno = saved;
	if (f->fatal)
		abort();
}

void report_trace(const void *caller)
{
	struct stack stack;
	int saved = errno;
	struct track t;
	struct seq s;

	track_make(&t, caller);
	look_up(&stack, &t);
	report_begin(&s);
	seq_printf(&s, "CPU: %u PID: %u\nCall Trace:\n", t.cpu, t.tid);
	print_frames(&s, &stack, 0);
	report_end(&s);
	errno = saved;
}

/* --- those that wait for the end of what they were found in --- */

static bool put_off(const struct fault *f)
{
	unsigned int nr;

	lock(&waiting_lock);
	nr = faults_waiting;
	if (nr < MOST_WAITING) {
		waiting[(first_waiting + nr) % MOST_WAITING] = *f;
		WRITE_ONCE(faults_waiting, nr + 1);
	}
	unlock(&waiting_lock);
	return nr < MOST_WAITING;
}

static bool take_waiting(struct fault *f)
{
	bool any;

	lock(&waiting_lock);
	any = faults_waiting;
	if (any) {
		*f = waiting[first_waiting];
		first_waiting = (first_waiting + 1) % MOST_WAITING;
		WRITE_ONCE(faults_waiting, faults_waiting - 1);
	}
	unlock(&waiting_lock);
	return any;
}

noinline void faults_report(void)
{
	struct fault f;

	while (take_waiting(&f))
		fault_report(&f);
}

void fault_handle(struct fault *f)
{
	track_make(&f->finder, f->caller);
	prctl(PR_GET_NAME, f->comm);
	if (!thread_self.depth || !put_off(f))
		fault_report(f);
}

/* --- an object --- */

void report_object(const struct fault *f)
{
	struct stack tracks[NR_TRACKS];
	int saved = errno;
	struct seq s;

	for (int i = 0; i < NR_TRACKS; i++)
		look_up(&tracks[i], &f->tracks[i]);
	report_begin(&s);
	seq_printf(&s, "Object %p @offset=%lu of %s\n", f->object,
		   offset_in(f->slab, f->object), f->c->name);
	print_tracks(&s, tracks);
	report_end(&s);
	errno = saved;
}
