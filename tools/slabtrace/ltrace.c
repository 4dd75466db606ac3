// SPDX-License-Identifier: MIT
/*
 * What ltrace -e malloc+free+realloc+calloc prints, as a trace. Each call is a
 * line, or two where another thread's comes between its begin and its end:
 *
 *	[pid 7] 12.000345 prog->malloc(24)                = 0x55d0
 *	[pid 7] prog->realloc(0x55d0, 48 <unfinished ...>
 *	[pid 7] <... realloc resumed> )                   = 0x55f0
 *
 * The process id, which stands alone in what goes to a file, the time, and the
 * name of the caller may be missing. Lines are in the order of what happened:
 * each is later than the one before, by a microsecond if it has no time.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trace.h"

#define BLOCK_BYTES	(64UL << 10)

/**
 * struct track - a thread of the input
 * @begun: of a call that has not returned yet
 */
struct track {
	uint32_t tid, sequence;
	struct rnt_writer writer;
	unsigned char *block;
	bool open;
	struct rnt_event begun;
};

/**
 * struct import - from text to a trace
 * @line: its number, from 1
 * @last_ns: the time of the line before
 * @others: calls of functions that are none of ours
 */
struct import {
	const char *from, *to;
	FILE *in, *out;
	size_t line, others, nr_tracks;
	uint64_t last_ns;
	struct track **track;
};

static int say(const struct import *im, const char *what)
{
	fprintf(stderr, "slabbench: %s:%zu: %s\n", im->from, im->line, what);
	return -1;
}

static int unwritable(const struct import *im)
{
	fprintf(stderr, "slabbench: cannot write %s: %s\n", im->to,
		strerror(errno));
	return -1;
}

/* --- writing --- */

static int write_block(const struct import *im, struct track *t)
{
	struct rnt_header h = {
		.kind = RNT_EVENTS, .pid = im->track[0]->tid, .tid = t->tid,
		.sequence = t->sequence++,
	};
	size_t bytes = rnt_end(&t->writer, h);

	if (fwrite(t->block, 1, bytes, im->out) != bytes)
		return unwritable(im);
	rnt_begin(&t->writer, t->block, BLOCK_BYTES);
	return 0;
}

static int write_process(const struct import *im)
{
	static const char text[] = "command=imported from ltrace\n";
	unsigned char block[sizeof(struct rnt_header) + sizeof(text)];
	struct rnt_writer w = { .block = block };
	struct rnt_header h = {
		.kind = RNT_PROCESS, .bytes = sizeof(text) - 1,
	};
	size_t bytes;

	memcpy(block + sizeof(h), text, sizeof(text));
	bytes = rnt_end(&w, h);
	return fwrite(block, 1, bytes, im->out) == bytes ? 0 : unwritable(im);
}

/* NULL after a message. */
static struct track *track_of(struct import *im, uint32_t tid)
{
	struct track **more, *t;

	for (size_t i = im->nr_tracks; i-- > 0;)
		if (im->track[i]->tid == tid)
			return im->track[i];
	more = realloc(im->track, (im->nr_tracks + 1) * sizeof(*more));
	if (more)
		im->track = more;
	t = more ? calloc(1, sizeof(*t)) : NULL;
	if (t)
		t->block = malloc(BLOCK_BYTES);
	if (!t || !t->block) {
		free(t);
		say(im, "out of memory");
		return NULL;
	}
	t->tid = tid;
	rnt_begin(&t->writer, t->block, BLOCK_BYTES);
	im->track[im->nr_tracks++] = t;
	return t;
}

/* free(NULL) is no event. */
static int put(struct import *im, struct track *t, const struct rnt_event *e)
{
	if (e->kind == RNT_FREE && !e->address)
		return 0;
	rnt_put(&t->writer, e);
	return rnt_has_room(&t->writer) ? 0 : write_block(im, t);
}

/* --- reading --- */

/* Steps over @word. */
static bool skip(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n))
		return false;
	*p += n;
	return true;
}

static void skip_spaces(const char **p)
{
	*p += strspn(*p, " \t");
}

/* Decimal, or hexadecimal with 0x; ltrace has nil for NULL. */
static bool number(const char **p, uint64_t *v)
{
	char *end;

	skip_spaces(p);
	*v = 0;
	if (skip(p, "nil") || skip(p, "NULL"))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*v = strtoull(*p, &end, 0);
	*p = end;
	return !errno;
}

/* Seconds and microseconds, as -ttt prints them, or the time of day, of -tt. */
static bool timestamp(const char **p, uint64_t *ns)
{
	unsigned long long h, m, s, us;
	int n = 0;

	if (sscanf(*p, "%llu:%llu:%llu.%6llu %n", &h, &m, &s, &us, &n) == 4 && n)
		s += (h * 60 + m) * 60;
	else if (sscanf(*p, "%llu.%6llu %n", &s, &us, &n) < 2 || !n)
		return false;
	*ns = s * 1000000000ULL + us * 1000ULL;
	*p += n;
	return true;
}

/* 0 where none is said. */
static uint32_t process(const char **p)
{
	uint32_t pid = 0;
	int n = 0;

	if (sscanf(*p, "[pid %" SCNu32 "] %n", &pid, &n) != 1 || !n) {
		n = 0;
		sscanf(*p, "%" SCNu32 "%*1[ ] %n", &pid, &n);
	}
	*p += n;
	return n ? pid : 0;
}

static void caller(const char **p)
{
	const char *arrow;

	skip_spaces(p);
	arrow = strstr(*p, "->");
	if (arrow && arrow < *p + strcspn(*p, " ("))
		*p = arrow + 2;
}

/* Who, when, and from where: all may be missing. */
static void prefix(struct import *im, const char **p, uint32_t *tid,
		   uint64_t *ns)
{
	*tid = process(p);
	if (!timestamp(p, ns))
		*ns = im->last_ns + 1000;
	if (*ns <= im->last_ns)
		*ns = im->last_ns + 1;
	im->last_ns = *ns;
	caller(p);
}

static const struct {
	const char *name;
	enum rnt_kind kind;
} functions[] = {
	{ "malloc", RNT_MALLOC }, { "calloc", RNT_CALLOC },
	{ "realloc", RNT_REALLOC }, { "free", RNT_FREE },
};

#define NR_FUNCTIONS	(sizeof(functions) / sizeof(functions[0]))

/* What is called, up to @end; -1 if it is none of them. */
static int find_function(const char **p, const char *end)
{
	for (size_t i = 0; i < NR_FUNCTIONS; i++) {
		const char *at = *p;

		if (!skip(&at, functions[i].name) || !skip(&at, end))
			continue;
		*p = at;
		return (int)functions[i].kind;
	}
	return -1;
}

static bool arguments(const char **p, struct rnt_event *e)
{
	uint64_t v;

	switch (e->kind) {
	case RNT_CALLOC:
		return number(p, &v) && skip(p, ",") && number(p, &e->size) &&
			!__builtin_mul_overflow(v, e->size, &e->size);
	case RNT_REALLOC:
		return number(p, &e->old) && skip(p, ",") &&
			number(p, &e->size);
	case RNT_FREE:
		return number(p, &e->address);
	default:
		return number(p, &e->size);
	}
}

/* ") = 0x...", of free "= <void>". */
static bool returned(const char **p, struct rnt_event *e)
{
	skip_spaces(p);
	skip(p, ")");
	skip_spaces(p);
	if (!skip(p, "="))
		return false;
	skip_spaces(p);
	if (e->kind == RNT_FREE)
		return skip(p, "<void>");
	return number(p, &e->address);
}

/* Of an allocation the time is that of its end. */
static int finish(struct import *im, struct track *t, struct rnt_event *e,
		  uint64_t ns)
{
	if (e->kind == RNT_REALLOC)
		e->took_ns = ns - e->time_ns;
	else if (e->kind != RNT_FREE)
		e->time_ns = ns;
	return put(im, t, e);
}

static int resume(struct import *im, const char *p, struct track *t,
		  uint64_t ns)
{
	int kind = find_function(&p, " resumed>");

	if (kind < 0) {
		im->others++;
		return 0;
	}
	if (!t->open || (int)t->begun.kind != kind)
		return say(im, "the begin of this call is missing");
	t->open = false;
	if (kind == RNT_FREE)
		return 0;
	if (!returned(&p, &t->begun) || ns < t->begun.time_ns)
		return say(im, "this is not how a call ends");
	return finish(im, t, &t->begun, ns);
}

/* A free is an event when it begins, all else when it has ended. */
static int begin(struct import *im, struct track *t, struct rnt_event *e)
{
	t->open = true;
	t->begun = *e;
	return e->kind == RNT_FREE ? put(im, t, e) : 0;
}

static int call(struct import *im, const char *p, struct track *t, uint64_t ns)
{
	struct rnt_event e = { .time_ns = ns };
	int kind = find_function(&p, "(");

	if (kind < 0) {
		im->others++;
		return 0;
	}
	e.kind = (enum rnt_kind)kind;
	if (!arguments(&p, &e))
		return say(im, "these are not the arguments of this call");
	skip_spaces(&p);
	if (skip(&p, "<unfinished ...>"))
		return begin(im, t, &e);
	if (skip(&p, "<no return ...>"))
		return e.kind == RNT_FREE ? put(im, t, &e) : 0;
	if (!returned(&p, &e))
		return say(im, "this is not how a call ends");
	return finish(im, t, &e, ns);
}

static int read_line(struct import *im, const char *p)
{
	struct track *t;
	uint32_t tid;
	uint64_t ns;

	prefix(im, &p, &tid, &ns);
	/* Signals, exits, and empty lines. */
	if (skip(&p, "---") || skip(&p, "+++") || *p == '\n' || !*p)
		return 0;
	t = track_of(im, tid);
	if (!t)
		return -1;
	if (skip(&p, "<... "))
		return resume(im, p, t, ns);
	if (!strchr(p, '('))
		return say(im, "this is no line of ltrace");
	return call(im, p, t, ns);
}

static int read_lines(struct import *im)
{
	char *line = NULL;
	size_t cap = 0;
	int ret = 0;

	while (!ret && getline(&line, &cap, im->in) > 0) {
		im->line++;
		ret = read_line(im, line);
	}
	free(line);
	if (ret || !ferror(im->in))
		return ret;
	fprintf(stderr, "slabbench: cannot read %s: %s\n", im->from,
		strerror(errno));
	return -1;
}

static int write_rest(struct import *im)
{
	int ret = 0;

	for (size_t i = 0; i < im->nr_tracks && !ret; i++)
		if (im->track[i]->writer.events)
			ret = write_block(im, im->track[i]);
	if (!ret && fflush(im->out))
		ret = unwritable(im);
	if (!ret && im->others)
		fprintf(stderr, "slabbench: %s: %zu calls of other functions are left out\n",
			im->from, im->others);
	return ret;
}

static int write_trace(struct import *im)
{
	if (write_process(im) || read_lines(im))
		return -1;
	return write_rest(im);
}

static void free_tracks(struct import *im)
{
	for (size_t i = 0; i < im->nr_tracks; i++) {
		free(im->track[i]->block);
		free(im->track[i]);
	}
	free(im->track);
}

/* Whole, or not at all: 0, or -1 after a message. */
static int import(struct import *im, const char *part)
{
	int ret;

	im->out = fopen(part, "we");
	if (!im->out)
		return unwritable(im);
	ret = write_trace(im);
	free_tracks(im);
	if (fclose(im->out) && !ret)
		ret = unwritable(im);
	if (!ret && rename(part, im->to))
		ret = unwritable(im);
	if (ret)
		unlink(part);
	return ret;
}

/**
 * ltrace_import() - make a trace of what ltrace printed
 * @from: the text
 * @to: the trace, made anew; stays as it is where this fails
 *
 * Return: 0, or -1 after a message on stderr.
 */
int ltrace_import(const char *from, const char *to)
{
	struct import im = { .from = from, .to = to };
	char part[PATH_MAX];
	int ret;

	if (refuses_output(to) || is_input(to, from))
		return -1;
	snprintf(part, sizeof(part), "%s.part", to);
	im.in = fopen(from, "re");
	if (!im.in) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", from,
			strerror(errno));
		return -1;
	}
	ret = import(&im, part);
	fclose(im.in);
	return ret;
}
