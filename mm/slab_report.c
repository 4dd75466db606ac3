// SPDX-License-Identifier: MIT
/*
 * Reports of what is wrong in a debugged cache, in the format of the kernel's:
 * by write(2) alone, and one at a time.
 */
#define _GNU_SOURCE
#include "sanitizer.h"
#include "syscalls.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* Of a large object these many bytes before and behind the fault are shown. */
#define SHOWN		128
#define PER_LINE	16

static struct lock report_lock;	/* over a report; a leaf */
static bool tainted;		/* there was one */

static void print_rule(struct seq *s, char c)
{
	char line[78];

	for (size_t i = 0; i < sizeof(line) - 1; i++)
		line[i] = c;
	line[sizeof(line) - 1] = '\0';
	seq_printf(s, "%s\n", line);
}

static void print_frame(struct seq *s, const void *frame)
{
	char buf[SYMBOL_LEN];

	seq_printf(s, "\t%s\n", stack_symbol(buf, frame));
}

static void print_track(struct seq *s, const char *what,
			const struct track *t)
{
	char buf[SYMBOL_LEN];

	if (!t->when)
		return;
	seq_printf(s, "%s in %s age=%lu cpu=%u pid=%u\n", what,
		   t->nr ? stack_symbol(buf, t->frames[0]) : "?",
		   (unsigned long)(clock_ms() - t->when), t->cpu, t->tid);
	for (unsigned int i = 1; i < t->nr; i++)
		print_frame(s, t->frames[i]);
}

static void print_line(struct seq *s, const char *name, const u8 *at,
		       size_t nr)
{
	char hex[3 * PER_LINE + 1], text[PER_LINE + 1];

	for (size_t i = 0; i < PER_LINE; i++)
		snprintf(hex + 3 * i, 4, i < nr ? "%02x " : "   ", at[i % nr]);
	for (size_t i = 0; i < nr; i++)
		text[i] = at[i] >= ' ' && at[i] < 0x7f ? (char)at[i] : '.';
	text[nr] = '\0';
	seq_printf(s, "%-8s %p: %s%s\n", name, at, hex, text);
}

/* [@at, @end), of which only what is near @focus. */
static void print_bytes(struct seq *s, const char *name, const void *at,
			const void *end, const void *focus)
{
	const u8 *from = at, *to = end, *near = focus;

	near = near < from ? from : near > to ? to : near;
	if (near - from > SHOWN)
		from = near - SHOWN + (near - from) % PER_LINE;
	if (to - near > SHOWN)
		to = near + SHOWN;
	for (; from < to; from += PER_LINE)
		print_line(s, name, from, min((size_t)(to - from),
					      (size_t)PER_LINE));
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
	const char *object = f->object, *slab = slab_address(f->slab);
	const char *focus = f->from ? (const char *)f->from : object;
	const char *red = object + c->free_offset;
	const char *before = object - c->red_left;
	const char *end = before + c->size, *pad = object + slab_debug_end(c);

	if (c->debug & RN_RED_ZONE)
		red = object + (f->state == OBJECT_USED ?
				min(f->size, c->object_size) :
				c->object_size);
	seq_printf(s, "Object %p @offset=%lu size=%u\n\n", object,
		   offset_in(f->slab, object), f->size);
	/* Its bytes are not to be read. */
	if (is_sanitized(c))
		return;
	if (before - slab >= PER_LINE)
		print_bytes(s, "Bytes b4", before - PER_LINE, before, before);
	print_bytes(s, "Redzone", before, object, focus);
	print_bytes(s, "Object", object, object + c->object_size, focus);
	print_bytes(s, "Redzone", red, object + c->free_offset, focus);
	print_bytes(s, "Padding", pad, end, focus);
}

static void print_trace(struct seq *s, const void *caller)
{
	const void *frames[STACK_DEPTH];
	unsigned int nr = stack_save(frames, caller);
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	seq_printf(s, "CPU: %d PID: %ld Comm: %.15s\n", sched_getcpu(),
		   syscall(SYS_gettid), name);
	if (nr)
		seq_printf(s, "Call Trace:\n");
	for (unsigned int i = 0; i < nr; i++)
		print_frame(s, frames[i]);
}

/* The bytes that were shown; the object is out of use. */
static void print_fix(struct seq *s, const struct fault *f, const char *fix)
{
	if (f->from) {
		seq_printf(s, "FIX %s: Restoring %s %p-%p=%#x\n", f->c->name,
			   f->zone, f->from, f->to - 1, f->wanted);
		memset((u8 *)f->from, f->wanted, f->to - f->from);
	}
	seq_printf(s, "FIX %s: %s\n", f->c->name, fix);
}

static void print_fault(struct seq *s, const struct fault *f)
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
	print_track(s, "Allocated", &f->tracks[TRACK_ALLOC]);
	print_track(s, "Freed", &f->tracks[TRACK_FREE]);
	if (f->slab)
		print_slab(s, f);
	if (f->object)
		print_object(s, f);
	print_trace(s, f->caller);
}

void fault_report(const struct fault *f, const char *fix)
{
	unsigned int ticket = gate_enter();
	int saved = errno;
	struct seq s;

	lock(&report_lock);
	seq_open(&s, STDERR_FILENO);
	print_fault(&s, f);
	if (fix)
		print_fix(&s, f, fix);
	seq_close(&s);
	unlock(&report_lock);
	errno = saved;
	gate_exit(ticket);
}

void fault_handle(const struct fault *f, const char *fix)
{
	fault_report(f, options.slab_debug_continue ? fix : NULL);
	if (!options.slab_debug_continue)
		abort();
}

void report_object(const struct rn_cache *c, const struct page *slab,
		   const void *object)
{
	unsigned int ticket = gate_enter();
	int saved = errno;
	struct seq s;

	lock(&report_lock);
	seq_open(&s, STDERR_FILENO);
	seq_printf(&s, "Object %p @offset=%lu of %s\n", object,
		   offset_in(slab, object), c->name);
	if (c->debug & RN_STORE_USER)
		for (int i = 0; i < NR_TRACKS; i++)
			print_track(&s, i == TRACK_ALLOC ? "Allocated" :
				    "Freed", &meta_of(c, object)->tracks[i]);
	seq_close(&s);
	unlock(&report_lock);
	errno = saved;
	gate_exit(ticket);
}
