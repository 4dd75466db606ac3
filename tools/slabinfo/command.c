// SPDX-License-Identifier: MIT
/*
 * Running a command with RN_SLABINFO set to a file of ours, which is read when
 * it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "slabinfo.h"

static char temporary[PATH_MAX];
static pid_t maker;

/* A child that is no other program yet has it, too, and is not to. */
static void remove_temporary(void)
{
	if (*temporary && getpid() == maker)
		unlink(temporary);
}

FILE *make_temporary(const char **name)
{
	const char *dir = getenv("TMPDIR");
	FILE *f;
	int fd;

	if (!dir || !*dir)
		dir = "/tmp";
	if (snprintf(temporary, sizeof(temporary), "%s/slabinfo-XXXXXX", dir) >=
	    (int)sizeof(temporary))
		die("TMPDIR=%s: the name is too long", dir);
	maker = getpid();
	fd = mkostemp(temporary, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		int error = errno;

		*temporary = '\0';
		die("no temporary file in %s: %s", dir, strerror(error));
	}
	atexit(remove_temporary);
	*name = temporary;
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

int wait_for(pid_t pid, const char *name)
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
	const char *name;
	FILE *f = make_temporary(&name);
	struct stat st;
	int status;

	if (setenv(variable, name, 1))
		die("out of memory");
	status = wait_for(spawn(argv), argv[0]);
	if (fstat(fileno(f), &st))
		die("%s: %s", name, strerror(errno));
	*left = (struct text){ 0 };
	if (st.st_size) {
		*left = (struct text){ f, name };
		return status;
	}
	fprintf(stderr, "slabinfo: %s left no slabinfo: it does not use "
		"libslab, or it did not end by exit()\n", argv[0]);
	fclose(f);
	return status ? status : EXIT_TROUBLE;
}
