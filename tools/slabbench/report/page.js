// SPDX-License-Identifier: MIT
// Memory maps that one steps through. A pageblock is a line, its 512 pages from
// left to right; the tables below a picture have the same in numbers.
"use strict";

const KINDS = ["free", "released", "large", "pages", "full", "partial", "empty",
	"active"];
const BLOCK_PAGES = 512;
// More lines than anybody looks at; the tables are of all.
const MOST_BLOCKS = 1024;
// A partial slab of which little is left is still told from free pages.
const LEAST_ALPHA = 0.3;

function colours() {
	const style = getComputedStyle(document.documentElement);

	return KINDS.map((k) => style.getPropertyValue(`--${k}`).trim());
}

function element(name, text) {
	const e = document.createElement(name);

	if (text !== undefined)
		e.textContent = text;
	return e;
}

function percent(part, whole) {
	return whole ? `${(100 * part / whole).toFixed(1)} %` : "–";
}

function share(fast, slow) {
	return percent(fast, fast + slow);
}

// --- a pageblock ---

function paint(canvas, block, palette) {
	const g = canvas.getContext("2d");

	g.clearRect(0, 0, BLOCK_PAGES, 1);
	for (const [at, pages, kind, , out, objects] of block.runs) {
		const partial = KINDS[kind] === "partial";

		g.fillStyle = palette[kind];
		g.globalAlpha = partial ? LEAST_ALPHA +
			(1 - LEAST_ALPHA) * out / objects : 1;
		g.fillRect(at, 0, pages, 1);
	}
}

function blockRow(block, palette) {
	const row = element("tr"), picture = element("td");
	const canvas = element("canvas");

	canvas.width = BLOCK_PAGES;
	canvas.height = 1;
	paint(canvas, block, palette);
	picture.className = "picture";
	picture.append(canvas);
	row.append(element("th", block.n), element("td", block.node),
		element("td", `${block.backing} ${block.flags}`.trim()), picture,
		element("td", block.free), element("td", block.released),
		element("td", block.hollow));
	return row;
}

// CPUs by the first page of the slab that is theirs.
function owners(frame) {
	const of = new Map();

	for (const cache of frame.caches)
		for (const slot of cache.slots)
			if (slot[5] !== null)
				of.set(slot[5], `CPU ${slot[0]}`);
	return of;
}

function describe(block, frame) {
	const of = owners(frame);
	const words = block.runs.map(([at, pages, kind, cache, out, objects]) => {
		const pfn = block.n * BLOCK_PAGES + at;
		let text = `${pfn}: ${pages} ${KINDS[kind]}`;

		if (cache)
			text += ` ${cache} ${out}/${objects}`;
		return of.has(pfn) ? `${text} of ${of.get(pfn)}` : text;
	});

	return `Pageblock ${block.n}, node ${block.node}, ${block.backing} ` +
		`${block.flags}: ${block.free} pages free, ` +
		`${block.released} of them released. Pages from: ` +
		`${words.join("; ")}.`;
}

// --- a frame ---

function cacheRow(c) {
	const inSlots = c.slots.reduce((sum, s) => sum + s[1] + s[3], 0);
	const slabs = c.slots.filter((s) => s[5] !== null).length;
	const cells = [c.node, c.size, c.active, c.objects,
		percent(c.active, c.objects), share(c.fast_allocs, c.slow_allocs),
		share(c.fast_frees, c.slow_frees), c.refills, c.flushes, ...c.barn,
		inSlots, slabs];
	const row = element("tr"), name = element("th", c.name);

	name.scope = "row";
	row.append(name, ...cells.map((v) => element("td",
		typeof v === "number" ? v.toLocaleString("en") : v)));
	return row;
}

class Picture {
	constructor(box, data) {
		this.box = box;
		this.data = data;
		this.slider = box.querySelector("input");
		this.blocks = box.querySelector(".blocks");
		this.text = box.querySelector(".chosen");
		this.chosen = -1;
		this.slider.addEventListener("input", () => this.show());
		for (const button of box.querySelectorAll("button"))
			button.addEventListener("click",
				() => this.step(Number(button.dataset.step)));
		this.blocks.addEventListener("keydown", (e) => this.key(e));
		this.blocks.addEventListener("click", (e) => this.click(e));
		this.show();
	}

	get frame() {
		return this.data.frames[Number(this.slider.value)];
	}

	step(by) {
		this.slider.value = Number(this.slider.value) + by;
		this.show();
	}

	show() {
		const frame = this.frame, palette = colours();
		const table = element("table"), head = element("thead");
		const names = element("tr"), body = element("tbody");

		for (const name of ["block", "node", "backing", "pages", "free",
			"released", "hollow"])
			names.append(element("th", name));
		head.append(names);
		this.shown = frame.blocks.slice(0, MOST_BLOCKS)
			.map((i) => this.data.blocks[i]);
		body.append(...this.shown.map((b) => blockRow(b, palette)));
		table.append(head, body);
		this.blocks.replaceChildren(table);
		this.label(frame);
		this.box.querySelector(".caches tbody").replaceChildren(
			...frame.caches.map(cacheRow));
		this.choose(this.chosen);
	}

	label(frame) {
		const number = Number(this.slider.value) + 1;
		let text = `second ${frame.t}, frame ${number} of ` +
			`${this.data.frames.length}, ` +
			`${frame.blocks.length} pageblocks`;

		if (frame.blocks.length > MOST_BLOCKS)
			text += `, the first ${MOST_BLOCKS} drawn`;
		this.box.querySelector("output").textContent = text;
		this.slider.setAttribute("aria-valuetext", text);
	}

	// --- one of the blocks ---

	choose(index) {
		const rows = this.blocks.querySelectorAll("tbody tr");

		rows[this.chosen]?.classList.remove("chosen");
		this.chosen = Math.min(index, rows.length - 1);
		this.text.textContent = "";
		if (this.chosen < 0)
			return;
		rows[this.chosen].classList.add("chosen");
		rows[this.chosen].scrollIntoView({ block: "nearest" });
		this.text.textContent = describe(this.shown[this.chosen],
			this.frame);
	}

	key(event) {
		const last = this.shown.length - 1;
		const to = {
			ArrowDown: Math.min(this.chosen + 1, last),
			ArrowUp: Math.max(this.chosen - 1, 0),
			Home: 0,
			End: last,
		}[event.key];

		if (to === undefined)
			return;
		event.preventDefault();
		this.choose(to);
	}

	click(event) {
		const row = event.target.closest("tbody tr");

		if (row)
			this.choose(row.sectionRowIndex);
	}
}

const data = JSON.parse(document.getElementById("data").textContent);
const pictures = [...document.querySelectorAll(".map")].map((box) =>
	new Picture(box, data[Number(box.dataset.map)]));

// The colours are others then, and those of paper are the light ones.
for (const query of ["(prefers-color-scheme: dark)", "print"])
	matchMedia(query).addEventListener("change", () =>
		pictures.forEach((p) => p.show()));
