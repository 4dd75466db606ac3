// SPDX-License-Identifier: MIT
/*
 * A trace from its file: which blocks there are, and whose.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "trace.h"

/* Whether a file is none to write anew, which is said: a device, say. */
bool refuses_output(const char *name)
{
	struct stat st;

	if (stat(name, &st) || S_ISREG(st.st_mode))
		return false;
	fprintf(stderr, "slabbench: %s is not a file to write anew\n", name);
	return true;
}

/* Whether writing @to, NULL for nothing, would lose @from, which is said. */
bool is_input(const char *to, const char *from)
{
	struct stat a, b;

	if (!to || stat(to, &a) || stat(from, &b) || a.st_dev != b.st_dev ||
	    a.st_ino != b.st_ino)
		return false;
	fprintf(stderr, "slabbench: %s is to be read, and is not written\n",
		to);
	return true;
}

static int no_memory(const struct trace *t)
{
	fprintf(stderr, "slabbench: %s: out of memory\n", t->name);
	return -1;
}

/* 0, or -1 after a message. */
static int map_file(struct trace *t)
{
	int fd = open(t->name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", t->name,
			strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		fprintf(stderr, "slabbench: cannot read %s: it is no plain file\n",
			t->name);
		close(fd);
		return -1;
	}
	t->bytes = t->mapped_bytes = (size_t)st.st_size;
	if (t->bytes)
		p = mmap(NULL, t->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", t->name,
			strerror(errno));
		return -1;
	}
	t->data = p;
	t->mapped = true;
	return 0;
}

/*
 * The last of a tid has the blocks to come; one that begins anew is another
 * thread, which the kernel gave the same number. NULL without memory.
 */
static struct trace_thread *find_thread(struct trace *t,
					const struct rnt_header *h)
{
	struct trace_thread *more;

	for (size_t i = t->nr_threads; h->sequence && i-- > 0;)
		if (t->thread[i].tid == h->tid)
			return &t->thread[i];
	more = realloc(t->thread, (t->nr_threads + 1) * sizeof(*more));
	if (!more)
		return NULL;
	t->thread = more;
	more += t->nr_threads++;
	*more = (struct trace_thread){ .tid = h->tid };
	return more;
}

static int bad_block(const struct trace *t, size_t at, const char *what)
{
	fprintf(stderr, "slabbench: %s: the block at byte %zu %s\n", t->name,
		at, what);
	return -1;
}

static int add_events(struct trace *t, const struct rnt_header *h, size_t at)
{
	struct trace_thread *thread = find_thread(t, h);
	size_t *more;

	if (!thread)
		return no_memory(t);
	if (h->sequence != thread->nr_blocks)
		return bad_block(t, at, "comes too early: one of its thread is missing");
	if (thread->nr_blocks == thread->max_blocks) {
		thread->max_blocks = 2 * thread->max_blocks + 4;
		more = realloc(thread->block,
			       thread->max_blocks * sizeof(*more));
		if (!more)
			return no_memory(t);
		thread->block = more;
	}
	thread->block[thread->nr_blocks++] = at;
	if (!t->events || h->first_ns < t->first_ns)
		t->first_ns = h->first_ns;
	t->events += h->events;
	t->nested += h->nested;
	return 0;
}

static int add_process(struct trace *t, const struct rnt_header *h, size_t at)
{
	if (t->text)
		return bad_block(t, at, "tells of a second process");
	t->text = strndup((char *)t->data + at + sizeof(*h), h->bytes);
	t->pid = h->pid;
	return t->text ? 0 : no_memory(t);
}

static int add_block(struct trace *t, const struct rnt_header *h, size_t at)
{
	if (h->kind == RNT_PROCESS)
		return add_process(t, h, at);
	if (h->kind != RNT_EVENTS)
		return bad_block(t, at, "is of an unknown kind");
	if (!t->text)
		return bad_block(t, at, "comes before that of the process");
	return add_events(t, h, at);
}

/* 0 where the file ends, be it within a block; -1 after a message. */
static int scan(struct trace *t)
{
	struct rnt_header h;
	size_t at = 0;

	while (at < t->bytes) {
		switch (rnt_find(t->data + at, t->bytes - at, &h)) {
		case RNT_WHOLE:
			if (add_block(t, &h, at))
				return -1;
			at += sizeof(h) + h.bytes;
			break;
		case RNT_CUT:
			t->cut = t->bytes - at;
			t->bytes = at;
			return 0;
		case RNT_NO_BLOCK:
			return bad_block(t, at, "is none: this is no trace");
		case RNT_OTHER_VERSION:
			return bad_block(t, at, "is of another version of the format");
		case RNT_DAMAGED:
			return bad_block(t, at, "is damaged: its checksum is wrong");
		}
	}
	return 0;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), len = strlen(end);

	return n >= len && !strcmp(name + n - len, end);
}

/**
 * trace_load() - read a trace
 * @t: filled in, for trace_free() whatever is returned
 * @name: the file, compressed if it ends in .zst; stays the caller's
 *
 * A file that ends within a block is read up to there, and that is said.
 *
 * Return: 0, or -1 after a message on stderr.
 */
int trace_load(struct trace *t, const char *name)
{
	*t = (struct trace){ .name = name };
	if (ends_with(name, ".zst") ? zst_read(name, &t->data, &t->bytes) :
	    map_file(t))
		return -1;
	if (scan(t))
		return -1;
	if (t->cut)
		fprintf(stderr, "slabbench: %s ends within a block: its last %zu bytes are left out\n",
			name, t->cut);
	if (t->events)
		return 0;
	fprintf(stderr, "slabbench: %s has no events\n", name);
	return -1;
}

void trace_free(struct trace *t)
{
	for (size_t i = 0; i < t->nr_threads; i++)
		free(t->thread[i].block);
	free(t->thread);
	free(t->text);
	if (!t->mapped)
		free(t->data);
	else if (t->mapped_bytes)
		munmap(t->data, t->mapped_bytes);
	*t = (struct trace){ .name = NULL };
}
