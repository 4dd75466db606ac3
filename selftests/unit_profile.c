// SPDX-License-Identifier: MIT
/*
 * Heap profiles: what is counted of samples, and that a sample is an object as
 * any other. What pprof reads of it is in test_profile.sh.
 */
#include "helpers.h"
#include "memcontrol.h"
#include "must.h"
#include "debug/profile.h"

#include <fcntl.h>
#include <pthread.h>
#include <rn/memcg.h>
#include <rn/profile.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS	20000
#define THREADS	4

static void *objects[OBJECTS];

/* Square roots without libm: by Newton, from above. */
static double root(double x)
{
	double r = x + 1;

	for (int i = 0; i < 200; i++)
		r = (r + x / r) / 2;
	return r;
}

static double distance(double a, double b)
{
	return a > b ? a - b : b - a;
}

static struct profile_site sums(void)
{
	struct profile_site sum = { 0 };

	for (u32 id = 0; id <= depot_last(); id++) {
		const struct profile_site *s = &profile.sites[id];

		sum.live.objects += s->live.objects;
		sum.live.bytes += s->live.bytes;
		sum.live.all_objects += s->live.all_objects;
		sum.live.all_bytes += s->live.all_bytes;
		sum.total.objects += s->total.objects;
		sum.total.bytes += s->total.bytes;
		sum.total.all_objects += s->total.all_objects;
		sum.total.all_bytes += s->total.all_bytes;
	}
	return sum;
}

static void expect_live(u64 nr, u64 bytes)
{
	struct profile_sums live = sums().live;

	ck_assert_uint_eq(live.objects, nr);
	ck_assert_uint_eq(live.bytes, bytes);
}

static void expect_nothing_live(void)
{
	struct profile_sums live = sums().live;

	expect_live(0, 0);
	ck_assert_uint_eq(live.all_objects, 0);
	ck_assert_uint_eq(live.all_bytes, 0);
}

static void start(size_t interval)
{
	ck_assert_int_eq(rn_profile_start(interval), 0);
}

static bool is_sample(const void *p)
{
	const struct page *page = ptr_to_page(p);

	ck_assert_ptr_nonnull(p);
	return !ptr_to_row(p) && page->type == PAGE_LARGE && page->mark;
}

static struct rn_cache *new_cache(size_t size, size_t align,
				  void (*ctor)(void *))
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .align = align,
		.ctor = ctor, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("sampled", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

/* --- the distribution --- */

START_TEST(draws_are_exponential)
{
	const double mean = 512 << 10;
	const int nr = 1000000;
	u64 state = 4711;
	double sum = 0;
	int above = 0;

	for (int i = 0; i < nr; i++) {
		double x = exponential_draw(&state, mean);

		must(x >= 0);
		sum += x;
		above += x > mean;
	}
	/* Their deviation is the mean; exp(-1) of them are above it. */
	ck_assert(distance(sum / nr, mean) < 4 * mean / 1000);
	ck_assert(distance(above, nr * 0.36787944) <
		  4 * 1000 * root(0.36787944 * 0.63212056));
}
END_TEST

START_TEST(probabilities)
{
	static const struct {
		double x, p;
	} known[] = {
		{ 0, 0 }, { 1e-6, 9.999995000001667e-7 },
		{ 0.01, 0.00995016625083195 }, { 0.5, 0.3934693402873666 },
		{ 1, 0.6321205588285577 }, { 10, 0.9999546000702375 },
		{ 50, 1 }, { 1e9, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ck_assert(distance(exponential_below(known[i].x), known[i].p) <=
			  known[i].p * 1e-8);
}
END_TEST

/* --- what is counted --- */

START_TEST(each_object)
{
	static const size_t sizes[] = {
		1, 8, 9, 100, 1024, 1025, 4096, 5000, 65536, 65537, 3 << 20,
	};
	void *p[ARRAY_LEN(sizes)];
	u64 bytes = 0;

	start(1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		p[i] = rn_alloc(sizes[i], 0);
		ck_assert(is_sample(p[i]));
		pattern_set(p[i], rn_size(p[i]), i);
		bytes += sizes[i];
		expect_live(i + 1, bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		ck_assert(pattern_ok(p[i], rn_size(p[i]), i));
		if (sizes[i] <= KMALLOC_MAX)
			ck_assert_uint_eq(rn_size(p[i]),
					  rn_size_roundup(sizes[i]));
		rn_free(p[i]);
	}
	expect_nothing_live();
	ck_assert_uint_eq(sums().total.objects, ARRAY_LEN(sizes));
	ck_assert_uint_eq(sums().total.bytes, bytes);
	ck_assert_uint_eq(sums().total.all_objects,
			  PROFILE_UNIT * ARRAY_LEN(sizes));
}
END_TEST

START_TEST(pages)
{
	void *p;

	start(1);
	p = rn_alloc_pages(3, 0, RN_NO_NODE);
	expect_live(1, 8 * PAGE_BYTES);
	rn_free_pages(p, 3);
	expect_nothing_live();
}
END_TEST

/* The estimate of @nr objects: its variance is nr (1 - p) / p. */
static void expect_estimate(const struct profile_sums *s, double nr,
			    size_t size, size_t interval)
{
	double p = exponential_below((double)size / (double)interval);
	double limit = 4 * root(nr * (1 - p) / p) + 1;

	ck_assert_msg(distance(s->all_objects / (double)PROFILE_UNIT, nr) <
		      limit, "%f of %f, limit %f",
		      s->all_objects / (double)PROFILE_UNIT, nr, limit);
	ck_assert(distance(s->all_bytes, nr * size) < limit * size + nr);
}

START_TEST(estimates)
{
	static const size_t sizes[] = { 16, 100, 1000, 9000, 40000 };
	const size_t interval = 16 << 10;
	struct profile_site s;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int nr = min((size_t)OBJECTS, (256UL << 20) / sizes[i]);

		start(interval);
		for (int k = 0; k < nr; k++)
			objects[k] = rn_alloc(sizes[i], 0);
		s = sums();
		expect_estimate(&s.live, nr, sizes[i], interval);
		for (int k = 0; k < nr; k++)
			rn_free(objects[k]);
		expect_nothing_live();
	}
}
END_TEST

static void *allocate(void *arg)
{
	for (int round = 0; round < 20; round++) {
		void *p[500];

		for (int i = 0; i < 500; i++) {
			p[i] = rn_alloc(200, 0);
			must(p[i]);
			memset(p[i], round, 200);
		}
		for (int i = 0; i < 500; i++) {
			must(*(char *)p[i] == round);
			rn_free(p[i]);
		}
	}
	return arg;
}

static bool over;

static void *write_on(void *arg)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	while (!READ_ONCE(over)) {
		must(!rn_profile_write(fd));
		must(!rn_profile_write_text(fd));
	}
	close(fd);
	return arg;
}

START_TEST(threads)
{
	struct profile_site s;
	pthread_t t[THREADS], writer;

	start(4096);
	WRITE_ONCE(over, false);
	ck_assert_int_eq(pthread_create(&writer, NULL, write_on, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, allocate, NULL),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	WRITE_ONCE(over, true);
	pthread_join(writer, NULL);
	s = sums();
	expect_estimate(&s.total, THREADS * 20 * 500, 200, 4096);
	expect_nothing_live();
}
END_TEST

/* What is of another profile is not taken from this one. */
START_TEST(begins_anew)
{
	void *p, *q;

	ck_assert_int_eq(rn_profile_write(STDERR_FILENO), -ENODATA);
	ck_assert_int_eq(rn_profile_start((size_t)-1), -EINVAL);
	start(1);
	p = rn_alloc(100, 0);
	start(1);
	expect_nothing_live();
	q = rn_alloc(50, 0);
	expect_live(1, 50);
	rn_free(p);
	expect_live(1, 50);
	rn_profile_stop();
	p = rn_alloc(100, 0);
	ck_assert(!is_sample(p));
	expect_live(1, 50);
	rn_free(q);
	rn_free(p);
	expect_nothing_live();
}
END_TEST

START_TEST(fast_paths_open_again)
{
	bool open, local;

	rn_free(rn_alloc(1, 0));
	open = hot.medium_max;
	local = hot.local_max;
	start(0);
	ck_assert_uint_eq(profile.interval, RN_PROFILE_INTERVAL);
	ck_assert_uint_eq(hot.medium_max, 0);
	ck_assert_uint_eq(hot.span, open ? mem.bytes : 0);
	rn_profile_stop();
	ck_assert_int_eq(hot.medium_max != 0, open);
	ck_assert_int_eq(hot.local_max != 0, local);
}
END_TEST

/* --- a sample is an object as any other --- */

static int constructed;

static void construct(void *p)
{
	constructed++;
	memset(p, 7, 100);
}

static unsigned long active(const struct rn_cache *c)
{
	struct cache_usage u;

	cache_usage((struct rn_cache *)c, &u);
	ck_assert_uint_le(u.active, u.objects);
	return u.active;
}

START_TEST(of_a_cache)
{
	struct rn_cache *c = new_cache(100, 64, construct);
	char *p, *q;

	start(1);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	ck_assert(is_sample(p) && is_sample(q));
	ck_assert_int_eq(constructed, 2);
	ck_assert(p[0] == 7 && p[99] == 7);
	ck_assert_uint_eq((uintptr_t)p % 64, 0);
	ck_assert_uint_eq(rn_size(p), rn_cache_size(c));
	ck_assert_int_eq(rn_check_object(p, 100), 0);
	ck_assert_int_eq(rn_check_object(p + 1, 100), -EFAULT);
	ck_assert_uint_eq(active(c), 2);
	expect_live(2, 200);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	free(stderr_caught());
	rn_cache_free(c, p);
	rn_free(q);
	ck_assert_uint_eq(active(c), 0);
	expect_nothing_live();
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* As large as a page, and not quite: what is behind it is another's. */
START_TEST(all_of_it)
{
	static const size_t sizes[] = { 1, 4090, 4096, 4097, 12000, 65536 };

	start(1);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct rn_cache *c = new_cache(sizes[i], 4096, NULL);
		void *p = rn_cache_zalloc(c, 0), *q = rn_cache_alloc(c, 0);

		ck_assert(all_zero(p, rn_size(p)));
		pattern_set(p, rn_size(p), 1);
		pattern_set(q, rn_size(q), 2);
		ck_assert(pattern_ok(p, rn_size(p), 1));
		ck_assert_uint_eq((uintptr_t)p % 4096, 0);
		rn_cache_free(c, p);
		rn_cache_free(c, q);
		ck_assert_int_eq(rn_cache_destroy(c), 0);
	}
}
END_TEST

START_TEST(alignment)
{
	start(1);
	for (unsigned int k = 1; k <= RN_NR_CLASSES; k++) {
		void *p = rn_zalloc(class_bytes[k], 0);

		ck_assert(is_sample(p));
		ck_assert_uint_eq((uintptr_t)p % class_align(class_bytes[k]),
				  0);
		ck_assert(all_zero(p, class_bytes[k]));
		rn_free_sensitive(p);
	}
	expect_nothing_live();
}
END_TEST

START_TEST(resized)
{
	char *p;

	start(1);
	p = rn_alloc(1000, 0);
	p = rn_realloc(p, 900, 0);
	expect_live(1, 1000);
	mark_bytes(p, 0, 900);
	p = rn_realloc(p, 40000, 0);
	expect_live(1, 40000);
	for (size_t size = 100 << 10; size <= 8 << 20; size *= 3) {
		p = rn_realloc(p, size, 0);
		ck_assert(bytes_marked(p, 900));
		expect_live(1, size);
	}
	p = rn_realloc(p, 70000, 0);
	expect_live(1, 70000);
	p = rn_realloc(p, 10, 0);
	expect_live(1, 10);
	ck_assert(bytes_marked(p, 10));
	rn_free(p);
	expect_nothing_live();
}
END_TEST

START_TEST(on_a_node)
{
	void *p;

	start(1);
	p = rn_alloc_node(100, RN_THISNODE, 0);
	if (p)
		ck_assert_int_eq(rn_addr_to_node(p), 0);
	rn_free(p);
	p = rn_alloc(100, RN_NOFAIL | RN_ZERO);
	ck_assert(is_sample(p) && all_zero(p, rn_size(p)));
	rn_free(p);
	expect_nothing_live();
}
END_TEST

/* --- groups --- */

START_TEST(in_a_group)
{
	struct rn_memcg *m = rn_memcg_create(NULL, "group");
	void *p, *q;

	start(1);
	p = rn_memcg_alloc(m, 100, 0);
	q = rn_memcg_alloc(m, 100000, 0);
	ck_assert(is_sample(p) && is_sample(q));
	ck_assert_ptr_eq(rn_memcg_of(p), m);
	ck_assert_uint_eq(rn_memcg_usage(m), rn_size(p) + rn_size(q));
	expect_live(2, 100100);
	rn_free(p);
	rn_free(q);
	ck_assert_uint_eq(rn_memcg_usage(m), 0);
	expect_nothing_live();
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* Up to the last object that fits, as without. */
START_TEST(in_a_full_group)
{
	struct rn_memcg *m = rn_memcg_create(NULL, "full");
	int nr = 0, samples = 0;

	ck_assert_int_eq(rn_memcg_set(m, RN_MEMCG_MAX, 64 << 10), 0);
	/* Who does not wait brings nothing up. */
	rn_free(rn_alloc(1 << 20, 0));
	start(1);
	while (nr < OBJECTS &&
	       (objects[nr] = rn_memcg_alloc(m, 1000, RN_NOWAIT)))
		samples += is_sample(objects[nr++]);
	ck_assert_int_eq(nr, 64);
	ck_assert_int_gt(samples, nr / 2);
	ck_assert_uint_eq(rn_memcg_usage(m), 64 << 10);
	expect_live(samples, samples * 1000);
	while (nr)
		rn_free(objects[--nr]);
	expect_nothing_live();
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* Then its samples are gone as all is. */
START_TEST(group_is_freed)
{
	struct rn_memcg *m = rn_memcg_create(NULL, "gone");

	start(1);
	for (int i = 0; i < 100; i++)
		ck_assert(is_sample(rn_memcg_alloc(m, 8 + 8 * i, 0)));
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_FREE), 0);
	expect_nothing_live();
	m = rn_memcg_create(NULL, "next");
	ck_assert_uint_eq(rn_memcg_usage(m), 0);
	for (int i = 0; i < 100; i++)
		rn_free(rn_memcg_alloc(m, 8 + 8 * i, 0));
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* --- the rest --- */

START_TEST(forked)
{
	void *p;
	int status;
	pid_t pid;

	start(1);
	p = rn_alloc(100, 0);
	pid = fork();
	if (!pid) {
		struct profile_sums live = sums().live;

		rn_free(p);
		p = rn_alloc(10, 0);
		_exit(live.objects != 1 || sums().live.bytes != 10 ||
		      rn_profile_write(open("/dev/null", O_WRONLY)));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	expect_live(1, 100);
	rn_free(p);
	expect_nothing_live();
}
END_TEST

/* What finds no room has no stack, but is counted. */
START_TEST(many_stacks)
{
	unsigned int ticket;
	const void *frames[2] = { (void *)1 };
	void *p;

	start(1);
	ticket = gate_enter();
	for (uintptr_t i = 0; i < DEPOT_MAX; i++) {
		frames[1] = (void *)(i + 100);
		must(depot_save(frames, 2) == i + 1);
		must(depot_save(frames, 2) == i + 1);
	}
	frames[1] = (void *)1;
	ck_assert_uint_eq(depot_save(frames, 2), 0);
	ck_assert_uint_eq(depot_save(frames, 0), 0);
	gate_exit(ticket);
	p = rn_alloc(100, 0);
	ck_assert_uint_eq(profile.sites[0].live.objects, 1);
	expect_live(1, 100);
	ck_assert_int_eq(rn_profile_write(open("/dev/null", O_WRONLY)), 0);
	rn_free(p);
	expect_nothing_live();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("profile");
	TCase *tc = tcase_create("profile");

	tcase_add_test(tc, draws_are_exponential);
	tcase_add_test(tc, probabilities);
	tcase_add_test(tc, each_object);
	tcase_add_test(tc, pages);
	tcase_add_test(tc, estimates);
	tcase_add_test(tc, threads);
	tcase_add_test(tc, begins_anew);
	tcase_add_test(tc, fast_paths_open_again);
	tcase_add_test(tc, of_a_cache);
	tcase_add_test(tc, all_of_it);
	tcase_add_test(tc, alignment);
	tcase_add_test(tc, resized);
	tcase_add_test(tc, on_a_node);
	tcase_add_test(tc, in_a_group);
	tcase_add_test(tc, in_a_full_group);
	tcase_add_test(tc, group_is_freed);
	tcase_add_test(tc, forked);
	tcase_add_test(tc, many_stacks);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
