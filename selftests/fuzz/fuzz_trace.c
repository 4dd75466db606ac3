// SPDX-License-Identifier: MIT
/*
 * Any bytes as a trace, by the command that shows one and by the plan of its
 * replay; and any bytes as a compressed file.
 *
 * The first byte of the input says how much of the rest is put right, since no
 * mutation meets a checksum: nothing; each checksum; also what a header says of
 * its block; or it is taken for a compressed file, or compressed and cut.
 */
#include "trace_input.h"

#include <zlib.h>
#include <zstd.h>

/* tools/slabtrace/trace_cmd.c */
int cmd_trace(int argc, char **argv);

enum repair { NOTHING, CHECKSUMS, HEADERS, COMPRESSED, CUT, NR_REPAIRS };

/* --- blocks --- */

/* As many events as there are, and no more bytes than those. */
static void count_events(struct rnt_header *h, const uint8_t *payload)
{
	struct rnt_reader r;
	struct rnt_event e;

	h->events = UINT32_MAX;
	rnt_open(&r, h, payload);
	h->events = 0;
	h->bytes = 0;
	while (rnt_next(&r, &e) == 1) {
		h->events++;
		h->bytes = (uint32_t)(r.at - payload);
	}
}

static void put_checksum(struct rnt_header *h, const uint8_t *payload)
{
	h->crc = 0;
	h->crc = (uint32_t)crc32(crc32(0, (const void *)h, sizeof(*h)), payload,
				 h->bytes);
}

/* Threads of few numbers, whose blocks come one after the other. */
static void put_header(struct rnt_header *h, const uint8_t *payload,
		       uint32_t sequence[4], bool first)
{
	memcpy(h->magic, RNT_MAGIC, sizeof(h->magic));
	h->version = RNT_VERSION;
	h->kind = first ? RNT_PROCESS : RNT_EVENTS;
	if (first)
		return;
	h->tid %= 4;
	h->sequence = h->sequence % 16 ? sequence[h->tid] : 0;
	sequence[h->tid] = h->sequence + 1;
	count_events(h, payload);
}

/* What it comes to in bytes. */
static size_t repair(uint8_t *data, size_t size, enum repair how)
{
	uint32_t sequence[4] = { 0 };
	struct rnt_header h;
	size_t at = 0, to = 0;

	while (size - at >= sizeof(h)) {
		const uint8_t *payload = data + at + sizeof(h);
		size_t rest = size - at - sizeof(h), had;

		memcpy(&h, data + at, sizeof(h));
		h.bytes = had = h.bytes < rest ? h.bytes : rest;
		if (how >= HEADERS)
			put_header(&h, payload, sequence, !at);
		put_checksum(&h, payload);
		memmove(data + to + sizeof(h), payload, h.bytes);
		memcpy(data + to, &h, sizeof(h));
		to += sizeof(h) + h.bytes;
		at += sizeof(h) + had;
	}
	memmove(data + to, data + at, size - at);
	return to + size - at;
}

/* --- the reader, and those that it reads for --- */

static void show(char *name)
{
	char command[] = "trace", csv[] = "--csv=/dev/null";
	char *argv[] = { command, csv, name, NULL };
	int ret;

	stderr_catch();
	ret = cmd_trace(3, argv);
	fflush(stdout);
	end_of_words(ret);
}

static void read_trace(const uint8_t *data, size_t size)
{
	struct input_file f = input_file(data, size);
	struct trace t;
	int ret;

	show(f.name);
	stderr_catch();
	ret = trace_load(&t, f.name);
	if (!ret)
		ret = plan_of(&t);
	end_of_words(ret);
	trace_free(&t);
	close(f.fd);
}

/* --- compressed files --- */

/* How much came out, or -1; it is what @whole begins with, unless NULL. */
static ssize_t read_zst(const void *data, size_t size, const uint8_t *whole,
			size_t bytes)
{
	struct input_file f = input_file(data, size);
	unsigned char *got = NULL;
	size_t n = 0;
	int ret;

	stderr_catch();
	ret = zst_read(f.name, &got, &n);
	end_of_words(ret);
	if (!ret && whole)
		sure(n <= bytes && !memcmp(got, whole, n));
	free(got);
	close(f.fd);
	return ret ? -1 : (ssize_t)n;
}

static void read_cut(const uint8_t *data, size_t size)
{
	size_t room = ZSTD_compressBound(size);
	uint8_t *packed = malloc(room);
	size_t n = ZSTD_compress(packed, room, data, size, 1), cut;

	sure(!ZSTD_isError(n));
	sure(read_zst(packed, n, data, size) == (ssize_t)size);
	cut = size ? data[0] * n / 256 : 0;
	read_zst(packed, cut, data, size);
	free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum repair how = size ? data[0] % NR_REPAIRS : NOTHING;
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	size--;
	memcpy(copy, data + 1, size);
	if (how == CHECKSUMS || how == HEADERS)
		size = repair(copy, size, how);
	if (how == COMPRESSED)
		read_zst(copy, size, NULL, 0);
	else if (how == CUT)
		read_cut(copy, size);
	else
		read_trace(copy, size);
	free(copy);
	return 0;
}
