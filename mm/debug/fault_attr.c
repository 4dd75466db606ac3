// SPDX-License-Identifier: MIT
/*
 * What RN_FAILSLAB and the like may say: a list of key=value, or four numbers
 * as at the kernel's boot.
 */
#define _GNU_SOURCE
#include "fault_inject.h"
#include "internal.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(key, field, least, most) \
	{ key, offsetof(struct fault_attr, field), least, most }

static const struct {
	const char *key;
	size_t offset;
	long least, most;
} numbers[] = {
	FIELD("probability", probability, 0, 100),
	FIELD("interval", interval, 1, LONG_MAX),
	FIELD("times", times, -1, LONG_MAX),
	FIELD("space", space, 0, LONG_MAX),
	FIELD("nth", nth, 0, LONG_MAX),
	FIELD("seed", seed, 0, LONG_MAX),
	FIELD("verbose", verbose, 0, 2),
	FIELD("cache-filter", cache_filter, 0, 1),
	FIELD("task-filter", task_filter, 0, 1),
};

static const struct {
	const char *key;
	size_t offset, room;
} names[] = {
	{ "cache", offsetof(struct fault_attr, cache), FAULT_NAME_LEN },
	{ "stack", offsetof(struct fault_attr, require.name), FAULT_NAME_LEN },
	{ "reject", offsetof(struct fault_attr, reject.name), FAULT_NAME_LEN },
	{ "once", offsetof(struct fault_attr, once), FAULT_PATH_LEN },
};

/* In the order of the kernel's boot parameters; indices of numbers[]. */
static const u8 by_position[] = { 1, 0, 3, 2 };

static size_t item_len(const char *item)
{
	return strcspn(item, ",");
}

static bool key_is(const char *item, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(item, key, len) && item[len] == '=';
}

static bool set_number(struct fault_attr *attr, size_t i, const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 0);
	if (errno || end == text || (*end && *end != ',') ||
	    n < numbers[i].least || n > numbers[i].most)
		return false;
	*(long *)((char *)attr + numbers[i].offset) = n;
	return true;
}

static bool set_name(struct fault_attr *attr, size_t i, const char *text)
{
	char *to = (char *)attr + names[i].offset;
	size_t len = item_len(text);

	if (!len || len >= names[i].room)
		return false;
	memcpy(to, text, len);
	to[len] = '\0';
	return true;
}

static bool set_key(struct fault_attr *attr, const char *item)
{
	const char *value = item + strcspn(item, "=") + 1;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (key_is(item, numbers[i].key))
			return set_number(attr, i, value);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (key_is(item, names[i].key))
			return set_name(attr, i, value);
	return false;
}

/* "interval,probability,space,times" */
static const char *parse_positions(struct fault_attr *attr, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(by_position); i++) {
		bool last = i + 1 == ARRAY_SIZE(by_position);

		if (!set_number(attr, by_position[i], text))
			return text;
		text += item_len(text);
		if (last != !*text)
			return text;
		text++;
	}
	return NULL;
}

static const char *parse_keys(struct fault_attr *attr, const char *text)
{
	for (;;) {
		if (!set_key(attr, text))
			return text;
		text += item_len(text);
		if (!*text)
			return NULL;
		text++;
	}
}

const char *fault_attr_parse(struct fault_attr *attr, const char *text)
{
	*attr = (struct fault_attr){
		.probability = 100, .interval = 1, .times = -1, .verbose = 1,
		.seed = clock_ms() & INT32_MAX,
	};
	return text[strcspn(text, "=")] ? parse_keys(attr, text)
				 : parse_positions(attr, text);
}

/* "0x401136-0x401180" */
static bool stack_range(struct fault_stack *stack)
{
	char *end;
	uintptr_t from = strtoul(stack->name, &end, 0), to;

	if (end == stack->name || *end != '-')
		return false;
	to = strtoul(end + 1, &end, 0);
	if (*end || to <= from)
		return false;
	stack->from = from;
	stack->to = to;
	return true;
}

/* May load a library: outside of locks. */
bool fault_stack_find(struct fault_stack *stack)
{
	const ElfW(Sym) *sym = NULL;
	Dl_info info;
	void *p;

	if (!*stack->name || stack->to || stack_range(stack))
		return true;
	p = dlsym(RTLD_DEFAULT, stack->name);
	if (!p || !dladdr1(p, &info, (void **)&sym, RTLD_DL_SYMENT) || !sym)
		return false;
	stack->from = (uintptr_t)p;
	stack->to = stack->from + sym->st_size;
	return true;
}
