// SPDX-License-Identifier: MIT
/*
 * All caches together, and what one of them is like: -T.
 */
#include <inttypes.h>
#include <stdint.h>
#include "slabinfo.h"

/* A figure over all caches. */
struct spread {
	const char *name;
	bool is_size;
	uint64_t least, most, sum;
};

static void add(struct spread *s, uint64_t n)
{
	if (n < s->least)
		s->least = n;
	if (n > s->most)
		s->most = n;
	/* The text's reader has seen that none of them is beyond memory. */
	if (__builtin_add_overflow(s->sum, n, &s->sum))
		s->sum = UINT64_MAX;
}

static const char *text(const struct spread *s, uint64_t n,
			const struct choice *choice, char buf[24])
{
	static const struct choice plain = { .bytes = true };

	return size_text(n, s->is_size ? choice : &plain, buf);
}

static void print_spread(const struct spread *s, size_t nr,
			 const struct choice *choice)
{
	char average[24], least[24], most[24], sum[24];

	printf("%-12s %12s %12s %12s %12s\n", s->name,
	       text(s, nr ? s->sum / nr : 0, choice, average),
	       text(s, nr ? s->least : 0, choice, least),
	       text(s, s->most, choice, most), text(s, s->sum, choice, sum));
}

enum { OBJECTS, FREE, SLABS, SPACE, USED, LOSS, NR_SPREADS };

void print_totals(const struct caches *all, const struct choice *choice)
{
	struct spread s[NR_SPREADS] = {
		[OBJECTS] = { "#Objects", false, UINT64_MAX, 0, 0 },
		[FREE] = { "#Free", false, UINT64_MAX, 0, 0 },
		[SLABS] = { "#Slabs", false, UINT64_MAX, 0, 0 },
		[SPACE] = { "Memory", true, UINT64_MAX, 0, 0 },
		[USED] = { "Used", true, UINT64_MAX, 0, 0 },
		[LOSS] = { "Loss", true, UINT64_MAX, 0, 0 },
	};
	char space[24], loss[24];
	size_t active = 0;

	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];

		active += c->active > 0;
		add(&s[OBJECTS], c->active);
		add(&s[FREE], c->objects - c->active);
		add(&s[SLABS], c->slabs);
		add(&s[SPACE], c->space);
		add(&s[USED], c->used);
		add(&s[LOSS], c->space - c->used);
	}
	printf("Slabcache Totals\n----------------\n");
	printf("Slabcaches : %12zu   Active : %12zu\n", all->nr, active);
	printf("Memory used: %12s   # Loss : %12s   MRatio: %5.1f%%\n",
	       size_text(s[SPACE].sum, choice, space),
	       size_text(s[LOSS].sum, choice, loss),
	       percent(s[LOSS].sum, s[USED].sum));
	printf("# Objects  : %12" PRIu64 "   # Free : %12" PRIu64
	       "   ORatio: %5.1f%%\n\n", s[OBJECTS].sum, s[FREE].sum,
	       percent(s[FREE].sum, s[OBJECTS].sum));
	printf("%-12s %12s %12s %12s %12s\n", "Per Cache", "Average", "Min",
	       "Max", "Total");
	printf("---------------------------------------------------------"
	       "-------\n");
	for (int i = 0; i < NR_SPREADS; i++)
		print_spread(&s[i], all->nr, choice);
}
