// SPDX-License-Identifier: MIT
/*
 * Where the other allocators are. A peer is named, and looked for where the
 * loader looks (its cache, then the usual folders), or given as NAME=PATH.
 *
 * Most allocators take hugepages only when a variable in their environment
 * says so. Such a form is a peer of its own, with a row of its own.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dpdk.h"
#include "slabbench.h"

struct known {
	const char *name, *package;
	const char *soname[3];		/* the best first */
};

#define SLABMALLOC	"libslabmalloc.so"

static const struct known known[] = {
	{ "rn-malloc", "libslab", { SLABMALLOC } },
	{ "jemalloc", "libjemalloc2", { "libjemalloc.so.2" } },
	{ "tcmalloc", "libtcmalloc-minimal4",
	  { "libtcmalloc_minimal.so.4", "libtcmalloc.so.4" } },
	{ "mimalloc", "libmimalloc2.0",
	  { "libmimalloc.so.2", "libmimalloc.so.3" } },
};

/* The setting is all of it, but for @finish, which writes what follows. */
struct form {
	const char *name, *base, *setting;
	bool huge;			/* asks for hugepages */
	const char *(*finish)(char *buf, size_t len);
};

static const char *memfs_prefix(char *buf, size_t len);

/* mimalloc 2.0 knows no other name for it; later ones take the old name too. */
static const struct form forms[] = {
	{ "rn-small", "rn", "RN_LADDER=small", false, NULL },
	{ "rn+bg", "rn", "RN_BACKGROUND=1", false, NULL },
	{ "rn-malloc+bg", "rn-malloc", "RN_BACKGROUND=1", false, NULL },
	{ "rn-lean", "rn", "RN_DECAY_MS=0", false, NULL },
	{ "rn-malloc-lean", "rn-malloc", "RN_DECAY_MS=0", false, NULL },
	{ "jemalloc-lean", "jemalloc",
	  "MALLOC_CONF=background_thread:true,dirty_decay_ms:0,muzzy_decay_ms:0",
	  false, NULL },
	{ "tcmalloc-lean", "tcmalloc", "TCMALLOC_AGGRESSIVE_DECOMMIT=1", false,
	  NULL },
	{ "mimalloc-lean", "mimalloc", "MIMALLOC_DECOMMIT_DELAY=0", false,
	  NULL },
	{ "glibc-thp", "glibc", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1", true,
	  NULL },
	{ "glibc-hugetlb", "glibc", "GLIBC_TUNABLES=glibc.malloc.hugetlb=2",
	  true, NULL },
	{ "jemalloc-thp", "jemalloc", "MALLOC_CONF=thp:always,metadata_thp:auto",
	  true, NULL },
	{ "tcmalloc-hugetlb", "tcmalloc", "TCMALLOC_MEMFS_MALLOC_PATH=", true,
	  memfs_prefix },
	{ "mimalloc-large", "mimalloc", "MIMALLOC_LARGE_OS_PAGES=1", true,
	  NULL },
	{ "dpdk-hugetlb", "dpdk", DPDK_PAGES "=hugetlb", true, NULL },
	{ "mempool-hugetlb", "dpdk-mempool", DPDK_PAGES "=hugetlb", true, NULL },
};

/* In the order of the list. */
static const char *const names[] = {
	"rn", "rn-malloc", "glibc", "jemalloc", "tcmalloc", "mimalloc", "rn-small",
	"rn+bg", "rn-malloc+bg", "rn-lean", "rn-malloc-lean", "jemalloc-lean",
	"tcmalloc-lean", "mimalloc-lean",
	"glibc-thp", "glibc-hugetlb", "jemalloc-thp", "tcmalloc-hugetlb",
	"mimalloc-large", "null", "freelist", "rn-memcg", "rn-exec", "rn-cache",
	"rn-bulk", "dpdk", "dpdk-mempool", "dpdk-hugetlb", "mempool-hugetlb",
};

static const char *const direct[NR_ALLOCATORS] = {
	[ALLOC_RN] = "libslab's own API, called directly",
	[ALLOC_MALLOC] = "the C library's malloc",
	[ALLOC_NULL] = "does nothing: the cost of the harness",
	[ALLOC_FREELIST] = "one mutex over free lists, built in: the baseline",
	[ALLOC_RN_CACHE] = "libslab's cache of a type, for the workload cache",
	[ALLOC_RN_BULK] = "the same, many objects in a call",
	[ALLOC_DPDK] = "DPDK's rte_malloc",
	[ALLOC_DPDK_MEMPOOL] = "DPDK's rte_mempool, for the workload cache",
	[ALLOC_RN_MEMCG] = "libslab's own API, charged to a group with a limit",
	[ALLOC_RN_EXEC] = "libslab's execution memory, of pools that are never short",
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

/**
 * path_from_self() - a path that is relative to the folder of this program
 * @path: filled in, not resolved
 * @len: bytes it has room for
 * @relative: the rest of it
 *
 * Return: true, or false where it is not known or too long.
 */
bool path_from_self(char *path, size_t len, const char *relative)
{
	ssize_t n = readlink("/proc/self/exe", path, len);

	if (n <= 0 || (size_t)n >= len)
		return false;
	while (n && path[n - 1] != '/')
		n--;
	return (size_t)snprintf(path + n, len - n, "%s", relative) < len - n;
}

/* Where make has put it, or make install. */
static bool find_own(char *path, size_t len)
{
	static const char *const from_here[] = {
		"../../" SLABMALLOC, "../lib/" SLABMALLOC,
	};
	char at[PATH_MAX], real[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(from_here); i++)
		if (path_from_self(at, sizeof(at), from_here[i]) &&
		    realpath(at, real) && is_loadable(real))
			return (size_t)snprintf(path, len, "%s", real) < len;
	return false;
}

static bool find_known(const struct known *k, char *path, size_t len)
{
	if (k->soname[0] == known[0].soname[0] && find_own(path, len))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(k->soname) && k->soname[i]; i++)
		if (find_in_cache(k->soname[i], path, len) ||
		    find_in_folders(k->soname[i], path, len))
			return true;
	return false;
}

/*
 * gperftools makes a file there and removes its name at once. NULL, or what is
 * in the way.
 */
static const char *memfs_prefix(char *buf, size_t len)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool found = false;
	struct mntent *m;

	while (mounts && !found && (m = getmntent(mounts)))
		found = !strcmp(m->mnt_type, "hugetlbfs") &&
			!access(m->mnt_dir, W_OK | X_OK) &&
			(size_t)snprintf(buf, len, "%s/slabbench",
					 m->mnt_dir) < len;
	if (mounts)
		endmntent(mounts);
	return found ? NULL : "no hugetlbfs is mounted that may be written to";
}

static const struct form *find_form(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (!strcmp(name, forms[i].name))
			return &forms[i];
	return NULL;
}

/* Built in, but for what needs a library that the build did not find. */
static void resolve_direct(struct peer *peer)
{
	peer->missing = dpdk_needed(peer->allocator) && !dpdk_built();
	if (peer->missing)
		strcpy(peer->reason, DPDK_MISSING);
}

/* 0, or -1 for a name that means nothing; sets peer->missing and the reason. */
static int resolve_base(struct peer *peer, const char *name)
{
	peer->allocator = ALLOC_MALLOC;
	if (!strcmp(name, "glibc"))
		return 0;
	for (int a = 0; a < NR_ALLOCATORS; a++) {
		if (a == ALLOC_MALLOC || strcmp(name, allocator_names[a]))
			continue;
		peer->allocator = a;
		resolve_direct(peer);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct known *k = &known[i];

		if (strcmp(name, k->name))
			continue;
		peer->missing = !find_known(k, peer->preload,
					    sizeof(peer->preload));
		if (peer->missing)
			snprintf(peer->reason, sizeof(peer->reason),
				 "there is no %s (Debian package %s)",
				 k->soname[0], k->package);
		return 0;
	}
	return -1;
}

static void apply_form(struct peer *peer, const struct form *form)
{
	size_t len = strlen(form->setting);
	const char *reason;

	strcpy(peer->env, form->setting);
	if (!form->finish || peer->missing)
		return;
	reason = form->finish(peer->env + len, sizeof(peer->env) - len);
	if (!reason)
		return;
	peer->missing = true;
	snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
}

static void resolve_path(struct peer *peer, const char *spec, const char *eq)
{
	snprintf(peer->name, sizeof(peer->name), "%.*s", (int)(eq - spec),
		 spec);
	peer->allocator = ALLOC_MALLOC;
	/* The measured process must find it wherever it is started. */
	if (realpath(eq + 1, peer->preload) && is_loadable(peer->preload))
		return;
	peer->missing = true;
	snprintf(peer->reason, sizeof(peer->reason), "%s: %s", eq + 1,
		 errno == ENOEXEC ? "not a shared library for this machine" :
		 strerror(errno));
}

static int resolve(struct peer *peer, const char *spec)
{
	const struct form *form = find_form(spec);
	const char *eq = strchr(spec, '=');

	memset(peer, 0, sizeof(*peer));
	if (eq && eq != spec) {
		resolve_path(peer, spec, eq);
		return 0;
	}
	snprintf(peer->name, sizeof(peer->name), "%s", spec);
	if (resolve_base(peer, form ? form->base : spec))
		return -1;
	if (form)
		apply_form(peer, form);
	return 0;
}

/**
 * peer_resolve() - find the allocator that a word of -p names
 * @peer: filled in; a library that cannot be had is marked missing, and said
 * @spec: a name that peers_list() prints, or NAME=PATH
 *
 * Return: 0, or -1 for a word that names no peer.
 */
int peer_resolve(struct peer *peer, const char *spec)
{
	if (resolve(peer, spec))
		return -1;
	if (peer->missing)
		fprintf(stderr, "slabbench: peer %s is missing: %s\n",
			peer->name, peer->reason);
	return 0;
}

/*
 * rte_malloc may take longer for one row than the others for all, and DPDK on
 * hugetlb pages ends where they do not suffice.
 */
static bool by_name_only(const struct peer *peer)
{
	return peer->allocator == ALLOC_DPDK ||
	       (peer->allocator == ALLOC_DPDK_MEMPOOL && *peer->env);
}

/**
 * peers_group() - the peers that a word stands for, as far as they are there
 * @peers: filled in
 * @most: how many have room
 * @word: "all", or "huge" for the forms that ask for hugepages
 *
 * Return: how many there are; 0 for any other word.
 */
unsigned int peers_group(struct peer *peers, unsigned int most,
			 const char *word)
{
	bool huge = !strcmp(word, "huge");
	unsigned int n = 0;

	if (!huge && strcmp(word, "all"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names) && n < most; i++) {
		const struct form *form = find_form(names[i]);

		if (huge && !(form && form->huge))
			continue;
		if (resolve(&peers[n], names[i]) || peers[n].missing)
			continue;
		if (!by_name_only(&peers[n]))
			n++;
	}
	return n;
}

/*
 * How the workload's calls reach it: a preloaded row pays for the PLT, one of
 * a shared object that is loaded later for a pointer.
 */
const char *peer_linkage(const struct peer *peer)
{
	if (dpdk_needed(peer->allocator))
		return "pointer";
	if (peer->allocator != ALLOC_MALLOC)
		return "native";
	return *peer->preload ? "preload" : "libc";
}

static void list_peer(FILE *out, const char *name)
{
	struct peer peer;

	resolve(&peer, name);
	fprintf(out, "  %-16s ", name);
	if (peer.missing)
		fprintf(out, "missing: %s\n", peer.reason);
	else if (*peer.env)
		fprintf(out, "%s with %s\n", find_form(name)->base, peer.env);
	else if (*peer.preload)
		fprintf(out, "%s\n", peer.preload);
	else
		fprintf(out, "%s\n", direct[peer.allocator]);
}

void peers_list(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		list_peer(out, names[i]);
	fprintf(out, "  %-16s any library that replaces malloc when preloaded\n",
		"NAME=PATH");
	fprintf(out, "  %-16s all of these that are there, but dpdk and DPDK's hugetlb forms\n",
		"all");
	fprintf(out, "  %-16s the forms that ask for hugepages; rn does so unasked\n",
		"huge");
}
