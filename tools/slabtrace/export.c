// SPDX-License-Identifier: MIT
/*
 * A trace as comma-separated values, a line for each call in the order of all
 * threads.
 */
#include <inttypes.h>
#include "trace.h"

const char *const call_names[NR_RNT_KINDS] = {
	[RNT_MALLOC] = "malloc", [RNT_CALLOC] = "calloc",
	[RNT_REALLOC] = "realloc", [RNT_ALIGNED] = "aligned",
	[RNT_FREE] = "free",
};

struct export {
	const struct trace *trace;
	FILE *f;
};

static void put_address(FILE *f, uint64_t address)
{
	if (address)
		fprintf(f, ",0x%" PRIx64, address);
	else
		fprintf(f, ",");
}

static int put(void *arg, const struct step *s, struct object *obj)
{
	const struct rnt_event *e = &s->event;
	struct export *x = arg;

	(void)obj;
	if (s->implied)
		return 0;
	fprintf(x->f, "%" PRIu64 ",%u,%u,%s", e->time_ns - x->trace->first_ns,
		s->thread, x->trace->thread[s->thread].tid, call_names[e->kind]);
	if (e->kind == RNT_FREE)
		fprintf(x->f, ",");
	else
		fprintf(x->f, ",%" PRIu64, e->size);
	if (e->kind == RNT_ALIGNED)
		fprintf(x->f, ",%" PRIu64, e->align);
	else
		fprintf(x->f, ",");
	put_address(x->f, e->address);
	put_address(x->f, e->old);
	fprintf(x->f, ",%08x,%" PRIu64 "\n", e->site, e->took_ns);
	return ferror(x->f) ? 1 : 0;
}

/* 0; 1 where @f has an error; -1 after a message on stderr. */
int trace_csv(const struct trace *t, FILE *f)
{
	struct export x = { .trace = t, .f = f };
	struct order o;

	fprintf(f, "time_ns,thread,tid,call,size,alignment,address,old_address,site,took_ns\n");
	return order_run(&o, t, put, &x);
}
