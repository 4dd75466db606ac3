// SPDX-License-Identifier: MIT
/*
 * A trace that is kept compressed, by zstd.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "trace.h"

#define STEP_BYTES	(1UL << 20)

/**
 * struct stream - what comes out of a file
 * @ended: the last frame is whole
 */
struct stream {
	FILE *f;
	ZSTD_DStream *zstd;
	unsigned char *data;
	size_t bytes, room;
	bool ended;
};

static int say(const char *name, const char *what)
{
	fprintf(stderr, "slabbench: cannot read %s: %s\n", name, what);
	return -1;
}

/* NULL, or what is wrong. */
static const char *make_room(struct stream *s)
{
	unsigned char *more;

	if (s->room - s->bytes >= STEP_BYTES)
		return NULL;
	s->room = 2 * s->room + STEP_BYTES;
	more = realloc(s->data, s->room);
	if (!more)
		return "out of memory";
	s->data = more;
	return NULL;
}

static const char *take(struct stream *s, ZSTD_inBuffer *in)
{
	do {
		const char *wrong = make_room(s);
		ZSTD_outBuffer out = {
			.dst = s->data, .size = s->room, .pos = s->bytes,
		};
		size_t ret;

		if (wrong)
			return wrong;
		ret = ZSTD_decompressStream(s->zstd, &out, in);
		if (ZSTD_isError(ret))
			return ZSTD_getErrorName(ret);
		s->bytes = out.pos;
		s->ended = !ret;
		if (!ret && in->pos == in->size)
			return NULL;
		/* A buffer that is full may have left something inside. */
		if (in->pos == in->size && out.pos < out.size)
			return NULL;
	} while (true);
}

static const char *read_all(struct stream *s)
{
	static unsigned char buf[1 << 16];
	const char *wrong = NULL;
	size_t n;

	while (!wrong && (n = fread(buf, 1, sizeof(buf), s->f))) {
		ZSTD_inBuffer in = { .src = buf, .size = n };

		wrong = take(s, &in);
	}
	if (!wrong && ferror(s->f))
		wrong = strerror(errno);
	/* What there is up to here ends within a block, if it does. */
	if (!wrong && !s->ended && !s->bytes)
		wrong = "it ends before anything came out of it";
	return wrong;
}

/**
 * zst_read() - all that a file holds
 * @name: of it
 * @data: set, for free(), also where this fails
 * @bytes: likewise
 *
 * Of a file that is cut short it is what could be had.
 *
 * Return: 0, or -1 after a message on stderr.
 */
int zst_read(const char *name, unsigned char **data, size_t *bytes)
{
	struct stream s = { .f = fopen(name, "re") };
	const char *wrong;

	if (!s.f)
		return say(name, strerror(errno));
	s.zstd = ZSTD_createDStream();
	wrong = s.zstd ? read_all(&s) : "out of memory";
	ZSTD_freeDStream(s.zstd);
	fclose(s.f);
	*data = s.data;
	*bytes = s.bytes;
	if (!wrong && !s.ended)
		fprintf(stderr, "slabbench: %s is cut short\n", name);
	return wrong ? say(name, wrong) : 0;
}
