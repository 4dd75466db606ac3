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

#define DEBUG	"RN_SLAB_DEBUG=FZPU"
#define HARD	"RN_HARDENED=1"
#define BEYOND(class_)	"BUG kmalloc-" class_ ": object %s: written beyond " \
			"its end"

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
	{ "double_free_hollow", "BUG kmalloc-4096: double free of %s", NULL },
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
	{ "cache_destroyed alloc", "BUG gone: allocation from a destroyed "
	  "cache", NULL },
	{ "cache_destroyed alloc", "BUG gone: allocation from a destroyed "
	  "cache", DEBUG },
	{ "cache_destroyed destroy", "BUG gone: rn_cache_destroy() of a "
	  "destroyed cache", NULL },
	{ "free_stack", "BUG: invalid free of %s: not memory of this library",
	  DEBUG },
	{ "kfence wrong", "BUG apples: invalid free of %s: it belongs to "
	  "cache kmalloc-64", "RN_KFENCE=1" },
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
	{ "hardened twice", "BUG kmalloc-128: double free of %s", HARD },
	{ "hardened later", "BUG kmalloc-128: double free of %s", HARD },
	{ "hardened sized", "BUG kmalloc-1024: double free of %s", HARD },
	{ "hardened of_cache", "BUG made: double free of %s", HARD },
	{ "hardened middle", "BUG kmalloc-128: invalid free of %s: not the "
	  "start of an object", HARD },
	{ "hardened odd", "BUG kmalloc-128: invalid free of %s: not the start "
	  "of an object", HARD },
	{ "hardened gone", "BUG: invalid free of %s: nothing is allocated "
	  "there", HARD },
	{ "hardened written", "BUG kmalloc-128: object %s was written to after "
	  "it was freed", HARD },
	{ "hardened flushed", "BUG kmalloc-128: object %s was written to after "
	  "it was freed", HARD },
	{ "hardened middle", "BUG kmalloc-64: invalid free of %s: not the "
	  "start of an object", "RN_INIT_ON_FREE=1" },
	{ "double_free_many", "BUG kmalloc-128: double free of %s", HARD },
	{ "double_free_reused", "BUG kmalloc-128: double free of %s", HARD },
	{ "double_free_threads", "BUG kmalloc-128: double free of %s", HARD },
	{ "double_free_hollow", "BUG kmalloc-8192: double free of %s", HARD },
	{ "double_free_large", "BUG: invalid free of %s: nothing is allocated "
	  "there", HARD },
	{ "free_never_allocated", "BUG young: double free of %s", HARD },
	{ "free_stack", "BUG: invalid free of %s: not memory of this library",
	  HARD },
	{ "cache_free_wrong", "BUG apples: invalid free of %s: it belongs to "
	  "cache pears", HARD },
	{ "overrun 64 64 1", BEYOND("128"), HARD },
	{ "overrun 64 64 8", BEYOND("128"), HARD },
	{ "overrun 57 57 1", BEYOND("128"), HARD },
	{ "overrun 50 50 1", BEYOND("64"), HARD },
	{ "overrun 1 1 1", BEYOND("16"), HARD },
	{ "overrun 4096 4096 1", BEYOND("8192"), HARD },
	{ "overrun 65528 65528 1", BEYOND("65536"), HARD },
	{ "hardened beyond_made", "BUG made: object %s: written beyond its "
	  "end", HARD },
	{ "hardened beyond_shrunk", BEYOND("112"), HARD },
	{ "hardened beyond_moved", BEYOND("112"), HARD },
	{ "hardened before", BEYOND("128"), HARD },
	{ "hardened before_free", BEYOND("128"), HARD },
	{ "hardened cleared", "BUG kmalloc-128: object %s was written to after "
	  "it was freed", HARD },
	{ "hardened sized_run", "BUG pages: object %s: freed with a size of "
	  "200000, allocated with 102400", HARD },
	{ "free_sized_wrong", "BUG kmalloc-128: object %s: freed with a size "
	  "of 40, allocated with 60", HARD },
};

/*
 * Where objects are debugged: the second line of the report, behind which more
 * comes. A program's arguments follow its name.
 */
static const struct crash reports[] = {
	{ "overrun 64 64 1", "kmalloc-64 (Not tainted): Right Redzone "
	  "overwritten", DEBUG },
	{ "overrun 64 64 8", "kmalloc-64 (Not tainted): Right Redzone "
	  "overwritten", DEBUG },
	{ "overrun 57 57 1", "kmalloc-64 (Not tainted): Right Redzone "
	  "overwritten", DEBUG },
	{ "overrun 64 -1 1", "kmalloc-64 (Not tainted): Left Redzone "
	  "overwritten", DEBUG },
	{ "overrun 64 -8 8", "kmalloc-64 (Not tainted): Left Redzone "
	  "overwritten", DEBUG },
	{ "overrun 1 1 1", "kmalloc-8 (Not tainted): Right Redzone "
	  "overwritten", DEBUG },
	{ "overrun 4096 4096 1", "kmalloc-4096 (Not tainted): Right Redzone "
	  "overwritten", DEBUG },
	{ "overrun 4096 -8 8", "kmalloc-4096 (Not tainted): Left Redzone "
	  "overwritten", DEBUG },
	{ "overrun 65536 65536 8", "kmalloc-65536 (Not tainted): Right "
	  "Redzone overwritten", DEBUG },
	{ "overrun 65536 -1 1", "kmalloc-65536 (Not tainted): Left Redzone "
	  "overwritten", DEBUG },
	{ "write_freed 64 0 1", "kmalloc-64 (Not tainted): Poison overwritten",
	  DEBUG },
	{ "write_freed 64 63 1", "kmalloc-64 (Not tainted): End Poison "
	  "overwritten", DEBUG },
	{ "write_freed 4096 1000 9", "kmalloc-4096 (Not tainted): Poison "
	  "overwritten", DEBUG },
	{ "write_freed 64 64 8", "kmalloc-64 (Not tainted): Right Redzone "
	  "overwritten", "RN_SLAB_DEBUG=Z" },
	{ "write_freed 64 64 8", "kmalloc-64 (Not tainted): Freechain corrupt",
	  "RN_SLAB_DEBUG=F" },
	{ "double_free", "kmalloc-64 (Not tainted): Object already free",
	  DEBUG },
	{ "double_free", "kmalloc-64 (Not tainted): Object already free",
	  "RN_SLAB_DEBUG=F,kmalloc-6*" },
	{ "double_free_later", "kmalloc-64 (Not tainted): Object already "
	  "free", DEBUG },
	{ "double_free_many", "kmalloc-64 (Not tainted): Object already free",
	  DEBUG },
	{ "double_free_ctor", "made (Not tainted): Object already free",
	  DEBUG },
	{ "double_free_reused", "kmalloc-64 (Not tainted): Object already "
	  "free", DEBUG },
	{ "double_free_threads", "kmalloc-64 (Not tainted): Object already "
	  "free", DEBUG },
	{ "free_middle", "kmalloc-64 (Not tainted): Invalid object pointer "
	  "%s", DEBUG },
	{ "free_unaligned", "kmalloc-64 (Not tainted): Invalid object pointer "
	  "%s", DEBUG },
	{ "free_never_allocated", "young (Not tainted): Invalid object pointer "
	  "%s", DEBUG },
	{ "cache_free_wrong", "pears (Not tainted): Wrong slab cache, freed to "
	  "apples", DEBUG },
	{ "cache_free_wrong", "pears (Not tainted): Wrong slab cache, freed to "
	  "apples", "RN_SLAB_DEBUG=Z,apples" },
	{ "free_sized_wrong", "kmalloc-64 (Not tainted): Freed with a size of "
	  "40, allocated with 60", DEBUG },
};

#define GUARDED	"RN_KFENCE=1"

/**
 * struct guarded - the misuse of an object between guard pages
 * @crash: the program; its line is that with the address
 * @title: what the report begins with
 */
static const struct guarded {
	struct crash crash;
	const char *title;
} guarded[] = {
	{ { "kfence left_read", "Out-of-bounds read at %s (1B left of "
	    "kfence-#", GUARDED }, "out-of-bounds read" },
	{ { "kfence left_write", "Out-of-bounds write at %s (8B left of "
	    "kfence-#", GUARDED }, "out-of-bounds write" },
	{ { "kfence right_read", "Out-of-bounds read at %s (4B right of "
	    "kfence-#", GUARDED }, "out-of-bounds read" },
	{ { "kfence right_write", "Out-of-bounds write at %s (4B right of "
	    "kfence-#", GUARDED }, "out-of-bounds write" },
	{ { "kfence freed_read", "Use-after-free read at %s (in kfence-#",
	    GUARDED }, "use-after-free read" },
	{ { "kfence freed_write", "Use-after-free write at %s (in kfence-#",
	    GUARDED }, "use-after-free write" },
	{ { "kfence nobody", "Invalid read at %s:\n", GUARDED },
	  "invalid read" },
	{ { "kfence twice", "Invalid free of %s (in kfence-#", GUARDED },
	  "invalid free" },
	{ { "kfence middle", "Invalid free of %s (in kfence-#", GUARDED },
	  "invalid free" },
	{ { "kfence guard", "Invalid free of %s:\n", GUARDED },
	  "invalid free" },
	{ { "kfence corrupt", "Memory corruption at %s [ 0x01 . . . ] (in "
	    "kfence-#", GUARDED }, "memory corruption" },
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

/* Runs it to its end: what it said on stderr, and what that should be. */
static void run(const struct crash *c, char *said, size_t size, char *line,
		size_t line_size)
{
	int out = memfd_create("out", 0), err = memfd_create("err", 0);
	char address[100];
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		start(c, out, err);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	read_back(out, address, sizeof(address));
	read_back(err, said, size);
	drop_emulator_line(said);
	address[strcspn(address, "\n")] = '\0';
	snprintf(line, line_size, c->line, address);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "%s: status %#x, not SIGABRT; said \"%s\"", c->name,
		      status, said);
}

START_TEST(crash)
{
	const struct crash *c = &crashes[_i];
	char said[2000], line[300], expected[400];

	run(c, said, sizeof(said), line, sizeof(line));
	snprintf(expected, sizeof(expected), "libslab: %s\n", line);
	ck_assert_msg(!strcmp(said, expected), "%s said \"%s\", not \"%s\"",
		      c->name, said, expected);
}
END_TEST

/* A rule, the line, another rule. */
START_TEST(report)
{
	const struct crash *c = &reports[_i];
	char said[16000], line[300], expected[400];
	char *second;

	run(c, said, sizeof(said), line, sizeof(line));
	snprintf(expected, sizeof(expected), "BUG %s\n---", line);
	second = strchr(said, '\n');
	ck_assert_msg(!strncmp(said, "=====", 5) && second &&
		      !strncmp(second + 1, expected, strlen(expected)),
		      "%s said \"%s\", not \"%s\"", c->name, said, expected);
}
END_TEST

/* qemu-user does not tell reads from writes: "read" and "write" are "access". */
static void forget_access(char *line, size_t size)
{
	static const char *const verbs[] = { " read", " write" };
	char rest[300], *at;

	for (size_t i = 0; emulator() && i < ARRAY_LEN(verbs); i++) {
		at = strstr(line, verbs[i]);
		if (!at)
			continue;
		snprintf(rest, sizeof(rest), "%s", at + strlen(verbs[i]));
		snprintf(at, size - (at - line), " access%s", rest);
	}
}

/* A rule, the title with a function, an empty line, the line; and no more. */
START_TEST(guarded_report)
{
	const struct guarded *g = &guarded[_i];
	char said[16000], line[300], title[100], *second, *fourth;

	run(&g->crash, said, sizeof(said), line, sizeof(line));
	snprintf(title, sizeof(title), "BUG: KFENCE: %s in ", g->title);
	forget_access(title, sizeof(title));
	forget_access(line, sizeof(line));
	second = strchr(said, '\n');
	fourth = second ? strstr(second, "\n\n") : NULL;
	ck_assert_msg(fourth && !strncmp(second + 1, title, strlen(title)) &&
		      !strncmp(fourth + 2, line, strlen(line)) &&
		      !strstr(fourth, "BUG"), "%s said \"%s\", not \"%s\"",
		      g->crash.name, said, line);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("crash");
	TCase *tc = tcase_create("crash");

	tcase_add_loop_test(tc, crash, 0, ARRAY_LEN(crashes));
	tcase_add_loop_test(tc, report, 0, ARRAY_LEN(reports));
	tcase_add_loop_test(tc, guarded_report, 0, ARRAY_LEN(guarded));
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
