// SPDX-License-Identifier: MIT
/*
 * Memory of a process as the kernel counts it. VmRSS and VmHWM leave hugetlb
 * pages out, so a figure of memory is always the two together.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "slabbench.h"

/* No stdio: this runs in the measured process, and its malloc is measured. */
static ssize_t read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (used < len - 1 && (n = read(fd, buf + used, len - 1 - used)) > 0)
		used += n;
	close(fd);
	buf[used] = '\0';
	return used ? (ssize_t)used : -1;
}

/* The number after "@field:" at the start of a line, or 0 without one. */
static uint64_t field_kb(const char *text, const char *field)
{
	size_t len = strlen(field);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, field, len) && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10);
		if (!*line)
			break;
	}
	return 0;
}

/* 0, or -1 with errno: the process has gone, or /proc is not there. */
int read_memory(const char *status, struct memory *m)
{
	char buf[8192];

	if (read_file(status, buf, sizeof(buf)) < 0)
		return -1;
	m->hwm_kb = field_kb(buf, "VmHWM");
	m->rss_kb = field_kb(buf, "VmRSS");
	m->hugetlb_kb = field_kb(buf, "HugetlbPages");
	m->vsz_kb = field_kb(buf, "VmPeak");
	return 0;
}

/* Of this process, as the page tables have it; 0 where that is not told. */
uint64_t rollup_rss_kb(void)
{
	char buf[4096];

	return read_file("/proc/self/smaps_rollup", buf, sizeof(buf)) < 0 ?
		0 : field_kb(buf, "Rss");
}

uint64_t meminfo_kb(const char *field)
{
	char buf[8192];

	return read_file("/proc/meminfo", buf, sizeof(buf)) < 0 ?
		0 : field_kb(buf, field);
}
