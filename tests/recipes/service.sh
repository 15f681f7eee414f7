# The installed package and its service; sourced. Nothing of somebody else's is touched: where any of it is there, the recipe skips.
# shellcheck shell=bash
logs=/var/log/logfade-recipe
unit=/usr/lib/systemd/system/logfade.service

take_machine() {
  local taken
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || skip "needs root on Debian"
  for taken in /usr/bin/logfade /etc/logfade /var/lib/logfade /srv/logs $logs; do
    [ ! -e "$taken" ] || skip "$taken is there already, and it is somebody's"
  done
  if getent passwd logfade >/dev/null; then skip "a user logfade is there already"; fi
  command -v cargo >/dev/null || skip "no cargo"
  needs systemd-sysusers=systemd systemd-tmpfiles=systemd setfacl=acl setpriv=util-linux zstd=zstd
  trap leave_machine EXIT
}
leave_machine() {
  dpkg --purge logfade >/dev/null 2>&1 || true
  finish
  rm -rf $logs /var/lib/logfade /srv/logs
  userdel logfade 2>/dev/null || true
}
# Raw logs as servers of Debian write them.
write_raw() {
  mkdir $logs
  write_log 200 yesterday >$logs/access.log
  chgrp adm $logs/access.log
  chmod 640 $logs/access.log
}
# Where systemd does not run, what the unit starts is started by hand, as its user and with its one capability.
start_service() {
  if [ -d /run/systemd/system ]; then
    systemctl enable --now logfade
    return
  fi
  local line
  line=$(sed -n 's/^ExecStart=//p' $unit)
  echo "systemd does not run here: \"$line\" is started by hand; its sandbox is what \`systemd-analyze security\` reads in the unit"
  [ "$(sed -n 's/^User=//p' $unit)" = logfade ] || fail "another user"
  # shellcheck disable=SC2086
  start service env -i PATH=/usr/bin:/bin setpriv --reuid logfade --regid logfade --init-groups --inh-caps=-all,+lease --ambient-caps=-all,+lease --no-new-privs $line
  service=$last
}
stop_service() {
  if [ -d /run/systemd/system ]; then
    systemctl disable --now logfade
  else
    stop "$service"
  fi
}
# What the service made of write_raw.
service_works() {
  comes "the clean lines" has 200 '/srv/logs/*/*'
  stop_service
  has 200 '/srv/logs/*/*' || fail "a line is missing"
  holds_no_raw '/srv/logs/*/*'
  [ "$(stat -c %U /var/lib/logfade/ledger.jsonl)" = logfade ] || fail "the service ran as somebody else"
}
