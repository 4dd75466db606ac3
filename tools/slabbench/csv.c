// SPDX-License-Identifier: MIT
/*
 * Comma-separated values: the keys of the JSON lines as columns, in an order
 * that does not depend on what is run. A key that is a list has no column.
 */
#include <errno.h>
#include <string.h>
#include "results.h"

/* A new column goes to the end: readers may go by number. */
static const char *const columns[] = {
	"workload", "size", "allocator", "linkage", "env", "threads", "run",
	"ops", "ns_per_op", "ms",
	"base_kb", "peak_rss_kb", "peak_hugetlb_kb", "peak_vsz_kb",
	"final_rss_kb", "final_hugetlb_kb", "rollup_rss_kb",
	"live_bytes", "held_kb", "frag_ratio", "internal_frag_ratio",
	"page_faults", "ctx_switches", "cpu_s",
	"instructions", "cache_misses", "dtlb_misses",
	"clock_ns", "min_ns", "p50_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns",
	"alloc_min_ns", "alloc_p50_ns", "alloc_p95_ns", "alloc_p99_ns",
	"alloc_p999_ns", "alloc_max_ns",
	"free_min_ns", "free_p50_ns", "free_p95_ns", "free_p99_ns",
	"free_p999_ns", "free_max_ns",
	"checksum", "malloc_from",
	"least_size", "most_size", "slots", "mode", "pattern", "count", "bytes",
	"iterations", "seed", "warmup_percent", "pinned",
	"cpu_model", "kernel", "thp", "hypervisor",
	"cpus_allowed", "nodes_allowed",
	"producers",
	"futex_calls", "futex_s", "futexes_by", "futex_waits", "blocked_s",
	"external_frag_ratio",
	"peak_charged_kb",
};

/* One of the names that phases have, in the order of the workloads. */
static bool is_first(unsigned int workload, unsigned int phase)
{
	const char *name = workload_get(workload)->phases[phase];

	for (unsigned int i = 0; i < workload; i++)
		for (unsigned int p = 0; p < MAX_PHASES; p++) {
			const char *other = workload_get(i)->phases[p];

			if (other && !strcmp(name, other))
				return false;
		}
	return true;
}

/* Calls @put for each column; all of them return 0, or it does not. */
static int each_column(struct csv_out *out, const json_t *obj,
		       int (*put)(struct csv_out *out, const json_t *obj,
				  const char *key))
{
	char key[64];
	int bad = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		bad |= put(out, obj, columns[i]);
	for (unsigned int i = 0; workload_get(i); i++)
		for (unsigned int p = 0; p < MAX_PHASES; p++) {
			const char *phase = workload_get(i)->phases[p];

			if (!phase || !is_first(i, p))
				continue;
			snprintf(key, sizeof(key), "%s_ns_per_op", phase);
			bad |= put(out, obj, key);
		}
	return bad;
}

static int separate(struct csv_out *out, const char *key)
{
	return key == columns[0] ? 0 : putc(',', out->f) == EOF;
}

static int put_name(struct csv_out *out, const json_t *obj, const char *key)
{
	(void)obj;
	return separate(out, key) || fputs(key, out->f) == EOF;
}

/* In quotes where it could be taken for more than one field. */
static int put_text(FILE *f, const char *text)
{
	if (!strpbrk(text, ",\"\r\n"))
		return fputs(text, f) == EOF;
	putc('"', f);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', f);
		putc(*text, f);
	}
	return putc('"', f) == EOF;
}

/* Empty where the line has no such key, or null. */
static int put_value(struct csv_out *out, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (separate(out, key))
		return -1;
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_STRING:
		return put_text(out->f, json_string_value(v));
	case JSON_INTEGER:
		return fprintf(out->f, "%" JSON_INTEGER_FORMAT,
			       json_integer_value(v)) < 0;
	case JSON_REAL:
		return fprintf(out->f, "%.7g", json_real_value(v)) < 0;
	case JSON_TRUE:
	case JSON_FALSE:
		return fputs(json_is_true(v) ? "true" : "false", out->f) == EOF;
	default:
		return 0;
	}
}

static int say_unwritable(const struct csv_out *out)
{
	fprintf(stderr, "slabbench: cannot write %s: %s\n", out->name,
		strerror(errno));
	return -1;
}

/* 0, or -1 after a message. */
static int end_line(struct csv_out *out, int bad)
{
	if (bad || putc('\n', out->f) == EOF || fflush(out->f))
		return say_unwritable(out);
	return 0;
}

/* "-" is the standard output; NULL is no output. 0, or -1 after a message. */
int csv_open(struct csv_out *out, const char *name)
{
	out->name = name;
	if (!name)
		return 0;
	out->f = strcmp(name, "-") ? fopen(name, "we") : stdout;
	if (!out->f)
		return say_unwritable(out);
	return end_line(out, each_column(out, NULL, put_name));
}

int csv_line(struct csv_out *out, json_t *obj)
{
	return out->f ? end_line(out, each_column(out, obj, put_value)) : 0;
}

int csv_close(struct csv_out *out)
{
	if (!out->f || out->f == stdout || !fclose(out->f))
		return 0;
	return say_unwritable(out);
}
