// SPDX-License-Identifier: MIT
/*
 * The ways out of a program that no destructor hears of: what is on the tapes
 * is written before. The child of a vfork() takes them in its parent's memory,
 * where the parent is to go on as before.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include "recorder.h"

extern char **environ;

typedef void (*exit_fn)(int status) __attribute__((noreturn));
typedef int (*daemon_fn)(int keep_folder, int keep_files);
typedef int (*execve_fn)(const char *path, char *const argv[],
			 char *const env[]);
typedef int (*execvpe_fn)(const char *file, char *const argv[],
			  char *const env[]);
typedef int (*fexecve_fn)(int fd, char *const argv[], char *const env[]);
typedef int (*execveat_fn)(int dir, const char *path, char *const argv[],
			   char *const env[], int flags);

RECORDER_API void _exit(int status)
{
	exit_fn leave = (exit_fn)next_symbol("_exit");

	if (tape_is_own_process())
		tape_flush_all();
	leave(status);
}

RECORDER_API void _Exit(int status)
{
	_exit(status);
}

/* Its parent takes the C library's own _exit(). */
RECORDER_API int daemon(int keep_folder, int keep_files)
{
	daemon_fn go = (daemon_fn)next_symbol("daemon");

	tape_flush_all();
	return go(keep_folder, keep_files);
}

RECORDER_API int execve(const char *path, char *const argv[], char *const env[])
{
	execve_fn go = (execve_fn)next_symbol("execve");

	tape_flush_all();
	return go(path, argv, env);
}

RECORDER_API int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

RECORDER_API int execvpe(const char *file, char *const argv[],
			 char *const env[])
{
	execvpe_fn go = (execvpe_fn)next_symbol("execvpe");

	tape_flush_all();
	return go(file, argv, env);
}

RECORDER_API int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

RECORDER_API int fexecve(int fd, char *const argv[], char *const env[])
{
	fexecve_fn go = (fexecve_fn)next_symbol("fexecve");

	tape_flush_all();
	return go(fd, argv, env);
}

RECORDER_API int execveat(int dir, const char *path, char *const argv[],
			  char *const env[], int flags)
{
	execveat_fn go = (execveat_fn)next_symbol("execveat");

	tape_flush_all();
	return go(dir, path, argv, env, flags);
}

/* --- arguments one by one --- */

static size_t count(va_list ap)
{
	size_t n = 1;

	while (va_arg(ap, char *))
		n++;
	return n;
}

/* As many as count() said, and the NULL behind them. */
static void collect(char **argv, const char *first, va_list ap)
{
	*argv = (char *)first;
	while (*argv)
		*++argv = va_arg(ap, char *);
}

/*
 * Of @first and what follows; on the stack, as in a signal handler or the child
 * of a vfork() there may be nothing else.
 */
#define WITH_ARGUMENTS(first, argv, ap)					\
	va_start(ap, first);						\
	argv = __builtin_alloca((count(ap) + 1) * sizeof(char *));	\
	va_end(ap);							\
	va_start(ap, first);						\
	collect(argv, first, ap)

RECORDER_API int execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	WITH_ARGUMENTS(arg, argv, ap);
	va_end(ap);
	return execv(path, argv);
}

RECORDER_API int execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	WITH_ARGUMENTS(arg, argv, ap);
	va_end(ap);
	return execvp(file, argv);
}

RECORDER_API int execle(const char *path, const char *arg, ...)
{
	char *const *env;
	char **argv;
	va_list ap;

	WITH_ARGUMENTS(arg, argv, ap);
	env = va_arg(ap, char *const *);
	va_end(ap);
	return execve(path, argv, env);
}
