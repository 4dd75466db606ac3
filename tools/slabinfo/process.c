// SPDX-License-Identifier: MIT
/*
 * The statistics of a process that runs, from its memory.
 *
 * The library publishes where they are in a page whose mapping has a name
 * (mm/stats_shm.h), and never unmaps what it leads to. Memory is read through
 * /proc/PID/mem: the process does not stop, and the kernel decides who may. The
 * file stands for the memory that the process had when it was opened; once that
 * is gone, by its end or by execve(), reads give nothing, and not what a later
 * process with the same PID has.
 *
 * Nothing that is read is taken on trust: this may be root, and the process
 * anybody's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process.h"
#include "slabinfo.h"

/* More CPUs than any process has. */
#define MOST_CPUS	(1U << 16)

/* --- finding it --- */

/* 0, or not there: the owner may read a process; 1: its ancestors; 2: root. */
static int yama_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%d", &scope) != 1)
		scope = 0;
	fclose(f);
	return scope;
}

static __attribute__((noreturn)) void die_of_open(const char *name, int error)
{
	if (error == ENOENT || error == ESRCH)
		die("process %s: there is none", name);
	if ((error == EACCES || error == EPERM) && yama_scope())
		die("process %s: %s; kernel.yama.ptrace_scope is %d, with "
		    "which root may, but not its owner", name, strerror(error),
		    yama_scope());
	if (error == EACCES || error == EPERM)
		die("process %s: %s; its owner may, and root", name,
		    strerror(error));
	die("process %s: %s", name, strerror(error));
}

static int open_in(int dir, const char *file, int mode, const char *process)
{
	int fd = openat(dir, file, mode | O_CLOEXEC);

	if (fd < 0)
		die_of_open(process, errno);
	return fd;
}

/* No size is larger than what is read into, no count than what there can be. */
static bool is_usable(const struct stats_page *page)
{
	for (int i = 0; i < NR_STATS_STRUCTS; i++)
		if (page->bytes[i] > STATS_STRUCT_MOST)
			return false;
	for (int i = 0; i < NR_STATS_FIELDS; i++) {
		if (page->field[i].at + page->field[i].bytes >
		    STATS_STRUCT_MOST)
			return false;
		if (i != CACHE_NAME && page->field[i].bytes > sizeof(uint64_t))
			return false;
	}
	return page->nr_cpus <= MOST_CPUS && page->nr_nodes <= MAX_NODES &&
		page->slot_shift < 32 && page->slots_shift < 32 &&
		page->row_node_shift < 32 && page->sheaf_count_bits < 64;
}

static void take_page(struct process *p, uint64_t at)
{
	struct stats_page *page = &p->copy[p->nr];

	if (p->nr == MOST_COPIES)
		die("process %s: it has more than %d copies of the library",
		    p->name, MOST_COPIES);
	/* It may be gone since the mappings were listed. */
	if (pread(p->mem, page, sizeof(*page), (off_t)at) != sizeof(*page) ||
	    strncmp(page->magic, STATS_MAGIC, sizeof(page->magic)))
		return;
	if (page->version != STATS_VERSION)
		die("process %s: its library publishes version %" PRIu32
		    " of the statistics, and this reads %d", p->name,
		    page->version, STATS_VERSION);
	if (!is_usable(page))
		die("process %s: what it publishes makes no sense", p->name);
	p->nr++;
}

/* A line is "first-last r--s offset device inode   /memfd:NAME (deleted)". */
static void find_pages(struct process *p, FILE *maps)
{
	size_t size = 0;
	char *line = NULL;

	while (getline(&line, &size, maps) >= 0)
		if (strstr(line, " /memfd:" STATS_NAME " "))
			take_page(p, strtoull(line, NULL, 16));
	free(line);
}

struct process *open_process(const char *pid, bool to_write)
{
	struct process *p = calloc(1, sizeof(*p));
	char path[64];
	FILE *maps;
	int dir;

	if (!p)
		die("out of memory");
	p->name = pid;
	snprintf(path, sizeof(path), "/proc/%s", pid);
	/* Both of one process, even if another one gets its PID meanwhile. */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die_of_open(pid, errno);
	p->mem = open_in(dir, "mem", to_write ? O_RDWR : O_RDONLY, pid);
	maps = fdopen(open_in(dir, "maps", O_RDONLY, pid), "r");
	if (!maps)
		die("out of memory");
	find_pages(p, maps);
	fclose(maps);
	close(dir);
	if (!p->nr)
		die("process %s publishes no statistics: it has not used "
		    "libslab yet, or runs without RN_STATS_SHM=1", pid);
	return p;
}

void close_process(struct process *p)
{
	close(p->mem);
	free(p);
}

/* --- its memory --- */

bool fetch(struct reader *r, uint64_t at, void *into, size_t bytes)
{
	ssize_t n;

	if (r->state != FINE)
		return false;
	n = pread(r->process->mem, into, bytes, (off_t)at);
	if (n == (ssize_t)bytes)
		return true;
	r->state = n ? TORN : ENDED;
	return false;
}

bool fetch_struct(struct reader *r, uint64_t at, enum stats_struct what,
		  structure into)
{
	memset(into, 0, STATS_STRUCT_MOST);
	return fetch(r, at, into, r->page->bytes[what]);
}

uint64_t get(const struct reader *r, const structure from,
	     enum stats_field what)
{
	uint64_t n = 0;

	memcpy(&n, from + r->page->field[what].at,
	       r->page->field[what].bytes);
	return n;
}
