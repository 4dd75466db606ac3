// SPDX-License-Identifier: MIT
/*
 * wordfreq: which words are the commonest in some files?
 *
 * A whole program on libslab: the nodes of a balanced tree come from a cache of
 * their exact size, words are copied by rn_strndup(), the read buffer and the
 * table for sorting are large objects. At the end it shows what the library
 * has to say of them, and frees every one.
 *
 * A word is a run of the letters A to Z and a to z, in lower case, as in
 *	tr -cs A-Za-z '\n' | tr A-Z a-z | sort | uniq -c | sort -k1nr -k2
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rn/slab.h>
#include <rn/vmstat.h>

#define BUFFER_BYTES	(256UL << 10)

/*
 * An AA tree (A. Andersson, 1993): a node's left child is one level below it,
 * its right child one below or on the same, the right one's right child below.
 */
struct node {
	struct node *left, *right;
	char *word;
	uint64_t count;
	unsigned int level;
};

struct words {
	struct node *root;
	size_t nr;		/* different ones */
	uint64_t total;
	char *word;		/* the one that is being read */
	size_t len, room;
};

static void out_of_memory(void)
{
	fputs("wordfreq: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

/* --- the tree --- */

/* In one place: where caches are debugged, another would have another one. */
static struct rn_cache *node_cache(void)
{
	return RN_CACHE(struct node);
}

static struct node *node_new(struct words *w)
{
	struct rn_cache *nodes = node_cache();
	struct node *n = nodes ? rn_cache_zalloc(nodes, RN_KERNEL) : NULL;

	if (!n)
		out_of_memory();
	n->word = rn_strndup(w->word, w->len, RN_KERNEL);
	if (!n->word)
		out_of_memory();
	n->level = 1;
	w->nr++;
	return n;
}

/* A left child on the same level goes up. */
static struct node *skew(struct node *n)
{
	struct node *left = n->left;

	if (!left || left->level != n->level)
		return n;
	n->left = left->right;
	left->right = n;
	return left;
}

/* Two right children in a row on the same level: the middle one goes up. */
static struct node *split(struct node *n)
{
	struct node *right = n->right;

	if (!right || !right->right || right->right->level != n->level)
		return n;
	n->right = right->left;
	right->left = n;
	right->level++;
	return right;
}

/* Counts w->word; @n is the tree as it was, the result as it is then. */
static struct node *count_in(struct words *w, struct node *n)
{
	int order;

	if (!n) {
		n = node_new(w);
		n->count = 1;
		return n;
	}
	order = strcmp(w->word, n->word);
	if (!order) {
		n->count++;
		return n;
	}
	if (order < 0)
		n->left = count_in(w, n->left);
	else
		n->right = count_in(w, n->right);
	return split(skew(n));
}

/* Into @table from @at on, in the order of the alphabet. Where it ends. */
static size_t list(struct node *n, struct node **table, size_t at)
{
	if (!n)
		return at;
	at = list(n->left, table, at);
	table[at++] = n;
	return list(n->right, table, at);
}

static void free_tree(struct node *n)
{
	if (!n)
		return;
	free_tree(n->left);
	free_tree(n->right);
	rn_free(n->word);
	rn_cache_free(node_cache(), n);
}

/* --- reading --- */

static void add_letter(struct words *w, char c)
{
	/* One byte more, for the end. */
	if (w->len + 1 >= w->room) {
		size_t room = w->room ? 2 * w->room : 32;
		char *word = rn_realloc(w->word, room, RN_KERNEL);

		if (!word)
			out_of_memory();
		w->word = word;
		w->room = room;
	}
	w->word[w->len++] = c;
}

static void end_word(struct words *w)
{
	if (!w->len)
		return;
	w->word[w->len] = '\0';
	w->root = count_in(w, w->root);
	w->total++;
	w->len = 0;
}

static void count_bytes(struct words *w, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* The letters of ASCII, whatever the locale. */
		char c = p[i] >= 'A' && p[i] <= 'Z' ? p[i] - 'A' + 'a' : p[i];

		if (c >= 'a' && c <= 'z')
			add_letter(w, c);
		else
			end_word(w);
	}
}

/* False after a message. What was read before an error counts. */
static bool count_file(struct words *w, const char *name, char *buffer)
{
	bool is_stdin = !strcmp(name, "-");
	int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd;

	while (n >= 0) {
		n = read(fd, buffer, BUFFER_BYTES);
		if (n > 0)
			count_bytes(w, buffer, n);
		else if (!n || errno != EINTR)
			break;
		else
			n = 0;
	}
	if (n < 0)
		fprintf(stderr, "wordfreq: %s: %s\n", name, strerror(errno));
	end_word(w);
	if (fd >= 0 && !is_stdin)
		close(fd);
	return !n;
}

/* --- the answer --- */

static int by_count(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a;
	const struct node *y = *(struct node *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->word, y->word);
}

/* The @most commonest, all of them with 0, as "uniq -c" writes them. */
static void print_commonest(const struct words *w, size_t most)
{
	struct node **table = rn_alloc_array(w->nr, sizeof(*table), RN_KERNEL);

	if (!table)
		out_of_memory();
	list(w->root, table, 0);
	/* Without words there is no table to give to qsort(). */
	if (w->nr)
		qsort(table, w->nr, sizeof(*table), by_count);
	for (size_t i = 0; i < w->nr && (!most || i < most); i++)
		printf("%7llu %s\n", (unsigned long long)table[i]->count,
		       table[i]->word);
	rn_free(table);
}

/* False after a message. */
static bool print_slabinfo(const struct words *w)
{
	int err;

	printf("\n%llu words, %zu different ones; the caches that hold them:\n",
	       (unsigned long long)w->total, w->nr);
	/* It writes past stdio. A failure of this shows at the end. */
	fflush(stdout);
	err = rn_slabinfo(STDOUT_FILENO);
	if (err)
		fprintf(stderr, "wordfreq: slabinfo: %s\n", strerror(-err));
	return !err;
}

/* --- options --- */

struct arguments {
	size_t most;
	bool quiet;
	char **files;
};

static const struct argp_option options[] = {
	{ "lines", 'n', "N", 0,
	  "Print the N commonest words (default: 20); 0: all", 0 },
	{ "quiet", 'q', NULL, 0, "Print nothing but the words", 0 },
	{ 0 }
};

static void set_most(struct arguments *args, const char *arg,
		     struct argp_state *state)
{
	char *end;

	errno = 0;
	args->most = strtoul(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end || errno)
		argp_error(state, "-n %s: not a number of lines", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static char dash[] = "-", *standard_input[] = { dash, NULL };
	struct arguments *args = state->input;

	switch (key) {
	case 'n':
		set_most(args, arg, state);
		return 0;
	case 'q':
		args->quiet = true;
		return 0;
	case ARGP_KEY_ARGS:
		args->files = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		args->files = standard_input;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_version(FILE *out, struct argp_state *state)
{
	(void)state;
	fprintf(out, "wordfreq %s\n", rn_version());
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options, .parser = parse, .args_doc = "[FILE...]",
		.doc = "Print the commonest words of FILEs, or of the standard "
		       "input, and then the slabinfo of the memory that "
		       "counting them took.",
	};
	struct arguments args = { .most = 20 };
	struct words words = { 0 };
	bool ok = true;
	char *buffer;

	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, 0, NULL, &args);

	buffer = rn_alloc(BUFFER_BYTES, RN_KERNEL);
	if (!buffer)
		out_of_memory();
	for (char **file = args.files; *file; file++)
		ok &= count_file(&words, *file, buffer);
	rn_free(buffer);
	rn_free(words.word);

	print_commonest(&words, args.most);
	if (!args.quiet)
		ok &= print_slabinfo(&words);
	free_tree(words.root);
	if (fflush(stdout) || ferror(stdout)) {
		perror("wordfreq: standard output");
		ok = false;
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
