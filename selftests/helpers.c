// SPDX-License-Identifier: MIT
#include "helpers.h"

#include <fcntl.h>
#include <rn/fault_inject.h>
#include <rn/pages.h>
#include <rn/slab-inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- assertions --- */

/* Where there is none, Check has nowhere to write it down. */
static bool in_suite;

void mark_seldom(const char *file, int line)
{
	static __thread unsigned int seen;

	if (!in_suite)
		return;
	if (++seen <= 1000 || seen % 1000 == 0)
		(_mark_point)(file, line);
}

/* Tests of malloc() do not link what has it. */
#pragma weak rn_fault_check

void check_after_failure(void)
{
	const char *check = getenv("RN_FAULT_CHECK");

	/* With "unowned" it is a test from within, in the midst of something. */
	if (rn_fault_check && check && !strcmp(check, "1") && rn_fault_check())
		abort();
}

/* --- contents --- */

/*
 * What lies in whole words is read and written in words: each of these is one
 * access to a sanitizer, where as many bytes would be eight, or a call.
 */
typedef uint64_t __attribute__((may_alias)) word_t;

static bool is_word(const char *at, size_t left)
{
	return left >= sizeof(word_t) && !((uintptr_t)at % sizeof(word_t));
}

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static uint64_t pattern_word(const void *p, uint64_t seed)
{
	return mix((uint64_t)p ^ seed);
}

void pattern_set(void *p, size_t n, uint64_t seed)
{
	char *c = p;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t w = pattern_word(c + i, seed);

		if (is_word(c + i, n - i))
			*(word_t *)(c + i) = w;
		else
			memcpy(c + i, &w, n - i < 8 ? n - i : 8);
	}
}

bool pattern_ok(const void *p, size_t n, uint64_t seed)
{
	const char *c = p;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t w = pattern_word(c + i, seed);

		if (is_word(c + i, n - i) ? *(const word_t *)(c + i) != w :
		    memcmp(c + i, &w, n - i < 8 ? n - i : 8))
			return false;
	}
	return true;
}

bool all_zero(const void *p, size_t n)
{
	const char *c = p;

	return !n || (!*c && !memcmp(c, c + 1, n - 1));
}

/* The byte at offset @i: of the word that is there when @p is aligned. */
static char mark_byte(size_t i)
{
	uint64_t w = mix(i / 8 + 1);

	return ((char *)&w)[i % 8];
}

/* Of the marks from offset @i on, can a word be taken? */
static bool is_marked_word(const char *p, size_t i, size_t to)
{
	return i % 8 == 0 && is_word(p + i, to - i);
}

void mark_bytes(char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to;) {
		if (is_marked_word(p, i, to)) {
			*(word_t *)(p + i) = mix(i / 8 + 1);
			i += 8;
		} else {
			p[i] = mark_byte(i);
			i++;
		}
	}
}

bool bytes_marked(const char *p, size_t to)
{
	size_t i = 0;

	for (; is_marked_word(p, i, to); i += 8)
		if (*(const word_t *)(p + i) != mix(i / 8 + 1))
			return false;
	for (; i < to; i++)
		if (p[i] != mark_byte(i))
			return false;
	return true;
}

/* --- text and numbers --- */

static char *text_of_fd(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *text = malloc(len + 1);

	if (!text || pread(fd, text, len, 0) != len) {
		perror("text_of_fd");
		abort();
	}
	text[len] = '\0';
	return text;
}

static int text_fd(void)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	if (fd < 0) {
		perror("memfd_create");
		abort();
	}
	return fd;
}

char *dump_text(int (*dump)(int fd))
{
	int fd = text_fd(), ret = dump(fd);
	char *text;

	ck_assert_int_eq(ret, 0);
	text = text_of_fd(fd);
	close(fd);
	return text;
}

long number_after(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && strchr(" \t", line[len]))
			return strtol(line + len, NULL, 10);
	}
	return -1;
}

/* A small file of /proc or /sys; "" when it cannot be read. */
static void read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
}

long status_value(const char *name)
{
	char text[8192], with_colon[64];

	read_file("/proc/self/status", text, sizeof(text));
	snprintf(with_colon, sizeof(with_colon), "%s:", name);
	return number_after(text, with_colon);
}

/* --- stderr --- */

static int old_stderr = -1, new_stderr;

void stderr_catch(void)
{
	new_stderr = text_fd();
	old_stderr = dup(STDERR_FILENO);
	dup2(new_stderr, STDERR_FILENO);
}

char *stderr_caught(void)
{
	char *text = text_of_fd(new_stderr);

	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(new_stderr);
	return text;
}

int said(const char *what)
{
	char *text = stderr_caught();
	int nr = 0;

	for (char *p = text; (p = strstr(p, what)); p++)
		nr++;
	free(text);
	return nr;
}

/* --- threads --- */

bool is_in_call(int tid, long call)
{
	char path[64], buf[64] = "";
	long nr = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "re");
	if (f && fgets(buf, sizeof(buf), f))
		sscanf(buf, "%ld", &nr);
	if (f)
		fclose(f);
	return nr == call;
}

/* --- the program --- */

bool all_debugged(void)
{
	return getenv("RN_SLAB_DEBUG") || all_sanitized();
}

bool all_sanitized(void)
{
	return getenv("SLAB_SANITIZED");
}

bool all_hardened(void)
{
	const char *value = getenv("RN_HARDENED");

	return value && !strcmp(value, "1");
}

size_t class_size(size_t size)
{
	if (size > RN_CLASS_MAX)
		return (size + RN_PAGE_SIZE - 1) & -RN_PAGE_SIZE;
	for (size = (size + 7) & -8UL; RN_CLASS(size + 8) == RN_CLASS(size);)
		size += 8;
	return size;
}

bool forced_fallback(void)
{
	const char *mode = getenv("RN_PERCPU");

	return mode && !strcmp(mode, "fallback");
}

const char *emulator(void)
{
	const char *command = getenv("EMULATOR");

	return command && *command ? command : NULL;
}

bool slow_machine(void)
{
	return getenv("SLOW_MACHINE");
}

bool limit_address_space(size_t bytes)
{
	struct rlimit rl;

	ck_assert_int_eq(getrlimit(RLIMIT_AS, &rl), 0);
	rl.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &rl), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &rl), 0);
	return rl.rlim_cur == bytes;
}

void skip_part(const char *test, const char *reason)
{
	printf("SKIP %s: %s\n", test, reason);
	fflush(stdout);
}

int suite_main(Suite *s)
{
	SRunner *runner = srunner_create(s);
	int failed;

	in_suite = true;
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
