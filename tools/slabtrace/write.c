// SPDX-License-Identifier: MIT
/*
 * Writing a block of a trace.
 */
#include <string.h>
#include <zlib.h>
#include "format.h"

static unsigned char *put_number(unsigned char *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	*p++ = (unsigned char)v;
	return p;
}

/*
 * Objects are aligned to 8 bytes at least: the low bits go to the top, where
 * they cost nothing as long as they are 0. A step back is as short as one
 * ahead.
 */
static unsigned char *put_address(unsigned char *p, struct rnt_state *s,
				  uint64_t address)
{
	uint64_t turned = address >> 3 | address << 61;
	uint64_t step = turned - s->address;

	s->address = turned;
	return put_number(p, step << 1 ^ -(step >> 63));
}

static unsigned char *put_site(unsigned char *p, struct rnt_state *s,
			       uint32_t site, bool known)
{
	unsigned char slot = site % RNT_SITES;

	if (known) {
		*p++ = slot;
		return p;
	}
	s->site[slot] = site;
	memcpy(p, &site, sizeof(site));
	return p + sizeof(site);
}

/**
 * rnt_begin() - an empty block
 * @w: set up
 * @block: where it is to be
 * @bytes: room there, for the header and at least RNT_MOST_EVENT
 */
void rnt_begin(struct rnt_writer *w, void *block, size_t bytes)
{
	memset(w, 0, sizeof(*w));
	w->block = block;
	w->room = bytes - sizeof(struct rnt_header);
}

/**
 * rnt_put() - another event
 * @w: there must be room, see rnt_has_room()
 * @e: not earlier than the one before
 */
void rnt_put(struct rnt_writer *w, const struct rnt_event *e)
{
	unsigned char *start = w->block + sizeof(struct rnt_header) + w->used;
	struct rnt_state *s = &w->state;
	bool known = s->site[e->site % RNT_SITES] == e->site;
	unsigned char *p = start;

	if (!w->events)
		w->first_ns = s->time_ns = e->time_ns;
	*p++ = (unsigned char)(e->kind | (known ? 8 : 0));
	p = put_site(p, s, e->site, known);
	p = put_number(p, e->time_ns - s->time_ns);
	s->time_ns = e->time_ns;
	if (e->kind == RNT_REALLOC) {
		p = put_number(p, e->took_ns);
		p = put_address(p, s, e->old);
	}
	if (e->kind == RNT_ALIGNED)
		p = put_number(p, e->align);
	if (e->kind != RNT_FREE)
		p = put_number(p, e->size);
	p = put_address(p, s, e->address);
	w->used += p - start;
	w->events++;
}

/**
 * rnt_end() - finishes the block
 * @w: may be begun anew afterwards
 * @h: kind, ids, sequence and nested; the rest is filled in. Of another kind
 *	than RNT_EVENTS, @h.bytes have been put behind the header
 *
 * Return: bytes to write from w->block on.
 */
size_t rnt_end(struct rnt_writer *w, struct rnt_header h)
{
	size_t bytes;

	memcpy(h.magic, RNT_MAGIC, sizeof(h.magic));
	h.version = RNT_VERSION;
	if (h.kind == RNT_EVENTS) {
		h.bytes = (uint32_t)w->used;
		h.events = w->events;
		h.first_ns = w->first_ns;
	}
	h.crc = 0;
	bytes = sizeof(h) + h.bytes;
	memcpy(w->block, &h, sizeof(h));
	h.crc = (uint32_t)crc32(0, w->block, (unsigned int)bytes);
	memcpy(w->block, &h, sizeof(h));
	return bytes;
}
