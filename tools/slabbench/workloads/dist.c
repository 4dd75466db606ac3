// SPDX-License-Identifier: MIT
/*
 * Distributions of sizes, as the list of sizes and weights that a row carries:
 * so that drawing one costs a table, and neither a logarithm nor a file.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "slabbench.h"

/* The part of a normal distribution below @x. */
static double below(double x)
{
	return erfc(-x / sqrt(2)) / 2;
}

/* Where @part of it lies below; by bisection, which is exact enough. */
static double quantile(double part)
{
	double low = -8, high = 8;

	for (int i = 0; i < 60; i++) {
		double mid = (low + high) / 2;

		if (below(mid) < part)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/*
 * MAX_SIZES quantiles of exp(normal), as wide as puts the last of them at
 * @most; what would be below @least is @least.
 */
void dist_lognormal(struct row *row, size_t median, size_t least, size_t most)
{
	double sigma = log((double)most / median) /
		quantile(1 - 0.5 / MAX_SIZES);

	row->dist = DIST_LIST;
	row->nr_sizes = MAX_SIZES;
	for (int i = 0; i < MAX_SIZES; i++) {
		double size = median * exp(sigma *
					quantile((i + 0.5) / MAX_SIZES));

		size = size < least ? least : size > most ? most : size;
		row->sizes[i] = (uint32_t)(size + 0.5);
		row->weights[i] = 0;
	}
}

static int bad_line(const char *path, unsigned int line, const char *what)
{
	fprintf(stderr, "slabbench: %s:%u: %s\n", path, line, what);
	return -1;
}

/* "SIZE [WEIGHT]": 0, or 1 for a comment or an empty line, or -1. */
static int parse_line(char *text, unsigned long *size, unsigned long *weight)
{
	char *end;

	text[strcspn(text, "#\n")] = '\0';
	text += strspn(text, " \t,");
	if (!*text)
		return 1;
	errno = 0;
	*size = strtoul(text, &end, 10);
	*weight = 1;
	if (end == text || *text == '-' || errno || !*size ||
	    *size > MAX_SIZE)
		return -1;
	text = end + strspn(end, " \t,");
	if (!*text)
		return 0;
	*weight = strtoul(text, &end, 10);
	return end == text || *text == '-' || errno ||
	       end[strspn(end, " \t")] ? -1 : 0;
}

static int read_lines(struct row *row, FILE *f, const char *path)
{
	unsigned long size, weight, total = 0;
	unsigned int line = 0;
	char text[256];
	int ret;

	while (fgets(text, sizeof(text), f)) {
		line++;
		ret = parse_line(text, &size, &weight);
		if (ret < 0)
			return bad_line(path, line, "not 'SIZE [WEIGHT]'");
		if (ret || !weight)
			continue;
		if (row->nr_sizes == MAX_SIZES)
			return bad_line(path, line, "more than 128 sizes");
		total += weight;
		if (weight > UINT32_MAX || total > UINT32_MAX)
			return bad_line(path, line, "weights above 2^32");
		row->sizes[row->nr_sizes] = size;
		row->weights[row->nr_sizes++] = total;
	}
	if (ferror(f))
		return bad_line(path, line, strerror(errno));
	return row->nr_sizes ? 0 : bad_line(path, line, "no sizes");
}

/**
 * dist_read() - an empirical distribution
 * @row: gets it
 * @path: lines "SIZE [WEIGHT]", bytes and how often; '#' begins a comment
 *
 * Return: 0, or -1 after a message.
 */
int dist_read(struct row *row, const char *path)
{
	FILE *f = fopen(path, "re");
	int ret;

	if (!f) {
		fprintf(stderr, "slabbench: cannot read %s: %s\n", path,
			strerror(errno));
		return -1;
	}
	row->dist = DIST_LIST;
	row->nr_sizes = 0;
	ret = read_lines(row, f, path);
	fclose(f);
	return ret;
}
