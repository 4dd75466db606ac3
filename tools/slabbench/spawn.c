// SPDX-License-Identifier: MIT
/*
 * A fresh process for each run, and a look at its memory from outside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "slabbench.h"

/* Often enough for a seq of a second, seldom enough not to be noticed. */
#define SAMPLE_MS	50

static void start_worker(int in, int out, const char *preload)
{
	char name[] = "slabbench", command[] = "row-worker";
	char in_text[16], out_text[16];
	char *argv[] = { name, command, in_text, out_text, NULL };

	snprintf(in_text, sizeof(in_text), "%d", in);
	snprintf(out_text, sizeof(out_text), "%d", out);
	if (preload && *preload)
		setenv("LD_PRELOAD", preload, 1);
	else if (preload)
		unsetenv("LD_PRELOAD");
	/* Not by name: a rebuild half-way must not change what is measured. */
	execv("/proc/self/exe", argv);
	fprintf(stderr, "slabbench: cannot start itself: %s\n",
		strerror(errno));
	_exit(EXIT_FAILED);
}

static void sample(pid_t pid, struct result *most)
{
	struct memory m;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!read_memory(path, &m) && m.hugetlb_kb > most->peak_hugetlb_kb)
		most->peak_hugetlb_kb = m.hugetlb_kb;
}

/* 0, or -1 if the worker went away without a result. */
static int await_result(pid_t pid, int fd, struct result *res)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct result seen = { .ops = 0 };
	int n;

	while ((n = poll(&pfd, 1, SAMPLE_MS)) == 0 ||
	       (n < 0 && errno == EINTR))
		sample(pid, &seen);
	if (n < 0 || read(fd, res, sizeof(*res)) != sizeof(*res))
		return -1;
	if (seen.peak_hugetlb_kb > res->peak_hugetlb_kb)
		res->peak_hugetlb_kb = seen.peak_hugetlb_kb;
	return 0;
}

/* 0, or -1 with the reason on stderr; the worker has said why it failed. */
static int reap(pid_t pid, bool have_result)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "slabbench: the measured process was killed by signal %d (%s)\n",
			WTERMSIG(status), strsignal(WTERMSIG(status)));
		return -1;
	}
	if (WEXITSTATUS(status)) {
		fprintf(stderr, "slabbench: the measured process ended with exit code %d\n",
			WEXITSTATUS(status));
		return -1;
	}
	return have_result ? 0 : -1;
}

/* The loader only warns where it cannot preload, and goes on with glibc. */
static int check_preload(const char *preload, const struct result *res)
{
	struct stat want, got;

	if (!preload || !*preload)
		return 0;
	if (!stat(preload, &want) && !stat(res->malloc_from, &got) &&
	    want.st_dev == got.st_dev && want.st_ino == got.st_ino)
		return 0;
	fprintf(stderr, "slabbench: %s was preloaded but malloc came from %s\n",
		preload, *res->malloc_from ? res->malloc_from : "elsewhere");
	return -1;
}

static void close_pair(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

static pid_t fork_worker(const struct row *row, const char *preload, int *out)
{
	int to[2], from[2];
	pid_t pid;

	if (pipe(to))
		return -1;
	if (pipe(from)) {
		close_pair(to);
		return -1;
	}
	pid = fork();
	if (!pid) {
		close(to[1]);
		close(from[0]);
		start_worker(to[0], from[1], preload);
	}
	/* Less than PIPE_BUF: never waits, never comes in two. */
	if (pid > 0 && write(to[1], row, sizeof(*row)) != sizeof(*row))
		fprintf(stderr, "slabbench: cannot hand over a row: %s\n",
			strerror(errno));
	close_pair(to);
	close(from[1]);
	*out = from[0];
	if (pid < 0)
		close(from[0]);
	return pid;
}

static void touch(size_t bytes, int flags)
{
	void *p;

	if (!bytes)
		return;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	if (p == MAP_FAILED)
		return;
	if (!flags)
		madvise(p, bytes, MADV_HUGEPAGE);
	/* Where it fails there is less memory to warm, and no harm done. */
	if (madvise(p, bytes, MADV_POPULATE_WRITE) && !flags)
		for (size_t i = 0; i < bytes; i += 4096)
			((volatile char *)p)[i] = 1;
	munmap(p, bytes);
}

/*
 * In a virtual machine the first touch of a page after the machine started
 * waits for the host, thirty times as long as a later one. So that no
 * allocator pays for being first, a process of its own touches what a cold
 * workload will use, small pages and free hugetlb pages both, and ends.
 */
static void prepare_memory(const struct row *row)
{
	size_t free_bytes = meminfo_kb("MemAvailable") * 1024 / 10 * 9;
	size_t huge = meminfo_kb("HugePages_Free") *
		meminfo_kb("Hugepagesize") * 1024;
	size_t bytes = row->bytes + row->bytes / 4;
	pid_t pid;

	if (!workload_get(row->workload)->cold)
		return;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		touch(bytes < free_bytes ? bytes : free_bytes, 0);
		touch(bytes < huge ? bytes : huge, MAP_HUGETLB);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Said beforehand, as the OOM killer would choose among everybody. */
static int check_memory(const struct row *row)
{
	uint64_t have_kb = meminfo_kb("MemAvailable") +
		meminfo_kb("HugePages_Free") * meminfo_kb("Hugepagesize");
	uint64_t need_kb = row_bytes(row) / 1024;

	if (!have_kb || need_kb < have_kb)
		return 0;
	fprintf(stderr, "slabbench: %s needs %llu MiB here, and there are %llu MiB\n",
		workload_get(row->workload)->name,
		(unsigned long long)need_kb / 1024,
		(unsigned long long)have_kb / 1024);
	return -1;
}

/**
 * spawn_row() - measure a row once, in a fresh process
 * @row: what to run
 * @preload: a library that replaces malloc there, "" for none, or NULL to leave
 *	LD_PRELOAD as it is
 * @res: filled in on success
 *
 * Return: 0, or -1 after a message on stderr.
 */
int spawn_row(const struct row *row, const char *preload, struct result *res)
{
	bool have;
	pid_t pid;
	int fd;

	if (check_memory(row))
		return -1;
	prepare_memory(row);
	fflush(NULL);
	pid = fork_worker(row, preload, &fd);
	if (pid < 0) {
		fprintf(stderr, "slabbench: cannot start a process: %s\n",
			strerror(errno));
		return -1;
	}
	have = !await_result(pid, fd, res);
	close(fd);
	if (reap(pid, have))
		return -1;
	return check_preload(preload, res);
}
