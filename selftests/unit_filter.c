// SPDX-License-Identifier: MIT
/*
 * Sandboxes: a filter for system calls that forbids membarrier(2) while the
 * program runs, and one that forbids it or rseq(2) from the start.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS	200

/* From here on @call fails with @error. False where there are no filters. */
static bool forbid(unsigned int call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (u32)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
		!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* --- while the program runs --- */

static struct rn_cache *c;
static bool stop;

static void use(void)
{
	u64 *p[OBJECTS];

	for (u64 i = 0; i < OBJECTS; i++) {
		p[i] = rn_cache_alloc(c, 0);
		*p[i] = i;
	}
	for (u64 i = 0; i < OBJECTS; i++) {
		ck_assert_uint_eq(*p[i], i);
		rn_cache_free(c, p[i]);
	}
}

static void *use_on(void *arg)
{
	while (!READ_ONCE(stop))
		use();
	return arg;
}

static void on_take(void *arg, unsigned int at, struct sheaf *s[2],
		    struct page *active)
{
	++*(int *)arg;
}

static void count_sheaves(void *arg, const struct slot *slot)
{
	*(int *)arg += slot->sheaf[0] || slot->sheaf[1];
	ck_assert_ptr_ne(slot->main, &closed_sheaf);
}

static int slots_with_sheaves(unsigned int row)
{
	int slots = 0;

	percpu_for_each(row, count_sheaves, &slots);
	return slots;
}

static void make_cache(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	c = rn_cache_create("filter", &args);
	ck_assert_ptr_nonnull(c);
}

START_TEST(drain_without_fence)
{
	unsigned int row;
	int taken = 0;

	make_cache();
	row = row_on(c, numa_local_node());
	use();
	if (!percpu_has_rseq() || !forbid(SYS_membarrier, EPERM)) {
		skip_part("drain_without_fence", "no rseq, or no seccomp");
		return;
	}
	ck_assert_int_ge(slots_with_sheaves(row), 1);
	ck_assert(!percpu_drain(row, on_take, &taken));
	ck_assert_int_eq(taken, 0);
	ck_assert_int_ge(slots_with_sheaves(row), 1);
	ck_assert_int_ge(vmstat("slot_drains_refused"), 1);
	use();
	/* Its slots would be the next cache's. */
	ck_assert_int_eq(rn_cache_destroy(c), -EBUSY);
	use();
}
END_TEST

START_TEST(shrink_beside_threads)
{
	pthread_t t[4];

	make_cache();
	use();
	if (!percpu_has_rseq() || !forbid(SYS_membarrier, EPERM)) {
		skip_part("shrink_beside_threads", "no rseq, or no seccomp");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, use_on, NULL), 0);
	for (int i = 0; i < 2000 / LESS; i++)
		rn_cache_shrink(c);
	WRITE_ONCE(stop, true);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(slabinfo_active(), 0);
}
END_TEST

/* --- from the start --- */

static const struct {
	const char *name;
	unsigned int call;
	int error;
} filters[] = {
	{ "membarrier", SYS_membarrier, EPERM },
	{ "rseq", SYS_rseq, ENOSYS },
};

/* The program by itself, filtered: it must find out, and work. */
static int run_filtered(void)
{
	void *p = rn_alloc(100, 0);

	rn_free(p);
	rn_shrink_all();
	return p && !percpu_has_rseq() ? 0 : 1;
}

START_TEST(forbidden_from_the_start)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (!forbid(filters[_i].call, filters[_i].error))
			_exit(77);
		execl("/proc/self/exe", "unit_filter", "filtered", NULL);
		_exit(2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_part(filters[_i].name, "no seccomp");
	else
		ck_assert_msg(!status, "%s forbidden: status %#x",
			      filters[_i].name, status);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s;
	TCase *tc;

	if (argc > 1)
		return run_filtered();
	s = suite_create("filter");
	tc = tcase_create("filter");
	if (emulator()) {
		puts("the emulator has no filters");
		return 77;
	}
	tcase_add_test(tc, drain_without_fence);
	tcase_add_test(tc, shrink_beside_threads);
	tcase_add_loop_test(tc, forbidden_from_the_start, 0,
			    ARRAY_LEN(filters));
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
