// SPDX-License-Identifier: MIT
/*
 * Execution and storage memory beside a model of them: what is granted, what is
 * declined and why, who is evicted and whether that was needed, and who has how
 * much after any number of operations.
 */
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <rn/pages.h>
#include <string.h>

#define TOTAL		(3 * MIB + 4099)
#define WORKS		8
#define OBJECTS		400
#define KEPT		60
#define IDS		100
#define NO_WORK		(-1)

/* So much of it may not want to go, or go for nothing. */
#define REFUSED		(400 * KIB)

struct model_object {
	unsigned char *p;
	size_t asked, bytes;	/* as asked for, and as charged */
	int work;		/* whose it is */
	unsigned char mark;
};

struct model_entry {
	unsigned char *p;
	size_t asked, bytes;
	unsigned int pins;
	unsigned long unpinned;	/* when it was, if @pins is 0 */
	bool refused;		/* to go, in this operation */
	unsigned char mark;
};

static struct model_object objects[OBJECTS], kept[KEPT];
static struct model_entry entries[IDS];
static size_t exec, without_id, in_entries;	/* bytes charged */
static unsigned int flags;
static enum rn_pools_victim victim;
static unsigned long now;
static uint64_t state;

/* What the operation under way may evict for. */
static enum { NOTHING, FOR_EXEC, FOR_STORAGE } asks;
static size_t asked_bytes;
static unsigned int nr_evicted;
static int picked;

static unsigned long granted_after, declined_in;

static size_t below(size_t n)
{
	return xorshift(&state) % n;
}

static bool once_in(size_t n)
{
	return !below(n);
}

/* --- figures of the model --- */

static size_t storage(void)
{
	return without_id + in_entries;
}

static size_t storage_most(void)
{
	return flags & RN_POOLS_STORAGE_HALF ? half_of(TOTAL) : TOTAL;
}

static bool may_go(const struct model_entry *e)
{
	return e->p && !e->pins;
}

static size_t can_be_evicted(void)
{
	size_t bytes = 0;

	for (struct model_entry *e = entries; e < entries + IDS; e++)
		bytes += may_go(e) && !e->refused ? e->bytes : 0;
	return bytes;
}

static bool is_oldest(const struct model_entry *e)
{
	for (int i = 0; i < IDS; i++)
		if (may_go(&entries[i]) && entries[i].unpinned < e->unpinned)
			return false;
	return true;
}

static void expect_same(void)
{
	ck_assert_uint_eq(exec_usage(), exec);
	ck_assert_uint_eq(storage_usage(), storage());
	ck_assert_uint_eq(total_usage(), exec + storage());
	ck_assert_uint_le(total_peak(), TOTAL);
}

/* --- memory --- */

/* Its ends are enough to tell that it is whole. */
static unsigned char mark(unsigned char *p, size_t asked)
{
	unsigned char with = (unsigned char)below(256);

	p[0] = p[asked - 1] = with;
	return with;
}

static void expect_marked(const unsigned char *p, size_t asked,
			  unsigned char with)
{
	if (p[0] != with || p[asked - 1] != with)
		ck_abort_msg("%zu bytes at %p: not as they were", asked,
			     (const void *)p);
}

/* It was whole to its end. */
static void *object_gone(struct model_object *o, size_t *sum)
{
	void *p = o->p;

	expect_marked(p, o->asked, o->mark);
	*sum -= o->bytes;
	o->p = NULL;
	return p;
}

static void entry_gone(struct model_entry *e)
{
	in_entries -= e->bytes;
	e->p = NULL;
}

/* --- eviction --- */

/*
 * Somebody has to go: it does not fit as it is, or not with what is to be free.
 * For execution some more go at a time.
 */
static bool is_needed_beside(size_t stock)
{
	size_t used = exec + storage() + asked_bytes + stock;
	size_t free = margin_of(TOTAL);
	bool borrows = storage() > half_of(TOTAL);

	if (asks == FOR_EXEC && nr_evicted)
		free += margin_of(TOTAL) / 2;
	if (borrows && used > TOTAL - free)
		return asks != NOTHING;
	return asks == FOR_STORAGE &&
	       (used > TOTAL || storage() + asked_bytes > storage_most());
}

/* What CPUs have in stock is not free, either. */
static bool is_needed(void)
{
	return is_needed_beside(0) || is_needed_beside(
		memcg_figure(rn_pools_memcg(RN_POOLS_TOTAL), "stock"));
}

static bool evict(uint64_t id, void *p, size_t bytes, void *arg)
{
	struct model_entry *e = &entries[id % IDS];

	if (id >= IDS || !may_go(e) || e->p != p || e->asked != bytes)
		ck_abort_msg("entry %lu may not go", (unsigned long)id);
	if (!is_needed())
		ck_abort_msg("nobody had to go for %zu bytes", asked_bytes);
	if (victim == RN_POOLS_LRU && !is_oldest(e))
		ck_abort_msg("entry %lu is not the oldest", (unsigned long)id);
	if (victim == RN_POOLS_PICK && (int)id != picked)
		ck_abort_msg("entry %lu was not picked", (unsigned long)id);
	expect_marked(e->p, e->asked, e->mark);
	if (once_in(50)) {
		/* It is behind all others now. */
		e->refused = true;
		e->unpinned = ++now;
		return false;
	}
	entry_gone(e);
	nr_evicted++;
	return true;
}

/* One that may go, if there is any; now and then one that may not. */
static bool pick(uint64_t *id, void *arg)
{
	size_t from = below(IDS);

	picked = -1;
	if (once_in(200)) {
		*id = 10 * IDS;
		return once_in(2);
	}
	for (size_t i = 0; i < IDS; i++) {
		size_t at = (from + i) % IDS;

		if (!may_go(&entries[at]) || entries[at].refused)
			continue;
		*id = at;
		picked = at;
		return true;
	}
	return false;
}

/* --- one request --- */

static void begin(int for_whom, size_t bytes)
{
	asks = for_whom;
	asked_bytes = bytes;
	nr_evicted = 0;
	for (int i = 0; i < IDS; i++)
		entries[i].refused = false;
	errno = 0;
}

/* Of the whole request: it has room as things are now. */
static bool fits(bool has_id)
{
	size_t used = exec + storage() + asked_bytes;

	if (used > TOTAL)
		return false;
	if (asks == FOR_EXEC)
		return true;
	return storage() + asked_bytes <= storage_most() &&
	       (has_id || without_id + asked_bytes <= half_of(TOTAL));
}

/* No more may be given up for it than was. */
static bool nothing_left(bool has_id)
{
	if (asks == FOR_EXEC)
		return storage() <= half_of(TOTAL) ||
		       flags & RN_POOLS_EXEC_WAITS || !can_be_evicted();
	return !can_be_evicted() ||
	       (!has_id && without_id + asked_bytes > half_of(TOTAL));
}

static bool may_evict(rn_gfp_t gfp)
{
	return !(gfp & (RN_NOWAIT | RN_NORETRY));
}

/* Was it right to decline it? */
static void expect_declined(bool has_id, rn_gfp_t gfp, int error)
{
	declined_in++;
	if (error != ENOMEM)
		ck_abort_msg("%zu bytes: %s", asked_bytes, strerror(error));
	if (fits(has_id))
		ck_abort_msg("%zu bytes would fit", asked_bytes);
	if (!may_evict(gfp) && nr_evicted)
		ck_abort_msg("%u went, with flags %#x", nr_evicted, gfp);
	if (may_evict(gfp) && !nothing_left(has_id) && victim != RN_POOLS_PICK)
		ck_abort_msg("%zu bytes: somebody could go", asked_bytes);
	asks = NOTHING;
}

/* Was there room? */
static void expect_granted(const void *p, size_t asked, bool has_id,
			   rn_gfp_t gfp)
{
	if (rn_size(p) != asked_bytes)
		ck_abort_msg("%zu bytes are %zu, not %zu", asked, rn_size(p),
			     asked_bytes);
	if (!fits(has_id))
		ck_abort_msg("%zu bytes do not fit", asked_bytes);
	if (!may_evict(gfp) && nr_evicted)
		ck_abort_msg("%u went, with flags %#x", nr_evicted, gfp);
	if (gfp & RN_ZERO && !all_zero(p, rn_size(p)))
		ck_abort_msg("%zu bytes are not zero", asked);
	granted_after += nr_evicted > 0;
	asks = NOTHING;
}

static rn_gfp_t random_gfp(void)
{
	static const rn_gfp_t some[] = {
		RN_NOWAIT, RN_NORETRY, RN_RETRIES(1), RN_RETRIES(1),
		RN_NOWAIT | RN_ZERO, RN_RETRIES(1) | RN_ZERO,
	};

	return some[below(ARRAY_LEN(some))];
}

/* --- execution --- */

static size_t exec_bytes(void)
{
	return once_in(40) ? 65537 + below(300000) :
	       1 + below(1UL << below(17));
}

/* What can be had for sure, though somebody may have to go for it. */
static bool exec_fits(size_t bytes)
{
	size_t half = half_of(TOTAL), used = exec + storage() + bytes, room;

	if (flags & RN_POOLS_EXEC_WAITS || storage() <= half ||
	    victim == RN_POOLS_PICK)
		return used <= TOTAL;
	room = can_be_evicted();
	if (room > storage() - half)
		room = storage() - half;
	return used + REFUSED <= TOTAL + room;
}

static void exec_take(struct model_object *o)
{
	rn_gfp_t gfp = random_gfp();

	o->asked = exec_bytes();
	o->bytes = exec_size(o->asked);
	o->work = once_in(2) ? (int)below(WORKS) : NO_WORK;
	begin(FOR_EXEC, o->bytes);
	if (o->work == NO_WORK) {
		o->p = rn_exec_alloc(o->asked, gfp);
	} else if (exec_fits(o->bytes)) {
		gfp = 0;
		o->p = rn_exec_acquire(o->work, o->asked);
	} else {
		return;
	}
	if (!o->p) {
		expect_declined(true, gfp, errno);
		return;
	}
	expect_granted(o->p, o->asked, true, gfp);
	exec += o->bytes;
	o->mark = mark(o->p, o->asked);
}

static void exec_give(struct model_object *o)
{
	rn_exec_free(object_gone(o, &exec));
}

static void work_ends(int work)
{
	size_t before = exec, held = rn_exec_held(work);

	for (int i = 0; i < OBJECTS; i++)
		if (objects[i].p && objects[i].work == work)
			object_gone(&objects[i], &exec);
	ck_assert_uint_eq(before - exec, held);
	ck_assert_int_eq(rn_exec_release(work), held ? 0 : -ENOENT);
}

/* --- storage without an id --- */

static size_t storage_bytes(void)
{
	return once_in(20) ? 65536 + below(200000) : 4 * KIB + below(60 * KIB);
}

static size_t storage_size(size_t bytes)
{
	return rn_size_roundup((bytes + RN_PAGE_SIZE - 1) / RN_PAGE_SIZE *
			       RN_PAGE_SIZE);
}

static void storage_take(struct model_object *o)
{
	rn_gfp_t gfp = random_gfp();

	o->asked = storage_bytes();
	o->bytes = storage_size(o->asked);
	begin(FOR_STORAGE, o->bytes);
	o->p = rn_storage_alloc(o->asked, gfp);
	if (!o->p) {
		expect_declined(false, gfp, errno);
		return;
	}
	expect_granted(o->p, o->asked, false, gfp);
	without_id += o->bytes;
	o->mark = mark(o->p, o->asked);
}

static void storage_give(struct model_object *o)
{
	rn_storage_free(object_gone(o, &without_id));
}

/* --- entries --- */

/* What can be had for sure, though somebody may have to go for it. */
static bool entry_fits(size_t bytes)
{
	size_t stays = exec + storage() - can_be_evicted() + bytes;

	return stays + REFUSED <= TOTAL - margin_of(TOTAL) &&
	       storage() - can_be_evicted() + bytes + REFUSED <= storage_most();
}

static void entry_make(uint64_t id)
{
	struct model_entry *e = &entries[id];
	size_t asked = storage_bytes();

	begin(FOR_STORAGE, storage_size(asked));
	if (e->p) {
		ck_assert_ptr_null(rn_storage_acquire(id, asked));
		ck_assert_int_eq(errno, EEXIST);
	} else if (entry_fits(asked_bytes)) {
		unsigned char *p = rn_storage_acquire(id, asked);

		asks = NOTHING;
		/* Or it named one that was not there. */
		if (!p && victim == RN_POOLS_PICK && errno == ETIMEDOUT)
			return;
		ck_assert_msg(p, "%s", strerror(errno));
		expect_granted(p, asked, true, 0);
		*e = (struct model_entry){ .p = p, .asked = asked,
					   .bytes = asked_bytes, .pins = 1 };
		in_entries += e->bytes;
		e->mark = mark(e->p, e->asked);
	}
	asks = NOTHING;
}

static void entry_pin(uint64_t id)
{
	struct model_entry *e = &entries[id];
	size_t bytes = 0;
	void *p = once_in(4) ? rn_storage_lookup(id, &bytes) : NULL;

	if (p) {
		ck_assert_ptr_eq(p, e->p);
		ck_assert_uint_eq(bytes, e->asked);
	}
	errno = 0;
	p = rn_storage_pin(id, &bytes);
	ck_assert_ptr_eq(p, e->p);
	if (!p) {
		ck_assert_int_eq(errno, ENOENT);
		return;
	}
	ck_assert_uint_eq(bytes, e->asked);
	expect_marked(e->p, e->asked, e->mark);
	e->pins++;
}

static void entry_give_pin(uint64_t id)
{
	struct model_entry *e = &entries[id];
	int ret = rn_storage_unpin(id);

	if (!e->p)
		ck_assert_int_eq(ret, -ENOENT);
	else if (!e->pins)
		ck_assert_int_lt(ret, 0);
	else
		ck_assert_int_eq(ret, 0);
	if (!e->p || !e->pins)
		return;
	e->pins--;
	e->unpinned = ++now;
}

static void entry_end(uint64_t id)
{
	struct model_entry *e = &entries[id];
	int ret = rn_storage_release(id);

	if (!e->p) {
		ck_assert_int_eq(ret, -ENOENT);
	} else if (e->pins > 1) {
		ck_assert_int_eq(ret, -EBUSY);
	} else {
		ck_assert_int_eq(ret, 0);
		entry_gone(e);
	}
}

static void on_entry(uint64_t id)
{
	switch (below(8)) {
	case 0: case 1:
		entry_make(id);
		break;
	case 2:
		entry_pin(id);
		break;
	case 3:
		if (once_in(6))
			entry_end(id);
		break;
	default:
		entry_give_pin(id);
	}
}

/* --- a million operations in all --- */

static void on_object(struct model_object *o,
		      void (*take)(struct model_object *),
		      void (*give)(struct model_object *))
{
	if (o->p)
		give(o);
	else
		take(o);
}

static void one_operation(void)
{
	size_t which = below(1000);

	if (which < 400)
		on_object(&objects[below(OBJECTS)], exec_take, exec_give);
	else if (which < 440)
		on_object(&kept[below(KEPT)], storage_take, storage_give);
	else if (which < 442)
		work_ends(below(WORKS));
	else
		on_entry(below(IDS));
}

static void everything_ends(void)
{
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i].p)
			exec_give(&objects[i]);
	for (int i = 0; i < KEPT; i++)
		if (kept[i].p)
			storage_give(&kept[i]);
	for (uint64_t id = 0; id < IDS; id++) {
		while (entries[id].p && entries[id].pins)
			entry_give_pin(id);
		if (entries[id].p)
			entry_end(id);
	}
	expect_same();
	pools_end();
}

static const struct {
	enum rn_pools_victim victim;
	unsigned int flags;
} kinds[] = {
	{ RN_POOLS_LRU, 0 },
	{ RN_POOLS_PICK, 0 },
	{ RN_POOLS_RANDOM, RN_POOLS_EXEC_WAITS },
	{ RN_POOLS_LRU, RN_POOLS_STORAGE_HALF },
};

START_TEST(as_modelled)
{
	size_t ops = 250000 / LESS;

	state = 0x5eed + _i;
	victim = kinds[_i].victim;
	flags = kinds[_i].flags;
	pools_start_up(TOTAL, OPTIONS(.victim = victim, .flags = flags,
				   .evict = evict, .timeout = 1,
				   .pick = victim == RN_POOLS_PICK ? pick :
					   NULL));
	for (size_t i = 1; i <= ops; i++) {
		one_operation();
		if (i % 1000 == 0)
			expect_same();
	}
	ck_assert_uint_gt(granted_after, 0);
	ck_assert_uint_gt(declined_in, 0);
	everything_ends();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_model");
	TCase *tc = tcase_create("model");

	tcase_add_loop_test(tc, as_modelled, 0, ARRAY_LEN(kinds));
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
