/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets of traces share: a file that is an input, and what was
 * said about it.
 */
#ifndef SELFTESTS_TRACE_INPUT_H
#define SELFTESTS_TRACE_INPUT_H

#include "fuzz.h"
#include "../simulation.h"

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>

/* By its descriptor, under which name it is opened. */
struct input_file {
	int fd;
	char name[32];
};

static inline struct input_file input_file(const void *data, size_t size)
{
	struct input_file f = { .fd = memfd_create("input", MFD_CLOEXEC) };

	sure(f.fd >= 0);
	sure(write(f.fd, data, size) == (ssize_t)size);
	snprintf(f.name, sizeof(f.name), "/proc/self/fd/%d", f.fd);
	return f;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What the tools print is nobody's; reports of the sanitizers are. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	sure(null >= 0);
	__sanitizer_set_report_fd((void *)(intptr_t)dup(STDERR_FILENO));
	dup2(null, STDOUT_FILENO);
	close(null);
	return 0;
}

/* Who fails says why. */
static inline void end_of_words(int ret)
{
	char *text = stderr_caught();

	sure(!ret || *text);
	free(text);
}

/*
 * A trace that was loaded has totals, or is told why not; its plan can be
 * carried out in any order and comes to the same.
 */
static inline int plan_of(const struct trace *t)
{
	struct plan_head head;
	struct totals sum;
	int fd = plan_make(t, &sum, &head);

	if (fd < 0)
		return -1;
	sure(head.peak == sum.peak && head.end == sum.end);
	simulate_plan(fd, &sum);
	close(fd);
	return 0;
}

#endif /* SELFTESTS_TRACE_INPUT_H */
