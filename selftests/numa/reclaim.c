// SPDX-License-Identifier: MIT
/*
 * Memory that goes back to the system by the page and is used again: whatever
 * node the program runs on by then, and whether or not the node has memory,
 * each object lies where its address says.
 */
#include "nodes.h"

#include "../../mm/internal.h"

#include <numaif.h>
#include <rn/reclaim.h>
#include <rn/slab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB	(1UL << 20)
#define BYTES	(48 * MIB)	/* of a node, at the peak */

/* Of the first few pages are free, of the others most. */
static const size_t sizes[] = { 208, 3072, 65536 };
static const char *const ladders[] = { "small", "thp,small" };

/* One object in so many stays: few enough that pages between them are free. */
#define LEFT	64

struct heap {
	int node;
	size_t size;
	unsigned int nr;
	void **objects;
};

static struct heap heap_of(int node, size_t size)
{
	struct heap h = { .node = node, .size = size, .nr = BYTES / size };

	h.objects = calloc(h.nr, sizeof(*h.objects));
	ck_assert_ptr_nonnull(h.objects);
	return h;
}

/* What is not there, as far as the node has memory. */
static unsigned int fill(struct heap *h, rn_gfp_t flags)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < h->nr; i++) {
		if (h->objects[i])
			continue;
		h->objects[i] = rn_alloc_node(h->size, flags, h->node);
		if (!h->objects[i])
			break;
		memset(h->objects[i], 1, h->size);
		got++;
	}
	return got;
}

static void collapse(struct heap *h)
{
	uint64_t random = 4711 + h->node;

	for (unsigned int i = 0; i < h->nr; i++) {
		if (xorshift(&random) % LEFT == 0)
			continue;
		rn_free(h->objects[i]);
		h->objects[i] = NULL;
	}
}

/* A kernel that is short of memory moves pages about: then nobody has it. */
static int where(const char *p)
{
	int node = page_where(p);

	for (int i = 0; node < 0 && i < 100; i++) {
		usleep(10000);
		node = page_where(p);
	}
	return node;
}

static void expect_object_in_place(const char *p, size_t size, int node)
{
	for (size_t at = 0; at < size; at += PAGE_BYTES)
		if (where(p + at) != node)
			ck_abort_msg("an object of node %d is on %d", node,
				     where(p + at));
	if (p[0] != 1 || memcmp(p, p + 1, size - 1))
		ck_abort_msg("an object of node %d is not as it was", node);
}

/* Each page of what is out; @node: that one, or wherever the address says. */
static void expect_in_place(const struct heap *h, int node)
{
	for (unsigned int i = 0; i < h->nr; i++)
		if (h->objects[i])
			expect_object_in_place(h->objects[i], h->size,
				node >= 0 ? node :
				pfn_to_node(ptr_to_pfn(h->objects[i])));
}

static long figure(int node, const char *name)
{
	char line[64];
	long n;

	snprintf(line, sizeof(line), "node%d_%s", node, name);
	n = vmstat(line);
	return n < 0 ? 0 : n;
}

/* KiB that went by the page. */
static long gone(int node)
{
	return figure(node, "released_kbytes") + figure(node, "hollow_kbytes");
}

static long blocks_up(int node)
{
	return figure(node, "pageblocks_small") +
		figure(node, "pageblocks_thp");
}

static void begin(size_t i)
{
	setenv("RN_LADDER", ladders[i % ARRAY_LEN(ladders)], 1);
	setenv("RN_DECAY_MS", "-1", 1);
}

/* --- with room on every node --- */

START_TEST(what_comes_again_is_in_place)
{
	size_t size = sizes[_i / ARRAY_LEN(ladders)];
	struct heap heaps[2];
	long went[2], up[2];

	begin(_i);
	run_on(full_node(0));
	for (int k = 0; k < 2; k++) {
		heaps[k] = heap_of(full_node(k), size);
		ck_assert_uint_eq(fill(&heaps[k], RN_THISNODE), heaps[k].nr);
		expect_in_place(&heaps[k], heaps[k].node);
		collapse(&heaps[k]);
	}
	rn_shrink_all();
	for (int k = 0; k < 2; k++) {
		went[k] = gone(heaps[k].node);
		up[k] = blocks_up(heaps[k].node);
		/* Of small objects few pages have none left. */
		ck_assert_int_gt(went[k], size < PAGE_BYTES / 2 ? 0 :
				 (long)(BYTES >> 10) / 4);
	}
	/* From far away: what comes on the touch would lie there. */
	run_on(full_node(full_nodes() - 1));
	for (int k = 0; k < 2; k++) {
		ck_assert_uint_gt(fill(&heaps[k], RN_THISNODE), 0);
		expect_in_place(&heaps[k], heaps[k].node);
		ck_assert_int_lt(gone(heaps[k].node), went[k]);
		ck_assert_int_ge(blocks_up(heaps[k].node), up[k]);
	}
}
END_TEST

/* --- with none --- */

#define STEP	(2 * MIB)

/* Memory of a node until the kernel takes it from another one. */
static void use_up(int node)
{
	unsigned long mask = 1UL << node;
	int last = node;

	while (last == node) {
		char *p = mmap(NULL, STEP, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ck_assert(p != MAP_FAILED);
		ck_assert_int_eq(mbind(p, STEP, MPOL_PREFERRED, &mask,
				       8 * sizeof(mask), 0), 0);
		memset(p, 1, STEP);
		last = where(p + STEP - PAGE_BYTES);
	}
}

START_TEST(nothing_comes_from_elsewhere)
{
	struct heap h;
	long went;

	begin(_i);
	run_on(full_node(1));
	h = heap_of(full_node(0), sizes[_i / ARRAY_LEN(ladders)]);
	ck_assert_uint_eq(fill(&h, RN_THISNODE), h.nr);
	collapse(&h);
	rn_shrink_all();
	went = gone(h.node);
	use_up(h.node);
	/* What the node has left; then wherever there is room. */
	fill(&h, RN_THISNODE);
	expect_in_place(&h, h.node);
	fill(&h, 0);
	expect_in_place(&h, -1);
	ck_assert_int_gt(gone(h.node), 0);
	ck_assert_int_le(gone(h.node), went);
	ck_assert_int_gt(figure(h.node, "ladder_small_wrong_node"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("reclaim");
	TCase *tc = tcase_create("reclaim");
	int loops = ARRAY_LEN(sizes) * ARRAY_LEN(ladders);

	need_full_nodes(2);
	tcase_set_timeout(tc, 20);
	tcase_add_loop_test(tc, what_comes_again_is_in_place, 0, loops);
	tcase_add_loop_test(tc, nothing_comes_from_elsewhere, 0, loops);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
