// SPDX-License-Identifier: MIT
// Memory maps that one steps through. A pageblock is a line, its 512 pages from
// left to right; the tables below a picture have the same in numbers.
"use strict";

const KINDS = ["free", "released", "large", "pages", "full", "partial", "empty",
	"active"];
const BLOCK_PAGES = 512;
// More lines than anybody looks at; the tables are of all.
const MOST_BLOCKS = 1024;
// And on paper, of each of these frames.
const MOST_ON_PAPER = 128;
const FRAMES_ON_PAPER = 4;
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
		element("td", `${block.backing} ${block.flags}`.trim()),
		picture, element("td", block.free), element("td", block.released),
		element("td", block.hollow));
	return row;
}

function blockTable(blocks) {
	const table = element("table"), head = element("thead");
	const names = element("tr"), body = element("tbody");
	const palette = colours();

	for (const name of ["block", "node", "backing", "pages", "free",
		"released", "hollow"])
		names.append(element("th", name));
	head.append(names);
	body.append(...blocks.map((b) => blockRow(b, palette)));
	table.className = "frame";
	table.append(head, body);
	return table;
}

function describe(block, frame) {
	const words = block.runs.map((run) => {
		const [at, pages, kind, cache, out, objects] = run;
		const pfn = block.n * BLOCK_PAGES + at;
		let text = `${pfn}: ${pages} ${KINDS[kind]}`;

		if (cache)
			text += ` ${cache} ${out}/${objects}`;
		return pfn in frame.owners ?
			`${text} of CPU ${frame.owners[pfn]}` : text;
	});

	return `Pageblock ${block.n}, node ${block.node}, ${block.backing} ` +
		`${block.flags}: ${block.free} pages free, ` +
		`${block.released} of them released. Pages from: ` +
		`${words.join("; ")}.`;
}

// --- a frame ---

function cacheRow([cache, ...cells]) {
	const row = element("tr"), name = element("th", cache);

	name.scope = "row";
	row.append(name, ...cells.map((v) => element("td", v)));
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
		const frame = this.frame;
		const text = this.label(Number(this.slider.value), MOST_BLOCKS);

		this.shown = this.drawn(frame, MOST_BLOCKS);
		this.blocks.replaceChildren(blockTable(this.shown));
		this.box.querySelector("output").textContent = text;
		this.slider.setAttribute("aria-valuetext", text);
		this.box.querySelector(".caches tbody").replaceChildren(
			...frame.caches.map(cacheRow));
		this.choose(this.chosen);
	}

	drawn(frame, most) {
		return frame.blocks.slice(0, most)
			.map((i) => this.data.blocks[i]);
	}

	label(index, most) {
		const frame = this.data.frames[index];
		let text = `second ${frame.t}, frame ${index + 1} of ` +
			`${this.data.frames.length}, ` +
			`${frame.blocks.length} pageblocks`;

		if (frame.blocks.length > most)
			text += `, the first ${most} drawn`;
		return text;
	}

	// --- on paper ---

	// From the first to the last, evenly, and that of the slider.
	chosenFrames() {
		const last = this.data.frames.length - 1;
		const steps = Math.min(last, FRAMES_ON_PAPER - 1);
		const chosen = new Set([last, Number(this.slider.value)]);

		for (let i = 0; i < steps; i++)
			chosen.add(Math.round(last * i / steps));
		return [...chosen].sort((a, b) => a - b);
	}

	print() {
		this.box.querySelector(".paper").replaceChildren(
			...this.chosenFrames().flatMap((index) => [
				element("h4", this.label(index, MOST_ON_PAPER)),
				blockTable(this.drawn(this.data.frames[index],
					MOST_ON_PAPER))]));
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

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
	pictures.forEach((p) => p.show()));
// Not before, as there may be thousands of lines; in light colours.
matchMedia("print").addEventListener("change", (e) => {
	if (e.matches)
		pictures.forEach((p) => p.print());
});
