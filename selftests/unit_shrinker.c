// SPDX-License-Identifier: MIT
/*
 * How much each shrinker is asked for, and which of them, at each priority.
 */
#include "helpers.h"

#include "shrinker.h"

#define BATCH	128

static unsigned long size, asked, calls, gives, looks_at;
static struct rn_shrink_control last;

static unsigned long count(struct rn_shrinker *shrinker,
			   struct rn_shrink_control *sc)
{
	last = *sc;
	return size;
}

static unsigned long scan(struct rn_shrinker *shrinker,
			  struct rn_shrink_control *sc)
{
	ck_assert_uint_eq(sc->nr_scanned, sc->nr_to_scan);
	ck_assert_uint_le(sc->nr_to_scan, BATCH);
	asked += sc->nr_to_scan;
	calls++;
	if (looks_at)
		sc->nr_scanned = looks_at;
	return gives;
}

static struct rn_shrinker source = {
	.sz = sizeof(source), .name = "source", .count = count, .scan = scan,
};

static unsigned long ask(rn_gfp_t flags, struct rn_memcg *memcg,
			 unsigned int priority)
{
	const struct rn_shrink_control sc = {
		.flags = flags, .memcg = memcg, .bytes = SIZE_MAX,
		.priority = priority,
	};

	return shrink_all(&sc);
}

static unsigned long shrink(unsigned int priority)
{
	asked = 0;
	calls = 0;
	return ask(RN_KERNEL, NULL, priority);
}

static void start(unsigned long n, unsigned int seeks)
{
	size = n;
	source.seeks = seeks;
	ck_assert_int_eq(rn_shrinker_register(&source), 0);
}

static void end(void)
{
	ck_assert_int_eq(rn_shrinker_unregister(&source), 0);
}

/* Of plenty: the share by priority and seeks, exactly. */
START_TEST(shares)
{
	static const unsigned int seeks[] = { 1, 2, 8 };
	const unsigned long n = 1UL << 20;

	for (size_t i = 0; i < ARRAY_LEN(seeks); i++) {
		start(n, seeks[i]);
		for (unsigned int p = 0; p <= RN_DEF_PRIORITY; p++) {
			unsigned long share = (n >> p) * 4 / seeks[i];

			shrink(p);
			ck_assert_uint_eq(asked,
					  share < 2 * n ? share : 2 * n);
		}
		end();
	}
	start(n, 0);
	for (unsigned int p = 0; p <= RN_DEF_PRIORITY; p++) {
		shrink(p);
		ck_assert_uint_eq(asked, n / 2);
	}
	end();
}
END_TEST

/* Of little: it adds up to a call, and at last there is one in any case. */
START_TEST(carried_over)
{
	unsigned long sum = 0;

	start(1000, RN_DEFAULT_SEEKS);
	/* 2 * (1000 >> 6) is 30 a time. */
	for (int i = 0; i < 100; i++) {
		shrink(6);
		ck_assert_uint_eq(asked, calls * BATCH);
		sum += asked;
	}
	ck_assert_uint_eq(sum, 3000 / BATCH * BATCH);
	end();
	start(10, 1000);
	for (unsigned int p = RN_DEF_PRIORITY; p; p--) {
		shrink(p);
		ck_assert_uint_eq(calls, 0);
	}
	shrink(0);
	ck_assert_uint_gt(asked, 0);
	end();
}
END_TEST

START_TEST(extremes)
{
	static const unsigned long none[] = { 0, RN_SHRINK_EMPTY,
					      RN_SHRINK_STOP };

	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		start(none[i], 2);
		ck_assert_uint_eq(shrink(0), 0);
		ck_assert_uint_eq(calls, 0);
		end();
	}
	/* Nothing overflows, and what frees without end is asked in batches. */
	looks_at = 1UL << 60;
	gives = ~0UL - 10;
	start(~0UL - 2, 1);
	ck_assert_uint_eq(shrink(0), ~0UL);
	ck_assert_uint_ge(calls, 2);
	end();
	looks_at = 0;
	/* It says stop: what was to come is kept for the next time. */
	gives = RN_SHRINK_STOP;
	start(1000, 2);
	ck_assert_uint_eq(shrink(1), 0);
	ck_assert_uint_eq(calls, 1);
	gives = 1;
	ck_assert_uint_eq(shrink(5), (1000 + 62) / BATCH);
	end();
}
END_TEST

START_TEST(of_a_group)
{
	struct rn_memcg *a = (void *)0x1000, *b = (void *)0x2000;

	gives = 1;
	source.memcg = a;
	start(BATCH, 4);
	ck_assert_uint_eq(ask(RN_KERNEL, a, 0), 1);
	ck_assert_ptr_eq(last.memcg, a);
	ck_assert_uint_eq(last.priority, 0);
	ck_assert_uint_eq(ask(RN_KERNEL, b, 0), 0);
	ck_assert_uint_eq(ask(RN_ZERO, NULL, 0), 1);
	ck_assert_ptr_null(last.memcg);
	ck_assert_uint_eq(last.flags, RN_ZERO);
	ck_assert_uint_eq(ask(RN_NOWAIT, a, 0), 0);
	end();
	source.memcg = NULL;
	start(BATCH, 4);
	ck_assert_uint_eq(ask(RN_KERNEL, a, 0), 0);
	end();
}
END_TEST

/* From the priority that it is told on, to the first that frees something. */
START_TEST(until_freed)
{
	start(1000, RN_DEFAULT_SEEKS);
	ck_assert_uint_eq(shrink_until_freed(RN_KERNEL, 12), 0);
	ck_assert_uint_eq(last.priority, 0);
	end();
	gives = 3;
	start(1000, RN_DEFAULT_SEEKS);
	/* 30 + 62 are no batch; 124 more are one. */
	ck_assert_uint_eq(shrink_until_freed(RN_KERNEL, 6), 3);
	ck_assert_uint_eq(last.priority, 4);
	end();
}
END_TEST

/* No callback inside of the gate: fork() would wait for it. */
START_TEST(not_in_the_gate)
{
	unsigned int ticket = gate_enter();

	gives = 1;
	start(1000, RN_DEFAULT_SEEKS);
	ck_assert_uint_eq(shrink(0), 0);
	ck_assert_int_eq(rn_shrinker_unregister(&source), -EDEADLK);
	gate_exit(ticket);
	ck_assert_uint_gt(shrink(0), 0);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shrinker");
	TCase *t = tcase_create("all");

	tcase_add_test(t, shares);
	tcase_add_test(t, carried_over);
	tcase_add_test(t, extremes);
	tcase_add_test(t, of_a_group);
	tcase_add_test(t, until_freed);
	tcase_add_test(t, not_in_the_gate);
	tcase_set_timeout(t, 30);
	suite_add_tcase(s, t);
	return suite_main(s);
}
