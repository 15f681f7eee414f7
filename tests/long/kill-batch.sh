#!/bin/sh
# Kills `logfade batch` at random times and lets the next run complete; every line has to be there once, and nothing else.
# usage: tests/long/kill-batch.sh [KILLS]    (default 1000; LOGFADE names the program)
set -eu
kills=${1:-1000}
logfade=${LOGFADE:-target/release/logfade}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/in"

awk -v dir="$place" 'BEGIN { for (file = 0; file < 12; file++) { name = sprintf("%s/in/%d.log", dir, file)
  for (line = 0; line < 15000 + 4000 * file; line++)
    printf "203.0.113.%d - u%d [%02d/Oct/2023:13:%02d:%02d +0000] \"GET /f%d/n%d?q=%d HTTP/1.1\" 200 %d \"-\" \"curl/8.5.%d\"\n", line % 250, line, 1 + line % 28, line / 60 % 60, line % 60, file, line, line, line % 9999, line % 9 > name
  close(name) } }'
gzip -1 "$place"/in/[0-5].log
"$logfade" -q --state "$place/reference-state" batch "$place/in" --out "$place/reference" --format combined

run() { "$logfade" -q --state "$place/state" batch "$place/in" --out "$place/out" --format combined; }
killed=0 finished=0 round=0
while [ "$killed" -lt "$kills" ] || [ $((round % 4)) -ne 0 ]; do
  round=$((round + 1))
  # Not through the function: the shell that it ran in would be killed in its place.
  "$logfade" -q --state "$place/state" batch "$place/in" --out "$place/out" --format combined & pid=$!
  sleep "0.$(awk -v seed="$round$$" 'BEGIN { srand(seed); printf "%03d", rand() * 450 }')"
  if kill -9 "$pid" 2>/dev/null; then killed=$((killed + 1)); else finished=$((finished + 1)); fi
  wait "$pid" 2>/dev/null || true
  # Several kills in a row hit a run that continues one; then the work is completed and begun anew.
  if [ $((round % 4)) -eq 0 ]; then
    run
    "$logfade" -q --state "$place/state" ledger verify > /dev/null
    diff -r "$place/reference" "$place/out"
    rm -rf "$place/out" "$place/state"
  fi
done
echo "$round rounds, $killed killed at work, $finished finished before: every output the same to the byte, no draft left, every ledger whole"
