// SPDX-License-Identifier: MIT
/*
 * kv: a store of keys and values, as a cache server has one: a hash table with
 * an entry for each key and a value apart from it. Half of the operations look
 * a key up and read all of its value, three in ten set one (a new entry, or a
 * new value for the old one), two in ten delete one. Of --count keys about
 * three in five are there in the long run. What the allocator holds for them is
 * noted then, which is why it starts afresh.
 */
#include <string.h>
#include "alloc.h"
#include "workloads.h"

#define KEY_MAX		32
#define SET_BELOW	80		/* percent */
#define LOOKUP_BELOW	50

struct entry {
	struct entry *next;
	uint64_t hash;
	size_t len;
	unsigned char *value;		/* @len bytes, all @byte */
	unsigned char byte;
	char key[];
};

struct store {
	struct entry **bucket;
	size_t mask;
	uint64_t found, bytes;		/* of lookups; live */
};

/* "user:" and a number; returns the bytes, with the zero. */
static size_t key_write(char *key, uint64_t number)
{
	char digits[KEY_MAX];
	size_t n = 0, len = strlen("user:");

	memcpy(key, "user:", len);
	do
		digits[n++] = '0' + number % 10;
	while (number /= 10);
	while (n)
		key[len++] = digits[--n];
	key[len++] = '\0';
	return len;
}

/* FNV-1a, and its upper bits into the lower ones. */
static uint64_t key_hash(const char *key)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

/* Where the pointer to the entry is, or would be. */
static struct entry **store_find(const struct store *s, uint64_t hash,
				 const char *key)
{
	struct entry **e = &s->bucket[hash & s->mask];

	while (*e && ((*e)->hash != hash || strcmp((*e)->key, key)))
		e = &(*e)->next;
	return e;
}

__bench_inline void entry_set(struct worker *w, struct store *s,
			      struct entry *e, struct ops a, uint64_t *x)
{
	size_t len = draw_size(w->row, x);
	unsigned char *value = must(a.get(len), len);

	e->byte = next_random(x) >> 56;
	memset(value, e->byte, len);
	live_add(w, len - e->len);
	s->bytes += len - e->len;
	if (e->value)
		a.put(e->value);
	e->value = value;
	e->len = len;
}

__bench_inline void store_set(struct worker *w, struct store *s, struct ops a,
			      const char *key, size_t key_len, uint64_t *x)
{
	uint64_t hash = key_hash(key);
	struct entry **where = store_find(s, hash, key), *e = *where;
	size_t bytes = sizeof(*e) + key_len;

	if (!e) {
		e = must(a.get(bytes), bytes);
		*e = (struct entry) { .hash = hash };
		memcpy(e->key, key, key_len);
		*where = e;
		live_add(w, bytes);
	}
	entry_set(w, s, e, a, x);
}

static void entry_verify(const struct worker *w, const struct entry *e)
{
	for (size_t i = 0; i < e->len; i++)
		if (e->value[i] != e->byte)
			wrong_result(w, "a value has changed");
}

static void store_lookup(const struct worker *w, struct store *s,
			 const char *key)
{
	const struct entry *e = *store_find(s, key_hash(key), key);

	if (!e)
		return;
	entry_verify(w, e);
	s->found++;
}

__bench_inline void store_delete(struct worker *w, struct store *s,
				 struct ops a, struct entry **where)
{
	struct entry *e = *where;

	if (!e)
		return;
	*where = e->next;
	live_add(w, -(sizeof(*e) + strlen(e->key) + 1 + e->len));
	s->bytes -= e->len;
	a.put(e->value);
	a.put(e);
}

__bench_inline void store_make(struct worker *w, struct store *s, struct ops a)
{
	size_t n = 16, bytes;

	while (n < w->row->count)
		n *= 2;
	bytes = n * sizeof(*s->bucket);
	*s = (struct store) {
		.bucket = must(a.get(bytes), bytes),
		.mask = n - 1,
	};
	memset(s->bucket, 0, bytes);
	live_add(w, bytes);
}

__bench_inline void store_free(struct worker *w, struct store *s, struct ops a)
{
	for (size_t i = 0; i <= s->mask; i++)
		while (s->bucket[i]) {
			entry_verify(w, s->bucket[i]);
			store_delete(w, s, a, &s->bucket[i]);
		}
	if (s->bytes)
		wrong_result(w, "a value was lost");
	live_add(w, -((s->mask + 1) * sizeof(*s->bucket)));
	a.put(s->bucket);
}

__bench_inline void store_step(struct worker *w, struct store *s, struct ops a,
			       uint64_t *x)
{
	uint64_t r = next_random(x);
	unsigned int what = (r & 0xffff) % 100;
	char key[KEY_MAX];
	size_t len = key_write(key, (r >> 32) * w->row->count >> 32);

	if (what < LOOKUP_BELOW)
		store_lookup(w, s, key);
	else if (what < SET_BELOW)
		store_set(w, s, a, key, len, x);
	else
		store_delete(w, s, a, store_find(s, key_hash(key), key));
}

__bench_inline void kv(struct worker *w, struct ops a)
{
	uint64_t x = w->rng;
	struct store s;

	store_make(w, &s, a);
	for (uint64_t i = 0; i < w->iterations; i++)
		store_step(w, &s, a, &x);
	fold(&w->checksum, s.found);
	fold(&w->checksum, s.bytes);
	phase_end(w);
	store_free(w, &s, a);
	w->ops = w->iterations;
}

BENCH_INSTANCES_REAL(kv)

static size_t kv_live(const struct row *row)
{
	return (row->count * 3 + 4) / 5;
}

const struct workload workload_kv = {
	.name = "kv",
	.help = "a hash table of --count keys: look up, set, delete values; "
		"an operation is one of these",
	.least = 16,
	.most = 4096,
	.median = 256,
	.count = 100000,
	.total = 3000000,
	.threads = one_thread,
	.phases = { "serve", "drain" },
	.cold = true,
	.live = kv_live,
	.run = BENCH_RUN_REAL(kv),
};
