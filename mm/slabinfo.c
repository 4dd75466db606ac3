// SPDX-License-Identifier: MIT
/*
 * /proc/slabinfo, version 2.1, of this process.
 *
 * Takes no lock, so that it may run in a signal handler: caches and what they
 * keep on a node are never unmapped, and each figure is one load.
 */
#define _GNU_SOURCE
#include "slab.h"
#include "syscalls.h"

#include <rn/vmstat.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void slabinfo_line(struct seq *s, struct rn_cache *c)
{
	struct cache_usage u;

	cache_usage(c, &u);
	seq_printf(s, "%-17s %6lu %6lu %6u %4u %4u : tunables %4u %4u %4u "
		   ": slabdata %6lu %6lu %6u\n", c->name,
		   (unsigned long)u.active, (unsigned long)u.objects,
		   c->size, c->objects, c->pages, 0, 0, 0,
		   (unsigned long)u.slabs, (unsigned long)u.slabs, 0);
}

/**
 * rn_slabinfo() - write the state of all caches
 * @fd: file descriptor to write to
 *
 * The text is the kernel's "slabinfo - version: 2.1", which slabtop and
 * vmstat -m read. Objects that lie in sheaves count as free. Exact when nobody
 * allocates, and else a moment old.
 *
 * Context: MT-safe, takes no lock.
 * Return: 0, or -errno of write(2); -ENOMEM where the library cannot start.
 */
RN_API int rn_slabinfo(int fd)
{
	struct seq s;

	mm_init();
	if (mm_init_error())
		return -ENOMEM;
	seq_open(&s, fd);
	seq_printf(&s, "slabinfo - version: 2.1\n"
		   "# name            <active_objs> <num_objs> <objsize> "
		   "<objperslab> <pagesperslab> : tunables <limit> "
		   "<batchcount> <sharedfactor> : slabdata <active_slabs> "
		   "<num_slabs> <sharedavail>\n");
	for (struct rn_cache *c = smp_load_acquire(&slab_caches); c;
	     c = smp_load_acquire(&c->next))
		if (READ_ONCE(c->refcount))
			slabinfo_line(&s, c);
	return seq_close(&s);
}

/* What @variable asks for: to stderr or into a file, which is written anew. */
static void dump(const char *variable, const char *where, int (*text)(int fd))
{
	int fd = STDERR_FILENO, ret;

	if (!where)
		return;
	if (strcmp(where, "stderr")) {
		fd = sys_open(where, O_WRONLY | O_CREAT | O_TRUNC, 0666);
		if (fd < 0) {
			report("%s=%s: %s", variable, where, error_text(errno));
			return;
		}
	}
	ret = text(fd);
	if (ret)
		report("%s=%s: %s", variable, where, error_text(-ret));
	if (fd != STDERR_FILENO)
		sys_close(fd);
}

static void dump_slabinfo(void)
{
	dump("RN_SLABINFO", options.slabinfo, rn_slabinfo);
}

static void dump_at_exit(void)
{
	dump_slabinfo();
	dump("RN_VMSTAT", options.vmstat, rn_vmstat);
	dump("RN_MEMMAP", options.memmap, rn_memmap);
}

/* Not rn_vmstat(), which takes locks. */
static void dump_on_signal(int signal)
{
	int saved = errno;

	(void)signal;
	dump_slabinfo();
	errno = saved;
}

void slabinfo_init(void)
{
	struct sigaction action = {
		.sa_handler = dump_on_signal, .sa_flags = SA_RESTART,
	};

	if (!options.slabinfo && !options.vmstat && !options.memmap)
		return;
	if (atexit(dump_at_exit))
		report("RN_SLABINFO: no dump at exit: out of memory");
	if (options.slabinfo_signal &&
	    sigaction(options.slabinfo_signal, &action, NULL))
		report("RN_SLABINFO_SIGNAL: %s", error_text(errno));
}
