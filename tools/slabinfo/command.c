// SPDX-License-Identifier: MIT
/*
 * Running a command: with RN_SLABINFO set to a file of ours, which is read when
 * it has ended; or with a file in the place of /proc/slabinfo, for the tools
 * that read that.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "slabinfo.h"

/* --- a command that uses the library --- */

static char temporary[PATH_MAX];

static void remove_temporary(void)
{
	if (*temporary)
		unlink(temporary);
}

static FILE *make_temporary(void)
{
	const char *dir = getenv("TMPDIR");
	FILE *f;
	int fd;

	if (!dir || !*dir)
		dir = "/tmp";
	if (snprintf(temporary, sizeof(temporary), "%s/slabinfo-XXXXXX", dir) >=
	    (int)sizeof(temporary))
		die("TMPDIR=%s: the name is too long", dir);
	fd = mkostemp(temporary, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		int error = errno;

		*temporary = '\0';
		die("no temporary file in %s: %s", dir, strerror(error));
	}
	atexit(remove_temporary);
	return f;
}

/* Ctrl-C is for the command; what it leaves is still to be shown. */
static pid_t spawn(char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, was[2];
	posix_spawnattr_t attr;
	sigset_t defaults;
	pid_t pid;
	int err;

	sigemptyset(&defaults);
	sigaction(SIGINT, &ignore, &was[0]);
	sigaction(SIGQUIT, &ignore, &was[1]);
	/* What was ignored before, by nohup say, stays so in the command. */
	if (was[0].sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGINT);
	if (was[1].sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	err = posix_spawnp(&pid, argv[0], NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	if (err)
		die("%s: %s", argv[0], strerror(err));
	return pid;
}

static int wait_for(pid_t pid, const char *name)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("%s: wait: %s", name, strerror(errno));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "slabinfo: %s: %s\n", name,
		strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

int run_command(char **argv, const char *variable, struct text *left)
{
	FILE *f = make_temporary();
	struct stat st;
	int status;

	if (setenv(variable, temporary, 1))
		die("out of memory");
	status = wait_for(spawn(argv), argv[0]);
	if (fstat(fileno(f), &st))
		die("%s: %s", temporary, strerror(errno));
	*left = (struct text){ 0 };
	if (st.st_size) {
		*left = (struct text){ f, temporary };
		return status;
	}
	fprintf(stderr, "slabinfo: %s left no slabinfo: it does not use "
		"libslab, or it did not end by exit()\n", argv[0]);
	fclose(f);
	return status ? status : EXIT_TROUBLE;
}

/* --- a command that reads /proc/slabinfo --- */

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

void run_as_proc(const char *file, char **argv)
{
	check_text(file);
	if (access(TARGET, F_OK))
		die("%s: %s; this kernel has none to put another in its place",
		    TARGET, strerror(errno));
	own_mounts();
	/* Or the mount would be seen outside, where / is shared. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a private mount namespace: %s", strerror(errno));
	if (mount(file, TARGET, NULL, MS_BIND, NULL))
		die("mounting %s over %s: %s", file, TARGET, strerror(errno));
	execvp(argv[0], argv);
	die("%s: %s", argv[0], strerror(errno));
}
