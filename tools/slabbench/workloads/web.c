// SPDX-License-Identifier: MIT
/*
 * web: requests as a server handles them. Each has a buffer that the request is
 * read into, a string for each header line, a few parsed parameters, and a
 * response; all of it goes when the request ends. Some requests of a thread are
 * under way at a time and end in any order.
 */
#include <string.h>
#include "alloc.h"
#include "workloads.h"

#define LEAST_HEADERS	10
#define MOST_HEADERS	40
#define MOST_PARAMS	6

struct param {
	struct param *next;
	uint32_t letter, len;
	char value[];
};

struct request {
	char *buffer;
	size_t used;			/* bytes of the buffer with text */
	char *header[MOST_HEADERS];
	unsigned int nr_headers;
	struct param *params;
	char *response;
	size_t response_len;
};

static uint64_t web_draw(uint64_t *x, uint64_t least, uint64_t most)
{
	return least + ((next_random(x) >> 32) * (most - least + 1) >> 32);
}

/* Header lines of letters, as many as were drawn or as fit. */
static size_t web_text(char *buffer, size_t bytes, uint64_t *x)
{
	unsigned int lines = web_draw(x, LEAST_HEADERS, MOST_HEADERS);
	size_t used = 0;

	while (lines--) {
		size_t len = web_draw(x, 8, 128);

		if (len > bytes - used)
			break;
		memset(buffer + used, 'a' + len % 26, len - 1);
		buffer[used + len - 1] = '\n';
		used += len;
	}
	return used;
}

__bench_inline void web_receive(struct request *q, struct ops a, uint64_t *x)
{
	size_t bytes = web_draw(x, 4 << 10, 16 << 10);

	q->buffer = must(a.get(bytes), bytes);
	q->used = web_text(q->buffer, bytes, x);
}

/* A string of its own for each line of the buffer. */
__bench_inline void web_headers(struct request *q, struct ops a)
{
	const char *line = q->buffer, *end = q->buffer + q->used;

	q->nr_headers = 0;
	while (line < end) {
		const char *stop = memchr(line, '\n', end - line);
		size_t len = stop - line;
		char *h = must(a.get(len + 1), len + 1);

		memcpy(h, line, len);
		h[len] = '\0';
		q->header[q->nr_headers++] = h;
		line = stop + 1;
	}
}

__bench_inline void web_params(struct request *q, struct ops a, uint64_t *x)
{
	q->params = NULL;
	for (unsigned int i = web_draw(x, 2, MOST_PARAMS); i; i--) {
		uint32_t len = web_draw(x, 8, 200);
		size_t bytes = sizeof(struct param) + len;
		struct param *p = must(a.get(bytes), bytes);

		p->letter = 'a' + len % 26;
		p->len = len;
		memset(p->value, p->letter, len);
		p->next = q->params;
		q->params = p;
	}
}

__bench_inline void web_respond(struct request *q, struct ops a, uint64_t *x)
{
	q->response_len = web_draw(x, 1 << 10, 64 << 10);
	q->response = must(a.get(q->response_len), q->response_len);
	memset(q->response, 'a' + q->response_len % 26, q->response_len);
}

__bench_inline struct request *web_start(struct worker *w, struct ops a,
					 uint64_t *x)
{
	struct request *q = must(a.get(sizeof(*q)), sizeof(*q));

	web_receive(q, a, x);
	web_headers(q, a);
	web_params(q, a, x);
	web_respond(q, a, x);
	fold(&w->checksum, q->used);
	fold(&w->checksum, q->response_len);
	return q;
}

static void web_verify(const struct worker *w, const struct request *q)
{
	char letter = 'a' + q->response_len % 26;
	size_t at = 0;

	for (unsigned int i = 0; i < q->nr_headers; i++) {
		size_t len = strlen(q->header[i]);

		if (at + len >= q->used || q->buffer[at + len] != '\n' ||
		    memcmp(q->header[i], q->buffer + at, len))
			wrong_result(w, "a header differs from its line");
		at += len + 1;
	}
	if (at != q->used)
		wrong_result(w, "a header was lost");
	for (const struct param *p = q->params; p; p = p->next)
		for (uint32_t i = 0; i < p->len; i++)
			if ((unsigned char)p->value[i] != p->letter)
				wrong_result(w, "a parameter has changed");
	if (q->response[0] != letter ||
	    q->response[q->response_len - 1] != letter)
		wrong_result(w, "a response has changed");
}

__bench_inline void web_end(struct worker *w, struct request *q, struct ops a)
{
	web_verify(w, q);
	for (unsigned int i = 0; i < q->nr_headers; i++)
		a.put(q->header[i]);
	while (q->params) {
		struct param *p = q->params;

		q->params = p->next;
		a.put(p);
	}
	a.put(q->response);
	a.put(q->buffer);
	a.put(q);
}

__bench_inline void web(struct worker *w, struct ops a)
{
	struct request **slot = (struct request **)w->table;
	size_t n = w->row->count;
	uint64_t x = w->rng;

	for (uint64_t i = 0; i < w->iterations; i++) {
		size_t k = web_draw(&x, 0, n - 1);

		if (slot[k])
			web_end(w, slot[k], a);
		slot[k] = web_start(w, a, &x);
	}
	for (size_t k = 0; k < n; k++) {
		if (slot[k])
			web_end(w, slot[k], a);
		slot[k] = NULL;
	}
	w->ops = w->iterations;
}

BENCH_INSTANCES_REAL(web)

static size_t web_slots(const struct row *row)
{
	return row->count;
}

const struct workload workload_web = {
	.name = "web",
	.help = "requests with buffer, headers, parameters and response, "
		"--count of them under way; an operation is a request",
	.count = 8,
	.total = 200000,
	.threads = one_thread,
	.table_len = web_slots,
	.run = BENCH_RUN_REAL(web),
};
