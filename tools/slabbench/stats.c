// SPDX-License-Identifier: MIT
/*
 * What is made of the figures of several runs.
 */
#include <stdlib.h>
#include <string.h>
#include "slabbench.h"

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

/* Memory held for what is live, or 0 where nobody counted. */
double result_frag(const struct result *res)
{
	return res->live_bytes ? res->held_kb * 1024.0 / res->live_bytes : 0;
}
