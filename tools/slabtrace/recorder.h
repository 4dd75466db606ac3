/* SPDX-License-Identifier: MIT */
/*
 * libslabtrace.so: what its files share.
 */
#ifndef SLABTRACE_RECORDER_H
#define SLABTRACE_RECORDER_H

#include <sys/types.h>
#include "format.h"

/* What slabbench record tells its child, and that one its own. */
#define RNT_ENV_FILE	"SLABTRACE_FILE"	/* absolute */
#define RNT_ENV_PID	"SLABTRACE_PID"		/* whose file it is */

/* To be seen by the program, unlike all else here. */
#define RECORDER_API	__attribute__((visibility("default")))

/* allocator.c: those that come after the recorder's own. */
struct functions {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t n, size_t size);
	void *(*realloc)(void *p, size_t size);
	void (*free)(void *p);
	int (*posix_memalign)(void **p, size_t align, size_t size);
	void *(*aligned_alloc)(size_t align, size_t size);
	void *(*memalign)(size_t align, size_t size);
};
extern struct functions next;
bool next_find(void);
void *early_alloc(size_t size);
bool is_early(const void *p);
size_t early_room(const void *p);

/* tape.c */
bool tape_enter(void);
void tape_leave(void);
uint64_t tape_clock(void);
void tape_record(const struct rnt_event *e);
void tape_flush_all(void);
bool tape_is_own_process(void);

/* file.c */
void file_start(void);
void file_begin(void);
void file_after_fork(void);
uint32_t file_pid(void);
void file_write(const void *block, size_t bytes);
void *next_symbol(const char *name);

#endif /* SLABTRACE_RECORDER_H */
