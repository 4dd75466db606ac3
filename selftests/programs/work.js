// SPDX-License-Identifier: MIT
// What node does with memory of its own and of the C++ below it: JSON, regular
// expressions, buffers, zlib, crypto, streams, child processes and threads.
'use strict';

const crypto = require('crypto');
const { execFile } = require('child_process');
const { pipeline, Readable, Transform } = require('stream');
const { promisify } = require('util');
const { Worker, isMainThread, parentPort, workerData } =
	require('worker_threads');
const zlib = require('zlib');

const hash = (data) =>
	crypto.createHash('sha256').update(data).digest('hex').slice(0, 32);

// The same numbers in each run.
function numbers(seed)
{
	let state = seed >>> 0;

	return (below) => {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		return Math.floor(state / 4294967296 * below);
	};
}

function tree(random, depth)
{
	if (!depth)
		return random(2) ? random(1e9) : 'leaf ' + random(1e6);
	if (random(2))
		return Array.from({ length: 4 }, () => tree(random, depth - 1));
	return Object.fromEntries(Array.from({ length: 4 }, (_, i) =>
		['key' + i + random(100), tree(random, depth - 1)]));
}

function documents(seed)
{
	const random = numbers(seed);
	const sums = [];

	for (let i = 0; i < 12; i++) {
		const text = JSON.stringify(tree(random, 6), null, i % 3);
		const copy = structuredClone(JSON.parse(text));

		sums.push(hash(JSON.stringify(copy)));
	}
	return hash(sums.join());
}

function expressions(seed)
{
	const random = numbers(seed);
	const text = Array.from({ length: 40000 }, () =>
		'word' + random(5000) + ' <a href="/' + random(99) + '">').join(' ');
	const found = new Map();

	for (const m of text.matchAll(/href="\/(?<page>\d+)"/g))
		found.set(m.groups.page, (found.get(m.groups.page) || 0) + 1);
	return hash(JSON.stringify([...found].sort()) +
		text.replace(/(\w+?)(\d+)/gu, '$2-$1').toUpperCase());
}

function packed(seed)
{
	const random = numbers(seed);
	const sums = [];

	for (let i = 1; i <= 12; i++) {
		const data = Buffer.alloc(i * 20011, () => 0);

		for (let j = 0; j < data.length; j++)
			data[j] = random(32);
		for (const [to, from] of [['gzipSync', 'gunzipSync'],
			['brotliCompressSync', 'brotliDecompressSync']]) {
			const options = to === 'gzipSync' ? { level: 6 } :
				{ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } };
			const small = zlib[to](data, options);

			if (!zlib[from](small).equals(data))
				throw new Error(to + ' lost something');
			sums.push(hash(small));
		}
	}
	return hash(sums.join());
}

function ciphers(seed)
{
	const key = crypto.scryptSync('secret', 'salt' + seed, 32, { N: 4096 });
	const sums = [];

	for (let i = 0; i < 100; i++) {
		const cipher = crypto.createCipheriv('aes-256-gcm', key,
			Buffer.alloc(12, i));

		sums.push(cipher.update('text'.repeat(i * 50), 'utf8', 'hex') +
			cipher.final('hex') + cipher.getAuthTag().toString('hex'));
	}
	return hash(sums.join());
}

async function streamed()
{
	const random = numbers(5);
	const sum = crypto.createHash('sha256');
	const gzip = zlib.createGzip();
	const lines = Readable.from((function* () {
		for (let i = 0; i < 20000; i++)
			yield 'line ' + i + ' ' + random(1e6) + '\n';
	})());
	const upper = new Transform({
		transform: (chunk, _, done) =>
			done(null, chunk.toString().toUpperCase()),
	});

	await promisify(pipeline)(lines, upper, gzip, async (source) => {
		for await (const chunk of source)
			sum.update(chunk);
	});
	return sum.digest('hex').slice(0, 32);
}

async function children()
{
	const start = promisify(execFile);
	const answers = await Promise.all(Array.from({ length: 6 }, (_, i) =>
		start(process.execPath, ['-p', `'child ${i} '.repeat(1000)`])));

	return hash(answers.map((a) => a.stdout).join());
}

function thread(seed)
{
	return new Promise((resolve, reject) => {
		const worker = new Worker(__filename, { workerData: seed });
		let answer;

		worker.on('message', (m) => { answer = m; });
		worker.on('error', reject);
		worker.on('exit', () => resolve(answer));
	});
}

const work = (seed) => ({
	documents: documents(seed), expressions: expressions(seed),
	packed: packed(seed), ciphers: ciphers(seed),
});

async function main()
{
	console.log(work(1));
	console.log(await Promise.all([2, 3, 4].map(thread)));
	console.log(await streamed(), await children());
}

if (isMainThread)
	main();
else
	parentPort.postMessage(work(workerData));
