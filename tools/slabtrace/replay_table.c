// SPDX-License-Identifier: MIT
/*
 * What slabbench replay prints, and writes as JSON.
 */
#include <inttypes.h>
#include "replay.h"

#define MIB	1024.0		/* KiB */

/* The mark that a replay sets is its begin. */
static double begin_ms(const struct series *series, const struct result *res)
{
	return ((double)res->mark[0].at_ns - series->start_ns) / 1e6;
}

static double end_ms(const struct series *series, const struct result *res)
{
	return begin_ms(series, res) + res->phase_ns[0] / 1e6;
}

static double without_base(const struct result *res, uint64_t kb)
{
	return kb > res->base_kb ? (double)(kb - res->base_kb) : 0;
}

double replay_seconds(const struct result *res)
{
	return res->phase_ns[0] / 1e9;
}

/* Of the samples of the replay, the last one being what was held at its end. */
static double mean_kb(const struct series *series, const struct result *res)
{
	double from = begin_ms(series, res), to = end_ms(series, res);
	double sum = res->held_kb;
	size_t n = 1;

	for (size_t i = 0; i < series->n; i++) {
		const struct point *p = &series->point[i];

		if (p->ms < from || p->ms > to)
			continue;
		sum += without_base(res, p->held_kb);
		n++;
	}
	return sum / n;
}

/* The kernel's high-water mark may lag behind what it says of the moment. */
static double peak_kb(const struct result *res)
{
	double most = without_base(res, res->peak_rss_kb +
				   res->peak_hugetlb_kb);

	return most > res->held_kb ? most : res->held_kb;
}

void replayed_add(struct replayed *r, const struct series *series,
		  const struct result *res)
{
	const struct percentiles *p = &res->latency[NR_LATENCIES];
	unsigned int i = r->n++;

	r->mops[i] = res->ops / replay_seconds(res) / 1e6;
	r->peak_mib[i] = peak_kb(res) / MIB;
	r->mean_mib[i] = mean_kb(series, res) / MIB;
	r->end_mib[i] = res->held_kb / MIB;
	r->left_mib[i] = without_base(res, res->final_rss_kb +
				      res->final_hugetlb_kb) / MIB;
	r->p50[i] = p->p50;
	r->p99[i] = p->p99;
	r->p999[i] = p->p999;
	r->max[i] = p->max;
}

/* The most calls a second that any allocator has. */
static double best_mops(const struct recording *rec, unsigned int nr_peers)
{
	double best = 0, m;

	for (unsigned int p = 0; p < nr_peers; p++) {
		m = median(rec->replayed[p].mops, rec->replayed[p].n);
		best = m > best ? m : best;
	}
	return best;
}

static void print_replayed(const struct replayed *r, const struct peer *peer,
			   double best, FILE *out)
{
	double mops = median(r->mops, r->n);

	fprintf(out, "%-16s %9.2f %6.1f%% %6.2f %7.0f %7.0f %8.0f %9.0f %9.1f %9.1f %9.1f %9.1f\n",
		peer->name, mops, spread_percent(r->mops, r->n), best / mops,
		median(r->p50, r->n), median(r->p99, r->n),
		median(r->p999, r->n), median(r->max, r->n),
		median(r->peak_mib, r->n), median(r->mean_mib, r->n),
		median(r->end_mib, r->n), median(r->left_mib, r->n));
}

static void print_head(const struct recording *rec, FILE *out)
{
	fprintf(out, "\n# %s: %" PRIu64 " calls of %" PRIu64 " threads, %.1f MiB live at most, %.1f at the end\n",
		rec->name, rec->calls, rec->nr_threads,
		rec->sum.peak / MIB / 1024, rec->sum.end / MIB / 1024);
	if (rec->sum.foreign + rec->sum.failed)
		fprintf(out, "# left out: %" PRIu64 " calls on what was allocated before or elsewhere, %" PRIu64 " that failed\n",
			rec->sum.foreign, rec->sum.failed);
	if (rec->sum.lost)
		fprintf(out, "# added: %" PRIu64 " frees that were not seen\n",
			rec->sum.lost);
	fprintf(out, "%-16s %9s %7s %6s %7s %7s %8s %9s %9s %9s %9s %9s\n",
		"allocator", "Mcalls/s", "spread", "x best", "p50 ns",
		"p99 ns", "p99.9 ns", "max ns", "peak MiB", "mean MiB",
		"end MiB", "left MiB");
}

/* Medians of the runs; held without the harness. */
void replay_print(const struct recording *rec, const struct peer *peers,
		  unsigned int nr_peers, FILE *out)
{
	double best = best_mops(rec, nr_peers);

	print_head(rec, out);
	for (unsigned int p = 0; p < nr_peers; p++)
		if (rec->replayed[p].n)
			print_replayed(&rec->replayed[p], &peers[p], best,
				       out);
}

static void set(json_t *obj, const char *key, json_t *value)
{
	json_object_set_new(obj, key, value);
}

static void set_int(json_t *obj, const char *key, uint64_t value)
{
	set(obj, key, json_integer((json_int_t)value));
}

/* [ms, live_kb, held_kb], from the begin of the replay to its end. */
static json_t *points(const struct series *series, const struct result *res)
{
	double from = begin_ms(series, res), to = end_ms(series, res);
	json_t *list = json_array();

	for (size_t i = 0; i < series->n; i++) {
		const struct point *p = &series->point[i];

		if (p->ms < from || p->ms > to)
			continue;
		json_array_append_new(list, json_pack("[f,I,I]", p->ms - from,
			(json_int_t)p->live_kb,
			(json_int_t)without_base(res, p->held_kb)));
	}
	return list;
}

/* 0, or -1 after a message. */
int replay_json(struct json_out *out, const struct recording *rec,
		const struct peer *peer, unsigned int run,
		const struct series *series, const struct result *res)
{
	json_t *obj;
	int ret;

	if (!out->f)
		return 0;
	obj = json_of_row(&rec->row, peer, run, res);
	set(obj, "trace", json_string(rec->name));
	set_int(obj, "threads", rec->nr_threads);
	set(obj, "ns_per_op", json_real((double)res->phase_ns[0] / res->ops));
	set_int(obj, "live_bytes", res->live_bytes);
	set_int(obj, "peak_live_bytes", res->peak_live_bytes);
	set_int(obj, "recorded_peak_bytes", rec->sum.peak);
	set_int(obj, "foreign", rec->sum.foreign);
	set_int(obj, "failed", rec->sum.failed);
	set_int(obj, "lost", rec->sum.lost);
	set(obj, "mean_held_kb", json_real(mean_kb(series, res)));
	set(obj, "series", points(series, res));
	ret = json_line(out, obj);
	json_decref(obj);
	return ret;
}
