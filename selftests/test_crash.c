// SPDX-License-Identifier: MIT
/*
 * What must end the program does, by SIGABRT and with exactly one line. One
 * program for each is in crash/; it says which address the line will name.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <rn/slab.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/**
 * struct crash - one program
 * @name: crash/NAME
 * @line: what it must say behind "libslab: "; %s is the address
 * @setting: NAME=VALUE for its environment, or NULL
 */
static const struct crash {
	const char *name, *line, *setting;
} crashes[] = {
	{ "double_free", "BUG kmalloc-64: double free of %s", NULL },
	{ "double_free_later", "BUG kmalloc-64: double free of %s", NULL },
	{ "double_free_many", "BUG kmalloc-64: double free of %s", NULL },
	{ "double_free_ctor", "BUG made: double free of %s", NULL },
	{ "double_free_gone", "BUG: invalid free of %s: nothing is allocated "
	  "there", NULL },
	{ "double_free_hollow", "BUG kmalloc-4096: double free of %s",
	  "RN_LADDER=thp,small" },
	{ "double_free_large", "BUG: invalid free of %s: nothing is allocated "
	  "there", NULL },
	{ "free_middle", "BUG kmalloc-64: invalid free of %s: not the start "
	  "of an object", NULL },
	{ "free_unaligned", "BUG kmalloc-64: invalid free of %s: not the "
	  "start of an object", NULL },
	{ "free_middle_large", "BUG: invalid free of %s: nothing is allocated "
	  "there", NULL },
	{ "free_unaligned_large", "BUG: invalid free of %s: nothing is "
	  "allocated there", NULL },
	{ "free_malloced", "BUG: invalid free of %s: not memory of this "
	  "library", NULL },
	{ "free_stack", "BUG: invalid free of %s: not memory of this library",
	  NULL },
	{ "free_never_allocated", "BUG young: invalid free of %s: it was "
	  "never allocated", NULL },
	{ "free_idle_memory", "BUG: invalid free of %s: nothing is allocated "
	  "there", NULL },
	{ "free_bulk_foreign", "BUG: invalid free of %s: not memory of this "
	  "library", NULL },
	{ "cache_free_wrong", "BUG apples: invalid free of %s: it belongs to "
	  "cache pears", NULL },
	{ "cache_free_foreign", "BUG apples: invalid free of %s: not an "
	  "object of any cache", NULL },
	{ "cache_panic", "rn_cache_create(panic): invalid argument", NULL },
	{ "write_after_free", "BUG written: object %s was written to after it "
	  "was freed", NULL },
	{ "size_foreign", "BUG: rn_size(%s): not an object of this library",
	  NULL },
	{ "size_middle", "BUG: rn_size(%s): not an object of this library",
	  NULL },
	{ "realloc_foreign", "BUG: rn_size(%s): not an object of this library",
	  NULL },
	{ "nofail_size", "RN_NOFAIL: a request of 18446744073709551615 bytes "
	  "(flags 0x4) can never be met", NULL },
	{ "nofail_array", "RN_NOFAIL: a request of 18446744073709551615 bytes "
	  "(flags 0x4) can never be met", NULL },
	{ "nofail_flags", "RN_NOFAIL: a request of 64 bytes (flags 0x10004) can "
	  "never be met", NULL },
	{ "nofail_node", "RN_NOFAIL: a request of 64 bytes (flags 0x4) can "
	  "never be met", NULL },
	{ "pages_order", "rn_free_pages(%s): order 2, but it has 8 pages",
	  NULL },
	{ "pages_twice", "rn_free_pages(%s): not an allocated run, or freed "
	  "twice", NULL },
	{ "pages_foreign", "rn_free_pages(%s): not from rn_alloc_pages",
	  NULL },
	{ "pages_middle", "rn_free_pages(%s): not an allocated run, or freed "
	  "twice", NULL },
	{ "pages_unaligned", "rn_free_pages(%s): not the start of a page",
	  NULL },
	{ "pools_exec_foreign", "BUG pools: invalid free of %s: no execution "
	  "memory", NULL },
	{ "pools_exec_storage", "BUG pools: invalid free of %s: no execution "
	  "memory", NULL },
	{ "pools_exec_middle", "BUG pools: invalid free of %s: not the start "
	  "of an object, or released", NULL },
	{ "pools_exec_released", "BUG pools: invalid free of %s: not the start "
	  "of an object, or released", NULL },
	{ "pools_exec_over", "BUG pools: invalid free of %s: no execution "
	  "memory", NULL },
	{ "pools_storage_foreign", "BUG pools: invalid free of %s: no storage "
	  "memory without an id", NULL },
	{ "pools_storage_exec", "BUG pools: invalid free of %s: no storage "
	  "memory without an id", NULL },
	{ "pools_storage_entry", "BUG pools: invalid free of %s: no storage "
	  "memory without an id", NULL },
	{ "pools_storage_twice", "BUG pools: invalid free of %s: no storage "
	  "memory without an id", NULL },
	{ "reserve_impossible", "RN_RESERVE: 1125899906842624 bytes cannot be "
	  "had: Cannot allocate memory", "RN_RESERVE=1024T" },
};

/* The folder of this program. */
static const char *folder(void)
{
	static char path[PATH_MAX];
	const char *dir = getenv("SLAB_TEST_DIR");
	ssize_t n;

	if (dir)
		return dir;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	ck_assert_int_gt(n, 0);
	path[n] = '\0';
	return dirname(path);
}

/* In the child. The emulator may be several words. */
static void start(const struct crash *c, int out, int err)
{
	const char *before = emulator();
	struct rlimit none = { 0, 0 };
	char command[2 * PATH_MAX];

	setrlimit(RLIMIT_CORE, &none);
	if (c->setting)
		putenv((char *)c->setting);
	snprintf(command, sizeof(command), "exec %s %s/crash/%s",
		 before ? before : "", folder(), c->name);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static void read_back(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	close(fd);
}

/* qemu-user adds a line of its own when a signal ends the program. */
static void drop_emulator_line(char *said)
{
	char *line = strstr(said, "qemu: uncaught target signal ");

	if (emulator() && line)
		*line = '\0';
}

START_TEST(crash)
{
	const struct crash *c = &crashes[_i];
	char address[100], said[2000], line[300], expected[400];
	int out = memfd_create("out", 0), err = memfd_create("err", 0);
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		start(c, out, err);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	read_back(out, address, sizeof(address));
	read_back(err, said, sizeof(said));
	drop_emulator_line(said);
	address[strcspn(address, "\n")] = '\0';
	snprintf(line, sizeof(line), c->line, address);
	snprintf(expected, sizeof(expected), "libslab: %s\n", line);
	ck_assert_msg(!strcmp(said, expected), "%s said \"%s\", not \"%s\"; "
		      "status %#x", c->name, said, expected, status);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "%s: status %#x, not SIGABRT", c->name, status);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crash");
	TCase *tc = tcase_create("crash");

	tcase_add_loop_test(tc, crash, 0, ARRAY_LEN(crashes));
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
