-- SPDX-License-Identifier: MIT
-- After pgbench: its balances add up, and queries that take memory, by several
-- processes and compiled ones too.
SELECT (SELECT sum(abalance) FROM pgbench_accounts) AS accounts,
	(SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
	(SELECT sum(bbalance) FROM pgbench_branches) AS branches,
	(SELECT sum(delta) FROM pgbench_history) AS history;
SELECT 1 / (count(*) = 1)::int AS adds_up FROM (
	SELECT sum(abalance) FROM pgbench_accounts
	UNION SELECT sum(tbalance) FROM pgbench_tellers
	UNION SELECT sum(bbalance) FROM pgbench_branches
	UNION SELECT sum(delta) FROM pgbench_history) AS sums;

CREATE TABLE doc AS SELECT i, md5(i::text) AS key,
	jsonb_build_object('n', i, 'half', i / 2, 'text', repeat('x', i % 300),
		'list', (SELECT jsonb_agg(j * i) FROM generate_series(1, i % 9) j))
	AS body FROM generate_series(1, 20000) i;
CREATE INDEX doc_body ON doc USING gin (body jsonb_path_ops);
CREATE INDEX doc_key ON doc (key);
ANALYZE doc;
SELECT count(*) FROM doc WHERE body @> '{"half": 77}';
SELECT md5(string_agg(body::text, '|' ORDER BY key)) FROM doc;
SELECT count(*), sum(length(regexp_replace(key, '([a-f]+)(\d)', '\2\1', 'g')))
	FROM doc WHERE key ~ '^[0-9]+[a-f]{2,}';

SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT a.i % 10 AS g, count(*), sum(length(b.body::text)) FROM doc a
	JOIN doc b ON a.i = b.i / 2 GROUP BY g ORDER BY g;
SET work_mem = '64kB';
SELECT sum(r) FROM (SELECT row_number() OVER (ORDER BY key, i) * i AS r
	FROM doc) AS sorted;
SET jit_above_cost = 0;
SELECT sum(i * 2 + length(key)) FROM doc WHERE i % 3 = 1;

DO $$
BEGIN
	FOR n IN 1..300 LOOP
		EXECUTE format('CREATE TEMP TABLE t%s AS SELECT %s AS x', n, n);
		BEGIN
			PERFORM 1 / (n % 7);
		EXCEPTION WHEN division_by_zero THEN
			EXECUTE format('DROP TABLE t%s', n);
		END;
	END LOOP;
END $$;
SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]+$';
