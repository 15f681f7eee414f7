#!/usr/bin/env bash
# Peak memory of `pipe` whatever comes in, as a Markdown table: benches/memory.sh [LOGFADE]
# LOGFADE is the binary (target/release/logfade). Needs GNU time, python3 and zstd (Debian: time, python3, zstd); writes 100 MB.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
logfade=$(realpath "${1:-$here/../target/release/logfade}")
[ -x /usr/bin/time ] || { echo "no /usr/bin/time: apt-get install time" >&2 && exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/corpus.py" 100M >"$work/access.log"
# peak WORDS OPTION…: of a run over standard input.
peak() {
  local what=$1
  shift
  /usr/bin/time -o "$work/peak" -f %M "$logfade" pipe -q "$@" >/dev/null
  awk -v what="$what" '{ printf "| %s | %.0f |\n", what, $1 / 1024 }' "$work/peak"
}
echo "| \`logfade pipe\`, a combined log of 100 MB unless it says otherwise | peak, MiB |"
echo "|---|--:|"
for threads in 1 2 4; do peak "\`--threads $threads\`" --format combined --threads $threads <"$work/access.log"; done
for level in zstd:3 zstd:19 gzip:6; do peak "\`--threads 2 --compress $level\`" --format combined --threads 2 --compress $level <"$work/access.log"; done
peak "\`--output json\`" --format combined --threads 2 --output json <"$work/access.log"
head -c 1G /dev/zero | tr '\0' a | peak "a line of 1 GiB" --format combined --threads 2
head -c 4G /dev/zero | zstd -cq -1 | peak "a \`.zst\` of 4 GiB of zeros" --format combined --threads 2
