// SPDX-License-Identifier: MIT
/*
 * The background thread: it does the ticks (mm/vmscan.c), so that no call of
 * the program's has to, and memory goes back while the program does nothing.
 *
 * All is in kswapd_mode, which whoever wants a change compares and exchanges:
 *
 *   OFF -> STARTS -> RUNS -> STOPS -> OFF    rn_background_start(), _stop()
 *   WANTED -> STARTS                         the first slow path with a tick to
 *                                            do, outside of the gate
 *   RUNS -> QUIET -> SLEEPS                  the thread, when nothing moves
 *   QUIET, SLEEPS -> RUNS                    a slow path
 *
 * A slow path reads the mode, and no more in RUNS. The thread says QUIET, and
 * looks on for some ticks: what was freed before somebody could have seen that
 * is given back by these. Only when nobody came until then it sleeps for good;
 * or, where somebody outside may ask for memory, for a second at a time.
 *
 * It is started as late as that for who sets RN_BACKGROUND and uses little:
 * most programs have ended before the first tick. With more than a pageblock in
 * use it is at once: the program may not call again. A child of fork(), which
 * finds WANTED, may be about to exec, and waits for a tick in any case. Nor is
 * it started before the constructor here has run: memory is asked for while the
 * loader sets up the process.
 *
 * The C library ends a process when its last thread ends, and this one would
 * never: so when the main thread leaves by pthread_exit(), which a destructor
 * of thread-specific data tells, the thread ends too, and slow paths go on.
 *
 * It has all signals blocked, and holds nothing while it sleeps.
 */
#define _GNU_SOURCE
#include "debug/fault_inject.h"
#include "fork.h"
#include "kswapd.h"
#include "pressure.h"
#include "shrinker.h"
#include "syscalls.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include <rn/reclaim.h>

/*
 * Ticks in a row in which nothing moved. What is free in a slot needs one to be
 * found idle; in slabs and in pages one to become the mark, so that between one
 * step and the next there may be one.
 */
#define QUIET_TICKS	3

/*
 * Of the stack; a tick takes less than 16 KiB of it, the rest is for shrinkers
 * of the program. Only what is touched is memory.
 */
#define STACK_BYTES	(256UL << 10)

u32 kswapd_mode;

static struct {
	pthread_t thread;	/* where there is one */
	pthread_key_t key;	/* its destructor runs in the main thread */
	bool has_key;
	bool is_watched;	/* the main thread has a value for it */
	u32 main_left;		/* by pthread_exit() */
	bool in_child;		/* of fork(), whose parent had it */
	pid_t pid;
} kswapd;

static bool mode_change(u32 from, u32 to)
{
	return __atomic_compare_exchange_n(&kswapd_mode, &from, to, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void kswapd_wake(void)
{
	int saved = errno;

	if (!mode_change(KSWAPD_QUIET, KSWAPD_RUNS) &&
	    mode_change(KSWAPD_SLEEPS, KSWAPD_RUNS))
		kswapd_wait_wake();
	errno = saved;
}

/* --- the thread --- */

/* After so many ticks in which nothing moved: how many are there still? */
static unsigned int calm_down(unsigned int quiet)
{
	if (quiet < QUIET_TICKS)
		return quiet;
	if (!mode_change(KSWAPD_RUNS, KSWAPD_QUIET))
		mode_change(KSWAPD_QUIET, KSWAPD_SLEEPS);
	return 0;
}

/* What is due; after so many ticks with nothing to do, how many are there? */
static unsigned int work(bool pressed, unsigned int quiet)
{
	bool used = age_sample();

	if (!pressed && !age_is_due())
		return used ? 0 : quiet;
	return calm_down(age_tick() || used ? 0 : quiet + 1);
}

static void *kswapd_main(void *arg)
{
	unsigned int quiet = 0;
	bool pressed;
	u32 mode;

	prctl(PR_SET_NAME, "rn-kswapd");
	kswapd_wait_begin();
	while (kswapd_is_on(READ_ONCE(kswapd_mode))) {
		pressed = kswapd_wait();
		mode = READ_ONCE(kswapd_mode);
		if (pressed || (mode != KSWAPD_SLEEPS && kswapd_is_on(mode)))
			quiet = work(pressed, quiet);
		pressure_run();
	}
	kswapd_wait_end();
	return arg;
}

static int thread_create(size_t stack)
{
	pthread_attr_t attr;
	sigset_t all;
	int error;

	if (fault_inject(FAULT_THREAD, 1))
		return errno;
	sigfillset(&all);
	error = pthread_attr_init(&attr);
	if (error)
		return error;
	if (stack)
		pthread_attr_setstacksize(&attr, stack);
	error = pthread_attr_setsigmask_np(&attr, &all);
	if (!error)
		error = pthread_create(&kswapd.thread, &attr, kswapd_main,
				       NULL);
	pthread_attr_destroy(&attr);
	return error;
}

/* It ends, and nobody waits for that: its memory is not needed any more. */
static void leave(void)
{
	u32 mode;

	do {
		mode = READ_ONCE(kswapd_mode);
		if (mode == KSWAPD_STARTS || !kswapd_is_on(mode))
			return;
	} while (!mode_change(mode, KSWAPD_OFF));
	kswapd_wait_wake();
}

/* In mode KSWAPD_STARTS. 0 or -errno. */
static int kswapd_start(void)
{
	int error = thread_create(STACK_BYTES);

	/* The C library puts thread-local variables on it, too. */
	if (error == EINVAL)
		error = thread_create(0);
	mode_change(KSWAPD_STARTS, error ? KSWAPD_OFF : KSWAPD_RUNS);
	/* Pairs with main_leaves(): one of the two sees the other. */
	if (__atomic_load_n(&kswapd.main_left, __ATOMIC_SEQ_CST))
		leave();
	return -error;
}

static bool may_start(void)
{
	return kswapd.is_watched &&
		!__atomic_load_n(&kswapd.main_left, __ATOMIC_SEQ_CST);
}

/* Rather now than at the first tick: there may be no other slow path. */
bool kswapd_is_urgent(void)
{
	return may_start() && !kswapd.in_child &&
		(options.kfence || pages_peak() >= PAGEBLOCK_BYTES);
}

/* A child of vfork() has its parent's memory: the thread would end with it. */
void kswapd_start_wanted(void)
{
	int ret;

	if (syscall(SYS_getpid) != kswapd.pid || !may_start() ||
	    !mode_change(KSWAPD_WANTED, KSWAPD_STARTS))
		return;
	ret = kswapd_start();
	if (ret)
		report("no background thread: %s; going on without one",
		       error_text(-ret));
}

/* --- the main thread --- */

static void main_leaves(void *value)
{
	(void)value;
	__atomic_store_n(&kswapd.main_left, 1, __ATOMIC_SEQ_CST);
	leave();
}

/* Called by the main thread: of a program, or of a child of fork(). */
static void watch_main(void)
{
	pid_t pid = syscall(SYS_getpid);

	kswapd.pid = pid;
	kswapd.main_left = 0;
	if (!kswapd.has_key)
		kswapd.has_key = !pthread_key_create(&kswapd.key, main_leaves);
	kswapd.is_watched = kswapd.has_key && syscall(SYS_gettid) == pid &&
			    !pthread_setspecific(kswapd.key, &kswapd);
}

static __attribute__((constructor)) void kswapd_constructor(void)
{
	watch_main();
}

void kswapd_init(void)
{
	if (options.background)
		kswapd_mode = KSWAPD_WANTED;
}

/* The thread is not in the child. Who was about to end it is not, either. */
void kswapd_after_fork(void)
{
	if (kswapd_is_on(kswapd_mode))
		kswapd_mode = KSWAPD_WANTED;
	else if (kswapd_mode == KSWAPD_STOPS)
		kswapd_mode = KSWAPD_OFF;
	kswapd.in_child = kswapd_mode != KSWAPD_OFF;
	kswapd_wait_after_fork();
	watch_main();
}

void vmstat_kswapd(struct seq *s)
{
	seq_printf(s, "background_thread %d\n",
		   kswapd_is_on(READ_ONCE(kswapd_mode)));
}

/* --- the public functions --- */

/**
 * rn_background_start() - give memory back in the background
 *
 * Starts a thread, "rn-kswapd", that does what slow paths do otherwise: what is
 * not needed goes back over RN_DECAY_MS, also while the program does nothing.
 * When all has gone back it sleeps until memory is asked for or freed by more
 * than a fast path. A child of fork() starts its own when it needs one. When
 * the main thread leaves by pthread_exit(), this one ends.
 *
 * Context: any thread, no lock of the library held; not in a constructor of a
 * cache, a shrinker or a signal handler. Allocates by the C library.
 * Return: 0; -EALREADY if it is there, or another thread starts or stops it;
 * -EDEADLK in a constructor or a shrinker; -ENOTSUP if the main thread has
 * left, or has not loaded this library; -ENOMEM where the library cannot start;
 * else as pthread_create().
 */
RN_API int rn_background_start(void)
{
	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	if (thread_self.depth || is_shrinking())
		return -EDEADLK;
	if (!may_start())
		return -ENOTSUP;
	if (!mode_change(KSWAPD_OFF, KSWAPD_STARTS) &&
	    !mode_change(KSWAPD_WANTED, KSWAPD_STARTS))
		return -EALREADY;
	return kswapd_start();
}

static void join(void)
{
	int state;

	kswapd_wait_wake();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_join(kswapd.thread, NULL);
	pthread_setcancelstate(state, NULL);
	mode_change(KSWAPD_STOPS, KSWAPD_OFF);
}

/**
 * rn_background_stop() - end the background thread
 *
 * Waits until it has ended; slow paths do its work from then on. It may be
 * started again.
 *
 * Context: as rn_background_start().
 * Return: 0, also if there is none; -EDEADLK in a constructor or a shrinker.
 */
RN_API int rn_background_stop(void)
{
	u32 mode;

	if (thread_self.depth || is_shrinking())
		return -EDEADLK;
	while ((mode = READ_ONCE(kswapd_mode)) != KSWAPD_OFF) {
		if (mode == KSWAPD_WANTED)
			mode_change(mode, KSWAPD_OFF);
		else if (mode == KSWAPD_STARTS || mode == KSWAPD_STOPS)
			nofail_pause(0);
		else if (mode_change(mode, KSWAPD_STOPS))
			join();
	}
	return 0;
}
