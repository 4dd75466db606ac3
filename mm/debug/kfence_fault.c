// SPDX-License-Identifier: MIT
/*
 * Faults in the pool of guarded objects. Others' are for the handler that was
 * there before, which is called as the kernel would have called it: with its
 * mask, and on its stack, since ours is installed with both.
 */
#define _GNU_SOURCE
#include "kfence.h"
#include "syscalls.h"

#include <rn/kfence.h>
#include <asm/fault.h>

#include <string.h>

static struct sigaction before;
static bool spent;		/* it was to be called once */

/* As the default: of what the program does, once more; or another signal. */
static void end(int sig, const siginfo_t *info)
{
	static const struct sigaction by_default;

	sigaction(sig, &by_default, NULL);
	if (info->si_code <= 0)
		syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid),
			sig);
}

static bool is_handler(const struct sigaction *a)
{
	return a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	bool is_over = before.sa_flags & (int)SA_RESETHAND &&
		__atomic_exchange_n(&spent, true, __ATOMIC_RELAXED);

	/* A fault is not ignored. */
	if (before.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (!is_handler(&before) || is_over)
		end(sig, info);
	else if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else
		before.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	if (!rn_kfence_handle(info, context))
		pass_on(sig, info, context);
}

void kfence_fault_init(void)
{
	const int kept = SA_NODEFER | SA_ONSTACK | SA_RESTART;
	struct sigaction ours = { .sa_sigaction = on_fault };

	if (sigaction(SIGSEGV, NULL, &before))
		return;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
	if (is_handler(&before)) {
		ours.sa_flags = SA_SIGINFO | (before.sa_flags & kept);
		ours.sa_mask = before.sa_mask;
	}
	sigaction(SIGSEGV, &ours, NULL);
}

/*
 * The stack from the access on. A return address is behind the call, and so is
 * what stands for this one behind the first byte of the instruction.
 */
static void save_stack(struct kfence_fault *f, const char *pc)
{
	f->nr = stack_save(f->stack, pc);
	if (f->nr)
		f->stack[0] = pc + 1;
}

static void handle(const siginfo_t *info, const ucontext_t *context)
{
	struct kfence_fault f = { .index = -1, .at = info->si_addr };
	unsigned int ticket;

	f.access = fault_access(context);
	save_stack(&f, fault_pc(context));
	ticket = gate_enter();
	kfence_find_fault(&f);
	gate_exit(ticket);
	kfence_report(&f);
}

/**
 * rn_kfence_handle() - is a fault the misuse of a guarded object?
 * @info: what a handler of SIGSEGV was given
 * @context: likewise, its third argument
 *
 * If so, it is reported, and the program aborted unless
 * RN_SLAB_DEBUG_ACTION=continue. For handlers that a program installs after its
 * first allocation, which replace the library's own: they call this first, and
 * return where it is true. Without RN_KFENCE=1 it never is.
 *
 * Context: signal handlers of SIGSEGV, on a stack of 16 KiB or more. errno is
 * kept.
 * Return: true if it was, and the access may be done again.
 */
RN_API bool rn_kfence_handle(const siginfo_t *info, void *context)
{
	int saved = errno;

	/* A signal that somebody sent has no address. */
	if (info->si_signo != SIGSEGV || info->si_code <= 0 ||
	    !kfence_has(info->si_addr))
		return false;
	handle(info, context);
	errno = saved;
	return true;
}
