// SPDX-License-Identifier: MIT
/*
 * rn_memmap(): each page of a pageblock is in one line, and the lines say what
 * is there.
 */
#include "helpers.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_PAGES	512U
#define PAGE		4096UL

static const char head[] = "memmap - version: 1.0\n";

struct cache {
	char name[64];
	unsigned long size, active, objects, in_slabs, out, held;
};

/* What the lines add up to. */
static struct map {
	unsigned int blocks, free, released, slabs, active_slabs, slots;
	unsigned long pages, large;
	struct cache caches[256];
	unsigned int nr_caches;
} map;

static struct cache *cache_named(const char *name)
{
	for (unsigned int i = 0; i < map.nr_caches; i++)
		if (!strcmp(map.caches[i].name, name))
			return &map.caches[i];
	ck_assert_uint_lt(map.nr_caches, 256);
	strcpy(map.caches[map.nr_caches].name, name);
	return &map.caches[map.nr_caches++];
}

/* The next page that no line has named; a run may go on in later blocks. */
static unsigned long next_pfn, block_end;

static void covers(unsigned long pfn, unsigned long nr, const char *line)
{
	ck_assert_msg(pfn == next_pfn && nr, "%lu: %s", next_pfn, line);
	next_pfn += nr;
}

static void read_block(const char *line)
{
	unsigned int block, node, nr_free, released, hollow;
	char backing[16];

	ck_assert_int_eq(sscanf(line, "block %u %u %15s %u %u %u", &block, &node,
				backing, &nr_free, &released, &hollow), 6);
	ck_assert_uint_ge(next_pfn, block_end);
	ck_assert(!strcmp(backing, "thp") || !strcmp(backing, "hugetlb") ||
		  !strcmp(backing, "small"));
	if (next_pfn < block * BLOCK_PAGES)
		next_pfn = block * BLOCK_PAGES;
	block_end = (block + 1UL) * BLOCK_PAGES;
	map.free += nr_free;
	map.released += released;
	map.blocks++;
}

static void read_slab(const char *line)
{
	unsigned int pfn, pages, out, objects, hollow, queued;
	char name[64], state[16];
	struct cache *c;

	ck_assert_int_eq(sscanf(line, "slab %u %u %63s %15s %u %u %u %u", &pfn,
				&pages, name, state, &out, &objects, &hollow,
				&queued), 8);
	ck_assert_uint_le(out + queued, objects);
	ck_assert(!queued || !strcmp(state, "active"));
	ck_assert_uint_le(hollow, pages);
	covers(pfn, pages, line);
	c = cache_named(name);
	c->in_slabs += objects;
	c->out += out;
	map.slabs++;
	map.active_slabs += !strcmp(state, "active");
}

static void read_caches(const char *line)
{
	unsigned long objects, size, active, all;
	unsigned int node, full, empty, index, have[2], room[2];
	char name[64], slab[16], home[16];
	struct cache *c;

	if (sscanf(line, "cache %63s %u %lu %lu %lu", name, &node, &size,
		   &active, &all) == 5) {
		c = cache_named(name);
		c->size = size;
		c->active += active;
		c->objects += all;
	} else if (sscanf(line, "barn %63s %u %u %u %lu", name, &node, &full,
			  &empty, &objects) == 5) {
		cache_named(name)->held += objects;
	} else if (sscanf(line, "slot %63s %u %u %u %u %u %u %15s %15s", name,
			  &node, &index, &have[0], &room[0], &have[1],
			  &room[1], slab, home) == 9) {
		ck_assert_uint_le(have[0], room[0]);
		ck_assert_uint_le(have[1], room[1]);
		cache_named(name)->held += have[0] + have[1];
		map.slots += slab[0] != '-';
	} else {
		ck_abort_msg("%s", line);
	}
}

static void read_line(const char *line)
{
	unsigned int pfn, nr;
	char word[16];

	ck_assert_int_eq(sscanf(line, "%15s %u %u", word, &pfn, &nr) > 0, 1);
	if (!strcmp(word, "block")) {
		read_block(line);
	} else if (!strcmp(word, "slab")) {
		read_slab(line);
	} else if (!strcmp(word, "free") || !strcmp(word, "released") ||
		   !strcmp(word, "pages") || !strcmp(word, "large")) {
		covers(pfn, nr, line);
		map.pages += word[0] == 'p' ? nr : 0;
		map.large += word[0] == 'l' ? nr : 0;
	} else {
		read_caches(line);
	}
}

static void read_map(void)
{
	char *text = dump_text(rn_memmap), *at = text, *line;

	ck_assert(!strncmp(text, head, strlen(head)));
	memset(&map, 0, sizeof(map));
	next_pfn = block_end = 0;
	at += strlen(head);
	while ((line = strsep(&at, "\n")) && *line)
		read_line(line);
	ck_assert_ptr_nonnull(line);
	ck_assert_uint_ge(next_pfn, block_end);
	free(text);
}

/* Objects that are out of slabs are the program's, or in sheaves. */
static void adds_up(void)
{
	for (unsigned int i = 0; i < map.nr_caches; i++) {
		struct cache *c = &map.caches[i];

		ck_assert_uint_eq(c->in_slabs, c->objects);
		ck_assert_uint_eq(c->out, c->active + c->held);
	}
	ck_assert_uint_eq(map.active_slabs, map.slots);
}

START_TEST(each_page_in_one_line)
{
	enum { MANY = 20000 };
	static void *p[MANY];
	static size_t size[MANY];
	uint64_t x = 42;
	unsigned long active = 0;
	void *pages, *large;

	for (int i = 0; i < MANY; i++) {
		size[i] = 1 + xorshift(&x) % (i % 16 ? 600 : 20000);
		p[i] = rn_alloc(size[i], 0);
		memset(p[i], 1, size[i]);
	}
	pages = rn_alloc_pages(3, 0, RN_NO_NODE);
	large = rn_alloc(opaque(5 << 20), 0);
	read_map();
	adds_up();
	ck_assert_uint_eq(map.pages, 0);
	ck_assert_uint_eq(map.large, (5 << 20) / PAGE + 8);
	for (unsigned int i = 0; i < map.nr_caches; i++)
		active += map.caches[i].active;
	ck_assert_uint_eq(active, MANY);
	for (int i = 0; i < MANY; i++)
		if (xorshift(&x) % 20)
			rn_free(p[i]);
	rn_free(large);
	rn_free_pages(pages, 3);
	rn_trim(0);
	read_map();
	adds_up();
	ck_assert_uint_eq(map.pages + map.large, 0);
	if (vmstat_nodes("released_kbytes") > 0)
		ck_assert_uint_eq(map.released * PAGE >> 10,
				  vmstat_nodes("released_kbytes"));
}
END_TEST

/* --- while others run --- */

static bool stop;

static void *replace(void *arg)
{
	enum { KEPT = 500 };
	void *p[KEPT] = { NULL };
	uint64_t x = (uintptr_t)arg + 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		void **at = &p[xorshift(&x) % KEPT];

		rn_free(*at);
		*at = rn_alloc(1 + xorshift(&x) % 40000, 0);
	}
	for (int i = 0; i < KEPT; i++)
		rn_free(p[i]);
	return NULL;
}

/* Lines may be of different moments; each is whole, and nothing is touched. */
START_TEST(beside_threads)
{
	pthread_t t[3];

#ifdef __SANITIZE_THREAD__
	skip_part(__func__, "descriptors are read without a lock");
	return;
#endif
	for (uintptr_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, replace,
						(void *)i), 0);
	for (int i = 0; i < 200; i++) {
		char *text = dump_text(rn_memmap);
		size_t len = strlen(text);

		ck_assert(!strncmp(text, head, strlen(head)));
		ck_assert_int_eq(text[len - 1], '\n');
		free(text);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	read_map();
	adds_up();
}
END_TEST

/* --- at exit --- */

START_TEST(at_exit)
{
	char path[] = "/tmp/memmap-XXXXXX", text[256] = "";
	int status, fd = mkstemp(path);
	pid_t pid;

	ck_assert_int_ge(fd, 0);
	setenv("RN_MEMMAP", path, 1);
	pid = fork();
	if (!pid) {
		rn_free(rn_alloc(opaque(40), 0));
		exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	ck_assert(!strncmp(text, head, strlen(head)));
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(bad_descriptor)
{
	ck_assert_int_eq(rn_memmap(-1), -EBADF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memmap");
	TCase *t = tcase_create("memmap");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, each_page_in_one_line);
	tcase_add_test(t, beside_threads);
	tcase_add_test(t, at_exit);
	tcase_add_test(t, bad_descriptor);
	suite_add_tcase(s, t);
	return suite_main(s);
}
