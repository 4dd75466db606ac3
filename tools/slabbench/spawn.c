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
#include "trace.h"

/* Often enough for a seq of a second, seldom enough not to be noticed. */
#define SAMPLE_MS	50
#define TRACE_MS	2	/* a ring holds some thousand calls */
#define MAX_TOOL	16	/* words of a program that watches */

/* The worker as its starter knows it. */
struct measured {
	pid_t pid;
	int out;		/* gives the result */
	uint64_t *live;		/* its counters of live bytes */
	bool watches;		/* a process of its own is looked at */
	struct series *series;
	struct tracepoint *trace;
	uint64_t hugetlb_kb;	/* the most seen */
	uint64_t start_ns;
};

/* Of a list the user's own entries stay; what comes last in it wins. */
static char list_separator(const char *name)
{
	if (!strcmp(name, "GLIBC_TUNABLES"))
		return ':';
	return strcmp(name, "MALLOC_CONF") ? '\0' : ',';
}

static void add_setting(const char *setting)
{
	const char *value = strchr(setting, '=') + 1, *old;
	char *name = strndup(setting, value - 1 - setting), *both;

	old = name ? getenv(name) : NULL;
	if (!name)
		goto failed;
	if (old && *old && list_separator(name)) {
		if (asprintf(&both, "%s%c%s", old, list_separator(name),
			     value) < 0)
			goto failed;
		value = both;
	}
	if (!setenv(name, value, 1))
		return;
failed:
	fprintf(stderr, "slabbench: cannot set %s: %s\n", setting,
		strerror(errno));
	_exit(EXIT_FAILED);
}

static void set_environment(const struct peer *peer)
{
	if (*peer->preload)
		setenv("LD_PRELOAD", peer->preload, 1);
	else
		unsetenv("LD_PRELOAD");
	if (*peer->env)
		add_setting(peer->env);
}

/* The same, watched by another program: @tool ends with NULL. */
static void start_watched(const char *const *tool, char *const *worker)
{
	char *argv[MAX_TOOL + 8], self[64];
	size_t n = 0;

	while (n < MAX_TOOL && tool[n]) {
		argv[n] = (char *)tool[n];
		n++;
	}
	snprintf(self, sizeof(self), "/proc/%d/exe", (int)getppid());
	argv[n++] = self;
	for (size_t i = 1; worker[i]; i++)
		argv[n++] = worker[i];
	argv[n] = NULL;
	execvp(argv[0], argv);
	fprintf(stderr, "slabbench: cannot start %s: %s\n", argv[0],
		strerror(errno));
	_exit(EXIT_FAILED);
}

static void start_worker(int in, int out, int live, const struct peer *peer,
			 const char *const *tool)
{
	char name[] = "slabbench", command[] = "row-worker";
	char in_text[16], out_text[16], live_text[16];
	char *argv[] = { name, command, in_text, out_text, live_text, NULL };

	snprintf(in_text, sizeof(in_text), "%d", in);
	snprintf(out_text, sizeof(out_text), "%d", out);
	snprintf(live_text, sizeof(live_text), "%d", live);
	if (peer)
		set_environment(peer);
	if (tool)
		start_watched(tool, argv);
	/* Not by name: a rebuild half-way must not change what is measured. */
	execv("/proc/self/exe", argv);
	fprintf(stderr, "slabbench: cannot start itself: %s\n",
		strerror(errno));
	_exit(EXIT_FAILED);
}

static void series_add(struct series *series, struct point point)
{
	struct point *p;

	if (series->n == series->max) {
		series->max = series->max ? 2 * series->max : 256;
		p = realloc(series->point, series->max * sizeof(*p));
		if (!p) {
			series->max = series->n;
			return;
		}
		series->point = p;
	}
	series->point[series->n++] = point;
}

static void sample(struct measured *m)
{
	struct memory mem;
	pid_t pid = m->pid;
	char path[64];

	if (m->watches)
		pid = (pid_t)__atomic_load_n(&m->live[LIVE_WATCHED],
					     __ATOMIC_RELAXED);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!pid || read_memory(path, &mem))
		return;
	if (mem.hugetlb_kb > m->hugetlb_kb)
		m->hugetlb_kb = mem.hugetlb_kb;
	if (m->series)
		series_add(m->series, (struct point){
			.ms = (now_ns() - m->start_ns) / 1e6,
			.held_kb = mem.rss_kb + mem.hugetlb_kb,
			.live_kb = live_sum(m->live) / 1024,
		});
}

/* 0, or -1 if the worker went away without a result. */
static int await_result(struct measured *m, struct result *res)
{
	struct pollfd pfd = { .fd = m->out, .events = POLLIN };
	int n, ms = m->trace ? TRACE_MS : m->series ? (int)m->series->ms : SAMPLE_MS;

	while ((n = poll(&pfd, 1, ms)) == 0 || (n < 0 && errno == EINTR)) {
		if (interrupted())
			kill(m->pid, SIGTERM);
		sample(m);
		if (m->trace)
			tracepoint_read(m->trace, now_ns());
	}
	if (n < 0 || read(m->out, res, sizeof(*res)) != sizeof(*res))
		return -1;
	if (m->hugetlb_kb > res->peak_hugetlb_kb)
		res->peak_hugetlb_kb = m->hugetlb_kb;
	return 0;
}

/* 0, or -1 with the reason on stderr; the worker has said why it failed. */
static int reap(pid_t pid, bool have_result)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (interrupted())
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
static int check_preload(const struct peer *peer, const struct result *res)
{
	struct stat want, got;

	if (!peer || !*peer->preload)
		return 0;
	if (!stat(peer->preload, &want) && !stat(res->malloc_from, &got) &&
	    want.st_dev == got.st_dev && want.st_ino == got.st_ino)
		return 0;
	fprintf(stderr, "slabbench: %s was preloaded but malloc came from %s\n",
		peer->preload, *res->malloc_from ? res->malloc_from : "elsewhere");
	return -1;
}

static void close_pair(int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

/* Memory for the counters of live bytes; its descriptor, or -1. */
static int open_live(struct measured *m)
{
	int fd = memfd_create("slabbench live bytes", 0);

	if (fd < 0)
		return -1;
	m->live = ftruncate(fd, LIVE_BYTES) ? NULL : live_map(fd);
	if (m->live)
		return fd;
	close(fd);
	return -1;
}

/* 0, or -1 with errno. */
static int fork_worker(const struct row *row, const struct peer *peer,
		       const char *const *tool, struct measured *m)
{
	int to[2], from[2], live = open_live(m);

	if (live < 0)
		return -1;
	if (pipe(to)) {
		close(live);
		return -1;
	}
	if (pipe(from)) {
		close(live);
		close_pair(to);
		return -1;
	}
	m->start_ns = now_ns();
	if (m->series)
		m->series->start_ns = m->start_ns;
	interrupt_block();
	m->pid = fork();
	interrupt_unblock(!m->pid);
	if (!m->pid) {
		close(to[1]);
		close(from[0]);
		start_worker(to[0], from[1], live, peer, tool);
	}
	/* Less than PIPE_BUF: never waits, never comes in two. */
	if (m->pid > 0 && write(to[1], row, sizeof(*row)) != sizeof(*row))
		fprintf(stderr, "slabbench: cannot hand over a row: %s\n",
			strerror(errno));
	close_pair(to);
	close(live);
	close(from[1]);
	m->out = from[0];
	if (m->pid < 0)
		close(from[0]);
	return m->pid < 0 ? -1 : 0;
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
	size_t bytes = row_bytes(row) / 8 * 9;
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

static int spawn(const struct row *row, const struct peer *peer,
		 const char *const *tool, struct measured m, struct result *res)
{
	bool have;

	m.watches = workload_get(row->workload)->watches;
	if (check_memory(row))
		return -1;
	prepare_memory(row);
	if (interrupted())
		return -1;
	fflush(NULL);
	if (fork_worker(row, peer, tool, &m)) {
		fprintf(stderr, "slabbench: cannot start a process: %s\n",
			strerror(errno));
		if (m.live)
			munmap(m.live, LIVE_BYTES);
		return -1;
	}
	have = !await_result(&m, res);
	close(m.out);
	munmap(m.live, LIVE_BYTES);
	if (reap(m.pid, have))
		return -1;
	return check_preload(peer, res);
}

/**
 * spawn_row() - measure a row once, in a fresh process
 * @row: what to run
 * @peer: its library is preloaded there and its setting added to the
 *	environment; NULL leaves all as it is
 * @series: gets a point each series->ms, or NULL
 * @res: filled in on success
 *
 * Return: 0, or -1 after a message on stderr, or without one if interrupted().
 */
int spawn_row(const struct row *row, const struct peer *peer,
	      struct series *series, struct result *res)
{
	return spawn(row, peer, NULL, (struct measured){ .series = series },
		     res);
}

/*
 * The same as the child of @tool, words that end with NULL; the tool itself
 * runs on the allocator, too.
 */
int spawn_row_under(const struct row *row, const struct peer *peer,
		    const char *const *tool, struct result *res)
{
	return spawn(row, peer, tool, (struct measured){ .pid = 0 }, res);
}

/* The same while @t takes down its futex calls. */
int spawn_row_traced(const struct row *row, struct tracepoint *t,
		     struct result *res)
{
	return spawn(row, NULL, NULL, (struct measured){ .trace = t }, res);
}
