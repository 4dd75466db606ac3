// SPDX-License-Identifier: MIT
/*
 * Reading a block of a trace.
 */
#include <string.h>
#include <zlib.h>
#include "format.h"

/**
 * rnt_find() - whether a whole block is there
 * @at: what was read
 * @bytes: how much of it
 * @h: its header, unless RNT_CUT or RNT_NO_BLOCK
 */
enum rnt_found rnt_find(const void *at, size_t bytes, struct rnt_header *h)
{
	uint32_t crc;

	if (memcmp(at, RNT_MAGIC, bytes < 4 ? bytes : 4))
		return RNT_NO_BLOCK;
	if (bytes < sizeof(*h))
		return RNT_CUT;
	memcpy(h, at, sizeof(*h));
	if (h->version != RNT_VERSION)
		return RNT_OTHER_VERSION;
	if (h->bytes > RNT_MOST_BLOCK)
		return RNT_DAMAGED;
	if (bytes - sizeof(*h) < h->bytes)
		return RNT_CUT;
	crc = h->crc;
	h->crc = 0;
	h->crc = (uint32_t)crc32(crc32(0, (const void *)h, sizeof(*h)),
				 (const unsigned char *)at + sizeof(*h),
				 h->bytes);
	return h->crc == crc ? RNT_WHOLE : RNT_DAMAGED;
}

/* To read the events of a block that rnt_find() found whole. */
void rnt_open(struct rnt_reader *r, const struct rnt_header *h,
	      const void *payload)
{
	memset(r, 0, sizeof(*r));
	r->at = payload;
	r->end = r->at + h->bytes;
	r->left = h->events;
	r->state.time_ns = h->first_ns;
}

/* False where there is no number of at most 64 bits. */
static bool get_number(struct rnt_reader *r, uint64_t *v)
{
	unsigned int shift = 0;
	unsigned char byte;

	*v = 0;
	do {
		if (r->at == r->end || shift > 63)
			return false;
		byte = *r->at++;
		if (shift == 63 && byte > 1)
			return false;
		*v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return true;
}

static bool get_address(struct rnt_reader *r, uint64_t *address)
{
	uint64_t v, turned;

	if (!get_number(r, &v))
		return false;
	turned = r->state.address + (v >> 1 ^ -(v & 1));
	r->state.address = turned;
	*address = turned << 3 | turned >> 61;
	return true;
}

static bool get_site(struct rnt_reader *r, uint32_t *site, bool known)
{
	size_t bytes = known ? 1 : sizeof(*site);

	if ((size_t)(r->end - r->at) < bytes)
		return false;
	if (known) {
		*site = r->state.site[*r->at];
	} else {
		memcpy(site, r->at, sizeof(*site));
		r->state.site[*site % RNT_SITES] = *site;
	}
	r->at += bytes;
	return true;
}

static bool get_time(struct rnt_reader *r, uint64_t *time_ns)
{
	uint64_t step;

	if (!get_number(r, &step))
		return false;
	r->state.time_ns += step;
	*time_ns = r->state.time_ns;
	return true;
}

/* False where they do not end within the block. */
static bool get_fields(struct rnt_reader *r, struct rnt_event *e, bool known)
{
	if (!get_site(r, &e->site, known) || !get_time(r, &e->time_ns))
		return false;
	if (e->kind == RNT_REALLOC &&
	    (!get_number(r, &e->took_ns) || !get_address(r, &e->old)))
		return false;
	if (e->kind == RNT_ALIGNED && !get_number(r, &e->align))
		return false;
	if (e->kind != RNT_FREE && !get_number(r, &e->size))
		return false;
	return get_address(r, &e->address);
}

/**
 * rnt_next() - the next event of a block
 * @r: by rnt_open()
 * @e: filled in
 *
 * Return: 1; 0 at the end of the block; -1 if what is there is no event, which
 * the checksum leaves to a writer that is wrong.
 */
int rnt_next(struct rnt_reader *r, struct rnt_event *e)
{
	unsigned char tag;

	if (!r->left)
		return r->at == r->end ? 0 : -1;
	if (r->at == r->end)
		return -1;
	tag = *r->at++;
	*e = (struct rnt_event){ .kind = tag & 7 };
	if (tag & 0xf0 || e->kind >= NR_RNT_KINDS ||
	    !get_fields(r, e, tag & 8))
		return -1;
	r->left--;
	return 1;
}
