// SPDX-License-Identifier: MIT
/*
 * What is mapped where, from /proc/self/maps: without a lock, so that it may be
 * asked in a handler. The loader knows it, too, but has one.
 */
#include "maps.h"
#include "syscalls.h"

#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

int maps_open(struct maps *m)
{
	m->fd = sys_open("/proc/self/maps", O_RDONLY, 0);
	m->at = m->len = 0;
	return m->fd < 0 ? -errno : 0;
}

/* More of the file behind what is there. */
static bool read_more(struct maps *m)
{
	ssize_t n;

	memmove(m->buf, m->buf + m->at, m->len - m->at);
	m->len -= m->at;
	m->at = 0;
	n = sys_read(m->fd, m->buf + m->len, sizeof(m->buf) - m->len);
	if (n > 0)
		m->len += n;
	return n > 0;
}

/* Ended by a 0 in place of its newline; NULL at the end. */
static char *next_line(struct maps *m)
{
	char *line, *end;

	do {
		line = m->buf + m->at;
		end = memchr(line, '\n', m->len - m->at);
	} while (!end && read_more(m));
	if (!end)
		return NULL;
	*end = '\0';
	m->at = end + 1 - m->buf;
	return line;
}

/* "start-end perms offset major:minor inode path" */
static void parse(char *at, struct mapping *line)
{
	line->start = strtoul(at, &at, 16);
	line->end = strtoul(at + 1, &at, 16);
	line->readable = at[1] == 'r';
	line->executable = at[3] == 'x';
	at += strlen(" rwxp");
	line->offset = strtoul(at, &at, 16);
	line->device = strtoul(at, &at, 16) << 32;
	line->device |= strtoul(at + 1, &at, 16);
	line->inode = strtoul(at, &at, 10);
	line->path = at + strspn(at, " ");
}

bool maps_next(struct maps *m, struct mapping *line)
{
	char *at = next_line(m);

	if (at)
		parse(at, line);
	else
		sys_close(m->fd);
	return at != NULL;
}

/* --- build ids --- */

/* Of the notes in [@at, @end); 4 bytes are the unit of all. */
static size_t find_note(const char *at, const char *end, const u8 **id)
{
	while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *name = at + sizeof(*note);
		const char *desc = name + ALIGN((size_t)note->n_namesz, 4);

		at = desc + ALIGN((size_t)note->n_descsz, 4);
		if (at > end)
			break;
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
		    memcmp(name, "GNU", 4))
			continue;
		*id = (const u8 *)desc;
		return note->n_descsz;
	}
	return 0;
}

size_t maps_build_id(const struct mapping *first, const u8 **id)
{
	const ElfW(Ehdr) *elf = (const void *)first->start;
	size_t bytes = first->end - first->start, len = 0;
	const ElfW(Phdr) *ph;

	if (!first->readable || first->offset || bytes < sizeof(*elf) ||
	    memcmp(elf->e_ident, ELFMAG, SELFMAG) || elf->e_phoff >= bytes ||
	    elf->e_phnum > (bytes - elf->e_phoff) / sizeof(*ph))
		return 0;
	ph = (const void *)(first->start + elf->e_phoff);
	/* Where it is in the file, it is from the start of the mapping. */
	for (int i = 0; i < elf->e_phnum && !len; i++)
		if (ph[i].p_type == PT_NOTE && ph[i].p_offset < bytes &&
		    ph[i].p_filesz <= bytes - ph[i].p_offset)
			len = find_note((const char *)elf + ph[i].p_offset,
					(const char *)elf + ph[i].p_offset +
					ph[i].p_filesz, id);
	return len;
}
