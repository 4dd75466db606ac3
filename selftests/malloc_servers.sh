#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Servers under load over libslabmalloc.so, on loopback or on sockets in a
# temporary folder: redis, nginx and PostgreSQL, and their clients too.
set -u

# shellcheck source=selftests/malloc-helpers
. "${0%/*}/malloc-helpers"

# --- redis ---

# Strings, lists, hashes, sorted sets and streams; then a part of it removed.
commands()
{
	awk 'BEGIN {
		for (i = 0; i < 12000; i++) {
			s = sprintf("%0*d", 1 + i * 37 % 600, i)
			print "SET key:" i % 4000, s
			print "APPEND text:" i % 50, s
			print "LPUSH list:" i % 90, i, s
			print "HSET hash:" i % 300, "f" i, s, "last", i
			print "ZADD zset:" i % 60, i * 7919 % 1009, "m" i
			print "SADD set:" i % 70, i, "x" i % 13
			if (i % 3 == 0)
				print "XADD stream:" i % 9, i + 1 "-1", "v", s
		}
		for (i = 0; i < 4000; i += 3)
			print "DEL key:" i
		for (i = 0; i < 90; i += 2)
			print "LTRIM list:" i " 0 50"
	}'
}

cli()
{
	run redis-cli -s "$tmp/work/redis" "$@"
}

# redis NAME: in a folder of this name, with what is saved there
redis()
{
	mkdir -p "$1"
	background "$1/log" redis-server --port 0 --save '' --dir "$PWD/$1" \
		--unixsocket "$PWD/redis" --enable-debug-command yes
	within 30 redis-cli -s redis ping && return
	cat "$1/log"
	return 1
}

is_saved()
{
	redis-cli -s redis info persistence | tr -d '\r' >state
	grep -qx rdb_bgsave_in_progress:0 state &&
		grep -qx rdb_last_bgsave_status:ok state
}

# What the clients of a benchmark write is another thing each time; that it is
# the same from memory, from a file and from another server's memory is not.
is_still()	# digest, where it is from
{
	now=$(cli debug digest)
	[ "$now" = "$1" ] && return
	echo "$2: $now, not $1"
	return 1
}

do_redis()
{
	redis one
	commands | cli --pipe | grep -o 'errors: 0'
	cli debug digest
	cli object encoding zset:1

	over redis-benchmark -s redis -q -P 8 -c 20 -n 15000 -r 4000 -d 200 \
		-t set,get,incr,lpush,rpop,sadd,hset,zadd,mset >load 2>&1 &
	load=$!
	cli bgsave
	within 40 is_saved
	run redis-check-rdb one/dump.rdb | grep -o 'RDB looks OK!'
	wait $load
	if grep -i error load; then
		return 1
	fi

	digest=$(cli debug digest)
	cli debug reload
	is_still "$digest" "after debug reload"
	mkdir two
	cli --rdb two/dump.rdb >log 2>&1
	cli shutdown nosave
	redis two
	is_still "$digest" "in a server that read the dump"
	cli memory purge
}
needs redis redis-server redis-cli redis-benchmark redis-check-rdb &&
	both redis do_redis redis-server redis-cli redis-benchmark

# --- nginx ---

python=/usr/bin/python3
as_root=
[ "$(id -u)" != 0 ] || as_root=yes

free_port()
{
	$python -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

nginx_conf()	# port
{
	cat <<-END
	${as_root:+user nobody nogroup;}
	daemon off;
	worker_processes 2;
	pid $PWD/pid;
	events { worker_connections 512; }
	http {
		access_log off;
		client_body_temp_path $PWD/body;
		proxy_temp_path $PWD/proxy;
		fastcgi_temp_path $PWD/fastcgi;
		uwsgi_temp_path $PWD/uwsgi;
		scgi_temp_path $PWD/scgi;
		proxy_cache_path $PWD/cache keys_zone=kept:1m;
		gzip on;
		gzip_min_length 100;
		server {
			listen 127.0.0.1:$1;
			root $PWD/pages;
			location /list/ { autoindex on; alias $PWD/pages/; }
			location /ssi/ { ssi on; alias $PWD/pages/; }
			location /through/ {
				proxy_pass http://127.0.0.1:$1/;
				proxy_http_version 1.1;
			}
			location /cached/ {
				proxy_pass http://127.0.0.1:$1/;
				proxy_cache kept;
				proxy_cache_valid 1m;
			}
		}
	}
	END
}

pages()
{
	mkdir pages
	seq 200000 >pages/large.html
	seq -f 'line %g of a page' 400 >pages/index.html
	echo small >pages/small.html
	for i in $(seq 20); do
		echo "<!--#include virtual=\"/small.html?$i\" -->"
	done >pages/many.html
	touch -d 2020-01-01 pages/*
}

# Each page is asked for by many at a time, while the workers are exchanged.
do_nginx()
{
	pages
	port=$(free_port)
	nginx_conf "$port" >conf
	url=http://127.0.0.1:$port
	background log nginx -e "$PWD/errors" -p "$PWD" -c "$PWD/conf"
	within 30 $python "$programs/fetch.py" "$url" /small.html || {
		cat log errors
		return 1
	}
	run $python "$programs/fetch.py" "$url" / /small.html /large.html \
		/list/ /ssi/many.html /through/large.html /cached/large.html \
		/cached/index.html /cached/index.html /through/through/ \
		/not-there
	for page in / /ssi/many.html /through/large.html; do
		(sleep 0.4; kill -HUP "$server") &
		run wrk -t 2 -c 16 -d 1s -H 'Connection: close' "$url$page" \
			>>load
		wait $!
	done
	if grep -E 'Non-2xx|Socket errors' load; then
		return 1
	fi
	grep -c Requests/sec load
	run $python "$programs/fetch.py" "$url" / /ssi/many.html /cached/
	if grep -E 'alert|emerg|crit' errors; then
		return 1
	fi
}
needs nginx nginx wrk $python && both nginx do_nginx nginx wrk

# --- PostgreSQL ---

# It does not run as root. Nothing that would stay between it and its number.
other_user=
[ -z "$as_root" ] ||
	other_user="setpriv --reuid=nobody --regid=nogroup --clear-groups"

sql()
{
	run psql -h "$tmp/work" -U postgres -X -q -v ON_ERROR_STOP=1 "$@"
}

bench_pg()
{
	run pgbench -h "$PWD" -U postgres "$@" postgres >load 2>&1 || {
		cat load
		return 1
	}
}

sum_of()	# query
{
	sql -c "COPY ($1) TO STDOUT" >rows
	wc -l <rows
	sha256sum <rows
}

# All clients draw from the seed, and what they add does not depend on its
# order: so all balances are the same in the end.
do_postgres()
{
	# shellcheck disable=SC2086 # a command with its arguments, or none
	run $other_user initdb -D "$PWD/data" -U postgres -A trust -E UTF8 \
		--locale=C --no-sync >log 2>&1 || { cat log; return 1; }
	# shellcheck disable=SC2086
	background server.log $other_user postgres -D "$PWD/data" -k "$PWD" -F \
		-c listen_addresses= -c shared_buffers=16MB
	within 30 pg_isready -q -h "$PWD" -U postgres || {
		cat server.log
		return 1
	}
	bench_pg -i -q -s 1
	bench_pg --random-seed=7 -c 4 -j 2 -t 150
	grep 'transactions actually' load
	bench_pg --random-seed=8 -n -c 4 -j 2 -t 150 -S -M prepared
	grep 'transactions actually' load
	sum_of 'SELECT aid, abalance FROM pgbench_accounts ORDER BY 1'
	sum_of 'SELECT tid, bid, aid, delta FROM pgbench_history
		ORDER BY 1, 2, 3, 4'
	sql -f "$programs/bank.sql"
	run pg_dump -h "$PWD" -U postgres --schema-only postgres >dump
	# Drawn anew in each dump.
	grep -vE '^\\(un)?restrict ' dump
}

for bin in /usr/lib/postgresql/*/bin; do
	PATH=$bin:$PATH
done
needs postgres postgres initdb pgbench psql pg_dump setpriv &&
	both postgres do_postgres postgres psql pgbench initdb pg_dump

finish_parts
