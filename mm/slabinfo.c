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
		slabinfo_line(&s, c);
	return seq_close(&s);
}

/* RN_SLABINFO: to stderr or into a file, which is written anew. */
static void dump(void)
{
	int fd = STDERR_FILENO, ret;

	if (strcmp(options.slabinfo, "stderr")) {
		fd = sys_open(options.slabinfo, O_WRONLY | O_CREAT | O_TRUNC,
			      0666);
		if (fd < 0) {
			report("RN_SLABINFO=%s: %s", options.slabinfo,
			       error_text(errno));
			return;
		}
	}
	ret = rn_slabinfo(fd);
	if (ret)
		report("RN_SLABINFO=%s: %s", options.slabinfo, error_text(-ret));
	if (fd != STDERR_FILENO)
		sys_close(fd);
}

static void dump_on_signal(int signal)
{
	int saved = errno;

	(void)signal;
	dump();
	errno = saved;
}

void slabinfo_init(void)
{
	struct sigaction action = {
		.sa_handler = dump_on_signal, .sa_flags = SA_RESTART,
	};

	if (!options.slabinfo)
		return;
	if (atexit(dump))
		report("RN_SLABINFO: no dump at exit: out of memory");
	if (options.slabinfo_signal &&
	    sigaction(options.slabinfo_signal, &action, NULL))
		report("RN_SLABINFO_SIGNAL: %s", error_text(errno));
}
