// SPDX-License-Identifier: MIT
/*
 * hugetlb yes|no: is the heap in hugetlb pages, and do parent and child keep
 * what is in it when both write to what they share?
 */
#include "preload.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECTS	100000
#define SIZE	64
#define FORKS	10

static unsigned char *objects[OBJECTS];

static long hugetlb_kb(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	must(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "HugetlbPages: %ld kB", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

static void write_all(unsigned char c)
{
	for (int i = 0; i < OBJECTS; i++)
		memset(objects[i], c, SIZE);
}

static void all_are(unsigned char c)
{
	for (int i = 0; i < OBJECTS; i++)
		must(objects[i][0] == c && objects[i][SIZE - 1] == c);
}

static void child(unsigned char before)
{
	all_are(before);
	write_all(before + 100);
	use_memory(500);
	all_are(before + 100);
	_exit(0);
}

int main(int argc, char **argv)
{
	int status;

	must(argc == 2);
	for (int i = 0; i < OBJECTS; i++)
		must(objects[i] = malloc(SIZE));
	write_all(0);
	must((hugetlb_kb() > 0) == !strcmp(argv[1], "yes"));
	for (unsigned char i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		must(pid >= 0);
		if (!pid)
			child(i);
		write_all(i + 1);
		must(waitpid(pid, &status, 0) == pid);
		must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		all_are(i + 1);
	}
	return 0;
}
