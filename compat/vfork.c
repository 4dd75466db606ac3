// SPDX-License-Identifier: MIT
/*
 * vfork() for a program whose malloc() uses restartable sequences.
 *
 * Its child runs in the parent's memory and thread-local storage, with a rseq
 * registration of nobody: the kernel clears that of a process that shares its
 * memory and is no thread. So cpu_id there says for good where the parent ran
 * last, and no interruption aborts anything; a malloc() in the child would
 * change the slot of a CPU on which other threads of the parent run on.
 *
 * Here the parent's registration is taken back before the system call. The
 * child registers the same place for itself, the parent again when it goes on.
 * Taken back it must be, since newer kernels write the numbers only when they
 * have changed, and would leave the child's to the parent. In between no
 * sequence may run, so signals are blocked from before it to after it, in both.
 *
 * Where the registration is not as expected, vfork() is fork(), which POSIX
 * allows. posix_spawn(), system() and popen() need none of this: the C library
 * runs no malloc() in their children.
 *
 * A child that is killed within malloc() leaves the lock that it held taken, in
 * the parent's name: the parent says so when it comes to need it. One that ends
 * by exec or _exit() is in nothing at that time.
 *
 * Return addresses are pushed and popped by each of the two processes, so this
 * is not for programs with a shadow stack.
 */
#define _GNU_SOURCE
#include "internal.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/vfork.h>

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE	27
#define AT_RSEQ_ALIGN		28
#endif

#ifndef RSEQ_FLAG_UNREGISTER
#define RSEQ_FLAG_UNREGISTER	1
#endif

/* What was registered before there were features to be counted. */
#define RSEQ_LEN_MIN	32U

/* Absent before glibc 2.35; then there is no rseq. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

#pragma GCC visibility push(hidden)

/* In registers: 0 to go on with the system call, and the mask to restore. */
struct vfork_begun {
	unsigned long by_fork;
	unsigned long mask;
};

struct vfork_begun vfork_begin(void);
long vfork_end(long pid, unsigned long mask);
pid_t vfork_by_fork(void);

#pragma GCC visibility pop

/* Of a mask that nothing was blocked for: SIGKILL is never in a real one. */
#define NOT_BLOCKED	(1UL << (SIGKILL - 1))

static u32 registered_len;	/* known after the first time */

static struct rseq *my_rseq(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() +
			       __rseq_offset);
}

static bool has_rseq(void)
{
	return &__rseq_size && __rseq_size &&
		(int)READ_ONCE(my_rseq()->cpu_id) >= 0;
}

static int rseq_call(u32 len, int flags)
{
	return (int)syscall(SYS_rseq, my_rseq(), len, flags, RSEQ_SIG);
}

/* The kernel wants the very length, which the C library does not tell. */
static bool unregister(void)
{
	u32 features = (u32)getauxval(AT_RSEQ_FEATURE_SIZE);
	u32 align = max((u32)getauxval(AT_RSEQ_ALIGN), RSEQ_LEN_MIN);
	const u32 lens[] = {
		READ_ONCE(registered_len), RSEQ_LEN_MIN, __rseq_size,
		ALIGN(__rseq_size, RSEQ_LEN_MIN), features,
		ALIGN(features, RSEQ_LEN_MIN),
		is_power_of_2(align) ? ALIGN(features, align) : 0,
	};

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		if (lens[i] >= RSEQ_LEN_MIN &&
		    !rseq_call(lens[i], RSEQ_FLAG_UNREGISTER)) {
			WRITE_ONCE(registered_len, lens[i]);
			return true;
		}
	return false;
}

static void set_mask(const unsigned long *mask, unsigned long *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, old, sizeof(*mask));
}

struct vfork_begun vfork_begin(void)
{
	struct vfork_begun b = { .mask = NOT_BLOCKED };
	const unsigned long all = ~0UL;
	int saved = errno;

	if (!has_rseq())
		return b;
	set_mask(&all, &b.mask);
	if (!unregister()) {
		set_mask(&b.mask, NULL);
		b.by_fork = 1;
	}
	errno = saved;
	return b;
}

/* In the child, and later in the parent. */
long vfork_end(long pid, unsigned long mask)
{
	if (mask != NOT_BLOCKED) {
		int saved = errno;

		if (rseq_call(registered_len, 0))
			bug("vfork: rseq cannot be registered again: %s",
			    error_text(errno));
		set_mask(&mask, NULL);
		errno = saved;
	}
	if (pid >= 0)
		return pid;
	errno = (int)-pid;
	return -1;
}

pid_t vfork_by_fork(void)
{
	return fork();
}
