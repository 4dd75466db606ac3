// SPDX-License-Identifier: MIT
/*
 * What changed since an earlier run. Its JSON lines and those of this run are
 * read by the same function into the same structure, once as before and once
 * as now; medians are compared by workload, size, threads and allocator, and
 * only where both did the same operations in the same way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "results.h"

/* The figures of all runs of an entry on one side. */
struct side {
	double *ns, *kb;
	size_t n, max;
};

/**
 * struct entry - a row over one allocator
 * @label: what the reader is told
 * @settings: what else must be alike; figures of other settings say nothing
 */
struct entry {
	char label[192], settings[160];
	struct side before, now;
};

struct baseline {
	const char *name;
	struct entry *entry;
	size_t n, max;
};

static void *grow(void *p, size_t *max, size_t size)
{
	*max = *max ? 2 * *max : 16;
	p = realloc(p, *max * size);
	if (!p) {
		fprintf(stderr, "slabbench: out of memory\n");
		exit(EXIT_FAILED);
	}
	return p;
}

static void side_add(struct side *s, double ns, double kb)
{
	if (s->n == s->max) {
		size_t max = s->max;

		s->ns = grow(s->ns, &max, sizeof(*s->ns));
		s->kb = grow(s->kb, &s->max, sizeof(*s->kb));
	}
	s->ns[s->n] = ns;
	s->kb[s->n++] = kb;
}

/* --- from JSON --- */

/* What is missing in a line that run, compare or scale could have written. */
static const char *missing_key(const json_t *obj)
{
	static const char *const texts[] = {
		"workload", "allocator", "checksum",
	};
	static const char *const numbers[] = {
		"threads", "ns_per_op", "peak_rss_kb", "peak_hugetlb_kb",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!json_is_string(json_object_get(obj, texts[i])))
			return texts[i];
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!json_is_number(json_object_get(obj, numbers[i])))
			return numbers[i];
	return NULL;
}

static double number(const json_t *obj, const char *key)
{
	return json_number_value(json_object_get(obj, key));
}

static const char *text(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

static void set_label(struct entry *e, const json_t *obj)
{
	char size[24] = "";

	if (json_object_get(obj, "size"))
		snprintf(size, sizeof(size), "%.0f", number(obj, "size"));
	snprintf(e->label, sizeof(e->label), "%-18s %6s %7.0f  %-15s",
		 text(obj, "workload"), size, number(obj, "threads"),
		 text(obj, "allocator"));
	snprintf(e->settings, sizeof(e->settings), "%s %.0f %.0f %.0f %d %d",
		 text(obj, "checksum"), number(obj, "iterations"),
		 number(obj, "bytes"), number(obj, "warmup_percent"),
		 json_is_true(json_object_get(obj, "pinned")),
		 !!json_object_get(obj, "p50_ns"));
}

static struct entry *entry_of(struct baseline *b, const json_t *obj)
{
	struct entry new = { .before.n = 0 };

	set_label(&new, obj);
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->entry[i].label, new.label) &&
		    !strcmp(b->entry[i].settings, new.settings))
			return &b->entry[i];
	if (b->n == b->max)
		b->entry = grow(b->entry, &b->max, sizeof(new));
	b->entry[b->n] = new;
	return &b->entry[b->n++];
}

static void add(struct side *s, const json_t *obj)
{
	side_add(s, number(obj, "ns_per_op"), number(obj, "peak_rss_kb") +
		 number(obj, "peak_hugetlb_kb"));
}

/* A run of now. */
void baseline_add(struct baseline *b, json_t *obj)
{
	add(&entry_of(b, obj)->now, obj);
}

/* 0, or -1 after a message. */
static int read_line(struct baseline *b, const char *line, unsigned int number)
{
	json_error_t err;
	json_t *obj = json_loads(line, 0, &err);
	const char *key = obj ? missing_key(obj) : NULL;

	if (!obj)
		fprintf(stderr, "slabbench: %s:%u: not JSON: %s\n", b->name,
			number, err.text);
	else if (key)
		fprintf(stderr, "slabbench: %s:%u: no %s: not a line of run, compare or scale\n",
			b->name, number, key);
	else
		add(&entry_of(b, obj)->before, obj);
	json_decref(obj);
	return obj && !key ? 0 : -1;
}

static int read_lines(struct baseline *b, FILE *f)
{
	size_t cap = 0;
	char *line = NULL;
	unsigned int number = 0;
	int ret = 0;

	while (!ret && getline(&line, &cap, f) > 0)
		ret = read_line(b, line, ++number);
	free(line);
	if (!ret && (ferror(f) || !number)) {
		fprintf(stderr, "slabbench: %s: %s\n", b->name,
			ferror(f) ? strerror(errno) : "no run is in it");
		return -1;
	}
	return ret;
}

/* NULL after a message. */
struct baseline *baseline_read(const char *name)
{
	struct baseline *b = calloc(1, sizeof(*b));
	FILE *f = fopen(name, "re");
	int bad = -1;

	if (!f || !b) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", name,
			strerror(errno));
	} else {
		b->name = name;
		bad = read_lines(b, f);
	}
	if (f)
		fclose(f);
	if (!bad)
		return b;
	baseline_free(b);
	return NULL;
}

void baseline_free(struct baseline *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++) {
		free(b->entry[i].before.ns);
		free(b->entry[i].before.kb);
		free(b->entry[i].now.ns);
		free(b->entry[i].now.kb);
	}
	free(b->entry);
	free(b);
}

/* --- what changed --- */

/* 1 for more, -1 for less, 0 within the threshold or the spread. */
static int change(const double *before, size_t nb, const double *now, size_t nn,
		  unsigned int threshold)
{
	double b = median(before, nb), n = median(now, nn);

	if (spreads_meet(before, nb, now, nn))
		return 0;
	if (n * 100 > b * (100 + threshold))
		return 1;
	return n * (100 + threshold) < b * 100 ? -1 : 0;
}

static double percent(double before, double now)
{
	return before > 0 ? (now / before - 1) * 100 : 0;
}

static void print_entry(const struct entry *e, int time, int memory, FILE *out)
{
	static const char *const time_word[] = { "faster", "", "slower" };
	static const char *const memory_word[] = { "smaller", "", "larger" };
	double ns[] = { median(e->before.ns, e->before.n),
			median(e->now.ns, e->now.n) };
	double kb[] = { median(e->before.kb, e->before.n),
			median(e->now.kb, e->now.n) };

	fprintf(out, "%s %9.2f %9.2f %+7.1f%% %9.1f %9.1f %+7.1f%%  %s%s%s\n",
		e->label, ns[0], ns[1], percent(ns[0], ns[1]), kb[0] / 1024,
		kb[1] / 1024, percent(kb[0], kb[1]), time_word[time + 1],
		time && memory ? ", " : "", memory_word[memory + 1]);
}

static bool has_other_settings(const struct baseline *b, const struct entry *e)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->entry[i].before.n &&
		    !strcmp(b->entry[i].label, e->label))
			return true;
	return false;
}

/* Prints what changed. Whether anything got worse. */
bool baseline_print(const struct baseline *b, unsigned int threshold, FILE *out)
{
	unsigned int compared = 0, changed = 0;
	bool worse = false;

	fprintf(out, "# since %s, by more than %u%% and the spread of both:\n",
		b->name, threshold);
	fprintf(out, "%-18s %6s %7s  %-15s %9s %9s %8s %9s %9s\n", "workload",
		"size", "threads", "allocator", "ns/op was", "is", "",
		"MiB was", "is");
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->entry[i];
		int time, memory;

		if (!e->now.n)
			continue;
		if (!e->before.n) {
			fprintf(out, "%s %s in %s\n", e->label,
				has_other_settings(b, e) ?
				"only with other settings" : "not", b->name);
			continue;
		}
		time = change(e->before.ns, e->before.n, e->now.ns, e->now.n,
			      threshold);
		memory = change(e->before.kb, e->before.n, e->now.kb,
				e->now.n, threshold);
		compared++;
		worse |= time > 0 || memory > 0;
		if (!time && !memory)
			continue;
		changed++;
		print_entry(e, time, memory, out);
	}
	fprintf(out, "# %u of %u rows changed\n", changed, compared);
	return worse;
}
