// SPDX-License-Identifier: MIT
/*
 * What the library says of itself: slabinfo as the kernel writes it, read by
 * the kernel's own tools; rn_vmstat(); and the dumps that RN_SLABINFO asks for.
 */
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mntent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char head[] = "slabinfo - version: 2.1\n"
	"# name            <active_objs> <num_objs> <objsize> <objperslab> "
	"<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
	"slabdata <active_slabs> <num_slabs> <sharedavail>\n";

static struct rn_cache *test_cache(size_t size)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("selftest", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

/* --- the text --- */

START_TEST(format)
{
	unsigned int lines = 0, size_before = 0;
	char *text, *line;
	struct slabinfo s;

	/* From the largest down; the lines are in the order of their sizes. */
	for (size_t size = 64 << 10; size >= 8; size /= 2)
		rn_free(rn_alloc(opaque(size), 0));
	text = dump_text(rn_slabinfo);
	ck_assert(!strncmp(text, head, strlen(head)));
	for (line = text + strlen(head); *line; lines++) {
		size_t len = strcspn(line, "\n");

		ck_assert_int_eq(line[len], '\n');
		ck_assert_msg(slabinfo_parse(line, len, &s), "%.*s", (int)len,
			      line);
		ck_assert_uint_le(s.active, s.objects);
		ck_assert_uint_eq(s.objects, s.slabs * s.per_slab);
		ck_assert_uint_le(s.per_slab * s.size,
				  s.pages_per_slab * 4096);
		ck_assert_uint_gt(s.size, size_before);
		size_before = s.size;
		line += len + 1;
	}
	/* 8 bytes to 64 KiB, and no other class was asked for. */
	ck_assert_uint_eq(lines, 14);
	free(text);
}
END_TEST

/* A cache of a class' shape shares its slabs, whoever comes first. */
START_TEST(classes_are_there_to_merge_with)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 320 };
	struct rn_cache *c = rn_cache_create("selftest", &args);
	struct slabinfo s;
	void *p;

	ck_assert_ptr_nonnull(c);
	ck_assert_str_eq(rn_cache_name(c), "kmalloc-320");
	p = rn_alloc(opaque(320), 0);
	ck_assert(slabinfo_of("kmalloc-320", &s));
	ck_assert_uint_eq(s.active, 1);
	rn_free(p);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(exact_when_quiet)
{
	enum { MANY = 12345 };
	static void *p[MANY];
	struct rn_cache *c = test_cache(120);
	struct slabinfo s;
	size_t held = 0;

	for (size_t i = 0; i < MANY; i++) {
		p[i] = rn_cache_alloc(c, 0);
		held++;
		if (i % 1000 == 0) {
			ck_assert(slabinfo_of("selftest", &s));
			ck_assert_uint_eq(s.active, held);
		}
	}
	for (size_t i = 0; i < MANY; i++) {
		rn_cache_free(c, p[i]);
		held--;
		if (i % 1000 == 0) {
			ck_assert(slabinfo_of("selftest", &s));
			ck_assert_uint_eq(s.active, held);
		}
	}
	ck_assert(slabinfo_of("selftest", &s));
	ck_assert_uint_eq(s.active, 0);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(operations_are_counted)
{
	enum { PAIRS = 100000, MANY = 3000 };
	static void *p[MANY];
	struct rn_cache *c = test_cache(120);
	long allocs, frees;

	rn_cache_free(c, rn_cache_alloc(c, 0));
	allocs = vmstat("alloc_fastpath") + vmstat("alloc_slowpath");
	frees = vmstat("free_fastpath") + vmstat("free_slowpath");
	for (int i = 0; i < PAIRS; i++)
		rn_cache_free(c, rn_cache_alloc(c, 0));
	for (int i = 0; i < MANY; i++)
		p[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < MANY; i++)
		rn_cache_free(c, p[i]);
	ck_assert_int_eq(vmstat("alloc_fastpath") + vmstat("alloc_slowpath"),
			 allocs + PAIRS + MANY);
	ck_assert_int_eq(vmstat("free_fastpath") + vmstat("free_slowpath"),
			 frees + PAIRS + MANY);
	/* Nearly all of them were fast. */
	ck_assert_int_lt(vmstat("alloc_slowpath"), PAIRS / 100);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}
END_TEST

START_TEST(vmstat_format)
{
	static const char *const names[] = {
		"percpu_rseq", "percpu_fallback", "rseq_aborts", "nr_caches",
		"nr_slabs", "alloc_fastpath", "alloc_slowpath",
		"free_fastpath", "free_slowpath", "sheaf_refill",
		"sheaf_flush", "meta_kbytes",
	};
	char *text, *line;

	rn_free(rn_alloc(100, 0));
	text = dump_text(rn_vmstat);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char name[100], value[100], end;

		if (*line == '#')
			continue;
		ck_assert_msg(sscanf(line, "%99[a-zA-Z0-9_] %99[0-9]%c", name,
				     value, &end) == 2, "%s", line);
	}
	free(text);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ck_assert_msg(vmstat(names[i]) >= 0, "no %s", names[i]);
	ck_assert_int_ne(vmstat("percpu_rseq"), vmstat("percpu_fallback"));
	if (forced_fallback())
		ck_assert_int_eq(vmstat("percpu_fallback"), 1);
}
END_TEST

START_TEST(bad_descriptor)
{
	int full = open("/dev/full", O_WRONLY);

	ck_assert_int_eq(rn_slabinfo(-1), -EBADF);
	ck_assert_int_eq(rn_vmstat(-1), -EBADF);
	ck_assert_int_eq(rn_slabinfo(full), -ENOSPC);
	ck_assert_int_eq(rn_vmstat(full), -ENOSPC);
	close(full);
}
END_TEST

/* --- read by the stock tools --- */

/* In the child: @path in place of /proc/slabinfo, then the tool. */
static void exec_with_slabinfo(const char *path, const char *command)
{
	int flags = CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0);

	if (unshare(flags) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(path, "/proc/slabinfo", NULL, MS_BIND, NULL))
		_exit(77);
	execlp("sh", "sh", "-c", command, NULL);
	_exit(1);
}

/* What the tool says, in @out; NULL, or why it cannot be asked. */
static const char *ask(const char *path, const char *command, char *out,
		       size_t size)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		exec_with_slabinfo(path, command);
	}
	close(fds[1]);
	while ((n = read(fds[0], out + len, size - 1 - len)) > 0)
		len += n;
	out[len] = '\0';
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		return "no right to mount over /proc/slabinfo, or none there";
	if (WEXITSTATUS(status) == 127)
		return "the tool is not installed (procps)";
	ck_assert_msg(!WEXITSTATUS(status), "%s: status %d: %s", command,
		      WEXITSTATUS(status), out);
	return NULL;
}

/* The library's slabinfo in a file, while @held objects are out. */
static void write_slabinfo(char *path, struct slabinfo *s)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0644), 0);
	ck_assert_int_eq(rn_slabinfo(fd), 0);
	close(fd);
	ck_assert(slabinfo_of("selftest", s));
}

/* The line of @text that has "selftest" in it. */
static const char *our_line(const char *text)
{
	const char *at = strstr(text, "selftest");

	ck_assert_msg(at, "not in: %s", text);
	while (at > text && at[-1] != '\n')
		at--;
	return at;
}

START_TEST(stock_tools)
{
	char path[] = "/tmp/slabinfo-XXXXXX";
	unsigned long num, total, size, pages, slabs, per_slab;
	struct rn_cache *c = test_cache(1000);
	static char out[1 << 16];
	struct slabinfo s;
	static void *p[2000];
	const char *why;

	setenv("TERM", "dumb", 1);
	rn_cache_alloc_bulk(c, 0, ARRAY_LEN(p), p);
	write_slabinfo(path, &s);
	ck_assert_uint_eq(s.active, ARRAY_LEN(p));
	why = ask(path, "vmstat -m", out, sizeof(out));
	if (why) {
		skip_part("stock_tools (vmstat -m)", why);
	} else {
		ck_assert_int_eq(sscanf(our_line(out), "selftest %lu %lu %lu "
					"%lu", &num, &total, &size, &pages), 4);
		ck_assert_uint_eq(num, s.active);
		ck_assert_uint_eq(total, s.objects);
		ck_assert_uint_eq(size, s.size);
		ck_assert_uint_eq(pages, s.per_slab);
	}
	why = ask(path, "slabtop -o -s o", out, sizeof(out));
	if (why) {
		skip_part("stock_tools (slabtop -o)", why);
	} else {
		ck_assert_int_eq(sscanf(our_line(out), " %lu %lu %*s %*s %lu "
					"%lu", &total, &num, &slabs,
					&per_slab), 4);
		ck_assert_uint_eq(num, s.active);
		ck_assert_uint_eq(total, s.objects);
		ck_assert_uint_eq(slabs, s.slabs);
		ck_assert_uint_eq(per_slab, s.per_slab);
	}
	unlink(path);
	rn_cache_free_bulk(c, ARRAY_LEN(p), p);
}
END_TEST

/* Allocations so far, in the two ways that nodes count them. */
static void expect_hits(long since, long n)
{
	ck_assert_int_eq(vmstat_nodes("numa_hit") + vmstat_nodes("numa_miss") -
			 since, n);
	ck_assert_int_eq(vmstat_nodes("local_node") +
			 vmstat_nodes("other_node") - since, n);
	ck_assert_int_eq(vmstat_nodes("numa_miss"),
			 vmstat_nodes("numa_foreign"));
}

/* Each allocation once, whichever path it took, and no free. */
START_TEST(nodes_count_allocations)
{
	struct rn_cache *c = test_cache(1000);
	static void *p[3000];
	long since = vmstat_nodes("numa_hit") + vmstat_nodes("numa_miss");
	void *run;

	ck_assert_uint_eq(rn_cache_alloc_bulk(c, 0, ARRAY_LEN(p), p),
			  ARRAY_LEN(p));
	expect_hits(since, ARRAY_LEN(p));
	ck_assert_int_eq(vmstat_nodes("objects_active"), slabinfo_active());
	rn_cache_free_bulk(c, ARRAY_LEN(p), p);
	expect_hits(since, ARRAY_LEN(p));
	for (int i = 0; i < 10000; i++)
		rn_cache_free(c, rn_cache_alloc(c, 0));
	expect_hits(since, ARRAY_LEN(p) + 10000);
	rn_shrink_all();
	expect_hits(since, ARRAY_LEN(p) + 10000);
	run = rn_alloc(1 << 20, 0);
	expect_hits(since, ARRAY_LEN(p) + 10001);
	rn_free(run);
	rn_free_pages(rn_alloc_pages(3, 0, 0), 3);
	expect_hits(since, ARRAY_LEN(p) + 10002);
	ck_assert_int_eq(vmstat_nodes("slabs"), vmstat("nr_slabs"));
	rn_free(rn_alloc(100, 0));
	ck_assert_int_gt(vmstat_nodes("slab_kbytes"), 0);
}
END_TEST

/* --- RN_SLABINFO --- */

/* As programs do that have their state in ps's output. */
static void write_over_environment(void)
{
	for (char **e = environ; *e; e++)
		memset(*e, 'x', strlen(*e));
}

/* A child that uses the library and ends as programs do. */
static void run_child(int raise_signal)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct rn_cache *c = test_cache(1000);
		void *p = rn_cache_alloc(c, 0);

		write_over_environment();
		if (raise_signal) {
			raise(raise_signal);
			_exit(p ? 0 : 1);
		}
		exit(p ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void expect_dump(const char *text)
{
	struct slabinfo s;
	const char *line;

	ck_assert_msg(!strncmp(text, head, strlen(head)), "%s", text);
	line = our_line(text);
	ck_assert(slabinfo_parse(line, strcspn(line, "\n"), &s));
	ck_assert_uint_eq(s.active, 1);
}

static void expect_dump_in(const char *path)
{
	static char text[1 << 16];
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	expect_dump(text);
}

START_TEST(dump_at_exit)
{
	char path[] = "/tmp/slabinfo-XXXXXX", *text;

	close(mkstemp(path));
	setenv("RN_SLABINFO", path, 1);
	run_child(0);
	expect_dump_in(path);
	unlink(path);
	setenv("RN_SLABINFO", "stderr", 1);
	stderr_catch();
	run_child(0);
	text = stderr_caught();
	expect_dump(text);
	free(text);
}
END_TEST

START_TEST(vmstat_at_exit)
{
	char path[] = "/tmp/vmstat-XXXXXX";
	static char text[1 << 16];
	FILE *f;

	close(mkstemp(path));
	setenv("RN_VMSTAT", path, 1);
	run_child(0);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	ck_assert_int_eq(number_after(text, "nr_slabs"), 1);
	ck_assert_ptr_nonnull(strstr(text, "\nnode0_numa_hit "));
	unlink(path);
}
END_TEST

START_TEST(dump_on_signal)
{
	char path[] = "/tmp/slabinfo-XXXXXX", *text;

	close(mkstemp(path));
	setenv("RN_SLABINFO", path, 1);
	setenv("RN_SLABINFO_SIGNAL", "USR2", 1);
	run_child(SIGUSR2);
	expect_dump_in(path);
	unlink(path);
	/* By number, and to where it goes unless said otherwise. */
	unsetenv("RN_SLABINFO");
	setenv("RN_SLABINFO_SIGNAL", "10", 1);
	stderr_catch();
	run_child(10);
	text = stderr_caught();
	expect_dump(text);
	free(text);
}
END_TEST

START_TEST(dump_goes_nowhere)
{
	char *text;

	setenv("RN_SLABINFO", "/nonexistent/file", 1);
	stderr_catch();
	run_child(0);
	text = stderr_caught();
	ck_assert_str_eq(text, "libslab: RN_SLABINFO=/nonexistent/file: No "
			 "such file or directory\n");
	free(text);
}
END_TEST

/* --- what is said of the system --- */

static bool hugetlbfs_is_mounted(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	bool found = false;
	struct mntent *m;

	ck_assert_ptr_nonnull(mounts);
	while (!found && (m = getmntent(mounts)))
		found = !strcmp(m->mnt_type, "hugetlbfs") &&
			hasmntopt(m, "pagesize=2M");
	endmntent(mounts);
	return found;
}

START_TEST(mounts_are_said)
{
	if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK)) {
		skip_part(__func__, "no hugetlb pages of 2 MiB");
		return;
	}
	ck_assert_uint_eq(vmstat("hugetlb_2048kB_mounted"),
			  hugetlbfs_is_mounted());
}
END_TEST

/* --- options that are not understood --- */

START_TEST(bad_options)
{
	static const struct {
		const char *name, *value, *said;
	} bad[] = {
		{ "RN_LADER", "thp", "RN_LADER is not an option; ignored" },
		{ "RN_RESERVATION", "12x", "RN_RESERVATION=12x is not a size "
		  "such as 512M or 2G; ignored" },
		{ "RN_LADDER", "thp,big", "RN_LADDER=thp,big is not a list of "
		  "hugetlb, thp, other and small; ignored" },
		{ "RN_SLABINFO_SIGNAL", "WHAT", "RN_SLABINFO_SIGNAL=WHAT is "
		  "not a signal; ignored" },
		{ "RN_FORK", "copy\nlibslab: BUG\033[2J", "RN_FORK=copy?libslab"
		  ": BUG?[2J is not share or copy; ignored" },
	};
	char expected[200], *text;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		/* With the default one, an emulator's tables take minutes. */
		if (emulator() && !strcmp(bad[i].name, "RN_RESERVATION"))
			continue;
		setenv(bad[i].name, bad[i].value, 1);
		stderr_catch();
		fflush(stdout);
		if (!fork()) {
			void *p = rn_alloc(100, 0);

			_exit(p ? 0 : 1);
		}
		wait(NULL);
		text = stderr_caught();
		snprintf(expected, sizeof(expected), "libslab: %s\n",
			 bad[i].said);
		ck_assert_str_eq(text, expected);
		free(text);
		unsetenv(bad[i].name);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slabinfo");
	TCase *text = tcase_create("text");
	TCase *tools = tcase_create("tools");
	TCase *dumps = tcase_create("dumps");

	tcase_add_test(text, format);
	tcase_add_test(text, classes_are_there_to_merge_with);
	tcase_add_test(text, exact_when_quiet);
	tcase_add_test(text, operations_are_counted);
	tcase_add_test(text, vmstat_format);
	tcase_add_test(text, nodes_count_allocations);
	tcase_add_test(text, mounts_are_said);
	tcase_add_test(text, bad_descriptor);
	tcase_add_test(tools, stock_tools);
	tcase_add_test(dumps, dump_at_exit);
	tcase_add_test(dumps, vmstat_at_exit);
	tcase_add_test(dumps, dump_on_signal);
	tcase_add_test(dumps, dump_goes_nowhere);
	tcase_add_test(dumps, bad_options);
	tcase_set_timeout(text, 30);
	tcase_set_timeout(tools, 30);
	suite_add_tcase(s, text);
	suite_add_tcase(s, tools);
	suite_add_tcase(s, dumps);
	return suite_main(s);
}
