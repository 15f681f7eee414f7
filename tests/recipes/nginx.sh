# nginx from Debian, in the recipe's directory, in the foreground; sourced.
# shellcheck shell=bash
# start_nginx PORT DIRECTIVE…: $nginx is its process.
start_nginx() {
  local port=$1
  shift
  mkdir -p "$dir/var/log/nginx"
  cat >"$dir/nginx.conf" <<NGINX
daemon off;
master_process off;
pid $dir/nginx.pid;
error_log $dir/var/log/nginx/error.log;
events {}
http {
  client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi; uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
  $*
  server { listen 127.0.0.1:$port; location / { return 204; } }
}
NGINX
  start nginx nginx -c "$dir/nginx.conf" -p "$dir"
  nginx=$last
  comes "nginx" listens "$port"
}
