// SPDX-License-Identifier: MIT
/*
 * slabbench record: a program with the recorder preloaded.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "recorder.h"
#include "slabbench.h"
#include "trace.h"

#define RECORDER	"libslabtrace.so"

struct record_args {
	const char *file;
	char **command;
};

static error_t parse_record(int key, char *arg, struct argp_state *state)
{
	struct record_args *args = state->input;

	switch (key) {
	case 'o':
		args->file = arg;
		return 0;
	case ARGP_KEY_ARGS:
		args->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "there is no command to record");
		return EINVAL;
	case ARGP_KEY_END:
		if (!args->file)
			argp_error(state, "-o FILE is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option record_options[] = {
	{ "output", 'o', "FILE.rnt", 0,
	  "The trace, made anew once there is something to record; that of "
	  "another process is FILE.PID.rnt", 0 },
	{ 0 }
};

static const struct argp record_argp = {
	.options = record_options,
	.parser = parse_record,
	.args_doc = "-- COMMAND [ARGUMENT...]",
	.doc = "Run a program, and write down each call of its allocator.\v"
	       "The exit code is 1, too, if that of the command is not 0.",
};

/* Where make has put it, or make install. */
static bool find_recorder(char *path)
{
	static const char *const from_here[] = {
		"../slabtrace/" RECORDER, "../lib/" RECORDER,
	};
	char at[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(from_here); i++)
		if (path_from_self(at, sizeof(at), from_here[i]) &&
		    realpath(at, path))
			return true;
	return false;
}

/**
 * struct output - the file of the first process
 * @path: its absolute name, of which there is nothing during the recording
 * @former: where that of an earlier time is meanwhile
 * @had_former: there was one
 */
struct output {
	char path[PATH_MAX], former[PATH_MAX + 32];
	bool had_former;
};

/* 0, or -1 after a message. Whatever is no plain file stays. */
static int prepare_output(const char *name, struct output *out)
{
	FILE *f;

	if (refuses_output(name))
		return -1;
	out->had_former = !access(name, F_OK);
	f = fopen(name, "ae");
	if (f && realpath(name, out->path)) {
		fclose(f);
		snprintf(out->former, sizeof(out->former), "%s.%d.former",
			 out->path, (int)getpid());
		if (!rename(out->path, out->former))
			return 0;
	}
	fprintf(stderr, "slabbench: cannot write %s: %s\n", name,
		strerror(errno));
	return -1;
}

/* False where nothing was recorded: what there was before is there again. */
static bool settle_output(const struct output *out)
{
	bool recorded = !access(out->path, F_OK);

	if (recorded || !out->had_former)
		unlink(out->former);
	else
		rename(out->former, out->path);
	return recorded;
}

/* The recorder first: what else is preloaded is what it records. */
static int set_environment(const char *recorder, const char *path)
{
	const char *others = getenv("LD_PRELOAD");
	char *preload, pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (asprintf(&preload, "%s%s%s", recorder,
		     others && *others ? ":" : "", others ? others : "") < 0)
		return -1;
	return setenv("LD_PRELOAD", preload, 1) ||
		setenv(RNT_ENV_FILE, path, 1) || setenv(RNT_ENV_PID, pid, 1);
}

static pid_t recorded;

static void pass_on(int sig)
{
	kill(recorded, sig);
}

/*
 * Ctrl-C reaches the program anyway; who ends this process means that one. What
 * it did until then is recorded.
 */
static void leave_signals(pid_t pid)
{
	struct sigaction sa = { .sa_handler = pass_on, .sa_flags = SA_RESTART };

	recorded = pid;
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
}

/* What waitpid() gives, or -1 after a message. */
static int run(const struct record_args *args, const char *recorder,
	       const char *path)
{
	pid_t pid;
	int status;

	fflush(NULL);
	interrupt_block();
	pid = fork();
	if (pid > 0)
		leave_signals(pid);
	interrupt_unblock(!pid);
	if (!pid) {
		if (!set_environment(recorder, path))
			execvp(args->command[0], args->command);
		fprintf(stderr, "slabbench: cannot start %s: %s\n",
			args->command[0], strerror(errno));
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid > 0)
		return status;
	fprintf(stderr, "slabbench: cannot start a process: %s\n",
		strerror(errno));
	return -1;
}

static int say_end(const char *command, int status)
{
	if (WIFSIGNALED(status))
		fprintf(stderr, "slabbench: %s was killed by signal %d (%s): what its threads had not yet written is lost\n",
			command, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		fprintf(stderr, "slabbench: %s ended with exit code %d\n",
			command, WEXITSTATUS(status));
	else
		return EXIT_OK;
	return EXIT_FAILED;
}

/* What has been written, in a line; -1 after a message. */
static int say_written(const char *name)
{
	struct trace t;
	int ret = trace_load(&t, name);

	if (!ret)
		fprintf(stderr, "slabbench: %s: %" PRIu64 " calls of %zu threads, %.1f bytes each\n",
			name, t.events, t.nr_threads,
			(double)t.bytes / t.events);
	trace_free(&t);
	return ret;
}

int cmd_record(int argc, char **argv)
{
	struct record_args args = { .file = NULL };
	char recorder[PATH_MAX];
	struct output out;
	int status, ret;
	bool recorded;

	argp_parse(&record_argp, argc, argv, ARGP_IN_ORDER, NULL, &args);
	if (!find_recorder(recorder)) {
		fprintf(stderr, "slabbench: there is no " RECORDER " beside this program (a build with SAN= has none)\n");
		return EXIT_UNAVAILABLE;
	}
	if (strpbrk(recorder, " :")) {
		fprintf(stderr, "slabbench: %s cannot be preloaded: there is a blank or a colon in its name\n",
			recorder);
		return EXIT_UNAVAILABLE;
	}
	if (prepare_output(args.file, &out))
		return EXIT_FAILED;
	status = run(&args, recorder, out.path);
	recorded = settle_output(&out);
	if (status < 0)
		return EXIT_FAILED;
	ret = say_end(args.command[0], status);
	if (!recorded) {
		fprintf(stderr, "slabbench: %s has recorded nothing: is it linked statically, or with more rights than its user?\n",
			args.command[0]);
		return EXIT_FAILED;
	}
	return say_written(args.file) ? EXIT_FAILED : ret;
}
