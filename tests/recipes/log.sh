# A raw log for those who read clean ones; sourced.
# shellcheck shell=bash
# write_log LINES [DATE]: combined lines of one day, in order.
write_log() {
  awk -v lines="$1" -v day="$(date -d "${2:-2025-03-14}" +%d/%b/%Y)" 'BEGIN {
    split("200 200 200 304 404", status, " ")
    for (n = 0; n < lines; n++) {
      second = int(n * 86400 / lines)
      printf "203.0.113.%d - %s [%s:%02d:%02d:%02d +0000] \"GET /page/%d%s HTTP/1.1\" %s %d \"https://mail.example/inbox/anna?id=secret\" \"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0\"\n",
        n % 250 + 1, n % 7 ? "-" : "karin", day, second / 3600, second / 60 % 60, second % 60, n % 20, n % 3 ? "" : ".html", status[n % 5 + 1], 100 + n
    }
  }'
}
# holds_no_raw FILE: what may not stay of such a log.
holds_no_raw() {
  [ "$(count_of 'secret|inbox|karin|Win64|^203\.0\.113\.[1-9]' "$1")" = 0 ] || fail "raw data stands in $1"
}
