// SPDX-License-Identifier: MIT
/*
 * signals longjmp|fast|slow SECONDS: a timer interrupts, at a high rate. Either
 * the handler leaves by longjmp, always out of code between allocations; or it
 * allocates, whatever it interrupted: fast paths only, or slow ones too.
 */
#define _GNU_SOURCE
#include "preload.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static sigjmp_buf out;
static volatile sig_atomic_t may_jump;
static volatile unsigned long jumps, handled;

static void every(long us)
{
	struct itimerval t = {
		.it_interval = { .tv_usec = us }, .it_value = { .tv_usec = us },
	};

	must(!setitimer(ITIMER_REAL, &t, NULL));
}

static void handle(void (*handler)(int))
{
	struct sigaction a = { .sa_handler = handler, .sa_flags = SA_RESTART };

	must(!sigaction(SIGALRM, &a, NULL));
}

static void jump(int sig)
{
	if (!may_jump)
		return;
	may_jump = 0;
	jumps++;
	siglongjmp(out, sig);
}

/* Until so many jumps have been made; each leaves this loop in its middle. */
static void run_longjmp(unsigned long n)
{
	volatile unsigned int spin = 0;

	handle(jump);
	every(50);
	while (jumps < n) {
		if (sigsetjmp(out, 1))
			continue;
		use_memory(64);
		may_jump = 1;
		for (int i = 0; i < 20000; i++)
			spin++;
		may_jump = 0;
	}
	every(0);
	use_memory(10000);
}

static void allocate(int sig)
{
	char *p = malloc(100);

	(void)sig;
	handled++;
	if (p)
		*p = 1;
	free(p);
}

/* More than its share of objects, so that its slow paths are taken too. */
static void allocate_more(int sig)
{
	static unsigned int n;
	void *p = malloc(n % 64 == 63 ? 100000 : (size_t)sig * 8 + n % 512);

	n++;
	handled++;
	free(p);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * The slots of a CPU that the program is not on may be emptied meanwhile: on
 * that one its next call would be slow.
 */
static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	must(!sched_setaffinity(0, sizeof(one), &one));
}

/* What is freed is what the next call takes: none of them is slow. */
static void few_objects(void)
{
	for (int i = 0; i < 20000; i++) {
		char *p = malloc(100), *q = malloc(100);

		must(p && q && p != q);
		*p = *q = 1;
		free(p);
		free(q);
	}
}

static void many_objects(void)
{
	use_memory(20000);
}

static void run_for(double seconds, void (*handler)(int), void (*run)(void))
{
	double end;

	run();
	end = now() + seconds;
	handle(handler);
	every(100);
	while (now() < end)
		run();
	every(0);
	must(handled > 100);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double seconds = argc > 2 ? atof(argv[2]) : 0;

	must_be_slabmalloc();
	if (!strcmp(what, "longjmp")) {
		run_longjmp(10000);
	} else if (!strcmp(what, "fast")) {
		stay_on_one_cpu();
		run_for(seconds, allocate, few_objects);
	} else if (!strcmp(what, "slow")) {
		run_for(seconds, allocate_more, many_objects);
	} else {
		return 2;
	}
	printf("%lu jumps, %lu handled\n", jumps, handled);
	return 0;
}
