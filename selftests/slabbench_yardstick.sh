#!/bin/sh
# SPDX-License-Identifier: MIT
#
# "make yardstick" from outside: it continues where it stopped, keeps machines
# apart, judges by what the rows say, and says what is no good.
set -u

# shellcheck source=selftests/slabbench-helpers
. "${0%/*}/slabbench-helpers"

if ! command -v python3 >/dev/null; then
	echo "python3 is not among the programs here"
	exit 77
fi
# On hugetlb pages nothing is measured, which others may need.
RN_LADDER=thp,small
export RN_LADDER

cat >"$tmp/yardstick" <<END
#!/bin/sh
exec python3 -B "$(realpath "${0%/*}/../scripts/yardstick")" "\$@"
END
chmod +x "$tmp/yardstick"
program=$tmp/yardstick
rows=$tmp/rows.json
inc=$tmp/rows.inc

# yard ARGUMENT...: over a slabbench that is made up
yard()
{
	gives 0 "$tmp/slabbench" --file "$rows" --library one "$@"
}

no_yard()	# code, text, argument...
{
	no_code=$1
	no_text=$2
	shift 2
	refuses "$no_code" "$no_text" "$tmp/slabbench" --file "$rows" \
		--library one "$@"
}

inc_has()
{
	grep -qF -- "$1" "$inc"
}

# --- a slabbench that is made up ---

# It has two workloads. "failing" is who fails in each row, "odd" who does other
# operations, "kernel" that of the machine, and "next" in rows; "calls" has what
# was asked for.
cat >"$tmp/list" <<'END'
workloads:
  pair               in a loop; sizes of all kinds
                     sizes 16 64
                     threads 1; 20000000 iterations over all threads
  kv                 a hash table
                     sizes drawn from 16 to 4096, log-normal
                     threads 1
scenarios of reclaim:
  collapse           not for compare
allocators of compare -p:
  glibc              the C library's malloc
  jemalloc           missing: there is no libjemalloc.so.2
END
cat >"$tmp/slabbench" <<'SCRIPT'
#!/bin/sh
here=${0%/*}
[ "$1" != list ] || exec cat "$here/list"
echo "$*" >>"$here/calls"
command=$1
shift
while [ $# -gt 0 ]; do
	case $1 in
	-w) workload=$2 ;;
	-t) threads=$2 ;;
	-r) rounds=$2 ;;
	-a | -p) names=$2 ;;
	--json) json=$2 ;;
	esac
	shift 2
done
failing=$(cat "$here/failing" 2>/dev/null)
kernel=$(cat "$here/kernel")
[ "$command" = run ] || kernel=$(cat "$here/next" 2>/dev/null || echo "$kernel")
[ "$command" = run ] || sleep "$(cat "$here/takes" 2>/dev/null || echo 0)"
awk -v w="$workload" -v threads="${threads:-1}" -v rounds="$rounds" \
	-v names="$names" -v failing="$failing" -v kernel="$kernel" \
	-v odd="$(cat "$here/odd" 2>/dev/null)" '
	BEGIN {
		n = split(names, name, ",")
		for (run = 1; run <= rounds; run++)
			for (i = 1; i <= n; i++) {
				if (name[i] == failing && run > 1)
					continue
				printf "{\"workload\":\"%s\",", w
				printf "\"allocator\":\"%s\",", name[i]
				printf "\"threads\":%d,", threads
				printf "\"run\":%d,", run
				printf "\"ns_per_op\":%g,", 9 + run / 1000
				printf "\"peak_rss_kb\":5000,"
				printf "\"peak_hugetlb_kb\":0,"
				printf "\"checksum\":\"%s\",", \
					name[i] == odd ? "b" : "a"
				printf "\"cpu_model\":\"A CPU\","
				printf "\"kernel\":\"%s\",", kernel
				printf "\"thp\":\"madvise\","
				printf "\"hypervisor\":\"none\","
				printf "\"cpus_allowed\":\"0-1\","
				printf "\"nodes_allowed\":\"0\"}\n"
			}
	}' >"$json"
if [ -n "$failing" ] && [ "$command" = compare ]; then
	echo "slabbench: $workload over $failing failed in run 2" >&2
	exit 1
fi
exit 0
SCRIPT
chmod +x "$tmp/slabbench"
echo 9.8.7 >"$tmp/kernel"

calls()		# of compare
{
	grep -c '^compare' "$tmp/calls"
}

# Workload, size and threads of each line.
measured()
{
	awk -F'[:,]' '{
		gsub(/"/, "")
		print $2, $3 == "size" ? $4 " " $6 : " " $4
	}' "$rows"
}

# --- what is no good ---

row='{"workload":"kv","threads":1,"date":"2020-01-01T00:00:00+00:00",
"seconds":1,"load":0,"library":"one","lacking":{},"machine":{
"cpu_model":"A CPU","kernel":"9.8.7","thp":"madvise","hypervisor":"none",
"cpus_allowed":"0-1","nodes_allowed":"0"},
"ns_per_op":{"rn":[1,1,1,1,1,1,1]},"peak_kb":{"rn":[1,1,1,1,1,1,1]}}'
row=$(echo "$row" | tr -d '\n')

# bad_row TEXT SED: a second line that is the first with a change
bad_row()
{
	echo "$row" >"$rows"
	echo "$row" | sed "$2" >>"$rows"
	rm -f "$inc"
	no_yard 2 "$rows:2: $1" --limit 0 && [ ! -e "$inc" ]
}

same_row()
{
	echo "$row" >"$rows"
	yard --limit 0
}

check "help" gives 0 --help
check "no slabbench" refuses 2 "required: slabbench"
check "a slabbench that is not there" refuses 2 "cannot start $tmp/none" \
	"$tmp/none" --file "$rows"
check "one that fails" refuses 2 "exit code 1" false --file "$rows"
check "no limit" no_yard 2 "'x' is no number from 0 on" --limit x
check "two rounds" no_yard 2 "'2' is no number from 7 on" --rounds 2
check "unknown workload" no_yard 2 "unknown workload 'nope'" \
	--workloads pair,nope
check "a file that would be overwritten" no_yard 2 "is what the table" \
	--file "$inc"
check "nowhere" no_yard 1 "$tmp/no/rows.json: No such file" \
	--file "$tmp/no/rows.json"
check "nothing was measured" [ ! -e "$rows" ]
check "a good row" same_row
check "no JSON" bad_row "no JSON" 's/}$//'
check "no object" bad_row "no JSON object" 's/.*/[1]/'
check "no workload" bad_row "workload is not there, or no text" 's/workload/x/'
check "no threads" bad_row "threads is not there, or no number" \
	's/"threads":1/"threads":true/'
check "no size" bad_row "size is no size" 's/^{/{"size":-1,/'
check "no machine" bad_row "machine has not all of" 's/"thp":/"x":/'
check "no date" bad_row "date is no date" 's/2020-01/2020-13/'
check "a date of nowhere" bad_row "date is no date" 's/+00:00//'
check "too few rounds" bad_row "ns_per_op of rn is no list of 7 or more" \
	's/op":{"rn":\[1,/op":{"rn":[/'
check "no figure" bad_row "peak_kb of rn has what is no figure" \
	's/kb":{"rn":\[1,/kb":{"rn":["1",/'
check "not finite" bad_row "peak_kb of rn has what is no figure" \
	's/kb":{"rn":\[1,/kb":{"rn":[NaN,/'
check "other allocators" bad_row "ns_per_op and peak_kb are of different" \
	's/kb":{"rn"/kb":{"glibc"/'
check "of two machines" bad_row "another machine (A CPU, 9.8.8" \
	's/9.8.7/9.8.8/'

# --- it continues ---

rm -f "$rows"
check "nothing yet" yard --limit 0
check "and says so" inc_has "No row has been measured yet."
check "nothing is met" [ "$(grep -c '"open so far"$' "$inc")" -eq 0 ]
check "all is open" [ "$(grep -c '"open"$' "$inc")" -eq 9 ]

# Of rows that take 2 seconds the second would end too late.
echo 2 >"$tmp/takes"
check "the first row" yard --limit 3
check "one is there" [ "$(measured)" = "pair 16 1" ]
check "a row is one call, all allocators in turn" [ "$(calls)" -eq 1 ]
check "with 7 rounds" grep -q '^compare .*-r 7 ' "$tmp/calls"
check "and the native API, malloc and the peers that are there" \
	grep -q -- '-p rn,rn-small,rn-malloc,glibc,tcmalloc,mimalloc,' \
	"$tmp/calls"
check "what is missing is said" inc_has \
	'"jemalloc","there is no libjemalloc.so.2","1"'
check "so that nothing is met but so far" \
	[ "$(grep -c '"met"$' "$inc")" -eq 0 ]
check "rows that are not there are said" \
	inc_has "Not measured: pair 16 B with threads 2, 4, 16; pair 64 B; kv."
rm "$tmp/takes"
check "the rest" yard
check "each once" [ "$(measured | sort -u | wc -l)" -eq 12 ]
check "and then the oldest again" [ "$(measured | wc -l)" -eq 13 ]
check "none is missing" inc_has "Not measured: none."

# expect_next ROW: the next that is measured, of rows that take long
expect_next()
{
	echo 2 >"$tmp/takes"
	yard --limit 2 --workloads kv && [ "$(measured | tail -n 1)" = "$1" ]
}

# Each line with a date of its own: kv with 4 threads is the oldest.
dated()
{
	awk '{
		day = /"kv","threads":4,/ ? 1 : NR + 1
		sub(/"date":"[^"]*"/, sprintf("\"date\":\"2020-01-%02d" \
			"T00:00:00+00:00\"", day))
		print
	}' "$rows" >"$tmp/dated" && mv "$tmp/dated" "$rows"
}

check "rows of other days" dated
check "the oldest is next" expect_next "kv  4"
check "then the oldest of the rest" expect_next "kv  1"
check "what was measured stays" [ "$(measured | wc -l)" -eq 15 ]
# All but kv with 2 threads, the oldest now.
sed -i '/"kv","threads":2,/!s/"library":"one"/"library":"two"/' "$rows"
check "of another library before the oldest" expect_next "kv  16"
check "that is marked" inc_has '"pair 16 B †","1"'
check "and said" inc_has "rows with †"
check "what is not, is not" inc_has '"kv","2"'
rm "$tmp/takes"

echo 9.8.8 >"$tmp/kernel"
cp "$rows" "$tmp/before"
check "on another machine" no_yard 2 \
	"here: another machine (A CPU, 9.8.8, madvise, none, 0-1, 0)"
check "nothing was added" cmp -s "$rows" "$tmp/before"
check "the table is made anywhere" yard --limit 0
echo 9.8.7 >"$tmp/kernel"

# --- what goes wrong meanwhile ---

rm -f "$rows"
echo mimalloc >"$tmp/failing"
check "a peer that fails" yard --workloads kv
check "is said" inc_has '"mimalloc","failed: kv over mimalloc failed in run 2"'
echo rn-malloc >"$tmp/failing"
rm -f "$rows"
check "the library fails" yard --workloads kv
check "that is a loss" inc_has '"4 of 4 lost, 0 level","missed by 4 so far"'
rm "$tmp/failing"

rm -f "$rows"
echo tcmalloc >"$tmp/odd"
check "other operations" no_yard 1 "not the same operations everywhere" \
	--workloads kv
check "give no row" [ ! -s "$rows" ]
rm "$tmp/odd"
echo 9.8.8 >"$tmp/next"
check "a machine that changes" no_yard 1 "the machine has changed meanwhile" \
	--workloads kv
check "gives none either" [ ! -s "$rows" ]
rm "$tmp/next"

# Stopped in its second row.
interrupted_yard()
{
	rm -f "$rows" "$tmp/calls"
	echo 1 >"$tmp/takes"
	"$program" "$tmp/slabbench" --file "$rows" --library one \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for _ in $(seq 200); do
		[ -s "$rows" ] && break
		sleep 0.05
	done
	kill -TERM $pid
	wait $pid
	[ $? -eq 130 ] && [ "$(measured)" = "pair 16 1" ] && rm "$tmp/takes"
}
check "SIGTERM" interrupted_yard
check "says so" grep -q "interrupted" "$tmp/err"
check "the table is there" inc_has "1 of 12 rows"

# --- verdicts ---

# figures WORKLOAD THREADS NAME:NS:KB:SPREAD...: a row; SPREAD is to either side
figures()
{
	echo "$*" | awk '
	function list(of, middle, spread,	i, out) {
		for (i = -3; i <= 3; i++)
			out = out (i > -3 ? "," : "") \
				middle + spread * i / 3
		return "\"" of "\":[" out "]"
	}
	{
		for (i = 3; i <= NF; i++) {
			split($i, f, ":")
			ns = ns (i > 3 ? "," : "") list(f[1], f[2], f[4])
			kb = kb (i > 3 ? "," : "") list(f[1], f[3], 0)
		}
		size = $1 == "pair" ? "\"size\":16," : ""
		printf "{\"workload\":\"%s\",%s\"threads\":%d,", $1, size, $2
		printf "\"date\":\"2020-01-01T00:00:00+00:00\",\"seconds\":1,"
		printf "\"load\":0.5,\"library\":\"one\",\"lacking\":{},"
		printf "\"machine\":{\"cpu_model\":\"A CPU\","
		printf "\"kernel\":\"9.8.7\",\"thp\":\"madvise\","
		printf "\"hypervisor\":\"none\",\"cpus_allowed\":\"0-1\","
		printf "\"nodes_allowed\":\"%s\"},", nodes
		printf "\"ns_per_op\":{%s},\"peak_kb\":{%s}}\n", ns, kb
	}' nodes="${nodes:-0}" - >>"$rows"
}

# Two workloads, a size of each; pair with 1 thread is as given.
judged()
{
	rm -f "$rows"
	figures pair 1 "$@"
	figures pair 2 rn:4:9000:0 rn-malloc:8:9000:0 glibc:10:10000:0
	for threads in 4 16; do
		figures pair $threads rn:8:9000:0 rn-malloc:9:9000:0 \
			glibc:10:10000:0
	done
	for threads in 1 2 4 16; do
		figures kv $threads rn:9:9000:0 rn-malloc:9:9000:0 \
			glibc:10:10000:0 mimalloc-large:20:40000:0
	done
	yard --limit 0
}
# verdict ALLOCATOR WHAT FOUND VERDICT: on every row
verdict()
{
	inc_has "\"$1\",\"$2\",\"every row\",\"no row lost\",\"$3\",\"$4\""
}
sed -i 's/sizes 16 64$/sizes 16/' "$tmp/list"

check "all is met" judged rn:8:9000:0 rn-malloc:9:9000:0 glibc:10:10000:0
# pair: 0.8, 0.4, 0.8, 0.8; kv 0.9: weighted once each.
check "no row is lost" verdict rn time "0 of 8 lost, 0 level" met
check "micro workloads" inc_has 'micro workloads","0.80","0.673","met"'
check "application workloads" \
	inc_has 'application workloads","0.95","0.900","met"'
# The root of 0.9 and of the fourth root of 0.9 * 0.8 * 0.9 * 0.9.
check "malloc" inc_has 'all workloads","0.92","0.887","met"'
check "memory" [ "$(grep -c '"1.00","0.900","met"$' "$inc")" -eq 2 ]
check "no table of what is lost" [ "$(grep -c 'are lost' "$inc")" -eq 0 ]

sed -i '2s/"lacking":{}/"lacking":{"jemalloc":"gone"}/' "$rows"
check "a row without a peer" yard --limit 0
check "all is met but so far" [ "$(grep -c '"met so far"$' "$inc")" -eq 8 ]
check "where it takes part" [ "$(grep -c '"met"$' "$inc")" -eq 1 ]
sed -i '2s/"lacking":{[^}]*}/"lacking":{}/; 2s/"one"/"two"/' "$rows"
check "a row of another library" yard --limit 0
check "is so far, too" [ "$(grep -c '"met so far"$' "$inc")" -eq 8 ]
sed -i 2d "$rows"
check "without that row" yard --limit 0
check "it is still so far" [ "$(grep -c '"met so far"$' "$inc")" -eq 8 ]

check "a row that is lost" judged rn:30:9000:1 rn-malloc:9:9000:0 \
	glibc:10:10000:0 mimalloc-large:9.5:40000:0
check "by how many" inc_has '"1 of 8 lost, 0 level","missed by 1"'
# 30 / 9.5, 0.4, 0.8, 0.8
check "and by how much the mean" inc_has '"0.80","0.948","missed by 0.148"'
check "to the best peer, in any form" inc_has \
	'"pair 16 B","1","**3.16**","0.95","mimalloc-large"'
check "it comes first" [ "$(awk '/are lost/ { lost = NR }
	/that are not/ { rest = NR } /\*\*3.16/ { at = NR }
	END { print lost < at && at < rest }' "$inc")" -eq 1 ]

check "level within the noise" judged rn:10.5:9000:1 rn-malloc:9:9000:0 \
	glibc:10:10000:0
check "is not lost" inc_has '"0 of 8 lost, 1 level","met"'
check "but marked" inc_has '"pair 16 B","1","1.05~"'

# 2 MiB for each node.
check "memory within 2 MiB" judged rn:8:12048:0 rn-malloc:9:9000:0 \
	glibc:10:10000:0
check "is level" verdict rn memory "0 of 8 lost, 1 level" met
check "memory beyond" judged rn:8:12049:0 rn-malloc:9:9000:0 glibc:10:10000:0
check "is lost" verdict rn memory "1 of 8 lost, 0 level" "missed by 1"
nodes=0-1,3
check "with three nodes" judged rn:8:12049:0 rn-malloc:9:9000:0 glibc:10:10000:0
check "it is within 6 MiB" inc_has '"0 of 8 lost, 1 level","met"'
nodes=

# The same marks as compare's: from ten runs on between quartiles.
outlier()
{
	rm -f "$rows"
	figures kv 1 rn:12:9000:1 rn-malloc:9:9000:0 glibc:10:9000:0
	sed -i 's/"glibc":\[10,/"glibc":[13,'"$1"'/' "$rows"
	yard --limit 0
}
check "seven runs, one far off" outlier ""
check "meet" inc_has '"kv","1","1.20~"'
check "ten runs, one far off" outlier 10,10,10,
check "do not" inc_has '"kv","1","**1.20**"'

# --- which library it is ---

# A source tree with as much as that takes.
source=$(realpath "${0%/*}/..")
tree=$tmp/tree
mkdir -p "$tree/scripts" "$tree/tools/slabbench" "$tree/mm"
cp -R "$source/scripts/yardstick" "$tree/scripts"
cp -R "$source/tools/slabbench/report" "$tree/tools/slabbench"

in_tree()
{
	GIT_CONFIG_GLOBAL=/dev/null git -C "$tree" -c user.name=a \
		-c user.email=a@b "$@" >/dev/null 2>&1
}

# is_named NAME: so is the library of a row that the tree's yardstick measures
is_named()
{
	rm -f "$rows"
	python3 -B "$tree/scripts/yardstick" "$tmp/slabbench" --limit 1 \
		--file "$rows" --workloads kv >"$tmp/out" 2>"$tmp/err"
	grep -q "\"library\":\"$1\"" "$rows"
}

commit()
{
	in_tree add . && in_tree commit -m "a change"
}

last_commit()
{
	git -C "$tree" log -1 --format=%h --abbrev=12
}

no_git()
{
	(export GIT_CEILING_DIRECTORIES="$tmp"; ! is_named '.*') &&
		grep -q "which library is it? --library says" "$tmp/err"
}

with_git()
{
	check "no commit" no_git
	check "a source tree" in_tree init
	echo 1 >"$tree/mm/slub.c"
	check "a commit" commit
	first=$(last_commit)
	check "is named, with options" is_named "$first $options"
	echo 1 >"$tree/README"
	check "a file besides changes nothing" is_named "$first $options"
	check "nor does another commit" commit
	check "of none of its files" is_named "$first $options"
	echo 2 >"$tree/mm/slub.c"
	check "a change that is no commit" is_named "$first-dirty $options"
	check "is one then" commit
	check "and has another name" is_named "$(last_commit) $options"
	check "two commits" [ "$(last_commit)" != "$first" ]
}

# As the tests are started, there may be more.
options=$(env | grep '^RN_' | sort | paste -sd' ' -)
if command -v git >/dev/null; then
	with_git
else
	echo "SKIP which library it is: git is not among the programs here"
fi

# --- slabbench itself ---

cat >"$tmp/real" <<END
#!/bin/sh
case \$1 in
list)	"$bench" list |
		sed -E 's/^  ([a-z]+malloc|glibc-[a-z]+)( |-[a-z]+ )/&missing: /' ;;
compare) exec "$bench" "\$@" -n 2000 ;;
*)	exec "$bench" "\$@" ;;
esac
END
chmod +x "$tmp/real"
rm -f "$rows"
check "a row of slabbench" gives 0 "$tmp/real" --file "$rows" --library one \
	--workloads pair --limit 1
check "is there" grep -q '"workload":"pair","size":16,"threads":1,' "$rows"
check "of the library" grep -q '"rn-small":\[[0-9.]*,' "$rows"
check "and of a peer" grep -q '"glibc":\[[0-9.]*,' "$rows"
check "without hugetlb pages, as is said" inc_has '"rn","took no hugetlb page"'
check "all of slabbench's workloads are wanted" inc_has " of 128 rows"

finish
