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
#include "slabinfo.h"
#include "stats_shm.h"

/* A program has one, and libslabmalloc.so may be another. */
#define MOST_COPIES	16

/* More caches, nodes and CPUs than any process has: or lists go in a circle. */
#define MOST_CACHES	(1U << 20)
#define MOST_NODES	1024U
#define MOST_CPUS	(1U << 16)

/* Pointers that lead nowhere may have been read while they changed. */
#define TRIES		3

struct process {
	const char *name;
	int mem;
	unsigned int nr;
	struct stats_page copy[MOST_COPIES];
};

/* What was read, and whether it can be used: the first failure stays. */
struct reader {
	const struct process *process;
	const struct stats_page *page;
	enum { FINE, TORN, ENDED } state;
	uint64_t nr_caches;
};

typedef unsigned char structure[STATS_STRUCT_MOST];

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

static int open_in(int dir, const char *file, const char *process)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);

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
	return page->nr_cpus <= MOST_CPUS && page->nr_nodes <= MOST_NODES &&
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

struct process *open_process(const char *pid)
{
	struct process *p = calloc(1, sizeof(*p));
	char path[64];
	FILE *maps;
	int dir;

	if (!p)
		die("out of memory");
	p->name = pid;
	snprintf(path, sizeof(path), "/proc/%s", pid);
	/* Both of one process, even if its PID goes to another one meanwhile. */
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die_of_open(pid, errno);
	p->mem = open_in(dir, "mem", pid);
	maps = fdopen(open_in(dir, "maps", pid), "r");
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

static bool fetch(struct reader *r, uint64_t at, void *into, size_t bytes)
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

static bool fetch_struct(struct reader *r, uint64_t at, enum stats_struct what,
			 structure into)
{
	memset(into, 0, STATS_STRUCT_MOST);
	return fetch(r, at, into, r->page->bytes[what]);
}

static uint64_t get(const struct reader *r, const structure from,
		    enum stats_field what)
{
	uint64_t n = 0;

	memcpy(&n, from + r->page->field[what].at,
	       r->page->field[what].bytes);
	return n;
}

/* --- a cache, as mm/usage.c counts --- */

static void add_sheaf(struct reader *r, uint64_t at, struct cache *c,
		      uint64_t *free)
{
	const unsigned int bits = r->page->sheaf_count_bits;
	uint64_t word, nr, held, operations;
	structure sheaf;

	if (!at || !fetch_struct(r, at, STATS_SHEAF, sheaf))
		return;
	word = get(r, sheaf, SHEAF_WORD);
	held = get(r, sheaf, SHEAF_HELD);
	nr = word & ((1ULL << bits) - 1);
	operations = word >> bits;
	*free += nr;
	/* Pops and pushes since it came into its slot: see sheaf_counts(). */
	if (operations < (nr < held ? held - nr : nr - held))
		return;
	c->allocs += (operations + held - nr) / 2;
	c->frees += (operations + nr - held) / 2;
}

static void add_slot(struct reader *r, uint64_t at, struct cache *c,
		     uint64_t *free)
{
	structure slot, slab;
	uint64_t active;

	if (!fetch_struct(r, at, STATS_SLOT, slot))
		return;
	add_sheaf(r, get(r, slot, SLOT_MAIN), c, free);
	add_sheaf(r, get(r, slot, SLOT_SPARE), c, free);
	active = get(r, slot, SLOT_ACTIVE);
	if (active && fetch_struct(r, active, STATS_SLAB, slab))
		*free += get(r, slab, SLAB_PRIVATE) +
			get(r, slab, SLAB_HOLLOW) +
			c->per_slab - get(r, slab, SLAB_FRESH);
}

static void add_node(struct reader *r, uint64_t row, uint64_t at,
		     struct cache *c)
{
	const struct stats_page *page = r->page;
	uint64_t objects, slow_allocs, slow_frees, free = 0;
	structure n;

	if (!fetch_struct(r, at, STATS_NODE, n))
		return;
	for (uint64_t cpu = 0; cpu < page->nr_cpus; cpu++)
		add_slot(r, page->slots + (cpu << page->slots_shift) +
			 (row << page->slot_shift), c, &free);
	free += get(r, n, NODE_BARN_OBJECTS) + get(r, n, NODE_FREE);
	objects = get(r, n, NODE_SLABS) * c->per_slab;
	c->slabs += get(r, n, NODE_SLABS);
	c->objects += objects;
	/* While others run, the parts are from different moments. */
	c->active += objects > free ? objects - free : 0;
	slow_allocs = get(r, n, NODE_ALLOC_SLOW);
	slow_frees = get(r, n, NODE_FREE_SLOW);
	c->slow_allocs += slow_allocs;
	c->slow_frees += slow_frees;
	c->allocs += slow_allocs + get(r, n, NODE_BARN_ALLOCS);
	c->frees += slow_frees + get(r, n, NODE_BARN_FREES);
}

static char *name_of(const struct reader *r, const structure from)
{
	const char *text = (const char *)from + r->page->field[CACHE_NAME].at;
	char *name = strndup(text, r->page->field[CACHE_NAME].bytes);

	if (!name)
		die("out of memory");
	return name;
}

/* False: what was read makes no sense. */
static bool complete(struct cache *c)
{
	uint64_t slab = c->pages_per_slab * RN_PAGE_SIZE;

	return c->active <= c->objects &&
		!__builtin_mul_overflow(c->slabs, slab, &c->space) &&
		!__builtin_mul_overflow(c->active, c->size, &c->used) &&
		c->used <= c->space;
}

static void add_cache(struct reader *r, const structure from,
		      struct caches *all)
{
	struct cache *c = add_to(all);
	uint64_t array = get(r, from, CACHE_NODE);
	uint64_t row = get(r, from, CACHE_ROW);

	*c = (struct cache){
		.name = name_of(r, from),
		.size = get(r, from, CACHE_SIZE),
		.per_slab = get(r, from, CACHE_OBJECTS),
		.pages_per_slab = get(r, from, CACHE_PAGES),
	};
	for (uint64_t node = 0; node < r->page->nr_nodes; node++) {
		uint64_t at;

		if (fetch(r, array + node * sizeof(at), &at, sizeof(at)) && at)
			add_node(r, row + (node << r->page->row_node_shift),
				 at, c);
	}
	if (r->state == FINE && !complete(c))
		r->state = TORN;
}

static void add_copy(struct reader *r, struct caches *all)
{
	structure cache;
	uint64_t at;

	if (!fetch(r, r->page->caches, &at, sizeof(at)))
		return;
	while (at && fetch_struct(r, at, STATS_CACHE, cache)) {
		if (r->nr_caches++ == MOST_CACHES)
			r->state = TORN;
		/* Those without users are destroyed. */
		if (get(r, cache, CACHE_REFCOUNT))
			add_cache(r, cache, all);
		at = get(r, cache, CACHE_NEXT);
	}
}

bool read_process(const struct process *p, struct caches *all)
{
	struct reader r;

	for (int i = 0; i < TRIES; i++) {
		r = (struct reader){ .process = p };
		*all = (struct caches){ 0 };
		for (unsigned int copy = 0; copy < p->nr; copy++) {
			r.page = &p->copy[copy];
			add_copy(&r, all);
		}
		if (r.state == FINE)
			return true;
		free_caches(all);
		if (r.state == ENDED)
			return false;
	}
	die("process %s: its statistics lead nowhere", p->name);
}
