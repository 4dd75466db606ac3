// SPDX-License-Identifier: MIT
/*
 * json: a parser of the field, jansson, on generated documents. A document is
 * parsed into a tree, looked into, some are written out again, and the tree is
 * kept until its place is taken by another one: allocations that live for a
 * moment among others that stay.
 *
 * What a tree holds is known from generating it. jansson takes its allocator
 * for the whole process, which here has one anyway.
 */
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include "alloc.h"
#include "workloads.h"

#define TEXT_BYTES	(512 << 10)	/* documents of a thread */
#define MAX_DOCS	1024
#define MAX_DEPTH	5
#define MAX_CHILDREN	3
#define ITEM_MAX	512		/* bytes of an item but its children */
#define DOC_MAX		(121 * ITEM_MAX)	/* 1 + 3 + 9 + 27 + 81 */
#define DUMP_EVERY	8

/**
 * struct docs - the documents of a thread, one text after the other
 * @start: where a text begins; it ends where the next one does
 * @sum: what tree_sum() must find in the tree
 */
struct docs {
	size_t n;
	size_t start[MAX_DOCS + 1];
	uint64_t sum[MAX_DOCS];
	char text[TEXT_BYTES];
};

/* A tree that is kept, and the document it came from. */
struct kept {
	json_t *tree;
	size_t doc;
};

/* --- generating --- */

struct writer {
	char *text;
	size_t len;
	uint64_t sum, rng;
};

static void __attribute__((format(printf, 2, 3)))
put(struct writer *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->len += vsprintf(t->text + t->len, fmt, ap);
	va_end(ap);
}

static unsigned int draw(struct writer *t, unsigned int n)
{
	return (next_random(&t->rng) >> 32) * n >> 32;
}

static void put_integer(struct writer *t, const char *key)
{
	unsigned int v = draw(t, 1000000);

	put(t, "\"%s\":%u", key, v);
	t->sum += v;
}

/* Quarters, which binary fractions hold exactly, and no whole numbers. */
static void put_real(struct writer *t, const char *key)
{
	double v = draw(t, 10000) + 0.25 * (1 + draw(t, 3));

	put(t, "\"%s\":%.2f", key, v);
	while (t->text[t->len - 1] == '0')
		t->len--;
	t->sum += (uint64_t)(v * 4);
}

/* Letters, an umlaut and an escaped newline. */
static void put_string(struct writer *t, unsigned int least, unsigned int most)
{
	unsigned int len = least + draw(t, most - least + 1);

	put(t, "\"");
	for (unsigned int i = 0; i < len; i++)
		put(t, "%c", 'a' + draw(t, 26));
	put(t, "\u00fc\\n\"");
	t->sum += len + strlen("\u00fc\n");
}

static void put_tags(struct writer *t)
{
	unsigned int n = 1 + draw(t, 6);

	put(t, "\"tags\":[");
	for (unsigned int i = 0; i < n; i++) {
		put(t, i ? "," : "");
		put_string(t, 2, 12);
	}
	put(t, "]");
}

static void put_item(struct writer *t, unsigned int depth)
{
	unsigned int n = depth > 1 ? draw(t, MAX_CHILDREN + 1) : 0;
	bool active = draw(t, 2);

	put(t, "{\"name\":");
	put_string(t, 4, 60);
	put(t, ",");
	put_integer(t, "id");
	put(t, ",");
	put_real(t, "price");
	put(t, ",\"active\":%s,\"note\":null,", active ? "true" : "false");
	t->sum += active;
	put_tags(t);
	put(t, ",\"at\":{");
	put_real(t, "x");
	put(t, ",");
	put_real(t, "y");
	put(t, "},\"children\":[");
	for (unsigned int i = 0; i < n; i++) {
		put(t, i ? "," : "");
		put_item(t, depth - 1);
	}
	put(t, "]}");
}

static void docs_make(struct docs *d, uint64_t seed)
{
	struct writer t = { .text = d->text, .rng = seed };

	while (d->n < MAX_DOCS && TEXT_BYTES - t.len > DOC_MAX) {
		t.sum = 0;
		put_item(&t, MAX_DEPTH);
		d->sum[d->n++] = t.sum;
		d->start[d->n] = t.len;
	}
}

/* --- using --- */

static uint64_t tree_sum(const json_t *v)
{
	uint64_t sum = 0;
	const char *key;
	json_t *member;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		json_object_foreach((json_t *)v, key, member)
			sum += tree_sum(member);
		return sum;
	case JSON_ARRAY:
		json_array_foreach(v, i, member)
			sum += tree_sum(member);
		return sum;
	case JSON_STRING:
		return json_string_length(v);
	case JSON_INTEGER:
		return json_integer_value(v);
	case JSON_REAL:
		return (uint64_t)(json_real_value(v) * 4);
	default:
		return json_is_true(v);
	}
}

static json_t *doc_parse(const struct worker *w, const struct docs *d,
			 size_t doc)
{
	size_t len = d->start[doc + 1] - d->start[doc];
	json_error_t error;
	json_t *tree = json_loadb(d->text + d->start[doc], len, 0, &error);

	if (!tree)
		wrong_result(w, error.text);
	return tree;
}

/* A few members by name, as a program would. */
static uint64_t doc_look(const json_t *tree)
{
	const json_t *children = json_object_get(tree, "children");
	const json_t *child = json_array_get(children, 0);
	const json_t *item = child ? child : tree;

	return json_integer_value(json_object_get(item, "id")) +
	       json_array_size(json_object_get(item, "tags"));
}

/* Compact and in order, a tree is written as it was read. */
__bench_inline void doc_dump(const struct worker *w, struct ops a,
			     const struct docs *d, const struct kept *k)
{
	size_t len = d->start[k->doc + 1] - d->start[k->doc];
	char *text = json_dumps(k->tree, JSON_COMPACT);

	if (!text || strlen(text) != len ||
	    memcmp(text, d->text + d->start[k->doc], len))
		wrong_result(w, "a document was written otherwise");
	a.put(text);
}

static void doc_drop(const struct worker *w, const struct docs *d,
		     struct kept *k)
{
	if (!k->tree)
		return;
	if (tree_sum(k->tree) != d->sum[k->doc])
		wrong_result(w, "a tree has another sum");
	json_decref(k->tree);
	k->tree = NULL;
}

/* One for all; nobody may use the parser yet, or still. */
__bench_inline void json_prepare(struct worker *w, struct ops a)
{
	if (!w->index) {
		json_object_seed(w->row->seed | 1);
		json_set_alloc_funcs(a.get, a.put);
	}
	wait_for_others(w);
}

__bench_inline void jsondoc(struct worker *w, struct ops a)
{
	struct docs *d = (struct docs *)w->table;
	struct kept *kept = (struct kept *)(d + 1);
	size_t n = w->row->count;
	uint64_t x = w->rng;

	json_prepare(w, a);
	if (!d->n)
		docs_make(d, w->rng);
	for (uint64_t i = 0; i < w->iterations; i++) {
		struct kept *k = &kept[(next_random(&x) >> 32) * n >> 32];

		doc_drop(w, d, k);
		k->doc = (next_random(&x) >> 32) * d->n >> 32;
		k->tree = doc_parse(w, d, k->doc);
		fold(&w->checksum, doc_look(k->tree));
		if (i % DUMP_EVERY == 0)
			doc_dump(w, a, d, k);
	}
	for (size_t k = 0; k < n; k++)
		doc_drop(w, d, &kept[k]);
	w->ops = w->iterations;
}

BENCH_INSTANCES_REAL(jsondoc)

static size_t jsondoc_table(const struct row *row)
{
	return (sizeof(struct docs) + row->count * sizeof(struct kept)) /
	       sizeof(void *);
}

const struct workload workload_json = {
	.name = "json",
	.help = "documents parsed by jansson, --count trees kept for a while, "
		"some written; an operation is a document",
	.count = 64,
	.total = 10000,
	.threads = one_thread,
	.table_len = jsondoc_table,
	.run = BENCH_RUN_REAL(jsondoc),
};
