// SPDX-License-Identifier: MIT
/*
 * Preloaded beside the library that is tested: each program that starts adds a
 * line to the file MALLOC_WITNESS, its name and whose malloc() it is given.
 * That the library is mapped would not say that it is used.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A program that is not position-independent may have an address for malloc()
 * that is within itself, and leads on to the first library that defines it.
 */
static void whose_malloc(Dl_info *from)
{
	void *found = dlsym(RTLD_DEFAULT, "malloc");
	const ElfW(Sym) *symbol = NULL;

	if (!found || !dladdr1(found, from, (void **)&symbol, RTLD_DL_SYMENT))
		return;
	if (symbol && symbol->st_shndx == SHN_UNDEF) {
		found = dlsym(RTLD_NEXT, "malloc");
		if (found)
			dladdr(found, from);
	}
}

__attribute__((constructor)) static void witness(void)
{
	const char *path = getenv("MALLOC_WITNESS");
	Dl_info from = { .dli_fname = "nowhere" };
	char line[512];
	int fd, len;

	if (!path)
		return;
	whose_malloc(&from);
	len = snprintf(line, sizeof(line), "%s %s\n",
		       program_invocation_short_name,
		       basename(from.dli_fname));
	/* One write each, so that lines of several programs do not mix. */
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) != len)
		abort();
	close(fd);
}
