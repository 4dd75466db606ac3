// SPDX-License-Identifier: MIT
/*
 * where objects|runs|both [again]: allocates, and says on which nodes that is,
 * in a line of "node:count" for each node that has any. With "again" it does so
 * anew for each line on the standard input, after it has let go of everything.
 *
 * What starts it gives it a policy: numactl, or a control group.
 */
#include <numaif.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES	64
#define OBJECTS	4000
#define RUNS	16
#define RUN_ORDER 9

static void *object[OBJECTS];
static void *run[RUNS];
static int count[NODES];

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void count_in(void *p)
{
	int node;

	if (!p)
		fail("no memory");
	memset(p, 1, 64);
	if (move_pages(0, 1, &p, NULL, &node, 0))
		fail("move_pages");
	if (node < 0 || node >= NODES) {
		fprintf(stderr, "%p: %s\n", p, strerror(-node));
		exit(EXIT_FAILURE);
	}
	count[node]++;
}

static void objects(void)
{
	for (int i = 0; i < OBJECTS; i++)
		count_in(object[i] = rn_alloc(64 + i % 1000, 0));
}

static void runs(void)
{
	for (int i = 0; i < RUNS; i++)
		count_in(run[i] = rn_alloc_pages(RUN_ORDER, 0, RN_NO_NODE));
}

static void let_go(void)
{
	for (int i = 0; i < OBJECTS; i++)
		rn_free(object[i]);
	for (int i = 0; i < RUNS; i++)
		rn_free_pages(run[i], RUN_ORDER);
	memset(object, 0, sizeof(object));
	memset(run, 0, sizeof(run));
	memset(count, 0, sizeof(count));
	rn_shrink_all();
}

static void say(void)
{
	const char *space = "";

	for (int n = 0; n < NODES; n++) {
		if (!count[n])
			continue;
		printf("%s%d:%d", space, n, count[n]);
		space = " ";
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "both";
	bool again = argc > 2 && !strcmp(argv[2], "again");
	char line[80];

	do {
		if (strcmp(what, "runs"))
			objects();
		if (strcmp(what, "objects"))
			runs();
		say();
		if (!again)
			return EXIT_SUCCESS;
		let_go();
	} while (fgets(line, sizeof(line), stdin));
	return EXIT_SUCCESS;
}
