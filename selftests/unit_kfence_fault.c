// SPDX-License-Identifier: MIT
/*
 * Misuse of objects between guard pages where the program goes on, and what
 * happens to the faults of others. Where it ends is in test_crash.c.
 */
#define _GNU_SOURCE
#include "guarded.h"
#include "must.h"

#include <rn/kfence.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* --- the program goes on --- */

/* The compiler knows that nobody may, and would leave it out. */
static noinline void spoil(void *p, long at)
{
	((volatile char *)p)[at] = 1;
}

static noinline char peek(const void *p, long at)
{
	return ((const volatile char *)p)[at];
}

/* At the left end of its page. */
static char *guarded_left(void)
{
	for (;;) {
		char *p = guarded(64);

		if ((uintptr_t)p % page_bytes() == 0)
			return p;
		rn_free(p);
	}
}

START_TEST(goes_on_out_of_bounds)
{
	char *p;

	start("continue");
	p = guarded_left();
	stderr_catch();
	peek(p, -1);
	spoil(p, -100);
	peek(p, (long)page_bytes());
	ck_assert_int_eq(said("BUG: KFENCE: out-of-bounds "), 2);
	ck_assert_int_eq(vmstat("kfence_bugs"), 2);
	ck_assert(!is_protected(p - 1));
	rn_free(p);
	ck_assert(is_protected(p - 1));
	ck_assert(is_protected(p));
	ck_assert(is_protected(p + page_bytes()));
	ck_assert_int_eq(vmstat("kfence_bugs"), 2);
}
END_TEST

/* It is reported once, and out of use then. */
START_TEST(goes_on_after_free)
{
	char *p;

	start("continue");
	p = guarded(64);
	rn_free(p);
	stderr_catch();
	peek(p, 0);
	spoil(p, 1);
	ck_assert_int_eq(said("BUG: KFENCE: use-after-free read"), 1);
	for (int i = 0; i < 3 * OBJECTS; i++) {
		char *q = guarded(64);

		ck_assert_uint_ne((uintptr_t)q / page_bytes(),
				  (uintptr_t)p / page_bytes());
		rn_free(q);
	}
	ck_assert_int_eq(vmstat("kfence_bugs"), 1);
}
END_TEST

START_TEST(goes_on_after_invalid_free)
{
	char *p;

	start("continue");
	p = guarded(64);
	stderr_catch();
	errno = 77;
	rn_free(p + 8);
	ck_assert_int_eq(errno, 77);
	ck_assert_int_eq(rn_check_object(p, 64), 0);
	rn_free(p);
	rn_free(p);
	ck_assert_int_eq(said("BUG: KFENCE: invalid free"), 2);
	ck_assert_int_eq(vmstat("kfence_frees"), 1);
}
END_TEST

START_TEST(goes_on_corrupted)
{
	char *p, *page;

	start("continue");
	for (long at = 0; at < (long)page_bytes(); at += 97) {
		p = guarded(60);
		page = p - (uintptr_t)p % page_bytes();
		if (page + at >= p && page + at < p + 60) {
			rn_free(p);
			continue;
		}
		stderr_catch();
		spoil(page, at);
		rn_free(p);
		ck_assert_int_eq(said("BUG: KFENCE: memory corruption"), 1);
		ck_assert(is_protected(p));
	}
}
END_TEST

/* --- faults of others --- */

static sigjmp_buf again;
static int handled, handled_signal;
static void *handled_at;

static void classic(int sig)
{
	handled++;
	handled_signal = sig;
	siglongjmp(again, 1);
}

static void modern(int sig, siginfo_t *info, void *context)
{
	must(context != NULL);
	handled_at = info->si_addr;
	classic(sig);
}

static void install(int flags)
{
	struct sigaction a = { .sa_handler = classic, .sa_flags = flags };

	if (flags & SA_SIGINFO)
		a.sa_sigaction = modern;
	sigaddset(&a.sa_mask, SIGUSR1);
	ck_assert_int_eq(sigaction(SIGSEGV, &a, NULL), 0);
}

/* A page that nobody may touch. */
static char *nowhere(void)
{
	char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

/* At @p, or by somebody who sends the signal. */
static void fault(const char *p)
{
	if (sigsetjmp(again, 1))
		return;
	if (p)
		peek(p, 0);
	else
		raise(SIGSEGV);
}

static const int flags_before[] = {
	0, SA_SIGINFO, SA_NODEFER, SA_SIGINFO | SA_ONSTACK, SA_RESTART,
};

START_TEST(chained)
{
	char *p = nowhere();
	struct sigaction now;
	int flags = flags_before[_i];

	install(flags);
	start("abort");
	ck_assert_int_eq(sigaction(SIGSEGV, NULL, &now), 0);
	ck_assert_int_eq(now.sa_flags & (SA_NODEFER | SA_ONSTACK | SA_RESTART),
			 flags & (SA_NODEFER | SA_ONSTACK | SA_RESTART));
	ck_assert_int_eq(sigismember(&now.sa_mask, SIGUSR1), 1);
	for (int i = 1; i <= 3; i++) {
		fault(p);
		ck_assert_int_eq(handled, i);
		ck_assert_int_eq(handled_signal, SIGSEGV);
		ck_assert(!(flags & SA_SIGINFO) || handled_at == p);
	}
	fault(NULL);
	ck_assert_int_eq(handled, 4);
}
END_TEST

/* In a child: the signal that it ends by, or 0. */
static int end_of(void (*run)(void))
{
	struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		run();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void fault_nowhere(void)
{
	peek(nowhere(), 0);
}

static void send(void)
{
	raise(SIGSEGV);
}

/* The second fault finds the default. */
static void fault_twice(void)
{
	fault(nowhere());
	must(handled == 1);
	fault(nowhere());
}

START_TEST(once)
{
	if (SANITIZED)
		return;
	install(SA_RESETHAND);
	start("abort");
	ck_assert_int_eq(end_of(fault_twice), SIGSEGV);
}
END_TEST

START_TEST(by_default)
{
	if (SANITIZED)
		return;
	start("abort");
	ck_assert_int_eq(end_of(fault_nowhere), SIGSEGV);
	ck_assert_int_eq(end_of(send), SIGSEGV);
}
END_TEST

/* What is sent is, and a fault cannot be. */
START_TEST(ignored)
{
	struct sigaction a = { .sa_handler = SIG_IGN };

	if (SANITIZED)
		return;
	ck_assert_int_eq(sigaction(SIGSEGV, &a, NULL), 0);
	start("abort");
	ck_assert_int_eq(end_of(send), 0);
	ck_assert_int_eq(end_of(fault_nowhere), SIGSEGV);
}
END_TEST

static void ask_first(int sig, siginfo_t *info, void *context)
{
	if (!rn_kfence_handle(info, context))
		modern(sig, info, context);
}

/* A handler that came later, as a program is told to write it. */
START_TEST(asks_first)
{
	struct sigaction a = { .sa_sigaction = ask_first,
			       .sa_flags = SA_SIGINFO };
	char *p;

	start("continue");
	ck_assert_int_eq(sigaction(SIGSEGV, &a, NULL), 0);
	p = guarded(64);
	rn_free(p);
	stderr_catch();
	peek(p, 3);
	ck_assert_int_eq(said("BUG: KFENCE: use-after-free read"), 1);
	ck_assert_int_eq(handled, 0);
	fault(nowhere());
	ck_assert_int_eq(handled, 1);
	fault(NULL);
	ck_assert_int_eq(handled, 2);
}
END_TEST

/* --- fork() --- */

static char *shared;

/* The pool is a copy of the child's own. */
static void use_pool(void)
{
	must(pattern_ok(shared, 1000, 1));
	memset(shared, 0, 1000);
	rn_free(shared);
	for (int i = 0; i < 3 * OBJECTS; i++) {
		char *p = try_guarded(1000, 0);

		must(kfence_has(p));
		pattern_set(p, 1000, 2);
		rn_free(p);
	}
	must(is_protected(shared));
	must(vmstat("kfence_current") == 0);
}

static void misuse(void)
{
	rn_free(shared);
	peek(shared, 0);
}

START_TEST(in_a_child)
{
	start("abort");
	shared = guarded(1000);
	pattern_set(shared, 1000, 1);
	ck_assert_int_eq(end_of(use_pool), 0);
	stderr_catch();
	ck_assert_int_eq(end_of(misuse), SIGABRT);
	ck_assert_int_eq(said("BUG: KFENCE: use-after-free read"), 1);
	ck_assert(pattern_ok(shared, 1000, 1));
	ck_assert_int_eq(vmstat("kfence_current"), 1);
	rn_free(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kfence_fault");
	TCase *tc = tcase_create("kfence_fault");

	tcase_add_test(tc, goes_on_out_of_bounds);
	tcase_add_test(tc, goes_on_after_free);
	tcase_add_test(tc, goes_on_after_invalid_free);
	tcase_add_test(tc, goes_on_corrupted);
	tcase_add_loop_test(tc, chained, 0, ARRAY_LEN(flags_before));
	tcase_add_test(tc, once);
	tcase_add_test(tc, by_default);
	tcase_add_test(tc, ignored);
	tcase_add_test(tc, asks_first);
	tcase_add_test(tc, in_a_child);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
