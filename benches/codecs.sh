#!/usr/bin/env bash
# What decoders and levels of compression cost: one run, one corpus.
#
#   benches/codecs.sh [-m MEGABYTES] [-n RUNS] [-o] [LOGFADE]
#
# -m size of the corpus (50)   -n runs, interleaved; medians are shown (3)   -o offline: install nothing
# LOGFADE is the binary (target/release/logfade). Prints Markdown. Times are user and system time, so that other work on the machine does not
# count. What logfade's own decoder costs is the difference between the same log, compressed and not. Tools that cannot be had are left out.
set -euo pipefail
export LC_ALL=C TIMEFORMAT='%U %S'

megabytes=50 runs=3 offline=
while getopts m:n:o option; do
  case $option in
    m) megabytes=$OPTARG ;;
    n) runs=$OPTARG ;;
    o) offline=1 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
shift $((OPTIND - 1))
here=$(cd "$(dirname "$0")" && pwd)
logfade=$(realpath "${1:-$here/../target/release/logfade}")
[ -x "$logfade" ] || { echo "no binary at $logfade: run cargo build --release" >&2; exit 2; }
place=/dev/shm
[ -w "$place" ] || place=${TMPDIR:-/tmp}
work=$(mktemp -d "$place/logfade-codecs.XXXXXX")
trap 'rm -rf "$work"' EXIT

packages=()
need() { command -v "$1" >/dev/null || packages+=("$2"); }
need libdeflate-gunzip libdeflate-tools; need igzip isal; need pigz pigz; need zstd zstd; need gzip gzip
if [ -z "$offline" ] && [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -y -q --no-install-recommends "${packages[@]}" >"$work/apt" 2>&1 || echo "codecs: not installed: ${packages[*]}" >&2
fi

python3 "$here/corpus.py" "${megabytes}M" codecs >"$work/log"
gzip -6 -c "$work/log" >"$work/log.gz"
if command -v zstd >/dev/null; then zstd -q -3 -c "$work/log" >"$work/log.zst"; fi
raw=$(stat -c %s "$work/log")

pipe() { "$logfade" pipe -q --threads 1 --format combined --policy default "${@:2}" <"$work/$1" >"$work/out"; }
declare -A jobs=(
  ["plain"]="pipe log" ["gz"]="pipe log.gz" ["gzip"]="gzip -dc $work/log.gz" ["pigz"]="pigz -dc $work/log.gz"
  ["libdeflate"]="libdeflate-gunzip -c $work/log.gz" ["isal"]="igzip -dc $work/log.gz"
)
if [ -e "$work/log.zst" ]; then jobs+=(["zst"]="pipe log.zst" ["zstd"]="zstd -q -dc $work/log.zst"); fi
for level in 1 3 6 9 12 15; do jobs+=(["level $level"]="pipe log --compress zstd:$level"); done
jobs+=(["level gzip"]="pipe log --compress gzip:6")

for _ in $(seq "$runs"); do
  for name in "${!jobs[@]}"; do
    read -r tool _ <<<"${jobs[$name]}"
    command -v "$tool" >/dev/null || continue
    : >"$work/out"
    { time ${jobs[$name]} >/dev/null; } 2>"$work/time"
    echo "$name,$(tail -n 1 "$work/time"),$(stat -c %s "$work/out")" >>"$work/times"
  done
done

awk -F, -v raw="$raw" -v runs="$runs" -v megabytes="$megabytes" '
  function median(name,    i, j, t, list, count) {
    count = n[name]
    for (i = 1; i <= count; i++) list[i] = cpu[name, i]
    for (i = 2; i <= count; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return count ? list[int((count + 1) / 2)] : 0
  }
  function decoder(what, seconds) { if (seconds > 0) printf "| %s | %.0f |\n", what, raw / 1e6 / seconds }
  { split($2, times, " "); cpu[$1, ++n[$1]] = times[1] + times[2]; size[$1] = $3 }
  END {
    printf "Combined log, %s MB, medians of %s interleaved runs, one thread.\n\n", megabytes, runs
    print "| decoder | MB of log per CPU second |\n|---|--:|"
    decoder("`.gz` in logfade (zlib-rs)", median("gz") - median("plain"))
    decoder("`.gz` by ISA-L (`igzip`)", median("isal"))
    decoder("`.gz` by libdeflate, the whole file in memory", median("libdeflate"))
    decoder("`.gz` by `pigz`", median("pigz"))
    decoder("`.gz` by `gzip`", median("gzip"))
    decoder("`.zst` in logfade", median("zst") - median("plain"))
    decoder("`.zst` by `zstd`", median("zstd"))
    print "\n| `--compress` | clean log against raw | CPU seconds per GB, cleaning included |\n|---|--:|--:|"
    printf "| `none` | %.3f | %.1f |\n", size["plain"] / raw, median("plain") * 1e9 / raw
    printf "| `gzip:6` | %.3f | %.1f |\n", size["level gzip"] / raw, median("level gzip") * 1e9 / raw
    split("1 3 6 9 12 15", levels, " ")
    for (i = 1; i in levels; i++) { name = "level " levels[i]; printf "| `zstd:%s` | %.4f | %.1f |\n", levels[i], size[name] / raw, median(name) * 1e9 / raw }
  }' "$work/times"
