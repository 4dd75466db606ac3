// SPDX-License-Identifier: MIT
/*
 * What slabinfo -p looks at: does what the words on its standard input say, one
 * after another, and says "done" after each; "end" or the end of them ends it.
 */
#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/shrinker.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct known {
	long word[100];
};

#define MOST	5000

static pthread_mutex_t holding = PTHREAD_MUTEX_INITIALIZER;
static struct known *held[MOST];
static unsigned int nr;

/* So many are held: more are allocated, or some of them freed. */
static void hold(unsigned int want)
{
	struct rn_cache *c = RN_CACHE(struct known);

	pthread_mutex_lock(&holding);
	while (nr < want && nr < MOST) {
		held[nr] = rn_cache_alloc(c, RN_KERNEL);
		if (!held[nr++])
			exit(1);
	}
	while (nr > want)
		rn_cache_free(c, held[--nr]);
	pthread_mutex_unlock(&holding);
}

static unsigned long count_held(struct rn_shrinker *s,
				struct rn_shrink_control *sc)
{
	(void)s;
	(void)sc;
	return __atomic_load_n(&nr, __ATOMIC_RELAXED);
}

static unsigned long give_held(struct rn_shrinker *s,
			       struct rn_shrink_control *sc)
{
	unsigned long given = 0;

	(void)s;
	if (pthread_mutex_trylock(&holding))
		return RN_SHRINK_STOP;
	while (nr && given < sc->nr_to_scan) {
		rn_cache_free(RN_CACHE(struct known), held[--nr]);
		given++;
	}
	pthread_mutex_unlock(&holding);
	return given;
}

/* What is held goes when it is asked for. */
static void give(void)
{
	static struct rn_shrinker shrinker = {
		.sz = sizeof(shrinker), .name = "held",
		.count = count_held, .scan = give_held,
		.seeks = RN_DEFAULT_SEEKS,
	};

	if (rn_shrinker_register(&shrinker))
		exit(1);
}

/* Slow paths for ever, that may or may not wait for memory. */
static void busy(rn_gfp_t flags)
{
	puts("done");
	for (;;) {
		rn_free_pages(rn_alloc_pages(0, flags, RN_NO_NODE), 0);
		usleep(1000);
	}
}

/* Of what is held one in forty stays, and what is free goes to the system. */
static void thin(void)
{
	struct rn_cache *c = RN_CACHE(struct known);
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nr; i++) {
		if (i % 40)
			rn_cache_free(c, held[i]);
		else
			held[kept++] = held[i];
	}
	nr = kept;
	rn_trim(0);
}

/* Runs of pages, which no cache has. */
static void pages(void)
{
	static void *run[10];

	for (unsigned int i = 0; i < 10; i++) {
		rn_free(run[i]);
		run[i] = rn_alloc((i + 1) << 20, RN_KERNEL);
		if (!run[i])
			exit(1);
	}
}

static void say_pid(void)
{
	printf("pid %d\n", (int)getpid());
}

/* The child goes on with the words, and the parent waits. */
static void do_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		exit(1);
	if (pid) {
		waitpid(pid, NULL, 0);
		_exit(0);
	}
}

/* More and more objects, then none, again and again. */
static void churn(void)
{
	for (unsigned int i = 0;; i = (i + 1) % 5000) {
		hold(i);
		rn_free(rn_alloc(i, RN_KERNEL));
	}
}

static void act(const char *word)
{
	if (!strcmp(word, "fork"))
		do_fork();
	else if (!strcmp(word, "thin"))
		thin();
	else if (!strcmp(word, "pid"))
		say_pid();
	else if (!strcmp(word, "publish"))
		printf("publish %d\n", rn_stats_publish());
	else if (!strcmp(word, "slabinfo"))
		rn_slabinfo(STDOUT_FILENO);
	else if (!strcmp(word, "vmstat"))
		rn_vmstat(STDOUT_FILENO);
	else if (!strcmp(word, "pages"))
		pages();
	else if (!strcmp(word, "churn"))
		churn();
	else if (!strcmp(word, "give"))
		give();
	else if (!strcmp(word, "busy"))
		busy(RN_KERNEL);
	else if (!strcmp(word, "nowait"))
		busy(RN_NOWAIT);
	else if (!strcmp(word, "background"))
		printf("background %d\n", rn_background_start());
	else if (!strcmp(word, "end"))
		exit(0);
	else if (!strcmp(word, "exec"))
		execlp("cat", "cat", (char *)NULL);
	else
		hold((unsigned int)strtoul(word, NULL, 10));
}

int main(void)
{
	char word[32];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (scanf("%31s", word) == 1) {
		act(word);
		puts("done");
	}
	return 0;
}
