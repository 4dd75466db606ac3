// SPDX-License-Identifier: MIT
/*
 * Which caches are debugged, and how much: RN_SLAB_DEBUG, in the syntax of the
 * kernel's slab_debug=, and the flags of rn_cache_create().
 *
 *   LETTERS[,NAME...][;LETTERS...]
 *
 * The first block with a name that matches counts; for caches that none names,
 * the last block without names.
 */
#include "sanitizer.h"

#include <string.h>

#define FULL	(RN_CONSISTENCY_CHECKS | RN_RED_ZONE | RN_POISON | \
		 RN_STORE_USER)

static const struct {
	char letter;
	unsigned int flag;
} letters[] = {
	{ 'f', RN_CONSISTENCY_CHECKS },
	{ 'z', RN_RED_ZONE },
	{ 'p', RN_POISON },
	{ 'u', RN_STORE_USER },
	{ 't', RN_TRACE },
	{ 'a', RN_FAILSLAB },
};

bool slab_debug_on;

/* As it was: programs write over their environment. */
static char blocks[1024];
static unsigned int all_flags;		/* of caches that no block names */
static bool avoid_order;		/* the letter O */

static size_t block_len(const char *block)
{
	return strcspn(block, ";");
}

static size_t letters_len(const char *block)
{
	return strcspn(block, ",;");
}

/* Small or large. */
static char letter_of(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static unsigned int letter_flag(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (letters[i].letter == letter)
			return letters[i].flag;
	return 0;
}

/* As in the kernel, "-" takes back what stands before it. */
static unsigned int block_flags(const char *block)
{
	size_t len = letters_len(block);
	unsigned int flags = 0;

	if (!len)
		return FULL;
	for (size_t i = 0; i < len; i++)
		flags = block[i] == '-' ? 0 :
			flags | letter_flag(letter_of(block[i]));
	return flags;
}

bool slab_name_matches(const char *glob, size_t len, const char *name)
{
	size_t prefix = strcspn(glob, "*");

	if (prefix < len)
		return !strncmp(glob, name, prefix);
	return strlen(name) == len && !strncmp(glob, name, len);
}

static bool block_names(const char *block, const char *name)
{
	const char *end = block + block_len(block);
	const char *glob = block + letters_len(block);

	while (glob < end) {
		size_t len = strcspn(++glob, ",;");

		if (len && slab_name_matches(glob, len, name))
			return true;
		glob += len;
	}
	return false;
}

static const char *next_block(const char *block)
{
	block += block_len(block);
	return *block ? block + 1 : NULL;
}

/* --- what is understood, said once --- */

static void note_letter(const char *block, char letter)
{
	char small = letter_of(letter);

	if (small == 'o')
		avoid_order = true;
	else if (small != '-' && !letter_flag(small))
		report("RN_SLAB_DEBUG=%.*s: %c is none of F, Z, P, U, T, A, O "
		       "and -; ignored", (int)block_len(block), block, letter);
}

static void note_names(const char *block)
{
	const char *end = block + block_len(block);
	const char *name = block + letters_len(block);

	while (name < end) {
		size_t len = strcspn(++name, ",;");

		if (!len)
			report("RN_SLAB_DEBUG=%.*s: an empty name; ignored",
			       (int)block_len(block), block);
		name += len;
	}
}

static void note_block(const char *block)
{
	for (size_t i = 0; i < letters_len(block); i++)
		note_letter(block, block[i]);
	if (letters_len(block) == block_len(block))
		all_flags = block_flags(block);
	else
		note_names(block);
}

void slab_debug_init(void)
{
	if (!options.slab_debug)
		return;
	if (strlen(options.slab_debug) >= sizeof(blocks)) {
		report("RN_SLAB_DEBUG has more than %zu characters; ignored",
		       sizeof(blocks) - 1);
		options.slab_debug = NULL;
		return;
	}
	slab_debug_on = true;
	memcpy(blocks, options.slab_debug, strlen(options.slab_debug) + 1);
	options.slab_debug = blocks;
	for (const char *b = blocks; b; b = next_block(b))
		note_block(b);
}

static unsigned int flags_by_name(const char *name)
{
	char word[CACHE_NAME_LEN];

	if (likely(!options.slab_debug))
		return 0;
	cache_name_of(word, name);
	for (const char *b = options.slab_debug; b; b = next_block(b))
		if (block_names(b, word))
			return block_flags(b);
	return all_flags;
}

unsigned int slab_debug_flags(const char *name, unsigned int flags)
{
	flags &= RN_DEBUG_FLAGS | RN_FAILSLAB;
	return sanitizer_debug_flags(flags | flags_by_name(name));
}

/* --- layout --- */

size_t slab_debug_end(const struct rn_cache *c)
{
	size_t end = c->free_offset + sizeof(u64) + sizeof(struct object_meta);

	return end + (c->debug & RN_STORE_USER ?
		      NR_TRACKS * sizeof(struct track) : 0);
}

/* So that what runs over the end by up to a word runs into the zone. */
size_t slab_debug_layout(struct rn_cache *c, size_t object, size_t align)
{
	size_t zone = c->debug & RN_RED_ZONE ? sizeof(u64) : 0;

	if (is_sanitized(c))
		zone = sanitizer_zone(object);
	c->red_left = ALIGN(zone, align);
	c->free_offset = ALIGN(object, sizeof(u64)) + zone;
	return ALIGN(c->red_left + slab_debug_end(c), align);
}

static unsigned int order_of(size_t bytes)
{
	return order_base_2(DIV_ROUND_UP(bytes, PAGE_BYTES));
}

/* Objects that lie within a page must go on to do so, whatever is wanted. */
bool slab_debug_avoids(const struct rn_cache *c)
{
	if (c->flags & CACHE_IN_PAGES && c->size > PAGE_BYTES)
		return true;
	return avoid_order && order_of(c->size) > order_of(c->object_size);
}
