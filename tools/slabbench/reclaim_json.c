// SPDX-License-Identifier: MIT
/*
 * A run of slabbench reclaim as a line of JSON: what a run of any workload has,
 * but for the times, which are mostly sleep; its marks; and its series.
 */
#include <string.h>
#include "reclaim.h"

static void set(json_t *obj, const char *key, json_t *value)
{
	json_object_set_new(obj, key, value);
}

static json_t *triple(double ms, uint64_t live_kb, double held_kb)
{
	json_t *t = json_array();

	json_array_append_new(t, json_real(ms));
	json_array_append_new(t, json_integer((json_int_t)live_kb));
	json_array_append_new(t, json_integer((json_int_t)held_kb));
	return t;
}

static json_t *marks(const struct series *series, const struct result *res)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < res->nr_marks; i++) {
		const struct mark *m = &res->mark[i];

		json_array_append_new(list, triple(mark_ms(series, m),
						   m->live_bytes / 1024,
						   m->held_kb));
	}
	return list;
}

/* Until the last mark: then all is freed, and the process ends. */
static json_t *points(const struct series *series, const struct result *res)
{
	double end = mark_ms(series, &res->mark[res->nr_marks - 1]);
	json_t *list = json_array();

	for (size_t i = 0; i < series->n && series->point[i].ms <= end; i++) {
		const struct point *p = &series->point[i];

		json_array_append_new(list, triple(p->ms, p->live_kb,
				point_held_kb(p, res->base_kb)));
	}
	return list;
}

static void set_own(json_t *obj, const struct row *row,
		    const struct series *series, const struct result *res)
{
	static const char *const seconds[NR_SCENARIOS] = {
		[COLLAPSE] = "idle_s",
		[FRAG] = "idle_s",
		[PHASES] = "phase_s",
		[IDLE] = "idle_s",
		[REDIS] = "idle_s",
		[DIURNAL] = "day_s",
	};
	enum scenario s = row_scenario(row);

	/* Also where nothing is live. */
	set(obj, "live_bytes", json_integer((json_int_t)res->live_bytes));
	set(obj, "held_kb", json_integer((json_int_t)res->held_kb));
	set(obj, "workload", json_string("reclaim"));
	set(obj, "scenario", json_string(workload_get(row->workload)->name));
	set(obj, seconds[s], json_integer(row->seconds));
	if (s != DIURNAL && s != REDIS)
		set(obj, "poke", json_boolean(row->poke));
	if (s == DIURNAL)
		set(obj, "excess_kb", json_real(reclaim_excess_kb(series, res)));
	set(obj, "marks", marks(series, res));
	set(obj, "series", points(series, res));
}

/* What was counted in the measured process, where that is but a client. */
static void drop_client(json_t *obj)
{
	static const char *const keys[] = {
		"page_faults", "ctx_switches", "cpu_s", "rollup_rss_kb",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_del(obj, keys[i]);
	for (int e = 0; e < NR_EVENTS; e++)
		json_object_del(obj, event_names[e]);
}

/* 0, or -1 after a message. */
int reclaim_json(struct json_out *out, const struct row *row,
		 const struct peer *peer, unsigned int run,
		 const struct series *series, const struct result *res)
{
	json_t *obj;
	int ret;

	if (!out->f)
		return 0;
	obj = json_of_row(row, peer, run, res);
	json_object_del(obj, "ns_per_op");
	if (workload_get(row->workload)->watches)
		drop_client(obj);
	set_own(obj, row, series, res);
	ret = json_line(out, obj);
	json_decref(obj);
	return ret;
}
