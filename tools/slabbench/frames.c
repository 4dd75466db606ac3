// SPDX-License-Identifier: MIT
/*
 * A look inside the measured process while its row runs: of the library a
 * memory map each second and at each mark, of another malloc what it says of
 * itself at each mark. They take time and a little memory, which are in the
 * figures of the run.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rn/vmstat.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "slabbench.h"

#define SECOND		1000000000ULL

static struct {
	const struct row *row;
	uint64_t start_ns;
	pthread_t thread;
	pthread_mutex_t lock;		/* one frame at a time */
	pthread_cond_t over;
	bool is_over;
	bool has_stats;			/* those of an earlier mark */
} frames = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void __attribute__((noreturn)) failed(const char *what, int err)
{
	fprintf(stderr, "slabbench: cannot write %s: %s\n", what, strerror(err));
	_exit(EXIT_FAILED);
}

/* NAME.SECONDS.memmap; frames.lock is held. */
static void write_frame(void)
{
	uint64_t ms = (now_ns() - frames.start_ns) / 1000000;
	char file[sizeof(frames.row->memmap_name) + 32];
	int fd, err;

	snprintf(file, sizeof(file), "%s.%llu.%03llu.memmap",
		 frames.row->memmap_name, (unsigned long long)ms / 1000,
		 (unsigned long long)ms % 1000);
	fd = openat(frames.row->memmap_dir, file,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		failed(file, errno);
	err = rn_memmap(fd);
	if (close(fd) && !err)
		err = -errno;
	if (err)
		failed(file, -err);
}

/* All of a run in one file, NAME.stats; frames.lock is held. */
static void write_stats(void)
{
	int flags = frames.has_stats ? O_APPEND : O_TRUNC;
	char file[sizeof(frames.row->memmap_name) + 32];
	int fd;

	snprintf(file, sizeof(file), "%s.stats", frames.row->memmap_name);
	fd = openat(frames.row->memmap_dir, file,
		    O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
	if (fd < 0)
		failed(file, errno);
	dprintf(fd, "%s== second %.3f\n\n", frames.has_stats ? "\n" : "",
		(now_ns() - frames.start_ns) / 1e9);
	if (!own_stats(fd))
		dprintf(fd, "(this malloc says nothing of itself)\n");
	if (close(fd))
		failed(file, errno);
	frames.has_stats = true;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND),
	};
}

static void *each_second(void *unused)
{
	uint64_t next = frames.start_ns;

	pthread_mutex_lock(&frames.lock);
	while (!frames.is_over) {
		struct timespec at = time_of(next += SECOND);
		int err = 0;

		while (!frames.is_over && err != ETIMEDOUT)
			err = pthread_cond_timedwait(&frames.over, &frames.lock,
						     &at);
		if (!frames.is_over)
			write_frame();
	}
	pthread_mutex_unlock(&frames.lock);
	return unused;
}

static bool is_ours(void)
{
	return frames.row->allocator == ALLOC_RN;
}

/* Of worker 0, before it looks at what the process holds. */
void frames_start(const struct row *row)
{
	pthread_condattr_t attr;
	int err;

	if (!*row->memmap_name)
		return;
	frames.row = row;
	frames.start_ns = now_ns();
	if (!is_ours())
		return;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&frames.over, &attr);
	err = pthread_create(&frames.thread, NULL, each_second, NULL);
	if (err)
		failed("memory maps", err);
}

/* Now, as there is a mark. */
void frames_mark(void)
{
	if (!frames.row)
		return;
	pthread_mutex_lock(&frames.lock);
	if (is_ours())
		write_frame();
	else
		write_stats();
	pthread_mutex_unlock(&frames.lock);
}

void frames_stop(void)
{
	if (!frames.row || !is_ours())
		return;
	pthread_mutex_lock(&frames.lock);
	frames.is_over = true;
	pthread_cond_signal(&frames.over);
	pthread_mutex_unlock(&frames.lock);
	pthread_join(frames.thread, NULL);
	frames.row = NULL;
}
