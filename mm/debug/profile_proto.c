// SPDX-License-Identifier: MIT
/*
 * A heap profile as pprof's profile.proto, written by hand: a library for it
 * would allocate. Each message is put together in a small buffer, since its
 * length comes first. As all of them are entries of the outermost one, they may
 * come in any order; only strings are numbered as they come.
 *
 * One writer at a time (profile_write.c).
 */
#define _GNU_SOURCE
#include "profile.h"

#include <string.h>
#include <time.h>

/* Fields by number, as profile.proto has them. */
enum {
	PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING,
	PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_STRING, PROFILE_DROP_FRAMES,
	PROFILE_TIME = 9, PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD,
	PROFILE_DEFAULT_TYPE = 14,
};
enum { TYPE_TYPE = 1, TYPE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE };
enum {
	MAPPING_ID = 1, MAPPING_START, MAPPING_LIMIT, MAPPING_OFFSET,
	MAPPING_FILE, MAPPING_BUILD_ID,
};
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1 };
enum {
	FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILE,
};

/* Strings that each profile begins with. */
enum {
	S_NONE, S_ALLOC_OBJECTS, S_COUNT, S_ALLOC_SPACE, S_BYTES,
	S_INUSE_OBJECTS, S_INUSE_SPACE, S_SPACE, S_DROP_FRAMES,
};

static const char *const first_strings[] = {
	[S_NONE] = "",
	[S_ALLOC_OBJECTS] = "alloc_objects",
	[S_COUNT] = "count",
	[S_ALLOC_SPACE] = "alloc_space",
	[S_BYTES] = "bytes",
	[S_INUSE_OBJECTS] = "inuse_objects",
	[S_INUSE_SPACE] = "inuse_space",
	[S_SPACE] = "space",
	/* With what they call: these are asked for memory, and ask nobody. */
	[S_DROP_FRAMES] = "(__libc_)?(malloc|calloc|realloc|memalign|valloc|"
		"pvalloc)|reallocarray|aligned_alloc|posix_memalign|"
		"rn_[a-z0-9_]*alloc[a-z0-9_]*|rn_realloc_array|rn_memdup|"
		"rn_strn?dup|operator new.*|_Zn[wa]m.*",
};

#define NR_KNOWN		(1U << 16)
#define NR_MAPPINGS	512

/**
 * struct proto - a profile that is being written
 * @out: where to
 * @names: look for functions
 * @nr_strings: so many were written
 * @nr_mappings: likewise of @mappings, the first of which has the number 1
 * @nr_seen: addresses in @seen
 * @seen: by hash; an address at index i is the location i + 1
 */
static struct proto {
	struct seq *out;
	bool names;
	u32 nr_strings;
	u32 nr_mappings;
	u32 nr_seen;
	struct {
		uintptr_t start, end;
	} mappings[NR_MAPPINGS];
	const void *seen[NR_KNOWN];
} proto;

/* --- the encoding --- */

/* The largest is a sample of that many frames: 7 bytes each, less than that. */
struct message {
	u32 len;
	u8 bytes[PROFILE_DEPTH * 16];
};

enum wire_type { WIRE_VARINT, WIRE_BYTES = 2 };

static u32 varint(u8 *to, u64 n)
{
	u32 len = 0;

	for (; n >= 0x80; n >>= 7)
		to[len++] = (u8)n | 0x80;
	to[len++] = (u8)n;
	return len;
}

static u32 tag(u8 *to, unsigned int field, enum wire_type type)
{
	return varint(to, field << 3 | type);
}

static void put_int(struct message *m, unsigned int field, u64 n)
{
	m->len += tag(m->bytes + m->len, field, WIRE_VARINT);
	m->len += varint(m->bytes + m->len, n);
}

static void put_message(struct message *m, unsigned int field,
			const struct message *part)
{
	m->len += tag(m->bytes + m->len, field, WIRE_BYTES);
	m->len += varint(m->bytes + m->len, part->len);
	memcpy(m->bytes + m->len, part->bytes, part->len);
	m->len += part->len;
}

static void write_bytes(unsigned int field, const void *p, size_t n)
{
	u8 head[20];
	u32 len = tag(head, field, WIRE_BYTES);

	len += varint(head + len, n);
	seq_write(proto.out, head, len);
	seq_write(proto.out, p, n);
}

static void write_message(unsigned int field, const struct message *m)
{
	write_bytes(field, m->bytes, m->len);
}

static void write_int(unsigned int field, u64 n)
{
	struct message m = { 0 };

	put_int(&m, field, n);
	seq_write(proto.out, m.bytes, m.len);
}

/* Its number. */
static u32 write_string(const char *s, size_t n)
{
	write_bytes(PROFILE_STRING, s, n);
	return proto.nr_strings++;
}

static void write_type(unsigned int field, u32 type, u32 unit)
{
	struct message m = { 0 };

	put_int(&m, TYPE_TYPE, type);
	put_int(&m, TYPE_UNIT, unit);
	write_message(field, &m);
}

/* --- samples --- */

/* The number of the location; 0: there is no room for more. */
static u32 location_of(const void *address)
{
	u32 i = ((uintptr_t)address * 0x9e3779b97f4a7c15) >> 48;

	while (proto.seen[i] && proto.seen[i] != address)
		i = (i + 1) % NR_KNOWN;
	if (proto.seen[i])
		return i + 1;
	if (proto.nr_seen >= NR_KNOWN / 4 * 3)
		return 0;
	proto.nr_seen++;
	proto.seen[i] = address;
	return i + 1;
}

static void put_locations(struct message *m, const struct depot_stack *s)
{
	for (u32 i = 0; i < s->nr; i++) {
		u32 location = location_of(s->frames[i]);

		if (location)
			put_int(m, SAMPLE_LOCATION, location);
	}
}

static u64 whole(u64 objects)
{
	return (objects + PROFILE_UNIT / 2) / PROFILE_UNIT;
}

static void write_sample(u32 id, const struct profile_site *site)
{
	struct message m = { 0 };

	if (!READ_ONCE(site->total.objects))
		return;
	if (id)
		put_locations(&m, depot_fetch(id));
	put_int(&m, SAMPLE_VALUE, whole(READ_ONCE(site->total.all_objects)));
	put_int(&m, SAMPLE_VALUE, READ_ONCE(site->total.all_bytes));
	put_int(&m, SAMPLE_VALUE, whole(READ_ONCE(site->live.all_objects)));
	put_int(&m, SAMPLE_VALUE, READ_ONCE(site->live.all_bytes));
	write_message(PROFILE_SAMPLE, &m);
}

static void write_samples(void)
{
	for (u32 id = 0, last = depot_last(); id <= last; id++)
		write_sample(id, &profile.sites[id]);
}

/* --- mappings --- */

static u32 write_build_id(const struct mapping *first)
{
	static const char digits[] = "0123456789abcdef";
	char text[128];
	const u8 *id;
	size_t n = min(maps_build_id(first, &id), sizeof(text) / 2);

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	return n ? write_string(text, 2 * n) : S_NONE;
}

/* @first is that of the same file's start, or another one's. */
static void write_mapping(const struct mapping *line,
			  const struct mapping *first)
{
	bool same = line->inode == first->inode &&
		line->device == first->device;
	u32 build_id = same ? write_build_id(first) : S_NONE;
	struct message m = { 0 };

	proto.mappings[proto.nr_mappings].start = line->start;
	proto.mappings[proto.nr_mappings++].end = line->end;
	put_int(&m, MAPPING_ID, proto.nr_mappings);
	put_int(&m, MAPPING_START, line->start);
	put_int(&m, MAPPING_LIMIT, line->end);
	put_int(&m, MAPPING_OFFSET, line->offset);
	put_int(&m, MAPPING_FILE, write_string(line->path, strlen(line->path)));
	put_int(&m, MAPPING_BUILD_ID, build_id);
	write_message(PROFILE_MAPPING, &m);
}

static void write_mappings(struct maps *maps)
{
	struct mapping line, first = { 0 };

	if (maps_open(maps))
		return;
	while (maps_next(maps, &line)) {
		if (!line.inode)
			continue;
		if (!line.offset)
			first = line;
		if (line.executable && proto.nr_mappings < NR_MAPPINGS)
			write_mapping(&line, &first);
	}
}

static u32 mapping_of(uintptr_t address)
{
	for (u32 i = 0; i < proto.nr_mappings; i++)
		if (address >= proto.mappings[i].start &&
		    address < proto.mappings[i].end)
			return i + 1;
	return 0;
}

/* --- locations --- */

/* A function for itself, whose number is the location's; or none. */
static bool write_function(u32 id, const void *address)
{
	const char *function = NULL, *file = NULL;
	struct message m = { 0 };
	u32 name;

	if (proto.names)
		stack_lookup(address, &function, &file);
	if (!function)
		return false;
	name = write_string(function, strlen(function));
	put_int(&m, FUNCTION_ID, id);
	put_int(&m, FUNCTION_NAME, name);
	put_int(&m, FUNCTION_SYSTEM_NAME, name);
	put_int(&m, FUNCTION_FILE, write_string(file, strlen(file)));
	write_message(PROFILE_FUNCTION, &m);
	return true;
}

/* What is known is where a call returns to; the call is before that. */
static void write_location(u32 id, const void *address)
{
	uintptr_t call = (uintptr_t)address - 1;
	struct message m = { 0 }, line = { 0 };

	put_int(&m, LOCATION_ID, id);
	put_int(&m, LOCATION_MAPPING, mapping_of(call));
	put_int(&m, LOCATION_ADDRESS, call);
	if (write_function(id, address)) {
		put_int(&line, LINE_FUNCTION, id);
		put_message(&m, LOCATION_LINE, &line);
	}
	write_message(PROFILE_LOCATION, &m);
}

static void write_locations(void)
{
	for (u32 i = 0; i < NR_KNOWN; i++)
		if (proto.seen[i])
			write_location(i + 1, proto.seen[i]);
}

/* --- all --- */

static void write_head(void)
{
	struct timespec now;

	for (size_t i = 0; i < ARRAY_SIZE(first_strings); i++)
		write_string(first_strings[i], strlen(first_strings[i]));
	write_type(PROFILE_SAMPLE_TYPE, S_ALLOC_OBJECTS, S_COUNT);
	write_type(PROFILE_SAMPLE_TYPE, S_ALLOC_SPACE, S_BYTES);
	write_type(PROFILE_SAMPLE_TYPE, S_INUSE_OBJECTS, S_COUNT);
	write_type(PROFILE_SAMPLE_TYPE, S_INUSE_SPACE, S_BYTES);
	write_type(PROFILE_PERIOD_TYPE, S_SPACE, S_BYTES);
	write_int(PROFILE_PERIOD, READ_ONCE(profile.interval));
	write_int(PROFILE_DEFAULT_TYPE, S_INUSE_SPACE);
	write_int(PROFILE_DROP_FRAMES, S_DROP_FRAMES);
	clock_gettime(CLOCK_REALTIME, &now);
	write_int(PROFILE_TIME, now.tv_sec * 1000000000ULL + now.tv_nsec);
}

void profile_proto(struct seq *s, struct maps *maps, bool names)
{
	memset(&proto, 0, sizeof(proto));
	proto.out = s;
	proto.names = names;
	write_head();
	write_samples();
	write_mappings(maps);
	write_locations();
}
