// SPDX-License-Identifier: MIT
/*
 * The buddy system inside one pageblock, as a bitmap of 512 free pages. A free
 * block of order k is 2^k set bits on a boundary of 2^k, so that splitting is
 * clearing bits and merging needs nothing at all; runs that are no power of
 * two leave their tail free by themselves.
 *
 * A level is the set of aligned free blocks of one order: a bit at the first
 * page of each. Level k + 1 is the pairs of level k. Up to order 5 a pair lies
 * within a word; from order 6 on a level is one byte, a bit for each word.
 *
 * Of the free pages some are released: the system has their memory. Those that
 * are resident are taken first, as if they were all that is free.
 *
 * All under the zone's lock.
 */
#include "internal.h"

#include <string.h>

#define WORDS		(PAGEBLOCK_PAGES / 64)
#define WORD_ORDER	6

/* Where blocks of order k may start in a word. */
static const u64 starts[WORD_ORDER] = {
	0xffffffffffffffff, 0x5555555555555555, 0x1111111111111111,
	0x0101010101010101, 0x0001000100010001, 0x0000000100000001,
};

/* And where blocks of 2^k words may start among the eight words. */
static const u8 word_starts[] = { 0xff, 0x55, 0x11, 0x01 };
#define WORD_LEVELS	ARRAY_SIZE(word_starts)
static_assert(WORD_ORDER + WORD_LEVELS - 1 == PAGEBLOCK_ORDER,
	      "words and levels of words make up a pageblock");

static u8 full_words(const u64 *map)
{
	u8 full = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		full |= (map[i] == ~0ULL) << i;
	return full;
}

/* The level above, order @k of words; @level is of order @k - 1. */
static u8 pair_words(u8 level, unsigned int k)
{
	return level & (level >> (1U << (k - 1))) & word_starts[k];
}

/* Likewise within words, order @k; true if it is not empty. */
static bool pair_pages(u64 *level, unsigned int k)
{
	u64 any = 0;

	for (unsigned int i = 0; i < WORDS; i++) {
		level[i] &= level[i] >> (1U << (k - 1)) & starts[k];
		any |= level[i];
	}
	return any;
}

int pageblock_largest(const struct pageblock *b)
{
	u8 words = full_words(b->free), next;
	u64 level[WORDS];
	unsigned int k;

	if (words) {
		for (k = 1; k < WORD_LEVELS; k++, words = next) {
			next = pair_words(words, k);
			if (!next)
				break;
		}
		return WORD_ORDER + k - 1;
	}
	if (!b->nr_free)
		return -1;
	memcpy(level, b->free, sizeof(level));
	for (k = 1; k < WORD_ORDER; k++)
		if (!pair_pages(level, k))
			break;
	return k - 1;
}

/* First page of a free block of order @k or, if none is exact, larger. */
static int find_in_words(const u64 *map, unsigned int k)
{
	u8 level = full_words(map);

	for (unsigned int j = 0; j < WORD_LEVELS; j++) {
		u8 next = 0, exact;

		if (j)
			level &= level >> (1U << (j - 1)) & word_starts[j];
		if (j + 1 < WORD_LEVELS)
			next = pair_words(level, j + 1);
		exact = level & ~(next | next << (1U << j));
		if (exact && WORD_ORDER + j >= k)
			return __builtin_ctz(exact) * 64;
	}
	return -1;
}

static int find_free(const u64 *map, unsigned int k)
{
	u64 level[WORDS], next[WORDS];

	memcpy(level, map, sizeof(level));
	for (unsigned int j = 0; k < WORD_ORDER && j < WORD_ORDER; j++) {
		memcpy(next, level, sizeof(next));
		for (unsigned int i = 0; i < WORDS; i++) {
			u64 exact;

			if (j + 1 < WORD_ORDER)
				next[i] &= next[i] >> (1U << j) & starts[j + 1];
			else
				next[i] = level[i] & level[i] >> 32 & 1;
			exact = level[i] & ~(next[i] | next[i] << (1U << j));
			if (exact && j >= k)
				return i * 64 + __builtin_ctzll(exact);
		}
		memcpy(level, next, sizeof(level));
	}
	return find_in_words(map, k);
}

/* The bits of word @i that [page, page + nr) covers. */
static u64 word_mask(unsigned int i, unsigned int page, unsigned int nr)
{
	unsigned int from = max(page, i * 64), to = min(page + nr, i * 64 + 64);

	if (from >= to)
		return 0;
	return ~0ULL >> (64 - (to - from)) << from % 64;
}

static bool in_block(unsigned int page, unsigned int nr)
{
	return nr && nr <= PAGEBLOCK_PAGES && page <= PAGEBLOCK_PAGES - nr;
}

bool pageblock_has(const struct pageblock *b, unsigned int page,
		   unsigned int nr)
{
	if (!in_block(page, nr))
		return false;
	for (unsigned int i = 0; i < WORDS; i++)
		if (~b->free[i] & word_mask(i, page, nr))
			return false;
	return true;
}

static void clear_released(struct pageblock *b, unsigned int page,
			   unsigned int nr)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		u64 had = b->released[i] & word_mask(i, page, nr);

		b->released[i] &= ~had;
		b->nr_released -= __builtin_popcountll(had);
	}
}

bool pageblock_take_at(struct pageblock *b, unsigned int page, unsigned int nr)
{
	if (!pageblock_has(b, page, nr))
		return false;
	for (unsigned int i = 0; i < WORDS; i++)
		b->free[i] &= ~word_mask(i, page, nr);
	b->nr_free -= nr;
	if (b->nr_released)
		clear_released(b, page, nr);
	return true;
}

/* As find_free() in what is resident; -1 too where that is no part of it. */
static int find_resident(const struct pageblock *b, unsigned int nr)
{
	u64 map[WORDS];

	if (!b->nr_released || b->nr_free - b->nr_released < (int)nr)
		return -1;
	for (unsigned int i = 0; i < WORDS; i++)
		map[i] = b->free[i] & ~b->released[i];
	return find_free(map, order_base_2(nr));
}

int pageblock_find(const struct pageblock *b, unsigned int nr)
{
	int page;

	if (!in_block(0, nr) || nr > b->nr_free)
		return -1;
	page = find_resident(b, nr);
	if (page < 0)
		page = find_free(b->free, order_base_2(nr));
	return page;
}

unsigned int pageblock_count_released(const struct pageblock *b,
				      unsigned int page, unsigned int nr)
{
	unsigned int sum = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		sum += __builtin_popcountll(b->released[i] &
					    word_mask(i, page, nr));
	return sum;
}

bool pageblock_put(struct pageblock *b, unsigned int page, unsigned int nr)
{
	if (!in_block(page, nr))
		return false;
	for (unsigned int i = 0; i < WORDS; i++)
		if (b->free[i] & word_mask(i, page, nr))
			return false;
	for (unsigned int i = 0; i < WORDS; i++)
		b->free[i] |= word_mask(i, page, nr);
	b->nr_free += nr;
	return true;
}

void pageblock_set_released(struct pageblock *b, unsigned int page,
			    unsigned int nr)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		u64 new = word_mask(i, page, nr) & ~b->released[i];

		b->released[i] |= new;
		b->nr_released += __builtin_popcountll(new);
	}
}

void pageblock_clear_released(struct pageblock *b)
{
	memset(b->released, 0, sizeof(b->released));
	b->nr_released = 0;
}

/* The lowest @nr bits of @word that are set. */
static u64 lowest_bits(u64 word, unsigned int nr)
{
	u64 rest = word;

	while (rest && nr--)
		rest &= rest - 1;
	return word & ~rest;
}

unsigned int pageblock_isolate(struct pageblock *b, unsigned int most,
			       u64 *pages)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < WORDS; i++) {
		pages[i] = lowest_bits(b->free[i] & ~b->released[i], most - nr);
		b->free[i] &= ~pages[i];
		nr += __builtin_popcountll(pages[i]);
	}
	b->nr_free -= nr;
	return nr;
}

void pageblock_putback(struct pageblock *b, const u64 *pages,
		       const u64 *released)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		b->free[i] |= pages[i];
		b->released[i] |= released[i];
		b->nr_free += __builtin_popcountll(pages[i]);
		b->nr_released += __builtin_popcountll(released[i]);
	}
}
