// SPDX-License-Identifier: MIT
/*
 * The pool that sheaves come from.
 *
 * Each size has an area of address space, in which sheaves are carved one behind
 * the other; the first small ones of all sizes lie together, so that a process
 * with few of them touches few pages. A place is a sheaf's of that size for
 * ever, also when it is free: then it is on a list, or it is loose, with a bit of
 * a table. Pages on which all are loose go back to the system, and are zero when
 * they are touched again; a sheaf that nobody has is read as one without objects.
 *
 * 64 sheaves of a size, a word of that table, are a whole number of pages.
 *
 * Locks: pool.lock, a leaf, but not while the system is called: what is on its
 * way out is in the hands of one thread.
 */
#define _GNU_SOURCE
#include "sheaf.h"
#include "zone.h"

#include <sys/mman.h>
#include <unistd.h>

#define NR_SHEAF_SIZES	6
#define WHOLE		(NR_SHEAF_SIZES - 1)

/* Small ones that lie together; nothing of it goes back. */
#define MIXED_BYTES	META_UNIT

/**
 * struct area - where sheaves of a size are
 * @start: its first one; here and below, bytes from the start of the pool
 * @at: the next one that is carved
 * @ready: memory up to here may be touched
 * @end: of its address space
 * @free: list of free ones, by number
 * @nr_free: length of it
 * @low: the least that was since the last tick
 * @give: so many are to become loose
 * @loose: a word for each 64 of them, a bit for each; NULL while none ever was
 * @nr_loose: bits that are set
 * @from: words before this one are 0
 */
struct area {
	size_t start, at, ready, end;
	u32 free;
	u32 nr_free, low, give;
	u64 *loose;
	size_t nr_loose, from;
};

/*
 * One table of address space, so that a sheaf has a 32-bit number: its distance
 * from the start in units of 64 bytes. Number 0 is nobody's.
 */
static struct {
	struct lock lock;
	size_t carved;		/* bytes of sheaves that are not loose */
	size_t free_bytes;
	struct area mixed;
	struct area area[NR_SHEAF_SIZES];
} pool;

char *sheaf_base;

static unsigned int size_class_of(unsigned int capacity)
{
	size_t bytes = sizeof(struct sheaf) + capacity * sizeof(void *);

	return order_base_2(DIV_ROUND_UP(bytes, SHEAF_UNIT));
}

/*
 * With a cache line to the next one: headers that lie a multiple of 4 KiB apart
 * would be taken for one another by the CPU, which compares the low bits of a
 * load with those of the stores before it. 64 of them have 64 places in a page.
 */
static size_t pitch(unsigned int size_class)
{
	return (SHEAF_UNIT << size_class) + SHEAF_UNIT;
}

static size_t offset_of(const struct sheaf *s)
{
	return (const char *)s - sheaf_base;
}

/* --- from new memory --- */

/* Half of it is for whole ones, a tenth for each of the others. */
static bool pool_reserve(void)
{
	size_t bytes, at = MIXED_BYTES;

	if (sheaf_base)
		return true;
	bytes = min(max(mem.bytes >> 4, (size_t)1 << 20), (size_t)1 << 38);
	sheaf_base = meta_reserve(bytes, 0);
	if (!sheaf_base)
		return false;
	pool.mixed = (struct area){ .at = SHEAF_UNIT, .end = MIXED_BYTES };
	bytes -= MIXED_BYTES;
	for (unsigned int k = 0; k < NR_SHEAF_SIZES; k++) {
		struct area *a = &pool.area[k];

		a->start = a->at = a->ready = at;
		at += ALIGN_DOWN(k == WHOLE ? bytes / 2 : bytes / 10,
				 META_UNIT);
		a->end = at;
	}
	return true;
}

/* Bytes that come up ahead at a time: worth a call, and at most some 15 us. */
#define AHEAD_MIN	(16UL << 10)
#define AHEAD_MAX	(64UL << 10)

/*
 * A fault for each page would be one in three of the slowest thousandth of frees
 * while a heap collapses, which fill many sheaves. So a quarter of what there is
 * comes up ahead; where it cannot, it does on the touch.
 */
static bool area_prepare(struct area *a, size_t bytes)
{
	size_t ahead = min((a->at - a->start) / 4, AHEAD_MAX);
	size_t to = min(a->at + max(bytes, ahead), a->end);

	if (a->at + bytes <= a->ready)
		return true;
	if (meta_open(sheaf_base + a->at, to - a->at))
		return false;
	if (ahead >= AHEAD_MIN)
		meta_populate(sheaf_base + a->at, to - a->at);
	a->ready = to;
	return true;
}

static struct sheaf *carve(unsigned int size_class)
{
	size_t bytes = pitch(size_class);
	struct area *a = &pool.mixed;
	struct sheaf *s;

	if (size_class == WHOLE || a->at + bytes > a->end)
		a = &pool.area[size_class];
	if (a->at + bytes > a->end || !area_prepare(a, bytes))
		return NULL;
	s = (struct sheaf *)(sheaf_base + a->at);
	a->at += bytes;
	return s;
}

/* The lowest of those that are loose. */
static struct sheaf *take_loose(unsigned int size_class)
{
	struct area *a = &pool.area[size_class];
	size_t i;

	while (!a->loose[a->from])
		a->from++;
	i = a->from * 64 + (size_t)__builtin_ctzll(a->loose[a->from]);
	a->loose[a->from] &= a->loose[a->from] - 1;
	a->nr_loose--;
	return (struct sheaf *)(sheaf_base + a->start + i * pitch(size_class));
}

static struct sheaf *take_new(unsigned int size_class)
{
	struct sheaf *s;

	if (!pool_reserve())
		return NULL;
	s = pool.area[size_class].nr_loose ? take_loose(size_class)
					   : carve(size_class);
	if (s) {
		s->size_class = size_class;
		pool.carved += pitch(size_class);
	}
	return s;
}

/* --- the lists --- */

static struct sheaf *take_free(unsigned int size_class)
{
	struct area *a = &pool.area[size_class];
	struct sheaf *s = sheaf_by_number(a->free);

	a->free = s->next;
	a->nr_free--;
	pool.free_bytes -= SHEAF_UNIT << size_class;
	return s;
}

static void put_free(struct sheaf *s)
{
	struct area *a = &pool.area[s->size_class];

	WRITE_ONCE(s->next, a->free);
	a->free = sheaf_number(s);
	a->nr_free++;
	pool.free_bytes += SHEAF_UNIT << s->size_class;
}

struct sheaf *sheaf_alloc(unsigned int capacity)
{
	unsigned int size_class = size_class_of(capacity);
	struct area *a = &pool.area[size_class];
	struct sheaf *s;

	lock(&pool.lock);
	s = a->nr_free ? take_free(size_class) : take_new(size_class);
	a->low = min(a->low, a->nr_free);
	unlock(&pool.lock);
	if (s) {
		WRITE_ONCE(s->word, 0);
		WRITE_ONCE(s->capacity, capacity);
	}
	return s;
}

void sheaf_free(struct sheaf *s)
{
	lock(&pool.lock);
	put_free(s);
	unlock(&pool.lock);
}

void sheaf_pool_stats(u64 *bytes, u64 *bytes_free)
{
	lock(&pool.lock);
	*bytes = pool.carved;
	*bytes_free = pool.free_bytes;
	unlock(&pool.lock);
}

/* --- back to the system --- */

/* So many at a time, with a call for each at most: some 0.1 ms. */
#define GIVE	64

/**
 * struct hand - loose sheaves of one word that are in a thread's hands
 * @word: which
 * @all: all of them
 * @new: those that became loose just now
 */
struct hand {
	size_t word;
	u64 all, new;
};

/* The sheaves of a word that lie on its page number @page. */
static u64 on_page(size_t page, size_t bytes)
{
	size_t first = page * PAGE_BYTES / bytes;
	size_t last = (page * PAGE_BYTES + PAGE_BYTES - 1) / bytes;

	return ~0ULL >> (63 - last) & ~0ULL << first;
}

static bool may_go(const struct hand *h, size_t page, size_t bytes)
{
	u64 s = on_page(page, bytes);

	return (h->all & s) == s && h->new & s;
}

/* Pages where all are loose, and some were not before. Bytes. */
static size_t release(const struct hand *h, unsigned int size_class)
{
	size_t bytes = pitch(size_class), nr = 64 * bytes / PAGE_BYTES;
	char *p = sheaf_base + pool.area[size_class].start +
		  h->word * 64 * bytes;
	size_t first, end, given = 0;

	for (first = 0; first < nr; first = end + 1) {
		for (end = first; end < nr && may_go(h, end, bytes); end++)
			;
		if (end > first && !madvise(p + first * PAGE_BYTES,
					    (end - first) * PAGE_BYTES,
					    MADV_DONTNEED))
			given += (end - first) * PAGE_BYTES;
	}
	return given;
}

static bool can_be_loose(struct area *a, size_t word, size_t bytes)
{
	if (!a->loose)
		a->loose = meta_reserve((a->end - a->start) / bytes / 8 +
					sizeof(u64), PROT_READ);
	return a->loose && !meta_open(&a->loose[word], sizeof(u64));
}

/* Takes the word that the sheaf belongs to in hand, if it is not yet. */
static bool take_word(struct area *a, struct hand *hands, unsigned int *nr,
		      const struct sheaf *s)
{
	size_t bytes = pitch(s->size_class);
	size_t i = (offset_of(s) - a->start) / bytes;
	struct hand *h = hands;

	while (h < hands + *nr && h->word != i / 64)
		h++;
	if (h == hands + *nr) {
		if (!can_be_loose(a, i / 64, bytes))
			return false;
		*h = (struct hand){ .word = i / 64, .all = a->loose[i / 64] };
		a->nr_loose -= (size_t)__builtin_popcountll(h->all);
		a->loose[i / 64] = 0;
		(*nr)++;
	}
	h->new |= 1ULL << i % 64;
	h->all |= 1ULL << i % 64;
	return true;
}

/*
 * Under the lock. Those that are to go, as hands; how many. Who stays, of which
 * there are no more than lie together, is passed by: it may be the first on the
 * list each time.
 */
static unsigned int take_hands(unsigned int size_class, struct hand *hands)
{
	struct area *a = &pool.area[size_class];
	struct sheaf *s, *stay = NULL, *next;
	unsigned int nr = 0;
	int left = GIVE;

	while (left && a->give && a->nr_free) {
		s = take_free(size_class);
		if (offset_of(s) >= MIXED_BYTES && take_word(a, hands, &nr, s)) {
			pool.carved -= pitch(size_class);
			a->give--;
			left--;
			continue;
		}
		WRITE_ONCE(s->next, stay ? sheaf_number(stay) : 0);
		stay = s;
	}
	if (!a->nr_free)
		a->give = 0;
	for (; stay; stay = next) {
		next = stay->next ? sheaf_by_number(stay->next) : NULL;
		put_free(stay);
	}
	a->low = min(a->low, a->nr_free);
	return nr;
}

static void put_hands(struct area *a, const struct hand *hands,
		      unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		a->loose[hands[i].word] |= hands[i].all;
		a->nr_loose += (size_t)__builtin_popcountll(hands[i].all);
		a->from = min(a->from, hands[i].word);
	}
}

static size_t give_some(unsigned int size_class)
{
	struct hand hands[GIVE];
	size_t bytes = 0;
	unsigned int nr;

	lock(&pool.lock);
	nr = take_hands(size_class, hands);
	unlock(&pool.lock);
	for (unsigned int i = 0; i < nr; i++)
		bytes += release(&hands[i], size_class);
	lock(&pool.lock);
	put_hands(&pool.area[size_class], hands, nr);
	unlock(&pool.lock);
	return bytes;
}

bool sheaf_pool_give(enum reclaim_why why)
{
	int saved = errno;

	for (unsigned int k = NR_SHEAF_SIZES; k--;) {
		if (!READ_ONCE(pool.area[k].give))
			continue;
		reclaim_count(why, PLACE_SHEAF, give_some(k));
		errno = saved;
		return true;
	}
	return false;
}

static void set_give(struct area *a, u32 nr)
{
	/* Pages that are larger than ours would take others with them. */
	if (sysconf(_SC_PAGESIZE) == PAGE_BYTES)
		WRITE_ONCE(a->give, nr);
}

void sheaf_pool_age(u32 part)
{
	lock(&pool.lock);
	for (unsigned int k = 0; k < NR_SHEAF_SIZES; k++) {
		struct area *a = &pool.area[k];

		set_give(a, DIV_ROUND_UP(a->low, part));
		a->low = a->nr_free;
	}
	unlock(&pool.lock);
}

void sheaf_pool_trim(enum reclaim_why why)
{
	lock(&pool.lock);
	for (unsigned int k = 0; k < NR_SHEAF_SIZES; k++)
		set_give(&pool.area[k], pool.area[k].nr_free);
	unlock(&pool.lock);
	while (sheaf_pool_give(why))
		;
}
