// SPDX-License-Identifier: MIT
/*
 * Where the other allocators are. A peer is named, and looked for where the
 * loader looks (its cache, then the usual folders), or given as NAME=PATH.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "slabbench.h"

struct known {
	const char *name, *package;
	const char *soname[3];		/* the best first */
};

static const struct known known[] = {
	{ "jemalloc", "libjemalloc2", { "libjemalloc.so.2" } },
	{ "tcmalloc", "libtcmalloc-minimal4",
	  { "libtcmalloc_minimal.so.4", "libtcmalloc.so.4" } },
	{ "mimalloc", "libmimalloc2.0",
	  { "libmimalloc.so.2", "libmimalloc.so.3" } },
};

static const char *const folders[] = {
	"/usr/local/lib", "/usr/lib/*-linux-gnu*", "/usr/lib64", "/usr/lib",
	"/lib/*-linux-gnu*", "/lib64", "/lib",
};

static int elf_header(const char *path, Elf64_Ehdr *h)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, h, sizeof(*h));
	close(fd);
	errno = ENOEXEC;
	return n == sizeof(*h) && !memcmp(h->e_ident, ELFMAG, SELFMAG) ? 0 : -1;
}

/* A shared object that this process could load. */
static bool is_loadable(const char *path)
{
	Elf64_Ehdr lib, self;

	if (elf_header(path, &lib) || elf_header("/proc/self/exe", &self))
		return false;
	errno = ENOEXEC;
	return lib.e_type == ET_DYN && lib.e_machine == self.e_machine &&
	       lib.e_ident[EI_CLASS] == self.e_ident[EI_CLASS];
}

/* Lines like "\tlibx.so.2 (libc6,x86-64) => /lib/x86_64-linux-gnu/libx.so.2" */
static bool find_in_cache(const char *soname, char *path, size_t len)
{
	FILE *f = popen("PATH=\"$PATH:/sbin:/usr/sbin\" ldconfig -p 2>/dev/null",
			"re");
	size_t name_len = strlen(soname), cap = 0;
	char *line = NULL;
	bool found = false;

	while (f && getline(&line, &cap, f) > 0) {
		const char *name = line + strspn(line, " \t");
		char *at = strstr(name, "=> ");

		if (found || !at || strncmp(name, soname, name_len) ||
		    name[name_len] != ' ')
			continue;
		at[strcspn(at, "\n")] = '\0';
		found = is_loadable(at + 3) &&
			(size_t)snprintf(path, len, "%s", at + 3) < len;
	}
	free(line);
	if (f)
		pclose(f);
	return found;
}

static bool find_in_folders(const char *soname, char *path, size_t len)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && !found; i++) {
		char pattern[PATH_MAX];
		glob_t g;

		snprintf(pattern, sizeof(pattern), "%s/%s", folders[i], soname);
		if (glob(pattern, 0, NULL, &g))
			continue;
		for (size_t j = 0; j < g.gl_pathc && !found; j++)
			found = is_loadable(g.gl_pathv[j]) &&
				(size_t)snprintf(path, len, "%s",
						 g.gl_pathv[j]) < len;
		globfree(&g);
	}
	return found;
}

static bool find_known(const struct known *k, char *path, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(k->soname) && k->soname[i]; i++)
		if (find_in_cache(k->soname[i], path, len) ||
		    find_in_folders(k->soname[i], path, len))
			return true;
	return false;
}

static void say_missing(const struct known *k)
{
	fprintf(stderr, "slabbench: peer %s is missing: there is no %s (Debian package %s)\n",
		k->name, k->soname[0], k->package);
}

static int resolve_path(struct peer *peer, const char *spec, const char *eq)
{
	snprintf(peer->name, sizeof(peer->name), "%.*s", (int)(eq - spec),
		 spec);
	peer->allocator = ALLOC_MALLOC;
	/* The measured process must find it wherever it is started. */
	if (realpath(eq + 1, peer->preload) && is_loadable(peer->preload))
		return 0;
	peer->missing = true;
	fprintf(stderr, "slabbench: peer %s is missing: %s: %s\n", peer->name,
		eq + 1, errno == ENOEXEC ?
		"not a shared library for this machine" : strerror(errno));
	return 0;
}

/**
 * peer_resolve() - find the allocator that a word of -p names
 * @peer: filled in; a library that cannot be had is marked missing, and said
 * @spec: rn, null, freelist, glibc, a known peer's name, or NAME=PATH
 *
 * Return: 0, or -1 for a word that names no peer.
 */
int peer_resolve(struct peer *peer, const char *spec)
{
	const char *eq = strchr(spec, '=');

	memset(peer, 0, sizeof(*peer));
	if (eq)
		return eq == spec ? -1 : resolve_path(peer, spec, eq);
	snprintf(peer->name, sizeof(peer->name), "%s", spec);
	peer->allocator = ALLOC_MALLOC;
	if (!strcmp(spec, "glibc"))
		return 0;
	for (int a = 0; a < NR_ALLOCATORS; a++) {
		if (a == ALLOC_MALLOC || strcmp(spec, allocator_names[a]))
			continue;
		peer->allocator = a;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(spec, known[i].name))
			continue;
		peer->missing = !find_known(&known[i], peer->preload,
					    sizeof(peer->preload));
		if (peer->missing)
			say_missing(&known[i]);
		return 0;
	}
	return -1;
}

/* How the workload's calls reach it: a preloaded row pays for the PLT. */
const char *peer_linkage(const struct peer *peer)
{
	if (peer->allocator != ALLOC_MALLOC)
		return "native";
	return *peer->preload ? "preload" : "libc";
}

void peers_list(FILE *out)
{
	char path[PATH_MAX];

	fprintf(out, "  %-10s libslab's own API, called directly\n", "rn");
	fprintf(out, "  %-10s the C library's malloc\n", "glibc");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (find_known(&known[i], path, sizeof(path)))
			fprintf(out, "  %-10s %s\n", known[i].name, path);
		else
			fprintf(out, "  %-10s missing (Debian package %s)\n",
				known[i].name, known[i].package);
	fprintf(out, "  %-10s does nothing: the cost of the harness\n", "null");
	fprintf(out, "  %-10s one mutex over free lists, built in: the baseline\n",
		"freelist");
	fprintf(out, "  NAME=PATH  any library that replaces malloc when preloaded\n");
}
