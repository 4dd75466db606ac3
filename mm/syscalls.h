/* SPDX-License-Identifier: MIT */
/*
 * System calls on files, past the C library: its own are places where a thread
 * may be cancelled, which must not happen inside of malloc(), and interposers
 * may allocate. All return what the C library's do, with errno.
 */
#ifndef MM_SYSCALLS_H
#define MM_SYSCALLS_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static inline int sys_open(const char *path, int flags, mode_t mode)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static inline ssize_t sys_read(int fd, void *buf, size_t bytes)
{
	return syscall(SYS_read, fd, buf, bytes);
}

static inline ssize_t sys_pread(int fd, void *buf, size_t bytes, off_t at)
{
	return syscall(SYS_pread64, fd, buf, bytes, at);
}

static inline ssize_t sys_write(int fd, const void *buf, size_t bytes)
{
	return syscall(SYS_write, fd, buf, bytes);
}

static inline void sys_close(int fd)
{
	syscall(SYS_close, fd);
}

/* Ends early at a signal. */
static inline void sys_sleep(const struct timespec *t)
{
	syscall(SYS_nanosleep, t, NULL);
}

#endif /* MM_SYSCALLS_H */
