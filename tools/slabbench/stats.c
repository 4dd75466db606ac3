// SPDX-License-Identifier: MIT
/*
 * What is made of the figures of several runs.
 */
#include <stdlib.h>
#include <string.h>
#include "slabbench.h"

#define QUARTILES_FROM	10

struct range {
	double low, high;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of @n figures; 0 of none. */
double median(const double *v, size_t n)
{
	double *sorted, m;

	if (!n)
		return 0;
	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return v[0];
	memcpy(sorted, v, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_value);
	m = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	free(sorted);
	return m;
}

/* From the least to the most, as a part of the median. */
double spread_percent(const double *v, size_t n)
{
	double least, most, m = median(v, n);

	if (!n || m == 0)
		return 0;
	least = most = v[0];
	for (size_t i = 1; i < n; i++) {
		least = v[i] < least ? v[i] : least;
		most = v[i] > most ? v[i] : most;
	}
	return (most - least) / m * 100;
}

/* Where most of @n figures are: with few of them all, else half of them. */
static struct range usual_range(const double *v, size_t n)
{
	size_t out = n < QUARTILES_FROM ? 0 : n / 4;
	double *sorted = malloc(n * sizeof(*sorted));
	struct range r;

	if (!sorted)
		return (struct range) { v[0], v[0] };
	memcpy(sorted, v, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_value);
	r = (struct range) { sorted[out], sorted[n - 1 - out] };
	free(sorted);
	return r;
}

/**
 * spreads_meet() - whether the spread of two rows of figures drowns their
 *	difference
 * @a: figures, @na of them, at least one
 * @b: others, @nb of them
 *
 * From the least to the most; from QUARTILES_FROM figures on between their
 * quartiles, so that one that is far off does not make all alike. Fewer would
 * not do: the quartiles of five figures and of five others from the same
 * source lie apart one time in five.
 */
bool spreads_meet(const double *a, size_t na, const double *b, size_t nb)
{
	struct range x = usual_range(a, na), y = usual_range(b, nb);

	return x.low <= y.high && y.low <= x.high;
}

/* Memory held for what is live, or 0 where nobody counted. */
double result_frag(const struct result *res)
{
	return res->live_bytes ? res->held_kb * 1024.0 / res->live_bytes : 0;
}
