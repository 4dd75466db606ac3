// SPDX-License-Identifier: MIT
/*
 * The format of traces: what is written is read, what is damaged is found.
 */
#define _GNU_SOURCE
#include "trace_file.h"

/* --- blocks --- */

static struct rnt_event random_event(uint64_t time_ns)
{
	struct rnt_event e = {
		.kind = (enum rnt_kind)(random_u64() % NR_RNT_KINDS),
		.site = (uint32_t)(random_u64() % 2000),
		.time_ns = time_ns,
		.address = random_number(),
	};

	if (e.kind == RNT_REALLOC) {
		e.took_ns = random_number();
		e.old = random_number();
	}
	if (e.kind == RNT_ALIGNED)
		e.align = random_number();
	if (e.kind != RNT_FREE)
		e.size = random_number();
	return e;
}

static void assert_same(const struct rnt_event *a, const struct rnt_event *b)
{
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_uint_eq(a->site, b->site);
	ck_assert_uint_eq(a->time_ns, b->time_ns);
	ck_assert_uint_eq(a->took_ns, b->took_ns);
	ck_assert_uint_eq(a->size, b->size);
	ck_assert_uint_eq(a->align, b->align);
	ck_assert_uint_eq(a->address, b->address);
	ck_assert_uint_eq(a->old, b->old);
}

static unsigned int fill_block(struct rnt_writer *w, void *block,
			       struct rnt_event *e)
{
	uint64_t time_ns = random_number() >> 8;
	unsigned int n = 0;

	rnt_begin(w, block, BLOCK_BYTES);
	while (rnt_has_room(w)) {
		e[n] = random_event(time_ns);
		rnt_put(w, &e[n++]);
		time_ns += random_number() >> 24;
	}
	return n;
}

START_TEST(what_is_written_is_read)
{
	unsigned char block[BLOCK_BYTES];
	struct rnt_event e[BLOCK_BYTES], got;
	struct rnt_header h = { .kind = RNT_EVENTS, .pid = 7, .tid = 8,
				.sequence = 9, .nested = 10 }, read;
	struct rnt_writer w;
	struct rnt_reader r;

	for (int round = 0; round < 100; round++) {
		unsigned int n = fill_block(&w, block, e);
		size_t bytes = rnt_end(&w, h);

		ck_assert_uint_le(bytes, BLOCK_BYTES);
		ck_assert_int_eq(rnt_find(block, bytes, &read), RNT_WHOLE);
		ck_assert_uint_eq(read.pid, 7);
		ck_assert_uint_eq(read.tid, 8);
		ck_assert_uint_eq(read.sequence, 9);
		ck_assert_uint_eq(read.nested, 10);
		ck_assert_uint_eq(read.events, n);
		rnt_open(&r, &read, block + sizeof(read));
		for (unsigned int i = 0; i < n; i++) {
			ck_assert_int_eq(rnt_next(&r, &got), 1);
			assert_same(&got, &e[i]);
		}
		ck_assert_int_eq(rnt_next(&r, &got), 0);
	}
}
END_TEST

/* The largest that there is has as much room as is said. */
START_TEST(the_largest_event_fits)
{
	unsigned char block[sizeof(struct rnt_header) + RNT_MOST_EVENT + 1];
	struct rnt_event e = {
		.kind = RNT_REALLOC, .site = UINT32_MAX - 1,
		.took_ns = UINT64_MAX, .size = UINT64_MAX,
		.old = 1ULL << 60, .address = 1ULL << 62,
	};
	struct rnt_writer w;

	rnt_begin(&w, block, sizeof(block) - 1);
	block[sizeof(block) - 1] = 0x5a;
	ck_assert(rnt_has_room(&w));
	rnt_put(&w, &e);
	ck_assert(!rnt_has_room(&w));
	ck_assert_uint_le(w.used, RNT_MOST_EVENT);
	ck_assert_int_eq(block[sizeof(block) - 1], 0x5a);
}
END_TEST

/* What a writer never writes, but with a checksum that is right. */
START_TEST(events_that_are_none)
{
	static const unsigned char bad[][4] = {
		{ 0x0f }, { 5 }, { 0x10 }, { 8 }, { 8, 0, 0x80 }, { 8, 0, 0, 0x80 },
	};
	struct rnt_header h = { .events = 1 };
	struct rnt_event e;
	struct rnt_reader r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		h.bytes = 4;
		while (h.bytes > 1 && !bad[i][h.bytes - 1])
			h.bytes--;
		rnt_open(&r, &h, bad[i]);
		ck_assert_int_eq(rnt_next(&r, &e), -1);
	}
	h.events = 0;
	h.bytes = 1;
	rnt_open(&r, &h, bad[0]);
	ck_assert_int_eq(rnt_next(&r, &e), -1);
}
END_TEST

/* --- files --- */

/* Three blocks of a thread, ten allocations in each. */
static size_t write_three(struct writing *x, unsigned char *bytes)
{
	size_t n;

	create(x);
	for (uint64_t i = 0; i < 30; i++) {
		put(x, RNT_MALLOC, i, 4096 + 16 * i, 16);
		if (i % 10 == 9)
			end_block(x);
	}
	finish(x);
	x->f = fopen(x->name, "r");
	n = fread(bytes, 1, 8192, x->f);
	fclose(x->f);
	return n;
}

static void write_bytes(const struct writing *x, const void *p, size_t n)
{
	FILE *f = fopen(x->name, "w");

	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

/* Up to the last whole block, wherever a file ends. */
START_TEST(a_file_that_is_cut)
{
	unsigned char bytes[8192];
	struct writing x;
	size_t n = write_three(&x, bytes), end[4] = { 0 }, blocks = 0;
	struct rnt_header h;
	struct trace t;

	for (size_t at = 0; at < n; at += sizeof(h) + h.bytes) {
		memcpy(&h, bytes + at, sizeof(h));
		end[blocks++] = at + sizeof(h) + h.bytes;
	}
	ck_assert_uint_eq(blocks, 4);
	for (size_t cut = 0; cut <= n; cut++) {
		uint64_t events = 0;
		int ret;

		for (size_t b = 1; b < blocks; b++)
			events += end[b] <= cut ? 10 : 0;
		write_bytes(&x, bytes, cut);
		ret = trace_load(&t, x.name);
		ck_assert_int_eq(ret, events ? 0 : -1);
		ck_assert_uint_eq(t.events, events);
		trace_free(&t);
	}
	unlink(x.name);
}
END_TEST

/* No byte can change and all events be read. */
START_TEST(a_file_that_is_damaged)
{
	unsigned char bytes[8192];
	struct writing x;
	size_t n = write_three(&x, bytes);
	struct trace t;

	for (size_t i = 0; i < n; i++) {
		int ret;

		bytes[i] ^= 1 << i % 8;
		write_bytes(&x, bytes, n);
		ret = trace_load(&t, x.name);
		ck_assert(ret || t.events < 30);
		trace_free(&t);
		bytes[i] ^= 1 << i % 8;
	}
	unlink(x.name);
}
END_TEST

START_TEST(a_block_that_is_missing)
{
	unsigned char bytes[8192];
	struct writing x;
	size_t n = write_three(&x, bytes), first, second;
	struct rnt_header h;
	struct trace t;

	memcpy(&h, bytes, sizeof(h));
	first = sizeof(h) + h.bytes;
	memcpy(&h, bytes + first, sizeof(h));
	second = first + sizeof(h) + h.bytes;
	memmove(bytes + first, bytes + second, n - second);
	write_bytes(&x, bytes, n - (second - first));
	ck_assert_int_eq(trace_load(&t, x.name), -1);
	trace_free(&t);
	unlink(x.name);
}
END_TEST

/* tools/slabtrace/trace_cmd.c */
int cmd_trace(int argc, char **argv);

/* What tells of the process need not end with a line, nor be anything. */
START_TEST(a_process_that_ends_anywhere)
{
	static const char *const texts[] = { "a=b", "a=b\n", "" };
	char command[] = "trace", csv[] = "--csv=-", *said;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct rnt_header h = { .kind = RNT_PROCESS };
		struct writing x;

		create(&x);
		/* Another block in the place of the first. */
		rewind(x.f);
		h.bytes = (uint32_t)strlen(texts[i]);
		memcpy(x.block + sizeof(h), texts[i], h.bytes);
		put_block(&x, h);
		put(&x, RNT_MALLOC, MS, 0x1000, 100);
		finish(&x);
		stderr_catch();
		ck_assert_int_eq(cmd_trace(3, (char *[]){ command, csv, x.name,
							  NULL }), 0);
		said = stderr_caught();
		ck_assert_int_eq(!strstr(said, "\n# a=b\ncalls "), !*texts[i]);
		ck_assert_int_eq(!strstr(said, "# a=b"), !*texts[i]);
		free(said);
		unlink(x.name);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("trace");

	tcase_add_test(tc, what_is_written_is_read);
	tcase_add_test(tc, the_largest_event_fits);
	tcase_add_test(tc, events_that_are_none);
	tcase_add_test(tc, a_file_that_is_cut);
	tcase_add_test(tc, a_file_that_is_damaged);
	tcase_add_test(tc, a_process_that_ends_anywhere);
	tcase_add_test(tc, a_block_that_is_missing);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
