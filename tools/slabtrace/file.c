// SPDX-License-Identifier: MIT
/*
 * The file of a process. The first one writes what slabbench record was told
 * to, say app.rnt; each other one, after a fork() or an exec(), has one of its
 * own, app.PID.rnt.
 *
 * A server changes its root folder and its user before long. So a process makes
 * its file with its first call, in a folder that is open since the first one.
 *
 * Programs close descriptors that they never opened, and get the same number
 * for something else. So the file is looked at before each block, and opened
 * again where the descriptor is not its own any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "recorder.h"

/* Beyond what programs count with, where the limit has room for it. */
#define FIRST_FD	800
#define MOST_FILES	10000	/* of one process id, by exec() */
#define MOST_TEXT	4096	/* of the block that tells of the process */

static char base[PATH_MAX], path[PATH_MAX + 32];
/* Of both, up to the last component, and as a descriptor. */
static size_t folder_len;
static int folder = -1;
static struct stat folder_stat;
static pid_t main_pid;
/* Not asked for later: the child of a vfork() may be at it for its parent. */
static pid_t own_pid, parent_pid;
/* Written while @opening is held; @own is there before @fd is. */
static atomic_int fd = -1;
static struct stat own;
static bool created;
static atomic_flag opening = ATOMIC_FLAG_INIT;
static atomic_bool failed;

static int open_above(int at, const char *name, int flags)
{
	int low = openat(at, name, flags | O_CLOEXEC, 0666);
	int high = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, FIRST_FD);

	if (high < 0)
		return low;
	close(low);
	return high;
}

static bool is_same(int file, const struct stat *was)
{
	struct stat st;

	return !fstat(file, &st) && st.st_dev == was->st_dev &&
	       st.st_ino == was->st_ino;
}

static void open_folder(void)
{
	char *last = strrchr(base, '/');

	folder_len = last ? (size_t)(last + 1 - base) : 0;
	memcpy(path, base, folder_len);
	folder = open_above(AT_FDCWD, path, O_PATH | O_DIRECTORY);
	fstat(folder, &folder_stat);
}

/* By name where the folder was closed. */
static int open_path(int flags)
{
	flags |= O_WRONLY | O_APPEND;
	if (is_same(folder, &folder_stat))
		return open_above(folder, path + folder_len, flags);
	return open_above(AT_FDCWD, path, flags);
}

void file_start(void)
{
	const char *name = getenv(RNT_ENV_FILE), *pid = getenv(RNT_ENV_PID);

	own_pid = getpid();
	parent_pid = getppid();
	if (!name || !pid || strlen(name) >= sizeof(base)) {
		failed = true;
		return;
	}
	strcpy(base, name);
	main_pid = (pid_t)atoi(pid);
	open_folder();
}

static void say(const char *what, int err)
{
	char text[PATH_MAX + 256];
	int n = snprintf(text, sizeof(text),
			 "libslabtrace: %s: %s: %s; process %d is recorded up to here\n",
			 path, what, strerrordesc_np(err), (int)own_pid);

	atomic_store(&failed, true);
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		return;
}

/* app.rnt, else app.PID.rnt, else app.PID.N.rnt */
static void name_file(unsigned int nr)
{
	int len = (int)strlen(base);
	int pid = (int)own_pid;

	if (len > 4 && !strcmp(base + len - 4, ".rnt"))
		len -= 4;
	if (!nr)
		strcpy(path, base);
	else if (nr == 1)
		snprintf(path, sizeof(path), "%.*s.%d.rnt", len, base, pid);
	else
		snprintf(path, sizeof(path), "%.*s.%d.%u.rnt", len, base, pid,
			 nr - 1);
}

/* One that is not there yet: its descriptor, or -1 after a message. */
static int create(void)
{
	unsigned int nr = own_pid == main_pid ? 0 : 1;
	int file;

	do {
		name_file(nr++);
		file = open_path(O_CREAT | O_EXCL);
	} while (file < 0 && errno == EEXIST && nr < MOST_FILES);
	if (file >= 0 && !fstat(file, &own))
		return file;
	say("cannot be created", errno);
	return -1;
}

/* The arguments with spaces between them, as many as fit. */
static size_t read_command(char *text, size_t room)
{
	int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? 0 : read(file, text, room);

	if (file >= 0)
		close(file);
	if (n <= 0)
		return 0;
	for (ssize_t i = 0; i < n; i++)
		if (!text[i] || text[i] == '\n')
			text[i] = ' ';
	return (size_t)n - (text[n - 1] == ' ');
}

static size_t describe(char *text, size_t room)
{
	int n = snprintf(text, room, "parent=%d\nstarted=%lld\ncommand=",
			 (int)parent_pid, (long long)time(NULL));
	size_t used = (size_t)n;

	used += read_command(text + used, room - used - 1);
	text[used++] = '\n';
	return used;
}

static bool write_whole(int file, const void *block, size_t bytes)
{
	ssize_t n = write(file, block, bytes);

	if (n == (ssize_t)bytes)
		return true;
	say("cannot be written", n < 0 ? errno : ENOSPC);
	return false;
}

static bool write_process(int file)
{
	unsigned char block[sizeof(struct rnt_header) + MOST_TEXT];
	char *text = (char *)block + sizeof(struct rnt_header);
	struct rnt_writer w = { .block = block };
	struct rnt_header h = {
		.kind = RNT_PROCESS,
		.pid = (uint32_t)own_pid,
		.tid = (uint32_t)own_pid,
		.bytes = (uint32_t)describe(text, MOST_TEXT),
		.first_ns = tape_clock(),
	};

	return write_whole(file, block, rnt_end(&w, h));
}

static int start_file(void)
{
	int file = create();

	created = true;
	return file >= 0 && write_process(file) ? file : -1;
}

/* What was closed may be something else by now, and is left alone. */
static int open_again(void)
{
	int file = open_path(0);

	if (file >= 0 && is_same(file, &own))
		return file;
	say("cannot be opened again", errno);
	return -1;
}

/* The descriptor, or -1 after a message. */
static int open_file(void)
{
	int file;

	while (atomic_flag_test_and_set_explicit(&opening,
						 memory_order_acquire))
		sched_yield();
	file = atomic_load(&fd);
	if (atomic_load(&failed))
		file = -1;
	else if (!created)
		file = start_file();
	else if (!is_same(file, &own))
		file = open_again();
	atomic_store(&fd, file);
	atomic_flag_clear_explicit(&opening, memory_order_release);
	return file;
}

/* With the first call: a process that allocates nothing has no file. */
void file_begin(void)
{
	if (!atomic_load(&failed))
		open_file();
}

/**
 * file_write() - a whole block
 * @block: by rnt_end()
 * @bytes: of it
 *
 * Once that has failed, which is said, there are no more.
 */
void file_write(const void *block, size_t bytes)
{
	int file = atomic_load(&fd);

	if (atomic_load(&failed))
		return;
	if (file < 0 || !is_same(file, &own))
		file = open_file();
	if (file >= 0)
		write_whole(file, block, bytes);
}

uint32_t file_pid(void)
{
	return (uint32_t)own_pid;
}

/* The parent's file is no business of ours; its descriptor was copied. */
void file_after_fork(void)
{
	int file = atomic_load(&fd);

	own_pid = getpid();
	parent_pid = getppid();
	atomic_flag_clear(&opening);
	if (file >= 0 && is_same(file, &own))
		close(file);
	atomic_store(&fd, -1);
	created = false;
}
