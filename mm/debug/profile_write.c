// SPDX-License-Identifier: MIT
/*
 * When a heap profile is written, and where to; and the older of its formats.
 *
 * Takes no lock, so that it may run in a signal handler: buffers are static,
 * and one thread has them at a time.
 */
#define _GNU_SOURCE
#include "fork.h"
#include "profile.h"
#include "syscalls.h"

#include <rn/profile.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	bool busy;
	struct seq out;
	struct maps maps;
} writer;

/* RN_PROFILE, as it was: programs write over their environment. */
static char pattern[1024];

/* --- heap_v2, as jemalloc writes it --- */

static void print_sums(struct seq *s, const char *before,
		       const struct profile_sums *live,
		       const struct profile_sums *total)
{
	seq_printf(s, "%s%6lu: %8lu [%6lu: %8lu] @", before,
		   (unsigned long)READ_ONCE(live->objects),
		   (unsigned long)READ_ONCE(live->bytes),
		   (unsigned long)READ_ONCE(total->objects),
		   (unsigned long)READ_ONCE(total->bytes));
}

static void sums_join(struct profile_sums *sum, const struct profile_sums *s)
{
	sum->objects += READ_ONCE(s->objects);
	sum->bytes += READ_ONCE(s->bytes);
}

static void print_site(struct seq *s, u32 id)
{
	const struct profile_site *site = &profile.sites[id];
	const struct depot_stack *stack = depot_fetch(id);

	if (!READ_ONCE(site->total.objects))
		return;
	print_sums(s, "", &site->live, &site->total);
	for (u32 i = 0; i < stack->nr; i++)
		seq_printf(s, " %p", stack->frames[i]);
	seq_printf(s, "\n");
}

static void print_mappings(struct seq *s, struct maps *maps)
{
	struct mapping line;

	seq_printf(s, "\nMAPPED_LIBRARIES:\n");
	if (maps_open(maps))
		return;
	while (maps_next(maps, &line))
		seq_printf(s, "%lx-%lx %c-%cp %08lx %02lx:%02lx %lu %s\n",
			   line.start, line.end, line.readable ? 'r' : '-',
			   line.executable ? 'x' : '-',
			   (unsigned long)line.offset,
			   (unsigned long)(line.device >> 32),
			   (unsigned long)(u32)line.device,
			   (unsigned long)line.inode, line.path);
}

/* What has no stack is in the sum alone. */
void profile_text(struct seq *s, struct maps *maps)
{
	struct profile_site sum = { 0 };
	u32 last = depot_last();

	for (u32 id = 0; id <= last; id++) {
		sums_join(&sum.live, &profile.sites[id].live);
		sums_join(&sum.total, &profile.sites[id].total);
	}
	print_sums(s, "heap profile: ", &sum.live, &sum.total);
	seq_printf(s, " heap_v2/%zu\n", READ_ONCE(profile.interval));
	for (u32 id = 1; id <= last; id++)
		print_site(s, id);
	print_mappings(s, maps);
}

/* --- when --- */

enum format { FORMAT_PROTO, FORMAT_PROTO_NO_NAMES, FORMAT_TEXT };

static int write_profile(int fd, enum format format)
{
	int ret;

	if (!READ_ONCE(profile.generation))
		return -ENODATA;
	if (__atomic_exchange_n(&writer.busy, true, __ATOMIC_ACQUIRE))
		return -EBUSY;
	seq_open(&writer.out, fd);
	if (format == FORMAT_TEXT)
		profile_text(&writer.out, &writer.maps);
	else
		profile_proto(&writer.out, &writer.maps,
			      format == FORMAT_PROTO);
	ret = seq_close(&writer.out);
	smp_store_release(&writer.busy, false);
	return ret;
}

void profile_after_fork(void)
{
	writer.busy = false;
}

/**
 * rn_profile_write() - write the heap profile
 * @fd: file descriptor to write to
 *
 * In pprof's profile.proto, see Documentation/admin-guide/heap-profile.rst.
 *
 * Context: MT-safe; takes a lock of the loader's.
 * Return: 0, or -errno of write(2); -ENODATA where none was ever started,
 * -EBUSY while another thread writes one.
 */
RN_API int rn_profile_write(int fd)
{
	return write_profile(fd, FORMAT_PROTO);
}

/**
 * rn_profile_write_text() - write the heap profile as text
 * @fd: file descriptor to write to
 *
 * In the format heap_v2.
 *
 * Context: MT-safe and async-signal-safe.
 * Return: as rn_profile_write().
 */
RN_API int rn_profile_write_text(int fd)
{
	return write_profile(fd, FORMAT_TEXT);
}

/* @pattern with each %p replaced by the process's number; false: too long. */
static bool make_path(char *to, size_t room)
{
	char *end = to + room;

	for (const char *at = pattern; *at; at++) {
		if (end - to < 24)
			return false;
		if (at[0] == '%' && at[1] == 'p')
			to += snprintf(to, end - to, "%ld",
				       syscall(SYS_getpid));
		else
			*to++ = *at;
		at += at[0] == '%' && at[1] == 'p';
	}
	*to = '\0';
	return true;
}

static bool is_text(const char *path)
{
	static const char suffix[] = ".heap";
	size_t n = strlen(path), len = strlen(suffix);

	return n >= len && !strcmp(path + n - len, suffix);
}

static int write_to(const char *path, enum format format)
{
	int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666), ret;

	if (fd < 0)
		return -errno;
	ret = write_profile(fd, is_text(path) ? FORMAT_TEXT : format);
	sys_close(fd);
	return ret;
}

static void dump(enum format format)
{
	char path[sizeof(pattern) + 64];
	int ret = -ENAMETOOLONG;

	if (make_path(path, sizeof(path)))
		ret = write_to(path, format);
	if (ret)
		report("RN_PROFILE=%s: %s", pattern, error_text(-ret));
}

static void dump_at_exit(void)
{
	dump(FORMAT_PROTO);
}

static void dump_on_signal(int signal)
{
	int saved = errno;

	(void)signal;
	dump(FORMAT_PROTO_NO_NAMES);
	errno = saved;
}

static bool copy_pattern(void)
{
	size_t n = strlen(options.profile);

	if (!n || n >= sizeof(pattern)) {
		report("RN_PROFILE=%s is not the name of a file; ignored",
		       options.profile);
		return false;
	}
	memcpy(pattern, options.profile, n + 1);
	return true;
}

void profile_init(void)
{
	struct sigaction action = {
		.sa_handler = dump_on_signal, .sa_flags = SA_RESTART,
	};
	int ret;

	if (!options.profile || !copy_pattern())
		return;
	ret = rn_profile_start(options.profile_interval);
	if (ret) {
		report("RN_PROFILE: %s", error_text(-ret));
		return;
	}
	if (slab_debug_on)
		report("RN_PROFILE: debugged objects are not in the profile");
	if (atexit(dump_at_exit))
		report("RN_PROFILE: no profile at exit: out of memory");
	if (options.profile_signal &&
	    sigaction(options.profile_signal, &action, NULL))
		report("RN_PROFILE_SIGNAL: %s", error_text(errno));
}
