// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "unified.h"
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A thread that is seen to sleep so often, 1 ms apart, waits. */
#define ASLEEP_TIMES	10

void pools_start(size_t total, const struct rn_pools_options *options)
{
	ck_assert_int_eq(options ? rn_pools_init_options(total, options)
				 : rn_pools_init(total), 0);
}

void pools_start_up(size_t total, const struct rn_pools_options *options)
{
	stderr_catch();
	/* Half-filled slabs and what lies between runs want room, too. */
	ck_assert_int_eq(rn_reserve(2 * total + 16 * MIB, RN_NO_NODE, 0), 0);
	free(stderr_caught());
	pools_start(total, options);
}

void pools_end(void)
{
	ck_assert_uint_eq(total_usage(), 0);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}

static size_t usage_of(enum rn_pools_part part)
{
	struct rn_memcg *m = rn_pools_memcg(part);

	ck_assert_ptr_nonnull(m);
	return rn_memcg_usage(m);
}

size_t total_usage(void)
{
	return usage_of(RN_POOLS_TOTAL);
}

size_t exec_usage(void)
{
	return usage_of(RN_POOLS_EXEC);
}

size_t storage_usage(void)
{
	return usage_of(RN_POOLS_STORAGE);
}

size_t total_peak(void)
{
	return rn_memcg_peak(rn_pools_memcg(RN_POOLS_TOTAL));
}

size_t half_of(size_t total)
{
	return total / 2 / RN_PAGE_SIZE * RN_PAGE_SIZE;
}

size_t margin_of(size_t total)
{
	return 2 * (total / 16 < MIB ? total / 16 : MIB);
}

/* Of classes of which as many fit into a page the largest. */
size_t exec_size(size_t bytes)
{
	size_t size = class_size(bytes), next;

	for (next = size; next <= RN_PAGE_SIZE &&
	     RN_PAGE_SIZE / next == RN_PAGE_SIZE / size;
	     next = class_size(next + 1))
		size = next;
	return size;
}

/* --- requests --- */

static void *must_have(void *p, const char *what, size_t bytes)
{
	ck_assert_msg(p, "%s, %zu bytes: %s", what, bytes, strerror(errno));
	return p;
}

void *exec_granted(size_t bytes, rn_gfp_t flags)
{
	return must_have(rn_exec_alloc(bytes, flags), "execution", bytes);
}

void *exec_acquired(uint64_t id, size_t bytes)
{
	return must_have(rn_exec_acquire(id, bytes), "execution id", bytes);
}

void *storage_granted(size_t bytes, rn_gfp_t flags)
{
	return must_have(rn_storage_alloc(bytes, flags), "storage", bytes);
}

void *entry_acquired(uint64_t id, size_t bytes)
{
	return must_have(rn_storage_acquire(id, bytes), "entry", bytes);
}

void *entry_cached(uint64_t id, size_t bytes)
{
	void *p = entry_acquired(id, bytes);

	entry_unpin(id);
	return p;
}

static void expect_declined(const void *p, int error, size_t exec,
			    size_t storage)
{
	int got = errno;

	ck_assert_ptr_null(p);
	ck_assert_int_eq(got, error);
	ck_assert_uint_eq(exec_usage(), exec);
	ck_assert_uint_eq(storage_usage(), storage);
}

void exec_declined(size_t bytes, rn_gfp_t flags, int error)
{
	size_t exec = exec_usage(), storage = storage_usage();

	errno = 0;
	expect_declined(rn_exec_alloc(bytes, flags), error, exec, storage);
}

void exec_not_acquired(uint64_t id, size_t bytes, int error)
{
	size_t exec = exec_usage(), storage = storage_usage();

	errno = 0;
	expect_declined(rn_exec_acquire(id, bytes), error, exec, storage);
}

void storage_declined(size_t bytes, rn_gfp_t flags, int error)
{
	size_t exec = exec_usage(), storage = storage_usage();

	errno = 0;
	expect_declined(rn_storage_alloc(bytes, flags), error, exec, storage);
}

void entry_declined(uint64_t id, size_t bytes, int error)
{
	size_t exec = exec_usage(), storage = storage_usage();

	errno = 0;
	expect_declined(rn_storage_acquire(id, bytes), error, exec, storage);
}

void exec_release(uint64_t id)
{
	ck_assert_int_eq(rn_exec_release(id), 0);
}

void entry_release(uint64_t id)
{
	ck_assert_int_eq(rn_storage_release(id), 0);
}

void entry_unpin(uint64_t id)
{
	ck_assert_int_eq(rn_storage_unpin(id), 0);
}

void *entry_pinned(uint64_t id)
{
	void *p = rn_storage_pin(id, NULL);

	ck_assert_msg(p, "entry %lu: %s", (unsigned long)id, strerror(errno));
	return p;
}

bool is_cached(uint64_t id)
{
	return rn_storage_lookup(id, NULL);
}

unsigned int nr_cached(uint64_t first, uint64_t end)
{
	unsigned int nr = 0;

	for (uint64_t id = first; id < end; id++)
		nr += is_cached(id);
	return nr;
}

/* --- threads --- */

static unsigned int served;

void *pool_ask(enum pool_request what, uint64_t id, size_t bytes)
{
	switch (what) {
	case ASK_EXEC:
		return rn_exec_alloc(bytes, 0);
	case ASK_EXEC_ID:
		return rn_exec_acquire(id, bytes);
	case ASK_STORAGE:
		return rn_storage_alloc(bytes, 0);
	case ASK_ENTRY:
		return rn_storage_acquire(id, bytes);
	}
	return NULL;
}

void pool_give(enum pool_request what, uint64_t id, void *p)
{
	if (what == ASK_STORAGE)
		rn_storage_free(p);
	else if (what == ASK_ENTRY)
		entry_release(id);
	else
		rn_exec_free(p);
}

static void *ask(void *arg)
{
	struct pool_asker *a = arg;

	__atomic_store_n(&a->tid, gettid(), __ATOMIC_RELEASE);
	a->got = pool_ask(a->what, a->id, a->bytes);
	a->error = errno;
	a->at = seconds();
	a->order = __atomic_add_fetch(&served, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

void sleep_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* Its state, as the kernel sees it; 0 when it has none. */
static char state_of(int tid)
{
	char path[64], text[256];
	const char *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : 0;
}

void until_asleep(const int *tid)
{
	double end = seconds() + 10;
	unsigned int times = 0;

	while (times < ASLEEP_TIMES && seconds() < end) {
		int now = __atomic_load_n(tid, __ATOMIC_ACQUIRE);

		times = now && state_of(now) == 'S' ? times + 1 : 0;
		sleep_ms(1);
	}
	ck_assert_uint_eq(times, ASLEEP_TIMES);
}

void start_asking(struct pool_asker *a, enum pool_request what, uint64_t id,
		  size_t bytes)
{
	*a = (struct pool_asker){ .what = what, .id = id, .bytes = bytes };
	ck_assert_int_eq(pthread_create(&a->thread, NULL, ask, a), 0);
}

void ask_beside(struct pool_asker *a, enum pool_request what, uint64_t id,
		size_t bytes)
{
	start_asking(a, what, id, bytes);
	until_asleep(&a->tid);
}

void expect_served(struct pool_asker *a)
{
	ck_assert_int_eq(pthread_join(a->thread, NULL), 0);
	ck_assert_msg(a->got, "%zu bytes: %s", a->bytes, strerror(a->error));
}

static unsigned int nr_served(void)
{
	return __atomic_load_n(&served, __ATOMIC_ACQUIRE);
}

void expect_nr_served(unsigned int nr)
{
	double end = seconds() + 10;

	while (nr_served() < nr && seconds() < end)
		sleep_ms(1);
	sleep_ms(30);
	ck_assert_uint_eq(nr_served(), nr);
}
