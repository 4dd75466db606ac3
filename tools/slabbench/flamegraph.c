// SPDX-License-Identifier: MIT
/*
 * Where the time goes: perf takes stacks of a run, which are folded to a line
 * for each different one, as the programs read that draw flame graphs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "trace.h"

#define MAX_DEPTH	128

/* Stacks as text, root first. */
struct stacks {
	char **text;
	size_t n, max;
};

static int say(const char *what, const char *name)
{
	fprintf(stderr, "slabbench: cannot %s %s: %s\n", what, name,
		strerror(errno));
	return EXIT_FAILED;
}

int flamegraph_open(struct flamegraph *g)
{
	size_t len = strlen(g->svg);

	if (!have_program("perf")) {
		fprintf(stderr, "slabbench: --flamegraph needs perf (Debian package linux-perf)\n");
		return EXIT_UNAVAILABLE;
	}
	if (len > 4 && !strcmp(g->svg + len - 4, ".svg"))
		len -= 4;
	if (snprintf(g->folded, sizeof(g->folded), "%.*s.folded", (int)len,
		     g->svg) >= (int)sizeof(g->folded) ||
	    snprintf(g->data, sizeof(g->data), "%.*s.perf", (int)len,
		     g->svg) >= (int)sizeof(g->data)) {
		errno = ENAMETOOLONG;
		return say("write", g->svg);
	}
	g->f = fopen(g->folded, "we");
	return g->f ? EXIT_OK : say("write", g->folded);
}

static void add_stack(struct stacks *s, const char *root, char *const *frame,
		      size_t depth)
{
	size_t len = strlen(root) + 1;
	char *text;

	for (size_t i = 0; i < depth; i++)
		len += strlen(frame[i]) + 1;
	if (s->n == s->max) {
		s->max = s->max ? 2 * s->max : 256;
		s->text = realloc(s->text, s->max * sizeof(*s->text));
	}
	text = malloc(len);
	if (!s->text || !text) {
		fprintf(stderr, "slabbench: out of memory\n");
		exit(EXIT_FAILED);
	}
	strcpy(text, root);
	while (depth--) {
		strcat(text, ";");
		strcat(text, frame[depth]);
	}
	s->text[s->n++] = text;
}

/*
 * A sample is a line with the program's name, a line for each frame, the
 * innermost first (white space, address, symbol), and an empty line.
 */
static void read_samples(FILE *f, const char *root, struct stacks *s)
{
	char *frame[MAX_DEPTH], *line = NULL;
	size_t cap = 0, depth = 0;

	while (getline(&line, &cap, f) > 0) {
		char *symbol = line + strspn(line, " \t");

		symbol[strcspn(symbol, "\n")] = '\0';
		if (symbol != line && *symbol && depth < MAX_DEPTH) {
			symbol += strcspn(symbol, " ");
			symbol += strspn(symbol, " ");
			frame[depth] = strdup(*symbol ? symbol : "[unknown]");
			depth += !!frame[depth];
		} else if (!*symbol && depth) {
			add_stack(s, root, frame, depth);
			while (depth)
				free(frame[--depth]);
		}
	}
	while (depth)
		free(frame[--depth]);
	free(line);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_folded(struct stacks *s, FILE *f)
{
	size_t same;

	if (s->n)
		qsort(s->text, s->n, sizeof(*s->text), by_text);
	for (size_t i = 0; i < s->n; i += same) {
		for (same = 1; i + same < s->n; same++)
			if (strcmp(s->text[i], s->text[i + same]))
				break;
		fprintf(f, "%s %zu\n", s->text[i], same);
	}
	for (size_t i = 0; i < s->n; i++)
		free(s->text[i]);
	free(s->text);
}

/* @argv with its standard output to @out; 0, or -1 after a message. */
static int run_into(char *const *argv, const char *out)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (freopen(out, "w", stdout))
			execvp(argv[0], argv);
		_exit(EXIT_FAILED);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!status)
		return 0;
	fprintf(stderr, "slabbench: %s failed\n", argv[0]);
	return -1;
}

static int fold(struct flamegraph *g, const struct row *row)
{
	char text[sizeof(g->data) + 8], root[128], size[32] = "";
	char *const script[] = {
		(char *)"perf", (char *)"script", (char *)"--no-inline",
		(char *)"-F", (char *)"comm,ip,sym", (char *)"-i", g->data,
		NULL
	};
	struct stacks stacks = { .n = 0 };
	FILE *f;

	snprintf(text, sizeof(text), "%s.txt", g->data);
	if (run_into(script, text))
		return EXIT_UNAVAILABLE;
	f = fopen(text, "re");
	unlink(text);
	if (!f)
		return say("read", text);
	if (row->size)
		snprintf(size, sizeof(size), " %zu bytes", row->size);
	snprintf(root, sizeof(root), "%s%s %u threads %s",
		 workload_get(row->workload)->name, size, row->threads,
		 allocator_names[row->allocator]);
	read_samples(f, root, &stacks);
	fclose(f);
	write_folded(&stacks, g->f);
	return fflush(g->f) ? say("write", g->folded) : EXIT_OK;
}

/* Stacks by what the unwinder knows: libraries keep no frame pointers. */
int flamegraph_add(struct flamegraph *g, const struct row *row)
{
	const char *const perf[] = {
		"perf", "record", "-q", "-F", "499", "--call-graph", "dwarf",
		"-o", g->data, "--", NULL
	};
	struct result res = { .ops = 0 };
	struct row timed = *row;
	int ret = EXIT_UNAVAILABLE;

	timed.warmup = 0;
	if (!spawn_row_under(&timed, NULL, perf, &res))
		ret = fold(g, row);
	else if (!interrupted())
		fprintf(stderr, "slabbench: perf could not record the run; kernel.perf_event_paranoid may forbid it\n");
	unlink(g->data);
	return ret;
}

int flamegraph_draw(struct flamegraph *g)
{
	static const char *const tools[] = {
		"inferno-flamegraph", "flamegraph.pl",
	};

	if (fclose(g->f))
		return say("write", g->folded);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		char *const argv[] = { (char *)tools[i], g->folded, NULL };

		if (have_program(tools[i]))
			return run_into(argv, g->svg) ? EXIT_FAILED : EXIT_OK;
	}
	fprintf(stderr, "slabbench: the stacks are in %s; to draw them needs flamegraph.pl (github.com/brendangregg/FlameGraph) or inferno-flamegraph (cargo install inferno), which Debian does not package\n",
		g->folded);
	return EXIT_UNAVAILABLE;
}
