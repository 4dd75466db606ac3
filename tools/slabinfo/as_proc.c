// SPDX-License-Identifier: MIT
/*
 * Running a command that reads /proc/slabinfo, with a text in its place: of a
 * file, or of a process, which is written anew as long as the command runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "slabinfo.h"

#define TARGET	"/proc/slabinfo"

static void write_map(const char *path, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, n) != n)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/* As root at once, as anybody else inside of a user namespace. */
static void own_mounts(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (!unshare(CLONE_NEWNS))
		return;
	if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNS))
		die("a private mount namespace needs root or user namespaces: "
		    "%s", strerror(errno));
	write_map("/proc/self/setgroups", "deny");
	write_map("/proc/self/uid_map", "%u %u 1", uid, uid);
	write_map("/proc/self/gid_map", "%u %u 1", gid, gid);
}

static void check_text(const char *file)
{
	struct caches all;
	struct text text;
	struct stat st;

	if (stat(file, &st))
		die("%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		die("%s: not a regular file, which can be mounted", file);
	text = open_text(file);
	read_caches(text.file, text.name, &all);
	fclose(text.file);
	free_caches(&all);
}

static void check_target(void)
{
	if (access(TARGET, F_OK))
		die("%s: %s; this kernel has none to put another in its place",
		    TARGET, strerror(errno));
}

static __attribute__((noreturn)) void become(const char *file, char **argv)
{
	own_mounts();
	/* Or the mount would be seen outside, where / is shared. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a private mount namespace: %s", strerror(errno));
	if (mount(file, TARGET, NULL, MS_BIND, NULL))
		die("mounting %s over %s: %s", file, TARGET, strerror(errno));
	execvp(argv[0], argv);
	die("%s: %s", argv[0], strerror(errno));
}

void run_as_proc(const char *file, char **argv)
{
	check_text(file);
	check_target();
	become(file, argv);
}

/* --- of a process --- */

static void write_text(FILE *into, const struct caches *all)
{
	fputs("slabinfo - version: 2.1\n"
	      "# name            <active_objs> <num_objs> <objsize> "
	      "<objperslab> <pagesperslab> : tunables <limit> <batchcount> "
	      "<sharedfactor> : slabdata <active_slabs> <num_slabs> "
	      "<sharedavail>\n", into);
	for (size_t i = 0; i < all->nr; i++) {
		const struct cache *c = &all->cache[i];

		fprintf(into, "%-17s %6" PRIu64 " %6" PRIu64 " %6" PRIu64
			" %4" PRIu64 " %4" PRIu64 " : tunables %4u %4u %4u"
			" : slabdata %6" PRIu64 " %6" PRIu64 " %6u\n",
			c->name, c->active, c->objects, c->size, c->per_slab,
			c->pages_per_slab, 0, 0, 0, c->slabs, c->slabs, 0);
	}
}

/*
 * What is mounted is this very file, so it is written over. In one call, and
 * lines keep their places as long as caches do: who reads it meanwhile has
 * figures of two moments, and no torn line.
 */
static bool rewrite(int fd, const struct process *process)
{
	struct caches all;
	char *text = NULL;
	size_t bytes = 0;
	FILE *f;

	if (!read_process(process, &all))
		return false;
	f = open_memstream(&text, &bytes);
	if (!f)
		die("out of memory");
	write_text(f, &all);
	free_caches(&all);
	if (fclose(f))
		die("out of memory");
	if (pwrite(fd, text, bytes, 0) != (ssize_t)bytes ||
	    ftruncate(fd, (off_t)bytes))
		die("the temporary file: %s", strerror(errno));
	free(text);
	return true;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
		info.si_pid == pid;
}

/* Until the command ends; whether the process was there all the time. */
static bool keep_writing(int fd, const struct process *process,
			 const struct timespec *interval, pid_t command)
{
	bool there = true;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!has_ended(command)) {
		/* Early at the end of the command, or at another signal. */
		sigtimedwait(&child, NULL, interval);
		there = there && rewrite(fd, process);
	}
	return there;
}

/* The terminal's signals are for the command, and SIGCHLD is waited for. */
static void set_signals(sigset_t *was_blocked, struct sigaction was[3])
{
	static const int numbers[] = { SIGINT, SIGQUIT, SIGCHLD };
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t child;

	for (int i = 0; i < 3; i++) {
		if (numbers[i] == SIGCHLD)
			action.sa_handler = SIG_DFL;
		sigaction(numbers[i], &action, &was[i]);
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, was_blocked);
}

static void reset_signals(const sigset_t *was_blocked,
			  const struct sigaction was[3])
{
	sigaction(SIGINT, &was[0], NULL);
	sigaction(SIGQUIT, &was[1], NULL);
	sigaction(SIGCHLD, &was[2], NULL);
	sigprocmask(SIG_SETMASK, was_blocked, NULL);
}

/* The command, as a child. */
static pid_t start_as_proc(const char *file, char **argv)
{
	struct sigaction was[3];
	sigset_t was_blocked;
	pid_t child;

	set_signals(&was_blocked, was);
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		reset_signals(&was_blocked, was);
		become(file, argv);
	}
	return child;
}

int run_as_proc_of(const char *pid, const struct timespec *interval,
		   char **argv)
{
	struct process *p = open_process(pid, false);
	const char *name;
	FILE *f = make_temporary(&name);
	pid_t child;
	bool there;

	check_target();
	if (!rewrite(fileno(f), p))
		die("process %s: it has ended", pid);
	child = start_as_proc(name, argv);
	there = keep_writing(fileno(f), p, interval, child);
	close_process(p);
	fclose(f);
	if (!there)
		fprintf(stderr, "slabinfo: process %s has ended: what %s "
			"showed after that is from before\n", pid, argv[0]);
	return wait_for(child, argv[0]);
}
