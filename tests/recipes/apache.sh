# Apache from Debian, in the recipe's directory, in the foreground; sourced.
# shellcheck shell=bash
# start_apache PORT DIRECTIVE…: $apache is its process.
start_apache() {
  local port=$1 modules=/usr/lib/apache2/modules
  shift
  mkdir -p "$dir/var/log/apache2" "$dir/www"
  cat >"$dir/apache.conf" <<APACHE
ServerRoot "$dir"
ServerName shop.example
Listen 127.0.0.1:$port
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
PidFile "$dir/apache.pid"
DocumentRoot "$dir/www"
ErrorLog "$dir/var/log/apache2/error.log"
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" combined
<Location /private>
  Require all denied
</Location>
$*
APACHE
  [ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data\n' >>"$dir/apache.conf"
  start apache apache2 -DFOREGROUND -f "$dir/apache.conf"
  apache=$last
  comes "Apache" listens "$port"
}
