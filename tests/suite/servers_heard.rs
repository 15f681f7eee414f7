//! Real servers hand over what they log to `logfade run`, which keeps it sealed, and clean beside it.

use super::hear::{configuration, dark};
use super::run::Site;
use super::servers::{ask, carried, comes, free_port, open_to_all, start};
use super::support::{holds, lines, logfade};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The sidecar with one listener, a sealed raw form, and a clean one.
fn hearing(listen: &str, format: &str) -> Site {
    let text = configuration(&[listen], "seal = true\nrotate = [\"20 KiB\"]\n", "").replace("\"combined\"", &format!("\"{format}\""));
    let mut site = Site::of(&text);
    open_to_all(&site.dir);
    let name = listen.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap().to_owned();
    site.start();
    site.until("it listens", |site| site.dir.at(&name).exists());
    site
}

/// The pages that were asked for, each once: for a moment a finished file stands beside the segment that it was made of.
fn pages(site: &Site) -> usize {
    let text = String::from_utf8(site.content("clean")).unwrap();
    text.lines().filter_map(|line| line.split_once("/page/")?.1.split([' ', '?']).next()).collect::<BTreeSet<_>>().len()
}

/// Clean lines about pages.
fn clean(site: &Site) -> usize {
    lines(&site.content("clean")).iter().filter(|line| holds(line, b"/page/")).count()
}

/// Everything in the sealed raw files, once the sidecar has ended.
fn raw(site: &Site) -> String {
    let mut paths: Vec<_> = fs::read_dir(site.dir.at("raw")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    // In the order of the time in their names; the one that grows is the last.
    paths.sort_by_key(|path| (path.extension().is_some_and(|end| end == "part"), path.clone()));
    let open = |path: &Path| logfade(&["--state", &site.dir.arg("state"), "open", path.to_str().unwrap()]).run(b"").stdout_text();
    paths.iter().map(|path| open(path)).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn nginx_is_heard() {
    let mut site = hearing("syslog+unix://ROOT/log.sock?mode=0666", "combined");
    let at = |name: &str| site.dir.arg(name);
    let configuration = format!(
        "daemon off; master_process off; pid {pid}; error_log {errors};
events {{}}
http {{
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  access_log {file} combined;
  access_log syslog:server=unix:{socket},nohostname,tag=nginx combined;
  server {{ listen unix:{http}; location / {{ return 204; }} }}
}}",
        pid = at("pid"),
        errors = at("errors"),
        dir = site.dir.path().display(),
        file = at("access.log"),
        socket = at("log.sock"),
        http = at("http.sock"),
    );
    let file = site.dir.file("nginx.conf", configuration.as_bytes());
    let Some(mut nginx) = start("nginx", &["-c", &file, "-p", &at("")]) else { return };
    if !comes(&mut nginx, || UnixStream::connect(site.dir.at("http.sock")).is_ok()) {
        return;
    }
    for number in 0..400 {
        ask(UnixStream::connect(site.dir.at("http.sock")).unwrap(), number);
        // nginx does not wait for a full socket, and some systems let only ten datagrams stand in one.
        if number % 8 == 7 {
            site.until("pages", |site| pages(site) > number);
        }
    }
    drop(nginx);
    site.until("raw files are finished", |site| site.told("finished") >= 2);
    site.end();
    let written = String::from_utf8(site.dir.read("access.log")).unwrap();
    let written: Vec<String> = written.lines().filter(|line| line.contains("GET")).map(str::to_owned).collect();
    assert_eq!((pages(&site), clean(&site), written.len()), (400, 400, 400), "{}", site.said());
    assert_eq!(sorted(carried(&raw(&site), "nginx")), sorted(written), "raw is what nginx wrote into its own file");
    dark(&site);
}

#[test]
fn apache_writes_into_a_pipe_that_is_heard() {
    let modules = "/usr/lib/apache2/modules";
    if !Path::new(modules).join("mod_mpm_event.so").exists() {
        println!("skipped: no modules of apache2");
        return;
    }
    let mut site = hearing("fifo://ROOT/log.fifo?mode=0666", "combined");
    let port = free_port();
    let configuration = format!(
        r#"ServerRoot "{dir}"
ServerName site
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
PidFile "{dir}/pid"
User www-data
Group www-data
DocumentRoot "{dir}"
ErrorLog "{dir}/errors"
LogFormat "%h %l %u %t \"%r\" %>s %O \"%{{Referer}}i\" \"%{{User-Agent}}i\"" combined
CustomLog "{dir}/access.log" combined
CustomLog "{dir}/log.fifo" combined
"#,
        dir = site.dir.path().display(),
    );
    let file = site.dir.file("apache.conf", configuration.as_bytes());
    let Some(mut apache) = start("apache2", &["-DFOREGROUND", "-f", &file]) else { return };
    if !comes(&mut apache, || TcpStream::connect(("127.0.0.1", port)).is_ok()) {
        return;
    }
    for number in 0..300 {
        ask(TcpStream::connect(("127.0.0.1", port)).unwrap(), number);
    }
    site.until("pages", |site| pages(site) >= 300);
    drop(apache);
    site.end();
    let page = |text: &str| sorted(text.lines().filter(|line| line.contains("/page/")).map(str::to_owned).collect());
    let written = page(&String::from_utf8(site.dir.read("access.log")).unwrap());
    assert_eq!((pages(&site), clean(&site), written.len()), (300, 300, 300), "{}", site.said());
    assert_eq!(page(&raw(&site)), written);
    dark(&site);
}

#[test]
fn haproxy_is_heard() {
    let mut site = hearing("syslog+unix://ROOT/log.sock?mode=0666", "haproxy-http");
    let configuration = format!(
        "global
  log {socket} local0
defaults
  log global
  mode http
  option httplog
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend site
  bind unix@{http}
  http-request return status 204
",
        socket = site.dir.arg("log.sock"),
        http = site.dir.arg("http.sock"),
    );
    let file = site.dir.file("haproxy.cfg", configuration.as_bytes());
    let Some(mut haproxy) = start("haproxy", &["-db", "-f", &file]) else { return };
    if !comes(&mut haproxy, || UnixStream::connect(site.dir.at("http.sock")).is_ok()) {
        return;
    }
    for number in 0..200 {
        ask(UnixStream::connect(site.dir.at("http.sock")).unwrap(), number);
        if number % 4 == 3 {
            site.until("pages", |site| pages(site) > number);
        }
    }
    drop(haproxy);
    site.end();
    let heard = raw(&site);
    assert_eq!((pages(&site), heard.lines().filter(|line| line.contains("GET /page/")).count()), (200, 200));
    dark(&site);
}
