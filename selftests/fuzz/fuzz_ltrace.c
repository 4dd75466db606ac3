// SPDX-License-Identifier: MIT
/*
 * Any text as what ltrace has printed: what is imported can be read, put in
 * order and replayed.
 */
#include "trace_input.h"

/* It is written beside its name first: a descriptor's would not do. */
static char to[] = "/tmp/fuzz_ltrace-XXXXXX";

static void remove_output(void)
{
	unlink(to);
}

static void make_output(void)
{
	int fd = mkstemp(to);

	sure(fd >= 0);
	close(fd);
	atexit(remove_output);
}

/* Without events it is no trace, and otherwise it is whole. */
static void read_import(const char *name)
{
	struct trace t;
	int ret;

	stderr_catch();
	ret = trace_load(&t, name);
	end_of_words(ret);
	sure(ret ? !t.events : !t.cut);
	if (!ret) {
		stderr_catch();
		end_of_words(plan_of(&t));
	}
	trace_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input_file from = input_file(data, size);
	static bool made;
	int ret;

	if (!made)
		make_output();
	made = true;
	stderr_catch();
	ret = ltrace_import(from.name, to);
	end_of_words(ret);
	if (!ret)
		read_import(to);
	close(from.fd);
	return 0;
}
