// SPDX-License-Identifier: MIT
/*
 * JSON lines: an object per run, written out at once, so that what was measured
 * is kept if a later run is interrupted.
 */
#include <errno.h>
#include <string.h>
#include "held.h"
#include "results.h"

/* Seven digits are more than any clock here gives. */
#define FORMAT	(JSON_COMPACT | JSON_REAL_PRECISION(7))

static json_t *command;

/**
 * json_command() - keep how slabbench was started, for each line
 * @argc: as main() has it, before options are taken apart in place
 * @argv: likewise
 */
void json_command(int argc, char **argv)
{
	command = json_array();
	for (int i = 0; i < argc; i++) {
		json_t *word = json_string(argv[i]);

		json_array_append_new(command, word ? word :
				      json_string("(not UTF-8)"));
	}
}

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

/* 0, or -1 after a message. */
int json_line(struct json_out *out, json_t *obj)
{
	if (!out->f || (!json_dumpf(obj, out->f, FORMAT) &&
			putc('\n', out->f) != EOF && !fflush(out->f)))
		return 0;
	fprintf(stderr, "slabbench: cannot write %s: %s\n", out->name,
		strerror(errno));
	return -1;
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
	struct machine m;
	char list[256];

	machine_read(&m);
	set(obj, "cpu_model", json_string(m.cpu));
	set(obj, "kernel", json_string(m.kernel));
	set(obj, "thp", json_string(m.thp));
	set(obj, "hypervisor", json_string(m.hypervisor));
	cpus_allowed(list, sizeof(list));
	set(obj, "cpus_allowed", json_string(list));
	nodes_allowed(list, sizeof(list));
	set(obj, "nodes_allowed", json_string(list));
	set(obj, "command", json_incref(command));
}

static void set_rnbench(json_t *obj, const struct row *row)
{
	static const char *const ops[] = {
		[OPS_TOGGLE] = "toggle",
		[OPS_RANDOM] = "random",
		[OPS_ALLOC_ONLY] = "alloc-only",
	};

	set_int(obj, "slots", row->count);
	set(obj, "mode", json_string(ops[row->ops]));
	set(obj, "pattern", json_string(row->pattern == PATTERN_SEQ ?
					"seq" : "rand"));
}

static void set_draws(json_t *obj, const struct row *row)
{
	json_t *sizes;

	if (row->dist == DIST_UNIFORM) {
		set_int(obj, "least_size", row->least);
		set_int(obj, "most_size", row->most);
		return;
	}
	sizes = json_array();
	for (unsigned int i = 0; i < row->nr_sizes; i++)
		json_array_append_new(sizes, json_integer(row->sizes[i]));
	set(obj, "sizes", sizes);
}

static void set_phases(json_t *obj, const struct workload *w,
		       const struct result *res, double ops)
{
	char key[64];

	for (unsigned int p = 0; p < MAX_PHASES && w->phases[p]; p++) {
		snprintf(key, sizeof(key), "%s_ns_per_op", w->phases[p]);
		set(obj, key, json_real(res->phase_ns[p] / ops));
	}
}

static void set_memory(json_t *obj, const struct workload *w,
		       const struct result *res)
{
	set_int(obj, "base_kb", res->base_kb);
	set_int(obj, "peak_rss_kb", res->peak_rss_kb);
	set_int(obj, "peak_hugetlb_kb", res->peak_hugetlb_kb);
	set_int(obj, "peak_vsz_kb", res->peak_vsz_kb);
	set_int(obj, "final_rss_kb", res->final_rss_kb);
	set_int(obj, "final_hugetlb_kb", res->final_hugetlb_kb);
	set_int(obj, "rollup_rss_kb", res->rollup_rss_kb);
	if (workload_phases(w) > 1)
		set_int(obj, "held_kb", res->held_kb);
	if (res->charged_kb)
		set_int(obj, "peak_charged_kb", res->charged_kb);
	if (!res->live_bytes)
		return;
	set_int(obj, "live_bytes", res->live_bytes);
	set(obj, "frag_ratio", json_real(result_frag(res)));
	if (!res->usable_bytes)
		return;
	set(obj, "internal_frag_ratio",
	    json_real((double)res->usable_bytes / res->live_bytes));
	set(obj, "external_frag_ratio",
	    json_real(res->held_kb * 1024.0 / res->usable_bytes));
}

static void set_counters(json_t *obj, const struct counters *c)
{
	set_int(obj, "page_faults", c->page_faults);
	set_int(obj, "ctx_switches", c->ctx_switches);
	set(obj, "cpu_s", json_real(c->cpu_ns / 1e9));
	for (int e = 0; e < NR_EVENTS; e++)
		set(obj, event_names[e], c->have[e] ?
		    json_integer((json_int_t)c->event[e]) : json_null());
}

static void set_percentiles(json_t *obj, const char *prefix,
			    const struct percentiles *p)
{
	const struct {
		const char *name;
		uint64_t ns;
	} keys[] = {
		{ "min_ns", p->min }, { "p50_ns", p->p50 },
		{ "p95_ns", p->p95 }, { "p99_ns", p->p99 },
		{ "p999_ns", p->p999 }, { "max_ns", p->max },
	};
	char key[64];

	for (size_t i = 0; i < ARRAY_SIZE(keys) && p->n; i++) {
		snprintf(key, sizeof(key), "%s%s", prefix, keys[i].name);
		set_int(obj, key, keys[i].ns);
	}
}

static void set_latency(json_t *obj, const struct result *res)
{
	set_int(obj, "clock_ns", res->clock_ns);
	set_percentiles(obj, "", &res->latency[NR_LATENCIES]);
	set_percentiles(obj, "alloc_", &res->latency[LATENCY_ALLOC]);
	set_percentiles(obj, "free_", &res->latency[LATENCY_FREE]);
}

static void set_futexes(json_t *obj, const struct futexes *futexes)
{
	set(obj, "futexes_by", json_string(futexes->by));
	set_int(obj, "futex_calls", futexes->calls);
	set(obj, "futex_s", json_real(futexes->in_calls_ns / 1e9));
	if (!futexes->waits_known)
		return;
	set_int(obj, "futex_waits", futexes->waits);
	set(obj, "blocked_s", json_real(futexes->blocked_ns / 1e9));
}

static void set_figures(json_t *obj, const struct row *row,
			const struct result *res)
{
	double ops = res->ops ? (double)res->ops : 1;
	char sum[24];

	set_int(obj, "ops", res->ops);
	set(obj, "ns_per_op", json_real(res->wall_ns / ops));
	set(obj, "ms", json_real(res->wall_ns / 1e6));
	set_phases(obj, workload_get(row->workload), res, ops);
	set_memory(obj, workload_get(row->workload), res);
	set_counters(obj, &res->counters);
	if (row->latency)
		set_latency(obj, res);
	if (res->futexes.by)
		set_futexes(obj, &res->futexes);
	snprintf(sum, sizeof(sum), "%016llx",
		 (unsigned long long)res->checksum);
	set(obj, "checksum", json_string(sum));
	set(obj, "malloc_from", json_string(res->malloc_from));
}

/* NULL without memory; the caller drops it. */
json_t *json_of_row(const struct row *row, const struct peer *peer,
		    unsigned int run, const struct result *res)
{
	const char *name = workload_get(row->workload)->name;
	json_t *obj = json_object();

	set(obj, "workload", json_string(name));
	if (row->size)
		set_int(obj, "size", row->size);
	set(obj, "allocator", json_string(peer->name));
	set(obj, "linkage", json_string(peer_linkage(peer)));
	if (*peer->env)
		set(obj, "env", json_string(peer->env));
	set_int(obj, "threads", row->threads);
	set_int(obj, "run", run);
	set_figures(obj, row, res);
	if (workload_draws(workload_get(row->workload)))
		set_draws(obj, row);
	if (!strcmp(name, "rnbench"))
		set_rnbench(obj, row);
	else if (row->count)
		set_int(obj, "count", row->count);
	if (row->producers)
		set_int(obj, "producers", row->producers);
	if (row->bytes)
		set_int(obj, "bytes", row->bytes);
	else
		set_int(obj, "iterations", row->iterations);
	set_int(obj, "seed", row->seed);
	set_int(obj, "warmup_percent", row->warmup);
	set(obj, "pinned", json_boolean(row->pin));
	set_where(obj);
	return obj;
}

/* For a command that has no other output; 0, or -1 after a message. */
int json_row(struct json_out *out, const struct row *row,
	     const struct peer *peer, unsigned int run,
	     const struct result *res)
{
	json_t *obj = out->f ? json_of_row(row, peer, run, res) : NULL;
	int ret = json_line(out, obj);

	json_decref(obj);
	return ret;
}

int json_floor(struct json_out *out, const char *variant, size_t size,
	       unsigned int run, uint64_t ops, double ns_per_op)
{
	json_t *obj;
	int ret;

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
	ret = json_line(out, obj);
	json_decref(obj);
	return ret;
}

int json_held(struct json_out *out, const struct held *held, unsigned int run)
{
	struct percentiles p = latency_percentiles(&held->latency,
						   NR_LATENCIES);
	json_t *obj;
	int ret;

	if (!out->f)
		return 0;
	obj = json_object();
	set(obj, "workload", json_string("held"));
	set_int(obj, "size", held->size);
	set(obj, "allocator", json_string(allocator_names[ALLOC_RN_MEMCG]));
	set_int(obj, "threads", held->waiters);
	set_int(obj, "run", run);
	set_int(obj, "ops", p.n);
	set_int(obj, "clock_ns", held->latency.clock_ns);
	set_percentiles(obj, "", &p);
	set_int(obj, "out_of_order", held->out_of_order);
	set_where(obj);
	ret = json_line(out, obj);
	json_decref(obj);
	return ret;
}
