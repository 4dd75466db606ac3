// SPDX-License-Identifier: MIT
/*
 * The tables: customers, their orders, and payments for these. What is in a row
 * follows from its table and id alone, so the right answers are known when the
 * rows are written.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rn/slab.h>

#include "queries.h"

struct table tables[NR_TABLES] = {
	{ .nr = 0, .name = "customers" },
	{ .nr = 1, .name = "orders", .parent = &tables[0] },
	{ .nr = 2, .name = "payments", .parent = &tables[1] },
};

static struct row make_row(const struct table *t, uint64_t id)
{
	uint64_t r = scramble(id << 2 | t->nr);
	struct row row = {
		.id = id, .kind = r % NR_KINDS, .value = r >> 32 & 0xff,
	};

	/* One in five has an owner that is not there. */
	if (t->parent)
		row.owner = 1 + scramble(r) % (t->parent->nr_rows * 5 / 4 + 1);
	return row;
}

static void add_answers(struct table *t, const struct row *row)
{
	struct answer *scan = &t->scan[row->kind], *join = &t->join[row->kind];

	scan->rows++;
	scan->sum += row->value;
	if (!t->parent || row->owner > t->parent->nr_rows)
		return;
	join->rows++;
	join->sum += row->value * make_row(t->parent, row->owner).value;
}

/* All pages are full but the last one. */
size_t table_rows(const struct table *t, size_t page)
{
	size_t rest = t->nr_rows - page * PAGE_ROWS;

	return rest < PAGE_ROWS ? rest : PAGE_ROWS;
}

/* Without a name, the file is gone when this program is, however it ends. */
static int open_nameless(const char *dir)
{
	sigset_t all, before;
	char *path;
	int fd;

	if (asprintf(&path, "%s/queries-XXXXXX", dir) < 0)
		die("no memory");
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path))
		die("%s: %s", path, strerror(errno));
	sigprocmask(SIG_SETMASK, &before, NULL);
	free(path);
	return fd;
}

static void make_table(struct table *t, const char *dir, uint64_t rows)
{
	struct row *page = rn_zalloc(PAGE_BYTES, RN_KERNEL);
	FILE *file;

	t->nr_rows = rows;
	t->nr_pages = (rows + PAGE_ROWS - 1) / PAGE_ROWS;
	t->ready = rn_calloc(t->nr_pages, sizeof(*t->ready), RN_KERNEL);
	t->fd = open_nameless(dir);
	file = fdopen(dup(t->fd), "w");
	if (!page || !t->ready || !file)
		die("the table %s: %s", t->name, strerror(errno));
	for (size_t nr = 0; nr < t->nr_pages; nr++) {
		for (size_t i = 0; i < table_rows(t, nr); i++) {
			page[i] = make_row(t, nr * PAGE_ROWS + i + 1);
			add_answers(t, &page[i]);
		}
		if (!fwrite(page, PAGE_BYTES, 1, file))
			die("the table %s: %s", t->name, strerror(errno));
	}
	if (fclose(file))
		die("the table %s: %s", t->name, strerror(errno));
	rn_free(page);
}

void tables_make(const char *dir, uint64_t rows)
{
	make_table(&tables[0], dir, (rows + 3) / 4);
	make_table(&tables[1], dir, rows);
	make_table(&tables[2], dir, rows);
}

void tables_close(void)
{
	for (unsigned int i = 0; i < NR_TABLES; i++) {
		close(tables[i].fd);
		rn_free(tables[i].ready);
	}
}

void table_read(const struct table *t, size_t page, void *to)
{
	size_t done = 0;

	while (done < PAGE_BYTES) {
		ssize_t n = pread(t->fd, (char *)to + done, PAGE_BYTES - done,
				  page * PAGE_BYTES + done);

		if (!n || (n < 0 && errno != EINTR))
			die("page %zu of the table %s: %s", page, t->name,
			    n ? strerror(errno) : "the file ends before it");
		done += n > 0 ? n : 0;
	}
}
