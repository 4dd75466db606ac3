/* SPDX-License-Identifier: MIT */
/*
 * What is mapped where, by the kernel's word.
 */
#ifndef MM_MAPS_H
#define MM_MAPS_H

#include "internal.h"

#pragma GCC visibility push(hidden)

/**
 * struct mapping - a line of /proc/self/maps
 * @start: where it begins
 * @end: and ends
 * @offset: in the file
 * @device: where the file is
 * @inode: of the file, or 0
 * @readable: it is
 * @executable: likewise
 * @path: of the file, or ""; until the next line is read
 */
struct mapping {
	uintptr_t start, end;
	u64 offset, device, inode;
	bool readable, executable;
	const char *path;
};

/* A path and what comes before it fit in. */
struct maps {
	int fd;
	size_t at, len;
	char buf[8192];
};

int maps_open(struct maps *m);	/* 0 or -errno */
bool maps_next(struct maps *m, struct mapping *line);	/* false: closed */
/* The build id of the file whose start is mapped at @first; its length. */
size_t maps_build_id(const struct mapping *first, const u8 **id);

#pragma GCC visibility pop

#endif /* MM_MAPS_H */
