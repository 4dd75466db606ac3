// SPDX-License-Identifier: MIT
/*
 * Where the runs take place: CPUs and nodes allowed, and what of the machine
 * decides the figures.
 */
#include <numa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "slabbench.h"

/* "0-3,8" in the kernel's manner; as much as fits. */
static void format_list(const struct bitmask *mask, char *buf, size_t len)
{
	unsigned int n = mask->size, i = 0;
	size_t used = 0;

	buf[0] = '\0';
	while (i < n) {
		unsigned int first, last;

		if (!numa_bitmask_isbitset(mask, i)) {
			i++;
			continue;
		}
		for (first = i; i < n && numa_bitmask_isbitset(mask, i); i++)
			;
		last = i - 1;
		used += snprintf(buf + used, len - used,
				 first == last ? "%s%u" : "%s%u-%u",
				 used ? "," : "", first, last);
		if (used >= len)
			return;
	}
}

void cpus_allowed(char *buf, size_t len)
{
	struct bitmask *mask = numa_allocate_cpumask();

	snprintf(buf, len, "unknown");
	if (numa_sched_getaffinity(0, mask) >= 0)
		format_list(mask, buf, len);
	numa_free_cpumask(mask);
}

/* What the cpuset and a binding policy (numactl --membind) leave. */
void nodes_allowed(char *buf, size_t len)
{
	struct bitmask *mask, *bound;

	snprintf(buf, len, "unknown");
	if (numa_available() < 0)
		return;
	mask = numa_get_mems_allowed();
	bound = numa_get_membind();
	for (unsigned int i = 0; i < mask->size; i++)
		if (!numa_bitmask_isbitset(bound, i))
			numa_bitmask_clearbit(mask, i);
	format_list(mask, buf, len);
	numa_bitmask_free(mask);
	numa_bitmask_free(bound);
}

static void first_line(const char *path, const char *prefix, char *buf,
		       size_t len)
{
	FILE *f = fopen(path, "re");
	char line[512];

	snprintf(buf, len, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *value = line;

		if (strncmp(line, prefix, strlen(prefix)))
			continue;
		if (*prefix)
			value = strchr(line, ':');
		if (!value)
			break;
		value += strspn(value, ": \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(buf, len, "%s", value);
		break;
	}
	if (f)
		fclose(f);
}

/* "always [madvise] never" to "madvise" */
static void chosen(char *buf)
{
	char *open = strchr(buf, '['), *close = strchr(buf, ']');

	if (!open || !close || close < open)
		return;
	*close = '\0';
	memmove(buf, open + 1, strlen(open));
}

void print_where(FILE *out)
{
	char cpu[128], thp[128], load[128], cpus[256], nodes[256];
	struct utsname u;

	first_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
	first_line("/sys/kernel/mm/transparent_hugepage/enabled", "", thp,
		   sizeof(thp));
	chosen(thp);
	first_line("/proc/loadavg", "", load, sizeof(load));
	load[strcspn(load, " ")] = '\0';
	cpus_allowed(cpus, sizeof(cpus));
	nodes_allowed(nodes, sizeof(nodes));
	if (uname(&u))
		strcpy(u.release, "unknown");
	fprintf(out, "# %s, Linux %s, CPUs allowed %s, nodes allowed %s\n",
		cpu, u.release, cpus, nodes);
	fprintf(out, "# THP %s, free hugetlb pages %llu of %llu kB, load %s\n",
		thp, (unsigned long long)meminfo_kb("HugePages_Free"),
		(unsigned long long)meminfo_kb("Hugepagesize"), load);
}
