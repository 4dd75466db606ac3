// SPDX-License-Identifier: MIT
/*
 * redis, a scenario of slabbench reclaim: a server over the allocator that is
 * preloaded here, too, filled with values of mixed sizes up to a peak, and
 * then emptied of nine keys in ten. It is the server's memory that is looked
 * at; this process is its client.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <hiredis.h>
#include "reclaim.h"
#include "slots.h"
#include "workloads.h"

#define START_MS	30000
#define START_POLL_MS	10
#define BATCH		32	/* requests under way at a time */
#define ALONE		8	/* one in so many waits for its answer: timed */
#define VALUE_MOST	65536

const char redis_program[] = "redis-server";

/**
 * struct server - a redis that is running
 * @folder: where its socket is until somebody has connected
 * @log: of a memfd: what it writes, told if it does not start
 */
struct server {
	pid_t pid;
	redisContext *c;
	char folder[32], socket[48];
	int log;
};

/* --- the server --- */

/*
 * It is linked with jemalloc, and so the C library has to be preloaded where no
 * other allocator is. A group of its own keeps Ctrl-C from it; it ends with us.
 */
static void exec_server(const struct server *s, pid_t client)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != client)
		_exit(EXIT_FAILED);
	setenv("LD_PRELOAD", "libc.so.6", 0);
	dup2(s->log, STDOUT_FILENO);
	dup2(s->log, STDERR_FILENO);
	execlp(redis_program, redis_program, "--port", "0", "--save", "",
	       "--appendonly", "no", "--dir", s->folder, "--unixsocket",
	       s->socket, NULL);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", redis_program,
		strerror(errno));
	_exit(EXIT_FAILED);
}

static void tell_log(int log)
{
	char text[4096];
	ssize_t n;

	lseek(log, 0, SEEK_SET);
	while ((n = read(log, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, stderr);
}

static bool has_ended(const struct server *s)
{
	return waitpid(s->pid, NULL, WNOHANG) == s->pid;
}

/* NULL where it does not answer in time. */
static redisContext *connect_to(const struct server *s)
{
	struct timespec pause = { .tv_nsec = START_POLL_MS * 1000000 };

	for (int ms = 0; ms < START_MS && !has_ended(s); ms += START_POLL_MS) {
		redisContext *c = redisConnectUnix(s->socket);

		if (c && !c->err)
			return c;
		redisFree(c);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void start(struct worker *w, struct server *s)
{
	pid_t client = getpid();

	strcpy(s->folder, "/tmp/slabbench-redis-XXXXXX");
	s->log = memfd_create("log of redis", MFD_CLOEXEC);
	if (s->log < 0 || !mkdtemp(s->folder))
		wrong_result(w, "no folder for a server");
	snprintf(s->socket, sizeof(s->socket), "%s/socket", s->folder);
	s->pid = fork();
	if (!s->pid)
		exec_server(s, client);
	s->c = s->pid > 0 ? connect_to(s) : NULL;
	/* At once, so that nothing of it stays whatever happens. */
	unlink(s->socket);
	rmdir(s->folder);
	if (s->c)
		return;
	tell_log(s->log);
	wrong_result(w, "the server did not start");
}

static void stop(struct worker *w, struct server *s)
{
	int status = -1;

	freeReplyObject(redisCommand(s->c, "SHUTDOWN NOSAVE"));
	redisFree(s->c);
	close(s->log);
	if (waitpid(s->pid, &status, 0) != s->pid || status)
		wrong_result(w, "the server did not end well");
}

/* --- requests --- */

static void check_reply(const struct worker *w, redisReply *r, int type)
{
	bool right = r && r->type == type &&
		(type != REDIS_REPLY_INTEGER || r->integer == 1);

	if (!right)
		wrong_result(w, r && r->type == REDIS_REPLY_ERROR ?
			     r->str : "the server gave a wrong answer");
	freeReplyObject(r);
}

static void take_replies(const struct worker *w, struct server *s,
			 unsigned int n, int type)
{
	while (n--) {
		void *r = NULL;

		redisGetReply(s->c, &r);
		check_reply(w, r, type);
	}
}

/* The number of its key is all that a slot keeps of a value. */
static void fill(struct worker *w, struct server *s, size_t *n, uint64_t *x)
{
	size_t most = mixed_objects(w->row), left = w->row->bytes;
	static char value[VALUE_MOST];
	unsigned int under_way = 0;

	memset(value, 'v', sizeof(value));
	for (; *n < most && left; ++*n) {
		struct slot *slot = &worker_slots(w)[*n];
		size_t size = draw_size(w->row, x);

		slot->p = (char *)*n;
		slot->size = size < left ? size : left;
		left -= slot->size;
		redisAppendCommand(s->c, "SET key:%lu %b", *n, value,
				   slot->size);
		live_add(w, slot->size);
		if (++under_way < BATCH)
			continue;
		take_replies(w, s, under_way, REDIS_REPLY_STATUS);
		under_way = 0;
	}
	take_replies(w, s, under_way, REDIS_REPLY_STATUS);
}

static void delete_alone(struct worker *w, struct server *s, size_t key)
{
	uint64_t from = now_ns();
	redisReply *r = redisCommand(s->c, "DEL key:%lu", key);

	latency_add(LATENCY_FREE, now_ns() - from);
	check_reply(w, r, REDIS_REPLY_INTEGER);
}

static void delete(struct worker *w, struct server *s, size_t *n, size_t left,
		   uint64_t *x)
{
	struct slot *slots = worker_slots(w);
	unsigned int under_way = 0;

	while (*n > left) {
		size_t i = random_below(x, *n), key = (size_t)slots[i].p;

		live_add(w, -slots[i].size);
		slots[i] = slots[--*n];
		if (*n % ALONE == 0) {
			take_replies(w, s, under_way, REDIS_REPLY_INTEGER);
			under_way = 0;
			delete_alone(w, s, key);
			continue;
		}
		redisAppendCommand(s->c, "DEL key:%lu", key);
		if (++under_way < BATCH)
			continue;
		take_replies(w, s, under_way, REDIS_REPLY_INTEGER);
		under_way = 0;
	}
	take_replies(w, s, under_way, REDIS_REPLY_INTEGER);
}

static void rest(struct worker *w)
{
	unsigned int at[MAX_RESTS], n = rest_seconds(w->row, at);
	uint64_t start_ns = now_ns();

	mark_memory(w);
	for (unsigned int i = 0; i < n; i++) {
		sleep_until(start_ns + at[i] * 1000000000ULL);
		mark_memory(w);
	}
}

static void redis(struct worker *w)
{
	struct server s = { .pid = 0 };
	uint64_t x = w->rng;
	size_t n = 0;

	start(w, &s);
	watch_process(w, s.pid);
	fill(w, &s, &n, &x);
	w->ops = n;
	mark_memory(w);
	delete(w, &s, &n, n / KEYS_LEFT, &x);
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	rest(w);
	watch_end(w);
	stop(w, &s);
}

/* Only of what can be preloaded: the server is the program as it is. */
const struct workload scenario_redis = {
	.name = "redis",
	.help = "a redis-server filled with values of mixed sizes, 90 % of its "
		"keys deleted at random, then rest",
	.least = 16,
	.most = VALUE_MOST,
	.median = 100,
	.threads = one_thread,
	.cold = true,
	.watches = true,
	.table_len = mixed_len,
	.run = { [ALLOC_MALLOC] = redis },
};
