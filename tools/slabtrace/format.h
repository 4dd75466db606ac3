/* SPDX-License-Identifier: MIT */
/*
 * The file that slabbench record writes, which is described in
 * Documentation/dev-tools/trace-format.rst. Neither writing nor reading a block
 * allocates memory, as the recorder does one inside of malloc().
 */
#ifndef SLABTRACE_FORMAT_H
#define SLABTRACE_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RNT_MAGIC	"RNTb"
#define RNT_VERSION	1
#define RNT_SITES	256	/* call sites that a block remembers */
/* A tag, a site, and six numbers of seven bits a byte. */
#define RNT_MOST_EVENT	(1 + 4 + 6 * 10)
/* No block is larger, so that a reader may refuse a length that is not one. */
#define RNT_MOST_BLOCK	(1U << 20)

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "a header is written as it lies in memory");

enum rnt_block_kind {
	RNT_PROCESS,		/* lines of text: who it was */
	RNT_EVENTS,
};

/**
 * struct rnt_header - what a block begins with
 * @magic: RNT_MAGIC
 * @kind: enum rnt_block_kind
 * @bytes: behind the header
 * @crc: of the header, this being 0, and of what is behind it
 * @sequence: of the blocks of this thread, from 0
 * @first_ns: CLOCK_MONOTONIC; the first event is later by its own delta
 * @events: how many there are
 * @nested: calls before this block, made within another one and not recorded
 */
struct rnt_header {
	char magic[4];
	uint16_t version, kind;
	uint32_t bytes, crc;
	uint32_t pid, tid;
	uint32_t sequence, events;
	uint64_t first_ns;
	uint32_t nested, reserved;
};
static_assert(sizeof(struct rnt_header) == 48, "as it is documented");

enum rnt_kind {
	RNT_MALLOC, RNT_CALLOC, RNT_REALLOC, RNT_ALIGNED, RNT_FREE,
	NR_RNT_KINDS
};

/**
 * struct rnt_event - a call of the allocator
 * @kind: enum rnt_kind
 * @site: a hash of where it was called from
 * @time_ns: when it returned; of a realloc and a free when it was called
 * @took_ns: of a realloc: how much later it returned
 * @size: bytes asked for; not of a free
 * @align: of RNT_ALIGNED
 * @address: what it returned, 0 if it failed; of a free what it was given
 * @old: of a realloc: what it was given
 */
struct rnt_event {
	enum rnt_kind kind;
	uint32_t site;
	uint64_t time_ns, took_ns;
	uint64_t size, align;
	uint64_t address, old;
};

/* What an event is told as a difference to, anew in each block. */
struct rnt_state {
	uint64_t time_ns, address;
	uint32_t site[RNT_SITES];
};

/**
 * struct rnt_writer - a block that is being written
 * @block: its first byte; room for the header and @room bytes behind it
 * @used: bytes behind the header
 */
struct rnt_writer {
	unsigned char *block;
	size_t room, used;
	uint32_t events;
	uint64_t first_ns;
	struct rnt_state state;
};

struct rnt_reader {
	const unsigned char *at, *end;
	uint32_t left;			/* events */
	struct rnt_state state;
};

/* write.c */
void rnt_begin(struct rnt_writer *w, void *block, size_t bytes);
void rnt_put(struct rnt_writer *w, const struct rnt_event *e);
size_t rnt_end(struct rnt_writer *w, struct rnt_header h);

/* Whether any event still has room. */
static inline bool rnt_has_room(const struct rnt_writer *w)
{
	return w->room - w->used >= RNT_MOST_EVENT;
}

/* read.c */
enum rnt_found {
	RNT_WHOLE,
	RNT_CUT,		/* it ends before the block does */
	RNT_NO_BLOCK,		/* something else is there */
	RNT_OTHER_VERSION,
	RNT_DAMAGED,		/* the checksum is wrong */
};
enum rnt_found rnt_find(const void *at, size_t bytes, struct rnt_header *h);
void rnt_open(struct rnt_reader *r, const struct rnt_header *h,
	      const void *payload);
int rnt_next(struct rnt_reader *r, struct rnt_event *e);

#endif /* SLABTRACE_FORMAT_H */
