-- SPDX-License-Identifier: MIT
-- A shop's orders: what sqlite3 can do that takes memory of many sizes.
PRAGMA journal_mode = WAL;
PRAGMA cache_size = -4000;
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, town TEXT, note BLOB);
CREATE TABLE item(id INTEGER PRIMARY KEY, customer REFERENCES customer,
	product TEXT, amount INTEGER, price REAL, tags TEXT);
CREATE TABLE audit(item INTEGER, was INTEGER, is_now INTEGER);
CREATE INDEX item_customer ON item(customer, product);
CREATE INDEX item_even ON item(price) WHERE amount % 2 = 0;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE TRIGGER item_changed AFTER UPDATE OF amount ON item BEGIN
	INSERT INTO audit VALUES (old.id, old.amount, new.amount);
END;

BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO customer SELECT i, printf('customer %d', i * 7919 % 2003),
	substr('northsouthwesteast', 1 + i % 14, 5), zeroblob(i * 37 % 3000)
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO item SELECT i, 1 + i * 7919 % 2000, printf('product %d', i % 331),
	i * 31 % 100, i * 17 % 1009 / 8.0,
	json_object('id', i, 'tags', json_array(i % 7, i % 11, hex(i * 104729)))
FROM n;
INSERT INTO words SELECT product || ' ' || tags FROM item WHERE id % 10 = 0;
COMMIT;

SELECT count(*), sum(amount), round(avg(price), 6) FROM item;
SELECT town, count(*), group_concat(DISTINCT product) FROM customer
	JOIN item ON item.customer = customer.id
	WHERE item.price > 100 GROUP BY town ORDER BY town;
SELECT id, product, sum(amount) OVER (PARTITION BY product ORDER BY id
	ROWS BETWEEN 50 PRECEDING AND CURRENT ROW) AS s,
	rank() OVER (ORDER BY price DESC, id) AS r
	FROM item ORDER BY s DESC, id LIMIT 200;
SELECT json_extract(tags, '$.tags[2]') AS t, count(*) FROM item
	GROUP BY t HAVING count(*) > 0 ORDER BY t LIMIT 50;
SELECT rowid, highlight(words, 0, '<', '>') FROM words
	WHERE words MATCH '"product 33" OR 1046*' ORDER BY rowid LIMIT 50;
WITH RECURSIVE walk(id, path, depth) AS (
	SELECT 1, '1', 0 UNION ALL
	SELECT walk.id * 2 + side.b, path || '/' || (walk.id * 2 + side.b),
		depth + 1
	FROM walk, (SELECT 0 AS b UNION SELECT 1) AS side WHERE depth < 11)
SELECT count(*), max(length(path)), sum(length(path)) FROM walk;

BEGIN;
UPDATE item SET amount = amount + 1 WHERE id % 3 = 0;
SAVEPOINT half;
DELETE FROM item WHERE id % 2 = 0;
ROLLBACK TO half;
DELETE FROM item WHERE id % 5 = 0;
COMMIT;
INSERT INTO words(words) VALUES ('optimize');
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(is_now - was) FROM audit;
SELECT length(group_concat(tags, '|')) FROM item;
SELECT length(zeroblob(20000000)), length(replace(printf('%1000000s', ''),
	' ', 'longer'));
