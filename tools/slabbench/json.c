// SPDX-License-Identifier: MIT
/*
 * JSON lines: an object per run, written out at once, so that what was measured
 * is kept if a later run is interrupted.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "slabbench.h"

/* Seven digits are more than any clock here gives. */
#define FORMAT	(JSON_COMPACT | JSON_REAL_PRECISION(7))

/* "-" is the standard output; NULL is no output. 0, or -1 after a message. */
int json_open(struct json_out *out, const char *name)
{
	out->name = name;
	out->f = NULL;
	if (!name)
		return 0;
	out->f = strcmp(name, "-") ? fopen(name, "we") : stdout;
	if (out->f)
		return 0;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", name,
		strerror(errno));
	return -1;
}

static int write_line(struct json_out *out, json_t *obj)
{
	int bad = !obj || json_dumpf(obj, out->f, FORMAT) ||
		  putc('\n', out->f) == EOF || fflush(out->f);

	if (bad)
		fprintf(stderr, "slabbench: cannot write %s: %s\n", out->name,
			obj ? strerror(errno) : "out of memory");
	json_decref(obj);
	return bad ? -1 : 0;
}

int json_close(struct json_out *out)
{
	if (!out->f || out->f == stdout || !fclose(out->f))
		return 0;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", out->name,
		strerror(errno));
	return -1;
}

static void set(json_t *obj, const char *key, json_t *value)
{
	json_object_set_new(obj, key, value);
}

static void set_int(json_t *obj, const char *key, uint64_t value)
{
	set(obj, key, json_integer((json_int_t)value));
}

static void set_where(json_t *obj)
{
	char list[256];

	cpus_allowed(list, sizeof(list));
	set(obj, "cpus_allowed", json_string(list));
	nodes_allowed(list, sizeof(list));
	set(obj, "nodes_allowed", json_string(list));
}

static void set_rnbench(json_t *obj, const struct row *row)
{
	static const char *const ops[] = {
		[OPS_TOGGLE] = "toggle",
		[OPS_RANDOM] = "random",
		[OPS_ALLOC_ONLY] = "alloc-only",
	};
	json_t *sizes = json_array();

	for (unsigned int i = 0; i < row->nr_sizes; i++)
		json_array_append_new(sizes, json_integer(row->sizes[i]));
	set(obj, "slots", json_integer((json_int_t)row->slots));
	set(obj, "mode", json_string(ops[row->ops]));
	set(obj, "pattern", json_string(row->pattern == PATTERN_SEQ ?
					"seq" : "rand"));
	set(obj, "sizes", sizes);
}

static void set_figures(json_t *obj, const struct result *res)
{
	double ops = res->ops ? (double)res->ops : 1;
	char sum[24];

	set_int(obj, "ops", res->ops);
	set(obj, "ns_per_op", json_real(res->wall_ns / ops));
	set(obj, "ms", json_real(res->wall_ns / 1e6));
	if (res->phase_ns[0]) {
		set(obj, "alloc_ns_per_op", json_real(res->phase_ns[0] / ops));
		set(obj, "free_ns_per_op", json_real(res->phase_ns[1] / ops));
	}
	set_int(obj, "base_kb", res->base_kb);
	set_int(obj, "peak_rss_kb", res->peak_rss_kb);
	set_int(obj, "peak_hugetlb_kb", res->peak_hugetlb_kb);
	snprintf(sum, sizeof(sum), "%016llx",
		 (unsigned long long)res->checksum);
	set(obj, "checksum", json_string(sum));
	set(obj, "malloc_from", json_string(res->malloc_from));
}

int json_row(struct json_out *out, const struct row *row, const char *allocator,
	     const char *linkage, unsigned int run, const struct result *res)
{
	const char *name = workload_get(row->workload)->name;
	json_t *obj;

	if (!out->f)
		return 0;
	obj = json_object();
	set(obj, "workload", json_string(name));
	if (row->size)
		set_int(obj, "size", row->size);
	set(obj, "allocator", json_string(allocator));
	set(obj, "linkage", json_string(linkage));
	set_int(obj, "threads", row->threads);
	set_int(obj, "run", run);
	set_figures(obj, res);
	if (!strcmp(name, "rnbench"))
		set_rnbench(obj, row);
	if (!strcmp(name, "seq"))
		set_int(obj, "bytes", row->bytes);
	else
		set_int(obj, "iterations", row->iterations);
	set_int(obj, "seed", row->seed);
	set_int(obj, "warmup_percent", row->warmup);
	set(obj, "pinned", json_boolean(row->pin));
	set_where(obj);
	return write_line(out, obj);
}

int json_floor(struct json_out *out, const char *variant, size_t size,
	       unsigned int run, uint64_t ops, double ns_per_op)
{
	json_t *obj;

	if (!out->f)
		return 0;
	obj = json_object();
	set(obj, "workload", json_string("floor"));
	if (size)
		set_int(obj, "size", size);
	set(obj, "allocator", json_string(variant));
	set_int(obj, "threads", 1);
	set_int(obj, "run", run);
	set_int(obj, "ops", ops);
	set(obj, "ns_per_op", json_real(ns_per_op));
	set_where(obj);
	return write_line(out, obj);
}
