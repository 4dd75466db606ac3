// SPDX-License-Identifier: MIT
/*
 * How the background thread waits: for a tick to pass, to be woken, and where
 * the kernel tells of it, for memory to be short (pressure_fd()).
 *
 * Without a descriptor for that, on kswapd_mode as a futex. With one, in
 * poll(2), which a futex does not end, but a timer does: who wakes the thread
 * sets it off. Of a descriptor that the program has closed, and of which it has
 * made something else, that call of the kernel's says that it is no timer; it
 * does no harm, as a write would. A thread whose descriptors are gone finds out
 * when its sleep is over, which is bounded then, and goes on without.
 */
#include "kswapd.h"
#include "pressure.h"
#include "syscalls.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/timerfd.h>

/* So often it looks whether the descriptors are its own still; in ms. */
#define LONG_SLEEP	10000
/* Likewise whether somebody asks for memory, where that is possible. */
#define SHORT_SLEEP	1000

static struct {
	int trigger;		/* the thread's alone; -1 for none */
	int timer;		/* kept when the thread ends, for late wakers */
} wait = { -1, -1 };

static int timer_set(int fd, long ns)
{
	const struct itimerspec when = { .it_value.tv_nsec = ns };

	return syscall(SYS_timerfd_settime, fd, 0, &when, NULL);
}

void kswapd_wait_begin(void)
{
	if (wait.timer < 0)
		WRITE_ONCE(wait.timer, syscall(SYS_timerfd_create,
					       CLOCK_MONOTONIC,
					       TFD_CLOEXEC | TFD_NONBLOCK));
	if (wait.timer >= 0)
		wait.trigger = pressure_fd();
}

void kswapd_wait_end(void)
{
	if (wait.trigger >= 0)
		sys_close(wait.trigger);
	wait.trigger = -1;
}

/* They may be the program's by now: not to be closed. */
static void forget(void)
{
	wait.trigger = -1;
	WRITE_ONCE(wait.timer, -1);
}

void kswapd_wait_wake(void)
{
	int timer = READ_ONCE(wait.timer);

	syscall(SYS_futex, &kswapd_mode, FUTEX_WAKE_PRIVATE, 1);
	if (timer >= 0)
		timer_set(timer, 1);
}

static struct timespec from_ms(unsigned int ms)
{
	return (struct timespec) {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};
}

/* At most. After the mode is read: see publish(). */
static unsigned int sleep_ms(u32 mode)
{
	if (mode != KSWAPD_SLEEPS)
		return options.kfence ? min(age_tick_ms(),
					    options.kfence_interval)
				      : age_tick_ms();
	return stats_are_published() ? SHORT_SLEEP : LONG_SLEEP;
}

static bool wait_on_futex(u32 mode)
{
	bool for_good = mode == KSWAPD_SLEEPS && !stats_are_published();
	struct timespec most = from_ms(sleep_ms(mode));

	syscall(SYS_futex, &kswapd_mode, FUTEX_WAIT_PRIVATE, mode,
		for_good ? NULL : &most);
	return false;
}

static bool wait_in_poll(void)
{
	struct pollfd fds[] = {
		{ .fd = wait.trigger, .events = POLLPRI },
		{ .fd = wait.timer, .events = POLLIN },
	};
	struct timespec most;
	u32 mode;

	/* Before the mode is read: who changes it later sets it off again. */
	if (timer_set(wait.timer, 0)) {
		forget();
		return false;
	}
	mode = READ_ONCE(kswapd_mode);
	if (!kswapd_is_on(mode))
		return false;
	most = from_ms(sleep_ms(mode));
	syscall(SYS_ppoll, fds, ARRAY_SIZE(fds), &most, NULL, 0UL);
	if ((fds[0].revents | fds[1].revents) & POLLNVAL)
		forget();
	else if (fds[0].revents & (POLLERR | POLLHUP))
		kswapd_wait_end();	/* its control group is gone */
	return fds[0].revents & POLLPRI;
}

bool kswapd_wait(void)
{
	u32 mode = READ_ONCE(kswapd_mode);

	if (wait.trigger >= 0)
		return wait_in_poll();
	return kswapd_is_on(mode) && wait_on_futex(mode);
}

/* The child has its parent's: where the timer is still one, so is the other. */
void kswapd_wait_after_fork(void)
{
	struct itimerspec left;

	if (wait.timer >= 0 &&
	    !syscall(SYS_timerfd_gettime, wait.timer, &left)) {
		sys_close(wait.timer);
		kswapd_wait_end();
	}
	forget();
}
