#!/usr/bin/env bash
# Times logfade beside the tools that people use for the first column, and beside zstd: one run, one corpus.
#
#   benches/peers.sh [-m MEGABYTES] [-s SLOW_MEGABYTES] [-n RUNS] [-o] [LOGFADE]
#
# -m size of the corpus (100)                -n runs, interleaved; medians are shown (3)
# -s size of the slice for slow peers (10)   -o offline: install nothing
# LOGFADE is the binary (target/release/logfade). Prints Markdown. As root on Debian it installs the peers that are missing; a peer
# that cannot be had is left out with a word. Figures are megabytes (10^6) of raw log per second of user and system time.
set -euo pipefail
export LC_ALL=C TIMEFORMAT='%U %S %R'

megabytes=100 slow=10 runs=3 offline=
while getopts m:s:n:o option; do
  case $option in
    m) megabytes=$OPTARG ;;
    s) slow=$OPTARG ;;
    n) runs=$OPTARG ;;
    o) offline=1 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
here=$(cd "$(dirname "$0")" && pwd)
logfade=$(realpath "${1:-$here/../target/release/logfade}")
[ -x "$logfade" ] || { echo "no binary at $logfade: run cargo build --release" >&2; exit 2; }

place=/dev/shm
[ -w "$place" ] || place=${TMPDIR:-/tmp}
work=$(mktemp -d "$place/logfade-peers.XXXXXX")
trap 'rm -rf "$work"' EXIT
note() { echo "peers: $*" >&2; }

# --- the peers ---------------------------------------------------------------------------------------------------------------
packages=()
need() { command -v "$1" >/dev/null || packages+=("$2"); }
need mawk mawk; need gawk gawk; need perl perl; need goaccess goaccess; need rsyslogd rsyslog; need ipv6loganon ipv6calc; need zstd zstd
need igzip isal
need python3 python3
if [ -z "$offline" ] && [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  note "installing ${packages[*]}"
  export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive # no service is started
  apt-get install -y -q --no-install-recommends "${packages[@]}" >"$work/apt" 2>&1 ||
    { apt-get update -q >"$work/apt" 2>&1 && apt-get install -y -q --no-install-recommends "${packages[@]}" >"$work/apt" 2>&1; } ||
    note "apt-get failed: $(tail -n 1 "$work/apt")"
fi
anonip=$(command -v anonip || true)
if [ -z "$anonip" ] && [ -z "$offline" ]; then
  if python3 -m venv "$work/venv" >"$work/pip" 2>&1 && "$work/venv/bin/pip" install -q anonip >"$work/pip" 2>&1; then
    anonip=$work/venv/bin/anonip
  fi
fi

# --- the corpus --------------------------------------------------------------------------------------------------------------
note "writing $megabytes MB to $work"
corpus=$work/access.log slice=$work/slice.log
python3 "$here/corpus.py" "${megabytes}M" >"$corpus"
awk -v most="$((slow * 1000000))" '(size += length($0) + 1) > most { exit } { print }' "$corpus" >"$slice"
head -n 1000 "$corpus" >"$work/head.log"
gzip -6 -c "$corpus" >"$corpus.gz"
if command -v zstd >/dev/null; then zstd -q -3 -c "$corpus" >"$corpus.zst"; fi
for format in json w3c alb nginx-error; do python3 "$here/corpus.py" "$((megabytes * 3 / 10))M" --format $format >"$work/$format"; done
# A pseudonym belongs to the day of its record, and a day that is long over has no key.
sed "s#\[[0-9][0-9]/[A-Z][a-z][a-z]/[0-9]*:#[$(date -u +%d/%b/%Y):#" "$corpus" >"$work/today"
"$logfade" keys init --state "$work/keys" >/dev/null 2>&1
sed 's/^client_addr.*/client_addr = "hash"/' "$here/../samples/policies/default.toml" >"$work/hash.toml"
slice_lines=$(wc -l <"$slice")

# --- one function per row; each reads standard input and writes standard output ----------------------------------------------
logfade_pipe() { "$logfade" pipe -q --threads 1 --policy default; }
sed_column() { sed -E 's/^([0-9]+\.[0-9]+\.[0-9]+)\.[0-9]+ /\1.0 /'; }
perl_column() { perl -pe 's/^(\d+\.\d+\.\d+)\.\d+ /$1.0 /'; }
awk_column='match($0, /^[0-9]+\.[0-9]+\.[0-9]+\./) { print substr($0, 1, RLENGTH) "0" substr($0, index($0, " ")); next } { print }'
mawk_column() { mawk "$awk_column"; }
gawk_column() { gawk "$awk_column"; }
ipv6loganon_standard() { ipv6loganon -q; }
ipv6loganon_zeroize() { ipv6loganon -q --anonymize-preset zeroize-standard; }
anonip_column() { "$anonip"; }
# It counts as well, and only its report is masked.
goaccess_report() { goaccess "$input" --no-global-config --log-format=COMBINED --anonymize-ip --no-progress -o "$work/goaccess.json" >/dev/null 2>&1; }
# A daemon does not end by itself: it is stopped when every line is out. Its time is taken here, without the watching.
rsyslog_mmanon() {
  local lines
  lines=$(wc -l <"$input")
  rm -rf "$work/rsyslog" && mkdir "$work/rsyslog"
  cat >"$work/rsyslog.conf" <<CONF
global(workDirectory="$work/rsyslog" maxMessageSize="64k")
module(load="imfile") module(load="mmanon")
template(name="line" type="string" string="%msg%\n")
input(type="imfile" file="$input" tag="a" ruleset="mask")
ruleset(name="mask") {
  action(type="mmanon" ipv4.bits="8" ipv4.mode="zero" ipv6.bits="96" ipv6.anonmode="zero")
  action(type="omfile" file="$work/rsyslog/out" template="line" ioBufferSize="64k")
}
CONF
  {
    for _ in $(seq 600); do
      sleep 0.1
      [ ! -e "$work/rsyslog/out" ] || [ "$(wc -l <"$work/rsyslog/out")" -lt "$lines" ] || break
    done
    kill "$(cat "$work/rsyslog/pid")"
  } >/dev/null 2>&1 &
  { time rsyslogd -n -C -f "$work/rsyslog.conf" -i "$work/rsyslog/pid" >/dev/null 2>&1; } 2>"$work/daemon"
  cat "$work/rsyslog/out"
}
logfade_zstd() { "$logfade" pipe -q --threads 1 --policy default --compress zstd:3; }
zstd_raw() { zstd -q -3 --single-thread -c; }
logfade_two() { "$logfade" pipe -q --threads 2 --policy default; }
logfade_combined() { "$logfade" pipe -q --threads 1 --policy default --format combined; }
logfade_today() { "$logfade" pipe -q --threads 1 --policy default --format combined; }
logfade_hash() { "$logfade" pipe -q --threads 1 --state "$work/keys" --policy "$work/hash.toml" --format combined; }
# Standard input is named and not read: the archive of the same log is.
batch() { rm -rf "$work/out" "$work/state" && "$logfade" batch -q --state "$work/state" --out "$work/out" --policy default --format combined "$1" >&2; }
batch_gz_zstd() { batch "$corpus.gz"; }
batch_zst_zstd() { batch "$corpus.zst"; }
gzip_zstd() { gzip -dc "$corpus.gz" | zstd -q -3 -c; }
igzip_zstd() { igzip -dc "$corpus.gz" | zstd -q -3 -c; }
zstd_zstd() { zstd -q -dc "$corpus.zst" | zstd -q -3 -c; }
format_json() { "$logfade" pipe -q --threads 1 --policy default; }
format_w3c() { "$logfade" pipe -q --threads 1 --policy default; }
format_alb() { "$logfade" pipe -q --threads 1 --policy default; }
format_nginx-error() { "$logfade" pipe -q --threads 1 --policy default; }
logfade_zstd_two() { "$logfade" pipe -q --threads 2 --policy default --compress zstd:3; }

# A row is shown if its tool is there, and if it keeps every line of a sample and changes most of them.
rows=()
row() { # function, tool, whole|slice
  if ! command -v "$2" >/dev/null; then note "left out: $1 (no $2)"; return; fi
  case $1 in
    *zstd* | goaccess_report | format_*) ;;
    *)
      input=$work/head.log
      "$1" <"$input" >"$work/sample" 2>"$work/error" || { note "left out: $1 fails: $(head -n 1 "$work/error")"; return; }
      [ "$(wc -l <"$work/sample")" = 1000 ] || { note "left out: $1 keeps $(wc -l <"$work/sample") of 1000 lines"; return; }
      [ "$(paste -d '\n' "$input" "$work/sample" | awk 'NR % 2 { raw = $1; next } $1 != raw { n++ } END { print n + 0 }')" -gt 700 ] ||
        { note "left out: $1 does not mask"; return; }
      ;;
  esac
  rows+=("$1 $3")
}
row logfade_pipe "$logfade" whole
row sed_column sed whole
row perl_column perl whole
row mawk_column mawk whole
row gawk_column gawk whole
row ipv6loganon_standard ipv6loganon whole
row ipv6loganon_zeroize ipv6loganon whole
row anonip_column "${anonip:-anonip}" slice
row rsyslog_mmanon rsyslogd slice
row goaccess_report goaccess slice
row logfade_zstd "$logfade" whole
row zstd_raw zstd whole
row logfade_two "$logfade" whole
row logfade_zstd_two "$logfade" whole
row logfade_combined "$logfade" whole
row logfade_today "$logfade" today
row logfade_hash "$logfade" today
row batch_gz_zstd "$logfade" whole
row batch_zst_zstd "$logfade" whole
row gzip_zstd gzip whole
row igzip_zstd igzip whole
row zstd_zstd zstd whole
for format in json w3c alb nginx-error; do row format_$format "$logfade" $format; done

# --- the runs: every row once, then every row again --------------------------------------------------------------------------
for run in $(seq "$runs"); do
  note "run $run of $runs"
  for entry in "${rows[@]}"; do
    read -r name size <<<"$entry"
    input=$corpus
    case $size in whole) ;; slice) input=$slice ;; *) input=$work/$size ;; esac
    { time "$name" <"$input" >/dev/null 2>/dev/null; } 2>"$work/time"
    [ "$name" != rsyslog_mmanon ] || mv "$work/daemon" "$work/time"
    echo "$name $(stat -c %s "$input") $(tail -n 1 "$work/time")" >>"$work/times"
  done
done

# --- the tables --------------------------------------------------------------------------------------------------------------
awk -v megabytes="$megabytes" -v slow="$slow" -v runs="$runs" -v cores="$(nproc)" '
  function median(list, count,    i, j, t) {
    for (i = 2; i <= count; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return count % 2 ? list[(count + 1) / 2] : (list[count / 2] + list[count / 2 + 1]) / 2
  }
  { n[$1]++; cpu[$1, n[$1]] = ($3 + $4) * 1e6 / $2; wall[$1, n[$1]] = $5 * 1e6 / $2 }
  function of(what, name,    i, list) { for (i = 1; i <= n[name]; i++) list[i] = what == "cpu" ? cpu[name, i] : wall[name, i]; return median(list, n[name]) }
  function line(name, does,    value) {
    if (!(name in n)) return
    value = of("cpu", name)
    printf "| %s | %.0f | %.2f |\n", does, 1 / value, value / of("cpu", "sed_column")
  }
  END {
    printf "Combined log, %s MB (slices of %s MB for anonip, rsyslog and goaccess), %s cores, %s.\n\n", megabytes, slow, cores, (runs > 1 ? "medians of " runs " interleaved runs" : "one run")
    print "| tool | MB per CPU second | CPU time against sed |\n|---|--:|--:|"
    line("logfade_pipe", "`logfade pipe --threads 1`, the whole line under the policy `default`")
    line("logfade_combined", "the same with `--format combined`")
    line("mawk_column", "`mawk`, last octet of column one")
    line("gawk_column", "`gawk`, last octet of column one")
    line("perl_column", "`perl -pe`, last octet of column one")
    line("sed_column", "`sed -E`, last octet of column one")
    line("ipv6loganon_zeroize", "`ipv6loganon` zeroize, column one")
    line("ipv6loganon_standard", "`ipv6loganon`, its default, column one")
    line("rsyslog_mmanon", "rsyslog: imfile, mmanon, omfile; addresses in the message")
    line("goaccess_report", "`goaccess --anonymize-ip`: a report, not a log")
    line("anonip_column", "`anonip`, column one")
    print "\n| compressed with zstd, level 3 | MB per CPU second | CPU time against zstd |\n|---|--:|--:|"
    if ("zstd_raw" in n) printf "| `zstd -3 --single-thread` on the raw log | %.0f | 1.00 |\n", 1 / of("cpu", "zstd_raw")
    if ("zstd_raw" in n) printf "| `logfade pipe --threads 1 --compress zstd:3` | %.0f | %.2f |\n", 1 / of("cpu", "logfade_zstd"), of("cpu", "logfade_zstd") / of("cpu", "zstd_raw")
    print "\n| `batch` on all cores, `.zst` of level 3 out | wall time |\n|---|--:|"
    split("batch_gz_zstd gzip_zstd batch_gz_zstd igzip_zstd batch_zst_zstd zstd_zstd", pairs, " ")
    split("`.gz` against `gzip -dc \\| zstd -3`,`.gz` against `igzip -dc \\| zstd -3`,`.zst` against `zstd -dc \\| zstd -3`", words, ",")
    for (i = 1; i <= 3; i++) if (pairs[2 * i] in n) printf "| %s | %.2f |\n", words[i], of("wall", pairs[2 * i - 1]) / of("wall", pairs[2 * i])
    print "\n| against `pipe --format combined`, by CPU time a byte | |\n|---|--:|"
    printf "| `client_addr = \"hash\"`, on a log of today | %.2f |\n", of("cpu", "logfade_hash") / of("cpu", "logfade_today")
    split("json w3c alb nginx-error", formats, " ")
    for (i = 1; i <= 4; i++) printf "| `%s` | %.2f |\n", formats[i], of("cpu", "format_" formats[i]) / of("cpu", "logfade_combined")
    print "\n| two threads against one | wall time |\n|---|--:|"
    printf "| `logfade pipe` | %.2f |\n", of("wall", "logfade_two") / of("wall", "logfade_pipe")
    printf "| `logfade pipe --compress zstd:3` | %.2f |\n", of("wall", "logfade_zstd_two") / of("wall", "logfade_zstd")
  }' "$work/times"
