// SPDX-License-Identifier: MIT
/*
 * Where the runs take place: CPUs and nodes allowed, what of the machine
 * decides the figures, and what makes them shaky.
 */
#include <numa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "slabbench.h"

#define CPU_DIR	"/sys/devices/system/cpu/"
#define THP_DIR	"/sys/kernel/mm/transparent_hugepage/"
#define DMI_DIR	"/sys/class/dmi/id/"

/* In percent of the CPUs' time: from here on it is said. */
#define LOAD_NOTED	10
#define STEAL_NOTED	0.1

/* Before the runs: their own load says nothing about the machine. */
static double load_before;

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

static bool is_text(const char *path, const char *text)
{
	char line[64];

	first_line(path, "", line, sizeof(line));
	return !strcmp(line, text);
}

static bool have_cpu_flag(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL, *word;
	bool found = false;
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		if (strncmp(line, "flags", strlen("flags")))
			continue;
		word = strtok(line, " \t\n");
		for (; word && !found; word = strtok(NULL, " \t\n"))
			found = !strcmp(word, flag);
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* The maker and the product, where they are a virtual machine's. */
static bool name_virtual_machine(char *buf, size_t len)
{
	static const char *const signs[] = {
		"QEMU", "KVM", "Bochs", "Xen", "VMware", "Virtual",
		"Amazon EC2", "Google Compute",
	};
	char vendor[64], product[64];

	first_line(DMI_DIR "sys_vendor", "", vendor, sizeof(vendor));
	first_line(DMI_DIR "product_name", "", product, sizeof(product));
	snprintf(buf, len, "%.*s %.*s", 32, vendor, 32, product);
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (strstr(buf, signs[i]))
			return true;
	return false;
}

/* Only x86 has a flag for it; elsewhere there may be one that is not seen. */
static void find_hypervisor(char *buf, size_t len)
{
	first_line("/sys/hypervisor/type", "", buf, len);
	if (strcmp(buf, "unknown"))
		return;
	/* "Amazon EC2 m5.metal" is the whole machine. */
	if (name_virtual_machine(buf, len) && !strstr(buf, ".metal"))
		return;
	snprintf(buf, len, have_cpu_flag("hypervisor") ? "unnamed" : "none");
}

/* arm64 has numbers instead of a name. */
static void find_cpu_model(char *buf, size_t len)
{
	char maker[16], part[16];

	first_line("/proc/cpuinfo", "model name", buf, len);
	if (strcmp(buf, "unknown"))
		return;
	first_line("/proc/cpuinfo", "CPU implementer", maker, sizeof(maker));
	first_line("/proc/cpuinfo", "CPU part", part, sizeof(part));
	if (strcmp(part, "unknown"))
		snprintf(buf, len, "CPU implementer %s part %s", maker, part);
}

void machine_read(struct machine *m)
{
	struct utsname u;

	find_cpu_model(m->cpu, sizeof(m->cpu));
	first_line(THP_DIR "enabled", "", m->thp, sizeof(m->thp));
	chosen(m->thp);
	find_hypervisor(m->hypervisor, sizeof(m->hypervisor));
	snprintf(m->kernel, sizeof(m->kernel), "%s",
		 uname(&u) ? "unknown" : u.release);
}

/* To be called before the first run. */
void where_start(void)
{
	double load;

	if (getloadavg(&load, 1) == 1)
		load_before = load;
}

static void shaky(FILE *out, const char *what, const char *cure)
{
	fprintf(out, "# shaky: %s: %s\n", what, cure);
}

static void say_frequency(FILE *out, const struct machine *m)
{
	char governor[32], what[64];

	first_line(CPU_DIR "cpu0/cpufreq/scaling_governor", "", governor,
		   sizeof(governor));
	snprintf(what, sizeof(what), "frequency governor %s", governor);
	if (strcmp(governor, "unknown") && strcmp(governor, "performance"))
		shaky(out, what, "echo performance | sudo tee " CPU_DIR
		      "cpu*/cpufreq/scaling_governor");
	if (is_text(CPU_DIR "intel_pstate/no_turbo", "0"))
		shaky(out, "turbo on", "echo 1 | sudo tee " CPU_DIR
		      "intel_pstate/no_turbo");
	else if (is_text(CPU_DIR "cpufreq/boost", "1"))
		shaky(out, "turbo on", "echo 0 | sudo tee " CPU_DIR
		      "cpufreq/boost");
	else if (!strcmp(governor, "unknown") && !strcmp(m->hypervisor, "none"))
		shaky(out, "frequency and turbo not visible here",
		      "the firmware's setup may have switches");
}

/* Of all CPU time since boot, in percent, what the host gave to others. */
static double steal_percent(void)
{
	unsigned long long v[8] = { 0 }, sum = 0;
	FILE *f = fopen("/proc/stat", "re");
	int n = 0;

	if (f) {
		n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu",
			   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6],
			   &v[7]);
		fclose(f);
	}
	for (int i = 0; i < n; i++)
		sum += v[i];
	return sum ? 100.0 * v[7] / sum : 0;
}

static void say_neighbours(FILE *out, const struct machine *m)
{
	double percent = 100 * load_before / sysconf(_SC_NPROCESSORS_ONLN);
	double steal = steal_percent();
	char what[160];

	if (strcmp(m->hypervisor, "none")) {
		snprintf(what, sizeof(what), "virtual machine (%s)",
			 m->hypervisor);
		shaky(out, what, "frequency and turbo are not visible here; only a machine of one's own is free of its host");
	}
	snprintf(what, sizeof(what), "%.1f%% of the time since boot went to other machines (steal)",
		 steal);
	if (steal >= STEAL_NOTED)
		shaky(out, what, "more runs (-r), or another hour");
	if (percent >= LOAD_NOTED)
		shaky(out, "other programs ran, too (load)",
		      "end them, and wait for a minute");
	if (is_text(CPU_DIR "smt/active", "1"))
		shaky(out, "CPUs share cores (SMT)",
		      "echo off | sudo tee " CPU_DIR "smt/control");
}

static void say_memory(FILE *out, const struct machine *m)
{
	char defrag[64];
	int persona = personality(0xffffffff);

	if (!strcmp(m->thp, "always"))
		shaky(out, "THP always, wherever memory happens to allow it",
		      "echo madvise | sudo tee " THP_DIR "enabled");
	first_line(THP_DIR "defrag", "", defrag, sizeof(defrag));
	chosen(defrag);
	if (!strcmp(defrag, "always"))
		shaky(out, "THP defrag always, so that page faults compact memory",
		      "echo madvise | sudo tee " THP_DIR "defrag");
	if (!meminfo_kb("HugePages_Free"))
		shaky(out, "no free hugetlb pages, so that others were taken",
		      "echo 512 | sudo tee /proc/sys/vm/nr_hugepages");
	if (!is_text("/proc/sys/kernel/randomize_va_space", "0") &&
	    !(persona != -1 && persona & ADDR_NO_RANDOMIZE))
		shaky(out, "addresses differ from run to run (ASLR)",
		      "setarch -R slabbench ...");
}

static void say_counters(FILE *out)
{
	const char *sep = "# not counted here:";

	for (int e = 0; e < NR_EVENTS; e++) {
		if (counters_have(e))
			continue;
		fprintf(out, "%s %s", sep, event_names[e]);
		sep = ",";
	}
	if (*sep == ',')
		fprintf(out, " (no such counter, or kernel.perf_event_paranoid is above 2)\n");
}

void print_where(FILE *out)
{
	char cpus[256], nodes[256];
	struct machine m;

	machine_read(&m);
	cpus_allowed(cpus, sizeof(cpus));
	nodes_allowed(nodes, sizeof(nodes));
	fprintf(out, "# %s, Linux %s, CPUs allowed %s, nodes allowed %s\n",
		m.cpu, m.kernel, cpus, nodes);
	fprintf(out, "# THP %s, free hugetlb pages %llu of %llu kB, load before %.2f\n",
		m.thp, (unsigned long long)meminfo_kb("HugePages_Free"),
		(unsigned long long)meminfo_kb("Hugepagesize"), load_before);
	say_counters(out);
	say_frequency(out, &m);
	say_neighbours(out, &m);
	say_memory(out, &m);
}
