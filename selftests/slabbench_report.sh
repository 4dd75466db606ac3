#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "slabbench report" from outside: what is no good is said, the page has what
# the files have, needs nothing else, and works in a browser.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

if ! command -v python3 >/dev/null || ! command -v gnuplot >/dev/null; then
	echo "python3 and gnuplot are not both among the programs here"
	exit 77
fi

dir=$tmp/dir
page=$tmp/page.html

report()	# exit code, text on stderr, file name, its contents
{
	rm -rf "$dir"
	mkdir "$dir"
	printf '%s' "$4" >"$dir/$3"
	refuses "$1" "$2" report "$dir" -o "$page"
}

page_has()
{
	grep -qF -- "$1" "$page"
}

# --- what is no good ---

mkdir "$dir"
check "help" gives 0 report --help
check "no folder" refuses 2 "of which folder" report
check "two folders" refuses 2 "one folder is enough" report "$dir" "$dir"
check "nowhere" refuses 2 "cannot read $tmp/none" report "$tmp/none"
check "an empty folder" refuses 2 "$dir: there is nothing to report" \
	report "$dir" -o "$page"
check "and no page" [ ! -e "$page" ]

good='{"workload":"pair","allocator":"rn","ns_per_op":2}'
check "no JSON" report 2 "$dir/a.json:2: no JSON" a.json "$good
{\"workload\":"
check "no object" report 2 "$dir/a.json:1: no JSON object" a.json "[1]"
check "no workload" report 2 "a.json:1: no line of slabbench" a.json "{}"
check "no allocator" report 2 "a.json:1: no allocator" a.json \
	'{"workload":"pair","ns_per_op":2}'
check "no figure" report 2 "a.json:1: no figure" a.json \
	'{"workload":"pair","allocator":"rn"}'
check "no number" report 2 "a.json:1: ns_per_op is no number: 'x'" a.json \
	'{"workload":"pair","allocator":"rn","ns_per_op":"x"}'
check "not finite" report 2 "a.json:1: ns_per_op is no number" a.json \
	'{"workload":"pair","allocator":"rn","ns_per_op":NaN}'
check "no command line" report 2 "a.json:1: command is no list" a.json \
	'{"workload":"pair","allocator":"rn","ns_per_op":2,"command":"x"}'
check "no series" report 2 "a.json:1: series is no list" a.json \
	'{"workload":"reclaim","allocator":"rn","series":[[1,2]]}'
check "an empty file" report 2 "$dir/a.json: empty" a.json ""
check "no memory map" report 2 "a.memmap:1: no memory map" a.memmap "x"
check "of another version" report 2 "a.memmap:1: no memory map" a.memmap \
	"memmap - version: 2.0"
check "no line of one" report 2 "a.memmap:2: no line of a memory map: block" \
	a.memmap "memmap - version: 1.0
block"
check "a page of no block" report 2 "a.memmap:3: no line" a.memmap \
	"memmap - version: 1.0
block 1 0 thp 0 0 0
free 0 512"
check "a state that is none" report 2 "a.memmap:3: no line" a.memmap \
	"memmap - version: 1.0
block 0 0 thp 0 0 0
slab 0 1 kmalloc-16 odd 1 256 0"
check "no line of strace" report 2 "a.strace:1: no line of strace" a.strace \
	"mmap(NULL, 4096) = 0"
check "no call" report 2 "a.strace:1: no call" a.strace "1 1.5 what is this"
check "a call without its arguments" report 2 "a.strace:1: no call" a.strace \
	"1 1.5 mmap(NULL) = 0x1000"

# --- a folder of which all is known ---

row()		# allocator, threads, run, ns_per_op
{
	echo "{\"workload\":\"pair\",\"size\":64,\"allocator\":\"$1\"," \
		"\"threads\":$2,\"run\":$3,\"ns_per_op\":$4," \
		"\"cpu_model\":\"A <CPU> & more\",\"kernel\":\"9.8.7\"," \
		"\"command\":[\"slabbench\",\"-w\",\"pair\",\"</script>\"]}"
}

known()
{
	rm -rf "$dir"
	mkdir "$dir"
	for run in 1 2 3; do
		row rn 1 $run $((run * 10 + 100))
		row rn 2 $run 50
		row 'odd<b>&\"name' 1 $run 250
		row 'odd<b>&\"name' 2 $run 125
	done >"$dir/pair.json"
	cat >"$dir/reclaim.json" <<-'JSON'
	{"workload":"reclaim","scenario":"collapse","allocator":"rn","threads":1,"live_bytes":1048576,"held_kb":1536,"free_min_ns":1,"free_p50_ns":17,"free_p95_ns":40,"free_p99_ns":80,"free_p999_ns":640,"free_max_ns":77777,"marks":[[1000,4096,5120],[2000,1024,4096],[3000,1024,1536]],"series":[[500,2048,3072],[1500,4096,5120],[2500,1024,1536]]}
	JSON
	frame 20 >"$dir/run.1.000.memmap"
	frame 200 >"$dir/run.2.500.memmap"
	cat >"$dir/other.strace" <<-'CALLS'
	6 99.000000 brk(NULL) = 0x555000
	6 99.100000 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f1000000000
	6 99.200000 munmap(0x7f1000000000, 99999) = -1 EINVAL (Invalid argument)
	7 100.000000 brk(NULL) = 0x1000
	7 100.100000 brk(NULL) = 0x1000
	7 100.500000 brk(0x101000) = 0x101000
	7 101.000000 mmap(NULL, 4194304, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
	8 101.200000 munmap(0x7f0000100000, 1048576 <unfinished ...>
	7 101.300000 madvise(0x7f0000000000, 1048576, MADV_DONTNEED) = 0
	7 101.320000 mmap(NULL, 1099511627776, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x600000000000
	7 101.340000 mprotect(0x600000100000, 2097152, PROT_READ|PROT_WRITE) = 0
	7 101.360000 mprotect(0x600000100000, 1048576, PROT_NONE) = 0
	7 101.380000 process_madvise(-10001, [{iov_base=0x600000200000, iov_len=1048576}, {iov_base=0x600000240000, iov_len=1048576}], 2, MADV_DONTNEED, 0) = 2097152
	8 101.400000 <... munmap resumed>) = 0
	7 102.000000 +++ exited with 0 +++
	CALLS
	echo 'arena <0>: 12345 bytes' >"$dir/other.stats"
	echo hello >"$dir/readme.txt"
}

# Of two pageblocks, the second of which begins with the end of a large object.
frame()		# objects that are out of a slab
{
	cat <<-MAP
	memmap - version: 1.0
	block 0 0 hugetlb 100 40 0 whole
	slab 0 1 kmalloc-16 active $1 256 0 17
	slab 1 3 kmalloc-64 partial $1 200 1
	free 4 60
	released 64 40
	large 104 700
	block 1 1 small 220 0 0
	free 804 220
	cache kmalloc-16 0 16 10 256 75 25 30 10 3 2
	barn kmalloc-16 0 4 5 600
	slot kmalloc-16 0 1 20 32 11 32 0 1
	later words
	MAP
}

known
check "a page" gives 0 report "$dir" -o "$page"
check "it is named" grep -qF "$page: 13 runs, 1 memory maps, 1 histories" \
	"$tmp/out"
check "what is left out is said" grep -qF "readme.txt: left out" "$tmp/err"
check "and on the page" page_has "not read: no name"
for id in where throughput latency memory fragmentation maps classes peers; do
	check "section $id" page_has "<section id=$id "
	check "a link to $id" page_has "href=\"#$id\""
done
check "the machine" page_has "A &lt;CPU&gt; &amp; more"
check "the command line" page_has \
	"slabbench -w pair &#x27;&lt;/script&gt;&#x27;"
check "a median" page_has "<td>120</td><td>16.7 %</td><td>110</td><td>130</td>"
check "throughput" page_has "<td>8.33</td>"
check "a name is text" page_has "odd&lt;b&gt;&amp;&quot;name"
check "and nowhere else" [ "$(grep -c 'odd<b>' "$page")" -eq 0 ]
check "a percentile" page_has "<td>77,777</td>"
check "what was held" page_has "<td>1.5</td><td>0.0 %</td><td>1.5</td>"
check "calls of strace" page_has \
	"<th scope=row>MADV_DONTNEED</th><td>2</td><td>3</td>"
check "of each program" page_has \
	"<th scope=row>6</th><th scope=row>mmap of a file</th><td>1</td>"
check "no address for a size" page_has \
	"<th scope=row>brk</th><td>3</td><td>1</td>"
check "no call that failed" [ "$(grep -c '<th scope=row>munmap</th>' \
	"$page")" -eq 1 ]
check "mapped in the end: a brk, what munmap left, and mprotect made" \
	page_has "<td>1.4</td><td>5</td>"
check "reserved addresses are told apart" page_has \
	"<th scope=row>mmap of addresses</th><td>1</td>"
check "what came of it" page_has \
	"<th scope=row>other</th><td>10</td><td>7</td><td>5</td><td>3</td>"
check "an allocator's own words" page_has "arena &lt;0&gt;: 12345 bytes"
check "words of a later version" page_has "does not know: later"
check "pages at each frame" page_has \
	"<td>2</td><td>1.09</td><td>0.156</td><td>2.73</td>"
check "hit rates" page_has "<td>75.0 %</td><td>75.0 %</td><td>3</td><td>2</td>"
check "sheaves" page_has \
	"<td>4</td><td>5</td><td>600</td><td>31</td><td>1</td>"
check "remote frees" page_has "<td>31</td><td>1</td><td>17</td><td>31</td>"
check "a chart for each" [ "$(grep -c '<svg' "$page")" -ge 6 ]
check "each with its data" [ "$(grep -c '<figure>' "$page")" -eq \
	"$(grep -c '<summary>data</summary>' "$page")" ]
check "words of charts are text" grep -q '<text>.*million operations' "$page"
check "no address of another place" [ "$(grep -ciE \
	'https?://|src=|@import|url\((..?)?//|<link' "$page")" -eq 0 ]
cp "$page" "$tmp/first.html"
check "the same once more, into the folder" gives 0 report "$dir" \
	-o "$dir/report.html"
check "and over that" gives 0 report "$dir" -o "$dir/report.html"
check "which is none of its data" [ "$(grep -c 'report.html' \
	"$dir/report.html")" -eq 0 ]
check "an unwritable page" refuses 1 "cannot write $tmp/no/where" report \
	"$dir" -o "$tmp/no/where"

# --- without the programs that it needs ---

without_programs()	# text
{
	env PATH="$tmp/bin" "$bench" report "$dir" -o "$page" >"$tmp/out" \
		2>"$tmp/err"
	[ $? -eq 3 ] && grep -q "$1" "$tmp/err"
}

mkdir "$tmp/bin"
check "no python3" without_programs "needs python3"
ln -s "$(python3 -c 'import sys; print(sys.executable)')" "$tmp/bin/python3"
check "no gnuplot" without_programs "needs gnuplot"
printf '#!/bin/sh\necho broken >&2\nexit 1\n' >"$tmp/bin/gnuplot"
chmod +x "$tmp/bin/gnuplot"
check "gnuplot fails" without_programs "gnuplot could not draw"

# --- what slabbench writes itself ---

# Asked for, and not to be had: said before anything is measured.
refuses_to_trace()	# path, text
{
	env PATH="$1" "$bench" reclaim -w collapse -p rn --json "$tmp/untraced" \
		--syscalls "$dir" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 3 ] && grep -q "$2" "$tmp/err" && [ ! -e "$tmp/untraced" ]
}

without_strace()
{
	refuses_to_trace "$tmp/bin" "syscalls needs strace"
}

fake_strace()	# its lines
{
	mkdir -p "$tmp/fake"
	printf '#!/bin/sh\n%s\n' "$1" >"$tmp/fake/strace"
	chmod +x "$tmp/fake/strace"
}

strace_may_not()
{
	fake_strace 'echo "strace: not permitted" >&2; exit 1'
	refuses_to_trace "$tmp/fake:$PATH" "strace cannot follow"
}

# It may trace, and fails later.
history_lost()
{
	# shellcheck disable=SC2016
	fake_strace '[ "$1" = -o ] || exit 1'
	env PATH="$tmp/fake:$PATH" "$bench" reclaim -w collapse -p rn -r 1 \
		--peak 1M --idle 1 --syscalls "$dir" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 1 ] && grep -q "collapse over rn failed under strace" \
		"$tmp/err" && grep -q "^collapse *rn .*%" "$tmp/out"
}

can_trace()
{
	strace -o "$tmp/trace" true 2>/dev/null
}

rm -rf "$dir"
syscalls=
if can_trace; then
	syscalls="--syscalls $dir"
else
	echo "SKIP histories: strace is not here, or may not trace"
fi
# A sanitizer that looks for leaks traces itself, which strace does already.
case ${SAN:-} in
*address*) export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" ;;
esac
# shellcheck disable=SC2086 # two words, or none
check "memory maps" gives 0 reclaim -w collapse -p rn,glibc -r 1 --peak 4M \
	--idle 2 --memmap "$dir" --json "$tmp/json" $syscalls
cp "$tmp/json" "$dir/reclaim.json"
check "at each mark and second" [ "$(find "$dir" -name \
	'collapse-rn-run1.*.memmap' | wc -l)" -ge 5 ]
check "each is one" [ "$(head -qn 1 "$dir"/*.memmap | sort -u)" = \
	"memmap - version: 1.0" ]
check "histories are of runs that are in no figure" lines "$dir/reclaim.json" 2
histories()
{
	check "a history of each" [ "$(cd "$dir" && echo ./*.strace)" = \
		"./collapse-glibc.strace ./collapse-rn.strace" ]
	check "of its calls" grep -q " mmap(.* = 0x" "$dir/collapse-rn.strace"
}
[ -z "$syscalls" ] || histories
check "compare" gives 0 compare -w pair -s 16 -n 1000 -p rn,null -t 1,2 -r 2 \
	--latency --json "$dir/compare.json"
check "its page" gives 0 report "$dir" -o "$page"
check "its picture" page_has "<h3>collapse-rn-run1</h3>"
check "glibc of itself, at each mark" [ "$(grep -c '^== second ' \
	"$dir/collapse-glibc-run1.stats")" -eq 4 ]
if [ -n "$preloads" ]; then
	check "in its own words" [ "$(grep -c '^<malloc version=' \
		"$dir/collapse-glibc-run1.stats")" -eq 4 ]
	check "on the page, too" page_has "&lt;malloc version="
else
	echo "SKIP glibc's own words: SAN=$SAN has another malloc"
fi
[ -z "$syscalls" ] || check "and its history" page_has \
	"<th scope=row>collapse-glibc</th>"
check "its command line" page_has "-w pair -s 16 -n 1000 -p rn,null"
check "what has neither" refuses 2 "only rn has memory maps" reclaim \
	-w collapse -p freelist --memmap "$dir"
check "what is elsewhere" refuses 2 "--memmap means nothing" reclaim \
	-w redis --memmap "$dir"
check "no strace" without_strace
check "a strace that may not" strace_may_not
[ -z "$syscalls" ] || check "no folder for histories" refuses 1 \
	"cannot open $tmp/json/x" reclaim -w collapse -p rn \
	--syscalls "$tmp/json/x"
check "no folder for maps" refuses 1 "cannot open $tmp/json/x" reclaim \
	-w collapse -p rn --memmap "$tmp/json/x"
check "a history that cannot be written" history_lost
maps_lost()
{
	mkdir "$tmp/lost" && : >"$tmp/lost/f"
	refuses 1 "failed in run 1" reclaim -w collapse -p rn -r 1 --peak 1M \
		--idle 1 --memmap /proc/self/fdinfo &&
		grep -q "cannot write collapse-rn-run1" "$tmp/err"
}
check "maps that cannot be written" maps_lost

# --- in a browser ---

# drive STEP ARGUMENT...: what it says is in out, messages of the page in err
drive()
{
	python3 -B "${0%/*}/browser.py" "$tmp/first.html" "$@" >"$tmp/out" \
		2>"$tmp/err"
}

# said LINE...: each is one of those that were printed
said()
{
	for line in "$@"; do
		grep -qxF -- "$line" "$tmp/out" || return 1
	done
}

is_quiet()
{
	[ ! -s "$tmp/err" ]
}

# shellcheck disable=SC2016 # it is JavaScript
helpers='
	var box = document.querySelector(".map");
	var slider = box.querySelector("input");
	var at = () => box.querySelector("output").textContent;
	var line = (row) => { const rgba = box.querySelectorAll("canvas")[row]
		.getContext("2d").getImageData(0, 0, 512, 1).data;
		return (x) => rgba.slice(4 * x, 4 * x + 4).join(","); };
	var fill = () => getComputedStyle(document.querySelector(
		"#memory [fill=\"var(--c0)\"]")).fill;
	var here = () => { const e = document.activeElement;
		const r = e.getBoundingClientRect(), style = getComputedStyle(e);
		return `${e.tagName} ${e.getAttribute("href") ?? e.id} ` +
			`${e.className} ${r.bottom > 0 && r.top < innerHeight &&
				style.outlineStyle !== "none"}`; };
	"helped"'

# The slider by its buttons, by a script, and by keys.
frames()
{
	check "the slider" drive eval "$helpers" \
		eval '"at first " + at() + ", of " + slider.max' \
		eval 'slider.value = 0; slider.dispatchEvent(new Event("input"));
			"moved " + at()' \
		eval 'box.querySelector("[data-step=\"1\"]").click();
			"next " + at()' \
		eval 'slider.focus(); "focus"' \
		key ArrowLeft eval '"left " + at()' \
		key ArrowRight eval '"right " + at()' \
		key Home eval '"home " + at()' key End eval '"end " + at()' \
		eval '"said " + slider.getAttribute("aria-valuetext")'
	first="second 1, frame 1 of 2, 2 pageblocks"
	last="second 2.5, frame 2 of 2, 2 pageblocks"
	check "steps through the frames" said "at first $last, of 1" \
		"moved $first" "next $last"
	check "by arrow keys, too" said "left $first" "right $last" \
		"home $first" "end $last"
	check "and says where it is" said "said $last"
}

blocks()
{
	check "the blocks" drive eval "$helpers" \
		eval '"canvases " + box.querySelectorAll("canvas").length' \
		eval 'box.querySelector(".blocks").focus(); "focus"' \
		key End eval '"end " + box.querySelector(".chosen td").textContent' \
		key ArrowUp eval '"up " + box.querySelector("p.chosen").textContent'
	check "two are drawn" said "canvases 2"
	check "arrow keys choose one" said "end 1" "up Pageblock 0, node 0, \
hugetlb whole: 100 pages free, 40 of them released. Pages from: 0: 1 active \
kmalloc-16 200/256 of CPU 1; 1: 3 partial kmalloc-64 200/200; 4: 60 free; \
64: 40 released; 104: 408 large."
}

colours()
{
	check "colours" drive eval "$helpers" eval '
		var first = line(0), second = line(1);
		[new Set([0, 1, 4, 64, 104].map(first)).size,
			first(511) === second(291), second(292) === first(4)]
			.join(" ")' \
		eval 'slider.value = 0; slider.dispatchEvent(new Event("input"));
			"another frame " + (line(0)(1) !== first(1))' \
		eval '"classes " + box.querySelector(".caches tbody").textContent' \
		eval 'document.querySelector("#memory figcaption").textContent' \
		eval '"curves " + (document.querySelectorAll("#memory figure svg "
			+ "path[stroke^=\"var\"]").length > 0)' \
		media screen,light eval '"light " + fill()' \
		media screen,dark eval '"dark " + fill()' \
		media print,dark eval '"paper " + fill()'
	check "are of what lies there" said "5 true true" "another frame true"
	check "classes are what the table had" said \
		"classes kmalloc-16016102563.9 %75.0 %75.0 %32456003111731"
	check "curves are there" said "curves true" \
		"reclaim collapse: held over time, threads: 1"
	check "in the colours of the page" said "light rgb(221, 221, 221)" \
		"dark rgb(55, 60, 66)" "paper rgb(221, 221, 221)"
}

# What a reader with no pointer comes by, in order; each where it can be seen.
keyboard()
{
	set --
	for _ in $(seq 40); do
		set -- "$@" key Tab eval 'here()'
	done
	check "the keyboard" drive eval "$helpers" "$@"
	for id in where throughput latency memory fragmentation maps classes \
			peers; do
		check "comes by the link to $id" said "A #$id  true"
	done
	check "by the slider" said "INPUT t0  true"
	check "by the buttons beside it" [ "$(grep -c '^BUTTON   true' \
		"$tmp/out")" -ge 2 ]
	check "by the blocks" said "DIV  blocks true"
	check "by each table that unfolds" [ "$(grep -c '^SUMMARY   true' \
		"$tmp/out")" -ge 8 ]
	check "and always sees where" [ "$(grep -v '^BODY' "$tmp/out" |
		grep -c 'false$')" -eq 0 ]
	check "a table" drive eval 'var d = document.querySelector("details");
			d.querySelector("summary").focus(); "closed " + d.open' \
		key Enter eval '"opened " + d.open' key Enter eval \
		'"again " + d.open'
	check "unfolds by a key" said "closed false" "opened true" "again false"
}

# Nothing reaches over the edge: of the page on paper, of a telephone but for
# what scrolls.
paper()
{
	check "paper" drive eval "$helpers" size 700x990 media print,light eval '
		var shown = (e) => e.getClientRects().length > 0;
		var wide = [...document.querySelectorAll("table,svg,pre,canvas")]
			.filter((e) => e.getBoundingClientRect().right > innerWidth);
		"cut off " + wide.map((e) => e.outerHTML.slice(0, 99))' \
		eval '"controls " + [...document.querySelectorAll(
			"button,input,summary,.blocks,nav")].filter(shown).length' \
		eval '"frames " + [...document.querySelectorAll(".paper h4")]
			.map((e) => e.textContent).join("; ")' \
		eval '"lines " + [...document.querySelectorAll(".paper canvas")]
			.filter(shown).length' \
		eval 'document.querySelector("details").open = true;
			"unfolded " + shown(document.querySelector("details table"))' \
		media screen,light size 390x800 \
		eval '"telephone " + document.documentElement.scrollWidth'
	check "has all within its edges" said "cut off "
	check "and nothing to press" said "controls 0"
	check "but frames of the slider" said "frames second 1, frame 1 of 2, \
2 pageblocks; second 2.5, frame 2 of 2, 2 pageblocks" "lines 4"
	check "and the tables that were open" said "unfolded true"
	check "a telephone has its width" grep -Eqx \
		'telephone (3[0-8][0-9]|390)' "$tmp/out"
}

# What "drive" would say if there were something.
messages()
{
	check "messages" drive eval 'console.error("no"); 1' \
		eval 'fetch("file:///none").catch(() => "refused")'
	check "would be seen" grep -q "^message: .*'no'" "$tmp/err"
	check "nothing is fetched" said "refused"
	check "a mistake, too" [ "$(drive eval 'none.at.all' && echo no)" = "" ]
}

browser()
{
	check "it loads" drive eval 'document.title' \
		shot "$tmp/shot.png" pdf "$tmp/page.pdf"
	check "without a message" is_quiet
	check "with its title" said "slabbench report: dir"
	check "a picture of it" [ "$(wc -c <"$tmp/shot.png")" -ge 10000 ]
	messages
	frames
	blocks
	colours
	keyboard
	paper
}

if [ -n "${SAN:-}" ]; then
	echo "SKIP the page in a browser: SAN=$SAN makes the same page"
elif command -v chromium >/dev/null; then
	browser
else
	echo "SKIP the page in a browser: chromium is not among the programs here"
fi

finish
