// SPDX-License-Identifier: MIT
/*
 * Reports of the misuse of guarded objects, in the format of the kernel's.
 *
 * They may be written on a signal stack: neither the buffer is on it nor the
 * names of functions. Who finds another thread with these goes without names,
 * since the loader, who is asked for them, may wait for who waits here.
 */
#define _GNU_SOURCE
#include "kfence.h"
#include "syscalls.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* An access, and who allocated and freed. */
#define NR_STACKS	(1 + NR_TRACKS)

static struct {
	struct lock lock;	/* only tried */
	struct symbol of[NR_STACKS][STACK_DEPTH];
} names;

static const struct symbol *names_of(unsigned int stack)
{
	return lock_is_mine(&names.lock) ? names.of[stack] : NULL;
}

static void names_begin(const struct kfence_fault *f)
{
	const struct track *t = f->object.tracks;

	if (!trylock(&names.lock))
		return;
	report_look_up(names.of[NR_TRACKS], f->stack, f->nr);
	for (int i = 0; i < NR_TRACKS; i++)
		report_look_up(names.of[i], t[i].frames, t[i].nr);
}

static void names_end(void)
{
	if (lock_is_mine(&names.lock))
		unlock(&names.lock);
}

static const char rule[] =
	"==================================================================\n";

static const char *verb_of(const struct kfence_fault *f)
{
	static const char *const verbs[] = {
		[FAULT_UNKNOWN] = "access",
		[FAULT_READ] = "read",
		[FAULT_WRITE] = "write",
	};

	return verbs[f->access];
}

/* "use-after-free read"; with a large letter at the start of a line. */
static const char *name_of(char buf[64], const struct kfence_fault *f)
{
	static const char *const names[] = {
		[KFENCE_OOB] = "out-of-bounds",
		[KFENCE_UAF] = "use-after-free",
		[KFENCE_INVALID] = "invalid",
		[KFENCE_CORRUPTION] = "memory corruption",
		[KFENCE_INVALID_FREE] = "invalid free",
	};
	bool faulted = f->error <= KFENCE_INVALID;

	snprintf(buf, 64, "%s%s%s", names[f->error], faulted ? " " : "",
		 faulted ? verb_of(f) : "");
	return buf;
}

static void print_title(struct seq *s, const struct kfence_fault *f)
{
	const struct symbol *known = names_of(NR_TRACKS);
	struct symbol raw = { .address = f->stack[0] };
	char buf[SYMBOL_LEN], name[64];

	seq_printf(s, "%sBUG: KFENCE: %s in %s\n\n", rule, name_of(name, f),
		   f->nr ? symbol_text(buf, known ? known : &raw) : "?");
}

/* " (1B left of kfence-#72)", " (in kfence-#72)" or nothing. */
static void print_place(struct seq *s, const struct kfence_fault *f)
{
	const struct kfence_object *o = &f->object;

	if (f->index < 0)
		return;
	if (f->error != KFENCE_OOB)
		seq_printf(s, " (in kfence-#%d)", f->index);
	else if (f->at < o->start)
		seq_printf(s, " (%zuB left of kfence-#%d)",
			   (size_t)(o->start - f->at), f->index);
	else
		seq_printf(s, " (%zuB right of kfence-#%d)",
			   (size_t)(f->at - o->start - o->size), f->index);
}

/* Those that are as they should be are dots. */
static void print_bytes(struct seq *s, const struct kfence_fault *f)
{
	if (!f->nr_bytes)
		return;
	seq_printf(s, " [ ");
	for (unsigned int i = 0; i < f->nr_bytes; i++)
		if (f->bytes[i] == kfence_pattern(f->at + i))
			seq_printf(s, ". ");
		else
			seq_printf(s, "0x%02x ", f->bytes[i]);
	seq_printf(s, "]");
}

static void print_what(struct seq *s, const struct kfence_fault *f)
{
	char name[64];

	name_of(name, f);
	name[0] += 'A' - 'a';
	seq_printf(s, "%s %s %p", name,
		   f->error == KFENCE_INVALID_FREE ? "of" : "at", f->at);
	print_bytes(s, f);
	print_place(s, f);
	seq_printf(s, ":\n");
	report_frames(s, f->stack, names_of(NR_TRACKS), f->nr);
	seq_printf(s, "\n");
}

static void print_track(struct seq *s, const char *what, enum track_of which,
			const struct kfence_object *o)
{
	const struct track *t = &o->tracks[which];
	u64 ago = clock_ms() - t->when;

	if (!t->when)
		return;
	seq_printf(s, "\n%s by task %u on cpu %u at %lu.%03lus "
		   "(%lu.%03lus ago):\n", what, t->tid, t->cpu,
		   (unsigned long)t->when / 1000,
		   (unsigned long)t->when % 1000, (unsigned long)ago / 1000,
		   (unsigned long)ago % 1000);
	report_frames(s, t->frames, names_of(which), t->nr);
}

static void print_object(struct seq *s, const struct kfence_fault *f)
{
	const struct kfence_object *o = &f->object;

	seq_printf(s, "kfence-#%d: %p-%p, size=%u, cache=%s\n", f->index,
		   o->start, o->start + o->size - 1, o->size,
		   o->c ? o->c->name : "<destroyed>");
	print_track(s, "allocated", TRACK_ALLOC, o);
	print_track(s, "freed", TRACK_FREE, o);
	seq_printf(s, "\n");
}

int kfence_dump(const void *p)
{
	struct kfence_fault f = { .index = -1 };
	struct seq s;

	if (!kfence_copy(&f, p)) {
		report("%p: between guarded objects, or of none yet", p);
		return -ENOENT;
	}
	names_begin(&f);
	report_begin(&s);
	print_object(&s, &f);
	report_end(&s);
	names_end();
	return 0;
}

static void print_cpu(struct seq *s)
{
	char comm[16] = "";

	prctl(PR_GET_NAME, comm);
	seq_printf(s, "CPU: %d PID: %ld Comm: %.15s\n", sched_getcpu(),
		   syscall(SYS_gettid), comm);
}

void kfence_report(const struct kfence_fault *f)
{
	static struct seq s;	/* from report_begin() on */

	names_begin(f);
	report_begin(&s);
	print_title(&s, f);
	print_what(&s, f);
	if (f->index >= 0)
		print_object(&s, f);
	print_cpu(&s);
	seq_printf(&s, "%s", rule);
	report_end(&s);
	names_end();
	if (!options.slab_debug_continue)
		abort();
}
