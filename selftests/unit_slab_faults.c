// SPDX-License-Identifier: MIT
/*
 * What is found in debugged caches, and that the program goes on then with
 * RN_SLAB_DEBUG_ACTION=continue.
 */
#define _GNU_SOURCE
#include "unit_slab_debug.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <rn/memcg.h>
#include <rn/pools.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- who goes on --- */

START_TEST(quarantine)
{
	char *p, *q;

	set_option("FZPU");
	p = rn_alloc(opaque(64), 0);
	spoil(p, 64);
	stderr_catch();
	rn_free(p);
	ck_assert_int_eq(said("FIX kmalloc-64: Restoring Right Redzone"), 1);
	ck_assert_uint_eq((unsigned char)p[64], RED_ACTIVE);
	for (int i = 0; i < 1000; i++) {
		q = rn_alloc(64, 0);
		ck_assert_ptr_ne(q, p);
	}
	stderr_catch();
	rn_free(p);
	ck_assert_int_eq(said("(Tainted): Object already free"), 1);
	ck_assert_int_eq(rn_validate(NULL), 0);
}
END_TEST

START_TEST(written_after_free)
{
	char *p;

	set_option("FZPU");
	p = rn_alloc(opaque(200), 0);
	rn_free(p);
	spoil(p, 100);
	stderr_catch();
	ck_assert_ptr_ne(rn_alloc(200, 0), p);
	ck_assert_int_eq(said("BUG kmalloc-208 (Not tainted): Poison "
			      "overwritten"), 1);
}
END_TEST

/* The link alone: what was on the list is lost, and no more. */
START_TEST(freelist_cleared)
{
	struct rn_cache *c;
	void *p[3];

	set_option("F");
	c = cache("list", 64, 0, 0);
	for (int i = 0; i < 3; i++)
		p[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < 3; i++)
		rn_cache_free(c, p[i]);
	*(u64 *)((char *)p[1] + c->free_offset) ^= 1;
	stderr_catch();
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_nonnull(rn_cache_alloc(c, 0));
	ck_assert_int_eq(said("FIX list: Freelist cleared"), 1);
}
END_TEST

START_TEST(validate)
{
	struct rn_cache *c, *other;
	char *p, *q;

	set_option("-");
	c = cache("checked", 64, 0, Z | P);
	other = cache("other", 64, 0, Z | P);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	rn_cache_free(c, q);
	ck_assert_int_eq(rn_validate(NULL), 0);
	spoil(p, -1);
	spoil(q, 3);
	ck_assert_int_eq(rn_validate(other), 0);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 2);
	ck_assert_int_eq(said("FIX checked: Restoring "), 2);
	/* Both are known now. */
	ck_assert_int_eq(rn_validate(NULL), 0);
	ck_assert_ptr_ne(rn_cache_alloc(c, 0), q);
}
END_TEST

/* What rn_validate() found while it was in use is still its owner's to free. */
START_TEST(freed_after_validate)
{
	struct rn_cache *c;
	char *p;

	set_option("-");
	c = cache("kept", 64, 0, F | Z | P | U);
	p = rn_cache_alloc(c, 0);
	spoil(p, 64);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 1);
	ck_assert_int_eq(rn_validate(c), 0);
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	rn_cache_free(c, p);
	ck_assert_int_eq(said("BUG kept"), 1);
	stderr_catch();
	rn_cache_free(c, p);
	ck_assert_int_eq(said("BUG kept (Tainted): Object already free"), 1);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* The zone is set anew: what is in it by then must not be lost. */
START_TEST(overrun_before_resize)
{
	char *p;

	set_option("FZPU");
	p = rn_alloc(opaque(60), 0);
	spoil(p, 60);
	stderr_catch();
	ck_assert_ptr_eq(rn_realloc(p, 50, 0), p);
	ck_assert_int_eq(said("kmalloc-64 (Not tainted): Right Redzone "
			      "overwritten\n---"), 1);
}
END_TEST

START_TEST(freed_before_resize)
{
	char *p;

	set_option("FZPU");
	p = rn_alloc(opaque(60), 0);
	rn_free(p);
	stderr_catch();
	ck_assert_ptr_eq(rn_realloc(p, 50, 0), p);
	ck_assert_int_eq(said("kmalloc-64 (Not tainted): Object already free"
			      "\n---"), 1);
	/* It is free as it was. */
	ck_assert_int_eq(rn_validate(NULL), 0);
	ck_assert_ptr_nonnull(rn_alloc(60, 0));
}
END_TEST

/* With the zone, the link and what is known of the object. */
START_TEST(size_overwritten)
{
	struct rn_cache *c;
	char *p;

	set_option("-");
	c = cache("sized", 64, 0, Z);
	p = rn_cache_alloc(c, 0);
	for (int i = 0; i < 24; i++)
		spoil(p, 64 + i);
	ck_assert_uint_le(rn_size(p), 64);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 1);
	rn_cache_free(c, p);
	ck_assert_int_eq(said("BUG sized"), 1);
}
END_TEST

/* So far beyond the end that nobody knows any more who it was. */
START_TEST(tracks_overwritten)
{
	struct rn_cache *c;
	char *p;

	set_option("-");
	c = cache("tracked", 64, 0, Z | U);
	p = rn_cache_alloc(c, 0);
	for (long i = 64; i < (long)slab_debug_end(c); i++)
		spoil(p, i);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p), 0);
	rn_cache_free(c, p);
	ck_assert_int_eq(said("BUG tracked (Not tainted): Right Redzone "
			      "overwritten\n---"), 1);
	p = rn_cache_alloc(c, 0);
	meta_of(c, p)->tracks[TRACK_ALLOC].nr = UINT16_MAX;
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	ck_assert_int_eq(said("of tracked\n"), 1);
}
END_TEST

/* A group has nothing to do with what is quarantined. */
START_TEST(quarantined_in_group)
{
	struct rn_memcg *m;
	char *p, *q;

	set_option("FZPU");
	m = rn_memcg_create(NULL, "group");
	ck_assert_ptr_nonnull(m);
	p = rn_memcg_alloc(m, 64, 0);
	q = rn_memcg_alloc(m, 64, 0);
	spoil(p, 64);
	spoil(q, 64);
	stderr_catch();
	ck_assert_int_eq(rn_validate(NULL), 2);
	rn_free(p);
	rn_free(q);
	rn_free(q);
	ck_assert_int_eq(said("BUG group:kmalloc-64"), 3);
	ck_assert_uint_eq(rn_memcg_usage(m), 0);
	ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_REFUSE), 0);
}
END_TEST

/* What belongs to no object of a slab, by rn_validate() and at its end. */
START_TEST(padding_overwritten)
{
	struct rn_cache *c;
	size_t rest;
	char *p;

	set_option("-");
	c = cache("padded", 1000, 0, P);
	p = (char *)rn_cache_alloc(c, 0) + (size_t)c->objects * c->size;
	rest = ((size_t)c->pages << PAGE_SHIFT) - (size_t)c->objects * c->size;
	ck_assert_uint_gt(rest, 1);
	ck_assert_int_eq(rn_validate(c), 0);
	spoil(p, 0);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 1);
	ck_assert_int_eq(rn_validate(c), 0);
	ck_assert_int_eq(said("BUG padded (Not tainted): Padding overwritten"),
			 1);
	spoil(p, (long)rest - 1);
	stderr_catch();
	rn_cache_free(c, p - (size_t)c->objects * c->size);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	ck_assert_int_eq(said("BUG padded (Tainted): Padding overwritten"), 1);
}
END_TEST

/* Likewise of each page, where no object lies in two. */
START_TEST(page_rest_overwritten)
{
	struct rn_cache *c;
	char *page;

	set_option("FZP,execution:*");
	ck_assert_int_eq(rn_pools_init(64 << 20), 0);
	page = rn_exec_alloc(opaque(1000), 0);
	ck_assert_ptr_nonnull(page);
	c = row_to_cache(ptr_to_row(page));
	ck_assert_uint_ne(c->debug, 0);
	ck_assert_uint_gt(c->page_rest, 0);
	page = (char *)ALIGN_DOWN((uintptr_t)page, PAGE_BYTES);
	ck_assert_int_eq(rn_validate(c), 0);
	spoil(page, PAGE_BYTES - 1);
	spoil(page, 3 * PAGE_BYTES - c->page_rest);
	stderr_catch();
	ck_assert_int_eq(rn_validate(c), 2);
	ck_assert_int_eq(said("): Padding overwritten\n---"), 2);
}
END_TEST

/* To its own cache it goes, and is checked there. */
START_TEST(wrong_cache)
{
	struct rn_cache *a, *b;
	void *p;

	set_option("-");
	a = cache("apples", 64, 0, RN_NOMERGE);
	b = cache("pears", 64, 0, F | Z | U);
	p = rn_cache_alloc(b, 0);
	stderr_catch();
	rn_cache_free(a, p);
	ck_assert_int_eq(said("\nAllocated in "), 1);
	ck_assert_int_eq(rn_cache_destroy(b), 0);
	b = cache("plums", 64, 0, F | Z | U);
	p = rn_cache_alloc(a, 0);
	stderr_catch();
	rn_cache_free(b, p);
	ck_assert_int_eq(said("BUG apples (Tainted): Wrong slab cache, freed "
			      "to plums\n"), 1);
	ck_assert_int_eq(rn_cache_destroy(a), 0);
}
END_TEST

static bool through;

static void *validate_all(void *arg)
{
	while (!__atomic_load_n(&through, __ATOMIC_RELAXED))
		if (rn_validate(NULL))
			return &through;
	return arg;
}

/* Beside slabs that end with objects in use, and without. */
START_TEST(validate_beside_ends)
{
	struct rn_memcg *m;
	pthread_t t;
	void *failed;

	set_option("FZPU");
	pthread_create(&t, NULL, validate_all, NULL);
	for (int i = 0; i < 2000 / LESS; i++) {
		m = rn_memcg_create(NULL, "group");
		ck_assert_ptr_nonnull(m);
		for (int k = 0; k < 8; k++)
			ck_assert_ptr_nonnull(rn_memcg_alloc(m, 1000, 0));
		rn_free(rn_memcg_alloc(m, 40000, 0));
		ck_assert_int_eq(rn_memcg_destroy(m, RN_MEMCG_FREE), 0);
		if (i % 16 == 0)
			rn_shrink_all();
	}
	__atomic_store_n(&through, true, __ATOMIC_RELAXED);
	pthread_join(t, &failed);
	ck_assert_ptr_null(failed);
}
END_TEST

START_TEST(dump)
{
	struct rn_cache *c;
	char *p;

	set_option("-");
	c = cache("dumped", 64, 0, U);
	p = rn_cache_alloc(c, 0);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p + 5), 0);
	ck_assert_int_eq(said("pointer offset 5 size 64, in use"), 1);
	rn_cache_free(c, p);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(p), 0);
	ck_assert_int_eq(said("\nFreed in "), 1);
	stderr_catch();
	ck_assert_int_eq(rn_dump_obj(&c), -ENOENT);
	ck_assert_int_eq(said("not memory of this library"), 1);
}
END_TEST

START_TEST(objects_left)
{
	struct rn_cache *c;
	void *p, *q;

	set_option("-");
	c = cache("left", 64, 0, U | Z);
	p = rn_cache_alloc(c, 0);
	q = rn_cache_alloc(c, 0);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	ck_assert_int_eq(said("Allocated in "), 2);
	/* One in quarantine does not keep it, nor is it counted. */
	spoil(q, 64);
	stderr_catch();
	rn_cache_free(c, q);
	ck_assert_int_eq(said("BUG left"), 1);
	stderr_catch();
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	ck_assert_int_eq(said("(left): 1 of "), 1);
	rn_cache_free(c, p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

/* --- locks of others --- */

static void wait_until_in(const int *tid, long call)
{
	while (!__atomic_load_n(tid, __ATOMIC_ACQUIRE) ||
	       !is_in_call(*tid, call))
		usleep(1000);
}

static char fifo[] = "/tmp/slab_debug.XXXXXX";
static int loader, reporter;

/* The loader opens the file with its lock held, and waits for a writer. */
static void *load(void *arg)
{
	__atomic_store_n(&loader, gettid(), __ATOMIC_RELEASE);
	ck_assert_ptr_null(dlopen(fifo, RTLD_NOW));
	return arg;
}

static void *overrun(void *arg)
{
	char *p = rn_alloc(opaque(64), 0);

	spoil(p, 64);
	wait_until_in(&loader, SYS_openat);
	__atomic_store_n(&reporter, gettid(), __ATOMIC_RELEASE);
	rn_free(p);
	return arg;
}

/*
 * A report that waits for the loader is outside of the gate: who forks, perhaps
 * to let whoever loads go on, does not wait for it.
 */
START_TEST(fork_beside_loader)
{
	pthread_t t[2];
	int status;
	pid_t pid;

	set_option("FZPU");
	rn_free(rn_alloc(opaque(64), 0));
	ck_assert_ptr_nonnull(mkdtemp(fifo));
	ck_assert_int_eq(rmdir(fifo), 0);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	stderr_catch();
	/* No thread can begin while the loader is at it. */
	pthread_create(&t[0], NULL, overrun, NULL);
	pthread_create(&t[1], NULL, load, NULL);
	wait_until_in(&reporter, SYS_futex);
	pid = fork();
	if (!pid)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(open(fifo, O_WRONLY));
	unlink(fifo);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(said("Right Redzone overwritten\n---"), 1);
}
END_TEST

/*
 * What is found inside of the gate waits for its end, and is reported as it
 * was, though the slab is gone by then.
 */
START_TEST(found_inside)
{
	struct rn_cache *c;
	unsigned int ticket;
	char *p, text[100];

	set_option("-");
	c = cache("inside", 64, 0, F | Z | P | U);
	p = rn_cache_alloc(c, 0);
	rn_cache_free(c, p);
	spoil(p, 10);
	stderr_catch();
	ticket = gate_enter();
	lock(&slab_mutex);
	ck_assert(cache_flush(c));
	unlock(&slab_mutex);
	memset(p, 0x77, 64);
	ck_assert_uint_eq(faults_waiting, 1);
	gate_exit(ticket);
	ck_assert_uint_eq(faults_waiting, 0);
	snprintf(text, sizeof(text), "%p: 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 01 6b",
		 (void *)p);
	ck_assert_int_eq(said(text), 1);
}
END_TEST

/* More than can wait are reported at once, without names; and none twice. */
START_TEST(found_inside_many)
{
	struct rn_cache *c;
	unsigned int ticket;
	char *p[10];

	set_option("-");
	c = cache("many", 64, 0, Z | P | U);
	for (int i = 0; i < 10; i++)
		p[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < 10; i++)
		spoil(p[i], 64);
	stderr_catch();
	ticket = gate_enter();
	for (int i = 0; i < 10; i++)
		rn_cache_free(c, p[i]);
	gate_exit(ticket);
	ck_assert_int_eq(said("BUG many "), 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slab_faults");
	TCase *tc = tcase_create("faults");

	tcase_add_test(tc, quarantine);
	tcase_add_test(tc, written_after_free);
	tcase_add_test(tc, freelist_cleared);
	tcase_add_test(tc, validate);
	tcase_add_test(tc, freed_after_validate);
	tcase_add_test(tc, overrun_before_resize);
	tcase_add_test(tc, freed_before_resize);
	tcase_add_test(tc, size_overwritten);
	tcase_add_test(tc, tracks_overwritten);
	tcase_add_test(tc, quarantined_in_group);
	tcase_add_test(tc, padding_overwritten);
	tcase_add_test(tc, page_rest_overwritten);
	tcase_add_test(tc, wrong_cache);
	tcase_add_test(tc, validate_beside_ends);
	tcase_add_test(tc, dump);
	tcase_add_test(tc, objects_left);
	tcase_add_test(tc, fork_beside_loader);
	tcase_add_test(tc, found_inside);
	tcase_add_test(tc, found_inside_many);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
