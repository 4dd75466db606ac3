// SPDX-License-Identifier: MIT
/*
 * What slabbench record is tried on: each word of the command line is done in
 * turn. Sizes tell apart in the trace who has allocated what.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "preload.h"

#define CALLS		1000
#define THREADS		4
#define RING		8

/* CALLS objects of a size, each freed at once. */
static void use(size_t size)
{
	for (int i = 0; i < CALLS; i++)
		free(malloc(size));
}

/* A million calls, of which the recorder keeps a few thousand at a time. */
static void keep_little(void)
{
	long before;

	use(4950);
	before = resident_kb();
	for (int i = 0; i < 500; i++)
		use(4951);
	must(resident_kb() - before < 512);
}

/* One call of each of the family, of sizes that nobody else has. */
static void each_call(void)
{
	void *p, *q;

	free(malloc(70001));
	free(calloc(70002, 1));
	p = realloc(NULL, 70003);
	p = realloc(p, 70004);
	p = reallocarray(p, 70005, 1);
	free(p);
	must(!posix_memalign(&q, 64, 70006));
	free(q);
	free(aligned_alloc(64, 70016));
	free(memalign(128, 70008));
	free(valloc(70009));
	free(pvalloc(70010));
	p = malloc(70011);
	must(malloc_usable_size(p) >= 70011);
	free(p);
	must(!malloc((size_t)-1 / 2));
}

/* --- threads --- */

static _Atomic(void *) ring[THREADS][RING];

/* Takes what the thread before has put there, and has more for the next one. */
static void *pass_on(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	unsigned int before = (me + THREADS - 1) % THREADS;

	for (int i = 0; i < CALLS; i++) {
		void *mine = malloc(4100 + me);

		must(mine);
		free(atomic_exchange(&ring[before][i % RING], NULL));
		free(atomic_exchange(&ring[me][i % RING], mine));
	}
	return NULL;
}

static void run_threads(void *(*main)(void *arg))
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		must(!pthread_create(&thread[i], NULL, main, (void *)i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void pass_between_threads(void)
{
	run_threads(pass_on);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < RING; i++)
			free(ring[t][i]);
}

static pthread_key_t key;

static void free_late(void *p)
{
	free(p);
	free(malloc(4201));
}

static void *leave_to_destructor(void *arg)
{
	pthread_setspecific(key, malloc(4200));
	return arg;
}

static void end_threads(void)
{
	pthread_key_create(&key, free_late);
	run_threads(leave_to_destructor);
}

/* --- processes --- */

static void wait_for(pid_t pid, int code)
{
	int status;

	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	must(WIFEXITED(status) && WEXITSTATUS(status) == code);
}

static void fork_child(void)
{
	void *inherited = malloc(4300);
	pid_t pid;

	use(4301);
	pid = fork();
	if (!pid) {
		free(inherited);
		use(4302);
		_exit(7);
	}
	wait_for(pid, 7);
	use(4303);
	free(inherited);
}

/* Its child takes the ways out, in its parent's memory. */
static void vfork_child(void)
{
	char *argv[] = { (char *)"/nowhere/at/all", NULL };
	pid_t pid = vfork();

	if (!pid) {
		execv(argv[0], argv);
		_exit(9);
	}
	wait_for(pid, 9);
	use(4400);
}

static void exec_itself(char *self)
{
	use(4500);
	execl(self, self, "mark4501", "_exit", (char *)NULL);
	must(!"execl");
}

/* Where the folder of its trace has no name any more. */
static void change_root(void)
{
	pid_t pid;

	use(4510);
	must(!chroot("/proc") && !chdir("/"));
	use(4511);
	pid = fork();
	if (!pid) {
		use(4512);
		_exit(6);
	}
	wait_for(pid, 6);
}

/* Nor may nobody make a file there. */
static void drop_rights(void)
{
	use(4520);
	must(!setgid(65534) && !setuid(65534));
	use(4521);
}

/* Its parent ends within the C library. */
static void become_daemon(void)
{
	use(4530);
	must(!daemon(1, 1));
	use(4531);
}

/* --- signals --- */

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	(void)sig;
	free(malloc(4600));
	handled++;
}

/*
 * Many arrive within malloc(), and would wait for its locks: this is for an
 * allocator that has none.
 */
static void interrupt(void)
{
	struct sigaction act = { .sa_handler = handler };
	struct itimerval each = { { 0, 200 }, { 0, 200 } }, never = { 0 };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &each, NULL);
	while (handled < 200)
		free(malloc(4601));
	setitimer(ITIMER_REAL, &never, NULL);
}

static void leave(int sig)
{
	exit(sig != SIGABRT);
}

/* From a handler, in the middle of free(). */
static void exit_inside(void)
{
	char *volatile p = malloc(100);

	use(4610);
	must(signal(SIGABRT, leave) != SIG_ERR);
	free(p + 8);
}

/* --- descriptors --- */

/* What it opens then must hold nothing but its own. */
static void close_all(void)
{
	static const char text[] = "mine";
	char path[] = "/tmp/recorded-XXXXXX", got[16];
	int fd[64], n;

	use(4700);
	close_range(3, ~0U, 0);
	for (int i = 0; i < 64; i++) {
		fd[i] = mkstemp(path);
		must(fd[i] >= 0 && !unlink(path));
		must(write(fd[i], text, sizeof(text)) == sizeof(text));
		strcpy(path + sizeof(path) - 7, "XXXXXX");
	}
	must(dup2(fd[0], 800) == 800);
	for (int i = 0; i < 20; i++)
		use(4701);
	for (int i = 0; i < 64; i++) {
		n = (int)pread(fd[i], got, sizeof(got), 0);
		must(n == sizeof(text) && !strcmp(got, text));
	}
}

static void *use_forever(void *arg)
{
	for (;;)
		use(4800);
	return arg;
}

static void exit_among_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < THREADS; i++)
		must(!pthread_create(&thread, NULL, use_forever, NULL));
	use(4801);
	exit(0);
}

static void do_word(char *self, const char *word)
{
	if (!strncmp(word, "mark", 4))
		use((size_t)atoi(word + 4));
	else if (!strcmp(word, "each"))
		each_call();
	else if (!strcmp(word, "little"))
		keep_little();
	else if (!strcmp(word, "threads"))
		pass_between_threads();
	else if (!strcmp(word, "destructors"))
		end_threads();
	else if (!strcmp(word, "fork"))
		fork_child();
	else if (!strcmp(word, "vfork"))
		vfork_child();
	else if (!strcmp(word, "exec"))
		exec_itself(self);
	else if (!strcmp(word, "chroot"))
		change_root();
	else if (!strcmp(word, "setuid"))
		drop_rights();
	else if (!strcmp(word, "daemon"))
		become_daemon();
	else if (!strcmp(word, "signals"))
		interrupt();
	else if (!strcmp(word, "exit_inside"))
		exit_inside();
	else if (!strcmp(word, "close"))
		close_all();
	else if (!strcmp(word, "exit"))
		exit_among_threads();
	else if (!strcmp(word, "_exit"))
		_exit(0);
	else if (!strcmp(word, "quick_exit"))
		quick_exit(0);
	else if (!strcmp(word, "pthread_exit"))
		pthread_exit(NULL);
	else if (!strcmp(word, "kill"))
		kill(getpid(), SIGKILL);
	else
		must(!"a word that is known");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		do_word(argv[0], argv[i]);
	return 0;
}
