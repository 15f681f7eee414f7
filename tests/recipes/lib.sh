# What the recipes share; each sources it first. A recipe is a bash script that runs real programs on the loopback, in a directory
# of its own, and leaves nothing behind. It ends with 0 (passed), 77 (skipped, the last line says why) or anything else (failed).
#
# What stands between <<'END' and END is quoted in README.md to the letter (tests/suite/recipes.rs holds it), with the paths of a
# real machine; `here` and `shell` put the paths of the recipe's directory in their place.
# shellcheck shell=bash
set -euo pipefail

tree=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
name=$(basename "$0")

skip() {
  echo "skipped: $*"
  exit 77
}
fail() {
  echo "$name: $*" >&2
  for said in "$dir"/*.err; do
    [ ! -s "$said" ] || { echo "--- $(basename "$said")" && tail -n 15 "$said"; } >&2
  done
  exit 1
}

# The program: LOGFADE_BIN, else what was built here last, else the installed one.
find_program() {
  local each
  for each in "${LOGFADE_BIN:-}" "$tree/target/release/logfade" "$tree/target/debug/logfade" "$(command -v logfade || true)"; do
    if [ -n "$each" ] && [ -x "$each" ]; then realpath "$each" && return; fi
  done
  skip "no logfade: build it, or name it in LOGFADE_BIN"
}
bin=$(find_program) || { echo "$bin" && exit 77; }

dir=$(mktemp -d)
chmod 755 "$dir"
mkdir -p "$dir"/{bin,run/logfade,srv/logs,var/log,var/lib/logfade,etc/logfade}
chmod 700 "$dir/var/lib/logfade"
ln -s "$bin" "$dir/bin/logfade"
export PATH="$dir/bin:$PATH:/usr/sbin:/sbin" LC_ALL=C TZ=UTC
cd "$dir"

# Each in a process group of its own, so that what a server started ends with it.
groups=()
finish() {
  local group
  for group in "${groups[@]}"; do kill -TERM -- "-$group" 2>/dev/null || true; done
  for group in "${groups[@]}"; do
    for _ in $(seq 100); do kill -0 -- "-$group" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$group" 2>/dev/null || true
  done
  cd / && rm -rf "$dir"
}
trap finish EXIT

# start NAME COMMAND…: in the background, its messages in NAME.err.
start() {
  local what=$1
  shift
  setsid "$@" >"$dir/$what.out" 2>"$dir/$what.err" </dev/null &
  last=$!
  groups+=("$last")
}
# stop PID: as a service manager would.
stop() {
  kill -TERM -- "-$1" 2>/dev/null || true
  wait "$1" || true
}

# needs COMMAND=PACKAGE…: installs what is missing where it can (root, Debian), else skips. No service is started by that.
needs() {
  local pair missing=()
  for pair in "$@"; do command -v "${pair%%=*}" >/dev/null || [ -e "${pair%%=*}" ] || missing+=("${pair##*=}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then skip "not installed: ${missing[*]}"; fi
  local rules=/usr/sbin/policy-rc.d ours=
  [ -e $rules ] || { ours=1 && printf '#!/bin/sh\nexit 101\n' >$rules && chmod 755 $rules; }
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}")
  local got=1
  "${install[@]}" >"$dir/apt.out" 2>&1 || { apt-get update >/dev/null 2>&1 && "${install[@]}" >"$dir/apt.out" 2>&1; } || got=
  [ -z $ours ] || rm -f $rules
  [ -n "$got" ] || skip "cannot be installed: ${missing[*]}"
}

# The paths of a real machine become those of this recipe.
places() {
  sed -E "s#((syslog[+]unix|fifo)://)/run#\\1$dir/run#g; s#(^|[^[:alnum:]_/.-])/(run/logfade|srv/logs|var/log|var/lib/logfade|etc/logfade)#\\1$dir/\\2#g; s#/usr/bin/logfade#$bin#g"
}
# here FILE: standard input, with these paths.
here() { places >"$dir/$1"; }
# shell [ARG…]: runs standard input as a user's shell would.
shell() {
  places >"$dir/commands"
  sh -eu "$dir/commands" "$@"
}

# comes WHAT COMMAND…: waits for it, two minutes at most.
comes() {
  local what=$1
  shift
  for _ in $(seq 1200); do
    if "$@" 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "this does not come: $what"
}
port() {
  local try
  while :; do
    try=$((20000 + RANDOM % 12000))
    (: <>"/dev/tcp/127.0.0.1/$try") 2>/dev/null || { echo $try && return; }
  done
}
listens() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ask PORT FIRST LAST: pages by number, with what may not stay: an address, a query, a referrer's path, an agent's details.
ask() {
  local number
  for number in $(seq "$2" "$3"); do
    exec 4<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET /page/%d?token=secret%d HTTP/1.0\r\nHost: shop.example\r\nReferer: https://mail.example/inbox/anna?id=secret\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\r\n' "$number" "$number" >&4
    cat <&4 >/dev/null
    exec 4<&-
  done
}

# The clean lines, however the file is packed. Names may be patterns, so that what is waited for need not be there yet.
read_clean() {
  local file
  # shellcheck disable=SC2048
  for file in $*; do
    [ -e "$file" ] || continue
    case $file in
      *.zst) zstd -dcq "$file" ;;
      *) cat "$file" ;;
    esac
  done
}
# Lines that a pattern fits.
count_of() { read_clean "${@:2}" | grep -cE "$1" || true; }
pages() { count_of /page/ "$@"; }
# has NUMBER FILE…
has() { [ "$(pages "${@:2}")" -eq "$1" ]; }
# Every page from 1 to NUMBER stands there once, and nothing of what may not stay.
is_clean() {
  local count=$1 found
  shift
  found=$(read_clean "$@" | grep -o '/page/[0-9]*' | sort | uniq -c | awk '$1 != 1 { twice++ } { n++ } END { print n + 0, twice + 0 }')
  [ "$found" = "$count 0" ] || fail "pages and pages that stand twice: $found, asked were $count"
  [ "$(count_of 'secret|inbox|127\.0\.0\.1[^0-9]|X11' "$@")" = 0 ] || fail "raw data stands in $*"
}
