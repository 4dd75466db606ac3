// SPDX-License-Identifier: MIT
/*
 * threads churn|stacks|keys|cancel: threads that come and go.
 */
#include "preload.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static void start(pthread_t *t, size_t stack, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;

	must(!pthread_attr_init(&attr));
	must(!pthread_attr_setstacksize(&attr, stack));
	must(!pthread_create(t, &attr, run, arg));
	must(!pthread_attr_destroy(&attr));
}

/* --- churn: memory is bounded, however many there were --- */

static void *use_some(void *arg)
{
	use_memory(300);
	/* The last is somebody else's to free. */
	free(arg);
	return malloc(100);
}

static void churn_round(int n)
{
	enum { AT_ONCE = 8 };
	pthread_t t[AT_ONCE];

	for (int i = 0; i < n; i += AT_ONCE) {
		for (int k = 0; k < AT_ONCE; k++)
			start(&t[k], 64 * 1024, use_some, malloc(2000));
		for (int k = 0; k < AT_ONCE; k++) {
			void *p;

			must(!pthread_join(t[k], &p));
			must(p);
			free(p);
		}
	}
}

static void churn(void)
{
	long before;

	churn_round(200);
	before = resident_kb();
	churn_round(1000);
	must(resident_kb() < before + 8192);
}

/* --- stacks: the least that there can be --- */

static void *with_small_stack(void *arg)
{
	char *p[200], *large;

	use_memory(5000);
	/* Many at once, so that sheaves and slabs run out. */
	for (size_t size = 8; size <= 32768; size *= 2) {
		for (int i = 0; i < 200; i++)
			must(p[i] = malloc(size));
		for (int i = 0; i < 200; i++)
			free(p[i]);
	}
	must(large = calloc(1, 3 << 20));
	must(large = realloc(large, 9 << 20));
	free(large);
	must(!posix_memalign((void **)&large, 1 << 21, 100));
	free(large);
	return arg;
}

static void stacks(void)
{
	pthread_t t[4];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++)
			start(&t[i], 16384, with_small_stack, NULL);
		for (int i = 0; i < 4; i++)
			must(!pthread_join(t[i], NULL));
	}
}

/* --- keys: what a thread frees when it has ended already --- */

static pthread_key_t keys[8];
static unsigned int destroyed;

static void destroy(void *p)
{
	char *again;

	must(*(char *)p == 7);
	free(p);
	use_memory(50);
	/* Others, still to be destroyed in the next round. */
	if (__atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED) % 9 == 0) {
		must(again = malloc(100));
		*again = 7;
		must(!pthread_setspecific(keys[0], again));
	}
}

static void *with_keys(void *arg)
{
	for (int i = 0; i < 8; i++) {
		char *p = malloc(10 << i);

		must(p);
		*p = 7;
		must(!pthread_setspecific(keys[i], p));
	}
	return arg;
}

static void thread_keys(void)
{
	enum { N = 200 };
	pthread_t t;

	for (int i = 0; i < 8; i++)
		must(!pthread_key_create(&keys[i], destroy));
	for (int i = 0; i < N; i++) {
		start(&t, 64 * 1024, with_keys, NULL);
		must(!pthread_join(t, NULL));
	}
	must(destroyed >= N * 8);
}

/* --- cancel --- */

static unsigned long loops;

static void free_it(void *p)
{
	free(p);
}

/* Deferred: the calls of malloc() themselves must be no place to end at. */
static void *until_cancelled(void *arg)
{
	for (;;) {
		void *p = malloc(500);

		pthread_cleanup_push(free_it, p);
		use_memory(50);
		__atomic_fetch_add(&loops, 1, __ATOMIC_RELAXED);
		pthread_testcancel();
		pthread_cleanup_pop(1);
	}
	return arg;
}

/* At any instruction, but for those of malloc(), which is not safe for that. */
static void *until_killed(void *arg)
{
	volatile unsigned int n = 0;

	for (;;) {
		must(!pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL));
		use_memory(50);
		__atomic_fetch_add(&loops, 1, __ATOMIC_RELAXED);
		must(!pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
		for (int i = 0; i < 2000; i++)
			n++;
	}
	return arg;
}

static void cancel_many(void *(*run)(void *))
{
	for (int i = 0; i < 300; i++) {
		struct timespec wait = { .tv_nsec = i * 10000 };
		pthread_t t[2];
		void *end;

		for (int k = 0; k < 2; k++)
			start(&t[k], 64 * 1024, run, NULL);
		nanosleep(&wait, NULL);
		for (int k = 0; k < 2; k++)
			must(!pthread_cancel(t[k]));
		for (int k = 0; k < 2; k++) {
			must(!pthread_join(t[k], &end));
			must(end == PTHREAD_CANCELED);
		}
		use_memory(100);
	}
	must(loops > 300);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	must_be_slabmalloc();
	if (!strcmp(what, "churn"))
		churn();
	else if (!strcmp(what, "stacks"))
		stacks();
	else if (!strcmp(what, "keys"))
		thread_keys();
	else if (!strcmp(what, "cancel")) {
		cancel_many(until_cancelled);
		loops = 0;
		cancel_many(until_killed);
	} else
		return 2;
	return 0;
}
